//! A site of 1,000 hosts x 100 series x 360 steps of 10 s: taking in, size, memory, reading,
//! restart. `cargo bench -p noroshi-store --bench site [-- HOSTS STEPS]`.
//!
//! Values as TARGETS asks: a third counters, a third gauges with two decimals, the rest constants
//! and integers. The label sets are made once and shared, as ingest with a cache of labels does.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints and may fail")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use noroshi_model::seam::{ManualClock, Segment};
use noroshi_model::{Batch, Clock, Labels, Matcher, Sample, Select, SeriesSource, Sink, Timestamp};
use noroshi_store::{Store, StoreConfig};

const START: i64 = 1_790_000_000;
const SERIES_OF_HOST: usize = 100;

struct Source {
    labels: Labels,
    value: f64,
    kind: usize,
}

fn random(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as f64 / (1_u64 << 53) as f64
}

fn sources(hosts: usize) -> Vec<Vec<Source>> {
    let source = |host: usize, index: usize| {
        let kind = index % 6;
        let name = if kind < 2 {
            format!("node_thing{index}_total")
        } else {
            format!("node_thing{index}")
        };
        let labels = Labels::new([
            ("__name__", name.as_str()),
            ("instance", &format!("host{host:05}.example.net:9100")),
            ("job", "node"),
            ("device", &format!("eth{}", index % 7)),
            ("datacenter", &format!("dc{}", host % 3)),
            ("rack", &format!("rack{:02}", host % 40)),
        ]);
        Source { labels, value: (host * 1000 + index) as f64, kind }
    };
    (0..hosts).map(|host| (0..SERIES_OF_HOST).map(|index| source(host, index)).collect()).collect()
}

fn next(source: &mut Source, state: &mut u64) -> f64 {
    match source.kind {
        0 => source.value += (random(state) * 1e6).floor(),
        1 => source.value += (random(state) * 30.0).floor(),
        2 | 3 => {
            let moved = source.value % 100.0 + random(state) * 4.0 - 2.0;
            source.value = (moved.abs() * 100.0).round() / 100.0;
        }
        4 if random(state) < 0.02 => source.value += 1.0,
        _ => {}
    }
    source.value
}

fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    // utime and stime are fields 14 and 15, in ticks of 10 ms (man 5 proc).
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

fn memory_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn disk_bytes(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let metadata = entry.metadata().unwrap();
        bytes +=
            if metadata.is_dir() { disk_bytes(&entry.path()) } else { metadata.blocks() * 512 };
    }
    bytes
}

fn select(name: &str, span: i64, step: Duration, at: i64) -> Select {
    Select {
        matchers: vec![Matcher::new("__name__", noroshi_model::MatcherOp::Match, name).unwrap()],
        after: Timestamp::from_secs(at - span),
        until: Timestamp::from_secs(at),
        step,
        window: Duration::from_mins(5),
        samples_max: 100_000_000,
    }
}

fn timed(what: &str, store: &Store, request: &Select) {
    let mut best = Duration::MAX;
    let mut size = (0, 0);
    for _ in 0..5 {
        let before = Instant::now();
        let answer = store.select(request).unwrap();
        best = best.min(before.elapsed());
        let count = |segment: &Segment| match segment {
            Segment::Raw(raw) => raw.at.len(),
            Segment::Rows(rows) => rows.at.len(),
        };
        size = (answer.len(), answer.iter().flat_map(|s| &s.segments).map(count).sum());
    }
    println!("{what:44} {best:>10.2?}   {} series, {} points", size.0, size.1);
}

