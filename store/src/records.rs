//! Small durable records in the catalogue: durable by the journal, found by the engine.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use noroshi_model::seam::{RECORD_BYTES_MAX, Record};
use noroshi_model::{RecordBatch, RecordError, Refused, Space};
use parking_lot::{Mutex, RwLock};

use crate::codec::Reader;
use crate::engine::{Change, Engine, EngineError, Tree, VALUE_BYTES_MAX};

/// The value follows.
const WHOLE: u8 = 0;
/// The value's length follows; its bytes are in the tree of pieces.
const IN_PIECES: u8 = 1;
/// Bytes of a value in one piece, with room for checksum and kind.
const PIECE_BYTES: usize = VALUE_BYTES_MAX - 16;

/// Changed records, each with its newest value.
pub(crate) type Recent = BTreeMap<(Space, Vec<u8>), Option<Vec<u8>>>;

/// The records of a store.
pub(crate) struct RecordTable {
    engine: Arc<dyn Engine>,
    /// Readers see all of a batch or nothing.
    gate: RwLock<()>,
    /// What was changed since the last checkpoint, for the log that rebuilds the engine.
    recent: Mutex<Recent>,
}

impl RecordTable {
    /// Takes an engine into use.
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, gate: RwLock::new(()), recent: Mutex::default() }
    }

    /// Gives the engine back.
    pub(crate) fn into_engine(self) -> Arc<dyn Engine> {
        self.engine
    }

    /// Puts a batch, durable in the journal already, into the engine.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<(), Refused> {
        let _alone = self.gate.write();
        {
            let mut recent = self.recent.lock();
            for (space, key, value) in &batch.changes {
                recent.insert((*space, key.clone()), value.clone());
            }
        }
        let mut changes = Vec::new();
        for (space, key, value) in &batch.changes {
            let prepared = self.prepare(*space, key, value.as_deref(), &mut changes);
            // Each change must see the one before it: two of one key may be in a batch.
            let done = prepared.and_then(|()| self.engine.apply(&changes));
            changes.clear();
            if let Err(error) = done {
                tracing::error!(%error, "cannot apply records; a restart rebuilds the catalogue");
                return Err(Refused::Broken);
            }
        }
        Ok(())
    }

    /// Takes what was changed since the last call.
    pub(crate) fn take_recent(&self) -> Recent {
        std::mem::take(&mut *self.recent.lock())
    }

    /// Gives back what could not be written to the log.
    pub(crate) fn return_recent(&self, mut earlier: Recent) {
        let mut recent = self.recent.lock();
        // What was changed again meanwhile is newer.
        earlier.append(&mut recent);
        *recent = earlier;
    }

    fn prepare(
        &self,
        space: Space,
        key: &[u8],
        value: Option<&[u8]>,
        changes: &mut Vec<Change>,
    ) -> Result<(), EngineError> {
        let tree = Tree::Records(space as u8);
        if let Some(old) = self.engine.get(tree, key)? {
            for index in 0..piece_count(&old).unwrap_or(0) {
                changes.push((Tree::Pieces, piece_key(space, key, index), None));
            }
        }
        let Some(value) = value else {
            changes.push((tree, key.to_vec(), None));
            return Ok(());
        };
        let mut stored = crc32c::crc32c(value).to_le_bytes().to_vec();
        if value.len() <= PIECE_BYTES {
            stored.push(WHOLE);
            stored.extend_from_slice(value);
        } else {
            stored.push(IN_PIECES);
            stored.extend_from_slice(&(value.len() as u32).to_le_bytes());
            for (index, piece) in value.chunks(PIECE_BYTES).enumerate() {
                let piece_key = piece_key(space, key, index as u32);
                changes.push((Tree::Pieces, piece_key, Some(piece.to_vec())));
            }
        }
        changes.push((tree, key.to_vec(), Some(stored)));
        Ok(())
    }

    /// Returns a record's value.
    pub(crate) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        let _together = self.gate.read();
        let stored = self.engine.get(Tree::Records(space as u8), key).map_err(read_error)?;
        stored.map(|stored| self.value(space, key, &stored).map_err(read_error)).transpose()
    }

    /// Returns records in order, or backwards.
    pub(crate) fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        (beyond, is_back): (Option<&[u8]>, bool),
        limit: usize,
    ) -> Result<Vec<Record>, RecordError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let _together = self.gate.read();
        let end = prefix_end(prefix);
        let mut from = Bound::Included(prefix);
        let mut to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        if let Some(beyond) = beyond {
            if is_back && end.as_deref().is_none_or(|end| beyond < end) {
                to = Bound::Excluded(beyond);
            } else if !is_back && beyond >= prefix {
                from = Bound::Excluded(beyond);
            }
        }
        if is_empty_range(from, to) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let mut each = |key: &[u8], stored: &[u8]| {
            found.push((key.to_vec(), stored.to_vec()));
            found.len() < limit
        };
        let tree = Tree::Records(space as u8);
        self.engine.scan(tree, (from, to), is_back, &mut each).map_err(read_error)?;
        for (key, stored) in &mut found {
            *stored = self.value(space, key, stored).map_err(read_error)?;
        }
        Ok(found)
    }

    /// Hands over all records, some at a time, as batches that would write them.
    pub(crate) fn each_batch(
        &self,
        each: &mut dyn FnMut(&RecordBatch) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        const RECORDS_AT_ONCE: usize = 256;
        for space in Space::ALL {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let found = self
                    .scan(space, b"", (after.as_deref(), false), RECORDS_AT_ONCE)
                    .map_err(std::io::Error::other)?;
                let Some((last, _)) = found.last() else { break };
                after = Some(last.clone());
                let mut batch = RecordBatch::new();
                for (key, value) in found {
                    batch.put(space, key, value);
                }
                each(&batch)?;
            }
        }
        Ok(())
    }

    fn value(&self, space: Space, key: &[u8], stored: &[u8]) -> Result<Vec<u8>, EngineError> {
        let mut input = Reader::new(stored);
        let checksum = input.u32().ok_or(EngineError::Damaged)?;
        let value = match piece_count(stored) {
            None => stored.get(5..).ok_or(EngineError::Damaged)?.to_vec(),
            Some(count) => {
                let mut value = Vec::new();
                for index in 0..count {
                    let piece = self.engine.get(Tree::Pieces, &piece_key(space, key, index))?;
                    value.extend(piece.ok_or(EngineError::Damaged)?);
                }
                value
            }
        };
        if crc32c::crc32c(&value) == checksum { Ok(value) } else { Err(EngineError::Damaged) }
    }
}

