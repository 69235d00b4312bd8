//! What the events make people believe.

mod beliefs;

use std::collections::BTreeSet;

use noroshi_model::seam::{ManualClock, MemoryRecords};
use noroshi_model::{Clock, StateChange, StateType, Status, Timestamp};
use tokio::sync::watch;

use super::*;
use crate::alerts::Deps;
use crate::book::Notification;
use crate::config::{Config, StatusFilter};
use crate::counters::waiting;
use crate::fixture::{contact, event, smtp};
use crate::view::NotificationKind;

/// The room over records in memory; nothing is sent.
struct Room {
    alerts: Arc<Alerts>,
    records: Arc<MemoryRecords>,
    clock: Arc<ManualClock>,
    sequence: u64,
}

impl Room {
    fn new(config: Config) -> Self {
        let records = Arc::new(MemoryRecords::new());
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(0)));
        let alerts = Alerts::new(Deps {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            records: Arc::clone(&records) as Arc<dyn Records>,
            series: Arc::new(noroshi_expr::MemorySeries::new()),
            events: watch::Sender::new(0).subscribe(),
        })
        .unwrap();
        alerts.apply(config).unwrap();
        Self { alerts, records, clock, sequence: 0 }
    }

    /// Adds events that happen at one moment, decides about them, and returns what was queued.
    fn happen(&mut self, bodies: Vec<(CheckId, EventBody)>) -> Vec<Notification> {
        // Slow enough that nothing goes into a digest.
        self.clock.advance(Duration::from_mins(1));
        let before = waiting(self.records.as_ref()).unwrap().len();
        let at = Timestamp::from_secs(self.sequence as i64);
        let mut batch = RecordBatch::new();
        for (id, body) in bodies {
            self.sequence += 1;
            let event = Event { at, ..event(self.sequence, &id, body) };
            batch.put(Space::Events, Event::key(self.sequence), event.to_record());
        }
        self.records.commit(batch).unwrap();
        self.alerts.catch_up(&CancellationToken::new()).unwrap();
        waiting(self.records.as_ref()).unwrap().split_off(before)
    }
}

fn everybody() -> Config {
    let mut bob = contact("bob");
    bob.statuses = StatusFilter::new([Status::Critical]);
    Config { contacts: vec![contact("ann"), bob], smtp: Some(smtp()), ..Config::default() }
}

/// A check as `checks` keeps it, as far as its events go: the model of the truth.
#[allow(clippy::struct_excessive_bools)]
struct Check {
    id: CheckId,
    status: Status,
    problem: u64,
    is_acknowledged: bool,
    is_sticky: bool,
    downtimes: BTreeSet<u64>,
    is_flapping: bool,
    is_blocked: bool,
    /// Whether the last change that was logged said so: before it, nobody else can know.
    is_block_logged: bool,
}

impl Check {
    fn new(name: &str) -> Self {
        Self {
            id: CheckId::check("web1", name),
            status: Status::Ok,
            problem: 0,
            is_acknowledged: false,
            is_sticky: false,
            downtimes: BTreeSet::new(),
            is_flapping: false,
            is_blocked: false,
            is_block_logged: false,
        }
    }

    fn state(&mut self, kind: ChangeKind, previous: Status, is_in_downtime: bool) -> EventBody {
        self.is_block_logged = self.is_blocked;
        EventBody::State(Box::new(StateChange {
            previous,
            problem: self.problem,
            state_type: StateType::Hard,
            is_acknowledged: self.is_acknowledged,
            is_in_downtime,
            is_flapping: self.is_flapping,
            blocked_by: if self.is_blocked { vec!["sw1".to_owned()] } else { Vec::new() },
            behind: noroshi_model::Behind::default(),
            ..*crate::fixture::change(kind, self.status)
        }))
    }

    /// Takes a status on; an acknowledgement that ends by it is logged first.
    fn become_(&mut self, status: Status, is_host_in_downtime: bool) -> Vec<EventBody> {
        if status == self.status {
            return Vec::new();
        }
        let previous = std::mem::replace(&mut self.status, status);
        let mut events = Vec::new();
        if self.is_acknowledged && (!self.is_sticky || !status.is_problem()) {
            events.extend(self.unacknowledge());
        }
        let kind =
            if status.is_problem() { ChangeKind::HardProblem } else { ChangeKind::HardRecovery };
        self.problem += u64::from(previous == Status::Ok);
        let is_in_downtime = is_host_in_downtime || !self.downtimes.is_empty();
        events.push(self.state(kind, previous, is_in_downtime));
        events
    }

    fn unacknowledge(&mut self) -> Vec<EventBody> {
        let was = std::mem::replace(&mut self.is_acknowledged, false);
        let author = "state".to_owned();
        let event = EventBody::Unacknowledged { problem: self.problem, author };
        was.then_some(event).into_iter().collect()
    }

