//! Heartbeat and xff of a retention class, against rows that are made of all samples at once by
//! the definitions of `rrdcreate`: growth over a silence longer than the heartbeat is unknown, and
//! a row is when more than its share of samples is missing.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::seam::{ManualClock, RowSegment, Segment};
use noroshi_model::{
    Batch, Clock, Labels, Matcher, Sample, Select, SeriesSource, Timestamp, UNKNOWN, is_unknown,
};
use noroshi_store::{ArchiveSpec, RetentionClass, Store, StoreConfig};

/// A multiple of all steps.
const START: i64 = 1_790_025_600;
const INTERVAL: i64 = 10;
const HEARTBEAT: i64 = 30;
const XFF: f64 = 0.25;

fn config() -> StoreConfig {
    let spec = |step, rows| ArchiveSpec { step: Duration::from_secs(step), rows };
    let class = RetentionClass {
        archives: vec![spec(10, 10_000), spec(60, 10_000), spec(300, 10_000)],
        unknown_share_max: XFF,
        heartbeat: Some(Duration::from_secs(HEARTBEAT as u64)),
        ..RetentionClass::default()
    };
    StoreConfig { classes: vec![class], commit_interval: Duration::ZERO, ..StoreConfig::default() }
}

/// Samples of 14 hours, of which one in seven is missing, and now and then some minutes.
fn samples() -> BTreeMap<i64, f64> {
    let mut state = 7_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 33
    };
    let (mut all, mut silent_until) = (BTreeMap::new(), 0);
    for step in 1..5000 {
        if random() % 400 == 0 {
            silent_until = step + 1 + (random() % 60) as i64;
        }
        if step > silent_until && random() % 7 > 0 {
            all.insert(START + step * INTERVAL, (step * 5 + (random() % 5) as i64) as f64);
        }
    }
    all
}

fn naive_rows(all: &BTreeMap<i64, f64>, step: i64, is_counter: bool) -> RowSegment {
    let mut by_end: BTreeMap<i64, (Vec<f64>, f64)> = BTreeMap::new();
    let mut previous = None::<(i64, f64)>;
    for (&at, &value) in all {
        let row = by_end.entry((at + step - 1).div_euclid(step) * step).or_default();
        row.0.push(value);
        if let Some((before, count)) = previous.filter(|(before, _)| at - before <= HEARTBEAT) {
            assert!(before < at);
            row.1 += value - count;
        }
        previous = Some((at, value));
    }
    let mut rows = RowSegment { step: step * 1000, ..RowSegment::default() };
    for (end, (values, grown)) in by_end {
        let expected = step / INTERVAL;
        let missing = expected - values.len() as i64;
        let is_known = missing as f64 <= XFF * expected as f64;
        let known = |value: f64| if is_known { value } else { UNKNOWN };
        rows.at.push(end * 1000);
        rows.min.push(known(values.iter().copied().fold(f64::MAX, f64::min)));
        rows.max.push(known(values.iter().copied().fold(f64::MIN, f64::max)));
        rows.sum.push(known(values.iter().sum()));
        rows.last.push(known(values[values.len() - 1]));
        rows.count.push(if is_known { values.len() as f64 } else { 0.0 });
        if is_counter {
            rows.increase.push(known(grown));
        }
    }
    rows
}

fn selected(store: &Store, name: &str, step: i64) -> Vec<Segment> {
    let request = Select {
        matchers: vec![Matcher::equal("__name__", name)],
        after: Timestamp::from_secs(START),
        until: Timestamp::from_secs(START + 50_100),
        step: Duration::from_secs(step as u64),
        window: Duration::from_secs(step as u64),
        samples_max: 1_000_000,
    };
    store.select(&request).unwrap().pop().unwrap().segments
}

fn compare(name: &str, rows: &RowSegment, naive: &RowSegment) {
    // The row in progress is given as samples.
    let length = rows.at.len();
    assert!(length + 1 >= naive.at.len(), "{name}: {length} of {}", naive.at.len());
    let columns = [
        (&rows.min, &naive.min),
        (&rows.max, &naive.max),
        (&rows.sum, &naive.sum),
        (&rows.last, &naive.last),
        (&rows.count, &naive.count),
        (&rows.increase, &naive.increase),
    ];
    assert_eq!(rows.at, naive.at[..length]);
    for (place, (got, expected)) in columns.into_iter().enumerate() {
        for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
            let is_same = got == expected || is_unknown(*got) && is_unknown(*expected);
            assert!(is_same, "{name}, column {place}, row {index}: {got} {expected}");
        }
    }
    let unknown = rows.last.iter().filter(|last| is_unknown(**last)).count();
    assert!(unknown > length / 20 && unknown < length, "{unknown} of {length} rows are unknown");
}

#[test]
fn rows_are_those_of_rrdtools_definitions() {
    let directory = tempfile::tempdir().unwrap();
    let now = Timestamp::from_secs(START + 50_100);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now));
    let (store, _) = Store::open(directory.path(), config(), Arc::clone(&clock)).unwrap();
    let all = samples();
    for name in ["gauge", "counted_total"] {
        let labels = Labels::new([("__name__", name)]);
        let sample =
            |(&at, &value)| Sample { labels: labels.clone(), at: Timestamp::from_secs(at), value };
        let batch = Batch {
            samples: all.iter().map(sample).collect(),
            interval: Some(Duration::from_secs(INTERVAL as u64)),
            ..Batch::new()
        };
        store.submit_blocking(batch).unwrap();
    }
    for name in ["gauge", "counted_total"] {
        for step in [60, 300] {
            let segments = selected(&store, name, step * 2);
            let Segment::Rows(rows) = &segments[0] else { panic!("{segments:?}") };
            compare(name, rows, &naive_rows(&all, step, name == "counted_total"));
        }
    }
    // A silence of samples is unknown when it has lasted for the heartbeat, until the next one.
    let segments = selected(&store, "gauge", 0);
    let Segment::Raw(raw) = &segments[0] else { panic!("{segments:?}") };
    let moments: Vec<i64> = all.keys().copied().collect();
    let silences: Vec<i64> = moments
        .windows(2)
        .filter(|pair| pair[1] - pair[0] > HEARTBEAT)
        .map(|pair| (pair[0] + HEARTBEAT) * 1000)
        .chain([(moments[moments.len() - 1] + HEARTBEAT) * 1000])
        .collect();
    let unknown = raw.at.iter().zip(&raw.value).filter(|(_, value)| is_unknown(**value));
    assert_eq!(unknown.map(|(at, _)| *at).collect::<Vec<i64>>(), silences);
    assert!(silences.len() > 10, "{silences:?}");
    store.close();
    drop(store);
    // Programs that open the folder without the server's configuration keep to it.
    let (again, _) = Store::reopen(directory.path(), clock).unwrap();
    let segments = selected(&again, "counted_total", 120);
    let Segment::Rows(rows) = &segments[0] else { panic!("{segments:?}") };
    compare("counted_total", rows, &naive_rows(&all, 60, true));
    again.close();
}
