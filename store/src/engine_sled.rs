//! `sled` as engine: the only file that names it.
//!
//! How it may be used (measured with 0.34.7): `flush` is no `fsync`, so the files are synced by
//! descriptors of our own; batches larger than some hundred keys starve its garbage collection
//! unless the epoch is pumped; values stay small, because long pages go to files that it never
//! syncs; recovery panics on damage, so opening is wrapped in `catch_unwind`.

use std::fs::File;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;

use crate::engine::{Change, Engine, EngineError, Tree, VALUE_BYTES_MAX};

/// Page cache: the catalogue is small, and the index is in memory anyway.
const CACHE_BYTES: u64 = 16 << 20;
/// After a kill the lock may be held for a moment still.
const LOCK_TRIES: u32 = 40;
/// Time between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// Changes after which the epoch is pumped.
const PUMP_EVERY: usize = 100;

/// An open `sled` database.
pub(crate) struct SledEngine {
    directory: PathBuf,
    db: sled::Db,
    trees: Mutex<std::collections::HashMap<Tree, sled::Tree>>,
}

impl SledEngine {
    /// Opens or makes a database. Any failure, a panic included, means: set it aside and rebuild.
    pub(crate) fn open(directory: &Path) -> Result<Self, EngineError> {
        remove_unfinished_snapshots(directory)?;
        let is_new = !directory.join("db").exists();
        let db = guarded(|| open_patiently(directory))?;
        let engine = Self { directory: directory.to_owned(), db, trees: Mutex::default() };
        if is_new {
            engine.sync()?;
        }
        Ok(engine)
    }

    fn tree(&self, tree: Tree) -> Result<sled::Tree, EngineError> {
        let mut trees = self.trees.lock();
        if let Some(open) = trees.get(&tree) {
            return Ok(open.clone());
        }
        let name = match tree {
            Tree::Records(space) => format!("records-{space}"),
            Tree::Pieces => "pieces".to_owned(),
            Tree::Series => "series".to_owned(),
            Tree::Removed => "removed".to_owned(),
            Tree::Metas => "metas".to_owned(),
            Tree::Notes => "notes".to_owned(),
        };
        let open = self.db.open_tree(name).map_err(|error| failed(&error))?;
        trees.insert(tree, open.clone());
        Ok(open)
    }
}

fn failed(error: &sled::Error) -> EngineError {
    EngineError::Failed(error.to_string())
}

/// Runs what may panic inside of `sled`.
fn guarded<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(EngineError::Failed(text.unwrap_or_else(|| "it panicked".to_owned())))
    })
}

fn open_patiently(directory: &Path) -> Result<sled::Db, EngineError> {
    let config =
        sled::Config::new().path(directory).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    let mut tries = 0;
    loop {
        match config.open() {
            Ok(db) => return Ok(db),
            Err(sled::Error::Io(error))
                if tries < LOCK_TRIES && error.to_string().contains("lock") =>
            {
                tries += 1;
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(error) => return Err(failed(&error)),
        }
    }
}

/// A left-over `snap.*.generating` would be taken for the newest snapshot (sled's issue 1527).
fn remove_unfinished_snapshots(directory: &Path) -> Result<(), EngineError> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().ends_with(".generating") {
            std::fs::remove_file(entry.path())
                .map_err(|error| EngineError::Failed(error.to_string()))?;
        }
    }
    Ok(())
}

impl Engine for SledEngine {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        guarded(|| {
            let value = self.tree(tree)?.get(key).map_err(|error| failed(&error))?;
            Ok(value.map(|value| value.to_vec()))
        })
    }

    fn scan(
        &self,
        tree: Tree,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        is_back: bool,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), EngineError> {
        guarded(|| {
            let mut pairs = self.tree(tree)?.range::<&[u8], _>(range);
            loop {
                let pair = if is_back { pairs.next_back() } else { pairs.next() };
                let Some(pair) = pair else { return Ok(()) };
                let (key, value) = pair.map_err(|error| failed(&error))?;
                if !each(&key, &value) {
                    return Ok(());
                }
            }
        })
    }

    fn apply(&self, changes: &[Change]) -> Result<(), EngineError> {
        guarded(|| {
            for (index, (tree, key, value)) in changes.iter().enumerate() {
                let tree = self.tree(*tree)?;
                let done = match value {
                    Some(value) => {
                        assert!(value.len() <= VALUE_BYTES_MAX, "a value of {}", value.len());
                        tree.insert(key, value.as_slice())
                    }
                    None => tree.remove(key),
                };
                done.map_err(|error| failed(&error))?;
                if index % PUMP_EVERY == PUMP_EVERY - 1 {
                    pump(PUMP_EVERY);
                }
            }
            pump(changes.len() % PUMP_EVERY);
            Ok(())
        })
    }

    fn sync(&self) -> Result<(), EngineError> {
        guarded(|| {
            self.db.flush().map_err(|error| failed(&error))?;
            #[cfg(test)]
            crate::disk::record::synced_catalogue(&self.directory);
            let sync = |path: PathBuf| File::open(path).and_then(|file| file.sync_all());
            sync(self.directory.join("db"))
                .and_then(|()| sync(self.directory.join("conf")))
                .and_then(|()| sync(self.directory.clone()))
                .map_err(|error| EngineError::Failed(error.to_string()))
        })
    }

    fn bytes(&self) -> u64 {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return 0 };
        entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|m| m.len()).sum()
    }
}

/// Lets `sled` free what it replaced; by itself it falls behind.
fn pump(changes: usize) {
    for _ in 0..=changes / 20 {
        crossbeam_epoch::pin().flush();
    }
}
