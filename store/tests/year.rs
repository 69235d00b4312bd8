//! A year in compressed time: the rings stay within their plan, and what was short is still known.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::seam::{ManualClock, Segment};
use noroshi_model::{
    Batch, Clock, Labels, Matcher, Sample, Select, SeriesData, SeriesSource, Timestamp,
};
use noroshi_store::{Store, StoreConfig, plan};

const START: i64 = 1_790_025_600;
const DAY: i64 = 86_400;
const SERIES: usize = 10;
/// Steps of five minutes in 400 days.
const STEPS: i64 = 400 * 288;
/// When the peak was: a hundred days after the start, 300 days before the end.
const PEAK: i64 = 100 * 288 + 7;

fn value(series: usize, step: i64) -> f64 {
    if step == PEAK && series == 3 {
        return 987_654.25;
    }
    ((step * 7919 + series as i64 * 104_729) % 10_007) as f64 / 100.0
}

fn rows(store: &Store, name: &str, from: i64, to: i64, step: i64) -> Vec<SeriesData> {
    let step = Duration::from_secs(step as u64);
    let request = Select {
        matchers: vec![Matcher::equal("__name__", "x"), Matcher::equal("series", name)],
        after: Timestamp::from_secs(from),
        until: Timestamp::from_secs(to),
        step,
        window: step,
        samples_max: 10_000_000,
    };
    store.select(&request).unwrap()
}

fn ring_bytes(directory: &Path) -> u64 {
    let rings = std::fs::read_dir(directory.join("rings")).unwrap().flatten();
    rings.map(|entry| entry.metadata().unwrap().len()).sum()
}

#[allow(clippy::too_many_lines, reason = "one life of a store, from one end to the other")]
#[test]
fn a_year_stays_within_its_plan_and_keeps_the_peak_of_one_sample() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
    let config = StoreConfig {
        commit_interval: Duration::ZERO,
        forget_grace: Duration::ZERO,
        ..StoreConfig::default()
    };
    let clock_seen = Arc::clone(&clock) as Arc<dyn Clock>;
    let (store, _) = Store::open(directory.path(), config.clone(), clock_seen).unwrap();
    let names: Vec<String> = (0..SERIES).map(|series| series.to_string()).collect();
    let labels: Vec<Labels> =
        names.iter().map(|name| Labels::new([("__name__", "x"), ("series", name)])).collect();
    for first in (1..=STEPS).step_by(64) {
        let last = (first + 63).min(STEPS);
        clock.set(Timestamp::from_secs(START + last * 300));
        let mut batch = Batch::new();
        for step in first..=last {
            let at = Timestamp::from_secs(START + step * 300);
            let all = labels.iter().enumerate();
            batch.samples.extend(all.map(|(series, labels)| Sample {
                labels: labels.clone(),
                at,
                value: value(series, step),
            }));
        }
        assert_eq!(
            store.submit_blocking(batch).unwrap().stored,
            SERIES * (last - first + 1) as usize
        );
    }
    let end = START + STEPS * 300;

    // The rings have the bytes that were planned, or fewer, and had to drop nothing early.
    let planned = plan(&config, SERIES as u64);
    let stats = store.stats();
    for (ring, planned) in stats.rings.iter().zip(&planned.archives) {
        assert!(ring.bytes <= planned.bytes + 4096, "{ring:?} {planned:?}");
    }
    let rings: u64 = planned.archives.iter().map(|archive| archive.bytes).sum();
    assert!(ring_bytes(directory.path()) <= rings + 4 * 4096);
    assert_eq!(stats.overwritten_early, 0);

    // The year in steps of half a day: rows of an hour know the peak of one sample.
    let answer = rows(&store, "3", end - 365 * DAY, end, DAY / 2);
    let Segment::Rows(year) = &answer[0].segments[0] else { panic!("samples") };
    assert_eq!(year.step, 3_600_000);
    let greatest = year.max.iter().copied().fold(0.0, f64::max);
    assert_eq!(greatest, 987_654.25);
    let at = year.max.iter().position(|max| *max == greatest).unwrap();
    let hour_of_peak = (START + PEAK * 300 + 3599) / 3600 * 3600;
    assert_eq!(year.at[at], hour_of_peak * 1000);
    // Every hour of the year is there, with its twelve samples.
    assert_eq!(year.at.len(), 365 * 24);
    assert!(year.count.iter().all(|count| *count == 12.0));
    // And is what the samples say.
    for (index, end) in year.at.iter().enumerate().step_by(97) {
        let last = (end / 1000 - START) / 300;
        let within: Vec<f64> = (last - 11..=last).map(|step| value(3, step)).collect();
        let sum: f64 = within.iter().sum();
        assert!((year.sum[index] - sum).abs() < 1e-6, "{end}: {} {sum}", year.sum[index]);
        assert_eq!(year.last[index], value(3, last));
    }

    // Finer archives answer for the time that they reach back.
    let answer = rows(&store, "5", end - 60 * DAY, end, 600);
    let Segment::Rows(quarter) = &answer[0].segments[0] else { panic!("samples") };
    assert_eq!((quarter.step, quarter.at.len()), (300_000, 60 * 288));
    let answer = rows(&store, "5", end - DAY, end, 0);
    let Segment::Raw(raw) = &answer[0].segments[0] else { panic!("rows") };
    assert_eq!(raw.at.len(), 288);

    // A series that is silent for longer than the longest archive is forgotten.
    let gone = Labels::new([("__name__", "x"), ("series", "new")]);
    clock.set(Timestamp::from_secs(end + 1200 * DAY));
    let at = Timestamp::from_secs(end + 1200 * DAY);
    let batch = Batch { samples: vec![Sample { labels: gone, at, value: 1.0 }], ..Batch::new() };
    store.submit_blocking(batch).unwrap();
    assert!(store.checkpoint());
    assert_eq!(store.stats().series, 1);
    assert_eq!(store.label_values("series", &[], 99).unwrap(), ["new"]);
    store.close();
    drop(store);
    let (store, _) = Store::open(directory.path(), config, clock).unwrap();
    assert_eq!(store.stats().series, 1);
}
