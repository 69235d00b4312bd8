//! Keeps packed frames on disk, in order, within a bound.
//!
//! The files are drawn in `agent/PROTOCOL.md`, "The spool". They are written without waiting for
//! the disk but for their end: what a power cut can take is the file being written.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::pack;

/// Largest file, in bytes: the unit in which the oldest are given up, and what is in memory while
/// it is sent.
const FILE_BYTES_MAX: u64 = 128 << 10;

/// At least so many files fit, so that giving one up is not giving up everything.
const FILES_MIN: u64 = 16;

/// The ending of the files' names.
const ENDING: &str = ".spool";

/// Bytes of the length before each frame.
const LENGTH_BYTES: u64 = 4;

/// Frames on disk.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    bytes_max: u64,
    /// Oldest first.
    files: VecDeque<SpoolFile>,
    /// The last of `files`, when this run writes it.
    writing: Option<File>,
    /// What is left to send of the first of `files`.
    loaded: Option<VecDeque<Vec<u8>>>,
    next_number: u64,
    /// Keeps a second agent out; the lock ends with the process.
    _lock: File,
}

#[derive(Debug)]
struct SpoolFile {
    number: u64,
    bytes: u64,
    frames: u64,
}

/// Frames from the front of the spool.
#[derive(Debug)]
pub(crate) struct Front {
    /// The file they come from.
    pub(crate) number: u64,
    /// Oldest first, at least one.
    pub(crate) frames: Vec<Vec<u8>>,
}

