//! A ring file: extents of one size that are allocated before use, filled with blocks one after
//! the other, and overwritten oldest first. Drawn in `FORMAT.md`.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::block::{
    ALIGN, Block, BlockHeader, FIXED_BYTES, Place, claimed_length, decode_block, encode_block,
};
use crate::codec::Reader;
use crate::disk::DiskFile;

/// Size of an extent: small enough for a handful of series, large enough that a thousand hosts
/// need some thousands of them. Fixed by the format ([`Place`] has 17 bits of offset).
pub(crate) const EXTENT_BYTES: u64 = 1 << 20;
/// Where the first extent starts.
const FILE_HEADER_BYTES: u64 = 4096;
/// Starts a ring file.
const FILE_MAGIC: &[u8; 16] = b"NOROSHI RING 1\n\0";
/// What a ring file of every version starts with.
const VERSIONLESS_MAGIC: &[u8] = b"NOROSHI RING ";
/// Starts an extent: "NEXT", little-endian.
const EXTENT_MAGIC: u32 = 0x5458_454e;
/// Bytes of an extent's header.
const EXTENT_HEADER_BYTES: usize = 16;

/// Why a ring could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RingError {
    /// There is no room for another extent.
    #[error("no room on the disk for {}", path.display())]
    Full {
        /// The ring file.
        path: PathBuf,
    },
    /// The file system failed.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The ring file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// What the ring looks like; saved in the checkpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RingState {
    /// Extents in use, oldest first; their sequence numbers follow each other.
    pub(crate) extents: VecDeque<Extent>,
    /// Sequence number of the first of them.
    pub(crate) oldest: u32,
    /// Bytes used of the last of them.
    pub(crate) filled: usize,
}

/// An extent in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extent {
    /// Where in the file, counted in extents.
    pub(crate) index: u32,
    /// The latest moment of a sample or row in it.
    pub(crate) newest_at: i64,
}

/// One archive of one class on disk.
pub(crate) struct Ring {
    path: PathBuf,
    file: DiskFile,
    state: Mutex<RingState>,
}

impl Ring {
    /// Opens a ring file or makes a new one; extents are as `state` says.
    pub(crate) fn open(path: &Path, state: RingState) -> Result<Self, RingError> {
        let error = |what| move |source| RingError::Io { what, path: path.to_owned(), source };
        let file = DiskFile::open(path).map_err(error("open"))?;
        let length = file.length().map_err(error("examine"))?;
        let mut magic = [0; 16];
        if length >= FILE_HEADER_BYTES {
            file.read_exact_at(&mut magic, 0).map_err(error("read"))?;
        }
        if &magic != FILE_MAGIC {
            if magic.starts_with(VERSIONLESS_MAGIC) {
                let source =
                    io::Error::new(io::ErrorKind::InvalidData, "no ring file of version 1");
                return Err(error("use")(source));
            }
            if !state.extents.is_empty() {
                tracing::error!(file = %path.display(), "a ring's header was damaged: made anew");
            }
            // Synced at once: else room for blocks may outlive a power cut, and the header not.
            let mut header = vec![0; FILE_HEADER_BYTES as usize];
            header[..16].copy_from_slice(FILE_MAGIC);
            header[16..20].copy_from_slice(&(EXTENT_BYTES as u32).to_le_bytes());
            file.write_all_at(&header, 0).and_then(|()| file.sync()).map_err(error("begin"))?;
        }
        Ok(Self { path: path.to_owned(), file, state: Mutex::new(state) })
    }

    /// Returns a copy of what the ring looks like.
    pub(crate) fn state(&self) -> RingState {
        self.state.lock().clone()
    }

    /// Returns the bytes of the file, those never written to included.
    pub(crate) fn bytes(&self) -> u64 {
        let state = self.state.lock();
        FILE_HEADER_BYTES + state.extents.len() as u64 * EXTENT_BYTES
    }

    /// Writes a block and returns where it is. Durable after [`Ring::sync`].
    ///
    /// A new extent takes the oldest one's place when nothing in that is later than `expired_at`
    /// or the file has `bytes_max`; else the file grows. The block's `extent` is filled in here.
    pub(crate) fn append(
        &self,
        header: &mut BlockHeader,
        payload: &[u8],
        limit: Limit,
    ) -> Result<Appended, RingError> {
        let mut state = self.state.lock();
        let mut overwritten_early = false;
        header.extent =
            state.oldest + state.extents.len() as u32 - u32::from(!state.extents.is_empty());
        let mut bytes = encode_block(header, payload);
        // The header may grow by a few bytes when the extent's number changes.
        let has_room =
            |filled: usize, bytes: usize| filled + bytes + ALIGN <= EXTENT_BYTES as usize;
        if state.extents.is_empty() || !has_room(state.filled, bytes.len()) {
            overwritten_early = self.next_extent(&mut state, limit)?;
            header.extent = state.oldest + state.extents.len() as u32 - 1;
            bytes = encode_block(header, payload);
        }
        let offset = state.filled;
        let Some(extent) = state.extents.back_mut() else {
            return Err(RingError::Full { path: self.path.clone() });
        };
        let start = FILE_HEADER_BYTES + u64::from(extent.index) * EXTENT_BYTES;
        extent.newest_at = extent.newest_at.max(header.last_at);
        let written = self.file.write_all_at(&bytes, start + offset as u64);
        written.map_err(|source| self.io_error("write", source))?;
        state.filled += bytes.len();
        let place = Place::new(header.extent, offset, bytes.len());
        Ok(Appended { place, overwritten_early })
    }

