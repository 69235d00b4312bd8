use super::*;

/// A round: events with their states, and downtimes with theirs.
fn round() -> RecordBatch {
    let mut batch = RecordBatch::new();
    for number in 0..6_u8 {
        batch.put(Space::Events, [number], [number; 40]);
        batch.put(Space::Events, [100 + number], [number; 10]);
        batch.remove(Space::Events, [200 + number]);
        batch.put(Space::States, [number], [number; 50]);
    }
    for number in 0..6_u8 {
        batch.put(Space::Marks, [number], [number; 50]);
        batch.put(Space::Events, [50 + number], [number; 50]);
    }
    batch
}

#[test]
fn parts_together_are_the_batch_in_its_order() {
    for bytes_max in [0, 1, 100, 150, 333, 1000, 1_000_000] {
        let parts = parts(round(), bytes_max);
        assert!(parts.iter().all(|part| !part.is_empty()));
        let changes: Vec<_> = parts.iter().flat_map(|part| part.changes.clone()).collect();
        assert_eq!(changes, round().changes, "parts of {bytes_max}");
    }
    assert_eq!(parts(round(), 1_000_000).len(), 1);
    assert!(parts(RecordBatch::new(), 1).is_empty());
}

#[test]
fn an_event_stays_with_what_it_made() {
    let parts = parts(round(), 1);
    assert_eq!(parts.len(), 12, "each change of a check or downtime by itself");
    for part in &parts[..6] {
        let spaces: Vec<Space> = part.changes.iter().map(|change| change.0).collect();
        assert_eq!(spaces, [Space::Events, Space::Events, Space::Events, Space::States]);
    }
    for part in &parts[6..] {
        let spaces: Vec<Space> = part.changes.iter().map(|change| change.0).collect();
        assert_eq!(spaces, [Space::Marks, Space::Events]);
    }
}

#[test]
fn no_part_grows_far_above_its_bound() {
    let mut batch = RecordBatch::new();
    for number in 0..60_000_u32 {
        batch.put(Space::Events, number.to_be_bytes(), vec![b'e'; 600]);
        batch.put(Space::States, number.to_be_bytes(), vec![b's'; 900]);
    }
    assert!(batch.check_sizes().is_err(), "more than the store takes at once");
    let parts = parts(batch, COMMIT_BYTES_MAX);
    assert!(parts.len() > 1);
    assert!(parts.iter().all(|part| part.check_sizes().is_ok()));
}
