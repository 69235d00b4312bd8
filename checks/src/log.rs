//! The event log: written in one commit with the states, bounded in number and age.

use std::collections::{HashMap, VecDeque};

use noroshi_model::{CheckId, Event, EventBody, RecordBatch, Records, Space, Timestamp};

use crate::record::{StateError, each};
use crate::spec::HistorySpec;

/// How many bytes all events have at most, for each that may be kept: most have some 600, but one
/// with a long output has nine thousand.
const BYTES_AN_EVENT: u64 = 1024;
/// How many events one query reads at most.
const QUERY_MAX: usize = 1000;

/// Where each event is; the events themselves stay on disk.
pub(crate) struct EventLog {
    heads: VecDeque<Head>,
    by_id: HashMap<CheckId, VecDeque<u64>>,
    newest: u64,
    /// The size of all records.
    bytes: u64,
    /// How much is kept.
    pub(crate) spec: HistorySpec,
}

struct Head {
    sequence: u64,
    at: Timestamp,
    id: CheckId,
    bytes: u32,
}

impl EventLog {
    /// Reads which events there are. A damaged one is logged and left out.
    pub(crate) fn load(records: &dyn Records) -> Result<Self, StateError> {
        let mut log = Self {
            heads: VecDeque::new(),
            by_id: HashMap::new(),
            newest: 0,
            bytes: 0,
            spec: HistorySpec::default(),
        };
        each(records, Space::Events, b"", |key, value| {
            let number = key.try_into().map(u64::from_be_bytes);
            log.newest = log.newest.max(number.unwrap_or(0));
            match Event::from_record(value) {
                Ok(event) => log.note(event.sequence, event.at, event.id, value.len()),
                Err(error) => tracing::error!(%error, "an event cannot be read"),
            }
        })?;
        Ok(log)
    }

    /// Returns the newest event's sequence number; 0 before the first.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// Returns the moment before which events were dropped; `None` when none ever was.
    pub(crate) fn begins(&self) -> Option<Timestamp> {
        self.heads.front().filter(|oldest| oldest.sequence > 1).map(|oldest| oldest.at)
    }

    /// Returns the sequence number that the next event will have.
    pub(crate) fn next(&self) -> u64 {
        self.newest + 1
    }

    /// Adds an event to the batch and returns its sequence number; drops what is too old.
    pub(crate) fn append(
        &mut self,
        batch: &mut RecordBatch,
        at: Timestamp,
        id: &CheckId,
        body: EventBody,
    ) -> u64 {
        let sequence = self.next();
        self.newest = sequence;
        let event = Event { sequence, at, id: id.clone(), body };
        let record = event.to_record();
        self.note(sequence, at, id.clone(), record.len());
        batch.put(Space::Events, Event::key(sequence), record);
        self.forget(batch, at);
        sequence
    }

    /// Reads events, newest first: of one check or of all, older than `before`.
    ///
    /// At most `limit`, and never more than a thousand. Those not yet committed are left out.
    pub(crate) fn query(
        &self,
        id: Option<&CheckId>,
        before: Option<u64>,
        limit: usize,
    ) -> Vec<u64> {
        let limit = limit.min(QUERY_MAX);
        let before = before.unwrap_or(u64::MAX);
        let Some(id) = id else {
            let end = self.heads.partition_point(|head| head.sequence < before);
            return self.heads.range(..end).rev().take(limit).map(|head| head.sequence).collect();
        };
        let Some(sequences) = self.by_id.get(id) else { return Vec::new() };
        let end = sequences.partition_point(|sequence| *sequence < before);
        sequences.range(..end).rev().take(limit).copied().collect()
    }

    /// Returns the numbers of all events of a check, oldest first.
    pub(crate) fn all_of(&self, id: &CheckId) -> Vec<u64> {
        self.by_id.get(id).into_iter().flatten().copied().collect()
    }

    fn note(&mut self, sequence: u64, at: Timestamp, id: CheckId, bytes: usize) {
        self.by_id.entry(id.clone()).or_default().push_back(sequence);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes += u64::from(bytes);
        self.heads.push_back(Head { sequence, at, id, bytes });
    }

    /// Removes the oldest events over the bounds; the newest stays, so that numbers go on.
    fn forget(&mut self, batch: &mut RecordBatch, now: Timestamp) {
        while self.heads.len() > 1 {
            let events_max = self.spec.events_max;
            let bytes_max = BYTES_AN_EVENT.saturating_mul(events_max as u64);
            let is_over = self.heads.len() > events_max || self.bytes > bytes_max;
            let Some(oldest) = self.heads.front() else { return };
            if !is_over && now.since(oldest.at) <= self.spec.age_max {
                return;
            }
            batch.remove(Space::Events, Event::key(oldest.sequence));
            if let Some(sequences) = self.by_id.get_mut(&oldest.id) {
                sequences.pop_front();
                if sequences.is_empty() {
                    self.by_id.remove(&oldest.id);
                }
            }
            self.bytes -= u64::from(oldest.bytes);
            self.heads.pop_front();
        }
    }
}

