//! How many hosts and checks are how, and which have a problem: kept with every change, because a
//! page that is asked for again and again must not walk over 100,000 checks.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use noroshi_model::{CheckId, Status};

use crate::view::{CheckCounts, Counts};

/// The counts of a board.
#[derive(Debug, Default)]
pub(super) struct Tally {
    all: Counts,
    of_host: HashMap<Arc<str>, CheckCounts>,
    problems: BTreeSet<CheckId>,
}

impl Tally {
    /// Takes something in that came onto the board.
    pub(super) fn add(&mut self, id: &CheckId, status: Option<Status>) {
        if id.is_host() {
            self.all.hosts.add(status);
        } else {
            self.all.checks.add(status);
            self.of_host.entry(Arc::clone(&id.host)).or_default().add(status);
        }
        if status.is_some_and(Status::is_problem) {
            self.problems.insert(id.clone());
        }
    }

    /// Forgets what was taken in with that status.
    pub(super) fn remove(&mut self, id: &CheckId, status: Option<Status>) {
        if id.is_host() {
            self.all.hosts.remove(status);
        } else {
            self.all.checks.remove(status);
            if let Some(counts) = self.of_host.get_mut(&id.host) {
                counts.remove(status);
                if *counts == CheckCounts::default() {
                    self.of_host.remove(&id.host);
                }
            }
        }
        self.problems.remove(id);
    }

    /// Takes in that a status changed, if it did.
    pub(super) fn change(&mut self, id: &CheckId, before: Option<Status>, now: Option<Status>) {
        if before != now {
            self.remove(id, before);
            self.add(id, now);
        }
    }

    /// Returns all counts.
    pub(super) fn counts(&self) -> Counts {
        self.all
    }

    /// Returns how the checks of a host stand.
    pub(super) fn of_host(&self, host: &str) -> CheckCounts {
        self.of_host.get(host).copied().unwrap_or_default()
    }

    /// Walks over what has a problem, by id.
    pub(super) fn problems(&self) -> impl Iterator<Item = &CheckId> {
        self.problems.iter()
    }
}
