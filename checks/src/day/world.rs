//! What is true: which hosts and checks there are, what needs what, and what is broken.

use std::collections::BTreeMap;
use std::time::Duration;

use noroshi_model::CheckId;

use super::Random;
use crate::{CheckSpec, HostSpec, PassiveProbe, PeriodSpec, PluginProbe, Probe, Site, Timing};

const SWITCHES: usize = 10;
const SERVERS: usize = 189;
/// Which checks flap for hours: every so many.
const FLAPPERS: usize = 60;
/// Hosts that have maintenance each night: every so many.
const MAINTAINED: usize = 20;
/// Which things have a problem only when it lasts: every so many. How long, in milliseconds: of a
/// check, of a host.
const LASTING: (usize, i64, i64) = (7, 4 * 60_000, 90_000);

/// One host or check.
pub(super) struct Thing {
    pub(super) id: CheckId,
    /// Of a host: its parents, one of which is enough.
    parents: Vec<usize>,
    /// What it needs besides: all of it.
    needs: Vec<usize>,
    /// It, and everything above it.
    above: Vec<usize>,
    is_flapper: bool,
    /// How long a problem of it must last, in milliseconds.
    pub(super) must_last: Option<i64>,
    /// Broken by itself, until this moment.
    broken_until: Option<i64>,
    /// When it last was or ceased to be broken by itself.
    broken_at: Option<i64>,
    answers: bool,
    /// When `answers` last changed.
    changed: i64,
    /// When it ever did.
    changes: Vec<i64>,
}

/// The site as it is.
pub(super) struct World {
    pub(super) things: Vec<Thing>,
    index: BTreeMap<CheckId, usize>,
    /// What is broken by itself.
    broken: Vec<usize>,
}

impl World {
    pub(super) fn new(random: &mut Random) -> Self {
        let mut world = Self { things: Vec::new(), index: BTreeMap::new(), broken: Vec::new() };
        world.add(CheckId::host("core"), Vec::new(), Vec::new());
        for number in 0..SWITCHES {
            world.add(CheckId::host(&format!("switch{number}")), vec![0], Vec::new());
        }
        for number in 0..SERVERS {
            let mut parents = vec![1 + random.below(SWITCHES)];
            if random.once_in(4) {
                parents.push(1 + random.below(SWITCHES));
            }
            let name = format!("server{number}");
            let host = world.add(CheckId::host(&name), parents, Vec::new());
            world.add(CheckId::check(&name, "disk"), Vec::new(), vec![host]);
            // Some need the disk of a server before them: its check, and so its host.
            let mut needs = vec![host];
            if number > 10 && random.once_in(4) {
                let other = CheckId::check(&format!("server{}", random.below(number)), "disk");
                needs.push(world.index[&other]);
            }
            world.add(CheckId::check(&name, "http"), Vec::new(), needs);
        }
        for (index, thing) in world.things.iter_mut().enumerate() {
            thing.is_flapper = !thing.id.is_host() && index % FLAPPERS == 0;
            let (every, of_check, of_host) = LASTING;
            let lasts = if thing.id.is_host() { of_host } else { of_check };
            thing.must_last = (index % every == 3 && !thing.is_flapper).then_some(lasts);
        }
        world
    }

    fn add(&mut self, id: CheckId, parents: Vec<usize>, needs: Vec<usize>) -> usize {
        let index = self.things.len();
        let mut above = vec![index];
        for other in parents.iter().chain(&needs) {
            above.extend(&self.things[*other].above);
        }
        above.sort_unstable();
        above.dedup();
        self.index.insert(id.clone(), index);
        self.things.push(Thing {
            id,
            parents,
            needs,
            above,
            is_flapper: false,
            must_last: None,
            broken_until: None,
            broken_at: None,
            answers: true,
            changed: i64::MIN / 2,
            changes: Vec::new(),
        });
        index
    }

    pub(super) fn site(&self) -> Site {
        let mut site = Site::default();
        for (index, thing) in self.things.iter().enumerate() {
            let name = |other: &usize| self.things[*other].id.clone();
            let hosts = thing.parents.iter().map(|parent| self.things[*parent].id.host.to_string());
            if thing.id.is_host() {
                let mut host = HostSpec::new(&thing.id.host, "192.0.2.1");
                host.parents = hosts.collect();
                host.probe = Some(probe());
                host.timing = thing.timing(120, 20, 2);
                host.maintenance = (index % MAINTAINED == 11).then(|| "night".to_owned());
                site.hosts.push(host);
            } else {
                let mut check = CheckSpec::new(thing.id.clone(), probe());
                check.timing = thing.timing(300, 60, 3);
                check.depends = thing.needs[1..].iter().map(name).collect();
                site.checks.push(check);
            }
        }
        // Never told anything: must never be anything but what it was.
        let quiet = CheckId::check("core", "quiet");
        site.checks.push(CheckSpec::new(quiet, Probe::Passive(PassiveProbe::default())));
        let days = ["saturday", "sunday"].map(|day| format!("{day} 02:15-03:30"));
        let night = PeriodSpec {
            zone: "Europe/Berlin".to_owned(),
            rules: days.to_vec(),
            ..PeriodSpec::default()
        };
        site.periods.insert("night".to_owned(), night);
        site
    }

    /// Lets things break and be mended.
    pub(super) fn second(&mut self, time: i64, is_calm: bool, random: &mut Random) {
        let mut is_changed = false;
        let is_over = |until: i64| until <= time || is_calm;
        self.broken.retain(|index| {
            let thing = &mut self.things[*index];
            if thing.broken_until.is_some_and(is_over) {
                (thing.broken_until, thing.broken_at) = (None, Some(time));
                is_changed = true;
            }
            thing.broken_until.is_some()
        });
        if !is_calm {
            is_changed |= self.break_some(time, random);
        }
        if is_changed {
            self.settle(time);
        }
    }