/// Reads the events with these numbers, in their order; those that are not there are left out.
pub(crate) fn read(records: &dyn Records, sequences: &[u64]) -> Vec<Event> {
    let mut events = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        match records.get(Space::Events, &Event::key(*sequence)) {
            Ok(Some(record)) => events.extend(Event::from_record(&record)),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, sequence, "an event cannot be read"),
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use noroshi_model::seam::MemoryRecords;

    use super::*;

    fn append(log: &mut EventLog, records: &MemoryRecords, second: i64, id: &str) -> u64 {
        let mut batch = RecordBatch::new();
        let body = EventBody::FlappingStarted { percent: 50.0 };
        let at = Timestamp::from_secs(second);
        let sequence = log.append(&mut batch, at, &CheckId::parse(id), body);
        records.commit(batch).unwrap();
        sequence
    }

    #[test]
    fn events_are_numbered_without_holes_and_found_by_check() {
        let records = MemoryRecords::new();
        let mut log = EventLog::load(&records).unwrap();
        for (second, id) in [(1, "a/x"), (2, "a/y"), (3, "a/x"), (4, "b")] {
            assert_eq!(append(&mut log, &records, second, id), second as u64);
        }
        assert_eq!(log.query(None, None, 3), [4, 3, 2]);
        assert_eq!(log.query(None, Some(3), 9), [2, 1]);
        assert_eq!(log.query(Some(&CheckId::parse("a/x")), None, 9), [3, 1]);
        assert_eq!(log.query(Some(&CheckId::parse("a/x")), Some(3), 9), [1]);
        assert_eq!(log.query(Some(&CheckId::parse("c")), None, 9), [0_u64; 0]);

        let again = EventLog::load(&records).unwrap();
        assert_eq!((again.newest(), again.next()), (4, 5));
        assert_eq!(again.query(Some(&CheckId::parse("a/x")), None, 9), [3, 1]);
        assert_eq!(read(&records, &[3, 99, 1]).len(), 2);
    }

    #[test]
    fn too_many_events_are_dropped_and_the_log_says_where_it_begins() {
        let mut log = EventLog::load(&MemoryRecords::new()).unwrap();
        let body = EventBody::FlappingStarted { percent: 50.0 };
        let id = CheckId::host("a");
        let mut removed = 0;
        assert_eq!(log.begins(), None);
        let events_max = log.spec.events_max;
        for second in 1..=events_max as i64 + 10 {
            let mut batch = RecordBatch::new();
            log.append(&mut batch, Timestamp::from_secs(second), &id, body.clone());
            removed += batch.changes.len() - 1;
        }
        assert_eq!(removed, 10);
        assert_eq!(log.all_of(&id).len(), events_max);
        assert_eq!(log.begins(), Some(Timestamp::from_secs(11)));
    }

    #[test]
    fn long_outputs_take_the_place_of_many_events() {
        let records = MemoryRecords::new();
        let mut log = EventLog::load(&records).unwrap();
        log.spec.events_max = 1000;
        for second in 1..=1000 {
            let text = "x".repeat(9000);
            let body = EventBody::Commented { author: "ann".to_owned(), comment: text };
            let mut batch = RecordBatch::new();
            log.append(&mut batch, Timestamp::from_secs(second), &CheckId::host("a"), body);
            records.commit(batch).unwrap();
        }
        let kept = records.scan(Space::Events, b"", None, 9999).unwrap();
        let bytes: usize = kept.iter().map(|(_, value)| value.len()).sum();
        assert!((100..120).contains(&kept.len()) && bytes <= 1_024_000, "{}, {bytes}", kept.len());
        // A smaller bound takes hold with the next event, after a restart too.
        let mut again = EventLog::load(&records).unwrap();
        again.spec.events_max = 50;
        append(&mut again, &records, 2000, "a");
        let left = records.scan(Space::Events, b"", None, 9999).unwrap();
        assert!(left.len() <= 50, "{}", left.len());
    }

    #[test]
    fn old_events_are_dropped_but_numbers_go_on() {
        let records = MemoryRecords::new();
        let mut log = EventLog::load(&records).unwrap();
        append(&mut log, &records, 0, "a");
        append(&mut log, &records, 10, "a");
        // 401 days later both are too old.
        let later = 401 * 86_400;
        assert_eq!(append(&mut log, &records, later, "b"), 3);
        assert_eq!(log.query(None, None, 9), [3]);
        assert!(log.query(Some(&CheckId::parse("a")), None, 9).is_empty());
        assert_eq!(records.scan(Space::Events, b"", None, 9).unwrap().len(), 1);
        // Even when all are too old the newest stays: a restart must not count from 1 again.
        assert_eq!(append(&mut log, &records, 3 * later, "b"), 4);
        assert_eq!(EventLog::load(&records).unwrap().next(), 5);
    }
}
