//! What is kept: keys and values of this room's records. The layout is drawn in `README.md`.
//!
//! A value is one byte of version and JSON. One of another version, or a damaged one, is logged and
//! counts as not there: one bad record must not silence all alarms.

use std::collections::BTreeMap;

use noroshi_model::event::EventError;
use noroshi_model::{
    CheckId, Event, RecordBatch, RecordError, Records, Space, StateChange, Status, Timestamp,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::view::{Channel, NotificationKind, NotificationState, NotificationView, Trace};

/// The version of all values written here.
const VERSION: u8 = 1;

/// Stands between the parts of a key: no UTF-8 text holds it.
const DIVIDER: u8 = 0xff;

/// Stands for the host itself in the place of a check's name: sorts before every name.
const HOST_ITSELF: u8 = 0x00;

/// Why what is kept could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Reading failed.
    #[error("cannot read what alerts remember ({what})")]
    Read {
        /// Which records.
        what: &'static str,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// Writing failed; nothing was changed.
    #[error("cannot write what alerts decided")]
    Write(#[source] RecordError),
}

/// What is remembered of a host or check: the events so far, folded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The last hard change; `None` when none was seen.
    pub(crate) last: Option<HardChange>,
    /// Whether the problem is acknowledged.
    pub(crate) is_acknowledged: bool,
    /// Whether the state flaps.
    pub(crate) is_flapping: bool,
    /// Whether the last change said that a downtime holds that is not in `downtimes`.
    pub(crate) is_in_downtime: bool,
    /// Downtimes that began, with their planned end.
    pub(crate) downtimes: BTreeMap<u64, Timestamp>,
    /// Ancestors that were not up at the last change, nearest first.
    pub(crate) blocked_by: Vec<String>,
}

/// A hard change, with the event that brought it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HardChange {
    /// The event.
    pub(crate) event: u64,
    /// When it happened.
    pub(crate) at: Timestamp,
    /// What it said.
    pub(crate) change: StateChange,
}

impl Memory {
    /// Returns the hard status, or `None` when nothing is wrong as far as is known.
    pub(crate) fn problem(&self) -> Option<&HardChange> {
        self.last.as_ref().filter(|last| last.change.status.is_problem())
    }

    /// Tells whether forgetting it loses nothing.
    pub(crate) fn is_plain(&self) -> bool {
        self.problem().is_none()
            && !self.is_flapping
            && !self.is_in_downtime
            && self.downtimes.is_empty()
    }
}

/// What a contact was last told about a host or check: the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The problem.
    pub(crate) problem: u64,
    /// The status they believe in.
    pub(crate) status: Status,
    /// When it was last told.
    pub(crate) at: Timestamp,
    /// Notifications that carried it: it holds when one of them arrives.
    pub(crate) by: Vec<u64>,
    /// What they believed before, for the case that none of them arrives.
    pub(crate) before: Option<Belief>,
    /// The first mail of the problem at each address, which later ones answer.
    pub(crate) threads: BTreeMap<String, String>,
}

impl Told {
    /// Returns what they believe when a notification did not arrive; `None` when that is nothing.
    pub(crate) fn without(mut self, number: u64) -> Option<Self> {
        if let Some(before) = &mut self.before {
            before.by.retain(|other| *other != number);
            if before.by.is_empty() {
                self.before = None;
            }
        }
        self.by.retain(|other| *other != number);
        if !self.by.is_empty() {
            return Some(self);
        }
        let Belief { problem, status, at, by } = self.before.take()?;
        Some(Self { problem, status, at, by, ..self })
    }
}

/// A status that somebody believes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Belief {
    /// The problem.
    pub(crate) problem: u64,
    /// The status.
    pub(crate) status: Status,
    /// When it was told.
    pub(crate) at: Timestamp,
    /// Notifications that carried it.
    pub(crate) by: Vec<u64>,
}

impl Belief {
    /// Returns what somebody believes who was told so.
    pub(crate) fn of(told: &Told) -> Self {
        Self { problem: told.problem, status: told.status, at: told.at, by: told.by.clone() }
    }
}

