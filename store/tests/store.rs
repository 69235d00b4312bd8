//! The store through its public face: what goes in comes out, also after a restart.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::seam::{Accepted, ManualClock, Segment};
use noroshi_model::{
    Batch, Clock, Kind, Labels, Matcher, MetricMeta, RecordBatch, Records, Sample, Select,
    SeriesSource, Space, Timestamp, UNKNOWN, Width,
};
use noroshi_store::{ArchiveSpec, Recovery, RetentionClass, Store, StoreConfig};

const START: i64 = 1_790_000_000;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_secs(START)))
}

fn open(directory: &Path, clock: &Arc<ManualClock>) -> (Arc<Store>, Recovery) {
    let config = StoreConfig { commit_interval: Duration::ZERO, ..StoreConfig::default() };
    Store::open(directory, config, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
}

fn labels(name: &str, instance: &str) -> Labels {
    Labels::new([("__name__", name), ("instance", instance), ("job", "test")])
}

fn batch(samples: impl IntoIterator<Item = (Labels, i64, f64)>) -> Batch {
    let sample = |(labels, at, value)| Sample { labels, at: Timestamp::from_secs(at), value };
    Batch { samples: samples.into_iter().map(sample).collect(), ..Batch::new() }
}

fn select(name: &str, after: i64, until: i64) -> Select {
    Select {
        matchers: vec![Matcher::equal("__name__", name)],
        after: Timestamp::from_secs(after),
        until: Timestamp::from_secs(until),
        step: Duration::ZERO,
        window: Duration::ZERO,
        samples_max: 1_000_000,
    }
}

/// Raw samples of the first series of a name, in seconds.
fn raw(store: &Store, name: &str, after: i64, until: i64) -> Vec<(i64, f64)> {
    let answer = store.select(&select(name, after, until)).unwrap();
    let mut out = Vec::new();
    for segment in answer.iter().take(1).flat_map(|series| &series.segments) {
        let Segment::Raw(raw) = segment else { panic!("rows where samples were asked for") };
        out.extend(raw.at.iter().map(|at| at / 1000).zip(raw.value.iter().copied()));
    }
    out
}

#[test]
fn samples_come_back_before_and_after_a_restart() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
    let (store, recovery) = open(directory.path(), &clock);
    assert!(recovery.is_new);
    let mut expected = Vec::new();
    for step in 0..2000 {
        let at = START + step * 10;
        clock.set(Timestamp::from_secs(at));
        let value = (step * 37 % 101) as f64 / 100.0;
        let accepted = store.submit_blocking(batch([(labels("load", "a"), at, value)])).unwrap();
        assert_eq!(accepted, Accepted { stored: 1, ..Accepted::default() });
        expected.push((at, value));
    }
    assert_eq!(raw(&store, "load", 0, i64::MAX / 2000), expected);
    assert_eq!(raw(&store, "load", START + 30, START + 50), expected[4..6]);
    store.close();
    drop(store);
    let (store, recovery) = open(directory.path(), &clock);
    assert!(!recovery.is_new);
    assert_eq!((recovery.series, recovery.damaged, recovery.journal_samples), (1, 0, 0));
    assert_eq!(raw(&store, "load", 0, i64::MAX / 2000), expected);
}

