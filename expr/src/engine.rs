//! The engine: evaluates expressions within limits.

use std::time::Duration;

use noroshi_model::{Labels, SeriesSource, Timestamp, is_unknown, time};

use crate::ast::{BinaryOp, Expr, Type};
use crate::eval::{Column, Computed, Context, Grid};

mod error;

pub use error::EvalError;

/// How far the moments of a query may be from 1970, in milliseconds: about 36 million years, so
/// that sums with offsets and windows stay inside an `i64`.
const MILLIS_MAX: i64 = 1 << 60;

/// What an evaluation may cost at most, and how old a sample may be.
#[derive(Clone, Debug)]
pub struct EngineLimits {
    /// Samples and row values that one evaluation may load, and values that it may compute at
    /// once.
    pub samples_max: usize,
    /// How long one evaluation may take.
    pub duration_max: Duration,
    /// How old the newest sample of an instant selector may be (Prometheus' default: 5 minutes).
    pub lookback: Duration,
}

impl Default for EngineLimits {
    /// Returns Prometheus' defaults: 50 million samples, 2 minutes, 5 minutes of lookback.
    fn default() -> Self {
        Self {
            samples_max: 50_000_000,
            duration_max: Duration::from_mins(2),
            lookback: Duration::from_mins(5),
        }
    }
}

/// Evaluates expressions over a source of series. Holds only limits; may be shared and cloned.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    limits: EngineLimits,
}

/// What an evaluation gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// The value.
    pub value: Value,
    /// What is doubtful about it, one sentence each; empty when it is exact.
    pub warnings: Vec<String>,
    /// Why an instant vector is empty; `None` when it is not, and for range queries.
    pub absence: Absence,
    /// How many samples and values of rows were read.
    pub samples_read: usize,
}

/// The value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number at a moment.
    Scalar {
        /// The moment of evaluation.
        at: Timestamp,
        /// The number.
        value: f64,
    },
    /// A text.
    Text(String),
    /// Series with one value each. In the order that `sort` or `topk` gave.
    Vector(Vec<InstantSample>),
    /// Series with many values each, ordered by labels; a scalar is one series without labels.
    Matrix(Vec<RangeSeries>),
}

/// One series' value at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct InstantSample {
    /// The series.
    pub labels: Labels,
    /// The moment of evaluation.
    pub at: Timestamp,
    /// The value; an ordinary NaN is a value, `UNKNOWN` does not occur.
    pub value: f64,
}

/// One series' values at many moments.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    /// The series.
    pub labels: Labels,
    /// Milliseconds since 1970, increasing; moments without a value are left out.
    pub at: Vec<i64>,
    /// One value a moment; an ordinary NaN is a value, `UNKNOWN` does not occur.
    pub value: Vec<f64>,
}

/// Why an instant vector is empty: the third value between true and false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Absence {
    /// It is not empty.
    #[default]
    None,
    /// A selector names series that were never heard of.
    NeverKnown,
    /// The series are known, but there is no data (or not enough of it) since that moment.
    SilentSince(Timestamp),
    /// There was data; comparisons, set operators or matching left nothing of it.
    EmptyByComparison,
}

impl Absence {
    /// Returns the stable name: log field, label and page text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NeverKnown => "never_known",
            Self::SilentSince(_) => "silent",
            Self::EmptyByComparison => "empty_by_comparison",
        }
    }

    /// Returns the reason that matters when an operation needs both sides.
    pub(crate) fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::NeverKnown, _) | (_, Self::NeverKnown) => Self::NeverKnown,
            (Self::SilentSince(a), Self::SilentSince(b)) => Self::SilentSince(a.min(b)),
            (silent @ Self::SilentSince(_), _) | (_, silent @ Self::SilentSince(_)) => silent,
            (Self::EmptyByComparison, _) | (_, Self::EmptyByComparison) => Self::EmptyByComparison,
            (Self::None, Self::None) => Self::None,
        }
    }

    /// Returns the reason that matters when an operation is content with either side.
    pub(crate) fn better(self, other: Self) -> Self {
        match (self, other) {
            (Self::EmptyByComparison, _) | (_, Self::EmptyByComparison) => Self::EmptyByComparison,
            (Self::SilentSince(a), Self::SilentSince(b)) => Self::SilentSince(a.max(b)),
            (silent @ Self::SilentSince(_), _) | (_, silent @ Self::SilentSince(_)) => silent,
            (Self::NeverKnown, _) | (_, Self::NeverKnown) => Self::NeverKnown,
            (Self::None, Self::None) => Self::None,
        }
    }
}

/// A comparison with a number, evaluated such that the value is known also when it does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// How the value is compared.
    pub op: BinaryOp,
    /// What it is compared with.
    pub threshold: f64,
    /// All series of the compared expression, in order.
    pub series: Vec<Compared>,
    /// What is doubtful, one sentence each.
    pub warnings: Vec<String>,
    /// Why there is no series; `None` when there is one.
    pub absence: Absence,
}

