//! Reads the series of a selector, once for all moments, and lays their segments end to end.

use std::time::Duration;

use noroshi_model::seam::{RawSegment, RowSegment, Segment};
use noroshi_model::{Labels, Select, SelectError, SeriesData, Timestamp, UNKNOWN};

use super::{Context, Grid};
use crate::ast::Selector;
use crate::engine::{Absence, EvalError};

/// What a reader does with the samples; decides how coarse an archive may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The newest value before each moment.
    Newest,
    /// A computation that is exact on whole rows.
    Rows,
    /// The samples themselves.
    Samples,
}

/// The window beyond which an instant query reads archives even if its borders cut rows: there a
/// row is less than a thousandth of the window.
const LONG_WINDOW: i64 = 7 * 86_400_000;

/// Rows that a window of an instant query holds at least, unless only coarser ones are left.
///
/// Rows and samples give slightly different rates (samples are extrapolated). Were rows taken
/// wherever they fit, a window of five minutes would be computed in one way every five minutes and
/// in another between them. 360 samples of 10 s, an hour, cost nothing.
const ROWS_MIN: i64 = 360;

/// One series, oldest value first.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    pub(crate) labels: Labels,
    /// Milliseconds since 1970, strictly increasing; of a row its end.
    pub(crate) at: Vec<i64>,
    /// The sample, or the last value of the row; `UNKNOWN` where nothing is known.
    pub(crate) value: Vec<f64>,
    /// Present when a segment of the series holds rows.
    pub(crate) rows: Option<Box<Rows>>,
}

/// What rows tell beyond their last value; all as long as [`Points::at`]. A raw sample is a row
/// of length 0 that holds only itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    /// Where the row starts (exclusive); of a sample its own moment.
    pub(crate) start: Vec<i64>,
    pub(crate) min: Vec<f64>,
    pub(crate) max: Vec<f64>,
    pub(crate) sum: Vec<f64>,
    pub(crate) count: Vec<f64>,
    /// `UNKNOWN` for samples and for rows that do not tell.
    pub(crate) increase: Vec<f64>,
    /// The longest row's step.
    pub(crate) step_max: i64,
}

/// The series of a selector.
pub(crate) struct Loaded {
    pub(crate) series: Vec<Points>,
    /// Why there is none, looked up only for instant queries.
    pub(crate) absence: Absence,
}

impl Context<'_> {
    /// Reads the series of a selector for these moments, each looking back over `window`.
    pub(crate) fn load(
        &self,
        selector: &Selector,
        moments: &Grid,
        window: i64,
        need: Need,
    ) -> Result<Loaded, EvalError> {
        self.check_time()?;
        let step = coarsest(moments, window, need);
        // A row stands for its whole span, so that moments further apart than the lookback may
        // each look at one row.
        let window = if need == Need::Newest { window.max(step) } else { window };
        let request = Select {
            matchers: selector.matchers.clone(),
            after: Timestamp::from_millis(moments.start - window),
            until: Timestamp::from_millis(moments.end()),
            step: Duration::from_millis(step.unsigned_abs()),
            window: Duration::from_millis(window.unsigned_abs()),
            samples_max: self.remaining(),
        };
        let found = self.source.select(&request).map_err(|error| match error {
            SelectError::TooManySamples { .. } => self.too_many(),
            source => EvalError::Select { selector: selector.to_string(), source },
        })?;
        let mut series = Vec::with_capacity(found.len());
        for data in found {
            let points = lay_out(data);
            self.charge(points.at.len() * if points.rows.is_some() { 6 } else { 1 })?;
            if !points.at.is_empty() {
                series.push(points);
            }
        }
        let absence = if series.is_empty() { self.absence_of(selector)? } else { Absence::None };
        Ok(Loaded { series, absence })
    }

    /// Returns why a selector finds nothing.
    pub(crate) fn absence_of(&self, selector: &Selector) -> Result<Absence, EvalError> {
        if !self.is_instant {
            return Ok(Absence::EmptyByComparison);
        }
        match self.source.last_seen(&selector.matchers) {
            Ok(None) => Ok(Absence::NeverKnown),
            Ok(Some(at)) => Ok(Absence::SilentSince(at)),
            Err(source) => Err(EvalError::Select { selector: selector.to_string(), source }),
        }
    }
}

