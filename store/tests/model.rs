//! Random lives of a store against a plain map: appends, late and repeated samples, checkpoints,
//! clean restarts, kills, clocks that jump. What the map knows, the store must give back, and the
//! rows of its archives must be those that the naive method makes of all samples.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::seam::{ManualClock, RowSegment, Segment};
use noroshi_model::{
    Batch, Clock, Labels, Matcher, Sample, Select, SeriesSource, Timestamp, UNKNOWN, is_unknown,
};
use noroshi_store::{ArchiveSpec, RetentionClass, Store, StoreConfig};
use proptest::prelude::*;

/// 2026-09-21T21:20:00Z: a multiple of all steps.
const START: i64 = 1_790_025_600;
const NAMES: [&str; 3] = ["gauge", "counted_total", "other"];

#[derive(Clone, Debug)]
enum Act {
    /// Samples of one series at the current time on, so far apart (seconds).
    Append {
        series: usize,
        count: usize,
        gap: i64,
    },
    /// Samples at earlier moments, some of which are there already.
    Late {
        series: usize,
        back: i64,
        count: usize,
        gap: i64,
    },
    /// The last samples again.
    Repeat,
    /// Nothing comes for so many seconds.
    Silence(i64),
    /// The clock jumps ahead, a few samples come, and it jumps back.
    Jump {
        series: usize,
        ahead: i64,
        count: usize,
    },
    Checkpoint,
    Restart,
    Kill,
}

fn act() -> impl Strategy<Value = Act> {
    let series = 0..NAMES.len();
    prop_oneof![
        6 => (series.clone(), 1_usize..700, prop_oneof![Just(10_i64), 1_i64..90])
            .prop_map(|(series, count, gap)| Act::Append { series, count, gap }),
        3 => (series.clone(), 1_i64..20_000, 1_usize..600, prop_oneof![Just(10_i64), 1_i64..40])
            .prop_map(|(series, back, count, gap)| Act::Late { series, back, count, gap }),
        1 => Just(Act::Repeat),
        1 => (1_i64..5_000).prop_map(Act::Silence),
        1 => (series, 1_i64..30_000, 1_usize..80)
            .prop_map(|(series, ahead, count)| Act::Jump { series, ahead, count }),
        2 => Just(Act::Checkpoint),
        2 => Just(Act::Restart),
        2 => Just(Act::Kill),
    ]
}

fn config() -> StoreConfig {
    let spec = |step, rows| ArchiveSpec { step: Duration::from_secs(step), rows };
    // Reaches back further than any life here: nothing expires, everything must be there.
    let archives = vec![spec(10, 100_000), spec(60, 100_000), spec(300, 100_000)];
    StoreConfig {
        classes: vec![RetentionClass { archives, ..RetentionClass::default() }],
        commit_interval: Duration::ZERO,
        ..StoreConfig::default()
    }
}

struct Life {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    store: Option<Arc<Store>>,
    now: i64,
    map: Vec<BTreeMap<i64, f64>>,
    last: Vec<(usize, i64, f64)>,
}

fn value(series: usize, at: i64) -> f64 {
    let wave = at.wrapping_mul(2_654_435_761) % 1009;
    match series {
        0 if wave == 7 => UNKNOWN,
        0 => wave as f64 / 100.0,
        1 => (at - START) as f64 * 3.0 + (wave % 3) as f64,
        _ => (wave as f64).sqrt(),
    }
}