/// One series of a [`Comparison`].
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The series; without labels when the compared expression is a scalar.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
    /// Whether the comparison holds.
    pub is_over: bool,
}

impl Engine {
    /// Makes an engine with these limits.
    pub fn new(limits: EngineLimits) -> Self {
        Self { limits }
    }

    /// Evaluates an expression at one moment. Errors: [`EvalError`].
    pub fn instant(
        &self,
        source: &dyn SeriesSource,
        expr: &Expr,
        at: Timestamp,
    ) -> Result<Evaluated, EvalError> {
        let millis = at.as_millis().clamp(-MILLIS_MAX, MILLIS_MAX);
        let grid = Grid { start: millis, step: 1, count: 1 };
        let ctx = Context::new(source, &self.limits, (grid.start, grid.end()), true);
        if expr.value_type() == Type::Range {
            let series = ctx.window_series(&grid, expr)?;
            return Ok(ctx.into_evaluated(Value::Matrix(series), Absence::None));
        }
        let mut absence = Absence::None;
        let value = match ctx.eval(&grid, expr)? {
            Computed::Scalar(values) => Value::Scalar { at, value: values[0] },
            Computed::Text(text) => Value::Text(text),
            Computed::Vector(vector) => {
                absence = vector.absence;
                let sample = |c: Column| InstantSample { labels: c.labels, at, value: c.values[0] };
                Value::Vector(vector.columns.into_iter().map(sample).collect())
            }
        };
        Ok(ctx.into_evaluated(value, absence))
    }

    /// Evaluates an expression at `start`, `start + step`, ... not after `end`.
    ///
    /// Errors: [`EvalError`]; a step below a millisecond or an `end` before `start` is
    /// [`EvalError::BadSpan`].
    pub fn range(
        &self,
        source: &dyn SeriesSource,
        expr: &Expr,
        (start, end): (Timestamp, Timestamp),
        step: Duration,
    ) -> Result<Evaluated, EvalError> {
        let (start, end) = (start.as_millis(), end.as_millis());
        let step = time::millis(step).min(MILLIS_MAX);
        if step < 1 || end < start || start < -MILLIS_MAX || end > MILLIS_MAX {
            return Err(EvalError::BadSpan);
        }
        let kind = expr.value_type();
        if !matches!(kind, Type::Scalar | Type::Vector) {
            return Err(EvalError::NotForRange { kind: kind.as_str() });
        }
        let count = usize::try_from((end - start) / step).unwrap_or(usize::MAX).saturating_add(1);
        let grid = Grid { start, step, count };
        // `end()` is the end that was asked for, also when no step falls on it.
        let ctx = Context::new(source, &self.limits, (start, end), false);
        ctx.check_size(1, &grid)?;
        let columns = match ctx.eval(&grid, expr)? {
            Computed::Scalar(values) => vec![Column { labels: Labels::empty(), values }],
            Computed::Vector(vector) => vector.columns,
            Computed::Text(_) => return Err(EvalError::NotForRange { kind: kind.as_str() }),
        };
        let mut series: Vec<RangeSeries> =
            columns.into_iter().map(|column| known_points(column, &grid)).collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(ctx.into_evaluated(Value::Matrix(series), Absence::None))
    }

    /// Evaluates the left side of a top-level comparison with a number and compares each series.
    ///
    /// `Ok(None)` when the expression is something else (see [`Expr::split_comparison`]).
    pub fn compare(
        &self,
        source: &dyn SeriesSource,
        expr: &Expr,
        at: Timestamp,
    ) -> Result<Option<Comparison>, EvalError> {
        let Some((left, op, threshold)) = expr.split_comparison() else {
            return Ok(None);
        };
        let Evaluated { value, warnings, absence, .. } = self.instant(source, &left, at)?;
        let samples = match value {
            Value::Vector(samples) => samples,
            Value::Scalar { at, value } => {
                vec![InstantSample { labels: Labels::empty(), at, value }]
            }
            Value::Text(_) | Value::Matrix(_) => Vec::new(),
        };
        let compare = |sample: InstantSample| Compared {
            is_over: op.holds(sample.value, threshold),
            labels: sample.labels,
            value: sample.value,
        };
        let series = samples.into_iter().map(compare).collect();
        Ok(Some(Comparison { op, threshold, series, warnings, absence }))
    }
}

/// Returns a column without the moments that have no value.
fn known_points(column: Column, grid: &Grid) -> RangeSeries {
    let is_full = !column.values.iter().any(|value| is_unknown(*value));
    let moments = (0..grid.count).map(|index| grid.at(index));
    if is_full {
        return RangeSeries { labels: column.labels, at: moments.collect(), value: column.values };
    }
    let known = moments.zip(column.values).filter(|(_, value)| !is_unknown(*value));
    let (at, value) = known.unzip();
    RangeSeries { labels: column.labels, at, value }
}
