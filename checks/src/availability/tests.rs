//! Cases computed by hand, and random ones against a count of every second.

use noroshi_model::{CheckId, Event, StateChange, StateType};
use proptest::prelude::*;

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
        subject: noroshi_model::Subject::default(),
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

/// Adds up one check whose host has no events of its own.
fn alone(
    events: &[Event],
    current: Option<Status>,
    known: Option<Timestamp>,
    span: (Timestamp, Timestamp),
    gaps: &Gaps,
) -> Availability {
    let what =
        |event: &Event| What::of(&event.body).map(|what| Turn { at: event.at, slot: 0, what });
    let turns: Vec<Turn> = events.iter().filter_map(what).collect();
    let slots = [Slot { subject: Some(0), downtimes_of: vec![0] }];
    super::add_up(&[Subject { current, known }], &slots, &turns, gaps, span).0.remove(0)
}

fn add_up(
    events: &[Event],
    current: Option<Status>,
    known: Option<Timestamp>,
    span: (Timestamp, Timestamp),
) -> Availability {
    alone(events, current, known, span, &Gaps::default())
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

#[test]
fn while_the_monitor_was_off_nothing_is_known() {
    use ChangeKind::{HardProblem, HardRecovery};
    let events = [
        change(30, HardProblem, Status::Ok, Status::Critical),
        change(80, HardRecovery, Status::Critical, Status::Ok),
    ];
    let gaps = Gaps::new(&[(at(10), at(20)), (at(60), at(75))]);
    let sum = alone(&events, Some(Status::Ok), None, (at(0), at(100)), &gaps);
    // Off 10 to 20 and 60 to 75; critical 30 to 60 and 75 to 80; OK 0 to 10, 20 to 30, 80 to 100.
    assert_eq!(sum.monitor_off_ms, 25 * 60_000);
    assert_eq!(minutes(&sum.status_ms), [("critical", 35), ("ok", 40)]);
    assert!((sum.ratio(false).unwrap() - 40.0 / 75.0).abs() < 1e-9);
    // The span begins and ends within times in which it was off.
    let within = alone(&events, Some(Status::Ok), None, (at(15), at(70)), &gaps);
    assert_eq!(within.monitor_off_ms, 15 * 60_000);
    assert_eq!(minutes(&within.status_ms), [("critical", 30), ("ok", 10)]);
}

#[test]
fn several_are_told_together_and_one_by_one() {
    // a: down 10 to 40. b: known from 20 on, down 30 to 60, in a downtime of its host 50 to 60.
    let state = |minute, slot, status: Status| {
        let is_bad = status.is_problem();
        let kind = if is_bad { ChangeKind::HardProblem } else { ChangeKind::HardRecovery };
        let previous = if is_bad { Status::Ok } else { Status::Critical };
        Turn { at: at(minute), slot, what: What::State { kind, previous, status } }
    };
    let turns = [
        state(10, 0, Status::Critical),
        state(30, 1, Status::Critical),
        state(40, 0, Status::Ok),
        Turn { at: at(50), slot: 2, what: What::DowntimeBegan },
        state(60, 1, Status::Ok),
        Turn { at: at(60), slot: 2, what: What::DowntimeEnded },
    ];
    let subject = |known| Subject { current: Some(Status::Ok), known };
    let subjects = [subject(None), subject(Some(at(20)))];
    let slots = [
        Slot { subject: Some(0), downtimes_of: vec![0] },
        Slot { subject: Some(1), downtimes_of: vec![1] },
        Slot { subject: None, downtimes_of: vec![1] },
    ];
    let gaps = Gaps::new(&[(at(35), at(38))]);
    let (rows, [all, without]) = super::add_up(&subjects, &slots, &turns, &gaps, (at(0), at(100)));
    // Off 35 to 38 for both.
    assert_eq!(minutes(&rows[0].status_ms), [("critical", 27), ("ok", 70)]);
    assert_eq!(minutes(&rows[1].status_ms), [("critical", 27), ("ok", 50)]);
    assert_eq!((rows[1].unmonitored_ms, rows[1].monitor_off_ms), (20 * 60_000, 3 * 60_000));
    // Any: 10 to 60 without 35 to 38. All: a alone 10 to 20, both 30 to 40 without the 3 minutes.
    let minutes = |together: Together| {
        [together.known_ms, together.any_down_ms, together.all_down_ms].map(|ms| ms / 60_000)
    };
    assert_eq!(minutes(all), [97, 47, 17]);
    // In its downtime b is left out: of a, which is fine then, alone.
    assert_eq!(minutes(without), [97, 37, 17]);
}

/// What is so at one second, found by looking at everything that came before it.
fn naive_second(
    (index, subject): (usize, &Subject),
    slots: &[Slot],
    turns: &[Turn],
    gaps: &[(i64, i64)],
    second: i64,
) -> Option<(Option<Status>, bool)> {
    if gaps.iter().any(|(begin, end)| (*begin..*end).contains(&second)) {
        return None;
    }
    let own: Vec<&Turn> = turns
        .iter()
        .filter(|turn| slots[turn.slot].subject == Some(index))
        .filter(|turn| matches!(turn.what, What::State { .. }))
        .collect();
    let hard = own.iter().rev().find_map(|turn| match turn.what {
        What::State { kind: ChangeKind::SoftProblem | ChangeKind::SoftRecovery, .. } => None,
        What::State { status, .. } => (turn.at.as_secs() <= second).then_some(status),
        _ => None,
    });
    let first = own.first().map(|turn| turn.what);
    let before = match first {
        None => subject.current,
        Some(What::State { kind, previous, .. }) => {
            (kind == ChangeKind::SoftProblem || !previous.is_problem()).then_some(previous)
        }
        Some(_) => None,
    };
    let is_known = subject.known.is_none_or(|known| known.as_secs() <= second);
    let mut held = 0_i64;
    for turn in turns.iter().filter(|turn| turn.at.as_secs() <= second) {
        let is_its = slots[turn.slot].downtimes_of.contains(&index);
        match turn.what {
            What::DowntimeBegan if is_its => held += 1,
            What::DowntimeEnded if is_its => held = (held - 1).max(0),
            _ => {}
        }
    }
    Some((hard.or(before).filter(|_| is_known), held > 0))
}

proptest! {
    /// Whatever happened, the pass finds what a look at every second finds.
    #[test]
    fn a_count_of_every_second_finds_the_same(
        knowns in prop::collection::vec(prop::option::of(0_i64..140), 1..5),
        steps in prop::collection::vec((0_i64..12, 0_usize..6, 0_u8..6, 0_u8..3), 0..40),
        edges in prop::collection::btree_set(0_i64..150, 0..7),
        start in 0_i64..100,
        length in 0_i64..120,
    ) {
        let subjects: Vec<Subject> = knowns
            .iter()
            .map(|known| Subject { current: Some(Status::Ok), known: known.map(Timestamp::from_secs) })
            .collect();
        // The last slot is a host with the downtimes of all.
        let mut slots: Vec<Slot> = (0..subjects.len())
            .map(|index| Slot { subject: Some(index), downtimes_of: vec![index] })
            .collect();
        slots.push(Slot { subject: None, downtimes_of: (0..subjects.len()).collect() });
        let mut second = 0;
        let mut turns = Vec::new();
        for (pause, slot, what, status) in steps {
            second += pause;
            let status = [Status::Ok, Status::Warning, Status::Critical][usize::from(status)];
            let kind = match (what, status.is_problem()) {
                (2, true) => ChangeKind::SoftProblem,
                (2, false) => ChangeKind::SoftRecovery,
                (_, true) => ChangeKind::HardProblem,
                (_, false) => ChangeKind::HardRecovery,
            };
            let previous = if second % 2 == 0 { Status::Ok } else { Status::Critical };
            let what = match what {
                0 => What::DowntimeBegan,
                1 => What::DowntimeEnded,
                _ => What::State { kind, previous, status },
            };
            turns.push(Turn { at: Timestamp::from_secs(second), slot: slot % slots.len(), what });
        }
        let edges: Vec<i64> = edges.into_iter().collect();
        let gaps: Vec<(i64, i64)> = edges.chunks_exact(2).map(|two| (two[0], two[1])).collect();
        let moments = |(a, b): &(i64, i64)| (Timestamp::from_secs(*a), Timestamp::from_secs(*b));
        let end = start + length;
        let span = (Timestamp::from_secs(start), Timestamp::from_secs(end));
        let off: Vec<_> = gaps.iter().map(moments).collect();
        let (rows, together) = super::add_up(&subjects, &slots, &turns, &Gaps::new(&off), span);

        let mut want = vec![Availability::default(); subjects.len()];
        let mut sums = [Together::default(); 2];
        for second in start..end {
            let mut counts = [(0, 0); 2];
            for (index, subject) in subjects.iter().enumerate() {
                let sum = &mut want[index];
                match naive_second((index, subject), &slots, &turns, &gaps, second) {
                    None => sum.monitor_off_ms += 1000,
                    Some((None, _)) => sum.unmonitored_ms += 1000,
                    Some((Some(status), is_planned)) => {
                        *sum.status_ms.entry(status.as_str()).or_default() += 1000;
                        if is_planned {
                            *sum.downtime_ms.entry(status.as_str()).or_default() += 1000;
                        }
                        for (count, is_in) in counts.iter_mut().zip([true, !is_planned]) {
                            count.0 += usize::from(is_in);
                            count.1 += usize::from(is_in && status != Status::Ok);
                        }
                    }
                }
            }
            for (sum, (known, bad)) in sums.iter_mut().zip(counts) {
                sum.known_ms += if known > 0 { 1000 } else { 0 };
                sum.any_down_ms += if bad > 0 { 1000 } else { 0 };
                sum.all_down_ms += if bad > 0 && bad == known { 1000 } else { 0 };
            }
        }
        for (row, want) in rows.iter().zip(&mut want) {
            want.known_since = row.known_since;
            prop_assert_eq!(row, &*want);
        }
        prop_assert_eq!(together, sums);
    }
}
