//! Functions over windows that hold consolidated rows of an archive.
//!
//! Sums, counts, extremes and increases of whole rows add up exactly. A window that cuts a row
//! takes the rows that end in it. A window shorter than the rows looks at the row that ends last.

use noroshi_model::{UNKNOWN, is_unknown};

use super::Grid;
use super::load::{Points, Rows};
use super::math::{self, Sum};
use super::sample::{Computer, Slice, Told};
use super::window::{Parameters, Windows};
use crate::function::Window;

/// What was noticed that makes a result inexact.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// A row stood for one sample in a function that needs samples.
    pub(crate) has_inexact: bool,
    /// A window began or ended inside a row.
    pub(crate) has_cut: bool,
    /// A window was shorter than its rows.
    pub(crate) has_widened: bool,
    /// The longest row's length.
    pub(crate) step: i64,
}

/// One series with rows, and the windows that slide over it.
pub(crate) struct Sliding<'a> {
    pub(crate) windows: &'a Windows,
    pub(crate) points: &'a Points,
    pub(crate) rows: &'a Rows,
}

/// One window: the rows and samples `from..to`, of which at least one is there.
#[derive(Clone, Copy)]
struct Part {
    from: usize,
    to: usize,
    after: i64,
    until: i64,
}

impl Sliding<'_> {
    /// Computes a function at all moments.
    pub(crate) fn values(
        &self,
        window: Window,
        (grid, parameters): (&Grid, &Parameters),
        seen: &mut Seen,
    ) -> Vec<f64> {
        seen.step = self.rows.step_max;
        let mut computer = Computer::new(window, &self.points.value);
        let mut values = vec![UNKNOWN; grid.count];
        for (index, value) in values.iter_mut().enumerate() {
            let Some(part) = self.part(index, seen) else { continue };
            let parameter = |of: &[f64]| of.get(index).copied().unwrap_or(f64::NAN);
            let told = Told {
                from: part.from,
                first: parameter(&parameters.first),
                second: parameter(&parameters.second),
                moment: grid.at(index),
            };
            *value = self.value(window, part, seen, (&mut computer, &told));
        }
        values
    }

    /// Returns the rows and samples of a window; `None` when there is none.
    fn part(&self, index: usize, seen: &mut Seen) -> Option<Part> {
        let (mut after, until) = self.windows.span(index);
        let at = &self.points.at;
        let to = at.partition_point(|at| *at <= until);
        let newest = to.checked_sub(1)?;
        let length = self.points.row_length(newest);
        let is_widened = length > self.windows.range;
        if is_widened {
            after = until - length;
        }
        let from = at.partition_point(|at| *at <= after);
        if from >= to {
            return None;
        }
        seen.has_widened |= is_widened;
        let cuts_first = self.rows.start[from] < after;
        seen.has_cut |= cuts_first || self.points.row_cut_at(until, to).is_some();
        Some(Part { from, to, after, until })
    }

    fn value(
        &self,
        window: Window,
        part: Part,
        seen: &mut Seen,
        (computer, told): (&mut Computer, &Told),
    ) -> f64 {
        let span = part.from..part.to;
        let share = self.windows.range as f64 / (part.until - part.after) as f64;
        let seconds = self.windows.range as f64 / 1000.0;
        match window {
            Window::Avg => Sum::of(&self.rows.sum[span.clone()]) / Sum::of(&self.rows.count[span]),
            Window::Sum => Sum::of(&self.rows.sum[span]) * share,
            Window::Count => Sum::of(&self.rows.count[span]) * share,
            Window::Min => math::least(&self.rows.min[span]),
            Window::Max => math::greatest(&self.rows.max[span]),
            Window::Last => self.points.value[part.to - 1],
            Window::Present => 1.0,
            Window::Increase if self.has_increase(part) => self.increase(part) * share,
            Window::Rate if self.has_increase(part) => self.increase(part) * share / seconds,
            _ => {
                seen.has_inexact |= span.clone().any(|index| self.points.row_length(index) > 0);
                let slice = Slice {
                    at: &self.points.at[span.clone()],
                    value: &self.points.value[span],
                    after: part.after,
                    until: part.until,
                };
                computer.value(&slice, told)
            }
        }
    }

    /// Tells whether all rows of the window know by how much a counter went up.
    fn has_increase(&self, part: Part) -> bool {
        let is_row = |index: &usize| self.points.row_length(*index) > 0;
        let mut rows = (part.from..part.to).filter(is_row).peekable();
        rows.peek().is_some() && rows.all(|index| !is_unknown(self.rows.increase[index]))
    }

    /// Returns the increase over the window: rows tell theirs, samples follow the value before.
    ///
    /// What is covered is stretched to the window's edges where less than a row (or a usual
    /// interval of samples) is missing; a longer silence adds nothing.
    fn increase(&self, part: Part) -> f64 {
        let (points, rows) = (self.points, self.rows);
        let mut sum = Sum::default();
        let mut covered_from = rows.start[part.from];
        for index in part.from..part.to {
            let value = points.value[index];
            if points.row_length(index) > 0 {
                sum.add(rows.increase[index]);
            } else if index > part.from {
                let before = points.value[index - 1];
                sum.add(if value < before { value } else { value - before });
            } else {
                covered_from = points.at[index];
            }
        }
        let last = part.to - 1;
        let covered_until = points.at[last];
        let near = |index: usize, other: usize| match points.row_length(index) {
            0 => (points.at[index] - points.at[other]).abs() * 11 / 10,
            length => length,
        };
        let is_near_start = covered_from - part.after <= near(part.from, (part.from + 1).min(last));
        let is_near_end = part.until - covered_until <= near(last, last.max(part.from + 1) - 1);
        let edge_from = if is_near_start { part.after } else { covered_from };
        let edge_until = if is_near_end { part.until } else { covered_until };
        let covered = (covered_until - covered_from) as f64;
        if covered > 0.0 {
            sum.total() * (edge_until - edge_from) as f64 / covered
        } else {
            UNKNOWN
        }
    }
}
