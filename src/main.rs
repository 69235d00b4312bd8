//! The server program and its command line.
//!
//! `daemon` wires the rooms together, `config` says with what, `cli` holds one file a subcommand,
//! `import` reads other systems' configurations, `log` writes what happens.

mod cli;
mod clock;
mod config;
mod daemon;
mod import;
mod log;

use std::process::ExitCode;

/// Frees and takes memory in the pattern of a time series store faster than the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