    /// Begins a new extent; tells whether it overwrote one that had not expired.
    fn next_extent(&self, state: &mut RingState, limit: Limit) -> Result<bool, RingError> {
        let used = state.extents.len() as u64;
        let oldest_at = state.extents.front().map(|extent| extent.newest_at);
        let has_expired = oldest_at.is_some_and(|newest_at| newest_at <= limit.expired_at);
        let is_at_limit = used > 1 && (used + 1) * EXTENT_BYTES > limit.bytes_max;
        let index = if has_expired || is_at_limit {
            state.oldest += 1;
            state.extents.pop_front().map_or(0, |extent| extent.index)
        } else {
            self.grow(used)?;
            used as u32
        };
        if state.extents.is_empty() && state.oldest == 0 {
            state.oldest = 1;
        }
        let sequence = state.oldest + state.extents.len() as u32;
        state.extents.push_back(Extent { index, newest_at: i64::MIN });
        state.filled = EXTENT_HEADER_BYTES;
        let start = FILE_HEADER_BYTES + u64::from(index) * EXTENT_BYTES;
        let written = self.file.write_all_at(&extent_header(sequence), start);
        written.map_err(|source| self.io_error("write", source))?;
        Ok(!has_expired && is_at_limit)
    }

    /// Allocates one more extent at the end of the file.
    fn grow(&self, used: u64) -> Result<(), RingError> {
        let start = FILE_HEADER_BYTES + used * EXTENT_BYTES;
        match self.file.allocate(start, EXTENT_BYTES) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) => {
                Err(RingError::Full { path: self.path.clone() })
            }
            Err(error) => Err(self.io_error("allocate", error.into())),
        }
    }

    /// Reads a block; `None` when it was overwritten since, `Some(Err)` when it is damaged.
    pub(crate) fn read(&self, place: Place, series: u32) -> Result<Found, RingError> {
        let index = {
            let state = self.state.lock();
            let Some(behind) = place.extent.checked_sub(state.oldest) else {
                return Ok(Found::Gone);
            };
            match state.extents.get(behind as usize) {
                Some(extent) => extent.index,
                None => return Ok(Found::Gone),
            }
        };
        let start = FILE_HEADER_BYTES + u64::from(index) * EXTENT_BYTES + place.offset() as u64;
        let mut bytes = vec![0; place.length()];
        let read = self.file.read_exact_at(&mut bytes, start);
        read.map_err(|source| self.io_error("read", source))?;
        let block = decode_block(bytes);
        match block {
            Some(block) if block.header.series == series && block.header.extent == place.extent => {
                Ok(Found::Block(Box::new(block)))
            }
            // Overwritten between the look at the state and the reading, or before a kill.
            Some(block) if block.header.extent > place.extent => Ok(Found::Gone),
            _ if self.state.lock().oldest > place.extent => Ok(Found::Gone),
            _ => Ok(Found::Damaged),
        }
    }

    /// Makes everything that was written durable.
    pub(crate) fn sync(&self) -> Result<(), RingError> {
        self.file.sync().map_err(|source| self.io_error("sync", source))
    }

    /// Walks over all whole blocks of all extents, oldest extent first, and returns how many
    /// stretches of damaged bytes were passed over.
    pub(crate) fn scan(&self, mut each: impl FnMut(Place, &Block)) -> Result<u64, RingError> {
        let state = self.state();
        let mut damaged = 0;
        let mut bytes = vec![0; EXTENT_BYTES as usize];
        for (position, extent) in state.extents.iter().enumerate() {
            let sequence = state.oldest + position as u32;
            let start = FILE_HEADER_BYTES + u64::from(extent.index) * EXTENT_BYTES;
            self.file
                .read_exact_at(&mut bytes, start)
                .map_err(|source| self.io_error("read", source))?;
            let is_last = position + 1 == state.extents.len();
            let end = if is_last { state.filled } else { bytes.len() };
            damaged += scan_extent(&bytes[..end], sequence, &mut each);
        }
        Ok(damaged)
    }

    /// Rebuilds the state of a ring from the headers of its extents and blocks.
    pub(crate) fn rebuild(&self) -> Result<(), RingError> {
        let length = self.file.length().map_err(|source| self.io_error("examine", source))?;
        let count = length.saturating_sub(FILE_HEADER_BYTES) / EXTENT_BYTES;
        let mut found: Vec<(u32, Extent)> = Vec::new();
        for index in 0..count {
            let start = FILE_HEADER_BYTES + index * EXTENT_BYTES;
            let mut header = [0; EXTENT_HEADER_BYTES];
            self.file
                .read_exact_at(&mut header, start)
                .map_err(|source| self.io_error("read", source))?;
            if let Some(sequence) = extent_sequence(&header) {
                let extent = Extent { index: index as u32, newest_at: i64::MIN };
                found.push((sequence, extent));
            }
        }
        found.sort_by_key(|(sequence, _)| *sequence);
        // Numbers follow each other; whatever stands before a gap is from before a kill.
        let newest = found.last().map_or(0, |(sequence, _)| *sequence);
        let run = found.iter().rev().zip(0..).take_while(|((s, _), back)| s + back == newest);
        let oldest_kept = newest + 1 - run.count() as u32;
        found.retain(|(sequence, _)| *sequence >= oldest_kept);
        let extents: VecDeque<Extent> = found.into_iter().map(|(_, extent)| extent).collect();
        let filled = EXTENT_BYTES as usize;
        *self.state.lock() = RingState { extents, oldest: oldest_kept, filled };
        let mut newest_of = std::collections::HashMap::new();
        self.scan(|place, block| {
            let newest = newest_of.entry(place.extent).or_insert(i64::MIN);
            *newest = block.header.last_at.max(*newest);
        })?;
        let mut state = self.state.lock();
        let oldest = state.oldest;
        for (position, extent) in state.extents.iter_mut().enumerate() {
            let newest = newest_of.get(&(oldest + position as u32));
            extent.newest_at = newest.copied().unwrap_or(i64::MIN);
        }
        Ok(())
    }

    fn io_error(&self, what: &'static str, source: io::Error) -> RingError {
        if source.kind() == io::ErrorKind::StorageFull {
            return RingError::Full { path: self.path.clone() };
        }
        RingError::Io { what, path: self.path.clone(), source }
    }
}

