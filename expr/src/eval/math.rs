//! Arithmetic on single numbers and on slices of them.

/// Returns radians as degrees.
pub(crate) fn degrees(radians: f64) -> f64 {
    radians * 180.0 / std::f64::consts::PI
}

/// Returns degrees as radians.
pub(crate) fn radians(degrees: f64) -> f64 {
    degrees * std::f64::consts::PI / 180.0
}

/// Returns -1, 0 or 1; NaN and the zeros stay what they are.
pub(crate) fn sign(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

/// Returns the greater value, NaN when one is (Go's `math.Max`; `f64::max` ignores NaN).
pub(crate) fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// Returns the lesser value, NaN when one is (Go's `math.Min`).
pub(crate) fn lesser(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// Rounds to the nearest multiple, halves up (Prometheus, `promql/functions.go`, `funcRound`:
/// multiplying by the inverse keeps `round(v, 0.1)` free of artefacts).
pub(crate) fn round_to(value: f64, nearest: f64) -> f64 {
    let inverse = 1.0 / nearest;
    (value * inverse + 0.5).floor() / inverse
}

/// A sum that carries what rounding lost.
///
/// The loss of each addition is found without a branch by Knuth's two-sum ("The Art of Computer
/// Programming", volume 2, 4.2.2), so that loops over many sums become vector instructions; it is
/// the loss that the variant of Kahan's summation in Prometheus finds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        let added = total - self.sum;
        self.lost += (self.sum - (total - added)) + (value - added);
        self.sum = total;
    }

    pub(crate) fn total(self) -> f64 {
        // Beyond the largest number, what was lost is NaN and means nothing.
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }

    pub(crate) fn of(values: &[f64]) -> f64 {
        let mut lanes = Lanes::default();
        let chunks = values.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            lanes.add(std::array::from_fn(|lane| chunk[lane]));
        }
        let mut sum = lanes.total();
        for value in rest {
            sum.add(*value);
        }
        sum.total()
    }
}

/// How many sums [`Lanes`] makes at once.
pub(crate) const LANES: usize = 4;

/// Several sums at once: one alone would wait for its own last addition.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lanes {
    sum: [f64; LANES],
    lost: [f64; LANES],
}

impl Lanes {
    #[inline]
    pub(crate) fn add(&mut self, values: [f64; LANES]) {
        for (lane, value) in values.iter().enumerate() {
            let total = self.sum[lane] + value;
            let added = total - self.sum[lane];
            self.lost[lane] += (self.sum[lane] - (total - added)) + (value - added);
            self.sum[lane] = total;
        }
    }

    /// Returns the sum of all lanes, to which more may be added.
    pub(crate) fn total(self) -> Sum {
        let mut sum = Sum { sum: self.sum[0], lost: self.lost.iter().sum() };
        for lane in &self.sum[1..] {
            sum.add(*lane);
        }
        sum
    }
}

/// Returns the arithmetic mean; finite also where the sum would overflow. NaN for no values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    let plain = Sum::of(values) / values.len() as f64;
    if plain.is_finite() || values.iter().any(|value| !value.is_finite()) {
        return plain;
    }
    let mut mean = 0.0;
    for (index, value) in values.iter().enumerate() {
        mean += value / (index + 1) as f64 - mean / (index + 1) as f64;
    }
    mean
}

/// Returns the least value that is not NaN; NaN when all are.
pub(crate) fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::min)
}

/// Returns the greatest value that is not NaN; NaN when all are.
pub(crate) fn greatest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

/// Returns the variance of the whole population, by Welford's method.
pub(crate) fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (Sum::default(), Sum::default());
    for (index, value) in values.iter().enumerate() {
        let delta = value - mean.total();
        mean.add(delta / (index + 1) as f64);
        squares.add(delta * (value - mean.total()));
    }
    squares.total() / values.len() as f64
}

/// Returns a quantile of values, interpolated between neighbours; sorts them, NaN first.
///
/// Below 0 gives -Inf, above 1 +Inf, NaN and no values NaN (Prometheus, `promql/quantile.go`).
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| nan_first(*a, *b));
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// Orders numbers with NaN before all others.
pub(crate) fn nan_first(a: f64, b: f64) -> std::cmp::Ordering {
    b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_what_rounding_loses() {
        assert_eq!(Sum::of(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(Sum::of(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(Sum::of(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert_eq!(Sum::of(&[]), 0.0);
    }

    #[test]
    fn a_mean_does_not_overflow() {
        assert_eq!(mean(&[f64::MAX, f64::MAX]), f64::MAX);
        assert_eq!(mean(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
    }

    #[test]
    fn quantiles_are_interpolated() {
        // Rank 0.5 * 3 = 1.5: half way between 2 and 3.
        assert_eq!(quantile(0.5, &mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(quantile(1.0, &mut [4.0, 1.0]), 4.0);
        assert_eq!(quantile(-0.1, &mut [1.0]), f64::NEG_INFINITY);
        assert_eq!(quantile(1.1, &mut [1.0]), f64::INFINITY);
        assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan());
        assert!(quantile(0.5, &mut []).is_nan());
    }

    #[test]
    fn rounding_takes_halves_up() {
        assert_eq!(round_to(2.5, 1.0), 3.0);
        assert_eq!(round_to(-2.5, 1.0), -2.0);
        assert_eq!(round_to(0.3, 0.1), 0.3);
        assert_eq!(round_to(17.0, 5.0), 15.0);
    }
}
