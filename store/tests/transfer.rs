//! Copies of a running store, plain lines out and in, and files of `RRDtool`.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::seam::{ManualClock, RowSegment, Segment};
use noroshi_model::{
    Batch, Clock, Labels, Matcher, MatcherOp, RecordBatch, Records, Sample, Select, SeriesData,
    SeriesSource, Space, Timestamp, UNKNOWN,
};
use noroshi_store::{ArchiveSpec, BackupError, RetentionClass, Store, StoreConfig, restore};

const START: i64 = 1_790_025_600;

fn open(directory: &Path, now: i64) -> Arc<Store> {
    let spec = |step, rows| ArchiveSpec { step: Duration::from_secs(step), rows };
    // One hour of samples, a day of minutes, a month of five minutes, a year of hours.
    let archives = vec![spec(10, 360), spec(60, 1440), spec(300, 8640), spec(3600, 8760)];
    let config = StoreConfig {
        classes: vec![RetentionClass { archives, ..RetentionClass::default() }],
        commit_interval: Duration::ZERO,
        ..StoreConfig::default()
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(now)));
    Store::open(directory, config, clock as Arc<dyn Clock>).unwrap().0
}

fn samples(name: &str, from: i64, to: i64) -> Batch {
    let labels = Labels::new([("__name__", name), ("instance", "a")]);
    let value = |step: i64| match step % 50 {
        7 => UNKNOWN,
        8 => f64::INFINITY,
        rest => rest as f64 / 100.0,
    };
    let sample = |step: i64| Sample {
        labels: labels.clone(),
        at: Timestamp::from_secs(START + step * 10),
        value: value(step),
    };
    Batch { samples: (from..=to).map(sample).collect(), ..Batch::new() }
}

fn select(store: &Store, until: i64, step: u64) -> Vec<SeriesData> {
    let request = Select {
        matchers: vec![Matcher::new("__name__", MatcherOp::Match, ".+").unwrap()],
        after: Timestamp::from_secs(START),
        until: Timestamp::from_secs(until),
        step: Duration::from_secs(step),
        window: Duration::from_secs(step),
        samples_max: 1_000_000,
    };
    store.select(&request).unwrap()
}

#[test]
fn a_backup_of_a_running_store_is_a_store_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let now = START + 3600;
    let store = open(&folder.path().join("store"), now);
    store.submit_blocking(samples("x", 1, 300)).unwrap();
    let mut records = RecordBatch::new();
    records.put(Space::People, "ann", "hash");
    store.commit(records).unwrap();
    let target = folder.path().join("backup");
    let report = store.backup(&target).unwrap();
    assert!(report.files >= 4 && report.bytes > 0);
    // What comes later is not in it, and does not hurt it.
    store.submit_blocking(samples("x", 301, 360)).unwrap();
    assert!(store.checkpoint());
    assert!(matches!(store.backup(&target), Err(BackupError::NotEmpty { .. })));

    let again = folder.path().join("again");
    restore(&target, &again).unwrap();
    let copy = open(&again, now);
    let Segment::Raw(raw) = &select(&copy, now, 0)[0].segments[0] else { panic!("rows") };
    assert_eq!(raw.at.len(), 300);
    assert_eq!(copy.get(Space::People, b"ann").unwrap(), Some(b"hash".to_vec()));
    assert!(matches!(
        restore(folder.path(), &folder.path().join("no")),
        Err(BackupError::Foreign { .. })
    ));
}

