//! Checks as the rooms speak of them: which one, and what one run of it returned.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Status, Timestamp};

/// Names a check on a host, or the host itself.
///
/// Ordered by host, the host itself before its checks. Written `host/check`; only the first slash
/// divides, so that a check's name may hold slashes and a host's may not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckId {
    /// The host's name.
    pub host: Arc<str>,
    /// The check's name on that host; `None` for the host's own state.
    pub check: Option<Arc<str>>,
}

impl CheckId {
    /// Names a host.
    pub fn host(host: &str) -> Self {
        Self { host: host.into(), check: None }
    }

    /// Names a check on a host.
    pub fn check(host: &str, check: &str) -> Self {
        Self { host: host.into(), check: Some(check.into()) }
    }

    /// Tells whether it names a host.
    pub fn is_host(&self) -> bool {
        self.check.is_none()
    }

    /// Reads `host` or `host/check`.
    pub fn parse(text: &str) -> Self {
        match text.split_once('/') {
            Some((host, check)) => Self::check(host, check),
            None => Self::host(text),
        }
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.check {
            Some(check) => write!(f, "{}/{check}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// Where a result came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The scheduler ran the check.
    Active,
    /// Somebody handed the result in.
    Passive,
    /// A host's agent ran the check.
    Agent,
    /// Nothing came in the time allowed: freshness.
    Stale,
}

/// What one run of a check returned.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckResult {
    /// The check.
    pub id: CheckId,
    /// What it found, before the state machine judges it. For a host one of up and down.
    pub status: Status,
    /// First line of output, trimmed, valid UTF-8.
    pub output: String,
    /// Further lines, joined by newline.
    pub long_output: String,
    /// Performance data, in the order of the output.
    pub perfdata: Vec<Perfdata>,
    /// When the run began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How late it began after it was due.
    pub latency: Duration,
    /// Where it came from.
    pub origin: Origin,
}

/// One value of a plug-in's performance data, in a base unit.
///
/// Source: Monitoring Plugins, developer guidelines, "Performance data".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Perfdata {
    /// The label without its quotes.
    pub label: String,
    /// The value in `unit`; `None` when the plug-in wrote `U` (undetermined).
    pub value: Option<f64>,
    /// The base unit that value, thresholds and bounds are in.
    pub unit: Unit,
    /// Values for which it warns.
    pub warning: Option<Range>,
    /// Values for which it is critical.
    pub critical: Option<Range>,
    /// Least possible value.
    pub min: Option<f64>,
    /// Greatest possible value.
    pub max: Option<f64>,
}

/// The base unit of a value: what remains of `ms`, `KB`, `GiB` after scaling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A plain number.
    #[default]
    None,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bits.
    Bits,
    /// Per cent, 0 to 100 (not a ratio: thresholds are written in per cent).
    Percent,
    /// A counter (`c`).
    Counter,
    /// Any other unit, as the plug-in wrote it.
    Other(String),
}

impl Unit {
    /// Returns the name used as the label `unit` of `noroshi_perfdata`; empty for a plain number.
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "",
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
            Self::Bits => "bits",
            Self::Percent => "percent",
            Self::Counter => "counter",
            Self::Other(name) => name,
        }
    }
}

/// A threshold range of the plug-in guidelines: `[@][start:]end`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Lower end, inclusive; `-inf` for `~` (in JSON null).
    #[serde(with = "lower_end")]
    pub start: f64,
    /// Upper end, inclusive; `+inf` when left out after a colon (in JSON null).
    #[serde(with = "upper_end")]
    pub end: f64,
    /// `@`: alert inside (ends included) instead of outside.
    pub is_inside: bool,
}

impl Range {
    /// Tells whether a value alerts. NaN never does: it is unknown, which the caller tells apart.
    ///
    /// Source: Monitoring Plugins, developer guidelines, "Threshold and Ranges".
    pub fn alerts(&self, value: f64) -> bool {
        if value.is_nan() {
            return false;
        }
        (self.start <= value && value <= self.end) == self.is_inside
    }
}

impl fmt::Display for Range {
    /// Writes the range as the guidelines do, in its shortest form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_inside {
            f.write_str("@")?;
        }
        if self.start == f64::NEG_INFINITY {
            f.write_str("~:")?;
        } else if self.start != 0.0 || self.end == f64::INFINITY {
            write!(f, "{}:", self.start)?;
        }
        if self.end == f64::INFINITY { Ok(()) } else { write!(f, "{}", self.end) }
    }
}

/// JSON has no infinity: an open lower end is null.
mod lower_end {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(end: &f64, to: S) -> Result<S::Ok, S::Error> {
        if end.is_finite() { to.serialize_some(end) } else { to.serialize_none() }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::NEG_INFINITY))
    }
}

/// An open upper end is null as well.
mod upper_end {
    use serde::{Deserialize, Deserializer};

    pub(super) use super::lower_end::serialize;

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_named_by_host_and_check() {
        assert_eq!(CheckId::parse("web1"), CheckId::host("web1"));
        assert_eq!(CheckId::parse("web1/disk /var"), CheckId::check("web1", "disk /var"));
        assert_eq!(CheckId::parse("web1/disk /var").to_string(), "web1/disk /var");
        assert!(CheckId::host("web1") < CheckId::check("web1", "a"));
        assert!(CheckId::check("web1", "z") < CheckId::host("web2"));
    }

    #[test]
    fn ranges_alert_as_the_guidelines_say() {
        let infinity = f64::INFINITY;
        // text, start, end, inside, values that alert, values that do not
        type Case = (&'static str, f64, f64, bool, &'static [f64], &'static [f64]);
        let cases: [Case; 5] = [
            ("10", 0.0, 10.0, false, &[-0.1, 10.1], &[0.0, 10.0]),
            ("10:", 10.0, infinity, false, &[9.9], &[10.0, 1e300]),
            ("~:10", -infinity, 10.0, false, &[10.1], &[10.0, -1e300]),
            ("10:20", 10.0, 20.0, false, &[9.9, 20.1], &[10.0, 20.0]),
            ("@10:20", 10.0, 20.0, true, &[10.0, 20.0], &[9.9, 20.1, f64::NAN]),
        ];
        for (text, start, end, is_inside, alerting, fine) in cases {
            let range = Range { start, end, is_inside };
            assert_eq!(range.to_string(), text);
            let json = serde_json::to_string(&range).unwrap();
            assert_eq!(serde_json::from_str::<Range>(&json).unwrap(), range, "{json}");
            assert!(alerting.iter().all(|value| range.alerts(*value)), "{text}");
            assert!(!fine.iter().any(|value| range.alerts(*value)), "{text}");
        }
    }
}
