//! Answers queries: which archive covers what, and the samples and rows of each series.

use noroshi_model::seam::{RawSegment, RowSegment, Segment};
use noroshi_model::time::millis;
use noroshi_model::{
    Labels, Matcher, MetricMeta, Select, SelectError, SeriesData, SeriesSource, Timestamp, UNKNOWN,
    Width,
};

use crate::codec::{Point, Row};
use crate::fetch::View;
use crate::fold::{Restarts, row_floor};
use crate::inner::{Class, Inner};
use crate::ring::RingError;

/// Numbers in a row: what a row counts for against [`Select::samples_max`].
const ROW_NUMBERS: usize = 6;

/// A stretch of time and the archive that answers for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    archive: usize,
    after: i64,
    until: i64,
}

/// How samples are given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// As they came: for copies.
    AsStored,
    /// With silences marked as unknown and wraps of counters undone: for readers.
    Corrected,
}

/// Chooses archives, oldest piece first.
///
/// The coarsest archive that still has two rows for each step and window answers, as far back as
/// it reaches; before that the next coarser ones do. Where their rows are longer than the window,
/// the answer reaches back by what they are longer ([`Select::window`]).
fn choose(class: &Class, now: i64, request: &Select) -> Vec<Piece> {
    let (step, window) = (millis(request.step), millis(request.window));
    let is_fine = |archive: &usize| {
        let twice = class.steps[*archive].saturating_mul(2);
        twice <= step && (window == 0 || twice <= window)
    };
    let first = (1..class.steps.len()).rev().find(is_fine).unwrap_or(0);
    let (after, mut until) = (request.after.as_millis(), request.until.as_millis());
    let mut pieces = Vec::new();
    for archive in first..class.steps.len() {
        let reaches_to = now.saturating_sub(class.spans[archive]);
        let border =
            class.steps.get(archive + 1).map(|coarser| row_floor(reaches_to, *coarser) + coarser);
        match border {
            Some(border) if after < reaches_to => {
                if border < until {
                    pieces.push(Piece { archive, after: border, until });
                    until = border;
                }
            }
            _ => {
                pieces.push(Piece { archive, after, until });
                break;
            }
        }
    }
    // A window shorter than the rows may hold the end of none: it gets the row that ended last.
    if let Some(oldest) = pieces.last_mut()
        && oldest.archive > 0
        && window > 0
    {
        let missing = class.steps[oldest.archive].saturating_sub(window).max(0);
        oldest.after = oldest.after.saturating_sub(missing);
    }
    pieces.reverse();
    pieces
}

impl Inner {
    fn segments(
        &self,
        view: &View,
        pieces: &[Piece],
        window: i64,
        given: Given,
    ) -> Result<Vec<Segment>, RingError> {
        let mut segments = Vec::new();
        for (position, piece) in pieces.iter().enumerate() {
            let is_last = position + 1 == pieces.len();
            let own = self.piece_segments(view, *piece, is_last, given)?;
            // Only the oldest piece has nothing before it that a window could look back to.
            let window = if position == 0 { window } else { 0 };
            segments.extend(self.coarser_before(view, *piece, window, own.first())?);
            segments.extend(own);
        }
        Ok(segments)
    }

    /// Answers for a piece from its own archive.
    fn piece_segments(
        &self,
        view: &View,
        piece: Piece,
        is_last: bool,
        given: Given,
    ) -> Result<Vec<Segment>, RingError> {
        if piece.archive == 0 {
            let raw = self.raw_segment(view, piece.after, piece.until, given)?;
            return Ok(raw.into_iter().collect());
        }
        let mut segments = Vec::new();
        let step = self.classes[view.class].steps[piece.archive];
        // The row in progress is not a row yet: its samples are given as they are.
        let rows_until = row_floor(piece.until.min(view.newest_at.saturating_add(step)), step);
        let rows_until = rows_until.max(piece.after);
        let rows = self.rows(view, piece.archive, piece.after, rows_until)?;
        segments.extend(self.rows_of(view, step, &rows));
        if is_last && rows_until < piece.until {
            segments.extend(self.raw_segment(view, rows_until, piece.until, given)?);
        }
        Ok(segments)
    }

