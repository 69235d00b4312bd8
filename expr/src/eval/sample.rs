//! What functions compute of the samples of one window.
//!
//! Formulas: Prometheus 3, `promql/functions.go`.

use noroshi_model::UNKNOWN;

use super::math::{self, LANES, Lanes, Sum};
use crate::function::Window;

/// The samples of one window; at least one, none unknown.
#[derive(Clone, Copy)]
pub(crate) struct Slice<'a> {
    pub(crate) at: &'a [i64],
    pub(crate) value: &'a [f64],
    /// Where the window starts (exclusive).
    pub(crate) after: i64,
    /// Where it ends (inclusive).
    pub(crate) until: i64,
}

/// What is known beyond the samples.
pub(crate) struct Told {
    /// Index of the window's first sample among those of the series.
    pub(crate) from: usize,
    /// The first scalar argument.
    pub(crate) first: f64,
    /// The second scalar argument.
    pub(crate) second: f64,
    /// The moment of evaluation, in milliseconds.
    pub(crate) moment: i64,
}

/// Computes one function for the windows of one series.
pub(crate) struct Computer {
    window: Window,
    /// Where a counter starts again: the samples that are less than the one before.
    resets: Vec<usize>,
    /// Reused by functions that sort.
    scratch: Vec<f64>,
}

impl Computer {
    /// Prepares for the samples of one series.
    pub(crate) fn new(window: Window, value: &[f64]) -> Self {
        let is_counter = matches!(window, Window::Rate | Window::Increase);
        let mut resets = Vec::new();
        if is_counter {
            resets.extend((1..value.len()).filter(|at| value[*at] < value[at - 1]));
        }
        Self { window, resets, scratch: Vec::new() }
    }

    /// Returns the function's value; `UNKNOWN` when the samples are too few.
    pub(crate) fn value(&mut self, slice: &Slice<'_>, told: &Told) -> f64 {
        let (value, last) = (slice.value, slice.value.len() - 1);
        match self.window {
            Window::Avg => math::mean(value),
            Window::Sum => Sum::of(value),
            Window::Min => math::least(value),
            Window::Max => math::greatest(value),
            Window::Count => value.len() as f64,
            Window::First => value[0],
            Window::Last => value[last],
            Window::Present => 1.0,
            Window::Stdvar => math::variance(value),
            Window::Stddev => math::variance(value).sqrt(),
            Window::Changes => changes(value) as f64,
            Window::Resets => value.windows(2).filter(|pair| pair[1] < pair[0]).count() as f64,
            Window::Quantile => {
                self.scratch.clear();
                self.scratch.extend_from_slice(value);
                math::quantile(told.first, &mut self.scratch)
            }
            Window::Mad => self.deviation(value),
            _ if last == 0 => UNKNOWN,
            Window::Delta => extrapolated(slice, value[last] - value[0], Edges::Gauge),
            Window::Increase => extrapolated(slice, self.increase(slice, told), Edges::Counter),
            Window::Rate => {
                let seconds = (slice.until - slice.after) as f64 / 1000.0;
                extrapolated(slice, self.increase(slice, told), Edges::Counter) / seconds
            }
            Window::Idelta => value[last] - value[last - 1],
            Window::Irate => instant_rate(slice),
            Window::Deriv => regression(slice, slice.at[0]).0,
            Window::PredictLinear => {
                let (slope, now) = regression(slice, told.moment);
                slope * told.first + now
            }
            Window::Smooth => smoothed(value, told.first, told.second),
        }
    }

    /// Returns how much the counter went up from the first to the last sample.
    fn increase(&self, slice: &Slice<'_>, told: &Told) -> f64 {
        let last = slice.value.len() - 1;
        let mut increase = slice.value[last] - slice.value[0];
        let inside = self.resets.partition_point(|at| *at <= told.from);
        for at in self.resets[inside..].iter().take_while(|at| **at <= told.from + last) {
            increase += slice.value[at - 1 - told.from];
        }
        increase
    }

