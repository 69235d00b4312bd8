//! `noroshi check-config`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::show;
use crate::config;

/// Arguments of `check-config`.
#[derive(Args, Debug)]
pub(super) struct CheckConfigArgs {
    /// File, or folder of *.toml files
    #[arg(long, value_name = "PATH", env = "NOROSHI_CONFIG")]
    config: Option<PathBuf>,
}

/// Prints every fault of a configuration, or what it holds. Exit status 1 when there is a fault.
pub(super) fn run(args: &CheckConfigArgs) -> ExitCode {
    let path = config::find(args.config.as_deref());
    match config::load(path.as_deref()) {
        Ok(config) => {
            let source = path.map_or("built-in".to_owned(), |path| path.display().to_string());
            show::line(format_args!("{source}: {}", config.summary()));
            ExitCode::SUCCESS
        }
        Err(faults) => {
            for fault in &faults {
                show::line(fault);
            }
            ExitCode::FAILURE
        }
    }
}
