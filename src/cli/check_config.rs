//! `noroshi check-config`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{DataArgs, show};
use crate::config::{self, Config, Fault, added};

/// Arguments of `check-config`.
#[derive(Args, Debug)]
pub(super) struct CheckConfigArgs {
    /// File, or folder of *.toml files
    #[arg(long, value_name = "PATH", env = "NOROSHI_CONFIG")]
    config: Option<PathBuf>,
    /// Its hosts that were added in the UI are read too, when there are any
    #[command(flatten)]
    data: DataArgs,
}

/// Prints every fault of a configuration, or what it holds. Exit status 1 when there is a fault.
pub(super) fn run(args: &CheckConfigArgs) -> ExitCode {
    let path = config::find(args.config.as_deref());
    match load(path.as_deref(), &args.data) {
        Ok(config) => {
            for note in config.notes() {
                show::line(note);
            }
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

/// Loads a configuration with the hosts that were added to the server of a data folder.
pub(super) fn load(path: Option<&Path>, data: &DataArgs) -> Result<Config, Vec<Fault>> {
    let added = added::read(&added::path_in(&data.data)).map_err(|fault| vec![fault])?;
    config::load_with(path, added.as_ref())
}