#[test]
fn what_is_exported_as_lines_is_the_same_when_it_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let now = START + 3500;
    let store = open(&folder.path().join("store"), now);
    // With an interval, silences are marked for readers; they must not get into copies.
    let interval = Some(Duration::from_secs(2));
    store.submit_blocking(Batch { interval, ..samples("x", 1, 350) }).unwrap();
    store.submit_blocking(samples("y_total", 1, 350)).unwrap();
    let mut lines = Vec::new();
    let all = [Matcher::new("__name__", MatcherOp::Match, ".+").unwrap()];
    let report = store.export(&all, Timestamp::MIN, Timestamp::MAX, &mut lines).unwrap();
    assert_eq!((report.samples, report.lines), (700, 2));
    let text = String::from_utf8(lines.clone()).unwrap();
    assert!(text.contains("null") && text.contains("\"+Inf\""), "{text}");

    let other = open(&folder.path().join("other"), now);
    let taken = other.import(&mut lines.as_slice()).unwrap();
    assert_eq!((taken.samples, taken.refused), (700, 0));
    let mut again = Vec::new();
    other.export(&all, Timestamp::MIN, Timestamp::MAX, &mut again).unwrap();
    assert_eq!(String::from_utf8(again).unwrap(), text);
    let wrong =
        other.import(&mut "{\"labels\":{\"a\":\"b\"},\"at\":[1],\"value\":[]}\n".as_bytes());
    assert!(wrong.unwrap_err().to_string().contains("line 1"));
}

#[test]
fn old_samples_become_rows_when_they_are_imported() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("store"), START + 3500);
    store.submit_blocking(samples("x", 1, 350)).unwrap();
    let mut lines = Vec::new();
    let all = [Matcher::new("__name__", MatcherOp::Match, ".+").unwrap()];
    store.export(&all, Timestamp::MIN, Timestamp::MAX, &mut lines).unwrap();
    // A week later: neither samples nor minutes reach back so far.
    let later = open(&folder.path().join("later"), START + 7 * 86_400);
    let taken = later.import(&mut lines.as_slice()).unwrap();
    assert_eq!((taken.samples, taken.refused), (0, 0));
    let answer = select(&later, START + 4000, 600);
    let Segment::Rows(rows) = &answer[0].segments[0] else { panic!("{answer:?}") };
    // The twelfth is made of the minutes behind the last whole five.
    assert_eq!((rows.step, rows.at.len()), (300_000, 12));
    // The first five minutes: steps 1 to 30 with 7 unknown and 8 infinite.
    assert_eq!((rows.count[0], rows.min[0], rows.max[0]), (29.0, 0.01, f64::INFINITY));
    // The second: steps 31 to 60 are 31..=49, 0..=6, unknown, infinite, 9, 10.
    assert_eq!((rows.count[1], rows.min[1], rows.last[1]), (29.0, 0.0, 0.10));
}

/// Rows of one step of a data source.
fn rrd_rows(store: &Store, source: &str, step: u64) -> RowSegment {
    let request = Select {
        matchers: vec![Matcher::equal("ds", source)],
        after: Timestamp::from_secs(1_790_000_000),
        until: Timestamp::from_secs(1_790_014_400),
        step: Duration::from_secs(step * 2),
        window: Duration::from_secs(step * 2),
        samples_max: 1_000_000,
    };
    let answer = store.select(&request).unwrap();
    let rows = answer[0].segments.iter().find_map(|segment| match segment {
        Segment::Rows(rows) if rows.step == step as i64 * 1000 => Some(rows.clone()),
        _ => None,
    });
    rows.unwrap()
}

#[test]
fn a_file_of_rrdtool_keeps_the_rows_of_all_its_archives() {
    // Made by rrdtool 1.7: step 60; temp is 20.5 + i % 7, octets a counter of 100 a second, i from
    // 1 to 240; archives of 1, 5 (AVERAGE, MIN, MAX) and 60 points (AVERAGE, MAX).
    let dump = include_str!("rrdtool-dump.xml");
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), 1_790_014_400);
    let report = store.import_rrd(dump, &Labels::new([("instance", "old")])).unwrap();
    // For each of 2 sources: 30 + 24 + 10 rows.
    assert_eq!(report.rows, 128);
    assert!(store.checkpoint());
    let minutes = rrd_rows(&store, "temp", 60);
    // The last update is 1,790,014,400: the last whole minute ends 20 s before.
    assert_eq!(minutes.at.last(), Some(&1_790_014_380_000));
    let five = rrd_rows(&store, "temp", 300);
    assert_eq!(five.count.iter().copied().reduce(f64::max), Some(5.0));
    // Five of seven values in turn: the greatest is at least the fifth, the least at most the third.
    assert!(five.max.iter().all(|max| (24.0..=26.5).contains(max)), "{:?}", five.max);
    assert!(five.min.iter().all(|min| (20.5..=22.5).contains(min)), "{:?}", five.min);
    let hours = rrd_rows(&store, "octets", 3600);
    let mean = |i: usize| hours.sum[i] / hours.count[i];
    // A counter is a rate in an RRD: 100 a second.
    assert!((mean(hours.at.len() - 1) - 100.0).abs() < 1e-6);
    assert!(store.import_rrd("<rrd></rrd>", &Labels::empty()).is_err());
}

