//! Availability: how long a host or check was in which state, from the event log.
//!
//! Only confirmed states count (soft ones were not yet certain), and time before the first event
//! of which nothing is known is told as such, not taken to be fine.

use std::collections::BTreeMap;
use std::time::Duration;

use noroshi_model::{ChangeKind, Event, EventBody, Status, Timestamp};
use serde::Serialize;

/// How long something was in which state.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Availability {
    /// Milliseconds in each status, by name; statuses that did not occur are left out.
    pub status_ms: BTreeMap<&'static str, u64>,
    /// The part of it that was in a downtime, in milliseconds.
    pub downtime_ms: BTreeMap<&'static str, u64>,
    /// Milliseconds of which nothing is known: the log does not reach back so far, or it was never
    /// looked at.
    pub unmonitored_ms: u64,
    /// From when on something is known, in milliseconds since 1970, when that is after the span's
    /// beginning.
    pub known_since: Option<Timestamp>,
}

impl Availability {
    /// Returns the share of the known time that was fine (OK or up), 0 to 1.
    ///
    /// With `is_downtime_left_out` the time in a downtime counts neither way. `None` when no time
    /// is left to judge.
    pub fn ratio(&self, is_downtime_left_out: bool) -> Option<f64> {
        let known = |name: &str| {
            let all = self.status_ms.get(name).copied().unwrap_or(0);
            let planned = self.downtime_ms.get(name).copied().unwrap_or(0);
            if is_downtime_left_out { all - planned } else { all }
        };
        let total: u64 = self.status_ms.keys().map(|name| known(name)).sum();
        let fine = known(Status::Ok.as_str()) + known(Status::Up.as_str());
        (total > 0).then(|| fine as f64 / total as f64)
    }
}

/// What was so from a moment on.
#[derive(Clone, Copy)]
struct Now {
    status: Option<Status>,
    downtimes: usize,
}

/// Adds up a span. `events` of one host or check, oldest first, and downtimes of its host;
/// `current`: the status now, for when no event tells; `known`: nothing is known of what was
/// before.
pub(crate) fn add_up(
    events: &[Event],
    current: Option<Status>,
    known: Option<Timestamp>,
    (start, end): (Timestamp, Timestamp),
) -> Availability {
    let known = known.filter(|known| *known > start);
    let mut sum = Availability { known_since: known, ..Availability::default() };
    let mut from = known.map_or(start, |known| known.min(end));
    sum.add(Now { status: None, downtimes: 0 }, from.since(start));
    let mut now = Now { status: first_status(events, current), downtimes: 0 };
    for event in events {
        if event.at > from {
            let until = event.at.min(end);
            sum.add(now, until.since(from));
            from = from.max(until);
        }
        match &event.body {
            EventBody::State(change) => match change.kind {
                ChangeKind::SoftProblem | ChangeKind::SoftRecovery => {}
                _ => now.status = Some(change.status),
            },
            EventBody::DowntimeStarted { .. } => now.downtimes += 1,
            EventBody::DowntimeEnded { .. } => now.downtimes = now.downtimes.saturating_sub(1),
            _ => {}
        }
    }
    sum.add(now, end.since(from));
    sum
}

/// Returns the confirmed status before the first event, as far as the events tell it.
fn first_status(events: &[Event], current: Option<Status>) -> Option<Status> {
    let changes = events.iter().find_map(|event| match &event.body {
        EventBody::State(change) => Some(change),
        _ => None,
    });
    match changes {
        None => current,
        // A problem that begins says what was before it.
        Some(change) if change.kind == ChangeKind::SoftProblem => Some(change.previous),
        Some(change) if !change.previous.is_problem() => Some(change.previous),
        Some(_) => None,
    }
}

impl Availability {
    fn add(&mut self, now: Now, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return;
        }
        let Some(status) = now.status else {
            self.unmonitored_ms += millis;
            return;
        };
        *self.status_ms.entry(status.as_str()).or_default() += millis;
        if now.downtimes > 0 {
            *self.downtime_ms.entry(status.as_str()).or_default() += millis;
        }
    }
}