impl Life {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(START)));
        let directory = tempfile::tempdir().unwrap();
        let map = vec![BTreeMap::new(); NAMES.len()];
        let mut life = Self { directory, clock, store: None, now: START, map, last: Vec::new() };
        life.open();
        life
    }

    fn open(&mut self) {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let (store, recovery) = Store::open(self.directory.path(), config(), clock).unwrap();
        assert_eq!((recovery.damaged, recovery.rebuilt_catalogue), (0, None));
        self.store = Some(store);
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn submit(&mut self, samples: &[(usize, i64, f64)]) {
        let sample = |&(series, at, value): &(usize, i64, f64)| Sample {
            labels: Labels::new([("__name__", NAMES[series]), ("instance", "a")]),
            at: Timestamp::from_secs(at),
            value,
        };
        let samples_out = samples.iter().map(sample).collect();
        let accepted =
            self.store().submit_blocking(Batch { samples: samples_out, ..Batch::new() }).unwrap();
        // The future is believed for ten minutes.
        let is_believed = |at: i64| at <= self.now + 600;
        assert_eq!(accepted.stored, samples.iter().filter(|s| is_believed(s.1)).count());
        for &(series, at, value) in samples.iter().filter(|sample| is_believed(sample.1)) {
            // Of two samples of one moment the first stays.
            self.map[series].entry(at).or_insert(value);
        }
        self.last = samples.to_vec();
    }

    fn set_now(&mut self, now: i64) {
        self.now = now;
        self.clock.set(Timestamp::from_secs(now));
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Append { series, count, gap } => {
                let from = self.now;
                let at = |i: usize| from + (i as i64 + 1) * gap;
                let all: Vec<_> =
                    (0..count).map(|i| (series, at(i), value(series, at(i)))).collect();
                self.set_now(at(count - 1));
                all.chunks(150).for_each(|some| self.submit(some));
            }
            Act::Late { series, back, count, gap } => {
                let from = (self.now - back).max(START - 50_000);
                let at = |i: usize| from + i as i64 * gap;
                let moments = (0..count).map(at).filter(|at| *at <= self.now);
                let mut all: Vec<_> = moments.map(|at| (series, at, value(series, at))).collect();
                all.reverse();
                all.chunks(200).for_each(|some| self.submit(some));
            }
            Act::Repeat => self.submit(&self.last.clone()),
            Act::Silence(seconds) => self.set_now(self.now + seconds),
            Act::Jump { series, ahead, count } => {
                let before = self.now;
                self.act(&Act::Silence(ahead));
                self.act(&Act::Append { series, count, gap: 10 });
                self.set_now(before + 10);
            }
            Act::Checkpoint => assert!(self.store().checkpoint()),
            Act::Restart => {
                self.store.take().unwrap().close();
                self.open();
            }
            Act::Kill => self.kill(),
        }
    }

    /// Goes on with a copy of the folder as it was while the store was open: what a `kill -9`
    /// leaves. (No checkpoint runs meanwhile: they come on request only.)
    fn kill(&mut self) {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(self.directory.path(), copy.path());
        self.store.take().unwrap().close();
        self.directory = copy;
        self.open();
    }

    fn select(&self, series: usize, step: u64) -> Vec<Segment> {
        let step = Duration::from_secs(step);
        let request = Select {
            matchers: vec![Matcher::equal("__name__", NAMES[series])],
            after: Timestamp::from_secs(START - 100_000),
            until: Timestamp::from_secs(self.now + 600),
            step,
            window: step,
            samples_max: 10_000_000,
        };
        self.store().select(&request).unwrap().pop().map(|s| s.segments).unwrap_or_default()
    }

    fn check(&self) {
        for (series, name) in NAMES.iter().enumerate() {
            let until = self.now + 600;
            let expected: Vec<(i64, u64)> = self.map[series]
                .range(..=until)
                .map(|(at, value)| (at * 1000, value.to_bits()))
                .collect();
            let mut got = Vec::new();
            for segment in self.select(series, 0) {
                let Segment::Raw(raw) = segment else { panic!("rows") };
                got.extend(raw.at.into_iter().zip(raw.value.iter().map(|value| value.to_bits())));
            }
            assert_eq!(got.len(), expected.len(), "{name}");
            assert_eq!(got, expected, "{name}");
            for step in [60, 300] {
                self.check_rows(series, step, until);
            }
        }
    }

    fn check_rows(&self, series: usize, step: i64, until: i64) {
        let segments = self.select(series, step as u64 * 2);
        let rows = segments.into_iter().find_map(|segment| match segment {
            Segment::Rows(rows) => Some(rows),
            Segment::Raw(_) => None,
        });
        let rows = rows.unwrap_or_default();
        let naive = naive_rows(&self.map[series], step, until, series == 1);
        assert_eq!(rows.at, naive.at, "{} in {step} s", NAMES[series]);
        assert_eq!(rows.count, naive.count, "{} in {step} s", NAMES[series]);
        let columns = [
            (&rows.min, &naive.min, "min"),
            (&rows.max, &naive.max, "max"),
            (&rows.last, &naive.last, "last"),
            (&rows.sum, &naive.sum, "sum"),
            (&rows.increase, &naive.increase, "increase"),
        ];
        for (got, expected, what) in columns {
            assert_eq!(got.len(), expected.len(), "{what}");
            for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
                let is_same = is_unknown(*got) && is_unknown(*expected)
                    || (got - expected).abs() <= expected.abs().max(1.0) * 1e-9;
                assert!(
                    is_same,
                    "{} {what} of row {}: {got} {expected}",
                    NAMES[series], rows.at[index]
                );
            }
        }
    }
}

/// Rows as the definition has them, of all samples at once.
fn naive_rows(all: &BTreeMap<i64, f64>, step: i64, until: i64, is_counter: bool) -> RowSegment {
    let mut rows = RowSegment { step: step * 1000, ..RowSegment::default() };
    let mut by_end: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    let mut grown: BTreeMap<i64, f64> = BTreeMap::new();
    let mut previous = None;
    for (&at, &value) in all {
        let end = (at + step - 1).div_euclid(step) * step;
        let values = by_end.entry(end).or_default();
        if is_unknown(value) {
            continue;
        }
        values.push(value);
        if let Some(previous) = previous {
            let by = if value >= previous { value - previous } else { value };
            *grown.entry(end).or_default() += by;
        }
        previous = Some(value);
    }
    let newest = all.range(..=until).next_back().map_or(0, |(at, _)| *at);
    for (end, values) in by_end {
        // The row in progress is no row yet.
        if end > until.min(all.keys().next_back().map_or(newest, |at| *at) + step) {
            break;
        }
        let known = !values.is_empty();
        let fold = |f: fn(f64, f64) -> f64| values.iter().copied().reduce(f).unwrap_or(UNKNOWN);
        rows.at.push(end * 1000);
        rows.min.push(fold(f64::min));
        rows.max.push(fold(f64::max));
        rows.sum.push(fold(|a, b| a + b));
        rows.last.push(fold(|_, b| b));
        rows.count.push(values.len() as f64);
        if is_counter {
            let by = grown.get(&end).copied().unwrap_or(0.0);
            rows.increase.push(if known { by } else { UNKNOWN });
        }
    }
    rows
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

/// Lives to try; `NOROSHI_LIVES` for more than the usual 32.
fn cases() -> u32 {
    std::env::var("NOROSHI_LIVES").ok().and_then(|text| text.parse().ok()).unwrap_or(32)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn the_store_gives_back_what_a_plain_map_knows(
        acts in prop::collection::vec(act(), 1..14),
    ) {
        let mut life = Life::new();
        for act in &acts {
            life.act(act);
        }
        // Late samples are merged into increases by the checkpoint.
        life.act(&Act::Checkpoint);
        life.check();
        life.act(&Act::Kill);
        life.check();
    }
}
