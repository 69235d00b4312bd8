//! The catalogue's own log: series, metrics and records as of the last checkpoint, from which the
//! engine is rebuilt when it does not open; and the same series as the engine keeps them.

use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use noroshi_model::{Labels, MetricMeta, RecordBatch};

use crate::codec::{Reader, put_varint};
use crate::disk;
use crate::engine::{Change, Engine, EngineError, Tree, VALUE_BYTES_MAX};
use crate::entry::{self, Entry};
use crate::segment::{self, Segment};

/// Series compressed together: label sets of one host share nearly everything.
const GROUP_SERIES: usize = 64;
/// Labels of one series are at most so long; longer ones are refused when they come in.
pub(crate) const LABELS_BYTES_MAX: usize = 16 << 10;
/// A group of series, compressed; the other entries are those of the journal.
const SERIES_GROUP: u8 = 16;
/// The log is written anew when it is larger than this and twice what it was after the last time.
const REWRITE_BYTES: u64 = 8 << 20;

/// The log of one store: a directory with one segment, two while it is written anew.
pub(crate) struct SeriesLog {
    directory: PathBuf,
    segment: Segment,
    bytes_after_rewrite: u64,
}

/// What a log tells.
#[derive(Debug, Default)]
pub(crate) struct LogContent {
    /// Series in order.
    pub(crate) series: Vec<(u32, Labels)>,
    /// Series that were removed later.
    pub(crate) removed: Vec<u32>,
    /// Metrics, later ones replace earlier ones.
    pub(crate) metas: Vec<MetricMeta>,
    /// Damaged stretches.
    pub(crate) damaged: u64,
}

impl SeriesLog {
    /// Opens a log for appending, behind whatever is in it.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let numbers = segment::list(directory)?;
        let number = numbers.last().map_or(1, |number| number + 1);
        // A new segment behind the old: a torn end stays where it is.
        let segment = Segment::create(directory, number)?;
        let bytes_after_rewrite = numbers.iter().map(|n| length_of(directory, *n)).sum();
        Ok(Self { directory: directory.to_owned(), segment, bytes_after_rewrite })
    }

    /// Appends framed entries, durable on return.
    pub(crate) fn append(&mut self, framed: &[u8]) -> io::Result<()> {
        if framed.is_empty() { Ok(()) } else { self.segment.append(framed) }
    }

    /// Returns the bytes of the log.
    pub(crate) fn bytes(&self) -> u64 {
        let numbers = segment::list(&self.directory).unwrap_or_default();
        numbers.iter().map(|number| length_of(&self.directory, *number)).sum()
    }

    /// Tells whether the log should be written anew.
    pub(crate) fn is_bloated(&self) -> bool {
        self.bytes() > (2 * self.bytes_after_rewrite).max(REWRITE_BYTES)
    }

    /// Replaces the log by a new one whose entries `write` hands over piece by piece.
    pub(crate) fn rewrite(
        &mut self,
        write: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut next = Segment::create(&self.directory, self.segment.number + 1)?;
        let outcome = write(&mut |framed| next.append(framed));
        if let Err(error) = outcome {
            disk::remove(&segment::path_of(&self.directory, next.number))?;
            return Err(error);
        }
        for old in segment::list(&self.directory)? {
            if old < next.number {
                disk::remove(&segment::path_of(&self.directory, old))?;
            }
        }
        disk::sync_directory(&self.directory)?;
        self.bytes_after_rewrite = next.length;
        self.segment = next;
        Ok(())
    }
}

fn length_of(directory: &Path, number: u64) -> u64 {
    std::fs::metadata(segment::path_of(directory, number)).map_or(0, |metadata| metadata.len())
}

/// Reads a log; records are handed over as they come.
pub(crate) fn read_log(
    directory: &Path,
    mut record: impl FnMut(&RecordBatch),
) -> io::Result<LogContent> {
    let mut content = LogContent::default();
    for number in segment::list(directory)? {
        let report = segment::read_segment(&segment::path_of(directory, number), |bytes| {
            if let Some((&SERIES_GROUP, group)) = bytes.split_first() {
                match unpack_group(group) {
                    Some(series) => content.series.extend(series),
                    None => content.damaged += 1,
                }
                return;
            }
            match entry::read_entry(bytes) {
                Some(Entry::Records(batch)) => record(&batch),
                Some(Entry::Metas(metas)) => content.metas.extend(metas),
                Some(Entry::Removed(removed)) => content.removed.extend(removed),
                _ => content.damaged += 1,
            }
        })?;
        content.damaged += report.damaged;
    }
    Ok(content)
}