#[test]
fn matchers_find_series() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
    let (store, _) = open(directory.path(), &clock);
    let all = ["web1", "web2", "db1"].map(|instance| (labels("up", instance), START, 1.0));
    store.submit_blocking(batch(all)).unwrap();
    store.submit_blocking(batch([(labels("load", "web1"), START, 0.5)])).unwrap();
    let found = |text: &[(&str, noroshi_model::MatcherOp, &str)]| -> Vec<String> {
        let matchers: Vec<Matcher> =
            text.iter().map(|(name, op, value)| Matcher::new(name, *op, value).unwrap()).collect();
        let (after, until) = (Timestamp::from_secs(START - 10), Timestamp::from_secs(START));
        let series = store.series(&matchers, after, until, 100).unwrap();
        series.iter().map(|l| format!("{}:{}", l.name(), l.get("instance").unwrap())).collect()
    };
    use noroshi_model::MatcherOp::{Equal, Match, NotEqual, NotMatch};
    assert_eq!(found(&[("__name__", Equal, "up")]), ["up:db1", "up:web1", "up:web2"]);
    assert_eq!(found(&[("instance", Match, "web.")]), ["load:web1", "up:web1", "up:web2"]);
    let up = ("__name__", Equal, "up");
    assert_eq!(found(&[up, ("instance", NotMatch, "web.*")]), ["up:db1"]);
    assert_eq!(found(&[up, ("instance", NotEqual, "db1")]), ["up:web1", "up:web2"]);
    assert_eq!(found(&[up, ("rack", Equal, "")]).len(), 3);
    assert_eq!(found(&[up, ("rack", NotEqual, "")]).len(), 0);
    let everything = [Matcher::new("rack", Equal, "").unwrap()];
    assert!(store.series(&everything, Timestamp::MIN, Timestamp::MAX, 1).is_err());
    assert_eq!(store.label_names(&[], 9).unwrap(), ["__name__", "instance", "job"]);
    assert_eq!(store.label_values("instance", &[], 2).unwrap(), ["db1", "web1"]);
    let load = [Matcher::equal("__name__", "load")];
    assert_eq!(store.label_values("instance", &load, 9).unwrap(), ["web1"]);
    // In a span in which nothing came there is nothing.
    let at = |from: i64, to: i64| (Timestamp::from_secs(from), Timestamp::from_secs(to));
    let (now, later) = (at(START - 10, START), at(START, START + 10));
    let values = |matchers, span| store.label_values_within("instance", matchers, span, 9).unwrap();
    assert_eq!(values(&[], now), ["db1", "web1", "web2"]);
    assert_eq!((values(&load, now), values(&[], later)), (vec!["web1".to_owned()], vec![]));
    let names = |span| store.label_names_within(&[], span, 2).unwrap();
    assert_eq!((names(now).join(","), names(later)), ("__name__,instance".to_owned(), vec![]));
    assert_eq!(store.last_seen(&load).unwrap(), Some(Timestamp::from_secs(START)));
    assert_eq!(store.last_seen(&[Matcher::equal("__name__", "no")]).unwrap(), None);
}

#[test]
fn late_and_repeated_samples_land_in_their_place_and_in_the_rows() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
    let (store, _) = open(directory.path(), &clock);
    // Four hours at 10 s; the second hour comes last, in one batch and twice.
    let value = |step: i64| (step * 17 % 1000) as f64;
    let sample = |step: i64| (labels("x", "a"), START + step * 10, value(step));
    let is_late = |step: i64| (360..720).contains(&step);
    for step in (1..=1440).filter(|step| !is_late(*step)) {
        clock.set(Timestamp::from_secs(START + step * 10));
        store.submit_blocking(batch([sample(step)])).unwrap();
    }
    for _ in 0..2 {
        let late = batch((360..720).rev().map(sample));
        assert_eq!(store.submit_blocking(late).unwrap().stored, 360);
    }
    let expected: Vec<(i64, f64)> = (1..=1440).map(|s| (START + s * 10, value(s))).collect();
    let check = |store: &Store| {
        assert_eq!(raw(store, "x", START, START + 14_400), expected);
        let request = Select {
            step: Duration::from_mins(2),
            window: Duration::from_mins(2),
            ..select("x", START, START + 14_400)
        };
        let answer = store.select(&request).unwrap();
        let Segment::Rows(rows) = &answer[0].segments[0] else { panic!("samples") };
        assert_eq!(rows.step, 60_000);
        for (index, end) in rows.at.iter().enumerate() {
            let within = |(at, _): &&(i64, f64)| *at * 1000 > end - 60_000 && *at * 1000 <= *end;
            let values: Vec<f64> =
                expected.iter().filter(within).map(|(_, value)| *value).collect();
            assert_eq!(rows.count[index], values.len() as f64, "row {index}");
            assert_eq!(rows.sum[index], values.iter().sum::<f64>(), "row {index}");
            let (min, max) = (
                values.iter().copied().fold(f64::MAX, f64::min),
                values.iter().copied().fold(0.0, f64::max),
            );
            assert_eq!((rows.min[index], rows.max[index]), (min, max), "row {index}");
            assert_eq!(rows.last[index], values[values.len() - 1]);
        }
        assert!(rows.at.len() >= 238, "{} rows", rows.at.len());
    };
    check(&store);
    assert!(store.checkpoint());
    check(&store);
    store.close();
    drop(store);
    check(&open(directory.path(), &clock).0);
}