#[cfg(test)]
mod tests {
    use noroshi_model::{CheckId, StateChange, StateType, Subject};

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_secs(minute * 60)
    }

    fn event(minute: i64, body: EventBody) -> Event {
        Event { sequence: 1, at: at(minute), id: CheckId::parse("a/b"), body }
    }

    fn change(minute: i64, kind: ChangeKind, previous: Status, status: Status) -> Event {
        let state_type = StateType::Hard;
        let body = EventBody::State(Box::new(StateChange {
            kind,
            previous,
            status,
            state_type,
            attempt: 1,
            attempts_max: 1,
            lasting: None,
            problem: 1,
            since: at(minute),
            output: String::new(),
            long_output: String::new(),
            is_in_downtime: false,
            is_acknowledged: false,
            is_flapping: false,
            blocked_by: Vec::new(),
            behind: noroshi_model::Behind::default(),
            subject: Subject::default(),
        }));
        event(minute, body)
    }

    fn downtime(minute: i64, is_start: bool) -> Event {
        let body = if is_start {
            let (author, comment) = (String::new(), String::new());
            EventBody::DowntimeStarted { downtime: 1, author, comment, until: at(0) }
        } else {
            EventBody::DowntimeEnded { downtime: 1, is_cancelled: false, status: Status::Ok }
        };
        event(minute, body)
    }

    /// Writes milliseconds as whole minutes.
    fn minutes(times: &BTreeMap<&'static str, u64>) -> Vec<(&'static str, u64)> {
        times.iter().map(|(name, millis)| (*name, millis / 60_000)).collect()
    }

    #[test]
    fn confirmed_states_are_added_up_within_the_span() {
        use ChangeKind::{HardProblem, HardRecovery, SoftProblem, SoftRecovery};
        let events = [
            change(5, SoftProblem, Status::Ok, Status::Critical),
            change(6, SoftRecovery, Status::Critical, Status::Ok),
            change(20, SoftProblem, Status::Ok, Status::Warning),
            change(30, HardProblem, Status::Warning, Status::Critical),
            downtime(40, true),
            change(50, HardRecovery, Status::Critical, Status::Ok),
            downtime(70, false),
        ];
        let sum = add_up(&events, Some(Status::Ok), None, (at(10), at(100)));
        // OK 10 to 30 and 50 to 100: 70; critical 30 to 50: 20. In downtime 40 to 70.
        assert_eq!(minutes(&sum.status_ms), [("critical", 20), ("ok", 70)]);
        assert_eq!(minutes(&sum.downtime_ms), [("critical", 10), ("ok", 20)]);
        assert_eq!(sum.unmonitored_ms, 0);
        assert!((sum.ratio(false).unwrap() - 70.0 / 90.0).abs() < 1e-9);
        // Without the downtime: OK 50 of 60.
        assert!((sum.ratio(true).unwrap() - 50.0 / 60.0).abs() < 1e-9);
    }

    #[test]
    fn what_the_log_does_not_reach_is_not_taken_to_be_fine() {
        use ChangeKind::{HardProblem, HardRecovery};
        let events = [
            change(30, HardRecovery, Status::Critical, Status::Ok),
            change(60, HardProblem, Status::Ok, Status::Warning),
        ];
        let sum = add_up(&events, Some(Status::Warning), None, (at(0), at(90)));
        assert_eq!(sum.unmonitored_ms, 30 * 60_000);
        assert_eq!(minutes(&sum.status_ms), [("ok", 30), ("warning", 30)]);
        let nothing = add_up(&[], None, None, (at(0), at(90)));
        assert_eq!((nothing.unmonitored_ms, nothing.ratio(false)), (90 * 60_000, None));
        let quiet = add_up(&[], Some(Status::Up), None, (at(0), at(90)));
        assert_eq!(quiet.ratio(true), Some(1.0));
        // The log, or the check, begins at minute 40: nothing is said of what was before.
        let young = add_up(&[], Some(Status::Up), Some(at(40)), (at(0), at(90)));
        assert_eq!((young.unmonitored_ms, young.known_since), (40 * 60_000, Some(at(40))));
        assert_eq!(minutes(&young.status_ms), [("up", 50)]);
        let later = add_up(&[], Some(Status::Up), Some(at(400)), (at(0), at(90)));
        assert_eq!((later.unmonitored_ms, later.ratio(false)), (90 * 60_000, None));
    }
}
