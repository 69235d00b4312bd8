//! A checkpoint: all that is in memory and not in ring files, as of one moment, so that the
//! journal before it can go. Drawn in `FORMAT.md`.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use noroshi_model::Width;
use serde::{Deserialize, Serialize};

use crate::block::{Mark, Place};
use crate::codec::{Point, Reader, put_varint, put_zigzag};
use crate::disk::{self, Appending};
use crate::head::{Chain, Head, Sealed};
use crate::quiet::Quiet;
use crate::ring::{Extent, RingState};
use crate::segment::{self, frame};

/// The first section: JSON of [`Summary`].
const SUMMARY: u8 = 1;
/// Heads.
const HEADS: u8 = 2;
/// The last section.
const END: u8 = 3;
/// A group of quiet series; since version 2.
const QUIET: u8 = 4;
/// A section of heads is closed at this size: a damaged one costs only its heads.
const SECTION_BYTES: usize = 64 << 10;
/// The newest version; version 1 has no quiet series, and is read for ever.
const VERSION: u32 = 2;
/// What stands before the version.
const MAGIC: &[u8] = b"NOROSHI CKPT ";
/// As many bytes before the sections as a journal segment has.
const FILE_HEADER: &[u8; 32] = b"NOROSHI CKPT 2\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// What stands at the front.
#[derive(Debug, Clone, Serialize, Deserialize, Default, PartialEq)]
pub(crate) struct Summary {
    /// The first journal segment that is not in the checkpoint.
    pub(crate) journal: u64,
    /// Classes in the order that heads name them by.
    pub(crate) classes: Vec<SavedClass>,
}

/// A class as it was.
#[derive(Debug, Clone, Serialize, Deserialize, Default, PartialEq)]
pub(crate) struct SavedClass {
    /// Its name.
    pub(crate) name: String,
    /// Its archives, finest first.
    pub(crate) archives: Vec<SavedArchive>,
}

/// A ring as it was.
#[derive(Debug, Clone, Serialize, Deserialize, Default, PartialEq)]
pub(crate) struct SavedArchive {
    /// Step in milliseconds.
    pub(crate) step: i64,
    /// Sequence number of the oldest extent.
    pub(crate) oldest: u32,
    /// Bytes used of the newest extent.
    pub(crate) filled: usize,
    /// Extents: place in the file and latest moment.
    pub(crate) extents: Vec<(u32, i64)>,
}

impl SavedArchive {
    /// Saves a ring.
    pub(crate) fn new(step: i64, state: &RingState) -> Self {
        let extents = state.extents.iter().map(|e| (e.index, e.newest_at)).collect();
        Self { step, oldest: state.oldest, filled: state.filled, extents }
    }

    /// Returns the ring.
    pub(crate) fn state(&self) -> RingState {
        let extent = |&(index, newest_at): &(u32, i64)| Extent { index, newest_at };
        let extents = self.extents.iter().map(extent).collect();
        RingState { extents, oldest: self.oldest, filled: self.filled }
    }
}

/// Writes a checkpoint to a file that does not count until [`Writing::publish`].
pub(crate) struct Writing {
    directory: PathBuf,
    number: u64,
    file: BufWriter<Appending>,
    section: Vec<u8>,
    framed: Vec<u8>,
    heads: u64,
}

fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016}.checkpoint"))
}

fn unfinished_path(directory: &Path) -> PathBuf {
    directory.join("unfinished")
}

/// Returns the bytes of the newest checkpoint in a directory; 0 without one.
pub(crate) fn newest_bytes(directory: &Path) -> io::Result<u64> {
    let newest = list(directory)?.last().map(|number| path_of(directory, *number));
    newest.map_or(Ok(0), |path| Ok(fs::metadata(path)?.len()))
}