#[test]
fn counters_know_wraps_and_restarts_in_samples_and_rows() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
    let (store, _) = open(directory.path(), &clock);
    let two32 = 4_294_967_296.0;
    let kind = Kind::Counter(Width::U32);
    let meta = MetricMeta { name: "octets".into(), kind, unit: "bytes".into(), help: "h".into() };
    // 100 a sample; wraps before the 31st, restarts before the 601st and counts from 0 again.
    let mut sum = 0.0;
    for step in 1..=1300_i64 {
        let at = START + step * 10;
        clock.set(Timestamp::from_secs(at));
        let counted = if step <= 600 {
            two32 - 3000.0 + step as f64 * 100.0
        } else {
            (step - 600) as f64 * 100.0
        };
        let started = if step <= 600 { START - 1000 } else { START + 6005 };
        let mut one = batch([(labels("octets", "a"), at, counted % two32)]);
        one.metas = vec![meta.clone()];
        one.started_at = Some(Timestamp::from_secs(started));
        store.submit_blocking(one).unwrap();
        sum += if step == 1 { 0.0 } else { 100.0 };
    }
    let request = Select {
        step: Duration::from_mins(10),
        window: Duration::from_mins(10),
        ..select("octets", START, START + 13_000)
    };
    let answer = store.select(&request).unwrap();
    let Segment::Rows(rows) = &answer[0].segments[0] else { panic!("samples") };
    assert_eq!(rows.step, 300_000);
    // START + 13,000 is 1,790,013,000 = 300 x 5,966,710: the rows end with the last sample.
    assert_eq!(rows.increase.iter().sum::<f64>(), sum);
    let wrap = raw(&store, "octets", START + 280, START + 330);
    assert!(wrap.windows(2).all(|pair| pair[1].1 - pair[0].1 == 100.0), "{wrap:?}");
    // The mark stands at the first sample after the restart, before a stop and after it.
    let marks = |store: &Store, after, until| -> Vec<(i64, i64)> {
        let span = (Timestamp::from_secs(after), Timestamp::from_secs(until));
        let found = store.restarts(&[Matcher::equal("__name__", "octets")], span, 10).unwrap();
        found.iter().map(|one| (one.at.as_millis(), one.started_at.as_millis())).collect()
    };
    let mark = ((START + 6010) * 1000, (START + 6005) * 1000);
    assert_eq!(marks(&store, 0, START + 13_000), [mark]);
    assert_eq!(marks(&store, START + 6010, START + 13_000), []);
    store.close();
    drop(store);
    let (store, _) = open(directory.path(), &clock);
    assert_eq!(marks(&store, 0, START + 13_000), [mark]);
    store.close();
    drop(store);
    // Its samples are gone: rows tell it, for as long as they are kept.
    let samples = directory.path().join("rings/default-10000.ring");
    let length = std::fs::metadata(&samples).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(&samples).unwrap();
    file.set_len(4096).unwrap();
    file.set_len(length).unwrap();
    let (store, _) = open(directory.path(), &clock);
    assert_eq!(marks(&store, 0, START + 13_000), [mark]);
}

