//! `noroshi import`: another system's configuration in our words, what another store has kept.

mod rrd;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::DataArgs;
use super::keep::OpenFolder;
use super::show;
use crate::import::nagios;

/// Subcommands of `import`.
#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Read Nagios' nagios.cfg with all its objects; prints what could not be carried over
    Nagios(NagiosArgs),
    /// Take in a file that `noroshi export` wrote
    Samples(SamplesArgs),
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

/// `noroshi import samples`.
#[derive(Args, Debug)]
pub(super) struct SamplesArgs {
    /// The file; `-` is standard input
    file: PathBuf,
    #[command(flatten)]
    data: DataArgs,
}

/// Runs `noroshi import ...`.
pub(super) fn run(command: &ImportCommand) -> anyhow::Result<ExitCode> {
    match command {
        ImportCommand::Nagios(args) => import_nagios(args),
        ImportCommand::Samples(args) => import_samples(&args.file, &args.data),
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

fn import_samples(file: &Path, data: &DataArgs) -> anyhow::Result<ExitCode> {
    let mut input: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
        Box::new(BufReader::new(opened))
    };
    let folder = OpenFolder::for_writing(&data.data)?;
    let report = folder.store().import(&mut input)?;
    show::line(format_args!("{} samples and {} rows taken in", report.samples, report.rows));
    if report.refused > 0 {
        show::line(format_args!(
            "{} samples or rows refused: too old, in the future, or no room",
            report.refused
        ));
    }
    Ok(ExitCode::SUCCESS)
}
