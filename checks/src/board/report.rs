//! What availability is added up of: who is asked about, and what the log knows of them.

use std::collections::HashMap;

use noroshi_model::{CheckId, Labels, Timestamp};

use super::{Board, Entry};
use crate::availability::{AvailabilityOf, Slot, Subject};
use crate::runs::Gaps;

/// What is known of those whose availability is asked for.
pub(crate) struct Gathered {
    /// By name.
    pub(crate) ids: Vec<CheckId>,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) slot_of: HashMap<CheckId, usize>,
    /// The events of all of them, oldest first.
    pub(crate) sequences: Vec<u64>,
    pub(crate) gaps: Gaps,
}

impl Board {
    /// Returns those that are asked for, by name, at most one more than `limit`.
    pub(crate) fn chosen(&self, of: &AvailabilityOf, limit: usize) -> Vec<CheckId> {
        let is_chosen = |entry: &Entry| {
            entry.id.check.as_deref() == of.check.as_deref()
                && of.group.as_ref().is_none_or(|group| entry.host.groups.contains(group))
                && (of.matchers.is_empty() || matches(entry, of))
        };
        let chosen =
            self.entries.values().filter(|entry| is_chosen(entry)).take(limit.saturating_add(1));
        chosen.map(|entry| entry.id.clone()).collect()
    }

    /// Collects what is known of some; who is not on the board is left out.
    pub(crate) fn gather(&self, ids: &[CheckId], now: Timestamp) -> Gathered {
        let mut gathered = Gathered {
            ids: Vec::new(),
            subjects: Vec::new(),
            slots: Vec::new(),
            slot_of: HashMap::new(),
            sequences: Vec::new(),
            gaps: self.runs.gaps(now),
        };
        for id in ids {
            let Some(entry) = self.entries.get(id) else { continue };
            // Nothing is known of what was never looked at, such as a host that is taken to be up.
            let is_seen = entry.state.finished.is_some();
            let subject = gathered.subjects.len();
            gathered.subjects.push(Subject {
                current: entry.state.status.filter(|_| is_seen),
                known: entry.state.first.max(self.log.begins()),
            });
            gathered.ids.push(id.clone());
            let own = gathered.slot(id, self);
            own.subject = Some(subject);
            own.downtimes_of.push(subject);
            if !id.is_host() {
                // Of its host only the downtimes concern a check.
                gathered.slot(&CheckId::host(&id.host), self).downtimes_of.push(subject);
            }
        }
        gathered.sequences.sort_unstable();
        gathered
    }
}

impl Gathered {
    /// Returns what events of an object are about, and lets them be read.
    fn slot(&mut self, id: &CheckId, board: &Board) -> &mut Slot {
        let next = self.slots.len();
        let slot = *self.slot_of.entry(id.clone()).or_insert(next);
        if slot == next {
            self.slots.push(Slot::default());
            self.sequences.extend(board.log.all_of(id));
        }
        &mut self.slots[slot]
    }
}

fn matches(entry: &Entry, of: &AvailabilityOf) -> bool {
    let own = entry.labels();
    let pairs = own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let labels = Labels::new(pairs.chain([("instance", &*entry.id.host)]));
    of.matchers.iter().all(|matcher| matcher.matches_labels(&labels))
}
