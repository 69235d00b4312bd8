//! Nagios' object configuration: read as Nagios reads it, written as our TOML.
//!
//! | file | what |
//! |---|---|
//! | `read` | main file, folders, object definitions with comments and joined lines |
//! | `resolve` | templates: `use`, `+`, `null`, custom variables |
//! | `names` | lists of names with `*`, `!` and regular expressions |
//! | `expand` | which hosts have which services, groups and contacts |
//! | `depend` | dependencies, groups of services |
//! | `command`, `nrpe` | a command line becomes an argv, `check_nrpe` the built-in probe |
//! | `convert` | intervals, periods and options in our words; what has none is noted |
//! | `write` | the TOML files |
//! | `report` | what could not be carried over, with its places |
//!
//! Source: Nagios Core 4.4 `xdata/xodtemplate.c` and the documentation's "Object Inheritance" and
//! "Time-Saving Tricks For Object Definitions"; the expansion is compared with `nagios4 -vp`.

mod command;
mod convert;
mod depend;
mod expand;
mod names;
mod nrpe;
mod period;
mod read;
mod report;
mod resolve;
mod write;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use report::Notes;

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// A file or folder that the configuration names cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is larger than any configuration.
    #[error("{} is over {} MiB: this is no configuration", path.display(), read::FILE_MIB_MAX)]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// The folder to write to has files that would be mixed with ours.
    #[error("{} holds *.toml files already: name an empty folder", path.display())]
    NotEmpty {
        /// Which.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What was carried over.
#[derive(Debug)]
pub(crate) struct Imported {
    /// How many hosts.
    pub(crate) hosts: usize,
    /// How many checks.
    pub(crate) checks: usize,
    /// How many host groups with hosts in them.
    pub(crate) groups: usize,
    /// How many contacts.
    pub(crate) contacts: usize,
    /// The files, in the order in which they were written.
    pub(crate) files: Vec<PathBuf>,
    /// What could not be carried over.
    pub(crate) notes: Notes,
}

/// Reads the main file `nagios.cfg` and all that it names, and writes our files into `out`.
///
/// Errors: what cannot be read or written; a mistake in the objects is a note, not an error.
pub(crate) fn import(main: &Path, out: &Path) -> Result<Imported, ImportError> {
    let mut notes = Notes::default();
    let source = read::read(main, &mut notes)?;
    let site = expand::expand(&source, &mut notes);
    let converted = convert::convert(&site, &source, &mut notes);
    let files = write::write(&converted, out)?;
    let mut groups: Vec<&String> = converted.hosts.iter().flat_map(|host| &host.groups).collect();
    groups.sort();
    groups.dedup();
    Ok(Imported {
        hosts: converted.hosts.len(),
        checks: converted.hosts.iter().map(|host| host.checks.len()).sum(),
        groups: groups.len(),
        contacts: converted.contacts.len(),
        files,
        notes,
    })
}
