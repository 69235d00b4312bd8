//! Clusters: who is a member of which, and what follows when a member changes.

use std::collections::{BTreeSet, HashMap};

use noroshi_model::{CheckId, StateType, Status, Timestamp};

use super::apply::Subject;
use super::{Board, Entry};
use crate::probe::{Counted, Member, Probe};

/// Who is a member of which cluster.
#[derive(Default)]
pub(super) struct Clusters {
    /// The members of each cluster.
    members: HashMap<CheckId, Vec<CheckId>>,
    /// The clusters of each member; of a host also those of its checks, whose downtime it shares.
    of: HashMap<CheckId, Vec<CheckId>>,
    /// What each cluster's members counted as when it was last asked to look.
    seen: HashMap<CheckId, Vec<(Counted, bool)>>,
}

impl Clusters {
    /// Finds the members of every cluster.
    pub(super) fn new(subjects: &[Subject]) -> Self {
        let mut clusters = Self::default();
        let mut names: Option<HashMap<Option<&str>, Vec<&Subject>>> = None;
        for subject in subjects {
            let probe = subject.check.as_ref().map(|check| &check.probe);
            let Some(Probe::Cluster(probe)) = probe.or(subject.host.probe.as_ref()) else {
                continue;
            };
            let mut members = probe.members.clone();
            if let Some(select) = &probe.select {
                let by_name = names.get_or_insert_with(|| by_name(subjects));
                let named = by_name.get(&select.check.as_deref()).into_iter().flatten();
                let is_in = |subject: &&&Subject| {
                    let groups = &subject.host.groups;
                    select.groups.is_empty() || select.groups.iter().any(|g| groups.contains(g))
                };
                members.extend(named.filter(is_in).map(|subject| subject.id.clone()));
            }
            let mut known = BTreeSet::new();
            // Nothing is a member of itself, and nothing is one twice.
            members.retain(|member| *member != subject.id && known.insert(member.clone()));
            for member in &members {
                let host = CheckId { host: member.host.clone(), check: None };
                for id in BTreeSet::from([member.clone(), host]) {
                    clusters.of.entry(id).or_default().push(subject.id.clone());
                }
            }
            clusters.members.insert(subject.id.clone(), members);
        }
        clusters
    }
}

fn by_name(subjects: &[Subject]) -> HashMap<Option<&str>, Vec<&Subject>> {
    let mut by_name: HashMap<Option<&str>, Vec<&Subject>> = HashMap::new();
    for subject in subjects {
        by_name.entry(subject.id.check.as_deref()).or_default().push(subject);
    }
    by_name
}

impl Board {
    /// Returns the members of a cluster as they are now; empty for what is no cluster.
    pub(super) fn members(&self, id: &CheckId) -> Vec<Member> {
        let members = self.clusters.members.get(id).into_iter().flatten();
        let member = |id: &CheckId| Member {
            id: id.clone(),
            counted: self.entries.get(id).map_or(Counted::Unknown, |entry| entry.counted()),
            is_in_downtime: self.downtimes.holds(id),
        };
        members.map(member).collect()
    }

    /// Tells whether a cluster must wait for a member that was never looked at.
    pub(super) fn is_cluster_waiting(&self, id: &CheckId) -> bool {
        self.members(id).iter().any(|member| member.counted == Counted::Pending)
    }

    /// Lets the clusters look at once whose members count as something else than before.
    pub(crate) fn follow_members(&mut self, now: Timestamp, steady: i64) {
        if self.clusters.of.is_empty() {
            return;
        }
        let updated = self.out.updated.iter().filter_map(|id| self.clusters.of.get(id));
        let touched: BTreeSet<CheckId> = updated.flatten().cloned().collect();
        for id in touched {
            let counted: Vec<(Counted, bool)> =
                self.members(&id).iter().map(|m| (m.counted, m.is_in_downtime)).collect();
            if self.clusters.seen.get(&id) == Some(&counted) {
                continue;
            }
            self.clusters.seen.insert(id.clone(), counted);
            let period =
                self.entries.get(&id).and_then(|entry| entry.ready.timing.period.as_deref());
            if self.periods.holds(period, now) {
                self.recheck(&id, steady);
            }
        }
    }
}

impl Entry {
    /// Returns what it counts as in a cluster.
    fn counted(&self) -> Counted {
        let state = &self.state;
        match state.status {
            None => Counted::Pending,
            // Before its problem is confirmed it counts as it did: each member has its attempts.
            Some(status) if status.is_problem() && state.state_type == StateType::Soft => {
                Counted::Fine
            }
            Some(Status::Ok | Status::Up) => Counted::Fine,
            Some(Status::Warning) => Counted::Warning,
            Some(Status::Critical | Status::Down) => Counted::Failed,
            Some(Status::Unknown | Status::Unreachable) => Counted::Unknown,
        }
    }
}
