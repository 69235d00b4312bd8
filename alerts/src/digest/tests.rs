//! A storm: what arrives one by one, what in a digest, and what is then believed.

use std::sync::Arc;

use noroshi_model::seam::{ManualClock, MemoryRecords};
use noroshi_model::{ChangeKind, Clock, Event, EventBody};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::alerts::Deps;
use crate::config::Config;
use crate::counters::waiting;
use crate::fixture::{change, contact, event, smtp};
use crate::smtp::{Failure, FailureKind};

struct Storm {
    alerts: Arc<Alerts>,
    records: Arc<MemoryRecords>,
    clock: Arc<ManualClock>,
    sequence: u64,
}

impl Storm {
    fn new() -> Self {
        let records = Arc::new(MemoryRecords::new());
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
        let alerts = Self::alerts(&records, &clock);
        Self { alerts, records, clock, sequence: 0 }
    }

    fn alerts(records: &Arc<MemoryRecords>, clock: &Arc<ManualClock>) -> Arc<Alerts> {
        let alerts = Alerts::new(Deps {
            clock: Arc::clone(clock) as Arc<dyn Clock>,
            records: Arc::clone(records) as Arc<dyn Records>,
            series: Arc::new(noroshi_expr::MemorySeries::new()),
            events: watch::Sender::new(0).subscribe(),
        })
        .unwrap();
        let contacts = vec![contact("ann")];
        alerts.apply(Config { contacts, smtp: Some(smtp()), ..Config::default() }).unwrap();
        alerts
    }

    /// Lets a change happen to each of so many hosts.
    fn strike(&mut self, hosts: usize, kind: ChangeKind, status: Status) {
        let mut batch = RecordBatch::new();
        for host in 0..hosts {
            self.sequence += 1;
            let id = CheckId::host(&format!("web{host:03}"));
            let body = EventBody::State(change(kind, status));
            batch.put(
                Space::Events,
                Event::key(self.sequence),
                event(self.sequence, &id, body).to_record(),
            );
        }
        self.records.commit(batch).unwrap();
        self.look();
    }

    fn look(&self) {
        self.alerts.catch_up(&CancellationToken::new()).unwrap();
    }

    fn subjects(&self) -> Vec<String> {
        waiting(self.records.as_ref()).unwrap().into_iter().map(|one| one.subject).collect()
    }

    fn believed(&self) -> usize {
        self.records.scan(Space::Ledger, book::TOLD, None, 1000).unwrap().len()
    }
}

#[test]
fn a_storm_comes_as_a_few_messages_and_a_digest() {
    let mut storm = Storm::new();
    storm.strike(50, ChangeKind::HardProblem, Status::Down);
    assert_eq!(storm.subjects().len(), CHANGES_MAX);
    assert_eq!(storm.believed(), 50, "what waits for the digest counts as told");
    storm.clock.advance(Duration::from_secs(119));
    storm.look();
    assert_eq!(storm.subjects().len(), CHANGES_MAX);

    // Ten recover before the digest goes out: it tells how all stand by then.
    storm.strike(10, ChangeKind::HardRecovery, Status::Up);
    storm.clock.advance(Duration::from_secs(1));
    storm.look();
    let subjects = storm.subjects();
    assert_eq!(subjects.len(), CHANGES_MAX + 1);
    assert_eq!(subjects[CHANGES_MAX], "[DIGEST] 40 changes: 30 down, 10 up");
    storm.look();
    assert_eq!(storm.subjects().len(), CHANGES_MAX + 1, "a digest goes out once");

    // The recoveries are as many; a restart in between forgets nothing of it.
    storm.alerts = Storm::alerts(&storm.records, &storm.clock);
    storm.strike(50, ChangeKind::HardRecovery, Status::Up);
    storm.clock.advance(GATHER);
    storm.look();
    let subjects = storm.subjects();
    assert_eq!(subjects.last().unwrap(), "[DIGEST] 40 changes: 40 up");
    assert_eq!((subjects.len(), storm.believed()), (CHANGES_MAX + 2, 0));

    storm.clock.advance(WINDOW);
    storm.strike(1, ChangeKind::HardProblem, Status::Down);
    let last = storm.subjects().pop().unwrap();
    assert_eq!(last, "[DOWN] web000: connection refused", "after the storm all is as before");
}

#[test]
fn a_digest_that_never_arrives_takes_its_beliefs_along() {
    let mut storm = Storm::new();
    storm.strike(50, ChangeKind::HardProblem, Status::Down);
    storm.clock.advance(GATHER);
    storm.look();
    let digest = waiting(storm.records.as_ref()).unwrap().pop().unwrap();
    let refused = Err(Failure::new(FailureKind::Refused, "550 no such user"));
    storm.alerts.write_down(digest.number, &refused).unwrap();
    assert_eq!(storm.believed(), CHANGES_MAX);
}

#[test]
fn who_is_new_gets_one_digest_of_what_is_open() {
    let mut storm = Storm::new();
    storm.strike(3, ChangeKind::HardProblem, Status::Down);
    assert_eq!(storm.subjects().len(), 3);
    let contacts = vec![contact("ann"), contact("bob")];
    let config = Config { contacts, smtp: Some(smtp()), ..Config::default() };
    storm.alerts.apply(config).unwrap();
    storm.look();
    assert_eq!(storm.believed(), 6);
    storm.clock.advance(GATHER);
    storm.look();
    let digest = waiting(storm.records.as_ref()).unwrap().pop().unwrap();
    assert_eq!((digest.contact.as_str(), storm.subjects().len()), ("bob", 4));
    assert_eq!(digest.subject, "[DIGEST] 3 changes: 3 down");
    // A restart makes nobody new again.
    storm.alerts = Storm::alerts(&storm.records, &storm.clock);
    storm.look();
    storm.clock.advance(GATHER);
    storm.look();
    assert_eq!(storm.subjects().len(), 4);
}

#[test]
fn a_mail_server_that_is_added_brings_what_is_open() {
    let mut storm = Storm::new();
    let contacts = vec![contact("ann")];
    let without = Config { contacts, ..Config::default() };
    storm.alerts.apply(without.clone()).unwrap();
    storm.strike(1, ChangeKind::HardProblem, Status::Down);
    assert_eq!((storm.subjects().len(), storm.believed()), (0, 0));
    storm.alerts.apply(Config { smtp: Some(smtp()), ..without }).unwrap();
    storm.look();
    storm.clock.advance(GATHER);
    storm.look();
    assert_eq!(storm.subjects(), ["[DIGEST] 1 change: 1 down"]);
}
