//! The configuration as pages and programs see it: where a host comes from, and the hosts that
//! people add while the server runs. The root package answers; it alone knows the files.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use noroshi_model::{BoxFuture, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

/// Knows the configuration, and changes the part of it that the server owns.
pub trait Configuration: Send + Sync {
    /// Returns where a host comes from; `None` when there is none of that name.
    fn source(&self, host: &str) -> BoxFuture<'_, Option<HostSource>>;

    /// Returns the hosts that were added while the server ran, by name; secrets are masked.
    fn added(&self) -> BoxFuture<'_, Result<Vec<AddedHost>, HostRefused>>;

    /// Returns what a host's table may name.
    fn choices(&self) -> BoxFuture<'_, HostChoices>;

    /// Adds or changes a host, and puts it in force. Ready when it is durable and has its checks.
    ///
    /// Errors: [`HostRefused`]; nothing was changed then.
    fn put(&self, change: HostChange) -> BoxFuture<'_, Result<HostGets, HostRefused>>;

    /// Removes a host that was added. Errors: [`HostRefused`]; nothing was changed then.
    fn remove(&self, host: &str, author: &str) -> BoxFuture<'_, Result<(), HostRefused>>;

    /// Returns parents for hosts that have none, from what their agents tell.
    fn suggested_parents(&self) -> BoxFuture<'_, Vec<SuggestedParent>>;

    /// Returns the machines that report and are no hosts, with the reason.
    fn refused_agents(&self) -> BoxFuture<'_, Vec<RefusedAgent>>;

    /// Copies what is not in the store into a backup; returns files and bytes. Blocking.
    fn back_up(&self, target: &Path) -> io::Result<(u64, u64)>;
}

/// Where a host comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HostSource {
    /// A file of the configuration.
    File {
        /// The file.
        path: String,
        /// From 1.
        line: usize,
        /// Whether there is also an added one of that name, which is not in force.
        overrides_added: bool,
    },
    /// Somebody added it while the server ran.
    Added {
        /// Who added it.
        added: Option<Signature>,
        /// Who changed it last.
        changed: Option<Signature>,
    },
    /// Its agent reported.
    Agent,
    /// It is the machine that the server runs on.
    Server,
}

/// Who did something, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// A person's name, or a token's.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A host through which another may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuggestedParent {
    /// The host that has no parents.
    pub host: String,
    /// Through which it may be reached.
    pub parent: String,
    /// Why.
    pub reason: String,
}

/// A machine that reports and is no host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedAgent {
    /// The name that it reports under.
    pub host: String,
    /// Where it reports from; empty when not known.
    pub address: String,
    /// What it tells of itself, for rules.
    pub facts: BTreeMap<String, String>,
    /// Why it is no host.
    pub reason: String,
}

/// A host that was added while the server ran.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AddedHost {
    /// Its name.
    pub name: String,
    /// Its keys as `[host.NAME]` has them, a mask in the place of each secret.
    pub table: Map<String, Value>,
    /// Who added it; `None` when the file was written by hand.
    pub added: Option<Signature>,
    /// Who changed it last.
    pub changed: Option<Signature>,
    /// Where a file of the configuration has a host of that name, which holds in its place.
    pub overridden_by: Option<String>,
    /// What is wrong with it, so that it was left out at the start; empty when it is in force.
    pub faults: Vec<String>,
}

/// What a host's table may name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostChoices {
    /// Templates of hosts, for `use`.
    pub templates: Vec<String>,
    /// Templates of checks.
    pub check_templates: Vec<String>,
    /// Groups that hosts are in, or that checks are for.
    pub groups: Vec<String>,
    /// Contacts.
    pub contacts: Vec<String>,
    /// Periods.
    pub periods: Vec<String>,
    /// Whether a table may name programs and files of the server.
    pub may_add_commands: bool,
}

/// What becomes of a host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostChange {
    /// Its name.
    pub name: String,
    /// All its keys as `[host.NAME]` has them. A masked secret means the one that is kept.
    pub table: Map<String, Value>,
    /// Whether it is new; otherwise it is there and is changed.
    pub is_new: bool,
    /// Whether it is only looked at: nothing is written.
    pub is_trial: bool,
    /// Who does it.
    pub author: String,
}

/// What a host gets by its own table, templates, groups and checks for many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HostGets {
    /// How it is seen to be up: kind of a probe, `agent` or `none`.
    pub alive: String,
    /// Its checks by name.
    pub checks: Vec<CheckGets>,
    /// Kinds of its polls.
    pub polls: Vec<String>,
}

/// A check that a host gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckGets {
    /// Its name.
    pub name: String,
    /// Kind of its probe: `http`, `plugin`, ...
    pub kind: String,
}

/// What is wrong with a submitted host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldFault {
    /// The key that it is about, its parts joined by dots (`check.ssh.interval`); `name` for the
    /// name; empty when it is about the whole.
    pub field: String,
    /// What is wrong.
    pub what: String,
    /// What to do; empty when `what` says it.
    pub advice: String,
}

/// Why a host was not added, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum HostRefused {
    /// There is one of that name.
    #[error("there is a host {name} already: {place}")]
    Exists {
        /// The name.
        name: String,
        /// Where it comes from.
        place: String,
    },
    /// None of that name was added.
    #[error("no host {name} was added: {place}")]
    NotAdded {
        /// The name.
        name: String,
        /// What there is of that name.
        place: String,
    },
    /// The table has faults.
    #[error("the host has {} fault(s)", .0.len())]
    Faults(Vec<FieldFault>),
    /// The files of the configuration have faults, so that nothing new can be put in force.
    #[error("the files of the configuration have faults; correct them first: {}", .0.join("\n"))]
    FilesHaveFaults(Vec<String>),
    /// Others would have faults without it.
    #[error("it is still named elsewhere: {}", .0.join("\n"))]
    IsNamed(Vec<String>),
    /// The file of the added hosts cannot be read or written.
    #[error("{what}")]
    File {
        /// What failed, with the file.
        what: String,
    },
}
