//! What happened to hosts and checks: the entries of the event log.
//!
//! `checks` writes them, in one commit with the state that they changed; `alerts` reads the log
//! from where it left off, so that a kill between the two loses nothing; `web` shows them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::quantity::format_duration;
use crate::{CheckId, StateType, Status, Timestamp};

/// One entry of the event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Place in the log: 1, 2, 3, without holes; key of the record (big-endian).
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
    /// To what.
    pub id: CheckId,
    /// What happened.
    pub body: EventBody,
}

/// The first byte of a written event. A reader refuses what it does not know.
const EVENT_VERSION: u8 = 1;

impl Event {
    /// Returns the key of the record in [`crate::Space::Events`]: the sequence number, big-endian,
    /// so that the order of keys is the order of events.
    pub fn key(sequence: u64) -> [u8; 8] {
        sequence.to_be_bytes()
    }

    /// Returns the record's value: one byte of version (1), then the event as JSON.
    ///
    /// # Panics
    ///
    /// Never: writing to a vector cannot fail, and an event holds no map whose keys are not text.
    pub fn to_record(&self) -> Vec<u8> {
        let mut record = vec![EVENT_VERSION];
        serde_json::to_writer(&mut record, self).expect("an event can always be written as JSON");
        record
    }

    /// Reads what [`Event::to_record`] wrote.
    ///
    /// Errors: [`EventError`] when the version is another or the JSON is damaged.
    pub fn from_record(record: &[u8]) -> Result<Self, EventError> {
        match record.split_first() {
            Some((&EVENT_VERSION, json)) => {
                serde_json::from_slice(json).map_err(EventError::Damaged)
            }
            version => Err(EventError::Version { version: version.map(|(v, _)| *v) }),
        }
    }
}

/// Why an event could not be read from its record.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Another program, or a later version of this one, wrote it.
    #[error("an event of version {version:?} cannot be read, only of version {EVENT_VERSION}")]
    Version {
        /// The first byte; `None` when the record is empty.
        version: Option<u8>,
    },
    /// It is not an event.
    #[error("an event is damaged")]
    Damaged(#[source] serde_json::Error),
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// The status or the state type became different.
    State(Box<StateChange>),
    /// Somebody took a problem on.
    Acknowledged {
        /// The problem.
        problem: u64,
        /// Who.
        author: String,
        /// What they said.
        comment: String,
        /// Stays until OK; otherwise until any change of state.
        is_sticky: bool,
        /// When it ends by itself; `None` when it does not.
        until: Option<Timestamp>,
    },
    /// An acknowledgement ended.
    Unacknowledged {
        /// The problem.
        problem: u64,
        /// Who removed it, or why it ended by itself.
        author: String,
    },
    /// A downtime began to hold.
    DowntimeStarted {
        /// The downtime.
        downtime: u64,
        /// Who asked for it.
        author: String,
        /// Why.
        comment: String,
        /// When it will end.
        until: Timestamp,
    },
    /// A downtime ended.
    DowntimeEnded {
        /// The downtime.
        downtime: u64,
        /// Whether somebody ended it before its time.
        is_cancelled: bool,
        /// The status at that moment, and what to say about it.
        status: Status,
    },
    /// The state began to flap.
    FlappingStarted {
        /// Weighted share of changes, 0 to 100.
        percent: f64,
    },
    /// The state stopped flapping.
    FlappingStopped {
        /// Weighted share of changes, 0 to 100.
        percent: f64,
        /// The status in which it came to rest.
        status: Status,
    },
    /// An event handler ran.
    HandlerRan {
        /// The program or URL as configured, macros not expanded.
        what: String,
        /// Whether it did what it should: exit 0, or HTTP 200 to 299.
        is_ok: bool,
        /// First line of what it said, or why it failed.
        output: String,
        /// How long it took.
        run_time_ms: u64,
        /// The status that it ran for.
        status: Status,
        /// Whether that was confirmed.
        state_type: StateType,
    },
    /// Somebody added, changed or removed the host in the UI, by the API or on the command line.
    Configured {
        /// Who.
        author: String,
        /// What they did.
        change: ConfigChange,
    },
    /// Somebody said something.
    Commented {
        /// Who.
        author: String,
        /// What.
        comment: String,
    },
}

impl EventBody {
    /// Tells whether a downtime began or ended.
    pub fn is_of_downtime(&self) -> bool {
        matches!(self, Self::DowntimeStarted { .. } | Self::DowntimeEnded { .. })
    }
}

/// What somebody did to a host of the server's own file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigChange {
    /// It is new.
    Added,
    /// It has other keys than before.
    Changed,
    /// It is gone.
    Removed,
}