    fn rows_of(&self, view: &View, step: i64, rows: &[Row]) -> Option<Segment> {
        if rows.is_empty() {
            return None;
        }
        let class = &self.classes[view.class];
        let is_known = |row: &Row| !class.is_too_sparse(step, view.interval, row.count);
        Some(Segment::Rows(row_segment(step, rows, view.width.is_some(), is_known)))
    }

    /// Returns the rows of coarser archives for the beginning of a piece of which its own archive
    /// has nothing: rows that were imported, and those of a class whose finer archives were made
    /// longer since. `own` is what the piece's own archive begins with.
    fn coarser_before(
        &self,
        view: &View,
        piece: Piece,
        window: i64,
        own: Option<&Segment>,
    ) -> Result<Vec<Segment>, RingError> {
        let class = &self.classes[view.class];
        let (mut until, spacing) = own.map_or((piece.until, 0), beginning_of);
        let mut found = Vec::new();
        for archive in piece.archive + 1..class.steps.len() {
            let (step, chain) = (class.steps[archive], view.chains[archive]);
            let finer = &view.chains[..archive];
            // A row is the newest that is known of such a series, however short the window is.
            let has_rows_only = own.is_none() && finer.iter().all(|c| c.reach == i64::MIN);
            let back = if has_rows_only && window > 0 { (step - window).max(0) } else { 0 };
            let after = piece.after.saturating_sub(back);
            // Where samples are as far apart as that there is nothing missing. That also spares
            // ordinary questions the look at more blocks.
            let gap_min = if has_rows_only { 1 } else { step.max(spacing.saturating_mul(2)) };
            if until.min(chain.reach).saturating_sub(after) < gap_min {
                continue;
            }
            let rows_until = row_floor(until, step).min(chain.done_until);
            let rows = self.stored_rows(view, archive, after, rows_until)?;
            if let Some(first) = rows.first() {
                until = first.at - step;
                found.extend(self.rows_of(view, step, &rows));
            }
        }
        found.reverse();
        Ok(found)
    }

    fn raw_segment(
        &self,
        view: &View,
        after: i64,
        until: i64,
        given: Given,
    ) -> Result<Option<Segment>, RingError> {
        let raw = self.raw(view, after, until, false)?;
        if raw.points.is_empty() {
            return Ok(None);
        }
        let mut points = raw.points;
        if given == Given::AsStored {
            return Ok(Some(raw_of(&points)));
        }
        if let Some(width @ (Width::U32 | Width::U64)) = view.width {
            unwrap_counter(&mut points, width, &Restarts::new(&raw.marks));
        }
        let intervals = self.config.heartbeat_intervals;
        let heartbeat = self.classes[view.class].silence_max(view.interval, intervals);
        if heartbeat > 0 {
            let now = self.now();
            points = with_silences(points, heartbeat, until.min(now));
        }
        Ok(Some(raw_of(&points)))
    }

    /// Answers as [`SeriesSource::select`] does.
    pub(crate) fn answer(
        &self,
        request: &Select,
        given: Given,
    ) -> Result<Vec<SeriesData>, SelectError> {
        let (after, until) = (request.after.as_millis(), request.until.as_millis());
        let (now, window) = (self.now(), millis(request.window));
        let mut numbers = 0;
        let mut answer = Vec::new();
        // A series of imported rows answers for as long as its rows are, and rows that are not fine
        // enough for the question reach back further than it does.
        let steps = self.classes.iter().filter_map(|class| class.steps.last()).copied();
        let longest = steps.max().unwrap_or(0);
        let span = (after.saturating_sub(longest.saturating_mul(2)), until);
        for found in self.found(&request.matchers, span)? {
            let looked = self.look(&found, |head| (usize::from(head.class), head.newest_at()));
            let Some((class, newest_at)) = looked else { continue };
            let Some(class) = self.classes.get(class) else { continue };
            let pieces = choose(class, now, request);
            let from = pieces.iter().map(|piece| piece.after).min().unwrap_or(after);
            let longest = class.steps.last().copied().unwrap_or(0);
            if newest_at <= from.saturating_sub(longest) || until <= after {
                continue;
            }
            // Rows are made of what lies up to one row before.
            let coarsest = pieces.iter().map(|piece| class.steps[piece.archive]).max();
            let from = from.saturating_sub(coarsest.unwrap_or(0));
            let Some(view) = self.view_found(&found, from, until) else { continue };
            let segments = self.segments(&view, &pieces, window, given).map_err(read_error)?;
            if segments.is_empty() {
                continue;
            }
            numbers += numbers_in(&segments);
            if numbers > request.samples_max {
                return Err(SelectError::TooManySamples { samples_max: request.samples_max });
            }
            answer.push(SeriesData { labels: found.labels, segments });
        }
        Ok(answer)
    }
}

