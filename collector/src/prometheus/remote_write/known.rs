//! Labels by the bytes that they are sent as: a sender repeats its series with each request, and
//! what was read once need not be read again.
//!
//! A series is found by comparing its bytes in full, first with those of the series that came after
//! the one before it last time (senders keep their order), then by hash. What is kept is bounded:
//! series that were not seen for a thousand rounds are forgotten, and when that is not enough, all.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use noroshi_model::Labels;
use noroshi_model::hash::{Hashed, hash_bytes};
use parking_lot::{RwLock, RwLockReadGuard};

/// Bytes of keys that are kept: of a million series with 130 bytes of labels each.
const KEYS_BYTES_MAX: usize = 128 << 20;
/// When so many were looked up for each that is kept, those that were not among them are forgotten:
/// three hours of a sender with a step of 10 s.
const LOOKUPS_BEFORE_SWEEP: u64 = 1000;

/// What is known; shared by all requests.
pub(super) struct Known(RwLock<Shelf>);

/// All keys and their labels.
struct Shelf {
    keys_bytes_max: usize,
    /// The keys, one behind the other.
    keys: Vec<u8>,
    entries: Vec<Entry>,
    /// By the hash of the key; where two are equal the later one has the next free number.
    by_hash: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    /// Since the last sweep.
    lookups: AtomicU64,
}

struct Entry {
    /// Where in `keys` its key is.
    start: u32,
    length: u32,
    /// The place of the entry that came after this one last time; at first the next one.
    follower: AtomicU32,
    /// Seen since the last sweep.
    is_seen: AtomicBool,
    labels: Labels,
}

impl Known {
    pub(super) fn new() -> Self {
        Self::with_bound(KEYS_BYTES_MAX)
    }

    fn with_bound(keys_bytes_max: usize) -> Self {
        Self(RwLock::new(Shelf {
            keys_bytes_max,
            keys: Vec::new(),
            entries: Vec::new(),
            by_hash: HashMap::default(),
            lookups: AtomicU64::new(0),
        }))
    }

    /// Begins to look up the series of one request.
    pub(super) fn lookup(&self) -> Lookup<'_> {
        Lookup { shelf: self.0.read(), before: 0, count: 0 }
    }

    /// Keeps the labels of keys that were not found.
    pub(super) fn keep(&self, fresh: Vec<(&[u8], Labels)>) {
        if fresh.is_empty() {
            return;
        }
        let mut shelf = self.0.write();
        for (key, labels) in fresh {
            shelf.add(key, labels);
        }
    }

    /// Forgets what was not seen for long, when it is time.
    pub(super) fn tidy(&self) {
        if self.0.read().is_sweep_due() {
            self.0.write().sweep();
        }
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shelf = self.0.read();
        write!(f, "Known({} series, {} bytes)", shelf.entries.len(), shelf.keys.len())
    }
}

/// Looks up the series of one request, in its order.
pub(super) struct Lookup<'a> {
    shelf: RwLockReadGuard<'a, Shelf>,
    before: u32,
    count: u64,
}

impl Lookup<'_> {
    /// Returns the labels that were kept for exactly these bytes.
    pub(super) fn find(&mut self, key: &[u8]) -> Option<&Labels> {
        self.count += 1;
        let shelf = &*self.shelf;
        let before = shelf.entries.get(self.before as usize);
        let guess = before.map_or(0, |before| before.follower.load(Relaxed));
        let place = if shelf.key(guess) == Some(key) {
            guess
        } else {
            let (place, _) = shelf.place(key);
            let place = place?;
            if let Some(before) = before {
                before.follower.store(place, Relaxed);
            }
            place
        };
        let entry = &shelf.entries[place as usize];
        // A store where there is nothing to store would take the line from other processors.
        if !entry.is_seen.load(Relaxed) {
            entry.is_seen.store(true, Relaxed);
        }
        self.before = place;
        Some(&entry.labels)
    }
}

impl Drop for Lookup<'_> {
    fn drop(&mut self) {
        self.shelf.lookups.fetch_add(self.count, Relaxed);
    }
}

impl Shelf {
    fn key(&self, place: u32) -> Option<&[u8]> {
        let entry = self.entries.get(place as usize)?;
        self.keys.get(entry.start as usize..(entry.start + entry.length) as usize)
    }

