//! Series that nothing came for in a while: laid down, found and read as before where a question
//! reaches back to them, woken by their next sample; over restarts, kills and late samples.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use noroshi_model::seam::{ManualClock, Segment};
use noroshi_model::{
    Batch, Clock, Labels, Matcher, Sample, Select, SeriesSource, Timestamp, is_unknown,
};
use noroshi_store::{ArchiveSpec, RetentionClass, Store, StoreConfig, StoreStats};

/// A multiple of all steps.
const START: i64 = 1_790_028_000;
const HOUR: i64 = 3600;

fn config() -> StoreConfig {
    let spec = |step, rows| ArchiveSpec { step: Duration::from_secs(step), rows };
    // Samples for a day, rows for ten.
    let archives = vec![spec(10, 8640), spec(60, 14_400), spec(3600, 300)];
    StoreConfig {
        classes: vec![RetentionClass { archives, ..RetentionClass::default() }],
        commit_interval: Duration::ZERO,
        forget_grace: Duration::ZERO,
        ..StoreConfig::default()
    }
}

struct Site {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    store: Option<Arc<Store>>,
}

fn labels(pod: usize, index: usize) -> Labels {
    Labels::new([("__name__", format!("thing{index}_total")), ("pod", format!("pod{pod}"))])
}

fn value(index: usize, at: i64) -> f64 {
    ((at - START) / 10 * (index as i64 + 1)) as f64
}

