//! What people and programs ask of checks: results from outside, acknowledgements, downtimes.

use std::time::Duration;

use noroshi_model::{CheckId, Origin, Status, Timestamp};

/// How long a comment or an author's name may be. What a person types has no need of more.
pub const TEXT_BYTES_MAX: usize = 4096;

/// A result that somebody hands in.
#[derive(Clone, Debug, PartialEq)]
pub struct PassiveResult {
    /// For which check or host.
    pub id: CheckId,
    /// What was found. For a host OK and warning mean up, critical and unknown mean down.
    pub status: Status,
    /// The whole output as a plug-in writes it: lines, and performance data after `|`.
    pub output: String,
    /// When it was found; `None`: now.
    pub at: Option<Timestamp>,
    /// Who found it: [`Origin::Passive`] or [`Origin::Agent`].
    pub origin: Origin,
}

/// What something that calls in says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heartbeat {
    /// Its work begins: with the next call it is known how long it took.
    Begun,
    /// Its work is done.
    Done {
        /// How it went.
        status: Status,
        /// What it says, as a plug-in writes it; may be empty.
        output: String,
    },
}

/// An acknowledgement as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledge {
    /// Who takes the problem on.
    pub author: String,
    /// What they say.
    pub comment: String,
    /// Stays until OK; otherwise until any change of state.
    pub is_sticky: bool,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// A downtime as it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Downtime {
    /// Of what. A host's downtime holds for its checks too.
    pub id: CheckId,
    /// When it begins; for a flexible one, from when on a problem may start it.
    pub start: Timestamp,
    /// When it ends; for a flexible one, until when a problem may start it. After `start`.
    pub end: Timestamp,
    /// Who asks.
    pub author: String,
    /// Why.
    pub comment: String,
    /// `Some`: flexible: it begins with the first problem in the span and holds this long.
    pub duration: Option<Duration>,
    /// The downtime with which it begins, as long as it begins in its own span.
    pub triggered_by: Option<u64>,
    /// Whether the hosts reached through the host have it as well.
    pub is_for_children: bool,
}

impl Downtime {
    /// Makes a fixed downtime.
    pub fn fixed(id: CheckId, start: Timestamp, end: Timestamp, author: &str, why: &str) -> Self {
        Self {
            id,
            start,
            end,
            author: author.to_owned(),
            comment: why.to_owned(),
            duration: None,
            triggered_by: None,
            is_for_children: false,
        }
    }
}

/// Why something asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// There is no such host or check.
    #[error("there is no check {id}")]
    NoSuchCheck {
        /// What was named.
        id: CheckId,
    },
    /// There is no host of such a group.
    #[error("there is no group {group}")]
    NoSuchGroup {
        /// What was named.
        group: String,
    },
    /// Only heartbeats are called.
    #[error("{id} is no heartbeat")]
    NotAHeartbeat {
        /// What was named.
        id: CheckId,
    },
    /// Only problems are acknowledged.
    #[error("{id} has no problem to acknowledge")]
    NoProblem {
        /// What was named.
        id: CheckId,
    },
    /// It has no acknowledgement.
    #[error("the problem of {id} is not acknowledged")]
    NotAcknowledged {
        /// What was named.
        id: CheckId,
    },
    /// There is no such downtime, or it is over.
    #[error("there is no downtime {downtime}")]
    NoSuchDowntime {
        /// Its number.
        downtime: u64,
    },
    /// The times make no sense.
    #[error("the downtime must end after it starts and after now")]
    DowntimeIsEmpty,
    /// The status is one that a check of this kind cannot have.
    #[error("{id} cannot be {status}")]
    WrongStatus {
        /// What was named.
        id: CheckId,
        /// The status that was handed in.
        status: Status,
    },
    /// A text is longer than is kept.
    #[error("a text may have at most {TEXT_BYTES_MAX} bytes")]
    TextTooLong,
    /// The server is stopping. Ask again after its start.
    #[error("the checks are stopping")]
    Stopping,
}
