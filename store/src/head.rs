//! The newest samples of one series in memory, and where its blocks on disk begin.

use noroshi_model::{Width, is_unknown};

use crate::block::{Mark, Place};
use crate::codec::{CHUNK_SAMPLES, Point, Reader, SamplesState, decode_samples, encode_samples};
use crate::tail::TailState;

/// A block of samples is written when so many are packed.
pub(crate) const BLOCK_SAMPLES: usize = 512;
/// Samples that came late are written when there are so many of one series.
pub(crate) const LATE_SAMPLES: usize = 512;
/// Bytes that a sample takes in the tail at most: flags, time, eight bytes or a difference.
const TAIL_SAMPLE_BYTES_MAX: usize = 21;

/// The blocks of one archive of a series: where the newest is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chain {
    /// The newest block.
    pub(crate) newest: Place,
    /// The latest moment in all blocks, [`i64::MIN`] without one.
    pub(crate) reach: i64,
    /// Rows up to here are on disk (of a coarse archive); later ones are made when asked for.
    pub(crate) done_until: i64,
}

impl Default for Chain {
    fn default() -> Self {
        Self { newest: Place::NOWHERE, reach: i64::MIN, done_until: i64::MIN }
    }
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is the newest, or among the newest.
    Stored,
    /// It was there already; nothing changed.
    Repeated,
    /// It is older than what is packed: it waits to be merged.
    Late,
}

/// A series while it lives.
#[derive(Clone)]
pub(crate) struct Head {
    /// Which retention class, by position.
    pub(crate) class: u16,
    /// How it counts; `None` for gauges.
    pub(crate) width: Option<Width>,
    /// It was quiet, and its rows are finished beyond its last sample.
    pub(crate) is_woken: bool,
    /// Milliseconds from sample to sample as the source promised; 0 when it did not.
    pub(crate) interval: u32,
    /// Since when its source's counters count; [`i64::MIN`] when the source does not tell.
    pub(crate) started_at: i64,
    /// The newest moment; [`i64::MIN`] without one.
    pub(crate) last_at: i64,
    /// Samples up to here are in blocks on disk or packed.
    packed_until: i64,
    /// Chunks, and behind them the tail: samples that are not packed yet.
    bytes: Vec<u8>,
    /// Bytes of the chunks.
    packed_length: u32,
    tail_count: u16,
    tail_first_at: i64,
    tail: TailState,
    packed_count: u32,
    packed_first_at: i64,
    state: SamplesState,
    /// Restarts among the samples in memory.
    pub(crate) marks: Vec<Mark>,
    /// Samples that came late, in order of time.
    pub(crate) late: Vec<Point>,
    /// One for each archive of the class.
    pub(crate) chains: Box<[Chain]>,
}

/// Chunks that are ready to become a block.
pub(crate) struct Sealed {
    /// The chunks.
    pub(crate) payload: Vec<u8>,
    /// First moment.
    pub(crate) first_at: i64,
    /// Last moment.
    pub(crate) last_at: i64,
    /// Samples.
    pub(crate) count: u32,
    /// Restarts among them.
    pub(crate) marks: Vec<Mark>,
}

impl Head {
    /// Makes the head of a new series with so many archives.
    pub(crate) fn new(class: u16, archives: usize, width: Option<Width>) -> Self {
        Self {
            class,
            width,
            is_woken: false,
            interval: 0,
            started_at: i64::MIN,
            last_at: i64::MIN,
            packed_until: i64::MIN,
            bytes: Vec::new(),
            packed_length: 0,
            tail_count: 0,
            tail_first_at: 0,
            tail: TailState::new(0),
            packed_count: 0,
            packed_first_at: 0,
            state: SamplesState::new(0),
            marks: Vec::new(),
            late: Vec::new(),
            chains: vec![Chain::default(); archives].into(),
        }
    }

    /// Takes a sample. After [`Put::Stored`] the caller asks [`Head::is_block_full`].
    #[inline]
    pub(crate) fn put(&mut self, at: i64, value: f64) -> Put {
        if at > self.last_at {
            self.put_into_tail(at, value);
            self.last_at = at;
            if usize::from(self.tail_count) >= CHUNK_SAMPLES {
                self.pack();
            }
            return Put::Stored;
        }
        self.put_older(at, value)
    }

    #[inline]
    fn put_into_tail(&mut self, at: i64, value: f64) {
        if self.tail_count == 0 {
            (self.tail_first_at, self.tail) = (at, TailState::new(at));
        }
        let room = self.bytes.capacity() - self.bytes.len();
        if room < TAIL_SAMPLE_BYTES_MAX {
            // An eighth: twice as much, as vectors grow, would be empty in most series.
            self.bytes.reserve_exact(TAIL_SAMPLE_BYTES_MAX + 16 + self.bytes.len() / 8);
        }
        self.tail.put(&mut self.bytes, at, value);
        self.tail_count += 1;
    }

