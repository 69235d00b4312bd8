//! Moments. Durations are [`std::time::Duration`]; only moments need a type of their own.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01 00:00:00 UTC, leap seconds not counted (POSIX).
///
/// Any `i64` is valid; moments before 1970 are negative.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest moment that can be written.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest moment that can be written.
    pub const MAX: Self = Self(i64::MAX);

    /// Makes a moment from milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Makes a moment from whole seconds since 1970, saturating at the ends.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Makes a moment from seconds since 1970 with a fraction, rounded to the millisecond.
    ///
    /// Saturates at the ends; NaN gives 1970.
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * 1000.0).round() as i64)
    }

    /// Returns milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns seconds since 1970 with the milliseconds as fraction.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Returns whole seconds since 1970, rounded towards the past.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns the time from `earlier` to `self`; zero when `earlier` is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// Returns the latest multiple of `step` since 1970 that is not after `self`.
    ///
    /// A step of less than a millisecond returns `self`.
    pub fn align_down(self, step: Duration) -> Self {
        let step = millis(step);
        if step == 0 { self } else { Self(self.0 - self.0.rem_euclid(step)) }
    }
}

/// Returns a duration as milliseconds, saturating.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

impl fmt::Display for Timestamp {
    /// Writes seconds since 1970 with three decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:03}", all / 1000, all % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligning_goes_towards_the_past_also_before_1970() {
        let step = Duration::from_secs(10);
        assert_eq!(Timestamp::from_millis(12_345).align_down(step), Timestamp::from_secs(10));
        assert_eq!(Timestamp::from_secs(10).align_down(step), Timestamp::from_secs(10));
        assert_eq!(Timestamp::from_millis(-1).align_down(step), Timestamp::from_secs(-10));
    }

    #[test]
    fn time_since_a_later_moment_is_zero() {
        let (a, b) = (Timestamp::from_secs(5), Timestamp::from_secs(9));
        assert_eq!(b.since(a), Duration::from_secs(4));
        assert_eq!(a.since(b), Duration::ZERO);
        assert_eq!(Timestamp::MAX.since(Timestamp::MIN), Duration::from_millis(i64::MAX as u64));
    }

    #[test]
    fn seconds_are_written_with_three_decimals() {
        assert_eq!(Timestamp::from_millis(1_234_007).to_string(), "1234.007");
        assert_eq!(Timestamp::from_millis(-7).to_string(), "-0.007");
    }
}
