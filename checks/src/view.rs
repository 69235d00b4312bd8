//! What is shown: hosts and checks as pages and the API give them out.

use std::collections::BTreeMap;

use noroshi_model::{GraphHint, Lasting, Perfdata, StateType, Status, Timestamp};
use serde::{Serialize, Serializer};

/// A check, or a host's own state, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "marks that hold each for itself")]
pub struct CheckView {
    /// The host's name.
    pub host: String,
    /// The check's name; `None` for the host itself.
    pub check: Option<String>,
    /// What it found; `None` (written `"pending"`) before the first result.
    #[serde(serialize_with = "or_pending")]
    pub status: Option<Status>,
    /// Whether that is confirmed.
    pub state_type: StateType,
    /// Which attempt the state is at, from 1.
    pub attempt: u32,
    /// At which attempt a problem is hard.
    pub attempts_max: u32,
    /// How long a problem must last to be hard, and was seen to; `None` when only attempts count.
    pub lasting: Option<Lasting>,
    /// First line of output.
    pub output: String,
    /// Further lines.
    pub long_output: String,
    /// Performance data of the last result.
    pub perfdata: Vec<Perfdata>,
    /// When the status last changed; `None` before the first result.
    pub since: Option<Timestamp>,
    /// When the last run began; `None` before the first.
    pub last_check: Option<Timestamp>,
    /// When the next run begins; `None` for a passive check without freshness.
    pub next_check: Option<Timestamp>,
    /// How long the last run took, in milliseconds.
    pub run_time_ms: f64,
    /// How late the last run began, in milliseconds.
    pub latency_ms: f64,
    /// The open problem: sequence number of its first event.
    pub problem: Option<u64>,
    /// Whether somebody took the problem on.
    pub is_acknowledged: bool,
    /// Who, and what they said.
    pub acknowledgement: Option<AcknowledgementView>,
    /// Whether a downtime of the check or of its host holds.
    pub is_in_downtime: bool,
    /// Its downtimes, those to come included.
    pub downtimes: Vec<DowntimeView>,
    /// Whether the state flaps.
    pub is_flapping: bool,
    /// Weighted share of changes among the last 20, 0 to 100.
    pub flapping_percent: f64,
    /// Whether nobody is told of its problems (`notify = false`).
    pub is_quiet: bool,
    /// Hosts that are not up and through which it is reached, nearest first.
    pub blocked_by: Vec<String>,
    /// Kind of probe: `plugin`, `expression`, `http`, ..., `none`.
    pub kind: &'static str,
    /// The expression of an expression check.
    pub expr: Option<String>,
    /// Program and arguments of a plug-in, macros not expanded (they may hold secrets).
    pub argv: Option<Vec<String>>,
    /// From one run to the next, in milliseconds.
    pub interval_ms: u64,
    /// What to do when it fails.
    pub notes: String,
    /// Where more is written.
    pub notes_url: String,
    /// Labels: the host's and above them the check's.
    pub labels: BTreeMap<String, String>,
    /// What to draw, the most telling first.
    pub graphs: Vec<GraphHint>,
    /// What people said, oldest first.
    pub comments: Vec<CommentView>,
}

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AcknowledgementView {
    /// Who.
    pub author: String,
    /// What they said.
    pub comment: String,
    /// When.
    pub at: Timestamp,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Whether it stays when the problem changes its status.
    pub is_sticky: bool,
}

/// A downtime.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DowntimeView {
    /// Its number: what cancels it.
    pub id: u64,
    /// When it begins, or may begin.
    pub start: Timestamp,
    /// When it ends, or may no longer begin.
    pub end: Timestamp,
    /// Who asked for it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// For a flexible one, how long it holds once it began, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Whether it holds now.
    pub is_active: bool,
    /// Whether it was set on the host.
    pub is_of_host: bool,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CommentView {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: String,
    /// What.
    pub text: String,
}

/// A host with what it has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostView<S = CheckView> {
    /// Its name.
    pub name: String,
    /// What to call it; its name when it has no other.
    pub alias: String,
    /// Where it is reached.
    pub address: String,
    /// Groups it belongs to.
    pub groups: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The names of those of `labels` that its agent gave it; the others are of the configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels_of_agent: Vec<String>,
    /// Hosts through which it is reached.
    pub parents: Vec<String>,
    /// Its own state.
    pub state: S,
    /// How its checks stand.
    pub counts: CheckCounts,
}

/// A host as lists show it: without what its last run found.
pub type HostRow = HostView<HostState>;

/// How a host stands, in short; the fields mean what they mean in [`CheckView`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostState {
    /// What was found; `None` (written `"pending"`) before the first result.
    #[serde(serialize_with = "or_pending")]
    pub status: Option<Status>,
    /// Whether that is confirmed.
    pub state_type: StateType,
    /// When the status last changed; `None` before the first result.
    pub since: Option<Timestamp>,
    /// Whether somebody took the problem on.
    pub is_acknowledged: bool,
    /// Whether a downtime holds.
    pub is_in_downtime: bool,
}

/// How many of all there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Hosts.
    pub hosts: HostCounts,
    /// Checks, the hosts' own not counted.
    pub checks: CheckCounts,
}

/// Hosts by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostCounts {
    /// Hosts that answer.
    pub up: u64,
    /// Hosts that do not.
    pub down: u64,
    /// Hosts that cannot be judged.
    pub unreachable: u64,
    /// Hosts not yet looked at.
    pub pending: u64,
}

/// Checks by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckCounts {
    /// Checks that found what they should.
    pub ok: u64,
    /// Checks that want a look.
    pub warning: u64,
    /// Checks that found something broken.
    pub critical: u64,
    /// Checks that could not tell.
    pub unknown: u64,
    /// Checks not yet run.
    pub pending: u64,
}

impl HostCounts {
    /// Counts one host.
    pub fn add(&mut self, status: Option<Status>) {
        *self.of(status) += 1;
    }

    /// Takes one host back that was counted.
    pub(crate) fn remove(&mut self, status: Option<Status>) {
        *self.of(status) -= 1;
    }

    fn of(&mut self, status: Option<Status>) -> &mut u64 {
        match status {
            None => &mut self.pending,
            Some(Status::Down) => &mut self.down,
            Some(Status::Unreachable) => &mut self.unreachable,
            Some(_) => &mut self.up,
        }
    }
}

impl CheckCounts {
    /// Counts one check.
    pub fn add(&mut self, status: Option<Status>) {
        *self.of(status) += 1;
    }

    /// Takes one check back that was counted.
    pub(crate) fn remove(&mut self, status: Option<Status>) {
        *self.of(status) -= 1;
    }

    fn of(&mut self, status: Option<Status>) -> &mut u64 {
        match status {
            None => &mut self.pending,
            Some(Status::Warning) => &mut self.warning,
            Some(Status::Critical) => &mut self.critical,
            Some(Status::Unknown) => &mut self.unknown,
            Some(_) => &mut self.ok,
        }
    }
}

/// Writes a status, or `"pending"`.
#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
fn or_pending<S: Serializer>(status: &Option<Status>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.map_or("pending", Status::as_str))
}
