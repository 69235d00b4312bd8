//! Typical queries over series in memory: `cargo bench -p noroshi-expr`.
//!
//! Prints the best and the median of many runs in milliseconds. What the source needs to copy its
//! samples is part of the time, and is printed alone as well.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::time::{Duration, Instant};

use noroshi_expr::{Engine, MemorySeries, parse};
use noroshi_model::seam::{RowSegment, Segment};
use noroshi_model::{Labels, Matcher, Select, SeriesData, SeriesSource, Timestamp};

const SERIES: usize = 1_000;
const SAMPLES: i64 = 360;
const STEP_SECONDS: i64 = 10;
const RUNS: usize = 31;

/// What is asked, over which step.
const QUERIES: [(&str, u64); 12] = [
    ("avg(rate(x[5m]))", 15),
    ("avg(rate(x[5m]))", 60),
    ("sum by (job) (rate(x[5m]))", 15),
    ("x", 15),
    ("topk(5, rate(x[5m]))", 15),
    ("x / on(instance, job) x > 0.5", 15),
    ("sum(x) by (job) / on(job) count(x) by (job)", 15),
    ("max_over_time(x[30m])", 15),
    ("avg_over_time(x[30m])", 15),
    ("quantile_over_time(0.9, x[30m])", 60),
    ("quantile(0.9, rate(x[5m]))", 15),
    ("predict_linear(x[30m], 3600)", 60),
];

fn main() {
    let source = source();
    let engine = Engine::default();
    let end = Timestamp::from_secs(SAMPLES * STEP_SECONDS);
    let start = Timestamp::from_secs(0);
    println!("{SERIES} series, {SAMPLES} samples each, over one hour; milliseconds");
    println!("{:>8} {:>8}  query, step in seconds", "best", "median");
    let request = Select {
        matchers: vec![Matcher::equal("__name__", "x")],
        after: start,
        until: end,
        step: Duration::ZERO,
        window: Duration::from_mins(5),
        samples_max: usize::MAX,
    };
    report("(copying the samples)", 0, || source.select(&request).map(|found| found.len()).is_ok());
    let day = 86_400;
    let year = Timestamp::from_secs(365 * day);
    for query in ["avg_over_time(year[1d])", "rate(year[1d])", "year"] {
        let Ok(expr) = parse(query) else { continue };
        let step_of = Duration::from_secs(day.unsigned_abs());
        let span = (Timestamp::from_secs(day), year);
        let of_year = |query: &str| format!("{query}: one series, a year of rows of 1 h");
        report(&of_year(query), day.unsigned_abs(), || {
            engine.range(&source, &expr, span, step_of).is_ok()
        });
    }
    for (query, step) in QUERIES {
        let Ok(expr) = parse(query) else { continue };
        let step_of = Duration::from_secs(step);
        report(query, step, || engine.range(&source, &expr, (start, end), step_of).is_ok());
    }
}

fn report(what: &str, step: u64, run: impl Fn() -> bool) {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let started = Instant::now();
            assert!(run(), "{what} failed");
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{:>8.2} {:>8.2}  {what}, {step}", times[0], times[RUNS / 2]);
}

/// Counters that grow unevenly, one in ten with a reset.
fn source() -> MemorySeries {
    let mut source = MemorySeries::new();
    for index in 0..SERIES {
        let labels = Labels::new([
            ("__name__", "x".to_owned()),
            ("instance", format!("host{index:04}:9100")),
            ("job", format!("job{}", index % 10)),
            ("datacentre", "zurich".to_owned()),
        ]);
        let mut value = index as f64;
        let samples = (0..=SAMPLES).map(|sample| {
            value += ((sample * 7 + index as i64 * 13) % 17) as f64;
            if index % 10 == 0 && sample == 180 {
                value = 0.0;
            }
            (Timestamp::from_secs(sample * STEP_SECONDS), value)
        });
        source.add(&labels, samples);
    }
    source.insert(SeriesData {
        labels: Labels::new([("__name__", "year")]),
        segments: vec![Segment::Rows(rows_of_a_year())],
    });
    source
}

fn rows_of_a_year() -> RowSegment {
    let hours = 365 * 24;
    let column = |of: fn(f64) -> f64| (1..=hours).map(|hour| of(f64::from(hour))).collect();
    RowSegment {
        step: 3_600_000,
        at: (1..=i64::from(hours)).map(|hour| hour * 3_600_000).collect(),
        min: column(|hour| hour - 1.0),
        max: column(|hour| hour),
        sum: column(|hour| 360.0 * (hour - 0.5)),
        last: column(|hour| hour),
        count: column(|_| 360.0),
        increase: column(|_| 1.0),
    }
}
