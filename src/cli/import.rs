//! `noroshi import nagios`: another system's configuration in our words.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::import::nagios;

/// Subcommands of `import`.
#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Read Nagios' nagios.cfg with all its objects; prints what could not be carried over
    Nagios(NagiosArgs),
}

/// Arguments of `import nagios`.
#[derive(Args, Debug)]
pub(super) struct NagiosArgs {
    /// Nagios' main file
    #[arg(value_name = "NAGIOS.CFG", default_value = "/etc/nagios4/nagios.cfg")]
    main: PathBuf,
    /// Folder to write *.toml files to; it may not hold any
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Imports, and prints each thing that could not be carried over as file:line.
pub(super) fn run(command: &ImportCommand) -> anyhow::Result<ExitCode> {
    let ImportCommand::Nagios(args) = command;
    let imported = nagios::import(&args.main, &args.out)?;
    for note in imported.notes.lines() {
        println!("{note}");
    }
    println!(
        "carried over: {} hosts, {} checks, {} host groups, {} contacts; not carried over: {}",
        imported.hosts,
        imported.checks,
        imported.groups,
        imported.contacts,
        imported.notes.count(),
    );
    for file in &imported.files {
        println!("written: {}", file.display());
    }
    println!("next: noroshi check-config --config {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}