/// Adds to counters of a known width what they lost by wrapping, so that a reader who takes every
/// decrease for a reset is right.
fn unwrap_counter(points: &mut [Point], width: Width, restarts: &Restarts<'_>) {
    let modulus = if width == Width::U32 { 4_294_967_296.0 } else { 18_446_744_073_709_551_616.0 };
    let (mut added, mut previous) = (0.0, None::<Point>);
    for point in points.iter_mut().filter(|point| !noroshi_model::is_unknown(point.value)) {
        let seen = *point;
        if let Some(before) = previous
            && seen.value < before.value
        {
            let has_restarted = restarts.between(before.at, seen.at);
            let grown = crate::fold::grown(before.value, seen.value, width, has_restarted);
            // A reset starts from zero again; a wrap goes on.
            let is_wrap = !has_restarted && grown > seen.value;
            added = if is_wrap { added + modulus } else { 0.0 };
        }
        previous = Some(seen);
        point.value += added;
    }
}

/// Puts an unknown sample where a source that promised to send was silent for too long.
fn with_silences(points: Vec<Point>, heartbeat: i64, until: i64) -> Vec<Point> {
    let is_silent = |pair: &[Point]| pair[1].at - pair[0].at > heartbeat;
    let ends_silent = points.last().is_some_and(|last| until - last.at > heartbeat);
    if !ends_silent && !points.windows(2).any(is_silent) {
        return points;
    }
    let mut out: Vec<Point> = Vec::with_capacity(points.len() + 8);
    for point in points {
        if let Some(before) = out.last()
            && point.at - before.at > heartbeat
        {
            out.push(Point { at: before.at + heartbeat, value: UNKNOWN });
        }
        out.push(point);
    }
    if ends_silent && let Some(last) = out.last() {
        out.push(Point { at: last.at + heartbeat, value: UNKNOWN });
    }
    out
}

/// Returns the moment before which a segment has nothing, and how far its first moments are apart.
fn beginning_of(segment: &Segment) -> (i64, i64) {
    let spacing =
        |at: &[i64]| at.get(1).zip(at.first()).map_or(0, |(second, first)| second - first);
    match segment {
        Segment::Raw(raw) => (raw.at.first().map_or(i64::MIN, |at| at - 1), spacing(&raw.at)),
        Segment::Rows(rows) => {
            (rows.at.first().map_or(i64::MIN, |at| at - rows.step), spacing(&rows.at))
        }
    }
}

fn raw_of(points: &[Point]) -> Segment {
    let at = points.iter().map(|point| point.at).collect();
    let value = points.iter().map(|point| point.value).collect();
    Segment::Raw(RawSegment { at, value })
}

fn row_segment(
    step: i64,
    rows: &[Row],
    has_increase: bool,
    is_known: impl Fn(&Row) -> bool,
) -> RowSegment {
    let mut segment = RowSegment { step, ..RowSegment::default() };
    for row in rows {
        let unknown = Row::unknown(row.at);
        let row = if is_known(row) { row } else { &unknown };
        segment.at.push(row.at);
        segment.min.push(row.min);
        segment.max.push(row.max);
        segment.sum.push(row.sum);
        segment.last.push(row.last);
        segment.count.push(row.count as f64);
        if has_increase {
            segment.increase.push(if row.count == 0 { UNKNOWN } else { row.increase });
        }
    }
    segment
}

