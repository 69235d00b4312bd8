//! Reads stores that each version wrote, byte for byte as they were committed.
//!
//! `format-v1.zst` and `format-v2.zst` hold the files of a store as a kill left them: a checkpoint, blocks of samples
//! and rows in the rings, and entries in the journal that are in neither; that of version
//! 2 quiet series as well. They are never written anew: when the format changes, a file of the new
//! version comes beside them. The newest was made by
//! `NOROSHI_WRITE_FIXTURE=store/tests/format-v2.zst cargo test -p noroshi-store --test format`.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use noroshi_model::seam::{ManualClock, Segment};
use noroshi_model::{
    Batch, Clock, Kind, Labels, Matcher, MetricMeta, RecordBatch, Records, Sample, Select,
    SeriesSource, Space, Timestamp, UNKNOWN, Width,
};
use noroshi_store::{ArchiveSpec, Recovery, RetentionClass, Store, StoreConfig};

const FIXTURE: &[u8] = include_bytes!("format-v1.zst");
const FIXTURE_2: &[u8] = include_bytes!("format-v2.zst");
const START: i64 = 1_790_025_600;
const STEPS: i64 = 3000;

fn open(directory: &Path, now: i64) -> (Arc<Store>, Recovery, Arc<ManualClock>) {
    let spec = |step, rows| ArchiveSpec { step: Duration::from_secs(step), rows };
    let archives = vec![spec(10, 100_000), spec(60, 100_000), spec(300, 100_000)];
    let config = StoreConfig {
        classes: vec![RetentionClass { archives, ..RetentionClass::default() }],
        commit_interval: Duration::ZERO,
        ..StoreConfig::default()
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(now)));
    let opened = Store::open(directory, config, Arc::clone(&clock) as Arc<dyn Clock>);
    let (store, recovery) = opened.unwrap();
    (store, recovery, clock)
}

fn gauge(step: i64) -> f64 {
    if step % 97 == 0 { UNKNOWN } else { (step * 7919 % 10_007) as f64 / 100.0 }
}

/// A counter of 32 bits that wraps, and starts again with its source at step 1500.
fn counter(step: i64) -> f64 {
    let counted = if step < 1500 { step * 3_000_000 } else { (step - 1500) * 7 };
    (counted % (1 << 32)) as f64
}

fn noise(step: i64) -> f64 {
    (step as f64 * 0.1).sin()
}

fn batch(step: i64) -> Batch {
    let sample = |name: &str, value| Sample {
        labels: Labels::new([("__name__", name), ("instance", "a")]),
        at: Timestamp::from_secs(START + step * 10),
        value,
    };
    let samples = vec![
        sample("gauge", gauge(step)),
        sample("octets", counter(step)),
        sample("noise", noise(step)),
    ];
    let kind = Kind::Counter(Width::U32);
    let meta = MetricMeta { name: "octets".into(), kind, unit: "bytes".into(), help: "h".into() };
    let started = if step < 1500 { START - 50_000 } else { START + 14_995 };
    Batch {
        samples,
        metas: vec![meta],
        started_at: Some(Timestamp::from_secs(started)),
        interval: Some(Duration::from_secs(10)),
    }
}

fn records(numbers: std::ops::Range<u64>, store: &Store) {
    for number in numbers {
        let mut batch = RecordBatch::new();
        batch.put(Space::Events, number.to_be_bytes(), vec![number as u8; number as usize * 50]);
        batch.put(Space::Values, "newest", number.to_be_bytes());
        store.commit(batch).unwrap();
    }
}

fn write_fixture(path: &str) {
    let directory = tempfile::tempdir().unwrap();
    let (store, _, clock) = open(directory.path(), START);
    clock.set(Timestamp::from_secs(START + 1000));
    let gone = (1..=100).map(|step| Sample {
        labels: Labels::new([("__name__", "gone"), ("instance", "b")]),
        at: Timestamp::from_secs(START + step * 10),
        value: gauge(step),
    });
    store.submit_blocking(Batch { samples: gone.collect(), ..Batch::new() }).unwrap();
    // Steps 200 to 300 come late.
    let is_late = |step: &i64| (200..300).contains(step);
    for step in (1..=2500).filter(|step| !is_late(step)).chain(200..300) {
        clock.set(clock.now().max(Timestamp::from_secs(START + step * 10)));
        store.submit_blocking(batch(step)).unwrap();
    }
    records(0..100, &store);
    assert!(store.checkpoint());
    let begun = Instant::now();
    while store.stats().quiet_series == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "`gone` is not quiet");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert!(store.checkpoint());
    for step in 2501..=STEPS {
        clock.set(Timestamp::from_secs(START + step * 10));
        store.submit_blocking(batch(step)).unwrap();
    }
    records(100..120, &store);
    let mut plain = Vec::new();
    pack(directory.path(), Path::new(""), &mut plain);
    std::fs::write(path, zstd::bulk::compress(&plain, 19).unwrap()).unwrap();
}

/// Path and content of each file, each with its length before it.
fn pack(root: &Path, below: &Path, out: &mut Vec<u8>) {
    let mut entries: Vec<_> = std::fs::read_dir(root.join(below)).unwrap().flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            pack(root, &path, out);
            continue;
        }
        let content = std::fs::read(entry.path()).unwrap();
        for bytes in [path.to_str().unwrap().as_bytes(), &content] {
            out.extend((bytes.len() as u32).to_le_bytes());
            out.extend(bytes);
        }
    }
}