#[allow(clippy::too_many_lines, reason = "one measurement after the other")]
fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let hosts = numbers.first().copied().unwrap_or(1000);
    let steps = numbers.get(1).copied().unwrap_or(360) as i64;
    let root = std::env::var("BENCH_DIR").unwrap_or_else(|_| "target".to_owned());
    let directory = tempfile::tempdir_in(root).unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let open = || {
        let clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let config = StoreConfig { disk_bytes_max: Some(1 << 40), ..StoreConfig::default() };
        Store::open(directory.path(), config, clock).unwrap()
    };
    let before = Instant::now();
    let (store, _) = open();
    println!("fresh store opened in {:?}", before.elapsed());
    let mut sources = sources(hosts);
    let mut state = 0x1234_5678_9abc_def1;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let base = memory_mib();
    let (mut cpu, mut wall, mut samples) = (0.0, Duration::ZERO, 0);
    for step in 1..=steps {
        let at = Timestamp::from_secs(START + step * 10);
        clock.set(at);
        let batches: Vec<Batch> = sources
            .chunks_mut(10)
            .map(|hosts| {
                let all = hosts.iter_mut().flatten().map(|source| Sample {
                    labels: source.labels.clone(),
                    at,
                    value: next(source, &mut state),
                });
                let interval = Some(Duration::from_secs(10));
                Batch { samples: all.collect(), interval, ..Batch::new() }
            })
            .collect();
        let (before_cpu, before) = (cpu_seconds(), Instant::now());
        runtime.block_on(async {
            let all = batches.into_iter().map(|batch| {
                samples += batch.samples.len();
                store.submit(batch)
            });
            for answer in futures_join(all.collect()).await {
                answer.unwrap();
            }
        });
        cpu += cpu_seconds() - before_cpu;
        wall += before.elapsed();
        if step == 1 {
            println!("first step (new series): {:?}, {cpu:.2} s CPU", before.elapsed());
            (cpu, wall, samples) = (0.0, Duration::ZERO, 0);
        }
    }
    println!(
        "{samples} samples in {wall:?}, {cpu:.2} s CPU: {:.0}/s, {:.0} per CPU-second",
        samples as f64 / wall.as_secs_f64(),
        samples as f64 / cpu
    );
    println!("memory {:.0} MiB over {base:.0} MiB before", memory_mib() - base);
    let now = START + steps * 10;
    timed(
        "1,000 series x 1 h (node_thing0_total)",
        &store,
        &select("node_thing0_total", 3600, Duration::ZERO, now),
    );
    timed("100 of one host by regex", &store, &{
        let mut request = select("node_thing.*", 3600, Duration::ZERO, now);
        request.matchers.push(Matcher::equal("instance", "host00007.example.net:9100"));
        request
    });
    timed(
        "1,000 series x 1 h in rows of a minute",
        &store,
        &select("node_thing0_total", 3600, Duration::from_mins(2), now),
    );
    println!("{:#?}", store.stats());
    let killed = tempfile::tempdir_in(directory.path().parent().unwrap()).unwrap();
    copy_folder(directory.path(), killed.path());
    let before = Instant::now();
    let config = StoreConfig { disk_bytes_max: Some(1 << 40), ..StoreConfig::default() };
    let (copy, recovery) = Store::open(killed.path(), config, clock.clone()).unwrap();
    println!("opened as a kill leaves it in {:?}: {recovery:?}", before.elapsed());
    drop(copy);
    let before = Instant::now();
    store.checkpoint();
    println!("checkpoint in {:?}", before.elapsed());
    let bytes = disk_bytes(directory.path());
    println!("{bytes} bytes on disk, {:.2} a sample", bytes as f64 / samples as f64);
    for child in std::fs::read_dir(directory.path()).unwrap().flatten() {
        let metadata = child.metadata().unwrap();
        let bytes = if metadata.is_dir() { disk_bytes(&child.path()) } else { metadata.len() };
        println!("    {:24} {bytes}", child.file_name().to_string_lossy());
    }
    store.close();
    drop(store);
    let before = Instant::now();
    let (_store, recovery) = open();
    println!("opened again in {:?}: {recovery:?}", before.elapsed());
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.metadata().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Waits for all futures, in order; they were all started by the first poll of each.
async fn futures_join<T>(all: Vec<noroshi_model::BoxFuture<'_, T>>) -> Vec<T> {
    let mut pending: Vec<Option<noroshi_model::BoxFuture<'_, T>>> =
        all.into_iter().map(Some).collect();
    let mut done: Vec<Option<T>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        for (slot, out) in pending.iter_mut().zip(&mut done) {
            if let Some(future) = slot
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                (*slot, *out) = (None, Some(value));
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(done.iter_mut().filter_map(Option::take).collect())
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}
