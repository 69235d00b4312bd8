//! `noroshi-agent`: see `--help`.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let Err(error) = noroshi_agent::cli::main(noroshi_agent::cli::Arguments::parse()) else {
        return ExitCode::SUCCESS;
    };
    // The whole chain in one line, without the backtrace of `fn main() -> Result`: what is wrong
    // is the operator's to mend. With standard error closed nobody is left to tell.
    drop(writeln!(std::io::stderr(), "noroshi-agent: {error:#}"));
    ExitCode::FAILURE
}