/// Checks a batch before it goes to the journal.
pub(crate) fn check_sizes(batch: &RecordBatch) -> Result<(), RecordError> {
    batch.check_sizes()?;
    let too_long = batch.changes.iter().find(|(_, key, _)| key.len() > PIECE_BYTES);
    too_long.map_or(Ok(()), |(space, key, _)| {
        Err(RecordError::TooLarge { space: *space, bytes: key.len(), bytes_max: PIECE_BYTES })
    })
}

fn read_error(error: EngineError) -> RecordError {
    RecordError::Read(Box::new(error))
}

fn piece_key(space: Space, key: &[u8], index: u32) -> Vec<u8> {
    let mut out = vec![space as u8];
    out.extend_from_slice(&(key.len() as u32).to_be_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(&index.to_be_bytes());
    out
}

/// Returns how many pieces a stored value has; `None` when it is whole.
fn piece_count(stored: &[u8]) -> Option<u32> {
    let mut input = Reader::new(stored.get(4..)?);
    if input.byte()? != IN_PIECES {
        return None;
    }
    let length = input.u32()? as usize;
    (length <= RECORD_BYTES_MAX).then(|| length.div_ceil(PIECE_BYTES) as u32)
}

/// Returns the least key that is greater than all keys with a prefix; `None` when there is none.
fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn is_empty_range(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to)) => from >= to,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use noroshi_model::Records;
    use noroshi_model::seam::MemoryRecords;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::MemoryEngine;
    use crate::engine_sled::SledEngine;

    /// Keys of few letters, 0xff among them, so that prefixes and borders are met often.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0_u8, 1, b'a', 0xff]), 0..4)
    }

    fn conforms(engine: Arc<dyn Engine>, steps: &[(Vec<u8>, Option<usize>)], asks: &[Vec<u8>]) {
        let (table, model) = (RecordTable::new(engine), MemoryRecords::new());
        for (round, chunk) in steps.chunks(3).enumerate() {
            let mut batch = RecordBatch::new();
            for (key, length) in chunk {
                match length {
                    Some(length) => batch.put(Space::Values, &**key, vec![round as u8; *length]),
                    None => batch.remove(Space::Values, &**key),
                }
            }
            table.apply(&batch).unwrap();
            model.commit(batch).unwrap();
        }
        for prefix in asks {
            let got = table.get(Space::Values, prefix).unwrap();
            assert_eq!(got, model.get(Space::Values, prefix).unwrap());
            assert_eq!(table.get(Space::Hosts, prefix).unwrap(), None);
            for beyond in asks.iter().map(|b| Some(b.as_slice())).chain([None]) {
                for limit in [0, 1, 2, 99] {
                    let forth = table.scan(Space::Values, prefix, (beyond, false), limit).unwrap();
                    let model_forth = model.scan(Space::Values, prefix, beyond, limit).unwrap();
                    assert_eq!(forth, model_forth, "{prefix:?} after {beyond:?}");
                    let back = table.scan(Space::Values, prefix, (beyond, true), limit).unwrap();
                    let model_back = model.scan_back(Space::Values, prefix, beyond, limit).unwrap();
                    assert_eq!(back, model_back, "{prefix:?} before {beyond:?}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn both_engines_behave_as_a_plain_map(
            steps in prop::collection::vec(
                (key(), prop::option::of(prop_oneof![0_usize..9, 3990_usize..9000])), 1..20),
            asks in prop::collection::vec(key(), 1..5),
        ) {
            conforms(Arc::new(MemoryEngine::default()), &steps, &asks);
            let directory = tempfile::tempdir().unwrap();
            conforms(Arc::new(SledEngine::open(directory.path()).unwrap()), &steps, &asks);
        }
    }

    #[test]
    fn a_damaged_value_is_an_error_not_a_value() {
        let engine = Arc::new(MemoryEngine::default());
        let table = RecordTable::new(engine.clone());
        let mut batch = RecordBatch::new();
        batch.put(Space::States, "k", "value");
        table.apply(&batch).unwrap();
        let tree = Tree::Records(Space::States as u8);
        let mut stored = engine.get(tree, b"k").unwrap().unwrap();
        stored[7] ^= 1;
        engine.apply(&[(tree, b"k".to_vec(), Some(stored))]).unwrap();
        assert!(matches!(table.get(Space::States, b"k"), Err(RecordError::Read(_))));
    }

    #[test]
    fn no_value_is_large_enough_for_a_blob_file() {
        let directory = tempfile::tempdir().unwrap();
        let table = RecordTable::new(Arc::new(SledEngine::open(directory.path()).unwrap()));
        for round in 0..40_u8 {
            let mut batch = RecordBatch::new();
            batch.put(Space::Traces, vec![round], vec![round; RECORD_BYTES_MAX / 4]);
            table.apply(&batch).unwrap();
        }
        let blobs = std::fs::read_dir(directory.path().join("blobs")).unwrap().count();
        assert_eq!(blobs, 0);
    }
}
