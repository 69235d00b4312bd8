//! One block of a ring: a header that says whose it is, and chunks of samples or rows.
//!
//! A block names the block before it of the same series and archive, so that an archive of a
//! series is a chain from its newest block back. Drawn in `FORMAT.md`.

use crate::codec::{
    Point, Reader, Row, RowsState, SamplesState, decode_rows, decode_samples, encode_rows,
    put_varint, put_zigzag,
};

/// "NB", little-endian.
const MAGIC: u16 = 0x424e;
/// Bytes before the first number of variable length.
pub(crate) const FIXED_BYTES: usize = 16;
/// Blocks start at multiples of this.
pub(crate) const ALIGN: usize = 8;
/// Longest block: what a [`Place`] can name.
pub(crate) const BLOCK_BYTES_MAX: usize = (PLACE_LENGTH_MAX as usize) * ALIGN;

const PLACE_LENGTH_MAX: u32 = (1 << 15) - 1;

/// Where a block is: extent and position in it, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// The extent's sequence number, from 1; 0 means nowhere.
    pub(crate) extent: u32,
    /// Offset in the extent and length, both in units of [`ALIGN`]: 17 and 15 bits.
    packed: u32,
}

impl Place {
    /// The place of no block.
    pub(crate) const NOWHERE: Self = Self { extent: 0, packed: 0 };

    /// Makes a place; offset and length are multiples of [`ALIGN`].
    pub(crate) fn new(extent: u32, offset: usize, length: usize) -> Self {
        debug_assert!(offset.is_multiple_of(ALIGN) && length.is_multiple_of(ALIGN));
        assert!(length <= BLOCK_BYTES_MAX, "a block of {length} bytes");
        Self { extent, packed: ((offset / ALIGN) as u32) << 15 | (length / ALIGN) as u32 }
    }

    /// Reads what [`Place::bits`] gave.
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self { extent: (bits >> 32) as u32, packed: bits as u32 }
    }

    /// Returns the place as one number.
    pub(crate) fn bits(self) -> u64 {
        u64::from(self.extent) << 32 | u64::from(self.packed)
    }

    /// Tells whether there is no block.
    pub(crate) fn is_nowhere(self) -> bool {
        self.extent == 0
    }

    /// Returns the offset in the extent, bytes.
    pub(crate) fn offset(self) -> usize {
        (self.packed >> 15) as usize * ALIGN
    }

    /// Returns the length with padding, bytes.
    pub(crate) fn length(self) -> usize {
        (self.packed & PLACE_LENGTH_MAX) as usize * ALIGN
    }
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// Chunks of samples.
    Samples,
    /// Chunks of rows.
    Rows,
}

/// What stands before the chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    /// Samples or rows.
    pub(crate) kind: BlockKind,
    /// Whether rows carry an increase.
    pub(crate) has_increase: bool,
    /// Whose.
    pub(crate) series: u32,
    /// The extent it was written to: a block that outlived its extent shows by this.
    pub(crate) extent: u32,
    /// The block before it of this series in this archive.
    pub(crate) previous: Place,
    /// First and last moment in it.
    pub(crate) first_at: i64,
    /// See `first_at`.
    pub(crate) last_at: i64,
    /// The latest moment in all blocks before it; `i64::MIN` when there is none.
    pub(crate) reach: i64,
    /// Samples or rows in it.
    pub(crate) count: u32,
    /// From when the source's counters count anew: (first sample it holds for, started at).
    pub(crate) marks: Vec<Mark>,
}

/// The source's counters began anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The first sample after it.
    pub(crate) at: i64,
    /// When the source says it started, milliseconds since 1970.
    pub(crate) started_at: i64,
}

/// A whole block as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// What stands before the chunks.
    pub(crate) header: BlockHeader,
    bytes: Vec<u8>,
    payload_at: usize,
}

