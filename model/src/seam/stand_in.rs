//! What stands in for a room below: records in memory, series that a function tells. For tests, and
//! for commands that need no server.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use super::{
    Record, RecordBatch, RecordError, Records, Select, SelectError, SeriesData, SeriesSource, Space,
};
use crate::{Labels, Matcher, MetricMeta, Timestamp};

/// Series by one function: what it tells is selected, and nothing else is known of any series.
pub struct SelectOnly<F>(pub F);

/// Returns a source without series.
pub fn no_series() -> impl SeriesSource {
    SelectOnly(|_: &Select| Ok(Vec::new()))
}

impl<F> SeriesSource for SelectOnly<F>
where
    F: Fn(&Select) -> Result<Vec<SeriesData>, SelectError> + Send + Sync,
{
    fn select(&self, request: &Select) -> Result<Vec<SeriesData>, SelectError> {
        self.0(request)
    }

    fn series(
        &self,
        _: &[Matcher],
        _: Timestamp,
        _: Timestamp,
        _: usize,
    ) -> Result<Vec<Labels>, SelectError> {
        Ok(Vec::new())
    }

    fn label_names(&self, _: &[Matcher], _: usize) -> Result<Vec<String>, SelectError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: usize) -> Result<Vec<String>, SelectError> {
        Ok(Vec::new())
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<MetricMeta>, SelectError> {
        Ok(Vec::new())
    }

    fn last_seen(&self, _: &[Matcher]) -> Result<Option<Timestamp>, SelectError> {
        Ok(None)
    }
}

/// Records in memory, with the bounds of those on disk.
#[derive(Default)]
pub struct MemoryRecords(Mutex<RecordMap>);

type RecordMap = BTreeMap<(Space, Vec<u8>), Vec<u8>>;

impl MemoryRecords {
    /// Returns records without content.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the map; a panic elsewhere while it was locked does not matter to a plain map.
    fn map(&self) -> std::sync::MutexGuard<'_, RecordMap> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryRecords({} records)", self.map().len())
    }
}

impl Records for MemoryRecords {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        Ok(self.map().get(&(space, key.to_vec())).cloned())
    }

    fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RecordError> {
        let map = self.map();
        let found = map
            .range((space, prefix.to_vec())..)
            .take_while(|((s, key), _)| *s == space && key.starts_with(prefix))
            .filter(|((_, key), _)| after.is_none_or(|after| key.as_slice() > after))
            .take(limit);
        Ok(found.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn scan_back(
        &self,
        space: Space,
        prefix: &[u8],
        before: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RecordError> {
        let mut found = self.scan(space, prefix, None, usize::MAX)?;
        found.retain(|(key, _)| before.is_none_or(|before| key.as_slice() < before));
        found.reverse();
        found.truncate(limit);
        Ok(found)
    }

    fn commit(&self, batch: RecordBatch) -> Result<(), RecordError> {
        batch.check_sizes()?;
        let mut map = self.map();
        for (space, key, value) in batch.changes {
            match value {
                Some(value) => drop(map.insert((space, key), value)),
                None => drop(map.remove(&(space, key))),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(records: &[Record]) -> Vec<&str> {
        records.iter().map(|(key, _)| std::str::from_utf8(key).unwrap()).collect()
    }

    #[test]
    fn records_are_scanned_in_both_directions_within_their_prefix() {
        let records = MemoryRecords::new();
        let mut batch = RecordBatch::new();
        for key in ["a1", "a2", "a3", "b1"] {
            batch.put(Space::Values, key, "x");
        }
        batch.put(Space::Hosts, "a9", "other space");
        batch.remove(Space::Values, "a2");
        records.commit(batch).unwrap();

        let scan = |after, limit| records.scan(Space::Values, b"a", after, limit).unwrap();
        assert_eq!(keys(&scan(None, 9)), ["a1", "a3"]);
        assert_eq!(keys(&scan(Some(b"a1".as_slice()), 9)), ["a3"]);
        assert_eq!(keys(&scan(None, 1)), ["a1"]);
        let back = |before| records.scan_back(Space::Values, b"", before, 2).unwrap();
        assert_eq!(keys(&back(None)), ["b1", "a3"]);
        assert_eq!(keys(&back(Some(b"a3".as_slice()))), ["a1"]);
    }
}
