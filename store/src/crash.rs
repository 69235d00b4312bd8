//! Power cuts at every point of a store's life, on a disk that loses what was not synced.
//!
//! Goal: whatever a power cut leaves, the store opens, everything that was acknowledged before it
//! is there, and nothing is there that was never written. Method: one life of a store is recorded
//! (`disk::record`) with a mark at each acknowledgement. For each prefix of the operations the
//! folder is put together as the cut could have left it: what was synced is there; of the rest
//! nothing, all, or some, a write also torn or as zeros; names in a directory by themselves. The
//! catalogue is as `sled` last synced it, or gone. `NOROSHI_CRASH_ROUNDS=20` for the long run.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::seam::{ManualClock, Segment};
use noroshi_model::{
    Batch, Clock, Labels, Matcher, RecordBatch, Records, Sample, Select, SeriesSource, Space,
    Timestamp,
};

use crate::config::{ArchiveSpec, RetentionClass, StoreConfig};
use crate::disk::record::{Content, Op, Recording};
use crate::store::Store;

const START: i64 = 1_790_025_600;
const SERIES: usize = 3;
/// Steps of ten seconds in a batch: some batches make a block of samples.
const BATCH_STEPS: i64 = 48;
const BATCHES: i64 = 40;
/// Cuts in an ordinary run; with rounds in the environment, at every operation.
const CUTS: usize = 60;

fn open(directory: &Path) -> Arc<Store> {
    let spec = |step, rows| ArchiveSpec { step: Duration::from_secs(step), rows };
    let archives = vec![spec(10, 1_000_000), spec(60, 1_000_000)];
    let config = StoreConfig {
        classes: vec![RetentionClass { archives, ..RetentionClass::default() }],
        commit_interval: Duration::ZERO,
        disk_bytes_max: Some(1 << 40),
        ..StoreConfig::default()
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START + 1_000_000)));
    let opened = Store::open(directory, config, clock as Arc<dyn Clock>);
    opened.unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error))).0
}

fn value(series: usize, step: i64) -> f64 {
    ((step * 7919 + series as i64 * 104_729) % 10_007) as f64 / 100.0
}

/// A batch; every third one brings its older half after its newer one.
fn batch(number: i64) -> Batch {
    let first = number * BATCH_STEPS + 1;
    let mut steps: Vec<i64> = (first..first + BATCH_STEPS).collect();
    if number % 3 == 2 {
        steps.rotate_left(BATCH_STEPS as usize / 2);
    }
    let mut batch = Batch::new();
    for step in steps {
        for series in 0..SERIES {
            // A series appears in the middle of the life, after a checkpoint.
            if series == 2 && number < BATCHES / 2 {
                continue;
            }
            let labels = Labels::new([("__name__", "x"), ("series", &*series.to_string())]);
            let at = Timestamp::from_secs(START + step * 10);
            batch.samples.push(Sample { labels, at, value: value(series, step) });
        }
    }
    batch
}

/// Lives for a while, with checkpoints, a clean restart and records, and returns what was done.
fn life() -> (PathBuf, Vec<Op>) {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("store");
    let recording = Recording::of(&directory);
    let mut store = open(&directory);
    for number in 0..BATCHES {
        store.submit_blocking(batch(number)).unwrap();
        recording.told(number + 1, number as u64);
        let mut records = RecordBatch::new();
        records.put(Space::Events, (number as u64).to_be_bytes(), vec![number as u8; 40]);
        store.commit(records).unwrap();
        recording.told(number + 1, number as u64 + 1);
        if number % 11 == 10 {
            assert!(store.checkpoint());
        }
        if number == 25 {
            store.close();
            drop(store);
            store = open(&directory);
        }
    }
    store.close();
    (directory, recording.end())
}

/// A simple generator of numbers (splitmix64, Steele, Lea and Flood 2014): the same cuts each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }
}

/// What a cut leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Nothing,
    Everything,
    Something,
}

/// A file as it is for sure, and what was done to it since.
#[derive(Clone, Default)]
struct FileState {
    durable: Vec<u8>,
    pending: Vec<(usize, Op)>,
}

/// The disk while operations are done.
#[derive(Default)]
struct Disk {
    files: HashMap<usize, FileState>,
    names: BTreeMap<PathBuf, usize>,
    /// Changes of names by directory.
    pending: BTreeMap<PathBuf, Vec<(usize, Op)>>,
    catalogue: Content,
    told: (i64, u64),
}

fn change(content: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write { at, bytes, .. } => {
            let (at, end) = (*at as usize, *at as usize + bytes.len());
            if content.len() < end {
                content.resize(end, 0);
            }
            content[at..end].copy_from_slice(bytes);
        }
        Op::Cut { length, .. } => content.truncate(*length as usize),
        Op::Grow { length, .. } if content.len() < *length as usize => {
            content.resize(*length as usize, 0);
        }
        _ => {}
    }
}

fn rename(names: &mut BTreeMap<PathBuf, usize>, op: &Op) {
    match op {
        Op::Create { path, file } => drop(names.insert(path.clone(), *file)),
        Op::Rename { from, to } => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Op::Remove { path } => drop(names.remove(path)),
        _ => {}
    }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap().to_owned()
}

