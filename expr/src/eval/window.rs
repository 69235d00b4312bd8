//! Functions over the samples of a window that slides along the moments.

use noroshi_model::UNKNOWN;

use super::load::{Need, Points};
use super::sample::{self, Slice};
use super::{Column, Context, Grid, Vector, labels, rows};
use crate::ast::{Call, Expr, Subquery};
use crate::duration;
use crate::engine::{Absence, EvalError};
use crate::function::Window;

/// How far apart a subquery looks when it does not say: Prometheus' default evaluation interval.
const SUBQUERY_STEP: i64 = 60_000;

/// The series of a range expression, and the windows that slide over them.
pub(crate) struct Windows {
    pub(crate) series: Vec<Points>,
    /// Where each window ends (inclusive).
    pub(crate) ends: Grid,
    /// How long each window is, open at its start.
    pub(crate) range: i64,
    /// Why there is no series.
    absence: Absence,
}

impl Windows {
    /// Returns start (exclusive) and end (inclusive) of a window.
    pub(crate) fn span(&self, index: usize) -> (i64, i64) {
        let end = self.ends.at(index);
        (end - self.range, end)
    }
}

/// What a function is told beyond the samples.
pub(crate) struct Parameters {
    pub(crate) first: Vec<f64>,
    pub(crate) second: Vec<f64>,
}

