//! What stands behind what: parents, dependencies, and a check's own host, as one graph.
//!
//! A host is cut off when none of its parents is up; everything else that is named must be fine.
//! What is fine needs no look further up: that it answers shows that it can be reached. A host
//! that nothing looks at is taken to be up, which shows nothing: its checks are cut off when it
//! would be.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::{Behind, CheckId, Status, Timestamp};

use super::apply::Subject;
use super::{Board, Entry};
use crate::probe::Probe;
use crate::step::Path;

/// How long the samples may be behind by which an expression takes a host to be up: an agent is
/// silent only after a while.
const SAMPLES_BEHIND_MAX: Duration = Duration::from_mins(1);
/// How many hosts that do not answer for themselves stand one behind the other at most.
const SILENT_IN_A_ROW_MAX: usize = 32;

/// What is named by whom.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// The parents of a host; the hosts and checks that something depends on.
    above: HashMap<CheckId, Above>,
    /// Who names it as parent or dependency.
    below: HashMap<CheckId, Vec<CheckId>>,
}

/// What something names; only what there is.
#[derive(Debug, Default)]
struct Above {
    parents: Vec<CheckId>,
    depends: Vec<CheckId>,
}

impl Graph {
    /// Reads what the subjects, which are sorted by id, name.
    pub(super) fn new(subjects: &[Subject]) -> Self {
        let has = |id: &CheckId| subjects.binary_search_by(|subject| subject.id.cmp(id)).is_ok();
        let mut graph = Self::default();
        for subject in subjects {
            let (parents, depends) = match &subject.check {
                Some(check) => (&[][..], &check.depends),
                None => (subject.host.parents.as_slice(), &subject.host.depends),
            };
            if parents.is_empty() && depends.is_empty() {
                continue;
            }
            let is_other = |id: &CheckId| *id != subject.id && has(id);
            let parents = parents.iter().map(|parent| CheckId::host(parent)).filter(is_other);
            let depends = depends.iter().filter(|id| is_other(id)).cloned();
            let above = Above { parents: parents.collect(), depends: depends.collect() };
            for id in above.parents.iter().chain(&above.depends) {
                graph.below.entry(id.clone()).or_default().push(subject.id.clone());
            }
            graph.above.insert(subject.id.clone(), above);
        }
        graph
    }

    fn parents(&self, id: &CheckId) -> &[CheckId] {
        self.above.get(id).map_or(&[], |above| &above.parents)
    }

    fn depends(&self, id: &CheckId) -> &[CheckId] {
        self.above.get(id).map_or(&[], |above| &above.depends)
    }

    fn below(&self, id: &CheckId) -> &[CheckId] {
        self.below.get(id).map_or(&[], Vec::as_slice)
    }

    /// Tells whether anything but a host's own checks stands behind it.
    pub(super) fn has_below(&self, id: &CheckId) -> bool {
        self.below.contains_key(id)
    }
}

impl Entry {
    /// Tells whether what depends on it cannot work: a warning hinders nobody.
    pub(super) fn hinders(&self) -> bool {
        self.state.status.is_some_and(hinders)
    }
}

/// Tells whether a status hinders what depends on it.
pub(super) fn hinders(status: Status) -> bool {
    status.is_problem() && status != Status::Warning
}

impl Board {
    /// Tells how something is reached: now, and at any time since `since` (a run is judged over
    /// its whole length).
    pub(crate) fn path(&self, id: &CheckId, since: Timestamp) -> Path {
        let is_cut_off = if id.is_host() {
            self.has_no_parent(id, since)
        } else {
            self.is_out(&host_of(id), since, SILENT_IN_A_ROW_MAX)
        };
        if is_cut_off {
            return Path::CutOff;
        }
        let is_behind = self.graph.depends(id).iter().any(|on| self.hinderer(on, since).is_some());
        if is_behind { Path::Behind } else { Path::Clear }
    }

    /// Returns what is in the way of `id`, nearest first: the root is the last. Hosts by name,
    /// checks as `host/check`.
    pub(crate) fn blocked_by(&self, id: &CheckId, since: Timestamp) -> Vec<String> {
        // Depth first, each noted when all above it is: so the reverse has each before its own
        // hinderers, whatever the ways between them.
        let mut seen = BTreeSet::from([id.clone()]);
        let mut noted: Vec<String> = Vec::new();
        let mut walk = vec![(id.clone(), self.hinderers(id, since))];
        while let Some((at, hinderers)) = walk.last_mut() {
            match hinderers.pop() {
                Some(next) if seen.insert(next.clone()) => {
                    let above = self.hinderers(&next, since);
                    walk.push((next, above));
                }
                Some(_) => {}
                None => {
                    // A host that is taken to be up is in nobody's way, it only stands behind.
                    if at != id && self.was_hindering(at, since) {
                        noted.push(at.to_string());
                    }
                    walk.pop();
                }
            }
        }
        noted.reverse();
        noted
    }