/// Why a state change was logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Not OK for the first time, not yet confirmed.
    SoftProblem,
    /// OK again before it was confirmed: nobody was told, nobody needs to be.
    SoftRecovery,
    /// Confirmed, or a confirmed problem that changed its status.
    HardProblem,
    /// A confirmed problem is over.
    HardRecovery,
    /// A volatile check's further problem, confirmed again.
    HardRepeat,
}

/// A change of state, with all that a notification needs: nothing is looked up later, when it may
/// have changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateChange {
    /// Why it was logged.
    pub kind: ChangeKind,
    /// Status before.
    pub previous: Status,
    /// Status now.
    pub status: Status,
    /// State type now.
    pub state_type: StateType,
    /// Which attempt this was, from 1.
    pub attempt: u32,
    /// At which attempt a problem becomes hard.
    pub attempts_max: u32,
    /// How long it had lasted; `None` when only attempts count, and in what earlier versions wrote.
    #[serde(default)]
    pub lasting: Option<Lasting>,
    /// The problem, from its first soft result to its end: sequence number of its first event.
    /// The recovery carries it too.
    pub problem: u64,
    /// When the problem began: its first result that was not OK.
    pub since: Timestamp,
    /// First line of output.
    pub output: String,
    /// Further lines.
    pub long_output: String,
    /// Whether a downtime holds.
    pub is_in_downtime: bool,
    /// Whether the problem is acknowledged.
    pub is_acknowledged: bool,
    /// Whether the state flaps.
    pub is_flapping: bool,
    /// What is in its way, nearest first: hosts that are not up, `host/check` for checks that it
    /// depends on. The root is the last.
    pub blocked_by: Vec<String>,
    /// How much is reached through it or depends on it.
    #[serde(default)]
    pub behind: Behind,
    /// What it is about.
    pub subject: Subject,
}

/// How long a problem must last to be hard (`for`), and how long it was seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lasting {
    /// From the end of the first run that found it to the beginning of the newest, in milliseconds;
    /// 0 while there is no problem. A gap in which nothing was measured begins it anew.
    pub seen_ms: u64,
    /// How long it must be, in milliseconds.
    pub needed_ms: u64,
}

impl fmt::Display for Lasting {
    /// Writes `bad for 2 min of 5 min` while it has not lasted long enough, then `bad for 6 min`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |millis| format_duration(Duration::from_millis(millis));
        write!(f, "bad for {}", text(self.seen_ms))?;
        if self.seen_ms < self.needed_ms {
            write!(f, " of {}", text(self.needed_ms))
        } else {
            Ok(())
        }
    }
}

/// How many hosts and checks are reached through something or depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// Hosts.
    pub hosts: u32,
    /// Checks; of a host, its own too.
    pub checks: u32,
}

/// What is told about a host or check besides its state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The host's address, as configured.
    pub address: String,
    /// What to call the host when not by its name; empty when it has no other name.
    pub alias: String,
    /// The host's groups.
    pub groups: Vec<String>,
    /// Labels for routing.
    pub labels: BTreeMap<String, String>,
    /// Contacts named by the check or its host; empty: the routes decide alone.
    pub contacts: Vec<String>,
    /// Whether nobody is to be told of its problems. Left out by earlier versions.
    #[serde(default)]
    pub is_quiet: bool,
    /// What to do, for whoever is woken.
    pub notes: String,
    /// Where more is written; empty when nowhere.
    pub notes_url: String,
    /// What to draw, the most telling first.
    pub graphs: Vec<GraphHint>,
}

/// An expression worth drawing beside a state change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GraphHint {
    /// `PromQL`, without the comparison.
    pub expr: String,
    /// Title.
    pub title: String,
    /// Unit of the values (`bytes`, `seconds`, `percent`, `ratio`), empty for none.
    pub unit: String,
    /// Where warning begins.
    pub warning: Option<f64>,
    /// Where critical begins.
    pub critical: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_back_from_its_record() {
        let event = Event {
            sequence: 7,
            at: Timestamp::from_secs(100),
            id: CheckId::check("web1", "http"),
            body: EventBody::FlappingStarted { percent: 31.5 },
        };
        let record = event.to_record();
        assert_eq!(record[0], 1);
        assert_eq!(Event::from_record(&record).unwrap(), event);
        assert!(Event::key(255) < Event::key(256));
    }

    #[test]
    fn records_of_other_versions_and_damaged_ones_are_refused() {
        assert!(matches!(Event::from_record(&[]), Err(EventError::Version { version: None })));
        let of_the_future = Event::from_record(&[2, b'{']);
        assert!(matches!(of_the_future, Err(EventError::Version { version: Some(2) })));
        assert!(matches!(Event::from_record(&[1, b'{']), Err(EventError::Damaged(_))));
    }
}