impl Context<'_> {
    /// Reads the series of a range expression.
    pub(super) fn windows(
        &self,
        grid: &Grid,
        expr: &Expr,
        need: Need,
    ) -> Result<Windows, EvalError> {
        match expr.unwrapped() {
            Expr::Range(range) => {
                let ends = self.moments(grid, range.selector.when);
                let loaded = self.load(&range.selector, &ends, range.range, need)?;
                let series = loaded.series.into_iter().map(Points::without_unknown).collect();
                Ok(Windows { series, ends, range: range.range, absence: loaded.absence })
            }
            Expr::Subquery(subquery) => self.subquery(grid, subquery),
            // The parser lets nothing else stand where a range vector is wanted.
            _ => Err(EvalError::BadArgument("expected a range vector".to_owned())),
        }
    }

    /// Evaluates what is inside a subquery once, at all moments that any window holds.
    ///
    /// These are multiples of the step, whatever the query's start is.
    fn subquery(&self, grid: &Grid, subquery: &Subquery) -> Result<Windows, EvalError> {
        let ends = self.moments(grid, subquery.when);
        let step = subquery.step.unwrap_or(SUBQUERY_STEP);
        let start = ((ends.start - subquery.range).div_euclid(step) + 1) * step;
        let count = usize::try_from((ends.end() - start).div_euclid(step) + 1).unwrap_or(0);
        let inner = Grid { start, step, count };
        self.check_size(1, &inner)?;
        let (range, mut series) = (subquery.range, Vec::new());
        if count == 0 {
            return Ok(Windows { series, ends, range, absence: Absence::EmptyByComparison });
        }
        let vector = self.vector(&inner, &subquery.expr)?;
        self.charge(vector.columns.len() * count)?;
        let at: Vec<i64> = (0..count).map(|index| inner.at(index)).collect();
        for column in vector.columns {
            let (labels, value) = (column.labels, column.values);
            series.push(Points { labels, at: at.clone(), value, rows: None }.without_unknown());
        }
        Ok(Windows { series, ends, range, absence: vector.absence })
    }

    /// Evaluates a function over a range expression.
    pub(super) fn over_window(
        &self,
        grid: &Grid,
        call: &Call,
        window: Window,
    ) -> Result<Vector, EvalError> {
        let need = if window.is_exact_on_rows() { Need::Rows } else { Need::Samples };
        let is_range = |e: &&Expr| e.value_type() == crate::Type::Range;
        let Some(range) = call.arguments.iter().find(is_range) else {
            return Err(EvalError::BadArgument("expected a range vector".to_owned()));
        };
        let parameters = self.parameters(grid, call, window)?;
        let mut windows = self.windows(grid, range, need)?;
        self.check_size(windows.series.len(), grid)?;
        let mut columns = Vec::with_capacity(windows.series.len());
        // Each series is freed as soon as it is computed: the next one's column takes its memory.
        for points in std::mem::take(&mut windows.series) {
            self.check_time()?;
            let values = match &points.rows {
                None => slide(&windows, &points, window, (grid, &parameters)),
                Some(archived) => {
                    let mut seen = rows::Seen::default();
                    let sliding =
                        rows::Sliding { windows: &windows, points: &points, rows: archived };
                    let values = sliding.values(window, (grid, &parameters), &mut seen);
                    self.warn_of_rows(&seen, call, range, windows.range);
                    values
                }
            };
            let labels = if window.keeps_name() {
                points.labels
            } else {
                labels::without_name(&points.labels)
            };
            columns.push(Column { labels, values });
        }
        let had_series = !columns.is_empty();
        let mut vector = Vector::new(columns, windows.absence);
        if had_series && vector.columns.is_empty() {
            vector.absence = self.absence_of_range(range)?;
        }
        labels::check_unique(&vector.columns)?;
        Ok(vector)
    }

    /// Evaluates the scalar arguments and checks those that can be wrong.
    fn parameters(&self, grid: &Grid, call: &Call, w: Window) -> Result<Parameters, EvalError> {
        let mut scalars = Vec::new();
        for argument in call.arguments.iter().filter(|a| a.value_type() == crate::Type::Scalar) {
            scalars.push(self.scalar(grid, argument)?);
        }
        let mut scalars = scalars.into_iter();
        let mut next = || scalars.next().unwrap_or_default();
        let parameters = Parameters { first: next(), second: next() };
        match w {
            Window::Quantile => self.warn_of_quantiles(&parameters.first),
            Window::Smooth => {
                let names = [("smoothing", "sf"), ("trend", "tf")];
                let factors = [&parameters.first, &parameters.second];
                for ((name, short), values) in names.iter().zip(factors) {
                    if let Some(bad) = values.iter().find(|v| **v <= 0.0 || **v >= 1.0) {
                        return Err(EvalError::BadArgument(format!(
                            "invalid {name} factor. Expected: 0 < {short} < 1, got: {bad:.6}"
                        )));
                    }
                }
            }
            _ => {}
        }
        Ok(parameters)
    }

    /// Warns of quantiles outside 0 to 1.
    pub(super) fn warn_of_quantiles(&self, quantiles: &[f64]) {
        if let Some(bad) = quantiles.iter().find(|q| !(0.0..=1.0).contains(*q)) {
            let bad = crate::number_text(*bad);
            self.warn(format!("quantile value should be between 0 and 1, got {bad}"));
        }
    }

    /// Returns why a range expression that has series gives no value: too few samples.
    fn absence_of_range(&self, range: &Expr) -> Result<Absence, EvalError> {
        match range.unwrapped() {
            Expr::Range(range) => self.absence_of(&range.selector),
            _ => Ok(Absence::EmptyByComparison),
        }
    }

    fn warn_of_rows(&self, seen: &rows::Seen, call: &Call, range: &Expr, length: i64) {
        let (name, step) = (call.function.name, duration::format(seen.step));
        if seen.has_inexact {
            self.warn(format!(
                "{name}() over {range} is not exact: archived rows of {step} stand for one sample \
                 each, their last"
            ));
        }
        if seen.has_cut {
            self.warn(format!(
                "{name}() over {range} takes whole archived rows of {step}: the windows do not \
                 begin and end on their borders"
            ));
        }
        if seen.has_widened {
            let length = duration::format(length);
            self.warn(format!(
                "{name}() over {range} looks back over {step} in the place of {length}: only \
                 archived rows of that length are left"
            ));
        }
    }

    /// Evaluates `absent_over_time`: 1 where no series has a sample in the window.
    pub(super) fn absent_over_time(&self, grid: &Grid, expr: &Expr) -> Result<Vector, EvalError> {
        let windows = self.windows(grid, expr, Need::Rows)?;
        let mut values = vec![1.0; grid.count];
        for points in &windows.series {
            for (index, value) in values.iter_mut().enumerate() {
                let (after, until) = windows.span(index);
                let newest = points.at.partition_point(|at| *at <= until);
                let is_present = newest.checked_sub(1).is_some_and(|newest| {
                    points.at[newest] > after.min(until - points.row_length(newest))
                });
                if is_present {
                    *value = UNKNOWN;
                }
            }
        }
        let columns = vec![Column { labels: labels::of_absent(expr), values }];
        Ok(Vector::new(columns, Absence::EmptyByComparison))
    }
}

/// Computes a function of raw samples at all moments.
fn slide(
    windows: &Windows,
    points: &Points,
    window: Window,
    (grid, parameters): (&Grid, &Parameters),
) -> Vec<f64> {
    let (at, value) = (points.at.as_slice(), points.value.as_slice());
    let mut values = vec![UNKNOWN; grid.count];
    let mut computer = sample::Computer::new(window, value);
    let (mut from, mut to) = (0, 0);
    for (index, result) in values.iter_mut().enumerate() {
        let (after, until) = windows.span(index);
        while to < at.len() && at[to] <= until {
            to += 1;
        }
        while from < to && at[from] <= after {
            from += 1;
        }
        if from == to {
            continue;
        }
        let slice = Slice { at: &at[from..to], value: &value[from..to], after, until };
        let first = parameters.first.get(index).copied().unwrap_or(f64::NAN);
        let second = parameters.second.get(index).copied().unwrap_or(f64::NAN);
        let told = sample::Told { from, first, second, moment: grid.at(index) };
        *result = computer.value(&slice, &told);
    }
    values
}
