//! Samples to rows, rows to coarser rows, and what a counter grew by. Pure.

use noroshi_model::{Kind, Width, is_unknown};

use crate::block::Mark;
use crate::codec::{Point, Row, significant_decimals};

/// Rows are made when a block has at least so many, so that blocks are worth their headers; runs of
/// rows that are nearer to each other than that are made in one go.
pub(crate) const ROWS_MIN: i64 = 64;

/// Returns the end of the row that a moment belongs to: the row covers `(end - step, end]`.
pub(crate) fn row_end(at: i64, step: i64) -> i64 {
    at.saturating_add(step - 1).div_euclid(step).saturating_mul(step)
}

/// Returns the latest row end that is not after a moment.
pub(crate) fn row_floor(at: i64, step: i64) -> i64 {
    at.div_euclid(step).saturating_mul(step)
}

/// How a series counts; `None` for what is no counter.
pub(crate) fn width_of(kind: Kind) -> Option<Width> {
    match kind {
        Kind::Counter(width) => Some(width),
        Kind::Histogram => Some(Width::Float),
        _ => None,
    }
}

/// Returns by how much a counter grew from `previous` to `value`.
///
/// A decrease is a wrap when the counter has a width and, the source's word or not, the growth
/// over the wrap would be less than half of the width; otherwise a reset, counted from zero. A
/// restart of the source is always a reset. (`RRDtool` guesses the width and adds 2^32 - 1.)
pub(crate) fn grown(previous: f64, value: f64, width: Width, has_restarted: bool) -> f64 {
    if has_restarted {
        return value;
    }
    if value >= previous {
        return value - previous;
    }
    let modulus = match width {
        Width::U32 => 4_294_967_296.0,
        Width::U64 => 18_446_744_073_709_551_616.0,
        Width::Float => return value,
    };
    let over = modulus - previous + value;
    if over >= 0.0 && over < modulus / 2.0 { over } else { value }
}

/// Where a counter's source restarted, for samples walked in order of time.
pub(crate) struct Restarts<'a> {
    marks: &'a [Mark],
}

impl<'a> Restarts<'a> {
    /// Takes marks in order of time.
    pub(crate) fn new(marks: &'a [Mark]) -> Self {
        Self { marks }
    }

    /// Tells whether the source restarted after `previous_at` and not after `at`.
    pub(crate) fn between(&self, previous_at: i64, at: i64) -> bool {
        let from = self.marks.partition_point(|mark| mark.at <= previous_at);
        self.marks.get(from).is_some_and(|mark| mark.at <= at)
    }
}

/// How a series counts.
pub(crate) struct Counts<'a> {
    /// Present for counters.
    pub(crate) width: Option<Width>,
    /// Restarts of its source, in order of time.
    pub(crate) marks: &'a [Mark],
    /// Growth over a longer silence is unknown, milliseconds (`RRDtool`'s heartbeat).
    pub(crate) heartbeat: i64,
}

impl<'a> Counts<'a> {
    /// Returns how a series counts that may be silent for ever.
    pub(crate) fn new(width: Option<Width>, marks: &'a [Mark]) -> Self {
        Self { width, marks, heartbeat: i64::MAX }
    }
}

/// Makes rows of samples.
///
/// `previous` is the last known sample before them. Rows without any sample are left out; rows of
/// unknown samples only are unknown.
pub(crate) fn fold_samples(
    previous: Option<Point>,
    points: &[Point],
    step: i64,
    counts: &Counts<'_>,
) -> Vec<Row> {
    let (width, restarts) = (counts.width, Restarts::new(counts.marks));
    let is_near = |before: &Point, at: i64| at.saturating_sub(before.at) <= counts.heartbeat;
    let mut rows: Vec<Row> = Vec::new();
    let mut previous = previous.filter(|point| !is_unknown(point.value));
    for point in points {
        let end = row_end(point.at, step);
        if rows.last().is_none_or(|row| row.at != end) {
            finish(rows.last_mut(), width);
            rows.push(Row::unknown(end));
        }
        let Some(row) = rows.last_mut() else { continue };
        if is_unknown(point.value) {
            continue;
        }
        let increase = match (previous.filter(|before| is_near(before, point.at)), width) {
            (Some(before), Some(width)) => {
                let has_restarted = restarts.between(before.at, point.at);
                grown(before.value, point.value, width, has_restarted)
            }
            _ => 0.0,
        };
        add(
            row,
            &Row {
                at: end,
                min: point.value,
                max: point.value,
                sum: point.value,
                last: point.value,
                count: 1,
                increase,
            },
        );
        previous = Some(*point);
    }
    finish(rows.last_mut(), width);
    rows
}

/// Makes coarser rows of rows; `step` is a multiple of theirs.
pub(crate) fn fold_rows(fine: &[Row], step: i64, width: Option<Width>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for row in fine {
        let end = row_end(row.at, step);
        if rows.last().is_none_or(|last| last.at != end) {
            finish(rows.last_mut(), width);
            rows.push(Row::unknown(end));
        }
        if let Some(coarse) = rows.last_mut()
            && row.count > 0
        {
            add(coarse, row);
        }
    }
    finish(rows.last_mut(), width);
    rows
}

