//! `noroshi spawner`: the process that runs plug-ins for a server. The server starts it.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use noroshi_checks::plugin::{Limits, serve_spawner};

/// Arguments of `spawner`.
#[derive(Args, Debug)]
pub(super) struct SpawnerArgs {
    /// Most memory of one process, in bytes
    #[arg(long, value_name = "BYTES")]
    memory_max: Option<u64>,
    /// Most processes of the user
    #[arg(long, value_name = "COUNT")]
    processes_max: Option<u64>,
    /// How many run at once
    #[arg(long, value_name = "COUNT")]
    at_once: u64,
}

/// Takes the limits on and runs what the server at standard input asks for, until it ends.
pub(super) fn run(args: &SpawnerArgs) -> anyhow::Result<ExitCode> {
    let limits = Limits {
        memory_bytes_max: args.memory_max,
        processes_max: args.processes_max,
        runs_at_once: args.at_once,
    };
    limits.apply()?;
    serve_spawner().context(
        "the spawner runs for a server, which starts it with a socket as standard input",
    )?;
    Ok(ExitCode::SUCCESS)
}
