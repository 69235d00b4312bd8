//! The files that a store writes, in one place, so that a test can lose what was not synced.
//!
//! Everything but `sled`'s own files goes through here. In tests the operations can be recorded
//! ([`record`]); `crash.rs` puts the disk together as a power cut at any point would have left it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A file that is written at offsets.
pub(crate) struct DiskFile {
    file: File,
    #[cfg(test)]
    recorded: Option<record::RecordedFile>,
}

impl DiskFile {
    /// Makes a file, or empties the one that is there.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let make = || File::create(path);
        #[cfg(test)]
        return record::made(path, true, make).map(|(file, recorded)| Self { file, recorded });
        #[cfg(not(test))]
        make().map(|file| Self { file })
    }

    /// Opens a file to read and write, making it when it is not there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let make =
            || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        #[cfg(test)]
        return record::made(path, false, make).map(|(file, recorded)| Self { file, recorded });
        #[cfg(not(test))]
        make().map(|file| Self { file })
    }

    /// Writes all bytes at an offset.
    pub(crate) fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        record::wrote(self.recorded.as_ref(), at, bytes);
        self.file.write_all_at(bytes, at)
    }

    /// Reads exactly that many bytes at an offset.
    pub(crate) fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    /// Returns the length in bytes.
    pub(crate) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Cuts the file to a length.
    pub(crate) fn set_length(&self, length: u64) -> io::Result<()> {
        #[cfg(test)]
        record::cut(self.recorded.as_ref(), length);
        self.file.set_len(length)
    }

    /// Makes the file so long, with room on the disk for the new bytes.
    pub(crate) fn allocate(&self, at: u64, length: u64) -> rustix::io::Result<()> {
        let flags = rustix::fs::FallocateFlags::empty();
        rustix::fs::fallocate(&self.file, flags, at, length)?;
        #[cfg(test)]
        record::grew(self.recorded.as_ref(), at + length);
        Ok(())
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        if let Some(recorded) = &self.recorded {
            recorded.sync();
            return Ok(());
        }
        self.file.sync_data()
    }
}

/// A file that is written from its beginning to its end.
impl io::Write for Appending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// See [`Appending::create`].
pub(crate) struct Appending {
    file: DiskFile,
    length: u64,
}

impl Appending {
    /// Makes a file that is written from its beginning to its end.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: DiskFile::create(path)?, length: 0 })
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// Writes a small file, whole or not at all, durable on return.
pub(crate) fn replace(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = directory.join(format!("{name}.unfinished"));
    let file = DiskFile::create(&unfinished)?;
    file.write_all_at(bytes, 0)?;
    file.sync()?;
    rename(&unfinished, &directory.join(name))?;
    sync_directory(directory)
}

/// Gives a file another name, in the place of one that has it.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    record::renamed(from, to);
    fs::rename(from, to)
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    record::removed(path);
    fs::remove_file(path)
}

/// Makes what was created, renamed or removed in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    #[cfg(test)]
    if record::synced_directory(directory) {
        return Ok(());
    }
    File::open(directory)?.sync_all()
}

#[cfg(test)]
pub(crate) mod record {
    //! Records what a store does to its folder.

    use std::collections::HashMap;
    use std::fs::File;
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use parking_lot::Mutex;

    /// The files of a folder, with their contents.
    pub(crate) type Content = Vec<(PathBuf, Vec<u8>)>;

    /// One thing that was done. Files have numbers: names come and go.
    #[derive(Clone, Debug)]
    pub(crate) enum Op {
        /// A name for a new file.
        Create {
            path: PathBuf,
            file: usize,
        },
        Write {
            file: usize,
            at: u64,
            bytes: Vec<u8>,
        },
        Cut {
            file: usize,
            length: u64,
        },
        Grow {
            file: usize,
            length: u64,
        },
        /// All before `from` (a position among the operations) is durable now.
        Synced {
            file: usize,
            from: usize,
        },
        Rename {
            from: PathBuf,
            to: PathBuf,
        },
        Remove {
            path: PathBuf,
        },
        /// As [`Op::Synced`], for the names in a directory.
        SyncedDirectory {
            path: PathBuf,
            from: usize,
        },
        /// What `sled` has just synced.
        Catalogue(Content),
        /// The test's own mark: it was told that this much is durable.
        Told {
            samples: i64,
            records: u64,
        },
    }

    /// What was done to one folder.
    pub(crate) struct Recording {
        root: PathBuf,
        state: Mutex<State>,
    }