    fn break_some(&mut self, time: i64, random: &mut Random) -> bool {
        let mut broken = Vec::new();
        if random.once_in(240) {
            // A failure, most often of a leaf; sometimes of a switch, now and then of the core.
            let index = match random.below(40) {
                0 => 0,
                1..5 => 1 + random.below(SWITCHES),
                _ => 1 + SWITCHES + random.below(3 * SERVERS),
            };
            broken.push((index, random.between(20 * 60, 90 * 60)));
        }
        if random.once_in(300) {
            // A blink, over before anybody could be sure of it.
            broken.push((random.below(self.things.len()), random.between(1, 12)));
        }
        if (time / 1000) % 420 == 0 {
            let flappers = self.things.iter().enumerate().filter(|(_, thing)| thing.is_flapper);
            broken.extend(flappers.map(|(index, _)| (index, 210)));
        }
        let mut is_changed = false;
        for (index, seconds) in broken {
            let thing = &mut self.things[index];
            if thing.broken_until.is_none() {
                thing.broken_until = Some(time + seconds * 1000);
                thing.broken_at = Some(time);
                self.broken.push(index);
                is_changed = true;
            }
        }
        is_changed
    }

    /// Works out what answers: whatever is above comes first.
    fn settle(&mut self, time: i64) {
        for index in 0..self.things.len() {
            let thing = &self.things[index];
            let is_up = |other: &usize| self.things[*other].answers;
            let is_reached = thing.parents.is_empty() || thing.parents.iter().any(is_up);
            let answers =
                thing.broken_until.is_none() && is_reached && thing.needs.iter().all(is_up);
            let thing = &mut self.things[index];
            if thing.answers != answers {
                (thing.answers, thing.changed) = (answers, time);
                thing.changes.push(time);
            }
        }
    }

    fn get(&self, id: &CheckId) -> &Thing {
        &self.things[self.index[id]]
    }

    /// Returns how often its truth changed since a moment.
    pub(super) fn changes_since(&self, id: &CheckId, since: i64) -> usize {
        self.get(id).changes.iter().filter(|at| **at >= since).count()
    }

    pub(super) fn thing(&self, id: &CheckId) -> &Thing {
        self.get(id)
    }

    pub(super) fn answers(&self, id: &CheckId) -> bool {
        self.get(id).answers
    }

    /// Tells whether it answered all the time since `begun`.
    pub(super) fn answered(&self, id: &CheckId, begun: i64) -> bool {
        let thing = self.get(id);
        thing.answers && thing.changed <= begun
    }

    /// Returns when anything last changed that matters to a thing.
    pub(super) fn moved(&self, thing: &Thing) -> i64 {
        let of = |index: &usize| {
            let thing = &self.things[*index];
            thing.changed.max(thing.broken_at.unwrap_or(i64::MIN / 2))
        };
        thing.above.iter().map(of).max().unwrap_or(i64::MIN / 2)
    }

    /// Tells whether it is broken by itself, or was at some time since `since`.
    pub(super) fn was_broken(&self, id: &CheckId, since: i64) -> bool {
        let thing = self.get(id);
        thing.broken_until.is_some() || thing.broken_at.is_some_and(|at| at >= since)
    }

    /// Tells whether something that it needs does not answer.
    pub(super) fn is_hindered(&self, thing: &Thing) -> bool {
        let is_up = |other: &usize| self.things[*other].answers;
        let is_cut_off = !thing.parents.is_empty() && !thing.parents.iter().any(is_up);
        is_cut_off || !thing.needs.iter().all(is_up)
    }

    /// Returns what is broken by itself above a thing, itself left out.
    pub(super) fn roots(&self, thing: &Thing) -> Vec<String> {
        let others = thing.above.iter().map(|index| &self.things[*index]);
        let broken = others.filter(|other| other.id != thing.id && other.broken_until.is_some());
        broken.map(|other| other.id.to_string()).collect()
    }
}

impl Thing {
    fn timing(&self, interval: u64, retry: u64, attempts_max: u32) -> Timing {
        Timing {
            interval: Duration::from_secs(interval),
            retry_interval: Duration::from_secs(retry),
            timeout: Duration::from_secs(10),
            attempts_max: if self.must_last.is_some() { 1 } else { attempts_max },
            lasting: self.must_last.map(|ms| Duration::from_millis(ms.unsigned_abs())),
            ..Timing::default()
        }
    }

    /// Returns since when it does not answer; what answered for less than `blink_ms` between may have
    /// been seen by nobody.
    pub(super) fn silent_since(&self, time: i64, blink_ms: i64) -> i64 {
        let mut since = if self.answers { time } else { self.changed };
        // Before each failure it answered from the change before that one on.
        let mut earlier = self.changes.iter().rev().skip(usize::from(!self.answers));
        while let (Some(mended), Some(failed)) = (earlier.next(), earlier.next()) {
            if since - mended > blink_ms {
                break;
            }
            since = *failed;
        }
        since
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken_until.is_some()
    }

    pub(super) fn is_answering(&self) -> bool {
        self.answers
    }

    pub(super) fn is_flapper(&self) -> bool {
        self.is_flapper
    }

    pub(super) fn is_maintained(&self, world: &World) -> bool {
        world.index[&CheckId::host(&self.id.host)] % MAINTAINED == 11
    }
}

/// A probe that is never run: the model answers for it.
fn probe() -> Probe {
    Probe::Plugin(PluginProbe { argv: vec!["/bin/true".to_owned()], ..PluginProbe::default() })
}
