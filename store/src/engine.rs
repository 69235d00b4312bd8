//! The seam to the key-value store that holds the catalogue, and an engine in memory for tests.

#[cfg(test)]
use std::collections::BTreeMap;
use std::ops::Bound;

#[cfg(test)]
use parking_lot::RwLock;

/// Which sorted map of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tree {
    /// Records of one space, by its number.
    Records(u8),
    /// Pieces of records that are too large for one value.
    Pieces,
    /// Series, many to a value.
    Series,
    /// Series that were removed.
    Removed,
    /// Metrics.
    Metas,
    /// What the store notes for itself.
    Notes,
}

/// A change of one key; `None` removes.
pub(crate) type Change = (Tree, Vec<u8>, Option<Vec<u8>>);

/// Why an engine failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// The engine says so.
    #[error("the catalogue failed: {0}")]
    Failed(String),
    /// A value is damaged.
    #[error("a value of the catalogue is damaged")]
    Damaged,
}

/// A sorted map of bytes, several trees of it. Values have at most [`VALUE_BYTES_MAX`].
pub(crate) trait Engine: Send + Sync {
    /// Returns a value.
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError>;

    /// Hands over the pairs between two keys in order (descending when `is_back`) until `each`
    /// returns false.
    fn scan(
        &self,
        tree: Tree,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        is_back: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), EngineError>;

    /// Makes changes, in order. A kill may leave a part of them: the journal has them all.
    fn apply(&self, changes: &[Change]) -> Result<(), EngineError>;

    /// Makes everything applied so far durable.
    fn sync(&self) -> Result<(), EngineError>;

    /// Returns the bytes on disk.
    fn bytes(&self) -> u64;
}

/// Longest value: `sled` puts longer pages into files of their own that it never syncs.
pub(crate) const VALUE_BYTES_MAX: usize = 4000;

#[cfg(test)]
type MemoryMap = BTreeMap<(Tree, Vec<u8>), Vec<u8>>;

/// An engine without a disk.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct MemoryEngine {
    map: RwLock<MemoryMap>,
}

#[cfg(test)]
impl Engine for MemoryEngine {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.map.read().get(&(tree, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        tree: Tree,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        is_back: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), EngineError> {
        let map = self.map.read();
        let is_within = |key: &[u8]| {
            let is_after = match range.0 {
                Bound::Included(from) => key >= from,
                Bound::Excluded(from) => key > from,
                Bound::Unbounded => true,
            };
            is_after
                && match range.1 {
                    Bound::Included(to) => key <= to,
                    Bound::Excluded(to) => key < to,
                    Bound::Unbounded => true,
                }
        };
        let all = map.range((tree, Vec::new())..).take_while(|((t, _), _)| *t == tree);
        let mut found: Vec<_> = all.filter(|((_, key), _)| is_within(key)).collect();
        if is_back {
            found.reverse();
        }
        for ((_, key), value) in found {
            if !each(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, changes: &[Change]) -> Result<(), EngineError> {
        let mut map = self.map.write();
        for (tree, key, value) in changes {
            match value {
                Some(value) => drop(map.insert((*tree, key.clone()), value.clone())),
                None => drop(map.remove(&(*tree, key.clone()))),
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn bytes(&self) -> u64 {
        0
    }
}
