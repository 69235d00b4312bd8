//! The board: every check with its spec, its state and when it is due. In memory, without IO.
//!
//! `mod.rs` holds the board itself; `apply.rs` how a site becomes what is watched; `entry.rs` one
//! check; `cluster.rs` who is a member of what, `dirty.rs` what is to be written, `heartbeat.rs`
//! calls from outside; `graph.rs` what stands behind what; `judge.rs` what results make of it;
//! `mark.rs` what people do to it, `recurring.rs` maintenance periods; `show.rs` what is shown of it, `tally.rs` how much of it is how,
//! `report.rs` over a time.
//! What must become durable or be told is collected in [`Out`]; whoever changed the board drains it.

mod apply;
mod asked;
mod cluster;
mod dirty;
mod entry;
mod graph;
mod heartbeat;
mod judge;
mod mark;
mod recurring;
mod report;
mod show;
mod tally;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::time::millis;
use noroshi_model::{CheckId, RecordBatch, Records, Sample, StateType, Timestamp};

use crate::class::{Class, Room};
use crate::log::EventLog;
use crate::macros::{Facts, Macros, in_environment};
use crate::mark::{Comment, Downtimes, Marks};
use crate::period::Periods;
use crate::probe::{Member, Probe};
use crate::record::{self, StateError};
use crate::runs::Runs;
use crate::schedule::{self, Queue};
use crate::spec::HandlerSpec;
use crate::state::{Over, State};

pub(crate) use apply::Wanted;
use cluster::Clusters;
use dirty::Dirty;
pub(crate) use entry::{Entry, Ready};
use graph::Graph;
pub(crate) use report::Gathered;
pub(crate) use show::{all_to_wall, to_wall};
use tally::Tally;

/// How long the state of a check that is no longer configured is remembered: a line commented out
/// and back again costs no history.
const ORPHAN_AGE_MAX: Duration = Duration::from_hours(24 * 30);

/// From which time without any work on the server counts as having been away.
const AWAY_MIN: Duration = Duration::from_secs(5);
/// How long those who send samples need at most to find the server again: an agent tries every 45
/// seconds at the latest, and what it sends must be seen.
const RETURN_MAX: Duration = Duration::from_secs(90);

/// When nothing was watched the last time: the server was stopped, or its machine slept.
#[derive(Clone, Copy, Debug)]
struct Away {
    /// For how long.
    span: Duration,
    /// Until when those who send may not have found it again.
    until: Timestamp,
}

impl Default for Away {
    fn default() -> Self {
        Self { span: Duration::ZERO, until: Timestamp::MIN }
    }
}

impl Away {
    /// Returns for how long it was away, while that matters; zero once those who send had time to
    /// come back.
    fn lately(&self, now: Timestamp) -> Duration {
        if self.may_be_missed(now) { self.span } else { Duration::ZERO }
    }

    /// Tells whether those who send may not have found the server again.
    fn may_be_missed(&self, now: Timestamp) -> bool {
        // Should the clock be put back meanwhile, the end is further away than it ever was.
        now < self.until && self.until.since(now) <= RETURN_MAX
    }
}

/// What applying a site changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Hosts and checks that are new.
    pub added: usize,
    /// Hosts and checks that are configured otherwise than before; their states are kept.
    pub changed: usize,
    /// Hosts and checks that are gone.
    pub removed: usize,
}

/// A run to be made.
pub(crate) struct Job {
    pub(crate) id: CheckId,
    /// What it waits for.
    pub(crate) class: Class,
    /// With the host and the check that are looked at.
    pub(crate) macros: Macros,
    pub(crate) ready: Arc<Ready>,
    /// For an expression check: which series are over a threshold.
    pub(crate) over: BTreeMap<String, Over>,
    /// For a passive check: when the last result came.
    pub(crate) heard: Option<Timestamp>,
    /// For a cluster: what each member counts as.
    pub(crate) members: Vec<Member>,
    /// When it was due, in steady milliseconds.
    pub(crate) due: i64,
}

impl Job {
    /// Returns how it is looked at; only what has a probe becomes a job.
    pub(crate) fn probe(&self) -> Option<&Probe> {
        match &self.macros.check {
            Some(check) => Some(&check.probe),
            None => self.macros.host.probe.as_ref(),
        }
    }
}

/// An event handler to be run.
pub(crate) struct HandlerCall {
    pub(crate) id: CheckId,
    pub(crate) spec: HandlerSpec,
    pub(crate) macros: Macros,
    /// Whether the change is confirmed. The end of a soft problem is a soft one.
    pub(crate) state_type: StateType,
    /// The view of the check, as JSON for a URL.
    pub(crate) view: Box<crate::CheckView>,
}