/// Why frames cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be made or listed.
    #[error("cannot use the spool folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another agent uses it.
    #[error("another agent uses the spool folder {path}; give each its own by --spool")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Spool {
    /// Opens a folder, makes it when it is missing, and finds what an earlier run left.
    pub(crate) fn open(folder: &Path, bytes_max: u64) -> Result<Self, SpoolError> {
        let error = |source| SpoolError::Folder { path: folder.into(), source };
        fs::create_dir_all(folder).map_err(error)?;
        let lock = File::create(folder.join("lock")).map_err(error)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SpoolError::Locked { path: folder.into() });
            }
            Err(TryLockError::Error(source)) => return Err(error(source)),
        }
        let mut numbers: Vec<u64> = Vec::new();
        for entry in fs::read_dir(folder).map_err(error)? {
            let name = entry.map_err(error)?.file_name();
            let name = name.to_str().and_then(|name| name.strip_suffix(ENDING));
            numbers.extend(name.and_then(|name| name.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        let next_number = numbers.last().map_or(1, |last| last + 1);
        let mut spool = Self {
            folder: folder.into(),
            bytes_max,
            files: VecDeque::new(),
            writing: None,
            loaded: None,
            next_number,
            _lock: lock,
        };
        for number in numbers {
            let bytes = fs::read(spool.path(number))
                .map_err(|source| SpoolError::Read { path: spool.path(number), source })?;
            let frames = records(&bytes).count() as u64;
            spool.files.push_back(SpoolFile { number, bytes: bytes.len() as u64, frames });
        }
        Ok(spool)
    }

    /// Returns how many bytes the files take.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Returns how many frames wait; those of a damaged file are counted until it is read.
    pub(crate) fn frames(&self) -> u64 {
        self.files.iter().map(|file| file.frames).sum()
    }

    /// Adds a frame and returns how many of the oldest had to go for it.
    ///
    /// Errors: the frame is not kept; what was there before is.
    pub(crate) fn append(&mut self, frame: &[u8]) -> Result<u64, SpoolError> {
        let bytes = frame.len() as u64 + LENGTH_BYTES;
        let file_bytes_max = FILE_BYTES_MAX.min(self.bytes_max / FILES_MIN);
        if self.files.back().is_some_and(|file| file.bytes + bytes > file_bytes_max) {
            self.close()?;
        }
        let mut dropped = 0;
        while !self.files.is_empty() && self.bytes() + bytes > self.bytes_max {
            dropped += self.drop_oldest();
        }
        self.write(frame, bytes)?;
        Ok(dropped)
    }

    fn write(&mut self, frame: &[u8], bytes: u64) -> Result<(), SpoolError> {
        let is_new = self.writing.is_none();
        let number = if is_new { self.next_number } else { self.next_number - 1 };
        let path = self.path(number);
        let error = |source| SpoolError::Write { path: path.clone(), source };
        let mut file = match self.writing.take() {
            Some(file) => file,
            None => OpenOptions::new().append(true).create_new(true).open(&path).map_err(error)?,
        };
        if is_new {
            self.next_number += 1;
            self.files.push_back(SpoolFile { number, bytes: 0, frames: 0 });
        }
        // One write: a kill leaves all of it or, on a full disk, a part that reading skips. The
        // file is not kept for writing then, so that nothing stands behind the part.
        let mut record = (frame.len() as u32).to_le_bytes().to_vec();
        record.extend_from_slice(frame);
        file.write_all(&record).map_err(error)?;
        self.writing = Some(file);
        if let Some(last) = self.files.back_mut() {
            last.bytes += bytes;
            last.frames += 1;
        }
        Ok(())
    }

    /// Ends the file being written and waits until the disk has it.
    pub(crate) fn close(&mut self) -> Result<(), SpoolError> {
        let Some(file) = self.writing.take() else { return Ok(()) };
        let path = self.path(self.next_number - 1);
        file.sync_data().map_err(|source| SpoolError::Write { path, source })
    }

    /// Returns the oldest frames, at most `frames_max` and, but for the first, `bytes_max`;
    /// `None` when the spool is empty. They stay until [`Spool::remove`].
    ///
    /// Errors: a file that cannot be read is left where it is and not tried again in this run.
    pub(crate) fn front(
        &mut self,
        frames_max: usize,
        bytes_max: usize,
    ) -> Result<Option<Front>, SpoolError> {
        while let Some(first) = self.files.front() {
            let number = first.number;
            let frames = match self.loaded.take() {
                Some(frames) => frames,
                None => self.load(number)?,
            };
            if !frames.is_empty() {
                let mut bytes = 0;
                let fits = |frame: &&Vec<u8>| {
                    bytes += frame.len();
                    bytes <= bytes_max || bytes == frame.len()
                };
                let taken = frames.iter().take(frames_max.max(1)).take_while(fits).cloned();
                let taken = taken.collect();
                self.loaded = Some(frames);
                return Ok(Some(Front { number, frames: taken }));
            }
            self.drop_oldest();
        }
        Ok(None)
    }

    /// Reads a file whole. When it is the one being written, later frames go to a new one.
    fn load(&mut self, number: u64) -> Result<VecDeque<Vec<u8>>, SpoolError> {
        if self.files.len() == 1 {
            self.close()?;
        }
        let path = self.path(number);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => {
                self.files.pop_front();
                return Err(SpoolError::Read { path, source });
            }
        };
        let whole = |record: &&[u8]| pack::is_whole(record);
        let frames: VecDeque<Vec<u8>> =
            records(&bytes).take_while(whole).map(<[u8]>::to_vec).collect();
        if let Some(first) = self.files.front_mut() {
            first.frames = frames.len() as u64;
        }
        Ok(frames)
    }

    /// Removes frames that [`Spool::front`] returned, unless their file went meanwhile.
    pub(crate) fn remove(&mut self, number: u64, count: usize) {
        let (Some(first), Some(frames)) = (self.files.front_mut(), &mut self.loaded) else {
            return;
        };
        if first.number != number {
            return;
        }
        frames.drain(..count.min(frames.len()));
        first.frames = frames.len() as u64;
        if frames.is_empty() {
            self.drop_oldest();
        }
    }

    /// Removes the oldest file and returns how many frames were left in it.
    fn drop_oldest(&mut self) -> u64 {
        let Some(first) = self.files.pop_front() else { return 0 };
        self.loaded = None;
        if self.files.is_empty() {
            self.writing = None;
        }
        let path = self.path(first.number);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove a spool file");
        }
        first.frames
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:020}{ENDING}"))
    }
}