    fn end_downtime(&mut self, downtime: u64) -> Vec<EventBody> {
        let was = self.downtimes.remove(&downtime);
        was.then_some(ended(downtime, self.status)).into_iter().collect()
    }

    fn stop_flapping(&mut self) -> Vec<EventBody> {
        let was = std::mem::replace(&mut self.is_flapping, false);
        let event = EventBody::FlappingStopped { percent: 4.0, status: self.status };
        was.then_some(event).into_iter().collect()
    }

    /// The ancestors are back: `checks` verifies a problem and logs it anew.
    fn unblock(&mut self, is_host_in_downtime: bool) -> Vec<EventBody> {
        let was = std::mem::replace(&mut self.is_blocked, false);
        if !was || !self.status.is_problem() {
            return Vec::new();
        }
        let is_in_downtime = is_host_in_downtime || !self.downtimes.is_empty();
        vec![self.state(ChangeKind::HardProblem, self.status, is_in_downtime)]
    }

    fn is_suppressed(&self, is_host_in_downtime: bool) -> bool {
        let is_in_downtime = is_host_in_downtime || !self.downtimes.is_empty();
        self.is_acknowledged || is_in_downtime || self.is_flapping || self.is_block_logged
    }
}

fn started(downtime: u64) -> EventBody {
    let (author, comment) = ("ann".to_owned(), String::new());
    EventBody::DowntimeStarted { downtime, author, comment, until: Timestamp::MAX }
}

fn ended(downtime: u64, status: Status) -> EventBody {
    EventBody::DowntimeEnded { downtime, is_cancelled: false, status }
}

fn problem_of(check: &mut Check) -> Vec<(CheckId, EventBody)> {
    let id = check.id.clone();
    check.become_(Status::Critical, false).into_iter().map(|body| (id.clone(), body)).collect()
}

fn recovery_of(check: &mut Check) -> Vec<(CheckId, EventBody)> {
    let id = check.id.clone();
    check.become_(Status::Ok, false).into_iter().map(|body| (id.clone(), body)).collect()
}

#[test]
fn the_trace_says_why_and_why_not() {
    let mut room = Room::new(everybody());
    let mut check = Check::new("http");
    let mut deeds = vec![(check.id.clone(), started(1))];
    check.downtimes.insert(1);
    deeds.extend(problem_of(&mut check));
    assert!(room.happen(deeds).is_empty());
    let why = |limit| room.alerts.why(&check.id, None, limit).unwrap();
    let trace = &why(1)[0];
    assert_eq!((trace.trigger.as_str(), trace.status), ("hard problem", Status::Critical));
    let last = trace.steps.last().unwrap();
    assert_eq!((last.stage.as_str(), last.reason.as_str()), ("downtime", "downtime 1 holds"));
    assert!(trace.contacts.is_empty());

    let told = room.happen(vec![(check.id.clone(), ended(1, Status::Critical))]);
    assert_eq!(told.len(), 2, "at the end of the downtime the truth is told");
    let traces = room.alerts.why(&check.id, None, 10).unwrap();
    let triggers: Vec<&str> = traces.iter().map(|trace| trace.trigger.as_str()).collect();
    assert_eq!(triggers, ["downtime ended", "hard problem", "downtime began"]);
    assert_eq!(traces[0].contacts[0].notifications, [told[0].number]);
}

#[test]
fn traces_are_found_by_their_moment_however_many_there_are() {
    let mut room = Room::new(everybody());
    let id = CheckId::check("web1", "http");
    let comment =
        || EventBody::Commented { author: "ann".to_owned(), comment: "a word".to_owned() };
    for _ in 0..250 {
        room.happen(vec![(id.clone(), comment())]);
    }
    // One a minute, from minute 1.
    let at = Timestamp::from_secs(60 * 30);
    let found = room.alerts.why(&id, Some(at), 2).unwrap();
    assert_eq!(found.iter().map(|trace| trace.number).collect::<Vec<_>>(), [30, 29]);
    assert_eq!(room.alerts.why(&id, None, 1000).unwrap().len(), 250);
    let other = CheckId::check("web1", "htt");
    assert!(room.alerts.why(&other, None, 9).unwrap().is_empty());
}

#[test]
fn a_contact_that_is_named_is_told_alone() {
    let mut config = everybody();
    config.contacts.push(contact("cid"));
    let mut room = Room::new(config);
    let mut check = Check::new("http");
    let mut events = problem_of(&mut check);
    if let (_, EventBody::State(change)) = &mut events[0] {
        change.subject.contacts = vec!["cid".to_owned(), "nobody".to_owned()];
    }
    let told = room.happen(events);
    assert_eq!(told.iter().map(|one| one.contact.as_str()).collect::<Vec<_>>(), ["cid"]);
}