impl Site {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
        let mut site = Self { directory: tempfile::tempdir().unwrap(), clock, store: None };
        site.open();
        site
    }

    fn open(&mut self) {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let (store, recovery) = Store::open(self.directory.path(), config(), clock).unwrap();
        assert_eq!((recovery.damaged, recovery.searched_series), (0, 0), "{recovery:?}");
        self.store = Some(store);
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn stats(&self) -> StoreStats {
        self.store().stats()
    }

    /// As a kill leaves the folder.
    fn kill(&mut self) {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(self.directory.path(), copy.path());
        self.store.take().unwrap().close();
        self.directory = copy;
        self.open();
    }

    fn set_now(&self, at: i64) {
        self.clock.set(Timestamp::from_secs(at));
    }

    /// Sends samples of a pod's series for the time `[from, to)`.
    fn send(&self, pod: usize, series: usize, (from, to): (i64, i64)) {
        for index in 0..series {
            let sample = |at| Sample {
                labels: labels(pod, index),
                at: Timestamp::from_secs(at),
                value: value(index, at),
            };
            let samples = (from..to).step_by(10).map(sample).collect();
            self.store().submit_blocking(Batch { samples, ..Batch::new() }).unwrap();
        }
    }

    /// Waits until so many are quiet; the keeper looks each second.
    fn wait_for_quiet(&self, count: u64) {
        assert!(self.store().checkpoint());
        let begun = Instant::now();
        while self.stats().quiet_series != count {
            let quiet = self.stats().quiet_series;
            assert!(begun.elapsed() < Duration::from_mins(1), "{quiet} of {count} are quiet");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn select(&self, pod: usize, index: usize, span: (i64, i64), step: i64) -> Vec<Segment> {
        let all = labels(pod, index);
        let request = Select {
            matchers: all.iter().map(|(name, value)| Matcher::equal(name, value)).collect(),
            after: Timestamp::from_secs(span.0),
            until: Timestamp::from_secs(span.1),
            step: Duration::from_secs(step as u64),
            window: Duration::from_secs(step as u64),
            samples_max: 1_000_000,
        };
        self.store().select(&request).unwrap().pop().map(|s| s.segments).unwrap_or_default()
    }

    /// Checks that all samples of a series in `[from, to)` are there, and no others in the span.
    fn check_samples(&self, pod: usize, index: usize, spans: &[(i64, i64)]) {
        let expected: Vec<(i64, f64)> = spans
            .iter()
            .flat_map(|&(from, to)| (from..to).step_by(10))
            .map(|at| (at * 1000, value(index, at)))
            .collect();
        let mut got = Vec::new();
        for segment in self.select(pod, index, (START - 1, START + 100 * HOUR), 0) {
            let Segment::Raw(raw) = segment else { panic!("rows") };
            got.extend(raw.at.into_iter().zip(raw.value).filter(|(_, v)| !is_unknown(*v)));
        }
        assert_eq!(got, expected, "pod {pod} {index}");
    }

    fn values(&self, name: &str, span: (i64, i64)) -> Vec<String> {
        let span = (Timestamp::from_secs(span.0), Timestamp::from_secs(span.1));
        self.store().label_values_within(name, &[], span, 1000).unwrap()
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Goal: laying down and waking change nothing of what is read. Method: two generations of pods,
/// the first is laid down; read it, restart, kill, send it a late spool and a new sample, and
/// compare with what was sent each time.
#[test]
fn a_quiet_series_is_read_as_before_and_wakes_with_its_next_sample() {
    let mut site = Site::new();
    let (first, second) = ((START, START + 2 * HOUR + 70), (START + 7 * HOUR, START + 8 * HOUR));
    site.set_now(START + 2 * HOUR + 100);
    site.send(0, 70, first);
    site.set_now(START + 8 * HOUR);
    site.send(1, 70, second);
    site.wait_for_quiet(70);
    assert_eq!(site.stats().series, 140);
    for round in 0..3 {
        for index in 0..70 {
            site.check_samples(0, index, &[first]);
        }
        site.check_samples(1, 3, &[second]);
        // What was not alive in a span is not told in it.
        assert_eq!(site.values("pod", (START + 7 * HOUR, START + 8 * HOUR)), ["pod1"]);
        assert_eq!(site.values("pod", (START, START + 8 * HOUR)), ["pod0", "pod1"]);
        let named = [Matcher::equal("pod", "pod0")];
        let last = site.store().last_seen(&named).unwrap().unwrap();
        assert_eq!(last.as_millis(), (first.1 - 10) * 1000);
        // Growth of the first hour: 359 steps of 10 s from the first sample on, 360 in the second.
        let rows = site.select(0, 1, (START, START + 3 * HOUR), 2 * HOUR);
        let Segment::Rows(rows) = &rows[0] else { panic!("{rows:?}") };
        assert_eq!(rows.increase[..2], [720.0, 720.0], "{rows:?}");
        assert_eq!(rows.count, [360.0, 360.0, 6.0]);
        if round == 0 {
            assert!(site.store().checkpoint());
            site.kill();
        } else {
            site.store.take().unwrap().close();
            site.open();
        }
        assert_eq!(site.stats().quiet_series, 70, "round {round}");
    }
    // The spool of pod 0 comes: it goes on where it ended, in a row that was finished.
    let spool = (first.1, first.1 + 600);
    site.send(0, 40, spool);
    assert_eq!(site.stats().quiet_series, 30);
    for kill in [false, true] {
        if kill {
            site.kill();
        }
        for index in 0..70 {
            let spans = if index < 40 { &[first, spool][..] } else { &[first] };
            site.check_samples(0, index, spans);
        }
        let rows = site.select(0, 1, (START, START + 3 * HOUR), 2 * HOUR);
        let Segment::Rows(rows) = &rows[0] else { panic!("{rows:?}") };
        // 3,600 + 3,600 + 670 s of samples at 10 s; the one at START belongs to the row before.
        assert_eq!(rows.count, [360.0, 360.0, 66.0]);
        assert_eq!(rows.increase, [720.0, 720.0, 132.0]);
    }
}

/// Goal: of a series that ended, the rows stay when its samples are gone, the last and unfinished
/// one of each archive too; and it is forgotten when the last archive has run out.
#[test]
fn the_rows_of_a_series_that_ended_outlive_its_samples() {
    let site = Site::new();
    let first = (START + 10, START + 2 * HOUR + 130);
    site.set_now(START + 2 * HOUR + 200);
    site.send(0, 3, first);
    site.set_now(START + 6 * HOUR);
    site.wait_for_quiet(3);
    // Two days later samples are read from rows: the first archive reaches back a day.
    site.set_now(START + 50 * HOUR);
    for (step, counts) in [(7200, vec![360.0, 360.0, 12.0]), (120, vec![6.0; 122])] {
        let rows = site.select(0, 2, (START, START + 3 * HOUR), step);
        let Segment::Rows(rows) = &rows[0] else { panic!("{rows:?}") };
        assert_eq!(rows.count, counts);
        // Three a step of 10 s, but for the first sample, which nothing is before.
        let expected = (counts.iter().sum::<f64>() - 1.0) * 3.0;
        assert_eq!(rows.increase.iter().sum::<f64>(), expected);
    }
    // 300 hours after its last row, with a grace of nothing, the next two checkpoints forget it.
    site.set_now(START + 304 * HOUR);
    assert!(site.store().checkpoint());
    assert!(site.store().checkpoint());
    assert_eq!((site.stats().series, site.stats().quiet_bytes), (0, 0));
}