/// Groups series for the log and the engine: key is the first series' number.
pub(crate) fn group_series<'a>(
    series: impl Iterator<Item = (u32, &'a Labels)>,
) -> Vec<(u32, Vec<u8>)> {
    let all: Vec<(u32, &Labels)> = series.collect();
    let mut groups = Vec::new();
    for chunk in all.chunks(GROUP_SERIES) {
        pack_groups(chunk, &mut groups);
    }
    groups
}

fn pack_groups(chunk: &[(u32, &Labels)], groups: &mut Vec<(u32, Vec<u8>)>) {
    let Some((first, _)) = chunk.first() else { return };
    let mut plain = Vec::new();
    for (series, labels) in chunk {
        put_varint(&mut plain, u64::from(*series));
        put_varint(&mut plain, labels.as_packed().len() as u64);
        plain.extend_from_slice(labels.as_packed().as_bytes());
    }
    // Compressing into memory fails only when memory does.
    let packed = zstd::bulk::compress(&plain, 3).unwrap_or_default();
    let is_small = packed.len() + 8 <= VALUE_BYTES_MAX && !packed.is_empty();
    if is_small || chunk.len() == 1 {
        let mut group = (plain.len() as u32).to_le_bytes().to_vec();
        group.extend(packed);
        groups.push((*first, group));
        return;
    }
    let (left, right) = chunk.split_at(chunk.len() / 2);
    pack_groups(left, groups);
    pack_groups(right, groups);
}

/// Reads a group; `None` when it is damaged.
pub(crate) fn unpack_group(group: &[u8]) -> Option<Vec<(u32, Labels)>> {
    let mut input = Reader::new(group);
    let length = input.u32()? as usize;
    if length > GROUP_SERIES * (LABELS_BYTES_MAX + 16) {
        return None;
    }
    let plain = zstd::bulk::decompress(input.bytes(input.len())?, length).ok()?;
    let mut input = Reader::new(&plain);
    let mut series = Vec::new();
    while !input.is_empty() {
        let number = u32::try_from(input.varint()?).ok()?;
        let length = usize::try_from(input.varint()?).ok()?;
        let packed = std::str::from_utf8(input.bytes(length)?).ok()?;
        series.push((number, Labels::from_packed(packed)?));
    }
    Some(series)
}

/// Writes groups as entries of the log.
pub(crate) fn frame_groups(out: &mut Vec<u8>, groups: &[(u32, Vec<u8>)]) {
    for (_, group) in groups {
        segment::frame(out, |out| {
            out.push(SERIES_GROUP);
            out.extend_from_slice(group);
        });
    }
}

/// Writes groups as changes of the engine; one series too large for a value is left to the log.
pub(crate) fn group_changes(groups: Vec<(u32, Vec<u8>)>) -> Vec<Change> {
    let small = groups.into_iter().filter(|(_, group)| group.len() <= VALUE_BYTES_MAX);
    small.map(|(first, group)| (Tree::Series, first.to_be_bytes().to_vec(), Some(group))).collect()
}

/// Returns the series and metrics that the engine knows.
pub(crate) fn read_engine(engine: &dyn Engine) -> Result<LogContent, EngineError> {
    let mut content = LogContent::default();
    let mut is_whole = true;
    let all = (Bound::Unbounded, Bound::Unbounded);
    engine.scan(Tree::Series, all, false, &mut |_, group| {
        match unpack_group(group) {
            Some(series) => content.series.extend(series),
            None => is_whole = false,
        }
        is_whole
    })?;
    engine.scan(Tree::Removed, all, false, &mut |series, _| {
        content.removed.extend(series.try_into().ok().map(u32::from_be_bytes));
        true
    })?;
    engine.scan(Tree::Metas, all, false, &mut |_, json| {
        match serde_json::from_slice(json) {
            Ok(meta) => content.metas.push(meta),
            Err(_) => is_whole = false,
        }
        is_whole
    })?;
    if is_whole { Ok(content) } else { Err(EngineError::Damaged) }
}

/// Notes that a series was removed; its labels may still stand in a group.
pub(crate) fn removed_change(series: u32) -> Change {
    (Tree::Removed, series.to_be_bytes().to_vec(), Some(Vec::new()))
}

/// Returns the change that notes a metric.
pub(crate) fn meta_change(meta: &MetricMeta) -> Option<Change> {
    let json = serde_json::to_vec(meta).ok().filter(|json| json.len() <= VALUE_BYTES_MAX)?;
    Some((Tree::Metas, meta.name.clone().into_bytes(), Some(json)))
}