fn numbers_in(segments: &[Segment]) -> usize {
    let numbers = |segment: &Segment| match segment {
        Segment::Raw(raw) => raw.at.len(),
        Segment::Rows(rows) => rows.at.len() * ROW_NUMBERS,
    };
    segments.iter().map(numbers).sum()
}

pub(crate) fn read_error(error: RingError) -> SelectError {
    SelectError::Read(Box::new(error))
}

impl SeriesSource for Inner {
    fn select(&self, request: &Select) -> Result<Vec<SeriesData>, SelectError> {
        self.answer(request, Given::Corrected)
    }

    fn series(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Labels>, SelectError> {
        let found = self.found(matchers, (after.as_millis(), until.as_millis()))?;
        Ok(found.into_iter().map(|found| found.labels).take(limit).collect())
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, SelectError> {
        let catalogue = self.catalogue.read();
        if matchers.is_empty() {
            let names = catalogue.index.names().into_iter();
            return Ok(names.take(limit).map(str::to_owned).collect());
        }
        drop(catalogue);
        self.names_of(matchers, None, limit)
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        let catalogue = self.catalogue.read();
        if matchers.is_empty() {
            let values = catalogue.index.values(name).into_iter();
            return Ok(values.take(limit).map(str::to_owned).collect());
        }
        drop(catalogue);
        self.values_of(name, matchers, None, limit)
    }

    fn label_names_within(
        &self,
        matchers: &[Matcher],
        span: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        self.names_of(matchers, Some(span), limit)
    }

    fn label_values_within(
        &self,
        name: &str,
        matchers: &[Matcher],
        span: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        self.values_of(name, matchers, Some(span), limit)
    }

    fn metadata(&self, name: Option<&str>) -> Result<Vec<MetricMeta>, SelectError> {
        let catalogue = self.catalogue.read();
        let metas = catalogue.metas();
        Ok(match name {
            Some(name) => metas.get(name).cloned().into_iter().collect(),
            None => metas.values().cloned().collect(),
        })
    }

    fn last_seen(&self, matchers: &[Matcher]) -> Result<Option<Timestamp>, SelectError> {
        let series = self.catalogue.read().matching(matchers)?;
        let mut newest = None;
        self.table.with_each(&series, |_, head| {
            let last_at = head.map(|head| head.last_at).filter(|last_at| *last_at > i64::MIN);
            newest = newest.max(last_at);
        });
        if newest.is_none() {
            let quiet = self.quiet.read().matching(matchers, i64::MIN);
            newest =
                quiet.iter().map(|series| series.head.last_at).filter(|at| *at > i64::MIN).max();
        }
        Ok(newest.map(Timestamp::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(all: &[(i64, f64)]) -> Vec<Point> {
        all.iter().map(|&(at, value)| Point { at, value }).collect()
    }

    #[test]
    fn silence_becomes_unknown_after_the_heartbeat() {
        let all = points(&[(0, 1.0), (10, 2.0), (60, 3.0)]);
        let filled = with_silences(all.clone(), 40, 90);
        let moments: Vec<i64> = filled.iter().map(|point| point.at).collect();
        assert_eq!(moments, [0, 10, 50, 60]);
        assert!(noroshi_model::is_unknown(filled[2].value));
        assert_eq!(with_silences(all, 40, 101).last().unwrap().at, 100);
    }

    #[test]
    fn a_wrapped_counter_goes_on_and_a_reset_one_starts_again() {
        let two32 = 4_294_967_296.0;
        let mut all = points(&[(1, two32 - 10.0), (2, 5.0), (3, 7.0), (4, 1.0)]);
        unwrap_counter(&mut all, Width::U32, &Restarts::new(&[]));
        let values: Vec<f64> = all.iter().map(|point| point.value).collect();
        // 7 to 1 would be a wrap of nearly the whole width: a reset.
        assert_eq!(values, [two32 - 10.0, two32 + 5.0, two32 + 7.0, 1.0]);
    }
}
