//! Samples and rows of one series: from memory, from blocks, and from finer archives where rows
//! are not made yet.

use noroshi_model::{Width, is_unknown};

use crate::block::{Block, Mark, Place};
use crate::codec::{Point, Row};
use crate::fold::{Counts, fold_rows, fold_samples, row_end, row_floor, runs};
use crate::head::{Chain, Head};
use crate::inner::{Counters, Inner};
use crate::ring::{Found, Ring, RingError};

/// What was copied of a head under its lock.
pub(crate) struct View {
    pub(crate) series: u32,
    pub(crate) class: usize,
    pub(crate) width: Option<Width>,
    pub(crate) interval: u32,
    /// The newest moment, in memory or on disk.
    pub(crate) newest_at: i64,
    pub(crate) chains: Box<[Chain]>,
    marks: Vec<Mark>,
    points: Vec<Point>,
    known_before: Option<Point>,
    /// Moments of samples that came late and are not merged into rows yet.
    late: Vec<i64>,
}

impl View {
    /// Copies what a reader of `(after, until]` needs of a head.
    pub(crate) fn of(
        series: u32,
        head: &Head,
        (after, until): (i64, i64),
        with_late: bool,
    ) -> Self {
        let mut points = Vec::new();
        head.samples(after, until, &mut points);
        if with_late {
            head.late_samples(after, until, &mut points);
        }
        let known_before = if head.width.is_some() { head.known_before(after) } else { None };
        Self {
            series,
            class: usize::from(head.class),
            width: head.width,
            interval: head.interval,
            newest_at: head.chains.iter().map(|c| c.reach).fold(head.last_at, i64::max),
            chains: head.chains.clone(),
            marks: head.marks.clone(),
            points,
            known_before,
            late: head.late_moments(after, until),
        }
    }
}

/// Samples of a span.
#[derive(Default)]
pub(crate) struct Raw {
    /// The last known sample before the span, if it was asked for.
    pub(crate) previous: Option<Point>,
    /// In order of time, no moment twice.
    pub(crate) points: Vec<Point>,
    /// Restarts of the source, in order of time.
    pub(crate) marks: Vec<Mark>,
}

impl Inner {
    /// Copies what a reader of `(after, until]` needs of a head.
    pub(crate) fn view(&self, series: u32, after: i64, until: i64) -> Option<View> {
        self.view_of(series, after, until, true)
    }

    /// As [`Inner::view`], with or without the samples that came late and are not merged yet.
    pub(crate) fn view_of(
        &self,
        series: u32,
        after: i64,
        until: i64,
        with_late: bool,
    ) -> Option<View> {
        self.table.with(series, |head| View::of(series, head, (after, until), with_late))
    }

    /// Returns the samples in `(after, until]`; the view must cover that.
    pub(crate) fn raw(
        &self,
        view: &View,
        after: i64,
        until: i64,
        wants_previous: bool,
    ) -> Result<Raw, RingError> {
        let mut raw = Raw { marks: view.marks.clone(), ..Raw::default() };
        let blocks = self.blocks(view, 0, (after, until), wants_previous)?;
        for block in blocks.iter().rev() {
            raw.marks.extend_from_slice(&block.header.marks);
            if block.samples(&mut raw.points).is_none() {
                self.damaged(view.series, "samples");
            }
        }
        raw.points.extend_from_slice(&view.points);
        sort_once(&mut raw.points);
        raw.marks.sort_by_key(|mark| mark.at);
        let from = raw.points.partition_point(|point| point.at <= after);
        let to = raw.points.partition_point(|point| point.at <= until);
        if wants_previous {
            let known = |point: &&Point| !is_unknown(point.value);
            let before = raw.points[..from].iter().rev().find(known).copied();
            let later = |a: Point, b: Point| if b.at > a.at { b } else { a };
            raw.previous = match (before, view.known_before) {
                (Some(a), Some(b)) => Some(later(a, b)),
                (a, b) => a.or(b),
            };
        }
        raw.points.truncate(to);
        raw.points.drain(..from.min(to));
        Ok(raw)
    }

    /// Returns the restarts in `(after, until]` that an archive tells of, in order of time; the
    /// first one's are also those in memory.
    pub(crate) fn marks(
        &self,
        view: &View,
        archive: usize,
        (after, until): (i64, i64),
    ) -> Result<Vec<Mark>, RingError> {
        let mut marks = if archive == 0 { view.marks.clone() } else { Vec::new() };
        // A row ends up to a step behind what is in it.
        let step = self.classes[view.class].steps[archive];
        let blocks = self.blocks(view, archive, (after, until.saturating_add(step)), false)?;
        marks.extend(blocks.iter().flat_map(|block| &block.header.marks));
        marks.retain(|mark| mark.at > after && mark.at <= until);
        marks.sort_by_key(|mark| mark.at);
        marks.dedup();
        Ok(marks)
    }

    /// Returns the rows of a coarse archive that end in `(after, until]`; those that are not on
    /// disk yet are made of finer ones. The view must reach back by one row before `after`.
    pub(crate) fn rows(
        &self,
        view: &View,
        archive: usize,
        after: i64,
        until: i64,
    ) -> Result<Vec<Row>, RingError> {
        let step = self.classes[view.class].steps[archive];
        let done_until = view.chains[archive].done_until;
        let mut rows = Vec::new();
        if after < done_until {
            rows = self.stored_rows(view, archive, after, until.min(done_until))?;
            self.mend(view, archive, &mut rows, (after, until.min(done_until)))?;
        }
        if until > done_until {
            let from = row_floor(after, step).max(done_until);
            let made = self.made_rows(view, archive, from, row_floor(until, step))?;
            rows.extend(made.into_iter().filter(|row| row.at > after));
        }
        Ok(rows)
    }

