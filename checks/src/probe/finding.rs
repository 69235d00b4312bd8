//! What a probe found, before anything judges it.

use std::collections::BTreeMap;
use std::time::Duration;

use noroshi_model::{Perfdata, Range, Status, Unit};

use crate::state::Over;

/// What a probe found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) status: Status,
    pub(crate) output: String,
    pub(crate) long_output: String,
    pub(crate) perfdata: Vec<Perfdata>,
    /// Values that become series of their own.
    pub(crate) measures: Vec<Measure>,
    /// For an expression: which series are over a threshold from now on.
    pub(crate) over: Option<BTreeMap<String, Over>>,
    /// The server itself could not look: that says nothing about what is checked.
    pub(crate) is_own_fault: bool,
    /// How long it took, where that was measured nearer to it than by whoever waits for it.
    pub(crate) took: Option<Duration>,
}

/// A value that becomes a sample with the check's labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measure {
    /// The metric's name.
    pub(crate) name: &'static str,
    /// A label and its value, besides `instance` and `check`.
    pub(crate) label: Option<(&'static str, &'static str)>,
    pub(crate) value: f64,
}

impl Measure {
    /// Makes a value without a label of its own.
    pub(crate) fn new(name: &'static str, value: f64) -> Self {
        Self { name, label: None, value }
    }

    /// Makes a duration in seconds.
    pub(crate) fn of(name: &'static str, time: Duration) -> Self {
        Self::new(name, time.as_secs_f64())
    }
}

/// What a finding has besides what becomes the result.
#[derive(Debug)]
pub(crate) struct More {
    pub(crate) measures: Vec<Measure>,
    pub(crate) judged: Judging,
}

/// What a finding tells the board besides the result.
#[derive(Debug, Default)]
pub(crate) struct Judging {
    /// For an expression: which series are over a threshold from now on.
    pub(crate) over: Option<BTreeMap<String, Over>>,
    /// The server itself could not look.
    pub(crate) is_own_fault: bool,
}

impl Finding {
    /// Returns what does not become the result.
    pub(crate) fn more(self) -> More {
        let judged = Judging { over: self.over, is_own_fault: self.is_own_fault };
        More { measures: self.measures, judged }
    }

    /// Makes a finding that has only a text.
    pub(crate) fn new(status: Status, output: impl Into<String>) -> Self {
        Self {
            status,
            output: output.into(),
            long_output: String::new(),
            perfdata: Vec::new(),
            measures: Vec::new(),
            over: None,
            is_own_fault: false,
            took: None,
        }
    }

    /// Makes the finding of a look that the server itself could not take.
    pub(crate) fn own_fault(output: impl Into<String>) -> Self {
        Self { is_own_fault: true, ..Self::unknown(output) }
    }

    /// Makes the finding of a probe that could not tell.
    pub(crate) fn unknown(output: impl Into<String>) -> Self {
        Self::new(Status::Unknown, output)
    }

    /// Makes the finding of a probe that did not end in time.
    pub(crate) fn timed_out(limit: Duration) -> Self {
        Self::new(Status::Critical, format!("timed out after {} s", limit.as_secs_f64()))
    }

    /// Makes the status worse, if `status` is worse.
    pub(crate) fn worsen(&mut self, status: Status) {
        if status.severity() > self.status.severity() {
            self.status = status;
        }
    }
}

/// Compares a duration with its limits.
pub(crate) fn judge_time(
    time: Duration,
    warning: Option<Duration>,
    critical: Option<Duration>,
) -> Status {
    if critical.is_some_and(|limit| time > limit) {
        Status::Critical
    } else if warning.is_some_and(|limit| time > limit) {
        Status::Warning
    } else {
        Status::Ok
    }
}

/// Makes the performance data of a duration.
pub(crate) fn time_data(
    label: &str,
    time: Duration,
    warning: Option<Duration>,
    critical: Option<Duration>,
) -> Perfdata {
    let range = |limit: Option<Duration>| {
        limit.map(|limit| Range { start: 0.0, end: limit.as_secs_f64(), is_inside: false })
    };
    Perfdata {
        label: label.to_owned(),
        value: Some(time.as_secs_f64()),
        unit: Unit::Seconds,
        warning: range(warning),
        critical: range(critical),
        min: Some(0.0),
        max: None,
    }
}
