//! Values that tests begin with.

use noroshi_model::{
    ChangeKind, CheckId, Event, EventBody, StateChange, StateType, Status, Subject, Timestamp,
};

/// Returns a change with plain values.
pub(crate) fn change(kind: ChangeKind, status: Status) -> Box<StateChange> {
    let is_hard = crate::fold::is_hard(kind);
    Box::new(StateChange {
        kind,
        previous: Status::Ok,
        status,
        state_type: if is_hard { StateType::Hard } else { StateType::Soft },
        attempt: if is_hard { 3 } else { 1 },
        attempts_max: 3,
        problem: 1,
        since: Timestamp::from_secs(1),
        output: "connection refused".to_owned(),
        long_output: String::new(),
        is_in_downtime: false,
        is_acknowledged: false,
        is_flapping: false,
        blocked_by: Vec::new(),
        subject: Subject::default(),
    })
}

/// Returns an event, one second a sequence number.
pub(crate) fn event(sequence: u64, id: &CheckId, body: EventBody) -> Event {
    Event { sequence, at: Timestamp::from_secs(sequence as i64), id: id.clone(), body }
}
