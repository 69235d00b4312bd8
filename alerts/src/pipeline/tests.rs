//! What the events make people believe.

use std::collections::BTreeSet;

use noroshi_model::seam::{ManualClock, MemoryRecords};
use noroshi_model::{Clock, StateChange, StateType, Status, Timestamp};
use proptest::prelude::*;
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

/// What happens next, to which of two checks.
#[derive(Clone, Debug)]
enum Deed {
    Become(Status),
    Acknowledge { is_sticky: bool },
    Unacknowledge,
    BeginDowntime(u64),
    EndDowntime(u64),
    BeginHostDowntime,
    EndHostDowntime,
    StartFlapping,
    StopFlapping,
    Block,
    Unblock,
    Blip,
}

fn deed() -> impl Strategy<Value = Deed> {
    let statuses = [Status::Ok, Status::Warning, Status::Critical, Status::Unknown];
    prop_oneof![
        8 => prop::sample::select(statuses.to_vec()).prop_map(Deed::Become),
        2 => any::<bool>().prop_map(|is_sticky| Deed::Acknowledge { is_sticky }),
        1 => Just(Deed::Unacknowledge),
        1 => (0..3u64).prop_map(Deed::BeginDowntime),
        2 => (0..3u64).prop_map(Deed::EndDowntime),
        1 => Just(Deed::BeginHostDowntime),
        2 => Just(Deed::EndHostDowntime),
        1 => Just(Deed::StartFlapping),
        2 => Just(Deed::StopFlapping),
        1 => Just(Deed::Block),
        2 => Just(Deed::Unblock),
        1 => Just(Deed::Blip),
    ]
}

/// Two checks on a host, and what their readers believe.
struct Simulation {
    room: Room,
    checks: [Check; 2],
    is_host_in_downtime: bool,
    /// By contact and subject: the status last told.
    believed: HashMap<(String, CheckId), Status>,
}

impl Simulation {
    fn new() -> Self {
        Self {
            room: Room::new(everybody()),
            checks: [Check::new("disk"), Check::new("http")],
            is_host_in_downtime: false,
            believed: HashMap::new(),
        }
    }

    fn act(&mut self, which: usize, deed: &Deed) {
        let host = self.is_host_in_downtime;
        let check = &mut self.checks[which];
        let id = check.id.clone();
        let bodies = match deed {
            Deed::Become(status) => check.become_(*status, host),
            Deed::Acknowledge { is_sticky } => {
                if !check.status.is_problem() || check.is_acknowledged {
                    return;
                }
                (check.is_acknowledged, check.is_sticky) = (true, *is_sticky);
                vec![EventBody::Acknowledged {
                    problem: check.problem,
                    author: "ann".to_owned(),
                    comment: String::new(),
                    is_sticky: *is_sticky,
                    until: None,
                }]
            }
            Deed::Unacknowledge => check.unacknowledge(),
            Deed::BeginDowntime(number) => {
                let is_new = check.downtimes.insert(*number);
                is_new.then(|| started(*number)).into_iter().collect()
            }
            Deed::EndDowntime(number) => check.end_downtime(*number),
            Deed::BeginHostDowntime | Deed::EndHostDowntime => {
                let begins = matches!(deed, Deed::BeginHostDowntime);
                if self.is_host_in_downtime == begins {
                    return;
                }
                self.is_host_in_downtime = begins;
                let body = if begins { started(9) } else { ended(9, Status::Up) };
                return self.happen(&CheckId::host("web1"), vec![body]);
            }
            Deed::StartFlapping => {
                let was = std::mem::replace(&mut check.is_flapping, true);
                let event = EventBody::FlappingStarted { percent: 40.0 };
                (!was).then_some(event).into_iter().collect()
            }
            Deed::StopFlapping => check.stop_flapping(),
            Deed::Block => {
                check.is_blocked = true;
                Vec::new()
            }
            Deed::Unblock => check.unblock(host),
            Deed::Blip => {
                let is_in_downtime = host || !check.downtimes.is_empty();
                let previous = check.status;
                vec![check.state(ChangeKind::SoftRecovery, previous, is_in_downtime)]
            }
        };
        self.happen(&id, bodies);
    }

    fn happen(&mut self, id: &CheckId, bodies: Vec<EventBody>) {
        let events = bodies.into_iter().map(|body| (id.clone(), body)).collect();
        for told in self.room.happen(events) {
            self.receive(&told);
        }
    }

    /// Takes a message in as its reader does, and holds it against the rules.
    fn receive(&mut self, told: &Notification) {
        let key = (told.contact.clone(), told.id.clone());
        let believed = self.believed.get(&key).copied();
        let check = self.checks.iter().find(|check| check.id == told.id).expect("one of the two");
        assert_eq!(told.status, check.status, "what is told is true");
        if told.kind == NotificationKind::Recovery {
            assert!(believed.is_some(), "a recovery for somebody who knew of nothing");
            self.believed.remove(&key);
        } else {
            assert_ne!(believed, Some(told.status), "told what they knew");
            assert!(!check.is_suppressed(self.is_host_in_downtime), "told of what is held back");
            self.believed.insert(key, told.status);
        }
    }

    /// Ends every suppression, one after another.
    fn lift_all(&mut self) {
        self.act(0, &Deed::EndHostDowntime);
        for which in [0, 1] {
            for number in 0..3 {
                self.act(which, &Deed::EndDowntime(number));
            }
            self.act(which, &Deed::Unacknowledge);
            self.act(which, &Deed::StopFlapping);
            self.act(which, &Deed::Unblock);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Goal: whatever happens, when nothing holds messages back any more, what everybody believes
    /// is true; and on the way nobody is told what is false, known or held back. Method: random
    /// deeds on a model of two checks, which logs what `checks` would log; readers believe the
    /// last message.
    #[test]
    fn nobody_ends_with_a_wrong_belief(deeds in prop::collection::vec((0..2usize, deed()), 1..60)) {
        let mut simulation = Simulation::new();
        for (which, deed) in &deeds {
            simulation.act(*which, deed);
        }
        simulation.lift_all();
        for check in &simulation.checks {
            let believed = |name: &str| {
                simulation.believed.get(&(name.to_owned(), check.id.clone())).copied()
            };
            let truth = check.status.is_problem().then_some(check.status);
            prop_assert_eq!(believed("ann"), truth, "{}", check.id);
            // Bob asks for critical only: he may not know of lesser problems, but what he
            // believes is true as well.
            if truth == Some(Status::Critical) || believed("bob").is_some() {
                prop_assert_eq!(believed("bob"), truth, "{}", check.id);
            }
        }
    }
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
