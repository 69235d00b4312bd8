//! `noroshi import`: another system's configuration in our words, what another store has kept.

mod rrd;
mod samples;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::show;
use crate::import::nagios;

/// Subcommands of `import`.
#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Read Nagios' nagios.cfg with all its objects; prints what could not be carried over
    Nagios(NagiosArgs),
    /// Take in a file that `noroshi export` wrote
    Samples(samples::SamplesArgs),
    /// Take in files of RRDtool: the rows of all their archives
    Rrd(rrd::RrdArgs),
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

/// Runs `noroshi import ...`.
pub(super) fn run(command: &ImportCommand) -> anyhow::Result<ExitCode> {
    match command {
        ImportCommand::Nagios(args) => import_nagios(args),
        ImportCommand::Samples(args) => samples::run(args),
        ImportCommand::Rrd(args) => rrd::run(args),
    }
}

/// Imports, and prints each thing that could not be carried over as file:line.
fn import_nagios(args: &NagiosArgs) -> anyhow::Result<ExitCode> {
    let imported = nagios::import(&args.main, &args.out)?;
    for note in imported.notes.lines() {
        show::line(note);
    }
    show::line(format_args!(
        "carried over: {} hosts, {} checks, {} host groups, {} contacts; not carried over: {}",
        imported.hosts,
        imported.checks,
        imported.groups,
        imported.contacts,
        imported.notes.count(),
    ));
    for file in &imported.files {
        show::line(format_args!("written: {}", file.display()));
    }
    show::line(format_args!("next: noroshi check-config --config {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}