    /// Makes the rows in `(from, to]`, both multiples of the step, of the next finer archive.
    pub(crate) fn made_rows(
        &self,
        view: &View,
        archive: usize,
        from: i64,
        to: i64,
    ) -> Result<Vec<Row>, RingError> {
        let step = self.classes[view.class].steps[archive];
        if archive == 1 {
            let raw = self.raw(view, from, to, view.width.is_some())?;
            let heartbeat = self.classes[view.class].heartbeat;
            let counts = Counts { width: view.width, marks: &raw.marks, heartbeat };
            Ok(fold_samples(raw.previous, &raw.points, step, &counts))
        } else {
            Ok(fold_rows(&self.rows(view, archive - 1, from, to)?, step, view.width))
        }
    }

    /// Makes those of the rows in `(after, until]` anew that late samples belong to.
    fn mend(
        &self,
        view: &View,
        archive: usize,
        rows: &mut Vec<Row>,
        (after, until): (i64, i64),
    ) -> Result<(), RingError> {
        let step = self.classes[view.class].steps[archive];
        let ends = view.late.iter().map(|at| row_end(*at, step));
        for (from, to) in runs(ends.filter(|end| *end > after && *end <= until), step) {
            rows.retain(|row| row.at <= from || row.at > to);
            rows.extend(self.made_rows(view, archive, from, to)?);
            rows.sort_by_key(|row| row.at);
        }
        Ok(())
    }

    /// Returns rows on disk: where blocks overlap, the one written last is right.
    pub(crate) fn stored_rows(
        &self,
        view: &View,
        archive: usize,
        after: i64,
        until: i64,
    ) -> Result<Vec<Row>, RingError> {
        let step = self.classes[view.class].steps[archive];
        let mut rows = Vec::new();
        let blocks = self.blocks(view, archive, (after, until), false)?;
        let is_chained = blocks.windows(2).all(|b| b[1].header.last_at < b[0].header.first_at);
        for block in &blocks {
            let start = rows.len();
            if block.rows(step, &mut rows).is_none() {
                self.damaged(view.series, "rows");
                rows.truncate(start);
            }
            if is_chained {
                rows[start..].reverse();
            }
        }
        if is_chained {
            rows.reverse();
        } else {
            rows.sort_by_key(|row| row.at);
            rows.dedup_by_key(|row| row.at);
        }
        rows.retain(|row| row.at > after && row.at <= until);
        Ok(rows)
    }

    /// Returns the blocks that overlap `(after, until]`, the one written last first, and if wanted
    /// those that may hold the last sample up to `after`.
    fn blocks(
        &self,
        view: &View,
        archive: usize,
        (after, until): (i64, i64),
        wants_previous: bool,
    ) -> Result<Vec<Block>, RingError> {
        let ring = &self.classes[view.class].rings[archive];
        let chain = view.chains[archive];
        let mut walk = Walk { next: chain.newest, listed: None };
        // The latest moment up to `after` that is certainly among the blocks found.
        let (mut reach, mut before) = (chain.reach, if wants_previous { i64::MIN } else { after });
        let mut found = Vec::new();
        while !walk.next.is_nowhere() && (reach > after || reach > before) {
            match ring.read(walk.next, view.series)? {
                Found::Block(block) => {
                    let header = &block.header;
                    let overlaps = header.last_at > after && header.first_at <= until;
                    let is_before = header.first_at <= after && header.last_at > before;
                    if is_before {
                        let certain = header.last_at.min(after);
                        let certain = if overlaps { header.first_at } else { certain };
                        before = before.max(certain);
                    }
                    reach = if walk.listed.is_some() { i64::MAX } else { header.reach };
                    walk.step(header.previous);
                    if overlaps || is_before {
                        found.push(*block);
                    }
                }
                Found::Gone => break,
                Found::Damaged => {
                    self.damaged(view.series, "block");
                    self.detour(&mut walk, ring, (view.class, archive, view.series))?;
                    reach = i64::MAX;
                }
            }
        }
        Ok(found)
    }

    fn detour(
        &self,
        walk: &mut Walk,
        ring: &Ring,
        key: (usize, usize, u32),
    ) -> Result<(), RingError> {
        if walk.listed.is_none() {
            walk.listed = Some(self.repairs.before(key, ring, walk.next)?);
        }
        walk.step(Place::NOWHERE);
        Ok(())
    }

    fn damaged(&self, series: u32, what: &str) {
        Self::count(&self.counters.damaged_blocks, 1);
        let catalogue = self.catalogue.try_read();
        let labels = catalogue.as_ref().and_then(|catalogue| catalogue.labels(series));
        let labels = labels.map_or_else(|| series.to_string(), ToString::to_string);
        tracing::error!(series = %labels, "damaged {what} in a ring file: left out");
    }
}

/// Where a walk through a chain goes on.
struct Walk {
    next: Place,
    /// After a damaged block: the places to visit, oldest first.
    listed: Option<Vec<Place>>,
}

impl Walk {
    fn step(&mut self, previous: Place) {
        self.next = match &mut self.listed {
            Some(listed) => listed.pop().unwrap_or(Place::NOWHERE),
            None => previous,
        };
    }
}

/// Sorts by time when needed; of two samples of one moment the one that came first stays.
fn sort_once(points: &mut Vec<Point>) {
    if points.windows(2).any(|pair| pair[0].at >= pair[1].at) {
        points.sort_by_key(|point| point.at);
        points.dedup_by_key(|point| point.at);
    }
}

impl Counters {
    /// Returns how many damaged blocks were met.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged_blocks.load(std::sync::atomic::Ordering::Relaxed)
    }
}
