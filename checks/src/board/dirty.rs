//! Which states are behind on disk. Each is written in its turn, by name, so that none waits for
//! longer than a round however often the others change.

use std::collections::BTreeSet;
use std::ops::Bound;

use noroshi_model::CheckId;

use super::Board;
use crate::record;

/// The checks whose state is behind: times and outputs, nothing that was told.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    ids: BTreeSet<CheckId>,
    /// Whose turn was the last.
    last: Option<CheckId>,
}

impl Dirty {
    /// Notes that a state is behind.
    pub(super) fn insert(&mut self, id: CheckId) {
        self.ids.insert(id);
    }

    /// Notes that it no longer is. Returns whether it was.
    pub(super) fn remove(&mut self, id: &CheckId) -> bool {
        self.ids.remove(id)
    }

    /// Takes the one whose turn it is.
    pub(super) fn pop(&mut self) -> Option<CheckId> {
        let after = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.ids.range((after, Bound::Unbounded)).next().or_else(|| self.ids.first());
        let id = next?.clone();
        self.ids.remove(&id);
        self.last = Some(id.clone());
        Some(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

impl Board {
    /// Adds the states that are behind on disk to the batch, at most `limit`.
    ///
    /// Returns whether that was all.
    pub(crate) fn write_dirty(&mut self, limit: usize) -> bool {
        for _ in 0..limit {
            let Some(id) = self.dirty.pop() else { return true };
            if let Some(entry) = self.entries.get(&id) {
                record::put_state(&mut self.out.batch, &id, &entry.state);
            }
        }
        self.dirty.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_however_often_the_first_ones_change() {
        let ids = ["a", "b", "c", "d"].map(CheckId::host);
        let mut dirty = Dirty::default();
        let mut turns = String::new();
        for _ in 0..3 {
            for _ in 0..2 {
                for id in &ids {
                    dirty.insert(id.clone());
                }
                turns.extend(dirty.pop().map(|id| id.to_string()));
            }
        }
        assert_eq!(turns, "abcdab");
        assert!(dirty.remove(&ids[2]) && !dirty.remove(&ids[2]));
        let rest: Vec<String> =
            std::iter::from_fn(|| dirty.pop()).map(|id| id.to_string()).collect();
        assert_eq!(rest.concat(), "da");
        assert!(dirty.is_empty() && dirty.pop().is_none());
    }
}