    /// Returns the median of the distances from the median.
    fn deviation(&mut self, value: &[f64]) -> f64 {
        self.scratch.clear();
        self.scratch.extend_from_slice(value);
        let median = math::quantile(0.5, &mut self.scratch);
        self.scratch.iter_mut().for_each(|value| *value = (*value - median).abs());
        math::quantile(0.5, &mut self.scratch)
    }
}

/// How a difference is extrapolated to the edges of a window.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edges {
    /// A counter was not below zero before its first sample.
    Counter,
    Gauge,
}

/// Extrapolates the difference between first and last sample to the whole window, as Prometheus'
/// `extrapolatedRate` does: up to the edge when it is near, else by half an interval.
fn extrapolated(slice: &Slice<'_>, difference: f64, edges: Edges) -> f64 {
    let last = slice.at.len() - 1;
    let seconds = |millis: i64| millis as f64 / 1000.0;
    let sampled = seconds(slice.at[last] - slice.at[0]);
    let interval = sampled / last as f64;
    let threshold = interval * 1.1;
    let mut to_start = seconds(slice.at[0] - slice.after);
    let mut to_end = seconds(slice.until - slice.at[last]);
    if to_start >= threshold {
        to_start = interval / 2.0;
    }
    if edges == Edges::Counter && difference > 0.0 && slice.value[0] >= 0.0 {
        let to_zero = sampled * (slice.value[0] / difference);
        to_start = to_start.min(to_zero);
    }
    if to_end >= threshold {
        to_end = interval / 2.0;
    }
    difference * ((sampled + to_start + to_end) / sampled)
}

/// Counts how often a value differs from the one before; NaN equals NaN here.
fn changes(value: &[f64]) -> usize {
    let differs = |pair: &&[f64]| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan());
    value.windows(2).filter(differs).count()
}

/// Returns the rate per second between the last two samples; after a reset it counts from zero.
fn instant_rate(slice: &Slice<'_>) -> f64 {
    let last = slice.value.len() - 1;
    let (before, now) = (slice.value[last - 1], slice.value[last]);
    let difference = if now < before { now } else { now - before };
    difference / ((slice.at[last] - slice.at[last - 1]) as f64 / 1000.0)
}

/// Returns slope per second and value at `origin` of the least-squares line.
fn regression(slice: &Slice<'_>, origin: i64) -> (f64, f64) {
    let first = slice.value[0];
    if slice.value.iter().all(|value| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = slice.value.len() as f64;
    let seconds = |index: usize| (slice.at[index] - origin) as f64 / 1000.0;
    let [mut x, mut y, mut xy, mut xx] = [Lanes::default(); 4];
    let whole = slice.value.len() / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        let at: [f64; LANES] = std::array::from_fn(|lane| seconds(start + lane));
        let value: [f64; LANES] = std::array::from_fn(|lane| slice.value[start + lane]);
        x.add(at);
        y.add(value);
        xy.add(std::array::from_fn(|lane| at[lane] * value[lane]));
        xx.add(at.map(|at| at * at));
    }
    let (mut x, mut y, mut xy, mut xx) = (x.total(), y.total(), xy.total(), xx.total());
    for index in whole..slice.value.len() {
        let (at, value) = (seconds(index), slice.value[index]);
        x.add(at);
        y.add(value);
        xy.add(at * value);
        xx.add(at * at);
    }
    let (x, y, xy, xx) = (x.total(), y.total(), xy.total(), xx.total());
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

/// Returns the smoothed last value: Holt's linear method, level by `smoothing`, trend by `trend`.
fn smoothed(value: &[f64], smoothing: f64, trend: f64) -> f64 {
    let (mut before, mut level, mut slope) = (0.0, value[0], value[1] - value[0]);
    for (index, value) in value.iter().enumerate().skip(1) {
        if index > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        (before, level) = (level, smoothing * value + (1.0 - smoothing) * (level + slope));
    }
    level
}