    /// Returns what is right in the way of `id`.
    fn hinderers(&self, id: &CheckId, since: Timestamp) -> Vec<CheckId> {
        let mut found = Vec::new();
        if id.is_host() {
            if self.has_no_parent(id, since) {
                found.extend(self.graph.parents(id).iter().cloned());
            }
        } else if self.is_out(&host_of(id), since, SILENT_IN_A_ROW_MAX) {
            found.push(host_of(id));
        }
        found.extend(self.graph.depends(id).iter().filter_map(|on| self.hinderer(on, since)));
        found
    }

    /// Returns what makes a dependency fail: itself, or its host, of which it may not know yet.
    fn hinderer(&self, on: &CheckId, since: Timestamp) -> Option<CheckId> {
        if self.was_hindering(on, since) {
            return Some(on.clone());
        }
        let host = host_of(on);
        self.is_out(&host, since, SILENT_IN_A_ROW_MAX).then_some(host)
    }

    fn has_no_parent(&self, host: &CheckId, since: Timestamp) -> bool {
        self.has_no_parent_within(host, since, SILENT_IN_A_ROW_MAX)
    }

    /// `depth`: how many hosts further up may be passed that do not answer for themselves.
    fn has_no_parent_within(&self, host: &CheckId, since: Timestamp, depth: usize) -> bool {
        let parents = self.graph.parents(host);
        !parents.is_empty() && parents.iter().all(|parent| self.is_out(parent, since, depth))
    }

    /// Tells whether a host has a problem, or cannot be reached and does not know of it.
    fn is_out(&self, host: &CheckId, since: Timestamp, depth: usize) -> bool {
        if self.was_hindering(host, since) {
            return true;
        }
        let Some(entry) = self.entries.get(host).filter(|_| depth > 0) else { return false };
        let may_be_out = match entry.probe() {
            None => true,
            Some(Probe::Expression(_)) => self.graph.parents(host).iter().any(|parent| {
                let changed = self.entries.get(parent).and_then(|parent| parent.state.since);
                changed.is_some_and(|changed| self.wall.since(changed) < SAMPLES_BEHIND_MAX)
            }),
            Some(_) => false,
        };
        may_be_out && self.has_no_parent_within(host, since, depth - 1)
    }

    /// Tells whether something has a problem, or had at some time since `since`.
    fn was_hindering(&self, id: &CheckId, since: Timestamp) -> bool {
        self.entries.get(id).is_some_and(|entry| {
            // A moment to come is from before the clock was put back, and says nothing.
            let was_then = |until| since <= until && until <= self.wall;
            entry.hinders() || entry.state.not_up_until.is_some_and(was_then)
        })
    }

    /// Returns the ancestors of `id` that can be looked at and were not since `at`.
    pub(super) fn ancestors_not_seen_since(&self, id: &CheckId, at: Timestamp) -> Vec<CheckId> {
        let mut seen = BTreeSet::from([id.clone()]);
        let mut stale = Vec::new();
        let mut next = VecDeque::from([id.clone()]);
        while let Some(id) = next.pop_front() {
            let own_host = (!id.is_host()).then(|| host_of(&id));
            let named = self.graph.parents(&id).iter().chain(self.graph.depends(&id)).cloned();
            for ancestor in own_host.into_iter().chain(named) {
                if !seen.insert(ancestor.clone()) {
                    continue;
                }
                if let Some(entry) = self.entries.get(&ancestor) {
                    let is_active = entry.probe().is_some_and(Probe::is_active);
                    let is_fresh = |started| at <= started && started <= self.wall;
                    if is_active && !entry.state.started.is_some_and(is_fresh) {
                        stale.push(ancestor.clone());
                    }
                }
                next.push_back(ancestor);
            }
        }
        stale
    }

    /// Returns what something is reached through or needs at once: its host, what it depends on.
    pub(super) fn nearest_above(&self, id: &CheckId) -> Vec<CheckId> {
        let own_host = (!id.is_host()).then(|| host_of(id));
        own_host.into_iter().chain(self.graph.depends(id).iter().cloned()).collect()
    }

    /// Returns everything behind something, the nearest first: a host's checks, its children, what
    /// depends on any of them.
    pub(super) fn behind(&self, id: &CheckId) -> Vec<CheckId> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::from([id.clone()]);
        let mut next = VecDeque::from([id.clone()]);
        while let Some(at) = next.pop_front() {
            if at.is_host() {
                let of_host =
                    self.entries.range(at.clone()..).take_while(|(c, _)| c.host == at.host);
                let checks = of_host.map(|(check, _)| check).filter(|check| !check.is_host());
                found.extend(checks.clone().filter(|check| seen.insert((*check).clone())).cloned());
                next.extend(checks.filter(|check| self.graph.has_below(check)).cloned());
            }
            for child in self.graph.below(&at) {
                if seen.insert(child.clone()) {
                    found.push(child.clone());
                    next.push_back(child.clone());
                }
            }
        }
        found
    }

    /// Counts what is behind something.
    pub(super) fn count_behind(&self, id: &CheckId) -> Behind {
        let mut count = Behind::default();
        for id in self.behind(id) {
            *if id.is_host() { &mut count.hosts } else { &mut count.checks } += 1;
        }
        count
    }
}

/// Returns the host of a check; of a host itself.
fn host_of(id: &CheckId) -> CheckId {
    CheckId { host: Arc::clone(&id.host), check: None }
}
