//! A site becomes what is watched, a slice at a time: between two of them checks go on.
//!
//! What is wanted is sorted as the board is, and both are walked side by side. What is as it was is
//! passed by; so a reload of a large site in which little changed holds the board for milliseconds
//! at a time, and touches only what is new, gone or otherwise. What follows from the whole site
//! (who stands behind whom, who is a member of what) is found before, without the board.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, btree_map};
use std::ops::Bound;
use std::sync::Arc;

use noroshi_model::{CheckId, Status, Timestamp};
use parking_lot::{Mutex, MutexGuard};

use super::cluster::Clusters;
use super::entry::{Entry, Ready};
use super::graph::Graph;
use super::{Applied, Board, ORPHAN_AGE_MAX};
use crate::period::Periods;
use crate::probe::Probe;
use crate::record;
use crate::schedule::Steady;
use crate::spec::{CheckSpec, CheckTerms, HistorySpec, HostSpec, Site};
use crate::state::State;

/// How many hosts and checks are looked at before others get at the board: about a millisecond.
const SLICE: usize = 512;

/// A host, or a check on it, as it is wanted.
pub(super) struct Subject {
    pub(super) id: CheckId,
    pub(super) host: Arc<HostSpec>,
    /// `None` for the host itself.
    pub(super) check: Option<CheckSpec>,
}

/// A site made ready to be put on the board.
pub(crate) struct Wanted {
    /// By id: each host before its checks.
    subjects: Vec<Subject>,
    common: Common,
}

/// What does not belong to one host or check.
struct Common {
    user_macros: Arc<BTreeMap<u16, String>>,
    has_environment_macros: bool,
    history: HistorySpec,
    periods: Periods,
    graph: Graph,
    clusters: Clusters,
    recurring: BTreeMap<String, Vec<CheckId>>,
}

impl Wanted {
    /// Sorts a site and finds what follows from it as a whole.
    pub(crate) fn new(site: Site) -> Self {
        let periods = Periods::new(&site.periods);
        let subjects = subjects(site.hosts, site.checks);
        let common = Common {
            user_macros: Arc::new(site.user_macros),
            has_environment_macros: site.plugins.has_environment_macros,
            history: site.history,
            graph: Graph::new(&subjects),
            clusters: Clusters::new(&subjects),
            recurring: recurring(&subjects, &periods),
            periods,
        };
        Self { subjects, common }
    }

    /// Puts the site on the board. Checks that stay keep their states and their phases.
    pub(crate) fn apply(self, board: &Mutex<Board>, now: Timestamp, steady: Steady) -> Applied {
        let mut walk = Walk::new(self.subjects);
        let before = board.lock().take_common(self.common, now);
        drop(before);
        loop {
            let mut at = board.lock();
            let is_done = walk.step(&mut at, steady.now());
            // Who waits for the board gets it before the next slice.
            MutexGuard::unlock_fair(at);
            walk.gone.clear();
            if is_done {
                break;
            }
        }
        for ids in walk.unplanned.chunks(SLICE) {
            let mut at = board.lock();
            at.plan(ids, walk.waiting, steady.now());
            MutexGuard::unlock_fair(at);
        }
        board.lock().settle(now);
        walk.applied
    }
}

/// Lists hosts and checks by id. Of two with one name the first counts; a check without host is
/// left out.
fn subjects(hosts: Vec<HostSpec>, mut checks: Vec<CheckSpec>) -> Vec<Subject> {
    let mut all: Vec<Subject> = Vec::with_capacity(hosts.len() + checks.len());
    let mut hosts: Vec<Arc<HostSpec>> = hosts.into_iter().map(Arc::new).collect();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    hosts.dedup_by(|later, first| later.name == first.name);
    checks.retain(|check| !check.id.is_host());
    checks.sort_by(|a, b| a.id.cmp(&b.id));
    checks.dedup_by(|later, first| later.id == first.id);
    let mut checks = checks.into_iter().peekable();
    for host in hosts {
        while checks.next_if(|check| *check.id.host < *host.name).is_some() {}
        let (id, check) = (CheckId::host(&host.name), None);
        all.push(Subject { id, host: Arc::clone(&host), check });
        while let Some(check) = checks.next_if(|check| *check.id.host == *host.name) {
            let (id, host) = (check.id.clone(), Arc::clone(&host));
            all.push(Subject { id, host, check: Some(check) });
        }
    }
    all
}