/// One message to one address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Notification {
    pub(crate) number: u64,
    pub(crate) at: Timestamp,
    pub(crate) contact: String,
    pub(crate) channel: Channel,
    pub(crate) address: String,
    pub(crate) id: CheckId,
    pub(crate) kind: NotificationKind,
    pub(crate) status: Status,
    pub(crate) problem: u64,
    pub(crate) event: Option<u64>,
    pub(crate) subject: String,
    pub(crate) message_id: String,
    /// The first mail of the same problem at the same address.
    pub(crate) answers: Option<String>,
    pub(crate) state: NotificationState,
    pub(crate) attempts: u32,
    pub(crate) next_attempt: Timestamp,
    pub(crate) sent_at: Option<Timestamp>,
    pub(crate) error: Option<String>,
    /// What the message is written from; dropped when it is no longer needed.
    pub(crate) letter: Option<Letter>,
}

/// What a message is written from: all of it was true when it was decided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Letter {
    /// The change; `None` for a test or a digest.
    pub(crate) change: Option<HardChange>,
    /// The status that the contact believed in before.
    pub(crate) believed: Option<Status>,
    /// Why this contact is told, one reason a line.
    pub(crate) reasons: Vec<String>,
    /// Other open problems on the same host; for a digest, the changes that it gathers.
    pub(crate) others: Vec<Other>,
    /// How many more there are than `others` lists.
    pub(crate) others_left_out: usize,
}

/// Another problem, in one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Other {
    pub(crate) id: CheckId,
    pub(crate) status: Status,
    pub(crate) since: Timestamp,
    pub(crate) output: String,
}

impl Notification {
    /// Returns what pages show.
    pub(crate) fn view(&self) -> NotificationView {
        let waits = self.state == NotificationState::Queued;
        NotificationView {
            id: self.number,
            at: self.at,
            contact: self.contact.clone(),
            channel: self.channel,
            address: self.address.clone(),
            host: self.id.host.to_string(),
            check: self.id.check.as_deref().map(str::to_owned),
            kind: self.kind,
            status: self.status,
            problem: self.problem,
            event: self.event,
            subject: self.subject.clone(),
            state: self.state,
            attempts: self.attempts,
            next_attempt: waits.then_some(self.next_attempt),
            sent_at: self.sent_at,
            error: self.error.clone(),
            message_id: self.message_id.clone(),
        }
    }
}

// ------------------------------------------------------------------------------------------ keys

/// The newest event that was decided; in [`Space::Queue`].
pub(crate) const CURSOR: &[u8] = b"cursor";

/// The name of this installation in `Message-ID`s; in [`Space::Values`].
pub(crate) const SITE: &[u8] = b"alerts/site";

/// Who could be reached when that was last looked at; in [`Space::Values`].
pub(crate) const REACHABLE: &[u8] = b"alerts/reachable";

/// All notifications; in [`Space::Queue`].
pub(crate) const NOTIFICATIONS: &[u8] = b"n";

/// Those that wait; in [`Space::Queue`].
pub(crate) const WAITING: &[u8] = b"w";

/// Those that wait for a digest, by contact; in [`Space::Queue`].
pub(crate) const GATHERED: &[u8] = b"g";

/// All memories; in [`Space::Ledger`].
pub(crate) const MEMORIES: &[u8] = b"m";

/// All that was told; in [`Space::Ledger`].
pub(crate) const TOLD: &[u8] = b"t";

/// Traces by subject; in [`Space::Traces`].
pub(crate) const TRACES: &[u8] = b"t";

/// Subjects of traces by number; in [`Space::Traces`].
pub(crate) const TRACE_ORDER: &[u8] = b"o";

/// Returns the part of a key that is one name, a divider at its end.
fn named_part(name: &str) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.push(DIVIDER);
    key
}