#[test]
fn samples_beyond_the_ring_and_from_the_future_are_counted_not_stored() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
    let (store, _) = open(directory.path(), &clock);
    let x = |at| (labels("x", "a"), at, 1.0);
    let accepted = store
        .submit_blocking(batch([x(START), x(START - 172_800), x(START + 601), x(START + 600)]))
        .unwrap();
    assert_eq!((accepted.stored, accepted.too_old, accepted.in_future), (2, 1, 1));
    let stats = store.stats();
    assert_eq!((stats.samples, stats.too_old, stats.in_future), (2, 1, 1));
}

#[test]
fn series_beyond_the_budget_are_refused_and_the_others_go_on() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
    let archives = vec![ArchiveSpec { step: Duration::from_secs(10), rows: 100_000 }];
    let class = RetentionClass { archives, ..RetentionClass::default() };
    let mut config = StoreConfig { classes: vec![class], ..StoreConfig::default() };
    config.disk_bytes_max = Some(noroshi_store::plan(&config, 13).bytes);
    let (store, _) = Store::open(directory.path(), config, clock).unwrap();
    let all = (0..20).map(|i| (labels("x", &format!("host{i}")), START, 1.0));
    let accepted = store.submit_blocking(batch(all.clone())).unwrap();
    assert_eq!(accepted.stored + accepted.over_budget, 20);
    // 150,000 bytes a series: 13 series are 1.9 MB in 2 extents and one to write, 14 need one more.
    assert_eq!(accepted.stored, 13, "{accepted:?}");
    let again = store.submit_blocking(batch(all.map(|(l, at, v)| (l, at + 10, v)))).unwrap();
    assert_eq!(again, accepted);
}

#[test]
fn an_unknown_sample_is_kept_as_unknown() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
    let (store, _) = open(directory.path(), &clock);
    let x = |at, value| (labels("x", "a"), at, value);
    store
        .submit_blocking(batch([x(START - 2, 1.0), x(START - 1, UNKNOWN), x(START, 2.0)]))
        .unwrap();
    let bits: Vec<u64> = raw(&store, "x", 0, START).iter().map(|p| p.1.to_bits()).collect();
    assert_eq!(bits, [1.0, UNKNOWN, 2.0].map(f64::to_bits));
}

#[test]
fn records_are_there_after_a_restart() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
    let (store, _) = open(directory.path(), &clock);
    let mut changes = RecordBatch::new();
    changes.put(Space::States, "web1", "up");
    changes.put(Space::Events, 1_u64.to_be_bytes(), vec![7; 300_000]);
    store.commit(changes).unwrap();
    let mut changes = RecordBatch::new();
    changes.put(Space::States, "web2", "down");
    changes.remove(Space::States, "web1");
    store.commit(changes).unwrap();
    store.close();
    drop(store);
    let (store, _) = open(directory.path(), &clock);
    assert_eq!(store.get(Space::States, b"web1").unwrap(), None);
    assert_eq!(store.get(Space::States, b"web2").unwrap(), Some(b"down".to_vec()));
    assert_eq!(store.scan(Space::Events, b"", None, 9).unwrap()[0].1, vec![7; 300_000]);
}