/// Walks over the records of a file up to the first that is not whole.
fn records(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        bytes = rest;
        Some(record)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Vec<u8> {
        pack::compress(text.as_bytes()).unwrap()
    }

    /// Empties a spool and returns what was in it.
    fn drain(spool: &mut Spool) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(front) = spool.front(2, usize::MAX).unwrap() {
            spool.remove(front.number, front.frames.len());
            all.extend(front.frames);
        }
        all
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.ends_with(ENDING));
        names.sort();
        names
    }

    #[test]
    fn frames_come_back_in_order_after_a_kill() {
        let folder = tempfile::tempdir().unwrap();
        let frames: Vec<Vec<u8>> = ["a", "b", "c", "d", "e"].map(frame).to_vec();
        for part in frames.chunks(2) {
            // Dropped without being closed: all that a kill leaves undone.
            let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
            for frame in part {
                assert_eq!(spool.append(frame).unwrap(), 0);
            }
        }
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!((spool.frames(), names(folder.path()).len()), (5, 3));
        let late = frame("late");
        spool.append(&late).unwrap();
        assert_eq!(drain(&mut spool), [frames, vec![late]].concat());
        assert_eq!((spool.frames(), spool.bytes(), names(folder.path()).len()), (0, 0, 0));
    }

    #[test]
    fn the_oldest_go_when_the_bound_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let one = frame("x");
        let record_bytes = one.len() as u64 + LENGTH_BYTES;
        // 16 files of two records each.
        let bytes_max = record_bytes * 2 * FILES_MIN;
        let mut spool = Spool::open(folder.path(), bytes_max).unwrap();
        let dropped: u64 = (0..33).map(|_| spool.append(&one).unwrap()).sum();
        assert_eq!((dropped, spool.frames()), (2, 31));
        assert!(spool.bytes() <= bytes_max);
        assert_eq!(names(folder.path()).len(), 16);
    }

    #[test]
    fn what_is_given_up_while_it_is_sent_is_not_removed_twice() {
        let folder = tempfile::tempdir().unwrap();
        let one = frame("x");
        let bytes_max = (one.len() as u64 + LENGTH_BYTES) * FILES_MIN;
        let mut spool = Spool::open(folder.path(), bytes_max).unwrap();
        for _ in 0..FILES_MIN {
            spool.append(&one).unwrap();
        }
        let front = spool.front(1, 1).unwrap().unwrap();
        assert_eq!(spool.append(&one).unwrap(), 1);
        spool.remove(front.number, front.frames.len());
        assert_eq!(spool.frames(), FILES_MIN);
    }

    #[test]
    fn a_torn_or_damaged_end_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        let frames = ["a", "b", "c"].map(frame);
        for frame in &frames {
            spool.append(frame).unwrap();
        }
        drop(spool);
        let path = folder.path().join(&names(folder.path())[0]);
        let whole = fs::read(&path).unwrap();

        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        spool.append(&frames[2]).unwrap();
        assert_eq!(drain(&mut spool), frames);
        drop(spool);

        let mut damaged = whole.clone();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        fs::write(&path, &damaged).unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(drain(&mut spool), frames[..2]);
        drop(spool);

        fs::write(&path, b"\xff\xff\xff\xff never so long").unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(drain(&mut spool), [[0_u8; 0]; 0]);
    }

    #[test]
    fn bodies_have_a_bound_but_for_a_single_frame() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        let frames = ["a", "b", "c"].map(frame);
        for frame in &frames {
            spool.append(frame).unwrap();
        }
        let mut count = |frames, bytes| spool.front(frames, bytes).unwrap().unwrap().frames.len();
        assert_eq!(count(9, 1), 1);
        assert_eq!(count(9, frames[0].len() * 2), 2);
        assert_eq!(count(9, 1 << 20), 3);
        assert_eq!(count(1, 1 << 20), 1);
    }

    #[test]
    fn a_second_agent_is_kept_out() {
        let folder = tempfile::tempdir().unwrap();
        let first = Spool::open(folder.path(), 1).unwrap();
        assert!(matches!(Spool::open(folder.path(), 1), Err(SpoolError::Locked { .. })));
        drop(first);
        assert!(Spool::open(folder.path(), 1).is_ok());
    }
}
