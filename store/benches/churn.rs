//! Containers come and go: SERIES series (100,000), of which all are replaced by others with new
//! labels, GENERATIONS (3) times: memory and disk after each, when what is gone is quiet.
//! `cargo bench -p noroshi-store --bench churn [-- SERIES GENERATIONS]`.
//!
//! Each generation sends for half an hour every minute; the next begins four hours later.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints and may fail")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use noroshi_model::seam::ManualClock;
use noroshi_model::{Batch, Clock, Labels, Matcher, Sample, Select, SeriesSource, Timestamp};
use noroshi_store::{Store, StoreConfig};

const START: i64 = 1_790_000_000;
const SERIES_OF_POD: usize = 50;
const STEPS: i64 = 30;
const STEP: i64 = 60;
/// From the begin of one generation to that of the next, in seconds.
const APART: i64 = 4 * 3600;

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let series = numbers.first().copied().unwrap_or(100_000);
    let generations = numbers.get(1).copied().unwrap_or(3);
    let root = std::env::var("BENCH_DIR").unwrap_or_else(|_| "target".to_owned());
    let directory = tempfile::tempdir_in(root).unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let open = || {
        let config = StoreConfig { disk_bytes_max: Some(1 << 40), ..StoreConfig::default() };
        Store::open(directory.path(), config, Arc::clone(&clock) as Arc<dyn Clock>).unwrap()
    };
    let (store, _) = open();
    let base = memory_mib();
    println!("{series} series at a time; memory over the bench's own {base:.0} MiB");
    println!(
        "| replaced | series | quiet | MiB | of these quiet | B a quiet series | disk MB | B a quiet series |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut first_disk = 0;
    for generation in 0..=generations {
        send(&store, &clock, generation, series);
        wait_for_quiet(&store, (generation * series) as u64);
        assert!(store.checkpoint());
        let (stats, memory) = (store.stats(), memory_mib() - base);
        let disk = disk_bytes(directory.path());
        let quiet = stats.quiet_series;
        if generation == 0 {
            first_disk = disk;
        }
        let each = |bytes: u64| if quiet == 0 { 0.0 } else { bytes as f64 / quiet as f64 };
        println!(
            "| {generation} | {} | {quiet} | {memory:.0} | {:.1} | {:.1} | {:.1} | {:.0} |",
            stats.series,
            stats.quiet_bytes as f64 / f64::from(1 << 20),
            each(stats.quiet_bytes),
            disk as f64 / 1e6,
            each(disk.saturating_sub(first_disk)),
        );
    }
    let first_pod = [Matcher::equal("pod", "web-0-7")];
    let before = Instant::now();
    let found = store
        .select(&Select {
            matchers: first_pod.to_vec(),
            after: Timestamp::from_secs(START),
            until: Timestamp::from_secs(START + STEPS * STEP),
            step: Duration::ZERO,
            window: Duration::ZERO,
            samples_max: 1_000_000,
        })
        .unwrap();
    assert_eq!(found.len(), SERIES_OF_POD);
    println!("a pod of the first generation read in {:?}", before.elapsed());
    store.close();
    drop(store);
    let before = Instant::now();
    let (store, _) = open();
    println!("opened again in {:?}", before.elapsed());
    store.close();
}

/// Sends the samples of a generation, pod by pod and step by step.
fn send(store: &Store, clock: &ManualClock, generation: usize, series: usize) {
    let labels: Vec<Labels> = (0..series)
        .map(|index| {
            let pod = index / SERIES_OF_POD;
            Labels::new([
                ("__name__", format!("container_thing{}_total", index % SERIES_OF_POD)),
                ("instance", format!("node{:03}.example.net", pod % 100)),
                ("job", "cadvisor".to_owned()),
                ("namespace", format!("space{}", pod % 7)),
                ("pod", format!("web-{generation}-{pod}")),
            ])
        })
        .collect();
    for step in 0..STEPS {
        let at = Timestamp::from_secs(START + generation as i64 * APART + step * STEP);
        clock.set(at);
        for (pod, labels) in labels.chunks(1000).enumerate() {
            let sample = |(index, labels): (usize, &Labels)| Sample {
                labels: labels.clone(),
                at,
                value: (step * (index as i64 % 17) + pod as i64) as f64,
            };
            let samples = labels.iter().enumerate().map(sample).collect();
            store.submit_blocking(Batch { samples, ..Batch::new() }).unwrap();
        }
    }
}

/// Waits until so many series are quiet; the store's keeper looks each second.
fn wait_for_quiet(store: &Store, count: u64) {
    assert!(store.checkpoint());
    let begun = Instant::now();
    while store.stats().quiet_series < count {
        let quiet = store.stats().quiet_series;
        assert!(begun.elapsed() < Duration::from_mins(5), "{quiet} of {count} are quiet");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let bytes = |entry: std::fs::DirEntry| {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() { disk_bytes(&entry.path()) } else { metadata.blocks() * 512 }
    };
    entries.map(bytes).sum()
}

fn memory_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}
