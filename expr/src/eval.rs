//! Evaluates expressions over columns: one value a moment for each series.
//!
//! A moment at which a series has no value holds [`UNKNOWN`] (the bits of Prometheus' staleness
//! marker, which never is a value). Each selector is read once for all moments.

use noroshi_model::{Labels, UNKNOWN, is_unknown};

use crate::ast::{Call, Expr};
use crate::engine::{Absence, EvalError, RangeSeries};
use crate::function::Action;

mod aggregate;
mod binary;
mod context;
pub(crate) mod date;
mod histogram;
mod instant;
mod labels;
mod load;
pub(crate) mod math;
mod rows;
mod sample;
mod sort;
mod window;

pub(crate) use context::{Context, Grid};

/// One series of a result.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) labels: Labels,
    /// One a moment of the grid; [`UNKNOWN`] where there is none.
    pub(crate) values: Vec<f64>,
}

/// A set of series.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    /// None of them without any value.
    pub(crate) columns: Vec<Column>,
    /// Why there is none; [`Absence::None`] when there is one.
    pub(crate) absence: Absence,
}

/// The value of an expression at all moments of a grid.
#[derive(Clone, Debug)]
pub(crate) enum Computed {
    /// One value a moment.
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vector),
}

impl Vector {
    /// Makes a vector of those columns that have a value; `reason` tells why when none has
    /// (`None`: there were values, and the operation left none of them).
    pub(crate) fn new(mut columns: Vec<Column>, reason: Absence) -> Self {
        columns.retain(|column| !column.values.iter().all(|value| is_unknown(*value)));
        let absence = match (columns.is_empty(), reason) {
            (false, _) => Absence::None,
            (true, Absence::None) => Absence::EmptyByComparison,
            (true, reason) => reason,
        };
        Self { columns, absence }
    }
}

