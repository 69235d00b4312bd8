//! Folds events into what is remembered of a host or check. Pure.

use noroshi_model::{ChangeKind, Event, EventBody, StateChange};

use crate::book::{HardChange, Memory};

/// Takes an event into the memory of its subject.
pub(crate) fn fold(memory: &mut Memory, event: &Event) {
    match &event.body {
        EventBody::State(change) => fold_change(memory, event, change),
        EventBody::Acknowledged { .. } => memory.is_acknowledged = true,
        EventBody::Unacknowledged { .. } => memory.is_acknowledged = false,
        EventBody::DowntimeStarted { downtime, until, .. } => {
            memory.downtimes.insert(*downtime, *until);
        }
        EventBody::DowntimeEnded { downtime, .. } => {
            memory.downtimes.remove(downtime);
            if memory.downtimes.is_empty() {
                memory.is_in_downtime = false;
            }
        }
        EventBody::FlappingStarted { .. } => memory.is_flapping = true,
        EventBody::FlappingStopped { .. } => memory.is_flapping = false,
        EventBody::HandlerRan { .. }
        | EventBody::Configured { .. }
        | EventBody::Commented { .. } => {}
    }
}

/// A change carries all marks as they were at that moment, so that it also mends what was missed
/// (a downtime that ended with the removal of its check, events from before the first start).
fn fold_change(memory: &mut Memory, event: &Event, change: &StateChange) {
    memory.is_acknowledged = change.is_acknowledged;
    memory.is_flapping = change.is_flapping;
    if change.is_in_downtime {
        memory.is_in_downtime = memory.downtimes.is_empty();
    } else {
        memory.downtimes.clear();
        memory.is_in_downtime = false;
    }
    memory.blocked_by.clone_from(&change.blocked_by);
    if is_hard(change.kind) {
        let change = change.clone();
        memory.last = Some(HardChange { event: event.sequence, at: event.at, change });
    }
}

/// Tells whether a change is confirmed.
pub(crate) fn is_hard(kind: ChangeKind) -> bool {
    match kind {
        ChangeKind::HardProblem | ChangeKind::HardRecovery | ChangeKind::HardRepeat => true,
        ChangeKind::SoftProblem | ChangeKind::SoftRecovery => false,
    }
}

#[cfg(test)]
mod tests {
    use noroshi_model::{CheckId, Status, Timestamp};

    use super::*;
    use crate::fixture::{change, event};

    fn started(downtime: u64) -> EventBody {
        let until = Timestamp::from_secs(900);
        let (author, comment) = ("ann".to_owned(), String::new());
        EventBody::DowntimeStarted { downtime, author, comment, until }
    }

    fn ended(downtime: u64) -> EventBody {
        EventBody::DowntimeEnded { downtime, is_cancelled: false, status: Status::Ok }
    }

    fn folded(bodies: Vec<EventBody>) -> Memory {
        let mut memory = Memory::default();
        for (i, body) in bodies.into_iter().enumerate() {
            fold(&mut memory, &event(i as u64 + 1, &CheckId::check("web1", "http"), body));
        }
        memory
    }

    #[test]
    fn a_soft_problem_does_not_change_what_is_known_for_certain() {
        let soft = change(ChangeKind::SoftProblem, Status::Critical);
        assert_eq!(folded(vec![EventBody::State(soft.clone())]), Memory::default());
        let hard = change(ChangeKind::HardProblem, Status::Warning);
        let memory = folded(vec![EventBody::State(hard), EventBody::State(soft)]);
        assert_eq!(memory.problem().unwrap().change.status, Status::Warning);
    }

    #[test]
    fn a_downtime_holds_until_the_last_has_ended() {
        assert_eq!(folded(vec![started(1), started(2), ended(1)]).downtimes.len(), 1);
        assert!(folded(vec![started(1), started(2), ended(1), ended(2)]).is_plain());
    }

    #[test]
    fn a_change_says_that_a_downtime_holds_which_nobody_saw_begin() {
        let mut inside = change(ChangeKind::HardProblem, Status::Critical);
        inside.is_in_downtime = true;
        let memory = folded(vec![EventBody::State(inside.clone())]);
        assert!(memory.is_in_downtime);
        assert!(!folded(vec![EventBody::State(inside), ended(7)]).is_in_downtime);
    }

    #[test]
    fn a_change_outside_downtimes_ends_those_whose_end_was_missed() {
        let outside = change(ChangeKind::HardProblem, Status::Critical);
        assert!(folded(vec![started(1), EventBody::State(outside)]).downtimes.is_empty());
    }
}