#[test]
fn a_clock_that_is_years_ahead_for_a_while_costs_nothing() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
    let (store, _) = open(directory.path(), &clock);
    let sample = |at| (labels("x", "a"), at, (at % 1000) as f64);
    store.submit_blocking(batch((1..=600).map(|step| sample(START - 6000 + step * 10)))).unwrap();
    store.submit_blocking(batch([(labels("y", "quiet"), START, 1.0)])).unwrap();
    // Ten years ahead: some samples and a checkpoint, then the clock comes back.
    let ahead = START + 3650 * 86_400;
    clock.set(Timestamp::from_secs(ahead));
    store.submit_blocking(batch((1..=100).map(|step| sample(ahead - 1000 + step * 10)))).unwrap();
    assert!(store.checkpoint());
    clock.set(Timestamp::from_secs(START + 6000));
    store.submit_blocking(batch((1..=600).map(|step| sample(START + step * 10)))).unwrap();
    assert_eq!(store.stats().series, 2);
    let expected: Vec<(i64, f64)> =
        (-599..=600).map(|step| START + step * 10).map(|at| (at, (at % 1000) as f64)).collect();
    assert_eq!(raw(&store, "x", START - 6000, START + 6000), expected);
    assert_eq!(raw(&store, "y", START - 6000, START + 6000), [(START, 1.0)]);
    assert_eq!(store.stats().clock_rewinds, 1);
    let x = [Matcher::equal("__name__", "x")];
    assert_eq!(store.last_seen(&x).unwrap(), Some(Timestamp::from_secs(START + 6000)));
}

#[test]
fn a_store_is_open_once() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
    let (_store, _) = open(directory.path(), &clock);
    let second = Store::open(directory.path(), StoreConfig::default(), clock);
    assert!(matches!(second, Err(noroshi_store::OpenError::Locked { .. })));
}

#[test]
fn a_window_shorter_than_the_rows_that_are_left_gets_the_row_that_ended_last() {
    let (directory, clock) = (tempfile::tempdir().unwrap(), clock());
    let archive = |step, rows| ArchiveSpec { step: Duration::from_secs(step), rows };
    // Samples of one hour, rows of a minute of one day.
    let archives = vec![archive(10, 360), archive(60, 1440)];
    let class = RetentionClass { archives, ..RetentionClass::default() };
    let config = StoreConfig {
        classes: vec![class],
        commit_interval: Duration::ZERO,
        ..StoreConfig::default()
    };
    let (store, _) = Store::open(directory.path(), config, Arc::clone(&clock) as _).unwrap();
    // Four hours; a row ends at the border, and `gone` has its last sample in this row.
    let border = START + 3640;
    assert_eq!(border % 60, 0);
    for step in 1..=1440 {
        let at = START + step * 10;
        clock.set(Timestamp::from_secs(at));
        let gone = (at < border).then(|| (labels("gone", "a"), at, step as f64));
        let both = [(labels("x", "a"), at, step as f64)].into_iter().chain(gone);
        store.submit_blocking(batch(both)).unwrap();
    }
    let rows = |name: &str, after: i64, until: i64, window: u64| {
        let window = Duration::from_secs(window);
        let request = Select { window, ..select(name, after, until) };
        let answer = store.select(&request).unwrap();
        let mut found = Vec::new();
        for segment in answer.iter().flat_map(|series| &series.segments) {
            // Samples of the row that the end cuts may still be there.
            let Segment::Rows(rows) = segment else { continue };
            found.extend(rows.at.iter().map(|at| at / 1000 - border).zip(rows.last.clone()));
        }
        found
    };
    // The window of 20 s holds no end of a row: the 364th sample is the border's.
    assert_eq!(rows("x", border + 10, border + 30, 20), [(0, 364.0)]);
    assert_eq!(rows("x", border - 10, border + 10, 20), [(0, 364.0)]);
    // Two windows, 70 s apart.
    assert_eq!(rows("x", border + 10, border + 100, 20), [(0, 364.0), (60, 370.0)]);
    // Windows as long as the rows and longer do not reach back.
    assert_eq!(rows("x", border + 10, border + 70, 60), [(60, 370.0)]);
    assert_eq!(rows("x", border, border + 120, 120), [(60, 370.0), (120, 376.0)]);
    // Who ended inside the row is in it, and in none after it.
    assert_eq!(rows("gone", border + 10, border + 30, 20), [(0, 363.0)]);
    assert_eq!(rows("gone", border + 41, border + 61, 20), []);
    // Where samples are left, nothing reaches back.
    let end = START + 14_400;
    assert_eq!(raw(&store, "x", end - 20, end), [(end - 10, 1439.0), (end, 1440.0)]);
}
