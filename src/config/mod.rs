//! The configuration: files -> raw -> resolved -> applied as a difference.
//!
//! | file | what |
//! |---|---|
//! | `source` | files, and faults with their places |
//! | `raw` | the tables as they are written |
//! | `resolve` | what they mean; all faults at once |
//! | `check`, `group` | a check's table becomes a probe, for one host or many |
//! | `depends` | what needs what: names that exist, and no circle |
//! | `remote` | what runs on the host itself |
//! | `people`, `storage` | contacts and mail server; retention and budget |
//! | `scope` | expressions speak of their host |
//! | `builtin` | checks that come with an agent or a poller |
//! | `site` | what the rooms are given: configured and registered hosts together |

mod builtin;
mod check;
mod depends;
mod group;
mod people;
mod raw;
mod remote;
mod resolve;
mod scope;
mod site;
mod source;
mod storage;

use std::path::{Path, PathBuf};

pub(crate) use builtin::CONFIGURATION_CHECK;
pub(crate) use resolve::{Config, Local};
pub(crate) use site::RegisteredHost;
pub(crate) use source::Fault;

use raw::RawConfig;
use source::{SourceFile, nearest};

/// The file in the current folder that is read when none is named.
const FILE_HERE: &str = "noroshi.toml";
/// The folder that is read when there is no file here.
const FOLDER: &str = "/etc/noroshi";

/// Returns the file or folder to read: the one that is named, else the first usual one that
/// exists; `None` when there is none and the built-in configuration holds.
pub(crate) fn find(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = named {
        return Some(path.to_owned());
    }
    let here = PathBuf::from(FILE_HERE);
    if here.is_file() {
        return Some(here);
    }
    let folder = PathBuf::from(FOLDER);
    let has_files = folder.is_dir() && files_of(&folder).is_ok_and(|files| !files.is_empty());
    has_files.then_some(folder)
}

/// Reads and resolves a configuration: a file, a folder of `*.toml` files, or the built-in one.
///
/// Errors: every fault at once, in the order of the files.
pub(crate) fn load(path: Option<&Path>) -> Result<Config, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut parts = Vec::new();
    for file in path.map(files_of).transpose().map_err(|fault| vec![fault])?.unwrap_or_default() {
        match SourceFile::read(&file).and_then(parse) {
            Ok(part) => parts.push(part),
            Err(fault) => faults.push(fault),
        }
    }
    let config = resolve::resolve(&parts, &mut faults);
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

/// Returns the files to read, sorted by name when `path` is a folder.
pub(crate) fn files_of(path: &Path) -> Result<Vec<PathBuf>, Fault> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let listing = std::fs::read_dir(path).map_err(|error| Fault {
        path: path.to_owned(),
        line: 0,
        column: 0,
        what: format!("cannot list the folder: {error}"),
        advice: String::new(),
    })?;
    let mut files: Vec<PathBuf> = listing
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|ending| ending == "toml") && file.is_file())
        .collect();
    files.sort();
    Ok(files)
}

/// One file: as text, for places, and as tables.
type Part = (SourceFile, RawConfig);

/// Reads the tables of a file.
fn parse(file: SourceFile) -> Result<Part, Fault> {
    match toml::from_str(&file.text) {
        Ok(raw) => Ok((file, raw)),
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            let mut message = error.message().lines().collect::<Vec<_>>().join(", ");
            let advice = advice_for(&message);
            if advice.starts_with("did you mean") {
                // The list of all that is known buries the one that is meant.
                message.truncate(message.find(", expected").unwrap_or(message.len()));
            }
            Err(file.fault(&span, message, advice))
        }
    }
}

/// Returns what to do about a message of the TOML reader.
fn advice_for(message: &str) -> String {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if message.starts_with("unknown field") {
        let known = words.get(1..).unwrap_or_default();
        return match words.first().and_then(|word| nearest(word, known.iter().copied())) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "remove it, or see docs/configuration.md for what belongs here".to_owned(),
        };
    }
    if message.starts_with("missing field") {
        return "add it to this table".to_owned();
    }
    if message.starts_with("invalid") {
        return "correct the value".to_owned();
    }
    String::new()
}

#[cfg(test)]
mod tests;