    #[derive(Default)]
    struct State {
        ops: Vec<Op>,
        names: HashMap<PathBuf, usize>,
        files: usize,
    }

    /// A file of a recorded folder.
    pub(crate) struct RecordedFile {
        recording: Arc<Recording>,
        file: usize,
    }

    static ALL: Mutex<Vec<Arc<Recording>>> = Mutex::new(Vec::new());

    impl Recording {
        /// Records from now on what happens in a folder.
        pub(crate) fn of(root: &Path) -> Arc<Self> {
            let recording = Arc::new(Self { root: root.to_owned(), state: Mutex::default() });
            ALL.lock().push(Arc::clone(&recording));
            recording
        }

        /// Ends it and returns what happened.
        pub(crate) fn end(self: &Arc<Self>) -> Vec<Op> {
            ALL.lock().retain(|other| !Arc::ptr_eq(other, self));
            std::mem::take(&mut self.state.lock().ops)
        }

        /// Notes what the test was told.
        pub(crate) fn told(&self, samples: i64, records: u64) {
            self.state.lock().ops.push(Op::Told { samples, records });
        }
    }

    fn of(path: &Path) -> Option<Arc<Recording>> {
        ALL.lock().iter().find(|recording| path.starts_with(&recording.root)).cloned()
    }

    pub(super) fn made(
        path: &Path,
        is_emptied: bool,
        make: impl FnOnce() -> io::Result<File>,
    ) -> io::Result<(File, Option<RecordedFile>)> {
        let Some(recording) = of(path) else { return Ok((make()?, None)) };
        let mut guard = recording.state.lock();
        let state = &mut *guard;
        let made = make()?;
        let file = if let Some(file) = state.names.get(path).copied() {
            if is_emptied {
                state.ops.push(Op::Cut { file, length: 0 });
            }
            file
        } else {
            state.files += 1;
            state.names.insert(path.to_owned(), state.files);
            state.ops.push(Op::Create { path: path.to_owned(), file: state.files });
            state.files
        };
        drop(guard);
        Ok((made, Some(RecordedFile { recording, file })))
    }

    impl RecordedFile {
        fn note(&self, op: Op) {
            self.recording.state.lock().ops.push(op);
        }

        pub(super) fn sync(&self) {
            let from = self.recording.state.lock().ops.len();
            // Others may write meanwhile: that is not synced.
            std::thread::yield_now();
            self.note(Op::Synced { file: self.file, from });
        }
    }

    pub(super) fn wrote(recorded: Option<&RecordedFile>, at: u64, bytes: &[u8]) {
        if let Some(recorded) = recorded {
            recorded.note(Op::Write { file: recorded.file, at, bytes: bytes.to_vec() });
        }
    }

    pub(super) fn cut(recorded: Option<&RecordedFile>, length: u64) {
        if let Some(recorded) = recorded {
            recorded.note(Op::Cut { file: recorded.file, length });
        }
    }

    pub(super) fn grew(recorded: Option<&RecordedFile>, length: u64) {
        if let Some(recorded) = recorded {
            recorded.note(Op::Grow { file: recorded.file, length });
        }
    }

    pub(super) fn renamed(from: &Path, to: &Path) {
        let Some(recording) = of(from) else { return };
        let mut state = recording.state.lock();
        if let Some(file) = state.names.remove(from) {
            state.names.insert(to.to_owned(), file);
        }
        state.ops.push(Op::Rename { from: from.to_owned(), to: to.to_owned() });
    }

    pub(super) fn removed(path: &Path) {
        let Some(recording) = of(path) else { return };
        let mut state = recording.state.lock();
        state.names.remove(path);
        state.ops.push(Op::Remove { path: path.to_owned() });
    }

    pub(super) fn synced_directory(path: &Path) -> bool {
        let Some(recording) = of(path) else { return false };
        let from = recording.state.lock().ops.len();
        std::thread::yield_now();
        recording.state.lock().ops.push(Op::SyncedDirectory { path: path.to_owned(), from });
        true
    }

    /// Keeps what `sled` has synced.
    pub(crate) fn synced_catalogue(directory: &Path) {
        let Some(recording) = of(directory) else { return };
        let mut content = Content::new();
        let mut folders = vec![directory.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else if let Ok(bytes) = std::fs::read(entry.path()) {
                    content.push((entry.path(), bytes));
                }
            }
        }
        recording.state.lock().ops.push(Op::Catalogue(content));
    }
}