/// Rows as a reader sees them who asks for every sample: (end in seconds, average).
fn rows_seen(store: &Store, matcher: Matcher) -> Vec<(i64, f64)> {
    let request = Select {
        matchers: vec![matcher],
        after: Timestamp::MIN,
        until: Timestamp::MAX,
        step: Duration::ZERO,
        window: Duration::ZERO,
        samples_max: 1_000_000,
    };
    let mut seen = Vec::new();
    for segment in store.select(&request).unwrap().into_iter().flat_map(|series| series.segments) {
        match segment {
            Segment::Raw(raw) => {
                seen.extend(raw.at.iter().map(|at| at / 1000).zip(raw.value));
            }
            Segment::Rows(rows) => {
                let mean = rows.sum.iter().zip(&rows.count).map(|(sum, count)| sum / count);
                seen.extend(rows.at.iter().map(|at| at / 1000).zip(mean));
            }
        }
    }
    seen
}

/// A dump with one gauge, one archive of five minutes, and these values in its rows.
fn dump_of_five_minutes(last_update: i64, values: &[f64]) -> String {
    let row = |value: &f64| format!("<row><v>{value}</v></row>");
    let rows: String = values.iter().map(row).collect();
    format!(
        "<rrd><version>0003</version><step>300</step><lastupdate>{last_update}</lastupdate>\
         <ds><name>load</name><type>GAUGE</type></ds>\
         <rra><cf>AVERAGE</cf><pdp_per_row>1</pdp_per_row><database>{rows}</database></rra></rrd>"
    )
}

#[test]
fn imported_rows_are_seen_where_no_finer_archive_has_anything() {
    // Five minutes, up to now: neither the archive of samples nor that of minutes has them, and
    // both of these answer for the last day.
    let folder = tempfile::tempdir().unwrap();
    let now = START + 110 * 300;
    let store = open(folder.path(), now);
    let values: Vec<f64> = (0..110).map(|row| f64::from(row) / 4.0).collect();
    let dump = dump_of_five_minutes(now, &values);
    let report = store.import_rrd(&dump, &Labels::new([("instance", "old")])).unwrap();
    assert_eq!(report.rows, 110);
    let matcher = || Matcher::equal("ds", "load");
    let at = |row: i64| START + (row + 1) * 300;
    let expected: Vec<(i64, f64)> = (0..110).map(|row| (at(row), row as f64 / 4.0)).collect();
    assert_eq!(rows_seen(&store, matcher()), expected);
    drop(store);
    let store = open(folder.path(), now);
    assert_eq!(rows_seen(&store, matcher()), expected);
    // An export has them, and another store that takes it in has them too.
    let mut lines = Vec::new();
    let exported = store.export(&[], Timestamp::MIN, Timestamp::MAX, &mut lines).unwrap();
    assert_eq!((exported.rows, exported.samples), (110, 0));
    let other = open(&folder.path().join("other"), now);
    assert_eq!(other.import(&mut lines.as_slice()).unwrap().rows, 110);
    assert_eq!(rows_seen(&other, matcher()), expected);
}