/// Lists what is in downtime again and again.
fn recurring(subjects: &[Subject], periods: &Periods) -> BTreeMap<String, Vec<CheckId>> {
    let mut recurring: BTreeMap<String, Vec<CheckId>> = BTreeMap::new();
    for Subject { id, host, check } in subjects {
        let name = check.as_ref().map_or(&host.maintenance, |check| &check.maintenance);
        if let Some(name) = name.as_ref().filter(|name| periods.has(name)) {
            recurring.entry(name.clone()).or_default().push(id.clone());
        }
    }
    recurring
}

/// A walk over what is wanted and what is there.
struct Walk {
    subjects: std::iter::Peekable<std::vec::IntoIter<Subject>>,
    /// The last id that was looked at.
    last: Option<CheckId>,
    /// The host whose checks are looked at: as it was, when it is as it was.
    host: Option<Arc<HostSpec>>,
    /// What follows from terms that several checks share.
    ready: HashMap<*const CheckTerms, Arc<Ready>>,
    /// What is new or has another timing.
    unplanned: Vec<CheckId>,
    /// How many of those missed their slot or never ran.
    waiting: usize,
    /// What was taken from the board: dropped while others have it.
    #[expect(clippy::vec_box, reason = "they are in boxes when they are taken")]
    gone: Vec<Box<Entry>>,
    applied: Applied,
}

/// What a walk wants done.
enum Step {
    Put(Box<Entry>),
    Remove(CheckId),
}

impl Walk {
    fn new(subjects: Vec<Subject>) -> Self {
        Self {
            subjects: subjects.into_iter().peekable(),
            last: None,
            host: None,
            ready: HashMap::new(),
            unplanned: Vec::new(),
            waiting: 0,
            gone: Vec::new(),
            applied: Applied::default(),
        }
    }

    /// Walks on by a slice and does what it calls for; returns whether that was the end.
    fn step(&mut self, board: &mut Board, steady: i64) -> bool {
        let (steps, is_done) = self.look(board);
        for step in steps {
            match step {
                Step::Put(entry) => self.put(board, entry, steady),
                Step::Remove(id) => {
                    self.gone.extend(board.remove(&id));
                    self.applied.removed += 1;
                }
            }
        }
        is_done
    }

    /// Compares a slice of what is wanted with what is there.
    fn look(&mut self, board: &Board) -> (Vec<Step>, bool) {
        let from = self.last.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut there = board.entries.range((from, Bound::Unbounded)).peekable();
        let mut steps = Vec::new();
        for _ in 0..SLICE {
            let order = match (self.subjects.peek(), there.peek()) {
                (None, None) => return (steps, true),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(wanted), Some((id, _))) => wanted.id.cmp(id),
            };
            let old = if order.is_ge() { there.next() } else { None };
            if let (Ordering::Greater, Some((id, _))) = (order, old) {
                steps.push(Step::Remove(id.clone()));
                self.last = Some(id.clone());
            } else if let Some(wanted) = self.subjects.next() {
                self.last = Some(wanted.id.clone());
                let changed = self.changed(wanted, old.map(|(_, entry)| &**entry));
                steps.extend(changed.map(|entry| Step::Put(Box::new(entry))));
            }
        }
        (steps, false)
    }

    /// Returns what takes the place of `old`; `None` when that is as it is wanted.
    fn changed(&mut self, wanted: Subject, old: Option<&Entry>) -> Option<Entry> {
        let Subject { id, host, check } = wanted;
        // A check is looked at after its host, and shares what was found of that.
        let host = match &self.host {
            Some(known) if !id.is_host() => Arc::clone(known),
            _ => match old {
                Some(old) if *old.host == *host => Arc::clone(&old.host),
                _ => host,
            },
        };
        let is_same = |old: &Entry| Arc::ptr_eq(&old.host, &host) && old.check == check;
        let is_kept = old.is_some_and(is_same);
        if id.is_host() {
            self.host = Some(Arc::clone(&host));
        }
        if is_kept {
            return None;
        }
        let ready = match &check {
            None => Arc::new(Ready::of_host(&host)),
            Some(check) => {
                let terms = check.terms();
                let ready = || Arc::new(Ready::of_check(terms));
                Arc::clone(self.ready.entry(Arc::as_ptr(terms)).or_insert_with(ready))
            }
        };
        Some(Entry::new(id, host, check, ready))
    }

    fn put(&mut self, board: &mut Board, entry: Box<Entry>, steady: i64) {
        let id = entry.id.clone();
        let old = board.put(entry);
        *if old.is_some() { &mut self.applied.changed } else { &mut self.applied.added } += 1;
        self.gone.extend(old);
        let unplanned = board.entries.get(&id).filter(|it| it.due.is_none() && !it.is_running);
        if let Some(entry) = unplanned {
            self.waiting += usize::from(entry.is_late(steady));
            self.unplanned.push(id);
        }
    }
}