/// What bounds a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Extents without anything later may be overwritten.
    pub(crate) expired_at: i64,
    /// Bytes that the ring may have; the oldest extent is overwritten rather than grow beyond.
    pub(crate) bytes_max: u64,
}

/// A block was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appended {
    /// Where.
    pub(crate) place: Place,
    /// Whether data had to go that was to be kept still.
    pub(crate) overwritten_early: bool,
}

/// What is at a place.
pub(crate) enum Found {
    /// The block.
    Block(Box<Block>),
    /// Another one: it was overwritten.
    Gone,
    /// Something that no checksum fits.
    Damaged,
}

fn extent_header(sequence: u32) -> [u8; EXTENT_HEADER_BYTES] {
    let mut header = [0; EXTENT_HEADER_BYTES];
    header[4..8].copy_from_slice(&EXTENT_MAGIC.to_le_bytes());
    header[8..12].copy_from_slice(&sequence.to_le_bytes());
    let checksum = crc32c::crc32c(&header[4..]);
    header[..4].copy_from_slice(&checksum.to_le_bytes());
    header
}

fn extent_sequence(header: &[u8; EXTENT_HEADER_BYTES]) -> Option<u32> {
    let mut reader = Reader::new(header);
    let checksum = reader.u32()?;
    let magic = reader.u32()?;
    let sequence = reader.u32()?;
    let is_extent = magic == EXTENT_MAGIC && crc32c::crc32c(&header[4..]) == checksum;
    (is_extent && sequence > 0).then_some(sequence)
}

/// Walks over the blocks of one extent; returns the stretches that were passed over.
fn scan_extent(bytes: &[u8], sequence: u32, each: &mut impl FnMut(Place, &Block)) -> u64 {
    let (mut at, mut damaged, mut is_passing) = (EXTENT_HEADER_BYTES, 0, false);
    while at + FIXED_BYTES <= bytes.len() {
        let claimed = claimed_length(&bytes[at..at + FIXED_BYTES]);
        let block = claimed
            .and_then(|length| bytes.get(at..at + length))
            .and_then(|bytes| decode_block(bytes.to_vec()))
            .filter(|block| block.header.extent == sequence);
        if let (Some(block), Some(length)) = (block, claimed) {
            each(Place::new(sequence, at, length), &block);
            at += length;
            is_passing = false;
            continue;
        }
        let is_empty = bytes[at..at + ALIGN].iter().all(|byte| *byte == 0);
        if !is_passing && !is_empty {
            damaged += 1;
            is_passing = true;
        }
        at += ALIGN;
    }
    damaged
}
