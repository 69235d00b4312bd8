//! What is measured: samples, and what is known about the metric they belong to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Labels, Timestamp};

/// The value that means "unknown": asked, and there was no answer.
///
/// The bits are those of Prometheus' staleness marker (`model/value/value.go`), so that what comes
/// in by remote write and what goes out by the query API need no translation. An ordinary NaN that
/// a source computed (0/0) has other bits and is a value like any other.
pub const UNKNOWN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Tells whether a value is [`UNKNOWN`]; an ordinary NaN is not.
pub fn is_unknown(value: f64) -> bool {
    value.to_bits() == UNKNOWN.to_bits()
}

/// One value of one series at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The series.
    pub labels: Labels,
    /// When it was measured, by the clock of who measured.
    pub at: Timestamp,
    /// The value in the metric's unit, or [`UNKNOWN`].
    pub value: f64,
}

/// How wide a counter is where it is kept: what a decrease can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Width {
    /// Wraps at 2^32 (SNMP Counter32, old kernels).
    U32,
    /// Wraps at 2^64.
    U64,
    /// Does not wrap; a decrease is a reset.
    Float,
}

/// How the values of a metric are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Nothing is known; treated as a gauge.
    #[default]
    Untyped,
    /// Goes up and down.
    Gauge,
    /// Only goes up, but for wraps and resets.
    Counter(Width),
    /// What happened since the last reading (`RRDtool`'s ABSOLUTE).
    Absolute,
    /// A part of a histogram with cumulative buckets: a counter.
    Histogram,
    /// A part of a summary.
    Summary,
}

impl Kind {
    /// Tells whether a rate of the values has a meaning.
    pub fn is_counter(self) -> bool {
        matches!(self, Self::Counter(_) | Self::Histogram)
    }
}

/// What is known about all series of one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricMeta {
    /// The metric's name, the value of `__name__`.
    pub name: String,
    /// How the values are meant.
    pub kind: Kind,
    /// Base unit in the plural (`seconds`, `bytes`, `ratio`), empty when there is none.
    pub unit: String,
    /// What it means, one sentence.
    pub help: String,
}

/// What one source gives in one go.
///
/// Samples of one batch may be in any order and of several moments (a spool delivers hours).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The samples.
    pub samples: Vec<Sample>,
    /// What is known about the metrics; only those that may be new need to be repeated.
    pub metas: Vec<MetricMeta>,
    /// Since when the source's counters count (boot, start of the process); `None` when the
    /// source does not tell. A decrease with a later `started_at` than before is a reset; one
    /// with the same is a wrap of the counter's width.
    pub started_at: Option<Timestamp>,
    /// How often the source means to send; `None` when it is not regular. The store takes a
    /// silence of several of these as unknown.
    pub interval: Option<Duration>,
}

impl Batch {
    /// Returns a batch without samples.
    pub fn new() -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_is_not_an_ordinary_nan() {
        assert!(is_unknown(UNKNOWN));
        assert!(UNKNOWN.is_nan());
        assert!(!is_unknown(f64::NAN));
        assert!(!is_unknown(0.0));
    }
}