impl Board {
    /// Makes the site what is watched, in one go.
    #[cfg(test)]
    pub(crate) fn apply(&mut self, site: Site, now: Timestamp, steady: i64) -> Applied {
        let Wanted { subjects, common } = Wanted::new(site);
        let mut walk = Walk::new(subjects);
        self.take_common(common, now);
        while !walk.step(self, steady) {}
        self.plan(&walk.unplanned, walk.waiting, steady);
        self.settle(now);
        walk.applied
    }

    /// Takes what does not belong to one check; returns what was there, to be dropped elsewhere.
    fn take_common(&mut self, common: Common, now: Timestamp) -> Common {
        self.note_time(now);
        self.runs.beat(&mut self.out.batch, now);
        self.addresses = None;
        let has_environment_macros = self.has_environment_macros;
        self.has_environment_macros = common.has_environment_macros;
        Common {
            user_macros: std::mem::replace(&mut self.user_macros, common.user_macros),
            has_environment_macros,
            history: std::mem::replace(&mut self.log.spec, common.history),
            periods: std::mem::replace(&mut self.periods, common.periods),
            graph: std::mem::replace(&mut self.graph, common.graph),
            clusters: std::mem::replace(&mut self.clusters, common.clusters),
            recurring: std::mem::replace(&mut self.recurring, common.recurring),
        }
    }

    /// Puts an entry on the board with what was known of it before; returns the one whose place it
    /// takes.
    fn put(&mut self, mut entry: Box<Entry>) -> Option<Box<Entry>> {
        let id = entry.id.clone();
        self.out.updated.insert(id.clone());
        if let Some(old) = self.entries.get_mut(&id) {
            // What a passive check waits for is no part of its timing.
            let is_awaited = matches!(entry.probe(), Some(Probe::Passive(_)));
            let is_timed_alike = old.ready.timing == entry.ready.timing && !is_awaited;
            self.tally.remove(&id, old.state.status);
            let has_probe = old.probe().is_some() && entry.probe().is_some();
            entry.due = old.due.filter(|_| is_timed_alike && has_probe);
            entry.state = std::mem::replace(&mut old.state, State::pending());
            entry.is_running = old.is_running;
            entry.wants_rerun = old.wants_rerun;
        } else if let Some(state) = self.orphans.remove(&id) {
            entry.state = state;
        }
        if entry.probe().is_none() && entry.state.status.is_none() {
            entry.state.status = Some(Status::Up);
        }
        self.tally.add(&id, entry.state.status);
        if let Some(until) = entry.state.acknowledgement.as_ref().and_then(|given| given.until) {
            self.expiring.insert((until, id.clone()));
        }
        if entry.state.held.is_some() {
            self.held.insert(id.clone());
        }
        match self.entries.entry(id) {
            btree_map::Entry::Occupied(mut there) => Some(there.insert(entry)),
            btree_map::Entry::Vacant(free) => {
                free.insert(entry);
                None
            }
        }
    }

    /// Takes an entry off the board; its state is remembered for a while.
    fn remove(&mut self, id: &CheckId) -> Option<Box<Entry>> {
        let mut entry = self.entries.remove(id)?;
        self.held.remove(id);
        self.tally.remove(id, entry.state.status);
        let state = std::mem::replace(&mut entry.state, State::pending());
        if self.dirty.remove(id) {
            record::put_state(&mut self.out.batch, id, &state);
        }
        self.orphans.insert(id.clone(), state);
        self.begun.remove(id);
        self.out.updated.insert(id.clone());
        Some(entry)
    }

    /// Plans what has no due time; `waiting` of all that is new are late.
    fn plan(&mut self, ids: &[CheckId], waiting: usize, steady: i64) {
        for id in ids {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            if entry.due.is_none() && !entry.is_running {
                entry.due =
                    entry.first_due(waiting, self.wall, self.away.lately(self.wall), steady);
                if let Some(due) = entry.due {
                    self.queue.push(due, id.clone());
                }
            }
        }
    }

    /// Ends the taking over of a site.
    fn settle(&mut self, now: Timestamp) {
        self.forget_orphans(now);
        self.end_unasked(now);
        self.out.is_due_sooner = true;
    }

    /// Forgets the states of checks that have not been configured for long.
    fn forget_orphans(&mut self, now: Timestamp) {
        let oldest = now - ORPHAN_AGE_MAX;
        let is_old = |state: &State| state.finished.is_none_or(|finished| finished < oldest);
        let batch = &mut self.out.batch;
        self.orphans.retain(|id, state| {
            if is_old(state) {
                record::remove_state(batch, id);
            }
            !is_old(state)
        });
    }
}