/// What a change of the board wants written and told.
#[derive(Default)]
pub(crate) struct Out {
    pub(crate) batch: RecordBatch,
    pub(crate) updated: BTreeSet<CheckId>,
    pub(crate) handlers: Vec<HandlerCall>,
    /// What the results become in the store.
    pub(crate) samples: Vec<Sample>,
    /// Newest event in `batch`.
    pub(crate) newest: Option<u64>,
    /// Something is due earlier than before.
    pub(crate) is_due_sooner: bool,
}

/// Every check with its state.
pub(crate) struct Board {
    /// In boxes, because a map moves its values about and keeps room for more of them.
    pub(crate) entries: BTreeMap<CheckId, Box<Entry>>,
    tally: Tally,
    graph: Graph,
    pub(crate) queue: Queue,
    pub(crate) log: EventLog,
    /// When the program ran.
    pub(crate) runs: Runs,
    pub(crate) downtimes: Downtimes,
    pub(crate) comments: Marks<Comment>,
    next_mark: u64,
    /// States of checks that are not configured (any longer).
    orphans: BTreeMap<CheckId, State>,
    /// Checks whose confirmed problem waits for its ancestors.
    held: BTreeSet<CheckId>,
    /// Checks whose state on disk is behind: times and outputs, nothing that was told.
    dirty: Dirty,
    /// The wall time of the last change; after a start the last that is remembered.
    wall: Timestamp,
    away: Away,
    user_macros: Arc<BTreeMap<u16, String>>,
    /// Whether plug-ins get every macro in their environment.
    has_environment_macros: bool,
    periods: Periods,
    clusters: Clusters,
    /// When what calls in began its work, if it said so.
    begun: HashMap<CheckId, Timestamp>,
    /// What is in downtime again and again, by the name of its period.
    recurring: BTreeMap<String, Vec<CheckId>>,
    /// Hosts by their addresses, made when somebody names one so.
    addresses: Option<HashMap<String, Arc<str>>>,
    /// When acknowledgements run out; an entry that is no longer true is skipped.
    expiring: BTreeSet<(Timestamp, CheckId)>,
    pub(crate) out: Out,
}

impl Board {
    /// Reads what is remembered. Nothing is watched before [`Board::apply`].
    pub(crate) fn load(records: &dyn Records) -> Result<Self, StateError> {
        let downtimes = Downtimes { all: record::load_downtimes(records)?.into_iter().collect() };
        let comments: Marks<Comment> = record::load_comments(records)?.into_iter().collect();
        let newest = downtimes.all.newest().max(comments.newest());
        let log = EventLog::load(records)?;
        // A number that an event still names must not be given again: events are more than marks.
        let next_mark = newest.unwrap_or(0).max(log.newest()) + 1;
        let orphans = record::load_states(records)?;
        let runs = Runs::load(records)?;
        let wall = runs.last_known().unwrap_or(Timestamp::MIN);
        Ok(Self {
            entries: BTreeMap::new(),
            tally: Tally::default(),
            graph: Graph::default(),
            queue: Queue::default(),
            log,
            runs,
            downtimes,
            comments,
            next_mark,
            orphans,
            held: BTreeSet::new(),
            dirty: Dirty::default(),
            wall,
            away: Away::default(),
            user_macros: Arc::default(),
            has_environment_macros: false,
            periods: Periods::default(),
            clusters: Clusters::default(),
            begun: HashMap::new(),
            recurring: BTreeMap::new(),
            addresses: None,
            expiring: BTreeSet::new(),
            out: Out::default(),
        })
    }

    /// Takes the runs that are due and have room. Each is under way until its result is taken.
    pub(crate) fn take_due(&mut self, mut room: Room, now: Timestamp, steady: i64) -> Vec<Job> {
        let mut jobs = Vec::new();
        while let Some((due, id)) = self.queue.pop_due(steady, &room) {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            let Some(class) = entry.probe().map(Class::of) else { continue };
            if entry.is_running || entry.due != Some(due) {
                continue;
            }
            // Outside its period a check rests until the next slot, unless somebody asks.
            if !entry.wants_rerun && !self.periods.holds(entry.ready.timing.period.as_deref(), now)
            {
                let next =
                    schedule::slot_after(entry.phase, millis(entry.ready.timing.interval), steady);
                entry.due = Some(next);
                self.queue.push(next, id);
                continue;
            }
            if !room.has(class) {
                self.queue.put_off(class, due, id);
                continue;
            }
            room.take(class);
            entry.is_running = true;
            entry.wants_rerun = false;
            let (over, heard) = (entry.state.over.clone(), entry.state.heard);
            let ready = Arc::clone(&entry.ready);
            let mut asks = ready.asks.clone();
            if class == Class::Plugin && self.has_environment_macros {
                asks.extend(in_environment().map(str::to_owned));
            }
            let has_states = ready.has_states || self.has_environment_macros;
            let asked = self.asked(&id, &asks);
            let macros = Macros { asked, now, ..self.macros_of(&id, has_states) };
            let members = self.members(&id);
            let job = Job { id, class, macros, ready, over, heard, members, due };
            jobs.push(job);
        }
        jobs
    }