    /// Returns the place of a key, or the number under which it would be found.
    fn place(&self, key: &[u8]) -> (Option<u32>, u64) {
        let mut number = hash_bytes(key);
        while let Some(&place) = self.by_hash.get(&number) {
            if self.key(place) == Some(key) {
                return (Some(place), number);
            }
            number = number.wrapping_add(1);
        }
        (None, number)
    }

    fn add(&mut self, key: &[u8], labels: Labels) {
        if self.keys.len() + key.len() > self.keys_bytes_max {
            self.sweep();
            // Sweeping again and again would cost more than beginning anew.
            if self.keys.len() + key.len() > self.keys_bytes_max / 2 {
                self.clear();
            }
        }
        let (None, number) = self.place(key) else { return };
        if key.len() > self.keys_bytes_max / 2 {
            return;
        }
        let place = self.entries.len() as u32;
        self.by_hash.insert(number, place);
        self.entries.push(Entry {
            start: self.keys.len() as u32,
            length: key.len() as u32,
            follower: AtomicU32::new(place + 1),
            is_seen: AtomicBool::new(true),
            labels,
        });
        self.keys.extend_from_slice(key);
    }

    fn is_sweep_due(&self) -> bool {
        self.lookups.load(Relaxed) > LOOKUPS_BEFORE_SWEEP * self.entries.len() as u64
    }

    /// Forgets what was not seen since the last sweep.
    fn sweep(&mut self) {
        let (keys, entries) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.entries));
        self.clear();
        for entry in entries {
            if entry.is_seen.load(Relaxed) {
                let start = entry.start as usize;
                self.add(&keys[start..start + entry.length as usize], entry.labels);
            }
        }
        for entry in &self.entries {
            entry.is_seen.store(false, Relaxed);
        }
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.entries.clear();
        self.by_hash.clear();
        self.lookups.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(name: &str) -> Labels {
        Labels::new([("__name__", name)])
    }

    /// Looks up names in order, keeps those that are missing, and returns which were found.
    fn round(known: &Known, names: &[&str]) -> Vec<bool> {
        let mut fresh = Vec::new();
        let mut lookup = known.lookup();
        let mut found = Vec::new();
        for name in names {
            let kept = lookup.find(name.as_bytes()).cloned();
            found.push(kept.is_some());
            match kept {
                Some(kept) => assert_eq!(kept, labels(name)),
                None => fresh.push((name.as_bytes(), labels(name))),
            }
        }
        drop(lookup);
        known.keep(fresh);
        known.tidy();
        found
    }

    #[test]
    fn what_was_kept_is_found_in_any_order() {
        let known = Known::new();
        assert_eq!(round(&known, &["a", "b", "c", "a"]), [false; 4]);
        for order in [["a", "b", "c"], ["c", "b", "a"], ["c", "b", "a"], ["b", "b", "b"]] {
            assert_eq!(round(&known, &order), [true; 3]);
        }
        assert_eq!(round(&known, &["a", "x", "c"]), [true, false, true]);
        assert_eq!(round(&known, &["a", "x", "c"]), [true; 3]);
    }

    #[test]
    fn what_is_not_sent_any_more_is_forgotten() {
        let known = Known::new();
        round(&known, &["gone", "stays"]);
        // Two series, so 2,000 lookups until the first sweep, which only unmarks what is new, and
        // 2,000 until the second.
        for _ in 0..4100 {
            round(&known, &["stays"]);
        }
        assert_eq!(known.0.read().entries.len(), 1);
        assert_eq!(round(&known, &["stays", "gone"]), [true, false]);
    }

    #[test]
    fn the_bound_of_bytes_is_kept() {
        let known = Known::with_bound(100);
        let names: Vec<String> = (0..1000).map(|i| format!("name{i:03}")).collect();
        for names in names.chunks(10) {
            round(&known, &names.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(known.0.read().keys.len() <= 100);
        }
        // Longer than what may ever be kept.
        let long = "x".repeat(80);
        assert_eq!(round(&known, &[&long]), [false]);
        assert_eq!(round(&known, &[&long]), [false]);
    }
}
