//! The heads of all series, in shards, so that a reader and the writer rarely meet.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::head::Head;

/// Series that share a lock. Numbers of one host follow each other, so a batch takes few locks.
const SHARD_SERIES: usize = 64;

type Shard = Arc<Mutex<Vec<Option<Head>>>>;

/// Heads by series number.
#[derive(Default)]
pub(crate) struct Table {
    shards: RwLock<Vec<Shard>>,
}

impl Table {
    /// Puts a head in, or takes it out.
    pub(crate) fn set(&self, series: u32, head: Option<Head>) {
        let (shard, slot) = place(series);
        {
            let mut shards = self.shards.write();
            while shards.len() <= shard {
                shards.push(Shard::default());
            }
        }
        let shard = Arc::clone(&self.shards.read()[shard]);
        let mut heads = shard.lock();
        if heads.len() <= slot {
            heads.resize_with(slot + 1, || None);
        }
        heads[slot] = head;
    }

    /// Takes a head out; a shard without any costs nothing.
    pub(crate) fn take(&self, series: u32) -> Option<Head> {
        let (shard, slot) = place(series);
        let shard = self.shards.read().get(shard).cloned()?;
        let mut heads = shard.lock();
        let head = heads.get_mut(slot)?.take();
        if heads.iter().all(Option::is_none) {
            *heads = Vec::new();
        }
        head
    }

    /// Works on one head; `None` when there is none.
    pub(crate) fn with<T>(&self, series: u32, work: impl FnOnce(&mut Head) -> T) -> Option<T> {
        let (shard, slot) = place(series);
        let shard = self.shards.read().get(shard).cloned()?;
        let mut heads = shard.lock();
        heads.get_mut(slot)?.as_mut().map(work)
    }

    /// Works on the heads of several series, locking once where neighbours share a lock. The work
    /// gets the position in `series` and the head, if there is one.
    pub(crate) fn with_each(&self, series: &[u32], mut work: impl FnMut(usize, Option<&mut Head>)) {
        let mut at = 0;
        while at < series.len() {
            let (shard_index, _) = place(series[at]);
            let same = series[at..].iter().take_while(|s| place(**s).0 == shard_index).count();
            let shard = self.shards.read().get(shard_index).cloned();
            let mut heads = shard.as_ref().map(|shard| shard.lock());
            for (position, &number) in series.iter().enumerate().skip(at).take(same) {
                let slot = place(number).1;
                let head = heads.as_mut().and_then(|heads| heads.get_mut(slot));
                work(position, head.and_then(Option::as_mut));
            }
            at += same;
        }
    }

    /// Walks over all heads in order of their number; each shard is locked while it is walked.
    pub(crate) fn for_each(&self, mut work: impl FnMut(u32, &mut Head)) {
        let count = self.shards.read().len();
        for index in 0..count {
            let shard = self.shards.read().get(index).cloned();
            let Some(shard) = shard else { continue };
            for (slot, head) in shard.lock().iter_mut().enumerate() {
                if let Some(head) = head {
                    work((index * SHARD_SERIES + slot) as u32, head);
                }
            }
        }
    }
}

fn place(series: u32) -> (usize, usize) {
    (series as usize / SHARD_SERIES, series as usize % SHARD_SERIES)
}