impl Context<'_> {
    /// Evaluates an expression that is no range at all moments of the grid.
    pub(crate) fn eval(&self, grid: &Grid, expr: &Expr) -> Result<Computed, EvalError> {
        self.check_time()?;
        let is_literal = matches!(expr, Expr::Number(_) | Expr::Text(_));
        if grid.count > 1 && !is_literal && expr.is_fixed() {
            let once = Grid { count: 1, ..grid.clone() };
            return self.repeated(self.eval(&once, expr)?, grid);
        }
        match expr {
            Expr::Number(number) => Ok(Computed::Scalar(vec![*number; grid.count])),
            Expr::Text(text) => Ok(Computed::Text(text.clone())),
            Expr::Selector(selector) => self.instant_selector(grid, selector).map(Computed::Vector),
            Expr::Paren(inner) => self.eval(grid, inner),
            Expr::Unary { is_minus: false, expr } => self.eval(grid, expr),
            Expr::Unary { is_minus: true, expr } => self.negated(grid, expr),
            Expr::Binary(binary) => self.binary(grid, binary),
            Expr::Aggregate(aggregate) => self.aggregate(grid, aggregate).map(Computed::Vector),
            Expr::Call(call) => self.call(grid, call),
            // The parser lets ranges stand only where `window_series` or a call takes them.
            Expr::Range(_) | Expr::Subquery(_) => {
                Err(EvalError::BadArgument("a range vector cannot stand here".to_owned()))
            }
        }
    }

    /// Evaluates an expression of type instant vector; a scalar becomes one series.
    pub(crate) fn vector(&self, grid: &Grid, expr: &Expr) -> Result<Vector, EvalError> {
        match self.eval(grid, expr)? {
            Computed::Vector(vector) => Ok(vector),
            Computed::Scalar(values) => Ok(single(values)),
            Computed::Text(_) => Ok(Vector { columns: Vec::new(), absence: Absence::None }),
        }
    }

    /// Evaluates an expression of type scalar.
    pub(crate) fn scalar(&self, grid: &Grid, expr: &Expr) -> Result<Vec<f64>, EvalError> {
        match self.eval(grid, expr)? {
            Computed::Scalar(values) => Ok(values),
            _ => Ok(vec![f64::NAN; grid.count]),
        }
    }

    /// Returns the value of one moment at all moments.
    fn repeated(&self, computed: Computed, grid: &Grid) -> Result<Computed, EvalError> {
        Ok(match computed {
            Computed::Scalar(values) => Computed::Scalar(vec![values[0]; grid.count]),
            Computed::Text(text) => Computed::Text(text),
            Computed::Vector(mut vector) => {
                self.check_size(vector.columns.len(), grid)?;
                for column in &mut vector.columns {
                    column.values = vec![column.values[0]; grid.count];
                }
                Computed::Vector(vector)
            }
        })
    }

    fn negated(&self, grid: &Grid, expr: &Expr) -> Result<Computed, EvalError> {
        match self.eval(grid, expr)? {
            Computed::Scalar(values) => Ok(Computed::Scalar(values.iter().map(|v| -v).collect())),
            Computed::Vector(vector) => {
                labels::map_values(vector, |value| -value).map(Computed::Vector)
            }
            text @ Computed::Text(_) => Ok(text),
        }
    }

    fn call(&self, grid: &Grid, call: &Call) -> Result<Computed, EvalError> {
        let arguments = call.arguments.as_slice();
        let first = |ctx: &Self| ctx.vector(grid, &arguments[0]);
        let vector = match call.function.action {
            Action::Pi => return Ok(Computed::Scalar(vec![std::f64::consts::PI; grid.count])),
            Action::Time => return Ok(Computed::Scalar(grid.seconds())),
            Action::Scalar => {
                return Ok(Computed::Scalar(only_values(&first(self)?, grid)));
            }
            Action::Vector => single(self.scalar(grid, &arguments[0])?),
            Action::Map(map) => labels::map_values(first(self)?, map)?,
            Action::Date(part) => {
                let of = match arguments {
                    [] => single(grid.seconds()),
                    _ => first(self)?,
                };
                labels::map_values(of, |seconds| part(seconds as i64))?
            }
            Action::Window(window) => self.over_window(grid, call, window)?,
            Action::Absent => self.absent(grid, &arguments[0])?,
            Action::AbsentOverTime => self.absent_over_time(grid, &arguments[0])?,
            Action::Clamp | Action::ClampMin | Action::ClampMax | Action::Round => {
                self.clamp(grid, call)?
            }
            Action::HistogramFraction | Action::HistogramQuantile => self.histogram(grid, call)?,
            Action::LabelJoin => labels::join(first(self)?, &self.texts(grid, &arguments[1..])?)?,
            Action::LabelReplace => {
                labels::replace(first(self)?, &self.texts(grid, &arguments[1..])?)?
            }
            Action::Sort { is_descending } => sort::by_value(first(self)?, is_descending),
            Action::SortByLabel { is_descending } => {
                sort::by_labels(first(self)?, &self.texts(grid, &arguments[1..])?, is_descending)
            }
            Action::Timestamp => self.timestamp(grid, &arguments[0])?,
        };
        Ok(Computed::Vector(vector))
    }

    /// Evaluates arguments of type string.
    fn texts(&self, grid: &Grid, arguments: &[Expr]) -> Result<Vec<String>, EvalError> {
        let text = |argument| match self.eval(grid, argument)? {
            Computed::Text(text) => Ok(text),
            _ => Ok(String::new()),
        };
        arguments.iter().map(text).collect()
    }

    /// Evaluates `clamp`, `clamp_min`, `clamp_max` and `round`.
    fn clamp(&self, grid: &Grid, call: &Call) -> Result<Vector, EvalError> {
        let mut vector = self.vector(grid, &call.arguments[0])?;
        let scalar = |index: usize, default: f64| match call.arguments.get(index) {
            Some(argument) => self.scalar(grid, argument),
            None => Ok(vec![default; grid.count]),
        };
        let (a, b) = (scalar(1, 1.0)?, scalar(2, 0.0)?);
        for column in &mut vector.columns {
            for (index, value) in column.values.iter_mut().enumerate() {
                let (a, b) = (a[index], b[index]);
                *value = match call.function.action {
                    _ if is_unknown(*value) => UNKNOWN,
                    Action::ClampMin => math::greater(a, *value),
                    Action::ClampMax => math::lesser(a, *value),
                    Action::Clamp if a > b => UNKNOWN,
                    Action::Clamp => math::greater(a, math::lesser(b, *value)),
                    _ => math::round_to(*value, a),
                };
            }
        }
        labels::map_values(vector, |value| value)
    }

    /// Evaluates `absent`: 1 where the vector is empty, with the labels that the selector names.
    fn absent(&self, grid: &Grid, argument: &Expr) -> Result<Vector, EvalError> {
        let vector = self.vector(grid, argument)?;
        let mut values = vec![1.0; grid.count];
        for column in &vector.columns {
            for (value, of_column) in values.iter_mut().zip(&column.values) {
                if !is_unknown(*of_column) {
                    *value = UNKNOWN;
                }
            }
        }
        let columns = vec![Column { labels: labels::of_absent(argument), values }];
        Ok(Vector::new(columns, Absence::EmptyByComparison))
    }
}

/// Returns a vector of one series without labels.
fn single(values: Vec<f64>) -> Vector {
    Vector { columns: vec![Column { labels: Labels::empty(), values }], absence: Absence::None }
}

/// Returns at each moment the value of the only series; NaN when there is not exactly one.
fn only_values(vector: &Vector, grid: &Grid) -> Vec<f64> {
    let value = |index: usize| {
        let mut known = vector.columns.iter().map(|c| c.values[index]).filter(|v| !is_unknown(*v));
        match (known.next(), known.next()) {
            (Some(only), None) => only,
            _ => f64::NAN,
        }
    };
    (0..grid.count).map(value).collect()
}

impl Context<'_> {
    /// Returns the samples of a range expression at the only moment of the grid, by series.
    pub(crate) fn window_series(
        &self,
        grid: &Grid,
        expr: &Expr,
    ) -> Result<Vec<RangeSeries>, EvalError> {
        let windows = self.windows(grid, expr, load::Need::Samples)?;
        let (after, until) = windows.span(0);
        let mut all = Vec::new();
        for series in windows.series {
            let from = series.at.partition_point(|at| *at <= after);
            let to = series.at.partition_point(|at| *at <= until);
            if from < to {
                let (at, value) = (series.at[from..to].to_vec(), series.value[from..to].to_vec());
                all.push(RangeSeries { labels: series.labels, at, value });
            }
        }
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(all)
    }
}
