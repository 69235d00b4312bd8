//! Hosts that were added while the server runs: in the UI, by the API or by `noroshi host`. They
//! stand in a file of their own that the server writes, `config/added.toml` in the data folder, as
//! tables `[host.NAME]` with the keys that the admin's files have, and are resolved with those.
//!
//! `table.rs` turns what was submitted into a table and back, `guard.rs` says what a table may not
//! hold. The file is read anew before each change, so that one made by hand is not lost.

mod guard;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Table;

use super::source::{Fault, SourceFile};

pub(crate) use guard::guard;
pub(crate) use table::{field_at, of_json, owner_of, shown, unmasked};

/// The file, from the data folder.
pub(crate) const FILE: &str = "config/added.toml";

/// What stands above the tables.
const HEAD: &str = "\
# Hosts that were added in the UI, by the API or by `noroshi host`. The server writes this file:
# change them there. To keep one among your own files, copy its tables [host.NAME] there: a host of
# your files holds, the one of the same name here is then overridden and can be removed.

";

/// The hosts of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AddedHosts {
    /// Who added and changed each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) signed: BTreeMap<String, Signed>,
    /// Each with its keys as `[host.NAME]` has them.
    pub(crate) host: BTreeMap<String, Table>,
}

/// Who added a host, and who changed it last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Signed {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) added: Option<Signature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) changed: Option<Signature>,
}

/// Who did something, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Signature {
    /// A person's name, or a token's.
    pub(crate) by: String,
    /// As RFC 3339 writes it.
    pub(crate) at: String,
}

/// Returns where the file is for a data folder.
pub(crate) fn path_in(data: &Path) -> PathBuf {
    data.join(FILE)
}

/// Reads the file; `None` when there is none, which is as one without hosts.
pub(crate) fn read(path: &Path) -> Result<Option<SourceFile>, Fault> {
    if !path.exists() {
        return Ok(None);
    }
    SourceFile::read(path).map(Some)
}

impl AddedHosts {
    /// Reads the tables of the file. Errors: what the reader of TOML says.
    pub(crate) fn of(file: Option<&SourceFile>) -> Result<Self, String> {
        let Some(file) = file else { return Ok(Self::default()) };
        toml::from_str(&file.text).map_err(|error| error.to_string())
    }

    /// Returns the text of a file with these hosts.
    pub(crate) fn to_text(&self) -> Result<String, toml::ser::Error> {
        let mut text = HEAD.to_owned();
        // One host after the other, its signature above its tables.
        for (name, table) in &self.host {
            let mut one = Self::default();
            one.host.insert(name.clone(), table.clone());
            if let Some(signed) = self.signed.get(name) {
                one.signed.insert(name.clone(), signed.clone());
            }
            text += &toml::to_string(&one)?;
            text.push('\n');
        }
        Ok(text)
    }
}

/// Writes the file so that a power cut leaves the old or the new one: its hosts may name passwords,
/// so that only its owner may read it. Blocking.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let unfinished = path.with_extension("toml.unfinished");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    fs::File::open(folder)?.sync_all()
}

/// Copies the file from one data folder, or backup, into another; returns its bytes, `None` when
/// there is none to copy. Blocking.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<Option<u64>> {
    match fs::read_to_string(path_in(from)) {
        Ok(text) => {
            write(&path_in(to), &text)?;
            Ok(Some(text.len() as u64))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