    #[cold]
    fn put_older(&mut self, at: i64, value: f64) -> Put {
        if at > self.packed_until && self.tail_count > 0 {
            return self.insert_into_tail(at, value);
        }
        if at == self.packed_until && at == self.last_at {
            return Put::Repeated;
        }
        match self.late.binary_search_by_key(&at, |point| point.at) {
            Ok(_) => Put::Repeated,
            Err(position) => {
                self.late.insert(position, Point { at, value });
                Put::Late
            }
        }
    }

    fn insert_into_tail(&mut self, at: i64, value: f64) -> Put {
        let mut points = self.tail_points();
        let Err(position) = points.binary_search_by_key(&at, |point| point.at) else {
            return Put::Repeated;
        };
        points.insert(position, Point { at, value });
        self.bytes.truncate(self.packed_length as usize);
        self.tail_count = 0;
        for point in points {
            self.put_into_tail(point.at, point.value);
        }
        if usize::from(self.tail_count) >= CHUNK_SAMPLES {
            self.pack();
        }
        Put::Stored
    }

    /// Returns the samples that are not packed.
    fn tail_points(&self) -> Vec<Point> {
        let mut input = Reader::new(&self.bytes[self.packed_length as usize..]);
        let mut state = TailState::new(self.tail_first_at);
        let mut points = Vec::with_capacity(usize::from(self.tail_count) + 1);
        points.extend(std::iter::from_fn(|| state.take(&mut input)));
        debug_assert_eq!(points.len(), usize::from(self.tail_count));
        points
    }

    fn packed(&self) -> &[u8] {
        &self.bytes[..self.packed_length as usize]
    }

    /// Packs the tail.
    fn pack(&mut self) {
        let points = self.tail_points();
        self.bytes.truncate(self.packed_length as usize);
        for points in points.chunks(CHUNK_SAMPLES) {
            if self.packed_count == 0 {
                self.packed_first_at = points[0].at;
                self.state = SamplesState::new(points[0].at);
            }
            encode_samples(&mut self.bytes, points, &mut self.state);
            self.packed_count += points.len() as u32;
            self.packed_until = points[points.len() - 1].at;
        }
        self.packed_length = self.bytes.len() as u32;
        self.tail_count = 0;
    }

    /// Remembers that the source restarted before the sample at `at`.
    pub(crate) fn restart(&mut self, at: i64, started_at: i64) {
        self.started_at = started_at;
        let position = self.marks.partition_point(|mark| mark.at <= at);
        self.marks.insert(position, Mark { at, started_at });
    }

    /// Tells whether the packed samples should become a block.
    #[inline]
    pub(crate) fn is_block_full(&self) -> bool {
        self.packed_count as usize >= BLOCK_SAMPLES
    }

    /// Returns what is packed for a block; `None` when nothing is. [`Head::sealed`] follows when
    /// the block is written.
    pub(crate) fn seal(&self) -> Option<Sealed> {
        if self.packed_count == 0 {
            return None;
        }
        let within = |mark: &&Mark| mark.at <= self.packed_until;
        Some(Sealed {
            payload: self.packed().to_vec(),
            first_at: self.packed_first_at,
            last_at: self.packed_until,
            count: self.packed_count,
            marks: self.marks.iter().filter(within).copied().collect(),
        })
    }

    /// Returns everything but what came late, packed, without changing the head. `last_at` is the
    /// moment up to which samples are packed, also when there is none.
    pub(crate) fn snapshot(&self) -> Sealed {
        let mut payload = self.packed().to_vec();
        let (mut count, mut state) = (self.packed_count, self.state);
        let (mut first_at, mut last_at) = (self.packed_first_at, self.packed_until);
        for points in self.tail_points().chunks(CHUNK_SAMPLES) {
            if count == 0 {
                first_at = points[0].at;
                state = SamplesState::new(first_at);
            }
            encode_samples(&mut payload, points, &mut state);
            count += points.len() as u32;
            last_at = points[points.len() - 1].at;
        }
        Sealed { payload, first_at, last_at, count, marks: self.marks.clone() }
    }

    /// Forgets what was packed: it is in a block now.
    pub(crate) fn sealed(&mut self) {
        let until = self.packed_until;
        self.marks.retain(|mark| mark.at > until);
        // A vector of its own size: most series begin a block with few bytes.
        self.bytes = self.bytes[self.packed_length as usize..].to_vec();
        self.packed_length = 0;
        self.packed_count = 0;
    }

    /// Packs everything, so that [`Head::seal`] covers all but what came late.
    pub(crate) fn pack_all(&mut self) {
        if self.tail_count > 0 {
            self.pack();
        }
    }

