//! The written forms of states and marks: what a restart finds.
//!
//! Every value is one byte of version, then JSON. Keys: a state's is its id as text (`host` or
//! `host/check`); a downtime's `d` and its number, a comment's `c` and its number (big-endian).

use std::collections::BTreeMap;
use std::time::Duration;

use noroshi_model::{
    ChangeKind, CheckId, Perfdata, RecordBatch, RecordError, Records, Space, StateType, Status,
    Timestamp, Unit,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::flapping::History;
use crate::mark::{Comment, PlannedDowntime};
use crate::plugin::parse_range;
use crate::state::{Acknowledgement, Held, Over, Problem, State, Streak};
use crate::step::StateStep;

/// The first byte of every value. A reader refuses what it does not know.
const VERSION: u8 = 1;
/// How many records are read at once.
const PAGE: usize = 1000;
/// How large a state's record may be; the store takes a megabyte.
const STATE_BYTES_MAX: usize = 512 * 1024;

/// Why what was remembered could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store failed.
    #[error("cannot read what is remembered of checks")]
    Read(#[source] RecordError),
}

/// A state as it is written.
#[derive(Serialize, Deserialize)]
struct StateRecord {
    status: Option<Status>,
    state_type: StateType,
    attempt: u32,
    since: Option<Timestamp>,
    #[serde(default)]
    first: Option<Timestamp>,
    output: String,
    long_output: String,
    perfdata: Vec<PerfdataRecord>,
    #[serde(default)]
    measured: Vec<PerfdataRecord>,
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
    #[serde(default)]
    heard: Option<Timestamp>,
    latency_ms: u64,
    problem: Option<ProblemRecord>,
    /// When its first run ended and its newest began.
    #[serde(default)]
    streak: Option<(Timestamp, Timestamp)>,
    acknowledgement: Option<AcknowledgementRecord>,
    history: Vec<u8>,
    is_flapping: bool,
    #[serde(default)]
    recent: u64,
    is_blocked: bool,
    held: Option<HeldRecord>,
    not_up_until: Option<Timestamp>,
    over: BTreeMap<String, (Status, Timestamp)>,
}

/// An item of performance data. Ranges are written as the plug-in guidelines do (`10:`, `~:5`),
/// because JSON has no infinity.
#[derive(Serialize, Deserialize)]
struct PerfdataRecord {
    label: String,
    value: Option<f64>,
    unit: Unit,
    warning: Option<String>,
    critical: Option<String>,
    min: Option<f64>,
    max: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct ProblemRecord {
    sequence: u64,
    since: Timestamp,
    /// `None` in what was written before this was there.
    #[serde(default)]
    was_confirmed: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct AcknowledgementRecord {
    author: String,
    comment: String,
    at: Timestamp,
    until: Option<Timestamp>,
    is_sticky: bool,
}

#[derive(Serialize, Deserialize)]
struct HeldRecord {
    kind: ChangeKind,
    previous: Status,
    status: Status,
    state_type: StateType,
    attempt: u32,
    problem: ProblemRecord,
    at: Timestamp,
    deadline: Timestamp,
}

/// A downtime as it is written.
#[derive(Serialize, Deserialize)]
struct DowntimeRecord {
    id: String,
    start: Timestamp,
    end: Timestamp,
    author: String,
    comment: String,
    duration_ms: Option<u64>,
    triggered_by: Option<u64>,
    began: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// A comment as it is written.
#[derive(Serialize, Deserialize)]
struct CommentRecord {
    id: String,
    at: Timestamp,
    author: String,
    text: String,
}

impl From<&Perfdata> for PerfdataRecord {
    fn from(item: &Perfdata) -> Self {
        Self {
            label: item.label.clone(),
            value: item.value,
            unit: item.unit.clone(),
            warning: item.warning.map(|range| range.to_string()),
            critical: item.critical.map(|range| range.to_string()),
            min: item.min,
            max: item.max,
        }
    }
}

impl From<PerfdataRecord> for Perfdata {
    fn from(record: PerfdataRecord) -> Self {
        let range = |text: Option<String>| text.as_deref().and_then(parse_range);
        Self {
            label: record.label,
            value: record.value,
            unit: record.unit,
            warning: range(record.warning),
            critical: range(record.critical),
            min: record.min,
            max: record.max,
        }
    }
}

impl From<Problem> for ProblemRecord {
    fn from(problem: Problem) -> Self {
        let (sequence, since) = (problem.sequence, problem.since);
        Self { sequence, since, was_confirmed: Some(problem.was_confirmed) }
    }
}

impl From<ProblemRecord> for Problem {
    fn from(record: ProblemRecord) -> Self {
        let (sequence, since) = (record.sequence, record.since);
        Self { sequence, since, was_confirmed: record.was_confirmed.unwrap_or(false) }
    }
}

impl From<&Held> for HeldRecord {
    fn from(held: &Held) -> Self {
        let change = &held.change;
        Self {
            kind: change.kind,
            previous: change.previous,
            status: change.status,
            state_type: change.state_type,
            attempt: change.attempt,
            problem: change.problem.into(),
            at: held.at,
            deadline: held.deadline,
        }
    }
}

impl From<HeldRecord> for Held {
    fn from(record: HeldRecord) -> Self {
        Self {
            change: StateStep {
                kind: record.kind,
                previous: record.previous,
                status: record.status,
                state_type: record.state_type,
                attempt: record.attempt,
                tried: record.attempt,
                problem: record.problem.into(),
            },
            at: record.at,
            deadline: record.deadline,
        }
    }
}

impl From<&State> for StateRecord {
    fn from(state: &State) -> Self {
        Self {
            status: state.status,
            state_type: state.state_type,
            attempt: state.attempt,
            since: state.since,
            first: state.first,
            output: state.output.clone(),
            long_output: state.long_output.clone(),
            perfdata: state.perfdata.iter().map(PerfdataRecord::from).collect(),
            measured: state.measured.iter().map(PerfdataRecord::from).collect(),
            started: state.started,
            finished: state.finished,
            heard: state.heard,
            latency_ms: u64::try_from(state.latency.as_millis()).unwrap_or(u64::MAX),
            problem: state.problem.map(ProblemRecord::from),
            streak: state.streak.map(|streak| (streak.begun, streak.newest)),
            acknowledgement: state.acknowledgement.clone().map(|given| AcknowledgementRecord {
                author: given.author,
                comment: given.comment,
                at: given.at,
                until: given.until,
                is_sticky: given.is_sticky,
            }),
            history: state.history.codes().to_vec(),
            is_flapping: state.is_flapping,
            recent: state.recent,
            is_blocked: state.is_blocked,
            held: state.held.as_ref().map(HeldRecord::from),
            not_up_until: state.not_up_until,
            over: state.over.iter().map(|(key, o)| (key.clone(), (o.status, o.seen))).collect(),
        }
    }
}

impl From<StateRecord> for State {
    fn from(mut record: StateRecord) -> Self {
        let is_confirmed = record.state_type == StateType::Hard && record.held.is_none();
        if let Some(problem) = &mut record.problem {
            problem.was_confirmed.get_or_insert(is_confirmed);
        }
        Self {
            status: record.status,
            state_type: record.state_type,
            attempt: record.attempt,
            since: record.since,
            first: record.first,
            output: record.output,
            long_output: record.long_output,
            perfdata: record.perfdata.into_iter().map(Perfdata::from).collect(),
            measured: record.measured.into_iter().map(Perfdata::from).collect(),
            started: record.started,
            finished: record.finished,
            heard: record.heard,
            latency: Duration::from_millis(record.latency_ms),
            problem: record.problem.map(Problem::from),
            streak: record.streak.map(|(begun, newest)| Streak { begun, newest }),
            acknowledgement: record.acknowledgement.map(|given| Acknowledgement {
                author: given.author,
                comment: given.comment,
                at: given.at,
                until: given.until,
                is_sticky: given.is_sticky,
            }),
            history: History::from_codes(&record.history),
            is_flapping: record.is_flapping,
            recent: record.recent,
            is_blocked: record.is_blocked,
            held: record.held.map(Held::from),
            not_up_until: record.not_up_until,
            over: record
                .over
                .into_iter()
                .map(|(key, (status, seen))| (key, Over { status, seen }))
                .collect(),
        }
    }
}

/// Adds a state's record to a batch.
pub(crate) fn put_state(batch: &mut RecordBatch, id: &CheckId, state: &State) {
    let mut record = StateRecord::from(state);
    let mut value = encode(&record);
    if value.len() > STATE_BYTES_MAX {
        // What the next result brings anew is left out; what was told and when is kept.
        tracing::warn!(check = %id, bytes = value.len(), "a state is too large to be written whole");
        record.long_output.clear();
        record.perfdata.clear();
        record.over.clear();
        value = encode(&record);
    }
    batch.put(Space::States, id.to_string(), value);
}

/// Adds the removal of a state's record.
pub(crate) fn remove_state(batch: &mut RecordBatch, id: &CheckId) {
    batch.remove(Space::States, id.to_string());
}

/// Adds a downtime's record.
pub(crate) fn put_downtime(batch: &mut RecordBatch, number: u64, downtime: &PlannedDowntime) {
    let record = DowntimeRecord {
        id: downtime.id.to_string(),
        start: downtime.start,
        end: downtime.end,
        author: downtime.author.clone(),
        comment: downtime.comment.clone(),
        duration_ms: downtime.duration.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        triggered_by: downtime.triggered_by,
        began: downtime.began,
        until: downtime.until,
    };
    batch.put(Space::Marks, mark_key(b'd', number), encode(&record));
}

/// Adds the removal of a downtime's record.
pub(crate) fn remove_downtime(batch: &mut RecordBatch, number: u64) {
    batch.remove(Space::Marks, mark_key(b'd', number));
}

/// Adds a comment's record.
pub(crate) fn put_comment(batch: &mut RecordBatch, number: u64, comment: &Comment) {
    let record = CommentRecord {
        id: comment.id.to_string(),
        at: comment.at,
        author: comment.author.clone(),
        text: comment.text.clone(),
    };
    batch.put(Space::Marks, mark_key(b'c', number), encode(&record));
}

/// Adds the removal of a comment's record.
pub(crate) fn remove_comment(batch: &mut RecordBatch, number: u64) {
    batch.remove(Space::Marks, mark_key(b'c', number));
}

/// Reads all states. A damaged one is logged and forgotten: its check starts as pending.
pub(crate) fn load_states(records: &dyn Records) -> Result<BTreeMap<CheckId, State>, StateError> {
    let mut states = BTreeMap::new();
    each(records, Space::States, b"", |key, value| {
        let id = CheckId::parse(&String::from_utf8_lossy(key));
        if let Some(record) = decode::<StateRecord>(value, &id.to_string()) {
            states.insert(id, State::from(record));
        }
    })?;
    Ok(states)
}

/// Reads all downtimes by number.
pub(crate) fn load_downtimes(
    records: &dyn Records,
) -> Result<BTreeMap<u64, PlannedDowntime>, StateError> {
    let mut downtimes = BTreeMap::new();
    each(records, Space::Marks, b"d", |key, value| {
        let record = decode::<DowntimeRecord>(value, "downtime");
        if let (Some(number), Some(record)) = (mark_number(key), record) {
            let downtime = PlannedDowntime {
                id: CheckId::parse(&record.id),
                start: record.start,
                end: record.end,
                author: record.author,
                comment: record.comment,
                duration: record.duration_ms.map(Duration::from_millis),
                triggered_by: record.triggered_by,
                began: record.began,
                until: record.until,
            };
            downtimes.insert(number, downtime);
        }
    })?;
    Ok(downtimes)
}

/// Reads all comments by number.
pub(crate) fn load_comments(records: &dyn Records) -> Result<BTreeMap<u64, Comment>, StateError> {
    let mut comments = BTreeMap::new();
    each(records, Space::Marks, b"c", |key, value| {
        let record = decode::<CommentRecord>(value, "comment");
        if let (Some(number), Some(record)) = (mark_number(key), record) {
            let comment = Comment {
                id: CheckId::parse(&record.id),
                at: record.at,
                author: record.author,
                text: record.text,
            };
            comments.insert(number, comment);
        }
    })?;
    Ok(comments)
}

/// Calls `take` with every record of a space whose key starts with `prefix`, in order of key.
pub(crate) fn each(
    records: &dyn Records,
    space: Space,
    prefix: &[u8],
    mut take: impl FnMut(&[u8], &[u8]),
) -> Result<(), StateError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = records.scan(space, prefix, after.as_deref(), PAGE).map_err(StateError::Read)?;
        for (key, value) in &page {
            take(key, value);
        }
        let is_last = page.len() < PAGE;
        match page.into_iter().next_back() {
            Some((key, _)) if !is_last => after = Some(key),
            _ => return Ok(()),
        }
    }
}

/// Returns the text up to `bytes_max`, cut between two characters.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

pub(crate) fn mark_key(kind: u8, number: u64) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

pub(crate) fn mark_number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..)?.try_into().ok()?))
}

pub(crate) fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    let mut value = vec![VERSION];
    serde_json::to_writer(&mut value, record).expect("records hold only maps with text keys");
    value
}

pub(crate) fn decode<T: DeserializeOwned>(value: &[u8], what: &str) -> Option<T> {
    let json = value.strip_prefix(&[VERSION]);
    let record = json.and_then(|json| serde_json::from_slice(json).ok());
    if record.is_none() {
        tracing::error!(record = what, "a record of the checks is damaged or of another version");
    }
    record
}

#[cfg(test)]
mod tests;