/// Returns the numbers of the checkpoints in a directory, in order.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".checkpoint"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl Writing {
    /// Begins the checkpoint with this number.
    pub(crate) fn begin(directory: &Path, number: u64, summary: &Summary) -> io::Result<Self> {
        let mut file =
            BufWriter::with_capacity(1 << 20, Appending::create(&unfinished_path(directory))?);
        file.write_all(FILE_HEADER)?;
        let json = serde_json::to_vec(summary).map_err(io::Error::other)?;
        let mut framed = Vec::new();
        frame(&mut framed, |out| {
            out.push(SUMMARY);
            out.extend_from_slice(&json);
        });
        file.write_all(&framed)?;
        let directory = directory.to_owned();
        Ok(Self { directory, number, file, section: Vec::new(), framed, heads: 0 })
    }

    /// Adds a head.
    pub(crate) fn put(&mut self, series: u32, head: &Head) -> io::Result<()> {
        put_head(&mut self.section, series, head);
        self.heads += 1;
        if self.section.len() >= SECTION_BYTES { self.flush_section() } else { Ok(()) }
    }

    /// Adds a group of quiet series; after all heads.
    pub(crate) fn put_quiet(&mut self, group: &[u8]) -> io::Result<()> {
        if !self.section.is_empty() {
            self.flush_section()?;
        }
        self.framed.clear();
        frame(&mut self.framed, |out| {
            out.push(QUIET);
            out.extend_from_slice(group);
        });
        self.file.write_all(&self.framed)
    }

    fn flush_section(&mut self) -> io::Result<()> {
        self.framed.clear();
        let section = &self.section;
        frame(&mut self.framed, |out| {
            out.push(HEADS);
            out.extend_from_slice(section);
        });
        self.section.clear();
        self.file.write_all(&self.framed)
    }

    /// Writes the end; the file is whole but not durable, and does not count yet.
    pub(crate) fn finish(mut self) -> io::Result<Unpublished> {
        if !self.section.is_empty() {
            self.flush_section()?;
        }
        self.framed.clear();
        let heads = self.heads;
        frame(&mut self.framed, |out| {
            out.push(END);
            put_varint(out, heads);
        });
        self.file.write_all(&self.framed)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Unpublished { directory: self.directory, number: self.number, file })
    }
}

/// A whole checkpoint that does not count yet.
pub(crate) struct Unpublished {
    directory: PathBuf,
    /// Its number.
    pub(crate) number: u64,
    file: Appending,
}

impl Unpublished {
    /// Makes the checkpoint durable, puts it in the place of the one before, and returns its bytes.
    pub(crate) fn publish(self) -> io::Result<u64> {
        self.file.sync()?;
        let bytes = fs::metadata(unfinished_path(&self.directory))?.len();
        disk::rename(&unfinished_path(&self.directory), &path_of(&self.directory, self.number))?;
        disk::sync_directory(&self.directory)?;
        for old in list(&self.directory)? {
            if old < self.number {
                disk::remove(&path_of(&self.directory, old))?;
            }
        }
        Ok(bytes)
    }
}

/// What was read from a checkpoint.
#[derive(Default)]
pub(crate) struct Loaded {
    /// Its number.
    pub(crate) number: u64,
    /// What stood at the front.
    pub(crate) summary: Summary,
    /// Heads that were whole; their class is a position in the summary.
    pub(crate) heads: Vec<(u32, Head)>,
    /// Quiet series; their class is a position in the summary, too.
    pub(crate) quiet: Quiet,
    /// Sections that were damaged or missing.
    pub(crate) damaged: u64,
}

/// Refuses what a newer program wrote. A header that is damaged is passed over: each section has
/// its own checksum.
fn check_version(bytes: &[u8]) -> io::Result<()> {
    let line = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split(|byte| *byte == b'\n').next());
    let version = line.and_then(|text| std::str::from_utf8(text).ok()?.parse::<u32>().ok());
    match version {
        Some(version) if version > VERSION => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it has version {version}; this program reads up to {VERSION}: update it"),
        )),
        _ => Ok(()),
    }
}

/// Reads the newest checkpoint that has a front; `None` when there is none. Errors: also
/// [`io::ErrorKind::InvalidData`] when a newer program wrote it.
pub(crate) fn load(directory: &Path) -> io::Result<Option<Loaded>> {
    for number in list(directory)?.into_iter().rev() {
        let mut loaded = Loaded { number, ..Loaded::default() };
        let (mut summary, mut is_ended) = (None, false);
        let bytes = fs::read(path_of(directory, number))?;
        check_version(&bytes)?;
        let report = segment::read_entries(&bytes, |section| match section.split_first() {
            Some((&SUMMARY, json)) => summary = serde_json::from_slice(json).ok(),
            Some((&HEADS, heads)) => {
                let mut input = Reader::new(heads);
                while !input.is_empty() {
                    let Some(head) = read_head(&mut input) else {
                        loaded.damaged += 1;
                        break;
                    };
                    loaded.heads.push(head);
                }
            }
            Some((&QUIET, group)) => {
                loaded.damaged += u64::from(loaded.quiet.add_section(group).is_none());
            }
            Some((&END, _)) => is_ended = true,
            _ => loaded.damaged += 1,
        });
        loaded.quiet.ready();
        loaded.damaged += report.damaged + u64::from(!is_ended);
        if let Some(summary) = summary {
            loaded.summary = summary;
            return Ok(Some(loaded));
        }
    }
    Ok(None)
}

