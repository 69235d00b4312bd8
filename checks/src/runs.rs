//! When the monitor itself ran: a record a run, kept up while it runs, so that a kill is seen too.

use noroshi_model::{RecordBatch, Records, Space, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::record::{self, StateError};

/// How many runs are remembered: one a day for 13 years.
const RUNS_MAX: usize = 5000;
/// The kind of these records among the marks.
const KIND: u8 = b'r';

/// One run of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    begun: Timestamp,
    /// When it was last known to run.
    until: Timestamp,
}

/// A run as it is written; its key says when it began.
#[derive(Serialize, Deserialize)]
struct RunRecord {
    until: Timestamp,
}

/// All runs that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// By their beginnings.
    past: Vec<Run>,
    own: Option<Run>,
}

/// The times in which the monitor was off, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gaps {
    /// Beginning, end, and how long all before it were, in milliseconds.
    gaps: Vec<(i64, i64, i64)>,
}

impl Runs {
    /// Reads the runs of before.
    pub(crate) fn load(records: &dyn Records) -> Result<Self, StateError> {
        let mut past = Vec::new();
        record::each(records, Space::Marks, &[KIND], |key, value| {
            let record = record::decode::<RunRecord>(value, "run");
            let begun = record::mark_number(key).and_then(|begun| i64::try_from(begun).ok());
            if let (Some(begun), Some(RunRecord { until })) = (begun, record) {
                past.push(Run { begun: Timestamp::from_millis(begun), until });
            }
        })?;
        Ok(Self { past, own: None })
    }

    /// Notes that the monitor runs; called again and again while it does.
    pub(crate) fn beat(&mut self, batch: &mut RecordBatch, now: Timestamp) {
        let own = self.own.get_or_insert(Run { begun: now, until: now });
        // While it runs a clock that is set back leaves no gap.
        own.until = own.until.max(now);
        let record = record::encode(&RunRecord { until: own.until });
        batch.put(Space::Marks, key(own.begun), record);
        while self.past.len() >= RUNS_MAX {
            batch.remove(Space::Marks, key(self.past.remove(0).begun));
        }
    }

    /// Returns when the monitor was last known to run; `None` before its first time.
    pub(crate) fn last_known(&self) -> Option<Timestamp> {
        self.past.iter().chain(&self.own).map(|run| run.until).max()
    }

    /// Returns when it was off, as far back as runs are remembered; it runs `now`.
    pub(crate) fn gaps(&self, now: Timestamp) -> Gaps {
        let own = self.own.unwrap_or(Run { begun: now, until: now });
        let own = Run { until: own.until.max(now), ..own };
        let mut runs: Vec<Run> = self.past.iter().copied().chain([own]).collect();
        runs.sort_unstable_by_key(|run| run.begun);
        let mut until = runs.first().map_or(Timestamp::MAX, |run| run.until);
        let mut off = Vec::new();
        for run in runs {
            if run.begun > until {
                off.push((until, run.begun));
            }
            until = until.max(run.until);
        }
        Gaps::new(&off)
    }
}

impl Gaps {
    /// Makes them of beginnings and ends, in order and apart.
    pub(crate) fn new(off: &[(Timestamp, Timestamp)]) -> Self {
        let mut before = 0;
        let gap = |(begin, end): &(Timestamp, Timestamp)| {
            let gap = (begin.as_millis(), end.as_millis(), before);
            before += end.as_millis() - begin.as_millis();
            gap
        };
        Self { gaps: off.iter().map(gap).collect() }
    }

    /// Returns how long it was off between two moments; zero when the second is not later.
    pub(crate) fn within(&self, from: Timestamp, until: Timestamp) -> Duration {
        let off = self.before(until.as_millis()) - self.before(from.as_millis());
        Duration::from_millis(off.max(0).unsigned_abs())
    }

    /// Returns how many milliseconds it was off before a moment.
    fn before(&self, at: i64) -> i64 {
        let index = self.gaps.partition_point(|(begin, _, _)| *begin <= at);
        let last = index.checked_sub(1).and_then(|index| self.gaps.get(index));
        last.map_or(0, |(begin, end, before)| before + at.min(*end) - begin)
    }
}

fn key(begun: Timestamp) -> Vec<u8> {
    record::mark_key(KIND, begun.as_millis().max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use noroshi_model::seam::MemoryRecords;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_secs(second)
    }

    /// Runs once from one moment to another, beating in between.
    fn run(records: &MemoryRecords, begun: i64, beats: &[i64]) -> Runs {
        let mut runs = Runs::load(records).unwrap();
        for second in [&[begun], beats].concat() {
            let mut batch = RecordBatch::new();
            runs.beat(&mut batch, at(second));
            records.commit(batch).unwrap();
        }
        runs
    }

    #[test]
    fn between_two_runs_the_monitor_was_off_and_before_the_first_nothing_is_said() {
        let records = MemoryRecords::new();
        run(&records, 100, &[115, 130]);
        run(&records, 200, &[]);
        let runs = run(&records, 260, &[275, 290]);
        let gaps = runs.gaps(at(290));
        let off = |from, until| gaps.within(at(from), at(until)).as_secs();
        // Off from 130 to 200 and from 200 (killed before its first beat) to 260.
        assert_eq!((off(0, 130), off(0, 1000), off(150, 250)), (0, 130, 100));
        assert_eq!((off(130, 131), off(190, 210), off(260, 999), off(210, 205)), (1, 20, 0, 0));
    }

    #[test]
    fn a_clock_that_is_set_while_it_runs_makes_no_gap() {
        let records = MemoryRecords::new();
        run(&records, 1000, &[1015, 500, 515]);
        let off = run(&records, 600, &[4000, 4015]).gaps(at(4015)).within(at(0), at(9999));
        assert_eq!(off, Duration::ZERO);
    }

    #[test]
    fn the_oldest_runs_are_forgotten() {
        let run = |begun| Run { begun: at(begun), until: at(begun) };
        let past = (1..=RUNS_MAX as i64 + 5).map(run).collect();
        let mut runs = Runs { past, own: None };
        let mut batch = RecordBatch::new();
        runs.beat(&mut batch, at(99_999));
        // Its own record, and the removal of all that are too many with it.
        assert_eq!((runs.past.len(), batch.changes.len()), (RUNS_MAX - 1, 1 + 6));
        assert_eq!(runs.past[0], run(7));
    }
}
