//! A simulated year of 1,000 series: bytes against plan, and reading from the archives.
//! `cargo bench -p noroshi-store --bench year [-- SERIES STEP_SECONDS]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints and may fail")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use noroshi_model::seam::{ManualClock, Segment};
use noroshi_model::{Batch, Clock, Labels, Matcher, Sample, Select, SeriesSource, Timestamp};
use noroshi_store::{Store, StoreConfig, plan};

const START: i64 = 1_790_025_600;
const YEAR: i64 = 365 * 86_400;

fn value(series: usize, step: i64) -> f64 {
    let noise = (step.wrapping_mul(2_654_435_761) >> 7) % 101 + series as i64 % 7;
    match series % 3 {
        0 => noise as f64 / 100.0,
        1 => (step * 1500 + noise) as f64,
        _ => (step / 1000) as f64,
    }
}

fn timed(what: &str, store: &Store, name: &str, (after, until): (i64, i64), step: i64) {
    let step = Duration::from_secs(step as u64);
    let request = Select {
        matchers: vec![Matcher::equal("__name__", name)],
        after: Timestamp::from_secs(after),
        until: Timestamp::from_secs(until),
        step,
        window: step,
        samples_max: usize::MAX,
    };
    let (mut best, mut points) = (Duration::MAX, 0);
    for _ in 0..5 {
        let before = Instant::now();
        let answer = store.select(&request).unwrap();
        best = best.min(before.elapsed());
        let count = |segment: &Segment| match segment {
            Segment::Raw(raw) => raw.at.len(),
            Segment::Rows(rows) => rows.at.len(),
        };
        points = answer.iter().flat_map(|series| &series.segments).map(count).sum();
    }
    println!("{what:44} {best:>10.2?}   {points} points");
}

fn main() {
    let numbers: Vec<i64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let count = numbers.first().copied().unwrap_or(1000) as usize;
    let step_seconds = numbers.get(1).copied().unwrap_or(300);
    let root = std::env::var("BENCH_DIR").unwrap_or_else(|_| "target".to_owned());
    let directory = tempfile::tempdir_in(root).unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let config = StoreConfig { disk_bytes_max: Some(1 << 40), ..StoreConfig::default() };
    let seen = Arc::clone(&clock) as Arc<dyn Clock>;
    let (store, _) = Store::open(directory.path(), config.clone(), seen).unwrap();
    let names: Vec<String> = (0..count).map(|series| format!("metric{series}")).collect();
    let labels: Vec<Labels> = names
        .iter()
        .enumerate()
        .map(|(series, name)| {
            let name = if series % 3 == 1 { format!("{name}_total") } else { name.clone() };
            Labels::new([("__name__", name.as_str()), ("instance", "a")])
        })
        .collect();
    let before = Instant::now();
    let steps = YEAR / step_seconds;
    for first in (1..=steps).step_by(20) {
        let mut batch = Batch::new();
        for step in first..(first + 20).min(steps + 1) {
            let at = Timestamp::from_secs(START + step * step_seconds);
            clock.set(at);
            batch.samples.extend(labels.iter().enumerate().map(|(series, labels)| Sample {
                labels: labels.clone(),
                at,
                value: value(series, step),
            }));
        }
        store.submit_blocking(batch).unwrap();
    }
    let samples = steps * count as i64;
    println!("{samples} samples in {:.1?}", before.elapsed());
    let planned = plan(&config, count as u64);
    for (ring, planned) in store.stats().rings.iter().zip(&planned.archives) {
        let step = ring.step.as_secs();
        println!("step {step:>5} s: {:>12} bytes of {:>12} planned", ring.bytes, planned.bytes);
    }
    let end = START + steps * step_seconds;
    timed("one gauge over a year, rows of an hour", &store, "metric0", (end - YEAR, end), 43_200);
    timed("one counter over a year", &store, "metric1_total", (end - YEAR, end), 43_200);
    timed(
        "one gauge, a day eleven months ago",
        &store,
        "metric3",
        (end - YEAR + 2_592_000, end - YEAR + 2_678_400),
        7200,
    );
    timed("one gauge over a quarter, rows of 5 min", &store, "metric0", (end - YEAR / 4, end), 600);
    timed("one gauge over two days, samples", &store, "metric0", (end - 172_700, end), 0);
}
