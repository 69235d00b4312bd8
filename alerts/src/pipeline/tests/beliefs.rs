//! Whatever happens: what the readers of messages believe in the end is true.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

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
