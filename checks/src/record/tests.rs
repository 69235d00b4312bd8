//! The examples of `RECORDS.md` are read and written again.

use noroshi_model::seam::MemoryRecords;
use serde_json::Value;

use super::*;

const DOCUMENT: &str = include_str!("../../RECORDS.md");

/// Returns the example of a kind, as a record.
fn example(kind: &str) -> Vec<u8> {
    let start = DOCUMENT.split(&format!("```json {kind}\n")).nth(1).unwrap();
    let mut record = vec![1];
    record.extend_from_slice(start.split("```").next().unwrap().as_bytes());
    record
}

/// Writes an example to records, reads all back, and returns what is written of it again.
fn rewritten(
    space: Space,
    key: &[u8],
    kind: &str,
    write: impl FnOnce(&MemoryRecords, &mut RecordBatch),
) -> (Value, Value) {
    let records = MemoryRecords::new();
    let mut batch = RecordBatch::new();
    batch.put(space, key, example(kind));
    records.commit(batch).unwrap();
    let mut batch = RecordBatch::new();
    write(&records, &mut batch);
    let (_, written_key, value) = batch.changes.remove(0);
    assert_eq!(written_key, key);
    let value = value.unwrap();
    assert_eq!(value[0], 1);
    let json = |record: &[u8]| serde_json::from_slice(&record[1..]).unwrap();
    (json(&value), json(&example(kind)))
}

#[test]
fn the_documents_state_is_read_and_written_again() {
    let (written, wanted) = rewritten(Space::States, b"web1/disk", "state", |records, batch| {
        let states = load_states(records).unwrap();
        let id = CheckId::parse("web1/disk");
        let state = &states[&id];
        assert_eq!((state.attempt, state.problem.unwrap().sequence), (3, 41));
        assert!(state.acknowledgement.as_ref().unwrap().is_sticky);
        assert_eq!(state.run_time(), Duration::from_millis(250));
        put_state(batch, &id, state);
    });
    assert_eq!(written, wanted);
}

#[test]
fn the_documents_marks_are_read_and_written_again() {
    let key = mark_key(b'd', 258);
    assert_eq!(key, [b'd', 0, 0, 0, 0, 0, 0, 1, 2]);
    let (written, wanted) = rewritten(Space::Marks, &key, "downtime", |records, batch| {
        put_downtime(batch, 258, &load_downtimes(records).unwrap()[&258]);
    });
    assert_eq!(written, wanted);
    let (written, wanted) =
        rewritten(Space::Marks, &mark_key(b'c', 3), "comment", |records, batch| {
            put_comment(batch, 3, &load_comments(records).unwrap()[&3]);
        });
    assert_eq!(written, wanted);
}

#[test]
fn every_range_is_read_back() {
    let records = MemoryRecords::new();
    for text in ["10", "10:", "~:10", "~:", "@5:6.5", "0:0", "-3:-1"] {
        let mut state = State::pending();
        state.perfdata = crate::plugin::parse_perfdata(&format!("a=1;{text};{text}"));
        assert!(state.perfdata[0].warning.is_some(), "{text}");
        let mut batch = RecordBatch::new();
        put_state(&mut batch, &CheckId::host("a"), &state);
        records.commit(batch).unwrap();
        let states = load_states(&records).unwrap();
        assert_eq!(states[&CheckId::host("a")].perfdata, state.perfdata, "{text}");
    }
}

#[test]
fn a_state_that_is_too_large_is_written_without_its_bulk() {
    let mut state = State::pending();
    state.problem =
        Some(Problem { sequence: 9, since: Timestamp::from_secs(1), was_confirmed: true });
    // Each control character takes six bytes as JSON.
    state.output = "\u{1}".repeat(64 * 1024);
    state.perfdata = (0..1000)
        .flat_map(|_| crate::plugin::parse_perfdata(&format!("{}=1", "\u{1}".repeat(250))))
        .collect();
    let (records, mut batch) = (MemoryRecords::new(), RecordBatch::new());
    put_state(&mut batch, &CheckId::host("a"), &state);
    assert!(batch.changes[0].2.as_ref().unwrap().len() <= STATE_BYTES_MAX);
    records.commit(batch).unwrap();
    let read = load_states(&records).unwrap();
    assert_eq!(read[&CheckId::host("a")].problem, state.problem);
    assert!(read[&CheckId::host("a")].perfdata.is_empty());
}

#[test]
fn what_is_damaged_or_of_another_version_is_left_out() {
    let records = MemoryRecords::new();
    let mut batch = RecordBatch::new();
    let mut other = example("state");
    other[0] = 2;
    batch.put(Space::States, "a", other);
    batch.put(Space::States, "b", &b"\x01{\"status\":"[..]);
    batch.put(Space::States, "c", Vec::new());
    batch.put(Space::States, "d", example("state"));
    records.commit(batch).unwrap();
    let states = load_states(&records).unwrap();
    assert_eq!(states.keys().map(ToString::to_string).collect::<Vec<_>>(), ["d"]);
}

#[test]
fn more_records_than_one_page_are_all_read() {
    let records = MemoryRecords::new();
    let mut batch = RecordBatch::new();
    for index in 0..=2 * PAGE {
        put_state(&mut batch, &CheckId::check("h", &index.to_string()), &State::pending());
    }
    records.commit(batch).unwrap();
    assert_eq!(load_states(&records).unwrap().len(), 2 * PAGE + 1);
}