#[test]
fn an_event_that_cannot_be_read_is_passed_over() {
    let mut room = Room::new(everybody());
    let mut batch = RecordBatch::new();
    room.sequence += 1;
    batch.put(Space::Events, Event::key(room.sequence), b"\x09what is this".to_vec());
    room.records.commit(batch).unwrap();
    let mut check = Check::new("http");
    assert_eq!(room.happen(problem_of(&mut check)).len(), 2);
}

#[test]
fn other_problems_of_the_host_are_listed_the_worst_first() {
    let mut room = Room::new(everybody());
    let (mut disk, mut ping) = (Check::new("disk"), Check::new("ping"));
    for (check, status) in [(&mut disk, Status::Warning), (&mut ping, Status::Critical)] {
        let id = check.id.clone();
        let events = check.become_(status, false).into_iter().map(|body| (id.clone(), body));
        room.happen(events.collect());
    }
    let told = room.happen(problem_of(&mut Check::new("http")));
    let others = told[0].letter.as_ref().unwrap().others.iter();
    let names: Vec<String> = others.map(|other| other.id.to_string()).collect();
    assert_eq!(names, ["web1/ping", "web1/disk"]);
}

#[test]
fn a_memory_that_is_of_no_use_is_forgotten() {
    let mut room = Room::new(everybody());
    let mut check = Check::new("http");
    room.happen(problem_of(&mut check));
    let id = check.id.clone();
    let events = check.become_(Status::Ok, false).into_iter().map(|body| (id.clone(), body));
    room.happen(events.collect());
    for prefix in [book::MEMORIES, book::TOLD] {
        assert!(room.records.scan(Space::Ledger, prefix, None, 9).unwrap().is_empty());
    }
}

#[test]
fn a_host_s_message_lists_what_is_reached_through_it() {
    let mut room = Room::new(everybody());
    let mut behind = Check::new("http");
    behind.is_blocked = true;
    assert!(room.happen(problem_of(&mut behind)).is_empty(), "sw1 is not up");
    let switch = CheckId::host("sw1");
    let down = crate::fixture::change(ChangeKind::HardProblem, Status::Down);
    let told = room.happen(vec![(switch, EventBody::State(down))]);
    let others = &told[0].letter.as_ref().unwrap().others;
    assert_eq!(others.iter().map(|other| other.id.to_string()).collect::<Vec<_>>(), ["web1/http"]);
}

#[test]
fn a_check_s_message_lists_what_depends_on_it_on_whatever_host() {
    let mut room = Room::new(everybody());
    let mysql = CheckId::check("db1", "mysql");
    let mut behind = crate::fixture::change(ChangeKind::HardProblem, Status::Critical);
    behind.blocked_by = vec![mysql.to_string()];
    let shop = CheckId::check("web1", "http");
    assert!(room.happen(vec![(shop, EventBody::State(behind))]).is_empty(), "mysql fails");
    let mut root = crate::fixture::change(ChangeKind::HardProblem, Status::Critical);
    root.behind = noroshi_model::Behind { hosts: 0, checks: 1 };
    let told = room.happen(vec![(mysql, EventBody::State(root))]);
    let others = &told[0].letter.as_ref().unwrap().others;
    assert_eq!(others.iter().map(|other| other.id.to_string()).collect::<Vec<_>>(), ["web1/http"]);
}

#[test]
fn the_trace_of_a_problem_that_is_not_confirmed_tells_its_status() {
    let mut room = Room::new(everybody());
    let id = CheckId::check("web1", "http");
    for (kind, status) in
        [(ChangeKind::SoftProblem, Status::Warning), (ChangeKind::SoftRecovery, Status::Ok)]
    {
        let change = crate::fixture::change(kind, status);
        room.happen(vec![(id.clone(), EventBody::State(change))]);
        assert_eq!(room.alerts.why(&id, None, 1).unwrap()[0].status, status);
    }
}

#[tokio::test]
async fn what_is_not_configured_any_more_is_forgotten() {
    let mut room = Room::new(everybody());
    let (mut kept, mut gone) = (Check::new("http"), Check::new("disk"));
    room.happen(problem_of(&mut kept));
    room.happen(problem_of(&mut gone));
    let known = kept.id.clone();
    assert_eq!(room.alerts.retain(move |id| *id == known).await.unwrap(), 1);
    let told = room.happen(problem_of(&mut Check::new("ping")));
    let others = &told[0].letter.as_ref().unwrap().others;
    assert_eq!(others.iter().map(|other| other.id.to_string()).collect::<Vec<_>>(), ["web1/http"]);
    assert!(room.happen(recovery_of(&mut gone)).is_empty(), "nobody is told of what is forgotten");
    assert_eq!(room.happen(recovery_of(&mut kept)).len(), 2);
}
