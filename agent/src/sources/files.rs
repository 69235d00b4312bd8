//! Reads the kernel's files below selectable roots, within bounds.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Roots;

/// Largest file that is read, in bytes; `/proc/stat` of a machine with 1,000 processors and 10,000
/// interrupts has 200 KiB.
const FILE_BYTES_MAX: usize = 4 << 20;

/// Largest buffer that is kept from reading to reading, in bytes: what one large file needed is not
/// held for ever.
const BUFFER_BYTES_KEPT: usize = 256 << 10;

/// Largest attribute that is read, in bytes: the kernel writes no more than a page of 4 KiB.
const ATTRIBUTE_BYTES_MAX: usize = 4096;

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
    /// UTF-8; what is none (a mount point may be anything) is replaced.
    buffer: Vec<u8>,
    /// One attribute; its bytes behind the end are of earlier ones.
    line: Vec<u8>,
    /// The file that is in `buffer`, while the reading lasts that it was read in.
    held: Option<PathBuf>,
}

impl Files {
    pub(crate) fn new(roots: Roots) -> Self {
        Self {
            roots,
            buffer: Vec::with_capacity(16 << 10),
            line: vec![0; ATTRIBUTE_BYTES_MAX],
            held: None,
        }
    }

    /// Begins a reading: what was read before counts no more.
    pub(super) fn begin(&mut self) {
        self.held = None;
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
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

    /// Reads a file of one line below `/proc/sys`, without blanks around it.
    pub(super) fn proc_line(&mut self, path: &str) -> Result<&str, SourceError> {
        self.attribute(&self.proc_path(path)).map(str::trim)
    }

    /// Reads a file of one line below `/sys`; `None` when it is missing, empty or refuses to be
    /// read, as many attributes do while a device is down.
    pub(super) fn sys_line(&mut self, path: &Path) -> Option<&str> {
        self.attribute(path).ok().map(str::trim).filter(|line| !line.is_empty())
    }

    /// Reads a number of a file of one line.
    pub(super) fn sys_number(&mut self, path: &Path) -> Option<f64> {
        self.sys_line(path).and_then(number)
    }

    /// Reads a file. One that two sources read one after the other is read once.
    pub(super) fn read(&mut self, path: &Path) -> Result<&str, SourceError> {
        if self.held.as_deref() != Some(path) {
            self.fill(path)?;
            self.held = Some(path.into());
        }
        Ok(std::str::from_utf8(&self.buffer).unwrap_or_default())
    }

    fn fill(&mut self, path: &Path) -> Result<(), SourceError> {
        self.held = None;
        self.buffer.clear();
        let result = File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut self.buffer));
        if result.map_err(|source| error_of(path, source))? > FILE_BYTES_MAX {
            return Err(SourceError::TooLarge { path: path.into() });
        }
        if std::str::from_utf8(&self.buffer).is_err() {
            self.buffer = String::from_utf8_lossy(&self.buffer).into_owned().into_bytes();
        }
        Ok(())
    }

    /// Reads a file that the kernel gives whole in one read: an attribute of sysfs or a sysctl
    /// (Linux `fs/kernfs/file.c`, `fs/proc/proc_sysctl.c`). A second read to find the end would
    /// cost as much as the first. What is not UTF-8 is as if it were empty.
    fn attribute(&mut self, path: &Path) -> Result<&str, SourceError> {
        let length = File::open(path).and_then(|mut file| file.read(&mut self.line));
        let length = length.map_err(|source| error_of(path, source))?;
        Ok(std::str::from_utf8(&self.line[..length]).unwrap_or_default())
    }
}

fn error_of(path: &Path, source: io::Error) -> SourceError {
    match source.kind() {
        io::ErrorKind::NotFound => SourceError::Absent { path: path.into() },
        _ => SourceError::Read { path: path.into(), source },
    }
}

/// Returns the names in a folder, sorted. Errors: as for files.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>, SourceError> {
    let entries =
        fs::read_dir(folder).map_err(|source| error_of(folder, source))?.take(ENTRIES_MAX);
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