#[test]
fn imported_rows_stand_before_the_samples_that_came_since() {
    let folder = tempfile::tempdir().unwrap();
    let now = START + 3600;
    let store = open(folder.path(), now);
    // The series has lived for the last ten minutes: steps 301 to 360 of ten seconds.
    let labels = Labels::new([("__name__", "rrd_value"), ("ds", "load"), ("instance", "old")]);
    let live = |from: i64, to: i64| {
        let sample = |step: i64| Sample {
            labels: labels.clone(),
            at: Timestamp::from_secs(START + step * 10),
            value: 1000.0,
        };
        Batch { samples: (from..=to).map(sample).collect(), ..Batch::new() }
    };
    store.submit_blocking(live(301, 360)).unwrap();
    let dump = dump_of_five_minutes(now, &[7.0; 12]);
    store.import_rrd(&dump, &Labels::new([("instance", "old")])).unwrap();
    let seen = rows_seen(&store, Matcher::equal("ds", "load"));
    // Ten rows of five minutes up to the first sample, then the samples.
    let rows: Vec<(i64, f64)> = (1..=10).map(|row| (START + row * 300, 7.0)).collect();
    assert_eq!(seen[..10], rows);
    assert_eq!(seen.len(), 10 + 60);
    assert!(seen[10..].iter().all(|(_, value)| *value == 1000.0), "{seen:?}");
    // Rows of five minutes: what the samples know counts more than what was imported, also where
    // the rows were not on disk yet.
    let five = select(&store, now, 600);
    let Segment::Rows(rows) = &five[0].segments[0] else { panic!("{five:?}") };
    assert_eq!(rows.step, 300_000);
    let expected: Vec<f64> = (0..12).map(|row| if row < 10 { 7.0 } else { 1000.0 }).collect();
    assert_eq!(rows.max, expected);
}

#[test]
fn an_imported_row_is_what_a_short_window_sees_until_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let now = START + 48 * 3600;
    let store = open(folder.path(), now);
    let dump = dump_of_five_minutes(now, &[5.0; 48]).replace("<step>300<", "<step>3600<");
    store.import_rrd(&dump, &Labels::empty()).unwrap();
    let look = |back: i64| {
        let until = now - back;
        let request = Select {
            matchers: vec![Matcher::equal("ds", "load")],
            after: Timestamp::from_secs(until - 300),
            until: Timestamp::from_secs(until),
            step: Duration::ZERO,
            window: Duration::from_mins(5),
            samples_max: 1000,
        };
        store.select(&request).unwrap().len()
    };
    // Two days ago there are minutes by plan, an hour ago samples: both are empty.
    for back in [0, 1800, 2000, 3599, 7199, 30 * 3600 + 1700] {
        assert_eq!(look(back), 1, "{back} s ago");
    }
    assert_eq!(look(49 * 3600), 0, "before the first row");
}

#[test]
fn every_archive_of_rrdtool_finds_its_place_and_rows_too_old_for_all_are_counted() {
    // The usual archives of Cacti: 5 minutes, half an hour, two hours, a day.
    let folder = tempfile::tempdir().unwrap();
    let now = START + 400 * 86_400;
    let store = open(folder.path(), now);
    let rra = |points: i64, rows: usize, value: f64| {
        let rows = format!("<row><v>{value}</v></row>").repeat(rows);
        format!(
            "<rra><cf>AVERAGE</cf><pdp_per_row>{points}</pdp_per_row><database>{rows}</database>\
             </rra>"
        )
    };
    let dump = format!(
        "<rrd><step>300</step><lastupdate>{now}</lastupdate><ds><name>a</name></ds>{}{}{}{}</rrd>",
        rra(1, 600, 1.0),
        rra(6, 700, 6.0),
        rra(24, 775, 24.0),
        rra(288, 797, 288.0),
    );
    let report = store.import_rrd(&dump, &Labels::empty()).unwrap();
    // The coarsest archive here reaches back by 365 days: of 797 days, 365 are after that.
    assert_eq!((report.rows, report.refused), (600 + 700 + 775 + 365, 797 - 365));
    let at = |back: i64| {
        let seen = rows_seen(&store, Matcher::equal("ds", "a"));
        let found = seen.iter().rev().find(|(at, _)| *at <= now - back);
        found.map(|(_, value)| *value)
    };
    let day = 86_400;
    // 600 x 5 min = 2.08 days, 700 x 30 min = 14.6 days, 775 x 2 h = 64.6 days.
    let seen = [at(0), at(2 * day), at(3 * day), at(14 * day), at(16 * day), at(60 * day)];
    assert_eq!(seen, [1.0, 1.0, 6.0, 6.0, 24.0, 24.0].map(Some));
    assert_eq!((at(70 * day), at(364 * day), at(366 * day)), (Some(288.0), Some(288.0), None));
}