    /// Begins anew at an earlier time: the clock was ahead and has come back. All that is later
    /// must be in blocks already.
    pub(crate) fn rewind(&mut self, at: i64, steps: &[i64]) {
        debug_assert!(self.packed_count == 0 && self.tail_count == 0);
        self.last_at = at - 1;
        self.packed_until = at - 1;
        for (chain, step) in self.chains.iter_mut().zip(steps) {
            let before = crate::fold::row_floor(at - 1, *step);
            chain.done_until = chain.done_until.min(before);
        }
    }

    /// Appends the samples in memory within `(after, until]`, in order of time, but for those that
    /// came late.
    pub(crate) fn samples(&self, after: i64, until: i64, out: &mut Vec<Point>) {
        let start = out.len();
        if self.packed_count > 0 && self.packed_until > after && self.packed_first_at <= until {
            let mut state = SamplesState::new(self.packed_first_at);
            // What this process packed itself is whole.
            decode_samples(&mut Reader::new(self.packed()), out, &mut state);
        }
        if self.last_at > after {
            out.extend(self.tail_points());
        }
        if out[start..].first().is_some_and(|p| p.at <= after)
            || out[start..].last().is_some_and(|p| p.at > until)
        {
            let from = start + out[start..].partition_point(|point| point.at <= after);
            let to = start + out[start..].partition_point(|point| point.at <= until);
            out.truncate(to);
            out.drain(start..from.min(to));
        }
    }

    /// Appends the samples in `(after, until]` that came late and are not merged yet, and puts
    /// everything in `out` in order of time.
    pub(crate) fn late_samples(&self, after: i64, until: i64, out: &mut Vec<Point>) {
        let from = self.late.partition_point(|point| point.at <= after);
        let to = self.late.partition_point(|point| point.at <= until);
        if from < to {
            out.extend_from_slice(&self.late[from..to]);
            out.sort_by_key(|point| point.at);
        }
    }

    /// Returns the moments in `(after, until]` of samples that came late and are not merged yet.
    pub(crate) fn late_moments(&self, after: i64, until: i64) -> Vec<i64> {
        let within = |at: &i64| *at > after && *at <= until;
        self.late.iter().map(|point| point.at).filter(within).collect()
    }

    /// Returns the last known sample in memory that is not after `at`.
    pub(crate) fn known_before(&self, at: i64) -> Option<Point> {
        let mut all = Vec::new();
        if self.packed_count > 0 && self.packed_first_at <= at
            || self.tail_count > 0 && self.tail_first_at <= at
            || self.late.first().is_some_and(|point| point.at <= at)
        {
            self.samples(i64::MIN, at, &mut all);
            self.late_samples(i64::MIN, at, &mut all);
        }
        all.into_iter().rev().find(|point| !is_unknown(point.value))
    }

    /// Returns the latest moment, in memory or on disk; [`i64::MIN`] without one.
    pub(crate) fn newest_at(&self) -> i64 {
        let late = self.late.last().map_or(i64::MIN, |point| point.at);
        let on_disk = self.chains.iter().map(|chain| chain.reach);
        on_disk.fold(self.last_at.max(late), i64::max)
    }

    /// Returns the first moment in memory that is not late; `None` when nothing is.
    pub(crate) fn first_at(&self) -> Option<i64> {
        let packed = (self.packed_count > 0).then_some(self.packed_first_at);
        packed.or_else(|| (self.tail_count > 0).then_some(self.tail_first_at))
    }

    /// Returns the moment up to which samples are on disk: what rows can be made of for good.
    pub(crate) fn on_disk_until(&self) -> i64 {
        match self.first_at() {
            Some(first_at) => first_at - 1,
            None => self.packed_until,
        }
    }

    /// Takes note of a block on disk whose head was lost.
    pub(crate) fn found_block(&mut self, last_at: i64) {
        self.last_at = self.last_at.max(last_at);
        self.packed_until = self.packed_until.max(last_at);
    }

    /// Takes back what a checkpoint kept.
    pub(crate) fn restore(&mut self, sealed: Sealed, packed_until: i64) -> Option<()> {
        self.packed_until = packed_until;
        self.marks = sealed.marks;
        if sealed.count == 0 {
            return Some(());
        }
        let mut points = Vec::new();
        let mut state = SamplesState::new(sealed.first_at);
        decode_samples(&mut Reader::new(&sealed.payload), &mut points, &mut state)?;
        let is_whole = points.len() == sealed.count as usize;
        let last = points.last().filter(|_| is_whole)?;
        self.packed_until = last.at;
        self.packed_length = sealed.payload.len() as u32;
        self.bytes = sealed.payload;
        self.packed_count = sealed.count;
        self.packed_first_at = sealed.first_at;
        self.state = state;
        Some(())
    }
}