impl Disk {
    fn act(&mut self, index: usize, op: &Op) {
        match op {
            Op::Create { path, file } => {
                self.files.insert(*file, FileState::default());
                self.pending.entry(folder_of(path)).or_default().push((index, op.clone()));
            }
            Op::Rename { to: path, .. } | Op::Remove { path } => {
                self.pending.entry(folder_of(path)).or_default().push((index, op.clone()));
            }
            Op::Write { file, .. } | Op::Cut { file, .. } | Op::Grow { file, .. } => {
                self.files.entry(*file).or_default().pending.push((index, op.clone()));
            }
            Op::Synced { file, from } => {
                let file = self.files.entry(*file).or_default();
                let done = file.pending.partition_point(|(index, _)| index < from);
                for (_, op) in file.pending.drain(..done) {
                    change(&mut file.durable, &op);
                }
            }
            Op::SyncedDirectory { path, from } => {
                let pending = self.pending.entry(path.clone()).or_default();
                let done = pending.partition_point(|(index, _)| index < from);
                for (_, op) in pending.drain(..done) {
                    rename(&mut self.names, &op);
                }
            }
            Op::Catalogue(content) => self.catalogue.clone_from(content),
            Op::Told { samples, records } => self.told = (*samples, *records),
        }
    }

    /// Puts the folder together as a cut now leaves it.
    fn write(&self, root: &Path, target: &Path, kept: Kept, random: &mut Random) {
        let mut names = self.names.clone();
        for pending in self.pending.values() {
            // A file system's journal keeps the order of what happens to names.
            let count = match kept {
                Kept::Nothing => 0,
                Kept::Everything => pending.len(),
                Kept::Something => random.below(pending.len() + 1),
            };
            pending[..count].iter().for_each(|(_, op)| rename(&mut names, op));
        }
        // Folders come after FORMAT is durable.
        if names.contains_key(&root.join("FORMAT")) {
            for child in ["journal", "checkpoint", "rings", "catalogue-log"] {
                fs::create_dir_all(target.join(child)).unwrap();
            }
        }
        for (path, file) in &names {
            let content = self.files[file].after_cut(kept, random);
            fs::write(target.join(path.strip_prefix(root).unwrap()), content).unwrap();
        }
        let has_catalogue = kept == Kept::Nothing || random.below(3) > 0;
        for (path, bytes) in self.catalogue.iter().filter(|_| has_catalogue) {
            let path = target.join(path.strip_prefix(root).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

impl FileState {
    fn after_cut(&self, kept: Kept, random: &mut Random) -> Vec<u8> {
        let mut content = self.durable.clone();
        for (_, op) in &self.pending {
            let is_kept = match kept {
                Kept::Nothing => false,
                Kept::Everything => true,
                Kept::Something => random.below(2) == 0,
            };
            match op {
                Op::Write { file, at, bytes }
                    if kept == Kept::Something && random.below(2) == 0 =>
                {
                    // Torn: its beginning is there, and its length, or not.
                    let mut torn = bytes[..random.below(bytes.len() + 1)].to_vec();
                    if random.below(2) == 0 {
                        torn.resize(bytes.len(), 0);
                    }
                    change(&mut content, &Op::Write { file: *file, at: *at, bytes: torn });
                }
                op if is_kept => change(&mut content, op),
                _ => {}
            }
        }
        content
    }
}

/// Opens what a cut left and looks for all that was acknowledged.
fn check(directory: &Path, (batches, records): (i64, u64), what: &str) {
    let store = open(directory);
    let mut right = [0; SERIES];
    let request = Select {
        matchers: vec![Matcher::equal("__name__", "x")],
        after: Timestamp::from_secs(START),
        until: Timestamp::MAX,
        step: Duration::ZERO,
        window: Duration::ZERO,
        samples_max: usize::MAX,
    };
    for series in store.select(&request).unwrap() {
        let number: usize = series.labels.get("series").unwrap().parse().unwrap();
        for segment in &series.segments {
            let Segment::Raw(raw) = segment else { panic!("rows") };
            for (at, got) in raw.at.iter().zip(&raw.value) {
                let step = (at / 1000 - START) / 10;
                assert_eq!(*got, value(number, step), "{what}: series {number} step {step}");
                right[number] += i64::from(step <= batches * BATCH_STEPS);
            }
        }
    }
    let all = batches * BATCH_STEPS;
    let of_the_late_one = (batches - BATCHES / 2).max(0) * BATCH_STEPS;
    assert_eq!(right, [all, all, of_the_late_one], "{what}: acknowledged samples are missing");
    for number in 0..records {
        let got = store.get(Space::Events, &number.to_be_bytes()).unwrap();
        assert_eq!(got, Some(vec![number as u8; 40]), "{what}: record {number}");
    }
    // It goes on from there.
    store.submit_blocking(batch(batches)).unwrap();
    store.close();
}

#[test]
fn a_power_cut_at_any_point_loses_nothing_acknowledged() {
    let rounds = std::env::var("NOROSHI_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok());
    let (root, ops) = life();
    let cuts = if rounds.is_some() { ops.len() } else { CUTS };
    for round in 0..rounds.unwrap_or(1_u64) {
        let mut random = Random(round);
        let (mut disk, mut done) = (Disk::default(), 0);
        for cut in 0..=cuts {
            // Spread over all; where exactly differs from round to round.
            let point = (cut * ops.len() / cuts + random.below(ops.len() / cuts)).min(ops.len());
            for (index, op) in ops.iter().enumerate().take(point).skip(done) {
                disk.act(index, op);
            }
            done = done.max(point);
            let kept = [Kept::Nothing, Kept::Something, Kept::Everything, Kept::Something][cut % 4];
            let folder = tempfile::tempdir().unwrap();
            disk.write(&root, folder.path(), kept, &mut random);
            let what = format!("round {round}, cut at {done} of {}, {kept:?} kept", ops.len());
            check(folder.path(), disk.told, &what);
        }
    }
}