/// Returns the part of a key that names a host or check, a divider at its end.
fn id_part(id: &CheckId) -> Vec<u8> {
    let mut key = named_part(&id.host);
    match &id.check {
        Some(check) => key.extend_from_slice(check.as_bytes()),
        None => key.push(HOST_ITSELF),
    }
    key.push(DIVIDER);
    key
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

pub(crate) fn notification_key(number: u64) -> Vec<u8> {
    joined(&[NOTIFICATIONS, &number.to_be_bytes()])
}

pub(crate) fn waiting_key(number: u64) -> Vec<u8> {
    joined(&[WAITING, &number.to_be_bytes()])
}

pub(crate) fn gathered_key(contact: &str, number: u64) -> Vec<u8> {
    joined(&[GATHERED, &named_part(contact), &number.to_be_bytes()])
}

pub(crate) fn memory_key(id: &CheckId) -> Vec<u8> {
    joined(&[MEMORIES, &id_part(id)])
}

/// Returns the prefix of the memories of a host and its checks.
pub(crate) fn memories_of_host(host: &str) -> Vec<u8> {
    joined(&[MEMORIES, &named_part(host)])
}

/// Returns the prefix of what all contacts were told about a host or check.
pub(crate) fn told_prefix(id: &CheckId) -> Vec<u8> {
    joined(&[TOLD, &id_part(id)])
}

pub(crate) fn told_key(id: &CheckId, contact: &str) -> Vec<u8> {
    joined(&[TOLD, &id_part(id), contact.as_bytes()])
}

/// Returns the prefix of the traces of a host or check.
pub(crate) fn traces_prefix(id: &CheckId) -> Vec<u8> {
    joined(&[TRACES, &id_part(id)])
}

pub(crate) fn trace_key(id: &CheckId, number: u64) -> Vec<u8> {
    joined(&[TRACES, &id_part(id), &number.to_be_bytes()])
}

pub(crate) fn trace_order_key(number: u64) -> Vec<u8> {
    joined(&[TRACE_ORDER, &number.to_be_bytes()])
}

/// Reads host, check and the rest (a contact) out of a key of [`MEMORIES`] or [`TOLD`].
pub(crate) fn id_of_key(key: &[u8]) -> Option<(CheckId, String)> {
    let mut parts = key.get(1..)?.splitn(3, |byte| *byte == DIVIDER);
    let host = std::str::from_utf8(parts.next()?).ok()?;
    let check = parts.next()?;
    let rest = std::str::from_utf8(parts.next()?).ok()?;
    let id = if check == [HOST_ITSELF] {
        CheckId::host(host)
    } else {
        CheckId::check(host, std::str::from_utf8(check).ok()?)
    };
    Some((id, rest.to_owned()))
}

/// Returns the number at the end of a key.
pub(crate) fn number_of_key(key: &[u8]) -> Option<u64> {
    let (_, number) = key.split_last_chunk::<8>()?;
    Some(u64::from_be_bytes(*number))
}

// ---------------------------------------------------------------------------------------- values

fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, value)
        .expect("writing to memory does not fail, and no map here has keys that are no text");
    bytes
}

fn decode<T: DeserializeOwned>(what: &'static str, key: &[u8], bytes: &[u8]) -> Option<T> {
    let error = match bytes.split_first() {
        Some((&VERSION, json)) => match serde_json::from_slice(json) {
            Ok(value) => return Some(value),
            Err(error) => error.to_string(),
        },
        _ => "it is of another version".to_owned(),
    };
    tracing::error!(what, key = %key.escape_ascii(), error, "a record cannot be read");
    None
}

/// Adds a write of a value of this room.
pub(crate) fn put(batch: &mut RecordBatch, space: Space, key: Vec<u8>, value: &impl Serialize) {
    batch.put(space, key, encode(value));
}

/// Adds the writes of a notification: itself, and its place among those that wait.
pub(crate) fn put_notification(batch: &mut RecordBatch, notification: &Notification) {
    let number = notification.number;
    if notification.state == NotificationState::Queued {
        batch.put(Space::Queue, waiting_key(number), Vec::new());
    } else {
        batch.remove(Space::Queue, waiting_key(number));
    }
    put(batch, Space::Queue, notification_key(number), notification);
}

/// Adds the writes of a trace: itself, and its place in the order of all.
pub(crate) fn put_trace(batch: &mut RecordBatch, trace: &Trace) {
    put(batch, Space::Traces, trace_key(&trace.id, trace.number), trace);
    put(batch, Space::Traces, trace_order_key(trace.number), &(&trace.id, trace.at));
}