/// Adds what a later row knows.
fn add(row: &mut Row, later: &Row) {
    if row.count == 0 {
        *row = Row { at: row.at, ..*later };
        return;
    }
    row.min = row.min.min(later.min);
    row.max = row.max.max(later.max);
    row.sum += later.sum;
    row.last = later.last;
    row.count += later.count;
    row.increase += later.increase;
}

/// Rounds what adding has blurred: sums and differences of decimal numbers are decimal, and
/// `0.1 + 0.2` is not. Makes the row more exact, and smaller on disk.
fn finish(row: Option<&mut Row>, width: Option<Width>) {
    let Some(row) = row.filter(|row| row.count > 0) else { return };
    if let Some(decimals) = significant_decimals(&[row.min, row.max, row.last]) {
        row.sum = rounded(row.sum, decimals);
        if width.is_some() {
            row.increase = rounded(row.increase, decimals);
        }
    }
}

/// Returns the decimal number nearest to `value` when it differs by no more than adding blurs.
fn rounded(value: f64, decimals: u8) -> f64 {
    let power = 10_f64.powi(i32::from(decimals));
    let near = (value * power).round() / power;
    if (near - value).abs() <= value.abs().max(1.0) * 1e-10 { near } else { value }
}

/// Joins row ends that are near each other to spans `(from, to]`.
pub(crate) fn runs(ends: impl Iterator<Item = i64>, step: i64) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for end in ends {
        match runs.last_mut() {
            Some((_, to)) if end <= *to + ROWS_MIN * step => *to = end.max(*to),
            _ => runs.push((end - step, end)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use noroshi_model::UNKNOWN;

    use super::*;

    fn points(values: &[f64]) -> Vec<Point> {
        let at = |i: usize| (i as i64 + 1) * 10_000;
        values.iter().enumerate().map(|(i, &value)| Point { at: at(i), value }).collect()
    }

    #[test]
    fn a_row_covers_the_time_up_to_its_end() {
        let cases = [(60_000, 60_000), (60_001, 120_000), (1, 60_000), (0, 0), (-1, 0)];
        for (at, end) in cases {
            assert_eq!(row_end(at, 60_000), end, "{at}");
        }
        assert_eq!(row_floor(119_999, 60_000), 60_000);
    }

    #[test]
    fn gauges_keep_their_extremes_and_decimal_sums_stay_decimal() {
        let all = points(&[0.1, 0.2, 0.7, UNKNOWN, 0.3, 0.3, 9.0]);
        let rows = fold_samples(None, &all, 60_000, &Counts::new(None, &[]));
        // 0.1 + 0.2 + 0.7 + 0.3 + 0.3 = 1.6; 9.0 is in the next minute.
        let first =
            Row { at: 60_000, min: 0.1, max: 0.7, sum: 1.6, last: 0.3, count: 5, increase: 0.0 };
        assert_eq!(rows[0], first);
        assert_eq!((rows[1].at, rows[1].count, rows[1].sum), (120_000, 1, 9.0));
        let unknown =
            fold_samples(None, &points(&[UNKNOWN, UNKNOWN]), 60_000, &Counts::new(None, &[]));
        assert_eq!((unknown.len(), unknown[0].count), (1, 0));
    }

    #[test]
    fn counters_grow_over_wraps_and_start_again_after_resets() {
        let two32 = 4_294_967_296.0;
        // (previous, value, width, restarted, growth)
        let cases = [
            (10.0, 15.0, Width::Float, false, 5.0),
            (10.0, 3.0, Width::Float, false, 3.0),
            (two32 - 10.0, 5.0, Width::U32, false, 15.0),
            (two32 - 10.0, 5.0, Width::U32, true, 5.0),
            (1000.0, 5.0, Width::U32, false, 5.0),
            (1000.0, 5.0, Width::U64, false, 5.0),
            (1000.0, 2000.0, Width::U64, true, 2000.0),
        ];
        for (previous, value, width, restarted, growth) in cases {
            assert_eq!(grown(previous, value, width, restarted), growth, "{previous} {value}");
        }
    }

    #[test]
    fn a_restart_counts_from_zero_even_when_the_counter_is_larger_already() {
        let marks = [Mark { at: 20_000, started_at: 15_000 }];
        let all = points(&[100.0, 150.0, 160.0]);
        let before = Point { at: 0, value: 90.0 };
        let rows =
            fold_samples(Some(before), &all, 60_000, &Counts::new(Some(Width::Float), &marks));
        // 90 -> 100 is 10; restart, 150 from zero; 150 -> 160 is 10.
        assert_eq!(rows[0].increase, 170.0);
        let coarse = fold_rows(&rows, 300_000, Some(Width::Float));
        assert_eq!((coarse[0].at, coarse[0].increase, coarse[0].count), (300_000, 170.0, 3));
    }
}