/// Writes a block; the result's length is a multiple of [`ALIGN`].
pub(crate) fn encode_block(header: &BlockHeader, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(FIXED_BYTES + 48 + payload.len());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&MAGIC.to_le_bytes());
    let kind = match header.kind {
        BlockKind::Samples => 1,
        BlockKind::Rows => 2,
    };
    out.push(kind);
    out.push(u8::from(header.has_increase));
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&header.series.to_le_bytes());
    put_varint(&mut out, u64::from(header.extent));
    put_varint(&mut out, header.previous.bits());
    put_zigzag(&mut out, header.first_at);
    put_zigzag(&mut out, header.last_at.wrapping_sub(header.first_at));
    put_zigzag(&mut out, header.first_at.wrapping_sub(header.reach));
    put_varint(&mut out, u64::from(header.count));
    put_varint(&mut out, header.marks.len() as u64);
    for mark in &header.marks {
        put_zigzag(&mut out, mark.at.wrapping_sub(header.first_at));
        put_zigzag(&mut out, mark.started_at);
    }
    out.extend_from_slice(payload);
    let length = out.len() as u32;
    out[8..12].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32c::crc32c(&out[4..]);
    out[..4].copy_from_slice(&checksum.to_le_bytes());
    out.resize(out.len().next_multiple_of(ALIGN), 0);
    out
}

/// Returns the length that a block claims, from its first [`FIXED_BYTES`], padding included.
pub(crate) fn claimed_length(fixed: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(fixed);
    reader.u32()?;
    let rest = reader.bytes(12)?;
    let is_block = rest[..2] == MAGIC.to_le_bytes();
    let length = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]) as usize;
    let length = length.next_multiple_of(ALIGN);
    (is_block && (FIXED_BYTES..=BLOCK_BYTES_MAX).contains(&length)).then_some(length)
}

/// Reads a block; `None` when checksum or structure is wrong.
pub(crate) fn decode_block(bytes: Vec<u8>) -> Option<Block> {
    let mut fixed = Reader::new(bytes.get(..FIXED_BYTES)?);
    let checksum = fixed.u32()?;
    let kind_bytes = fixed.bytes(4)?;
    let length = fixed.u32()? as usize;
    let series = fixed.u32()?;
    let is_block = kind_bytes[..2] == MAGIC.to_le_bytes();
    if !is_block || crc32c::crc32c(bytes.get(4..length)?) != checksum {
        return None;
    }
    let kind = match kind_bytes[2] {
        1 => BlockKind::Samples,
        2 => BlockKind::Rows,
        _ => return None,
    };
    let mut rest = Reader::new(bytes.get(FIXED_BYTES..length)?);
    let extent = u32::try_from(rest.varint()?).ok()?;
    let previous = Place::from_bits(rest.varint()?);
    let first_at = rest.zigzag()?;
    let last_at = first_at.wrapping_add(rest.zigzag()?);
    let reach = first_at.wrapping_sub(rest.zigzag()?);
    let count = u32::try_from(rest.varint()?).ok()?;
    let mark_count = rest.varint()?;
    let mut marks = Vec::new();
    for _ in 0..mark_count {
        let at = first_at.wrapping_add(rest.zigzag()?);
        marks.push(Mark { at, started_at: rest.zigzag()? });
    }
    let payload_at = length - rest.len();
    let has_increase = kind_bytes[3] & 1 == 1;
    let header = BlockHeader {
        kind,
        has_increase,
        series,
        extent,
        previous,
        first_at,
        last_at,
        reach,
        count,
        marks,
    };
    let mut bytes = bytes;
    bytes.truncate(length);
    Some(Block { header, bytes, payload_at })
}

impl Block {
    /// Appends the block's samples to `out`; `None` when the chunks are damaged.
    pub(crate) fn samples(&self, out: &mut Vec<Point>) -> Option<()> {
        let mut state = SamplesState::new(self.header.first_at);
        decode_samples(&mut Reader::new(&self.bytes[self.payload_at..]), out, &mut state)
    }

    /// Appends the block's rows to `out`; `None` when the chunks are damaged.
    pub(crate) fn rows(&self, step: i64, out: &mut Vec<Row>) -> Option<()> {
        let mut state = RowsState::new(step, self.header.first_at, self.header.has_increase);
        decode_rows(&mut Reader::new(&self.bytes[self.payload_at..]), out, &mut state)
    }
}

/// Returns the chunks of a block of rows.
pub(crate) fn rows_payload(rows: &[Row], step: i64, has_increase: bool) -> Vec<u8> {
    let mut payload = Vec::new();
    if let Some(first) = rows.first() {
        encode_rows(&mut payload, rows, &mut RowsState::new(step, first.at, has_increase));
    }
    payload
}
