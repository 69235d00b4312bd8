//! What is remembered of a check or a host from one result to the next.

use std::collections::BTreeMap;
use std::time::Duration;

use noroshi_model::{Perfdata, StateType, Status, Timestamp};

use crate::flapping::History;
use crate::step::StateStep;

/// How many bytes of an output are remembered: of its first line, and of the further ones. A
/// hundred thousand states fit into memory, and a record is far below what the store takes.
pub(crate) const OUTPUT_BYTES_MAX: usize = 8 * 1024;
/// How many bytes of the further lines of an output are remembered.
pub(crate) const LONG_OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// What is remembered of a check or a host.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_field_names, reason = "the state type is the field's own term")]
pub(crate) struct State {
    /// What was found last; `None` before the first result.
    pub(crate) status: Option<Status>,
    /// Whether that is confirmed.
    pub(crate) state_type: StateType,
    /// Which attempt it is at, from 1.
    pub(crate) attempt: u32,
    /// When the status last changed; `None` before the first result.
    pub(crate) since: Option<Timestamp>,
    /// When it was first looked at; `None` before, and for what was written before this was noted.
    pub(crate) first: Option<Timestamp>,
    /// First line of the last output.
    pub(crate) output: String,
    /// Further lines.
    pub(crate) long_output: String,
    /// Performance data of the last result.
    pub(crate) perfdata: Vec<Perfdata>,
    /// Performance data of the last result that had any: what is drawn while a failure has none.
    pub(crate) measured: Vec<Perfdata>,
    /// When the last run began.
    pub(crate) started: Option<Timestamp>,
    /// When the last run ended.
    pub(crate) finished: Option<Timestamp>,
    /// When the last result from outside came.
    pub(crate) heard: Option<Timestamp>,
    /// How late the last run began.
    pub(crate) latency: Duration,
    /// The open problem.
    pub(crate) problem: Option<Problem>,
    /// The results since the problem began, or since it is confirmed anew: none of them was fine.
    pub(crate) streak: Option<Streak>,
    /// Who took it on.
    pub(crate) acknowledgement: Option<Acknowledgement>,
    /// The last states, for flap detection.
    pub(crate) history: History,
    /// Whether it flaps.
    pub(crate) is_flapping: bool,
    /// Which of the last 64 results were problems, the newest in the lowest bit.
    pub(crate) recent: u64,
    /// Whether the problem came about while something that it needs had one: nobody was told, and
    /// it must be confirmed anew once nothing is in the way.
    pub(crate) is_blocked: bool,
    /// A confirmed problem that waits for its ancestors to be looked at before it is logged.
    pub(crate) held: Option<Held>,
    /// For a host: the last moment at which it was known not to be up.
    pub(crate) not_up_until: Option<Timestamp>,
    /// For an expression check: the status of each series that is over a threshold (hysteresis).
    pub(crate) over: BTreeMap<String, Over>,
}

/// A series that is over a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    /// What it makes the check.
    pub(crate) status: Status,
    /// When it last had a value.
    pub(crate) seen: Timestamp,
}

/// Results that were not fine, one after the other without a gap in which nothing was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Streak {
    /// When the first run ended.
    pub(crate) begun: Timestamp,
    /// When the newest run began.
    pub(crate) newest: Timestamp,
}

impl Streak {
    /// Returns how long it was not fine for certain: from the end of the first run to the beginning
    /// of the newest.
    pub(crate) fn lasted(&self) -> Duration {
        self.newest.since(self.begun)
    }
}

/// A problem, from its first result that was not OK to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Sequence number of its first event; 0 while that is not yet written.
    pub(crate) sequence: u64,
    /// Its first result that was not OK.
    pub(crate) since: Timestamp,
    /// Whether it was logged as confirmed: then its end is logged as certain too, also when it was
    /// being confirmed anew.
    pub(crate) was_confirmed: bool,
}

/// Somebody took a problem on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    /// Who.
    pub(crate) author: String,
    /// What they said.
    pub(crate) comment: String,
    /// When.
    pub(crate) at: Timestamp,
    /// When it ends by itself.
    pub(crate) until: Option<Timestamp>,
    /// Stays until OK; otherwise until any change of state.
    pub(crate) is_sticky: bool,
}

/// A change of state that is not yet logged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    /// The change.
    pub(crate) change: StateStep,
    /// When the result came that made it: ancestors must have been looked at since.
    pub(crate) at: Timestamp,
    /// When it is logged at the latest.
    pub(crate) deadline: Timestamp,
}

impl State {
    /// Returns the state before the first result: a host is taken to be up, a check to be OK.
    pub(crate) fn pending() -> Self {
        Self {
            status: None,
            state_type: StateType::Hard,
            attempt: 1,
            since: None,
            first: None,
            output: String::new(),
            long_output: String::new(),
            perfdata: Vec::new(),
            measured: Vec::new(),
            started: None,
            finished: None,
            heard: None,
            latency: Duration::ZERO,
            problem: None,
            streak: None,
            acknowledgement: None,
            history: History::default(),
            is_flapping: false,
            recent: 0,
            is_blocked: false,
            held: None,
            not_up_until: None,
            over: BTreeMap::new(),
        }
    }

    /// Tells whether there is a problem, confirmed or not.
    pub(crate) fn is_problem(&self) -> bool {
        self.status.is_some_and(Status::is_problem)
    }

    /// Tells whether a problem is still being confirmed, so that the retry interval counts.
    pub(crate) fn is_being_confirmed(&self) -> bool {
        self.is_problem() && self.state_type == StateType::Soft
    }

    /// Returns how long the last run took; zero before the first.
    pub(crate) fn run_time(&self) -> Duration {
        match (self.started, self.finished) {
            (Some(started), Some(finished)) => finished.since(started),
            _ => Duration::ZERO,
        }
    }
}
