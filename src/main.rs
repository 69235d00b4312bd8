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

/// Gives back what series that grow in step have outgrown, and is faster than the C library's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run()
}
