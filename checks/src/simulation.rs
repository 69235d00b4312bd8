//! Hours of a site in seconds: routers that fail, services that flap, kills, reloads and jumps of
//! the wall clock; and what must be true of all of it.
//!
//! Truth is a table of what is up, drawn at random; each host and check looks at its own entry
//! through an expression, and what stands behind something dead cannot answer. Time is tokio's
//! paused clock. The seed is in the message of every assertion.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use noroshi_model::{ChangeKind, CheckId, Clock, Event, EventBody, Status};

use crate::harness::House;
use crate::{
    CheckSpec, CheckView, Compare, ExpressionProbe, HostSpec, Judge, Missing, Probe, Site,
    Threshold, Timing,
};

/// One step of the world: every value is set anew.
const STEP: Duration = Duration::from_secs(10);
/// How long a failure of the world lasts at least, in steps: longer than all that confirms it.
const CALM_STEPS: usize = 30;

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

/// The site: a core router, three switches behind it, three servers behind each, two checks each.
struct World {
    /// Child to parent.
    parents: BTreeMap<String, Option<String>>,
    /// What is broken by itself: hosts and checks.
    broken: BTreeSet<String>,
}

impl World {
    fn new() -> Self {
        let mut parents = BTreeMap::from([("core".to_owned(), None)]);
        for switch in 0..3 {
            parents.insert(format!("switch{switch}"), Some("core".to_owned()));
            for server in 0..3 {
                let parent = Some(format!("switch{switch}"));
                parents.insert(format!("server{switch}{server}"), parent);
            }
        }
        Self { parents, broken: BTreeSet::new() }
    }

    fn checks(&self) -> Vec<String> {
        let servers = self.parents.keys().filter(|name| name.starts_with("server"));
        servers.flat_map(|server| ["http", "disk"].map(|name| format!("{server}/{name}"))).collect()
    }

    /// Returns everything that can break.
    fn names(&self) -> Vec<String> {
        self.parents.keys().cloned().chain(self.checks()).collect()
    }

    /// Tells whether something answers: it, its host, and all on the way are fine.
    fn answers(&self, name: &str) -> bool {
        let mut at = name.split('/').next().map(str::to_owned);
        let mut is_fine = !self.broken.contains(name);
        while let Some(host) = at {
            is_fine &= !self.broken.contains(&host);
            at = self.parents.get(&host).cloned().flatten();
        }
        is_fine
    }

    /// Returns the hosts on the way that are broken by themselves: the roots.
    fn is_behind_something_broken(&self, name: &str) -> bool {
        let host = name.split('/').next().unwrap_or(name);
        let mut at = if name.contains('/') {
            Some(host.to_owned())
        } else {
            self.parents.get(host).cloned().flatten()
        };
        while let Some(host) = at {
            if self.broken.contains(&host) {
                return true;
            }
            at = self.parents.get(&host).cloned().flatten();
        }
        false
    }

    fn site(&self) -> Site {
        let probe = |name: &str| {
            Probe::Expression(ExpressionProbe {
                expr: format!("truth{{name={name:?}}}"),
                judge: Judge::Thresholds {
                    warning: None,
                    critical: Some(Threshold { op: Compare::Below, value: 1.0, leave: None }),
                },
                unit: String::new(),
                name_labels: Vec::new(),
                meaning: String::new(),
                missing: Missing::Unknown,
            })
        };
        let timing = |attempts_max| Timing {
            interval: Duration::from_mins(1),
            retry_interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            attempts_max,
            window: None,
            lasting: None,
            period: None,
        };
        let mut site = Site::default();
        for (name, parent) in &self.parents {
            let mut host = HostSpec::new(name, "192.0.2.1");
            host.parents = parent.iter().cloned().collect();
            host.probe = Some(probe(name));
            host.timing = timing(2);
            host.flapping.is_enabled = false;
            site.hosts.push(host);
        }
        for name in self.checks() {
            let mut check = CheckSpec::new(CheckId::parse(&name), probe(&name));
            check.timing = timing(if name.ends_with("http") { 1 } else { 3 });
            check.flapping.is_enabled = false;
            site.checks.push(check);
        }
        site
    }
}

/// Lets the world stand for some steps.
async fn pass(house: &House, world: &World, steps: usize) {
    for _ in 0..steps {
        let now = house.clock.now();
        house.series.forget_before(now - Duration::from_mins(1));
        for name in world.names() {
            let value = f64::from(u8::from(world.answers(&name)));
            house.series.add(&[("__name__", "truth"), ("name", &name)], now, value);
        }
        tokio::time::sleep(STEP).await;
    }
}