/// Returns the longest step of an archive that may answer, in milliseconds; 0 for samples only.
///
/// Several moments: their distance. One moment: what divides both borders of the window, so that
/// the answer stays exact, and [`ROWS_MIN`]; a very long window gives up that exactness.
fn coarsest(moments: &Grid, window: i64, need: Need) -> i64 {
    let is_one_moment = moments.count <= 1 || moments.step == 0;
    match need {
        Need::Samples => 0,
        Need::Newest if is_one_moment => 0,
        Need::Newest | Need::Rows if !is_one_moment => moments.step,
        _ => {
            let exact = common_divisor(moments.start, window);
            if window >= LONG_WINDOW {
                exact.max(window / 1000)
            } else {
                exact.min(window / ROWS_MIN).max(1)
            }
        }
    }
}

fn common_divisor(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a as i64
}

/// Lays the segments of a series end to end.
fn lay_out(data: SeriesData) -> Points {
    let mut segments = data.segments;
    let is_raw = segments.iter().all(|segment| matches!(segment, Segment::Raw(_)));
    let mut points = Points { labels: data.labels, at: Vec::new(), value: Vec::new(), rows: None };
    if is_raw && segments.len() == 1 {
        if let Some(Segment::Raw(raw)) = segments.pop() {
            (points.at, points.value) = (raw.at, raw.value);
        }
        return points;
    }
    let mut rows = Rows::default();
    for segment in &segments {
        match segment {
            Segment::Raw(raw) => {
                points.at.extend_from_slice(&raw.at);
                points.value.extend_from_slice(&raw.value);
                if !is_raw {
                    rows.push_samples(raw);
                }
            }
            Segment::Rows(row) => {
                points.at.extend_from_slice(&row.at);
                points.value.extend_from_slice(&row.last);
                rows.push_rows(row);
            }
        }
    }
    debug_assert!(points.at.is_sorted_by(|a, b| a < b), "segments overlap");
    points.rows = (!is_raw).then(|| Box::new(rows));
    points
}

impl Rows {
    fn push_samples(&mut self, raw: &RawSegment) {
        self.start.extend_from_slice(&raw.at);
        for column in [&mut self.min, &mut self.max, &mut self.sum] {
            column.extend_from_slice(&raw.value);
        }
        self.count.extend(raw.at.iter().map(|_| 1.0));
        self.increase.extend(raw.at.iter().map(|_| UNKNOWN));
    }

    fn push_rows(&mut self, row: &RowSegment) {
        self.start.extend(row.at.iter().map(|end| end - row.step));
        self.min.extend_from_slice(&row.min);
        self.max.extend_from_slice(&row.max);
        self.sum.extend_from_slice(&row.sum);
        self.count.extend_from_slice(&row.count);
        if row.increase.is_empty() {
            self.increase.extend(row.at.iter().map(|_| UNKNOWN));
        } else {
            self.increase.extend_from_slice(&row.increase);
        }
        self.step_max = self.step_max.max(row.step);
    }

    /// Keeps what `keep` says, by index.
    pub(crate) fn retain(&mut self, keep: &[bool]) {
        let mut index = 0;
        self.start.retain(|_| {
            index += 1;
            keep[index - 1]
        });
        let columns =
            [&mut self.min, &mut self.max, &mut self.sum, &mut self.count, &mut self.increase];
        for column in columns {
            retain(column, keep);
        }
    }
}

fn retain(column: &mut Vec<f64>, keep: &[bool]) {
    let mut index = 0;
    column.retain(|_| {
        index += 1;
        keep[index - 1]
    });
}

impl Points {
    /// Takes out what is unknown: windows see only values.
    pub(crate) fn without_unknown(mut self) -> Self {
        if !self.value.iter().any(|value| noroshi_model::is_unknown(*value)) {
            return self;
        }
        let keep: Vec<bool> = self.value.iter().map(|v| !noroshi_model::is_unknown(*v)).collect();
        let mut index = 0;
        self.at.retain(|_| {
            index += 1;
            keep[index - 1]
        });
        retain(&mut self.value, &keep);
        if let Some(rows) = &mut self.rows {
            rows.retain(&keep);
        }
        self
    }

    /// Returns the length of the row that a moment cuts, if it cuts one; `next` is the index of
    /// the first point later than the moment.
    ///
    /// The source may have left out a row that ends later than what was asked for.
    pub(crate) fn row_cut_at(&self, moment: i64, next: usize) -> Option<i64> {
        let rows = self.rows.as_ref()?;
        let newest = next.checked_sub(1)?;
        if let Some(start) = rows.start.get(next) {
            return (*start < moment).then_some(self.row_length(next));
        }
        let length = self.row_length(newest);
        let since = moment - self.at[newest];
        (since > 0 && since < length).then_some(length)
    }

    /// Returns how long the row at an index is; 0 for a sample.
    pub(crate) fn row_length(&self, index: usize) -> i64 {
        self.rows.as_ref().map_or(0, |rows| self.at[index] - rows.start[index])
    }
}
