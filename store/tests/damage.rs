//! Flips bytes in each kind of file: damage costs what was hit, is told, and nothing panics.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::seam::{ManualClock, Segment};
use noroshi_model::{
    Batch, Clock, Labels, Matcher, RecordBatch, Records, Sample, Select, SeriesSource, Space,
    Timestamp,
};
use noroshi_store::{Recovery, Store, StoreConfig};

const START: i64 = 1_790_025_600;
const SERIES: usize = 40;
const STEPS: i64 = 3000;

fn open(directory: &Path) -> (Arc<Store>, Recovery) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START + STEPS * 10)));
    let config = StoreConfig { commit_interval: Duration::ZERO, ..StoreConfig::default() };
    Store::open(directory, config, clock as Arc<dyn Clock>).unwrap()
}

fn value(series: usize, step: i64) -> f64 {
    ((step * 7919 + series as i64 * 104_729) % 10_007) as f64 / 100.0
}

fn batch(steps: std::ops::RangeInclusive<i64>) -> Batch {
    let mut batch = Batch::new();
    for step in steps {
        for series in 0..SERIES {
            let labels = Labels::new([("__name__", "x"), ("series", &*series.to_string())]);
            let at = Timestamp::from_secs(START + step * 10);
            batch.samples.push(Sample { labels, at, value: value(series, step) });
        }
    }
    batch
}

/// A store with blocks in its rings, a checkpoint, and a journal after it.
fn written() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path());
    for first in (1..STEPS).step_by(100) {
        store.submit_blocking(batch(first..=first + 99)).unwrap();
        if first == 2601 {
            let mut records = RecordBatch::new();
            records.put(Space::States, "k", "v");
            store.commit(records).unwrap();
            assert!(store.checkpoint());
        }
    }
    copy_folder(directory.path(), copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn newest(folder: &Path) -> PathBuf {
    let mut all: Vec<PathBuf> = fs::read_dir(folder).unwrap().flatten().map(|e| e.path()).collect();
    all.sort();
    all.pop().unwrap()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

/// Right and missing samples of all series; a wrong one fails the test.
fn count(store: &Store) -> (usize, usize) {
    let request = Select {
        matchers: vec![Matcher::equal("__name__", "x")],
        after: Timestamp::from_secs(START),
        until: Timestamp::from_secs(START + STEPS * 10),
        step: Duration::ZERO,
        window: Duration::ZERO,
        samples_max: usize::MAX,
    };
    let mut right = 0;
    for series in store.select(&request).unwrap() {
        let number: usize = series.labels.get("series").unwrap().parse().unwrap();
        for segment in &series.segments {
            let step = |at: i64| (at / 1000 - START) / 10;
            let raw = match segment {
                Segment::Raw(raw) => raw,
                Segment::Rows(rows) => {
                    // Where samples are lost their rows stand in.
                    for (at, max) in rows.at.iter().zip(&rows.max) {
                        let mut within = step(at - rows.step)..=step(*at);
                        assert!(within.any(|step| value(number, step) == *max), "{max} at {at}");
                    }
                    continue;
                }
            };
            for (at, got) in raw.at.iter().zip(&raw.value) {
                assert_eq!(*got, value(number, step(*at)), "series {number} at {at}");
            }
            right += raw.at.len();
        }
    }
    (right, SERIES * STEPS as usize - right)
}

#[test]
fn a_damaged_block_costs_its_own_samples_only() {
    let directory = written();
    let ring = directory.path().join("rings/default-10000.ring");
    // Blocks lie one after the other from 4096 + 16 on; this is in the middle of one.
    flip(&ring, 4096 + 16 + 20_000);
    let (store, recovery) = open(directory.path());
    assert_eq!(recovery.damaged, 0);
    let (_, missing) = count(&store);
    // A block has 512 samples or a few more: chunks are not split.
    assert!((512..=576).contains(&missing), "{missing} samples are missing");
    assert!(store.stats().damaged_blocks > 0);
    // The blocks behind it in the chain were found by reading through the ring.
    assert_eq!(count(&store).1, missing);
}

#[test]
fn a_damaged_journal_entry_costs_itself_only() {
    let directory = written();
    let segment = newest(&directory.path().join("journal"));
    let length = fs::metadata(&segment).unwrap().len() as usize;
    flip(&segment, length / 2);
    let (store, recovery) = open(directory.path());
    assert_eq!(recovery.damaged, 1, "{recovery:?}");
    // One batch of 100 steps of all series was one entry.
    assert_eq!(count(&store).1, SERIES * 100);
}

#[test]
fn a_damaged_checkpoint_costs_the_heads_of_the_section_only() {
    let directory = written();
    let checkpoint = newest(&directory.path().join("checkpoint"));
    let length = fs::metadata(&checkpoint).unwrap().len() as usize;
    flip(&checkpoint, length - 500);
    let (store, recovery) = open(directory.path());
    assert!(recovery.damaged > 0);
    assert!(recovery.searched_series > 0);
    let (right, _) = count(&store);
    // Their blocks were found again: only what was in memory at the checkpoint is gone.
    let in_memory = SERIES * 640;
    assert!(right >= SERIES * STEPS as usize - in_memory, "{right} samples are left");
    assert_eq!(store.get(Space::States, b"k").unwrap(), Some(b"v".to_vec()));
}

#[test]
fn a_store_without_checkpoint_is_put_together_from_its_rings() {
    let directory = written();
    fs::remove_file(newest(&directory.path().join("checkpoint"))).unwrap();
    let (store, recovery) = open(directory.path());
    assert_eq!(recovery.searched_series, SERIES as u64);
    let (right, _) = count(&store);
    assert!(right >= SERIES * (STEPS as usize - 640), "{right} samples are left");
    assert_eq!(store.get(Space::States, b"k").unwrap(), Some(b"v".to_vec()));
}

#[test]
fn bytes_flipped_anywhere_never_panic_nor_give_a_wrong_value() {
    let whole = written();
    let files = ["rings/default-10000.ring", "rings/default-60000.ring"];
    let mut targets: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    for folder in ["journal", "checkpoint", "catalogue-log"] {
        let path = newest(&whole.path().join(folder));
        targets.push(path.strip_prefix(whole.path()).unwrap().to_owned());
    }
    for (round, target) in targets.iter().cycle().take(25).enumerate() {
        let directory = tempfile::tempdir().unwrap();
        copy_folder(whole.path(), directory.path());
        let path = directory.path().join(target);
        let length = (fs::metadata(&path).unwrap().len() as usize).min(300_000);
        for hit in 0..20_usize {
            flip(&path, 64 + (round * 7919 + hit * 104_729) % (length - 64));
        }
        let (store, _) = open(directory.path());
        count(&store);
    }
}
