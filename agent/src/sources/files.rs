//! Reads the kernel's files below selectable roots, within bounds.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Roots;

/// Largest file that is read, in bytes; `/proc/stat` of a machine with 1,000 processors and 10,000
/// interrupts has 200 KiB.
const FILE_BYTES_MAX: usize = 4 << 20;

/// Most entries of a folder that are looked at: interfaces, sensors.
const ENTRIES_MAX: usize = 4096;

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The machine has nothing of the kind: not a failure that somebody has to mend.
    #[error("{path} is not there")]
    Absent {
        /// What was looked for.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is larger than any real one.
    #[error("{path} has more than {FILE_BYTES_MAX} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("{path} has no {part} where one is expected")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is missing.
        part: &'static str,
    },
}

/// Reads files; keeps one buffer for all of them.
pub(crate) struct Files {
    roots: Roots,
    buffer: Vec<u8>,
    /// In the place of `buffer` when a file is not UTF-8 (a mount point may be anything).
    lossy: String,
}

impl Files {
    pub(crate) fn new(roots: Roots) -> Self {
        Self { roots, buffer: Vec::with_capacity(16 << 10), lossy: String::new() }
    }

    pub(super) fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Returns where a file below `/proc` is.
    pub(super) fn proc_path(&self, path: &str) -> PathBuf {
        self.roots.proc.join(path)
    }

    /// Returns where a file below `/sys` is.
    pub(super) fn sys_path(&self, path: &str) -> PathBuf {
        self.roots.sys.join(path)
    }

    /// Returns where a file of the machine's root is; a leading slash is not taken as ours.
    pub(super) fn root_path(&self, path: &str) -> PathBuf {
        self.roots.root.join(path.trim_start_matches('/'))
    }

    /// Reads a file below `/proc`.
    pub(super) fn proc(&mut self, path: &str) -> Result<&str, SourceError> {
        self.read(&self.proc_path(path))
    }

    /// Reads a file of one line below `/sys`; `None` when it is missing, empty or refuses to be
    /// read, as many attributes do while a device is down.
    pub(super) fn sys_line(&mut self, path: &Path) -> Option<&str> {
        self.read(path).ok().map(str::trim).filter(|line| !line.is_empty())
    }

    /// Reads a number of a file of one line.
    pub(super) fn sys_number(&mut self, path: &Path) -> Option<f64> {
        self.sys_line(path).and_then(number)
    }

    /// Reads a file.
    pub(super) fn read(&mut self, path: &Path) -> Result<&str, SourceError> {
        self.buffer.clear();
        let result = File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut self.buffer));
        let error = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => SourceError::Absent { path: path.into() },
            _ => SourceError::Read { path: path.into(), source },
        };
        if result.map_err(error)? > FILE_BYTES_MAX {
            return Err(SourceError::TooLarge { path: path.into() });
        }
        if let Ok(text) = std::str::from_utf8(&self.buffer) {
            Ok(text)
        } else {
            self.lossy = String::from_utf8_lossy(&self.buffer).into_owned();
            Ok(&self.lossy)
        }
    }
}

/// Returns the names in a folder, sorted. Errors: as for files.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>, SourceError> {
    let error = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => SourceError::Absent { path: folder.into() },
        _ => SourceError::Read { path: folder.into(), source },
    };
    let entries = fs::read_dir(folder).map_err(error)?.take(ENTRIES_MAX);
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Reads a whole number of the kernel's, with or without a sign; `None` when it is none.
///
/// Above 2^53 the nearest double.
pub(super) fn number(text: &str) -> Option<f64> {
    let unsigned = text.parse::<u64>().map(|number| number as f64);
    unsigned.or_else(|_| text.parse::<i64>().map(|number| number as f64)).ok()
}
