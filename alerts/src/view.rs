//! What can be asked of this room: notifications, traces, figures.

use noroshi_model::{CheckId, Status, Timestamp};
use serde::{Deserialize, Serialize};

/// One message to one address, as pages and the API show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotificationView {
    /// Its number: 1, 2, 3.
    pub id: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Who is told.
    pub contact: String,
    /// Through what.
    pub channel: Channel,
    /// At which address.
    pub address: String,
    /// The host it is about.
    pub host: String,
    /// The check on that host; `None` for the host itself.
    pub check: Option<String>,
    /// What is said.
    pub kind: NotificationKind,
    /// The status that is told.
    pub status: Status,
    /// The problem it belongs to; 0 for a test.
    pub problem: u64,
    /// The event that caused it; `None` for a reminder, a digest or a test.
    pub event: Option<u64>,
    /// The mail's subject.
    pub subject: String,
    /// What has become of it.
    pub state: NotificationState,
    /// How often the server was asked to take it.
    pub attempts: u32,
    /// When it will be tried next; `None` when it will not.
    pub next_attempt: Option<Timestamp>,
    /// When the server took it.
    pub sent_at: Option<Timestamp>,
    /// What went wrong last; `None` when nothing did.
    pub error: Option<String>,
    /// The `Message-ID` it carries.
    pub message_id: String,
}

/// Through what somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// The whole mail, with the graph.
    Email,
    /// 160 characters.
    Pager,
}

/// What a notification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotificationKind {
    /// Something is wrong, or wrong in another way.
    Problem,
    /// It is over.
    Recovery,
    /// It still is as it was told.
    Reminder,
    /// Several changes in one message, because there were too many.
    Digest,
    /// Somebody wants to know whether mail arrives.
    Test,
}

/// What has become of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotificationState {
    /// It waits to be sent, for the first time or again.
    Queued,
    /// The mail server took it.
    Sent,
    /// It will not be sent: see the error.
    Failed,
    /// It went into a digest instead.
    Suppressed,
}

/// Why somebody was told of a change, or was not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Its number: 1, 2, 3.
    pub number: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What was decided about: `host` or `host/check`.
    pub id: CheckId,
    /// The event that asked for the decision; `None` when time did (a reminder, a verification).
    pub event: Option<u64>,
    /// What asked for it, in words: `hard problem`, `downtime ended`.
    pub trigger: String,
    /// The status at that moment.
    pub status: Status,
    /// The stages that look at the subject, in order, up to the first that stopped.
    pub steps: Vec<Step>,
    /// What was decided for each contact; empty when a stage before stopped.
    pub contacts: Vec<ContactTrace>,
}

/// What one stage decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The stage's stable name.
    pub stage: String,
    /// Whether it let the message through.
    pub passes: bool,
    /// Why.
    pub reason: String,
}

/// What was decided for one contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactTrace {
    /// The contact.
    pub contact: String,
    /// The stages that look at the contact, in order, up to the first that stopped.
    pub steps: Vec<Step>,
    /// Whether they were told.
    pub is_told: bool,
    /// The notifications that came of it.
    pub notifications: Vec<u64>,
}

/// Figures about this room, for `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Notifications that wait.
    pub queued: u64,
    /// Taken by the mail server since the start.
    pub sent_total: u64,
    /// Given up since the start.
    pub failed_total: u64,
    /// Attempts that failed and will be repeated, since the start.
    pub deferred_total: u64,
    /// How long the oldest that waits has waited, in seconds; 0 when none waits.
    pub oldest_waiting_seconds: f64,
    /// Events not yet decided.
    pub events_behind: u64,
    /// How long the last accepted mail took from the event to the server's 250, in seconds;
    /// `None` before the first.
    pub last_delay_seconds: Option<f64>,
    /// Graphs that could not be drawn in time, since the start.
    pub graphs_missed_total: u64,
}