fn unpack(mut packed: &[u8], to: &Path) {
    let mut next = || {
        let (length, rest) = packed.split_first_chunk::<4>()?;
        let (bytes, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        packed = rest;
        Some(bytes)
    };
    while let (Some(path), Some(content)) = (next(), next()) {
        let path = to.join(std::str::from_utf8(path).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

fn select(store: &Store, name: &str, step: u64) -> Vec<Segment> {
    let request = Select {
        matchers: vec![Matcher::equal("__name__", name)],
        after: Timestamp::from_secs(START),
        until: Timestamp::from_secs(START + STEPS * 10),
        step: Duration::from_secs(step),
        window: Duration::from_secs(step),
        samples_max: 1_000_000,
    };
    store.select(&request).unwrap().remove(0).segments
}

fn check(store: &Store) {
    // Read back, the counter goes on over its wraps: 1499 steps of 3,000,000 are one of 2^32.
    let unwrapped = |step: i64| if step < 1500 { (step * 3_000_000) as f64 } else { counter(step) };
    let cases: [(&str, &dyn Fn(i64) -> f64); 3] =
        [("gauge", &gauge), ("octets", &unwrapped), ("noise", &noise)];
    for (name, value) in cases {
        let expected: Vec<(i64, u64)> =
            (1..=STEPS).map(|s| ((START + s * 10) * 1000, value(s).to_bits())).collect();
        let mut got = Vec::new();
        for segment in select(store, name, 0) {
            let Segment::Raw(raw) = segment else { panic!("rows of {name}") };
            got.extend(raw.at.into_iter().zip(raw.value.into_iter().map(f64::to_bits)));
        }
        assert_eq!(got, expected, "{name}");
    }
    let segments = select(store, "octets", 600);
    let Segment::Rows(rows) = &segments[0] else { panic!("samples") };
    assert_eq!((rows.step, rows.at.len()), (300_000, 100));
    // From step 1 to 1499, then from zero.
    let grown = 1498.0 * 3_000_000.0 + (STEPS - 1500) as f64 * 7.0;
    assert_eq!(rows.increase.iter().sum::<f64>(), grown);
    assert_eq!(rows.count.iter().sum::<f64>(), STEPS as f64);
    for number in 0..120_u64 {
        let value = store.get(Space::Events, &number.to_be_bytes()).unwrap();
        assert_eq!(value, Some(vec![number as u8; number as usize * 50]), "record {number}");
    }
    let newest = store.get(Space::Values, b"newest").unwrap();
    assert_eq!(newest, Some(119_u64.to_be_bytes().to_vec()));
    assert_eq!(store.metadata(Some("octets")).unwrap()[0].kind, Kind::Counter(Width::U32));
}

fn unpacked(fixture: &[u8]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    unpack(&zstd::bulk::decompress(fixture, 64 << 20).unwrap(), directory.path());
    directory
}

fn format_of(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("FORMAT")).unwrap()
}

#[test]
fn a_store_of_the_first_version_is_read_and_becomes_one_of_the_second() {
    let directory = unpacked(FIXTURE);
    assert_eq!(format_of(directory.path()), "noroshi store 1\n");
    let (store, recovery, _) = open(directory.path(), START + STEPS * 10);
    assert_eq!((recovery.damaged, recovery.rebuilt_catalogue.as_deref()), (0, None));
    assert_eq!((recovery.series, recovery.journal_samples), (3, 1500));
    check(&store);
    assert_eq!(format_of(directory.path()), "noroshi store 2\n");
    // As it is written now, it is read as well.
    assert!(store.checkpoint());
    store.close();
    drop(store);
    let (store, recovery, _) = open(directory.path(), START + STEPS * 10);
    assert_eq!((recovery.damaged, recovery.journal_samples), (0, 0));
    check(&store);
}

#[test]
fn a_store_of_the_first_version_is_rebuilt_without_its_catalogue() {
    let directory = unpacked(FIXTURE);
    std::fs::remove_dir_all(directory.path().join("catalogue")).unwrap();
    let (store, recovery, _) = open(directory.path(), START + STEPS * 10);
    assert!(recovery.rebuilt_catalogue.is_some());
    check(&store);
}

#[test]
fn a_store_of_the_second_version_is_read_with_its_quiet_series() {
    if let Ok(path) = std::env::var("NOROSHI_WRITE_FIXTURE") {
        write_fixture(&path);
        return;
    }
    for is_without_catalogue in [false, true] {
        let directory = unpacked(FIXTURE_2);
        assert_eq!(format_of(directory.path()), "noroshi store 2\n");
        if is_without_catalogue {
            std::fs::remove_dir_all(directory.path().join("catalogue")).unwrap();
        }
        let (store, recovery, _) = open(directory.path(), START + STEPS * 10);
        assert_eq!((recovery.damaged, recovery.journal_samples), (0, 1500));
        assert_eq!((recovery.series, store.stats().quiet_series), (4, 1));
        check(&store);
        let got: Vec<(i64, u64)> = select(&store, "gone", 0)
            .into_iter()
            .flat_map(|segment| match segment {
                Segment::Raw(raw) => raw.at.into_iter().zip(raw.value).collect::<Vec<_>>(),
                Segment::Rows(_) => panic!("rows"),
            })
            .map(|(at, value)| (at, value.to_bits()))
            .collect();
        let sent = |step: i64| ((START + step * 10) * 1000, gauge(step).to_bits());
        assert_eq!(got, (1..=100).map(sent).collect::<Vec<_>>());
    }
}

/// A program of version 1 knows only its own: it says that it does not know the folder.
#[test]
fn a_store_of_an_unknown_version_is_refused() {
    let directory = unpacked(FIXTURE_2);
    std::fs::write(directory.path().join("FORMAT"), "noroshi store 3\n").unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let error = Store::open(directory.path(), StoreConfig::default(), clock).err().unwrap();
    assert!(error.to_string().ends_with("holds no store of a version that this program knows"));
}