/// Returns one value; `None` when there is none.
pub(crate) fn value<T: DeserializeOwned>(
    records: &dyn Records,
    space: Space,
    what: &'static str,
    key: &[u8],
) -> Result<Option<T>, StateError> {
    let found = records.get(space, key).map_err(|source| StateError::Read { what, source })?;
    Ok(found.and_then(|bytes| decode(what, key, &bytes)))
}

/// Returns the values under a prefix with their keys, in order.
pub(crate) fn values<T: DeserializeOwned>(
    records: &dyn Records,
    space: Space,
    what: &'static str,
    prefix: &[u8],
) -> Result<Vec<(Vec<u8>, T)>, StateError> {
    let found = records
        .scan(space, prefix, None, usize::MAX)
        .map_err(|source| StateError::Read { what, source })?;
    Ok(found
        .into_iter()
        .filter_map(|(key, bytes)| {
            let value = decode(what, &key, &bytes)?;
            Some((key, value))
        })
        .collect())
}

/// Returns the values under a prefix before a key, the newest first, at most `limit`.
pub(crate) fn values_back<T: DeserializeOwned>(
    records: &dyn Records,
    space: Space,
    what: &'static str,
    (prefix, before, limit): (&[u8], Option<&[u8]>, usize),
) -> Result<Vec<T>, StateError> {
    let found = records
        .scan_back(space, prefix, before, limit)
        .map_err(|source| StateError::Read { what, source })?;
    Ok(found.iter().filter_map(|(key, bytes)| decode(what, key, bytes)).collect())
}

/// Returns the number at the end of the last key under a prefix; 0 when there is none.
pub(crate) fn last_number(
    records: &dyn Records,
    space: Space,
    what: &'static str,
    prefix: &[u8],
) -> Result<u64, StateError> {
    let found = records
        .scan_back(space, prefix, None, 1)
        .map_err(|source| StateError::Read { what, source })?;
    Ok(found.first().and_then(|(key, _)| number_of_key(key)).unwrap_or(0))
}

/// An entry of the event log: its number, and what could be read of it.
pub(crate) type Entry = (u64, Result<Event, EventError>);

/// Returns the events after a sequence number, at most `limit`. An entry that cannot be read is
/// given as its number alone: it is passed over, and the log goes on.
pub(crate) fn events_after(
    records: &dyn Records,
    after: u64,
    limit: usize,
) -> Result<Vec<Entry>, StateError> {
    let found = records
        .scan(Space::Events, &[], Some(&after.to_be_bytes()), limit)
        .map_err(|source| StateError::Read { what: "events", source })?;
    Ok(found
        .iter()
        .filter_map(|(key, bytes)| Some((number_of_key(key)?, Event::from_record(bytes))))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_back_what_it_was_made_of() {
        let odd = CheckId::check("web1", "disk /var über");
        for id in [CheckId::host("web1"), odd] {
            assert_eq!(id_of_key(&memory_key(&id)), Some((id.clone(), String::new())));
            let told = told_key(&id, "ann of ops");
            assert_eq!(id_of_key(&told), Some((id.clone(), "ann of ops".to_owned())));
            assert!(told.starts_with(&told_prefix(&id)));
            assert_eq!(number_of_key(&trace_key(&id, 77)), Some(77));
        }
    }

    #[test]
    fn a_host_s_prefix_takes_in_its_checks_and_no_other_host() {
        let prefix = memories_of_host("web1");
        assert!(memory_key(&CheckId::host("web1")).starts_with(&prefix));
        assert!(memory_key(&CheckId::check("web1", "http")).starts_with(&prefix));
        assert!(!memory_key(&CheckId::host("web10")).starts_with(&prefix));
        let check = traces_prefix(&CheckId::check("web1", "disk"));
        assert!(!trace_key(&CheckId::check("web1", "disk2"), 1).starts_with(&check));
    }

    #[test]
    fn a_value_that_cannot_be_read_counts_as_not_there() {
        let memory = Memory { is_flapping: true, ..Memory::default() };
        assert_eq!(decode("memory", b"", &encode(&memory)), Some(memory));
        for bytes in [&b"\x02{}"[..], b"\x01{", b""] {
            assert_eq!(decode::<Memory>("memory", b"m\xff", bytes), None);
        }
    }
}
