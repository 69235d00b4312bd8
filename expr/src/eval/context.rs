//! What an evaluation carries with it: the source, the limits, the warnings.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use noroshi_model::SeriesSource;

use crate::ast::{At, When};
use crate::engine::{Absence, EngineLimits, EvalError, Evaluated, Value};

/// How many warnings a result carries at most; more of them tell nothing new.
const WARNINGS_MAX: usize = 20;

/// The moments of an evaluation: `start + i * step` for `i` in `0..count`, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start: i64,
    /// 0 when all moments are the same (a selector fixed by `@`).
    pub(crate) step: i64,
    /// At least 1, but for a subquery between whose borders no moment lies.
    pub(crate) count: usize,
}

impl Grid {
    /// Returns a moment.
    pub(crate) fn at(&self, index: usize) -> i64 {
        self.start + self.step * index as i64
    }

    /// Returns the last moment.
    pub(crate) fn end(&self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }

    /// Returns all moments in seconds.
    pub(crate) fn seconds(&self) -> Vec<f64> {
        (0..self.count).map(|index| self.at(index) as f64 / 1000.0).collect()
    }
}

/// What an evaluation carries with it.
pub(crate) struct Context<'a> {
    pub(crate) source: &'a dyn SeriesSource,
    pub(crate) limits: &'a EngineLimits,
    /// Whether the query asks for one moment; only then the reason of emptiness is looked up.
    pub(crate) is_instant: bool,
    started: Instant,
    query_start: i64,
    query_end: i64,
    loaded: Cell<usize>,
    warnings: RefCell<Vec<String>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        source: &'a dyn SeriesSource,
        limits: &'a EngineLimits,
        (query_start, query_end): (i64, i64),
        is_instant: bool,
    ) -> Self {
        Self {
            source,
            limits,
            is_instant,
            started: Instant::now(),
            query_start,
            query_end,
            loaded: Cell::new(0),
            warnings: RefCell::default(),
        }
    }

    /// Returns the moments at which a selector looks for the moments of an evaluation.
    pub(crate) fn moments(&self, grid: &Grid, when: When) -> Grid {
        let fixed = |at: i64| Grid { start: at - when.offset, step: 0, count: grid.count };
        match when.at {
            None => Grid { start: grid.start - when.offset, ..grid.clone() },
            Some(At::Millis(at)) => fixed(at),
            Some(At::Start) => fixed(self.query_start),
            Some(At::End) => fixed(self.query_end),
        }
    }

    /// Fails when the evaluation has taken too long.
    pub(crate) fn check_time(&self) -> Result<(), EvalError> {
        if self.started.elapsed() > self.limits.duration_max {
            return Err(EvalError::TimedOut { limit: self.limits.duration_max });
        }
        Ok(())
    }

    /// Fails when a result of so many series on a grid would hold too many values.
    pub(crate) fn check_size(&self, series: usize, grid: &Grid) -> Result<(), EvalError> {
        if series.saturating_mul(grid.count) > self.limits.samples_max {
            return Err(self.too_many());
        }
        Ok(())
    }

    /// Returns how many samples may still be loaded.
    pub(crate) fn remaining(&self) -> usize {
        self.limits.samples_max.saturating_sub(self.loaded.get())
    }

    /// Counts samples that were loaded.
    pub(crate) fn charge(&self, samples: usize) -> Result<(), EvalError> {
        if samples > self.remaining() {
            return Err(self.too_many());
        }
        self.loaded.set(self.loaded.get() + samples);
        Ok(())
    }

    pub(crate) fn too_many(&self) -> EvalError {
        EvalError::TooManySamples { samples_max: self.limits.samples_max }
    }

    /// Adds a warning to the result, each text once.
    pub(crate) fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        let mut warnings = self.warnings.borrow_mut();
        if warnings.len() < WARNINGS_MAX && !warnings.contains(&text) {
            warnings.push(text);
        }
    }

    /// Ends the evaluation.
    pub(crate) fn into_evaluated(self, value: Value, absence: Absence) -> Evaluated {
        let samples_read = self.loaded.get();
        Evaluated { value, warnings: self.warnings.into_inner(), absence, samples_read }
    }
}