/// Appends a moment as distance before `last_at`; [`i64::MIN`] stands for none.
fn put_moment(out: &mut Vec<u8>, at: i64, last_at: i64) {
    if at == i64::MIN {
        put_varint(out, 0);
    } else {
        out.push(1);
        put_zigzag(out, last_at.wrapping_sub(at));
    }
}

fn read_moment(input: &mut Reader<'_>, last_at: i64) -> Option<i64> {
    match input.byte()? {
        0 => Some(i64::MIN),
        1 => Some(last_at.wrapping_sub(input.zigzag()?)),
        _ => None,
    }
}

pub(crate) fn put_head(out: &mut Vec<u8>, series: u32, head: &Head) {
    let sealed = head.snapshot();
    put_varint(out, u64::from(series));
    put_varint(out, u64::from(head.class));
    out.push(match head.width {
        None => 0,
        Some(Width::U32) => 1,
        Some(Width::U64) => 2,
        Some(Width::Float) => 3,
    });
    put_varint(out, u64::from(head.interval));
    put_zigzag(out, head.last_at);
    put_moment(out, head.started_at, head.last_at);
    put_moment(out, sealed.last_at, head.last_at);
    put_varint(out, head.chains.len() as u64);
    for chain in &head.chains {
        put_varint(out, chain.newest.bits());
        put_moment(out, chain.reach, head.last_at);
        put_moment(out, chain.done_until, head.last_at);
    }
    put_varint(out, u64::from(sealed.count));
    put_zigzag(out, head.last_at.wrapping_sub(sealed.first_at));
    put_varint(out, sealed.payload.len() as u64);
    out.extend_from_slice(&sealed.payload);
    put_varint(out, sealed.marks.len() as u64);
    for mark in &sealed.marks {
        put_zigzag(out, mark.at);
        put_zigzag(out, mark.started_at);
    }
    put_varint(out, head.late.len() as u64);
    for point in &head.late {
        put_zigzag(out, point.at);
        out.extend_from_slice(&point.value.to_bits().to_le_bytes());
    }
}

pub(crate) fn read_head(input: &mut Reader<'_>) -> Option<(u32, Head)> {
    let series = u32::try_from(input.varint()?).ok()?;
    let class = u16::try_from(input.varint()?).ok()?;
    let width = match input.byte()? {
        0 => None,
        1 => Some(Width::U32),
        2 => Some(Width::U64),
        3 => Some(Width::Float),
        _ => return None,
    };
    let interval = u32::try_from(input.varint()?).ok()?;
    let last_at = input.zigzag()?;
    let started_at = read_moment(input, last_at)?;
    let packed_until = read_moment(input, last_at)?;
    let chain_count = usize::try_from(input.varint()?).ok().filter(|count| *count <= 64)?;
    let mut head = Head::new(class, chain_count, width);
    (head.interval, head.last_at, head.started_at) = (interval, last_at, started_at);
    for chain in &mut head.chains {
        let newest = Place::from_bits(input.varint()?);
        let reach = read_moment(input, last_at)?;
        *chain = Chain { newest, reach, done_until: read_moment(input, last_at)? };
    }
    let count = u32::try_from(input.varint()?).ok()?;
    let first_at = last_at.wrapping_sub(input.zigzag()?);
    let length = usize::try_from(input.varint()?).ok()?;
    let payload = input.bytes(length)?.to_vec();
    let mut marks = Vec::new();
    for _ in 0..input.varint()? {
        marks.push(Mark { at: input.zigzag()?, started_at: input.zigzag()? });
    }
    for _ in 0..input.varint()? {
        head.late.push(Point { at: input.zigzag()?, value: input.f64()? });
    }
    let sealed = Sealed { payload, first_at, last_at: packed_until, count, marks };
    head.restore(sealed, packed_until)?;
    Some((series, head))
}

#[cfg(test)]
mod tests;
