//! Instant selectors: at each moment the newest sample that is not too old.

use noroshi_model::{UNKNOWN, is_unknown};

use super::load::{Need, Points};
use super::{Column, Context, Grid, Vector, labels};
use crate::ast::{Expr, Selector};
use crate::duration;
use crate::engine::EvalError;

impl Context<'_> {
    pub(super) fn instant_selector(
        &self,
        grid: &Grid,
        selector: &Selector,
    ) -> Result<Vector, EvalError> {
        self.looked_up(grid, selector, |points, index| points.value[index])
    }

    /// Evaluates `timestamp`: of a selector the samples' own moments, else the evaluation's.
    pub(super) fn timestamp(&self, grid: &Grid, argument: &Expr) -> Result<Vector, EvalError> {
        let vector = if let Expr::Selector(selector) = argument.unwrapped() {
            self.looked_up(grid, selector, |points, index| points.at[index] as f64 / 1000.0)?
        } else {
            let mut vector = self.vector(grid, argument)?;
            let seconds = grid.seconds();
            for column in &mut vector.columns {
                for (value, at) in column.values.iter_mut().zip(&seconds) {
                    *value = if is_unknown(*value) { UNKNOWN } else { *at };
                }
            }
            vector
        };
        labels::map_values(vector, |value| value)
    }

    /// Looks the newest sample up at each moment and takes `what` of it.
    fn looked_up(
        &self,
        grid: &Grid,
        selector: &Selector,
        what: impl Fn(&Points, usize) -> f64,
    ) -> Result<Vector, EvalError> {
        let moments = self.moments(grid, selector.when);
        let lookback = noroshi_model::time::millis(self.limits.lookback).max(1);
        let loaded = self.load(selector, &moments, lookback, Need::Newest)?;
        self.check_size(loaded.series.len(), grid)?;
        let mut columns = Vec::with_capacity(loaded.series.len());
        for points in loaded.series {
            self.check_time()?;
            let mut values = vec![UNKNOWN; grid.count];
            let mut next = 0;
            for (index, value) in values.iter_mut().enumerate() {
                let moment = moments.at(index);
                while next < points.at.len() && points.at[next] <= moment {
                    next += 1;
                }
                let Some(newest) = next.checked_sub(1) else { continue };
                // A row stands for its whole span: the value lasts until the next row ends.
                let reach = lookback.max(points.row_length(newest));
                let is_fresh = points.at[newest] > moment - reach;
                if is_fresh && !is_unknown(points.value[newest]) {
                    *value = what(&points, newest);
                    self.warn_of_cut_row(&points, newest, moment, selector);
                }
            }
            columns.push(Column { labels: points.labels, values });
        }
        let had_series = !columns.is_empty();
        let mut vector = Vector::new(columns, loaded.absence);
        if had_series && vector.columns.is_empty() {
            vector.absence = self.absence_of(selector)?;
        }
        Ok(vector)
    }

    /// Warns when a row holds the moment but ends later, so that an older value was taken.
    fn warn_of_cut_row(&self, points: &Points, newest: usize, moment: i64, selector: &Selector) {
        if let Some(row) = points.row_cut_at(moment, newest + 1) {
            let step = duration::format(row);
            self.warn(format!(
                "{selector} is read from archived rows of {step}: a moment inside a row shows the \
                 value at the end of the row before"
            ));
        }
    }
}
