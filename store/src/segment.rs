//! Files of the journal: append-only segments of length-prefixed, checksummed entries.
//!
//! No thread and no clock here; `journal.rs` decides when to write and to sync.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::codec::Reader;
use crate::disk::{DiskFile, sync_directory};

/// Starts a segment.
const MAGIC: &[u8; 16] = b"NOROSHI JRNL 1\n\0";
/// Magic, number, checksum, padding.
const HEADER_BYTES: usize = 32;
/// Length and checksum before an entry.
const FRAME_BYTES: usize = 8;
/// Longest entry that is believed: a batch of records has 1 MiB a value, a frame of samples less.
pub(crate) const ENTRY_BYTES_MAX: usize = 64 << 20;

/// Appends an entry with its frame, written by `write`.
pub(crate) fn frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    write(out);
    let length = out.len() - start - FRAME_BYTES;
    let checksum = crc32c::crc32c(&out[start + FRAME_BYTES..]);
    out[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// The segment that is written to.
pub(crate) struct Segment {
    file: DiskFile,
    /// Its number; they follow each other.
    pub(crate) number: u64,
    /// Bytes in it.
    pub(crate) length: u64,
}

/// Returns a segment's path.
pub(crate) fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016}.journal"))
}

impl Segment {
    /// Makes a new segment, durable as a file before anything is in it.
    pub(crate) fn create(directory: &Path, number: u64) -> io::Result<Self> {
        let file = DiskFile::create(&path_of(directory, number))?;
        let mut header = [0; HEADER_BYTES];
        header[..16].copy_from_slice(MAGIC);
        header[16..24].copy_from_slice(&number.to_le_bytes());
        let checksum = crc32c::crc32c(&header[..24]);
        header[24..28].copy_from_slice(&checksum.to_le_bytes());
        file.write_all_at(&header, 0)?;
        file.sync()?;
        sync_directory(directory)?;
        Ok(Self { file, number, length: HEADER_BYTES as u64 })
    }

    /// Writes framed entries and makes them durable. After an error the file is as before.
    pub(crate) fn append(&mut self, framed: &[u8]) -> io::Result<()> {
        let written = self.file.write_all_at(framed, self.length);
        if let Err(error) = written {
            self.file.set_length(self.length)?;
            return Err(error);
        }
        self.file.sync()?;
        self.length += framed.len() as u64;
        Ok(())
    }
}

/// Returns the numbers of the segments in a directory, in order.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".journal"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// What was found in a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentReport {
    /// Whole entries.
    pub(crate) entries: u64,
    /// Stretches of bytes between whole entries that no checksum fits.
    pub(crate) damaged: u64,
    /// Bytes behind the last whole entry: a write that a kill cut short.
    pub(crate) torn_bytes: u64,
}

/// Reads a segment and hands over each whole entry.
///
/// Damaged stretches are passed over: the entries behind them still count.
pub(crate) fn read_segment(path: &Path, each: impl FnMut(&[u8])) -> io::Result<SegmentReport> {
    Ok(read_entries(&fs::read(path)?, each))
}

/// Reads the bytes of a segment as [`read_segment`] does.
pub(crate) fn read_entries(bytes: &[u8], mut each: impl FnMut(&[u8])) -> SegmentReport {
    let mut report = SegmentReport::default();
    let mut at = HEADER_BYTES.min(bytes.len());
    let mut passed_from = None;
    while at < bytes.len() {
        if let Some(entry) = entry_at(bytes, at) {
            if passed_from.take().is_some() {
                report.damaged += 1;
            }
            each(entry);
            report.entries += 1;
            at += FRAME_BYTES + entry.len();
        } else {
            passed_from.get_or_insert(at);
            at += 1;
        }
    }
    report.torn_bytes = passed_from.map_or(0, |from| (bytes.len() - from) as u64);
    report
}

fn entry_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let mut input = Reader::new(bytes.get(at..)?);
    let length = input.u32()? as usize;
    let checksum = input.u32()?;
    if length == 0 || length > ENTRY_BYTES_MAX {
        return None;
    }
    let entry = input.bytes(length)?;
    (crc32c::crc32c(entry) == checksum).then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(directory: &Path, entries: &[&str]) -> PathBuf {
        let mut segment = Segment::create(directory, 7).unwrap();
        for entry in entries {
            let mut framed = Vec::new();
            frame(&mut framed, |out| out.extend_from_slice(entry.as_bytes()));
            segment.append(&framed).unwrap();
        }
        path_of(directory, 7)
    }

    fn read(path: &Path) -> (Vec<String>, SegmentReport) {
        let mut all = Vec::new();
        let each = |entry: &[u8]| all.push(String::from_utf8(entry.to_vec()).unwrap());
        let report = read_segment(path, each).unwrap();
        (all, report)
    }

    #[test]
    fn a_torn_write_at_the_end_costs_only_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path(), &["first", "second"]);
        assert_eq!(list(directory.path()).unwrap(), [7]);
        let whole = fs::read(&path).unwrap();
        for cut in HEADER_BYTES..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (all, report) = read(&path);
            let first_end = HEADER_BYTES + FRAME_BYTES + 5;
            assert_eq!(all.len(), usize::from(cut >= first_end), "cut at {cut}");
            assert_eq!(report.damaged, 0);
        }
    }

    #[test]
    fn a_damaged_entry_costs_only_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path(), &["first", "second", "third"]);
        let mut bytes = fs::read(&path).unwrap();
        let in_second = HEADER_BYTES + FRAME_BYTES + 5 + FRAME_BYTES + 2;
        bytes[in_second] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let (all, report) = read(&path);
        assert_eq!(all, ["first", "third"]);
        assert_eq!(report, SegmentReport { entries: 2, damaged: 1, torn_bytes: 0 });
    }
}