/// What somebody was told, from the event log.
struct Told {
    /// Whose problem was told and is not over.
    open: BTreeSet<String>,
}

/// Reads the whole log and checks what must be true of every entry.
fn read_log(house: &House, seed: u64) -> (Vec<Event>, Told) {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let before = events.last().map(|event| event.sequence);
        let page = house.checks.events(None, before, 1000);
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    events.reverse();
    let mut told = Told { open: BTreeSet::new() };
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.sequence, index as u64 + 1, "seed {seed}: no holes");
        let EventBody::State(change) = &event.body else { continue };
        let id = event.id.to_string();
        assert!(change.problem <= event.sequence, "seed {seed}: {event:?}");
        match change.kind {
            ChangeKind::HardProblem if change.blocked_by.is_empty() => {
                told.open.insert(id);
            }
            ChangeKind::HardRecovery => drop(told.open.remove(&id)),
            _ => {}
        }
    }
    (events, told)
}

/// Writes a view and the events of it, for a message.
fn brief(house: &House, name: &str, view: &CheckView) -> String {
    let mut text = format!("{:?} {:?} {}", view.status, view.state_type, view.attempt);
    for event in house.checks.events(Some(&CheckId::parse(name)), None, 8) {
        if let EventBody::State(change) = event.body {
            let at = event.at.as_secs() % 100_000;
            write!(text, "\n  {at} {:?} {} {:?}", change.kind, change.status, change.blocked_by)
                .unwrap();
        }
    }
    text
}

/// Checks that what is shown is the truth, once the world has stood still for long.
fn compare(house: &House, world: &World, seed: u64, turn: usize) {
    let (_, told) = read_log(house, seed);
    for name in world.names() {
        let view = house.checks.check(&CheckId::parse(&name)).unwrap();
        let at = format!(
            "seed {seed}, turn {turn}: {name}, broken {:?}: {:?}",
            world.broken,
            brief(house, &name, &view)
        );
        assert_eq!(view.status.is_some_and(Status::is_problem), !world.answers(&name), "{at}");
        let is_behind = world.is_behind_something_broken(&name);
        let is_host = view.check.is_none();
        if is_host && !world.answers(&name) {
            let want = if is_behind { Status::Unreachable } else { Status::Down };
            assert_eq!(view.status, Some(want), "{at}");
        }
        assert_eq!(view.blocked_by.is_empty(), !is_behind || world.answers(&name), "{at}");
        // What is behind something broken may have been told before that broke; what is not must
        // be told exactly when it is broken.
        if !is_behind {
            assert_eq!(told.open.contains(&name), world.broken.contains(&name), "told? {at}");
        }
        let age = house.clock.now().since(view.last_check.unwrap());
        assert!(age <= Duration::from_secs(75), "not looked at for {age:?}; {at}");
    }
}

async fn simulate(seed: u64, turns: usize) {
    let mut random = Random(seed);
    let mut world = World::new();
    let mut house = House::start(world.site());
    pass(&house, &world, CALM_STEPS).await;
    compare(&house, &world, seed, 0);
    let names = world.names();
    for turn in 1..=turns {
        for _ in 0..=random.next(3) {
            let name = names[random.next(names.len())].clone();
            if !world.broken.remove(&name) {
                world.broken.insert(name);
            }
            // A moment later the next one; or, sometimes, everything at the same time.
            let moment = random.next(4);
            pass(&house, &world, moment).await;
        }
        match random.next(7) {
            0 => {
                let (clock, records, series) = house.kill().await;
                house = House::start_with(world.site(), clock, records, series);
            }
            1 => {
                let (clock, records, series) = house.stop().await;
                tokio::time::sleep(Duration::from_secs(random.next(600) as u64)).await;
                house = House::start_with(world.site(), clock, records, series);
            }
            2 => drop(house.checks.apply(world.site())),
            3 => house.clock.jump(3600),
            4 => house.clock.jump(-3600),
            _ => {}
        }
        pass(&house, &world, CALM_STEPS).await;
        compare(&house, &world, seed, turn);
    }
    // Everything is mended: every problem that was told is over, and was told to be over.
    world.broken.clear();
    pass(&house, &world, CALM_STEPS).await;
    compare(&house, &world, seed, turns + 1);
    assert!(read_log(&house, seed).1.open.is_empty(), "seed {seed}");
    assert!(house.checks.problems().is_empty(), "seed {seed}");
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_and_told_is_the_truth_through_failures_kills_and_jumps() {
    for seed in 1..=4 {
        simulate(seed, 15).await;
    }
}
