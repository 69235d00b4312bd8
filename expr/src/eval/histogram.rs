//! `histogram_quantile` and `histogram_fraction` on classic buckets.
//!
//! Formulas: Prometheus 3, `promql/quantile.go` (`BucketQuantile`, `BucketFraction`,
//! `coalesceBuckets`, `ensureMonotonicAndIgnoreSmallDeltas`).

use std::collections::HashMap;

use noroshi_model::label::NAME;
use noroshi_model::{Labels, UNKNOWN, is_unknown};

use super::{Column, Context, Grid, Vector, labels};
use crate::ast::Call;
use crate::engine::{Absence, EvalError};
use crate::function::Action;

/// The label with a bucket's upper bound.
const BOUND: &str = "le";

/// Differences between neighbouring counts below this share are taken for rounding.
const TOLERANCE: f64 = 1e-12;

/// A cumulative bucket.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    bound: f64,
    /// Observations not above the bound.
    count: f64,
}

impl Context<'_> {
    pub(super) fn histogram(&self, grid: &Grid, call: &Call) -> Result<Vector, EvalError> {
        let (scalars, vector) = call.arguments.split_at(call.arguments.len() - 1);
        let mut parameters = Vec::new();
        for scalar in scalars {
            parameters.push(self.scalar(grid, scalar)?);
        }
        let is_fraction = matches!(call.function.action, Action::HistogramFraction);
        if !is_fraction {
            self.warn_of_quantiles(&parameters[0]);
        }
        let buckets = self.vector(grid, &vector[0])?;
        let had_series = !buckets.columns.is_empty();
        let mut scratch = Vec::new();
        let mut columns = Vec::new();
        for (labels, group) in self.groups(&buckets.columns) {
            self.check_time()?;
            let mut values = vec![UNKNOWN; grid.count];
            for (index, value) in values.iter_mut().enumerate() {
                scratch.clear();
                let known = group.iter().map(|(bound, c)| (*bound, c.values[index]));
                let known = known.filter(|(_, count)| !is_unknown(*count));
                scratch.extend(known.map(|(bound, count)| Bucket { bound, count }));
                if scratch.is_empty() {
                    continue;
                }
                *value = if is_fraction {
                    fraction(parameters[0][index], parameters[1][index], &mut scratch)
                } else {
                    self.quantile(parameters[0][index], &mut scratch, &labels)
                };
            }
            columns.push(Column { labels, values });
        }
        let reason = if had_series { Absence::EmptyByComparison } else { buckets.absence };
        labels::merged(Vector::new(columns, reason))
    }

    /// Returns the buckets of each histogram, by bound; series without a proper bound are left
    /// out with a warning.
    fn groups<'c>(&self, columns: &'c [Column]) -> Vec<(Labels, Vec<(f64, &'c Column)>)> {
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut groups: Vec<(Labels, Vec<(f64, &Column)>)> = Vec::new();
        for column in columns {
            let written = column.labels.get(BOUND).unwrap_or("");
            let Some(bound) = bound(written) else {
                self.warn(format!(
                    "bucket label {BOUND:?} is missing or has a malformed value of {written:?} in {}",
                    column.labels
                ));
                continue;
            };
            // Histograms of two names stay apart, and collide when their names are dropped.
            let key = labels::kept(&column.labels, |name| name != BOUND);
            let place = *places.entry(key).or_insert_with_key(|key| {
                groups.push((labels::kept(key, |name| name != NAME), Vec::new()));
                groups.len() - 1
            });
            groups[place].1.push((bound, column));
        }
        for (_, group) in &mut groups {
            group.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        groups
    }

    /// Returns a quantile; warns when counts had to be made increasing.
    fn quantile(&self, q: f64, buckets: &mut Vec<Bucket>, labels: &Labels) -> f64 {
        if q.is_nan() {
            return f64::NAN;
        }
        if !(0.0..=1.0).contains(&q) {
            return if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
        }
        if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
            return f64::NAN;
        }
        coalesce(buckets);
        if make_increasing(buckets) {
            self.warn(format!(
                "input to histogram_quantile needed to be fixed for monotonicity in {labels}"
            ));
        }
        quantile(q, buckets)
    }
}

/// Reads a bound: a number, `+Inf` or `-Inf`.
fn bound(written: &str) -> Option<f64> {
    written.parse::<f64>().ok().filter(|bound| !bound.is_nan())
}

/// Adds up the counts of neighbours with the same bound (`1` and `1.0`).
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|bucket, before| {
        let is_same = bucket.bound == before.bound;
        if is_same {
            before.count += bucket.count;
        }
        is_same
    });
}

/// Makes the counts increasing; tells whether that was more than mending roundings.
fn make_increasing(buckets: &mut [Bucket]) -> bool {
    let (mut was_forced, mut before) = (false, buckets[0].count);
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if is_almost(before, count) {
            bucket.count = before;
        } else if count < before {
            bucket.count = before;
            was_forced = true;
        } else {
            before = count;
        }
    }
    was_forced
}

/// Tells whether two counts differ only by rounding.
fn is_almost(a: f64, b: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let difference = (a - b).abs();
    let sum = a.abs() + b.abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

/// Returns a quantile (0 to 1), interpolated inside its bucket. The last bound is +Inf.
fn quantile(q: f64, buckets: &[Bucket]) -> f64 {
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if buckets.len() < 2 || observations == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * observations;
    let index = buckets[..last].partition_point(|bucket| bucket.count < rank);
    if index == last {
        return buckets[last - 1].bound;
    }
    let Bucket { bound: end, mut count } = buckets[index];
    if index == 0 && end <= 0.0 {
        return end;
    }
    let mut start = 0.0;
    if index > 0 {
        start = buckets[index - 1].bound;
        count -= buckets[index - 1].count;
        rank -= buckets[index - 1].count;
    }
    start + (end - start) * (rank / count)
}

/// Returns which share of the observations lies between two bounds.
fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets) - rank_of(lower, buckets)) / count
}

/// Returns how many observations are not above a value, interpolated inside its bucket.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let count = buckets[buckets.len() - 1].count;
    let mut rank: f64 = 0.0;
    let mut start = f64::NEG_INFINITY;
    for (index, bucket) in buckets.iter().enumerate() {
        // Observations are taken to be positive unless the first bound says otherwise.
        if index == 0 && bucket.bound > 0.0 {
            start = 0.0;
        }
        if start >= value {
            return rank.min(count);
        }
        if bucket.bound > value {
            // Nothing can be interpolated in a bucket without end.
            if start == f64::NEG_INFINITY {
                return bucket.count.min(count);
            }
            let share = (value - start) / (bucket.bound - start);
            let inside = rank + (bucket.count - rank) * share;
            return inside.min(count);
        }
        (rank, start) = (bucket.count, bucket.bound);
    }
    count
}