    /// Returns what is meant by an id whose host is named by its address, as Nagios takes results
    /// (`base/commands.c`, `process_passive_service_check`); `None` when there is no such host or
    /// check. Of several hosts with one address it is the last by name.
    pub(crate) fn by_address(&mut self, id: &CheckId) -> Option<CheckId> {
        let entries = &self.entries;
        let addresses = self.addresses.get_or_insert_with(|| {
            let hosts = entries.values().filter(|entry| entry.id.is_host());
            hosts.map(|entry| (entry.host.address.clone(), Arc::clone(&entry.id.host))).collect()
        });
        let host = Arc::clone(addresses.get(&*id.host)?);
        let id = CheckId { host, check: id.check.clone() };
        entries.contains_key(&id).then_some(id)
    }

    /// Asks for a run at once. A run under way is followed by another.
    ///
    /// Returns whether there is something to run.
    pub(crate) fn recheck(&mut self, id: &CheckId, steady: i64) -> bool {
        self.recheck_at(id, steady)
    }

    /// Asks for a run at a moment, unless one is due before.
    fn recheck_at(&mut self, id: &CheckId, at: i64) -> bool {
        let Some(entry) = self.entries.get_mut(id) else { return false };
        if entry.probe().is_none_or(|probe| !probe.is_active()) {
            return false;
        }
        entry.wants_rerun = true;
        if !entry.is_running && entry.due.is_none_or(|due| due > at) {
            entry.due = Some(at);
            self.out.is_due_sooner |= self.queue.push(at, id.clone());
        }
        true
    }

    /// Plans the next run of an entry whose run, due at `due`, has ended.
    fn plan_next(&mut self, id: &CheckId, due: Option<i64>, steady: i64) {
        let wall = self.wall;
        let Some(entry) = self.entries.get_mut(id) else { return };
        let due = due.unwrap_or(steady);
        entry.due = match entry.probe() {
            None => None,
            Some(probe) if !probe.is_active() => entry.silence_due(wall, steady),
            Some(_) if entry.wants_rerun => Some(steady),
            Some(_) if entry.state.is_being_confirmed() => {
                Some(entry.retry_due(due, (wall, steady)))
            }
            Some(_) => {
                let interval = millis(entry.ready.timing.interval);
                Some(schedule::next_regular(entry.phase, interval, due, steady))
            }
        };
        if let Some(due) = entry.due {
            self.out.is_due_sooner |= self.queue.push(due, id.clone());
        }
    }

    /// Notes what time it is, and when that shows that nothing was done for a while: the server was
    /// stopped, or its machine slept.
    fn note_time(&mut self, now: Timestamp) {
        let span = if self.wall == Timestamp::MIN { Duration::ZERO } else { now.since(self.wall) };
        if span >= AWAY_MIN {
            self.away = Away { span, until: now + (span * 3).min(RETURN_MAX) };
        }
        self.wall = now;
    }

    /// Returns what macros stand for in the texts of a check or host.
    pub(crate) fn macros(&self, id: &CheckId) -> Macros {
        self.macros_of(id, true)
    }

    /// Returns what macros stand for, with or without those that speak of states.
    fn macros_of(&self, id: &CheckId, has_states: bool) -> Macros {
        let host_id = CheckId { host: Arc::clone(&id.host), check: None };
        let facts = |id: &CheckId| {
            let entry = self.entries.get(id).filter(|_| has_states)?;
            Some(Facts::new(&entry.state, &entry.ready.rules))
        };
        let entry = self.entries.get(id);
        Macros {
            host: entry.map(|entry| Arc::clone(&entry.host)).unwrap_or_default(),
            check: entry.and_then(|entry| entry.check.clone()),
            host_facts: facts(&host_id).unwrap_or_default(),
            check_facts: (!id.is_host()).then(|| facts(id).unwrap_or_default()),
            user: Arc::clone(&self.user_macros),
            asked: BTreeMap::new(),
            now: self.wall,
        }
    }

    /// Returns a number for a downtime or comment that no other has or had.
    fn take_mark(&mut self) -> u64 {
        let number = self.next_mark;
        self.next_mark += 1;
        number
    }
}

#[cfg(test)]
mod tests;
