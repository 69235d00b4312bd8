//! What the room knows of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// Upper ends of the buckets of a [`Spread`], in milliseconds: from what nobody notices to what
/// nobody would wait for.
const BUCKETS_MS: [u64; 12] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/// What the room knows of itself, since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Results taken, passive ones included.
    pub results: u64,
    /// Runs that are under way now, those that wait for their turn included.
    pub runs_under_way: u64,
    /// Results and actions that wait for the writer now.
    pub messages_waiting: u64,
    /// Commits that failed and were tried again.
    pub commits_failed: u64,
    /// Samples of performance data dropped because the store was behind or refused them.
    pub samples_dropped: u64,
    /// Event handlers that did what they should: exit 0, or HTTP 200 to 299.
    pub handlers_ok: u64,
    /// Event handlers that did not.
    pub handlers_failed: u64,
    /// Event handlers not run because too many waited.
    pub handlers_dropped: u64,
    /// How often the spawner of plug-ins was started.
    pub spawner_starts: u64,
    /// How late runs began.
    pub latency: Spread,
    /// How long runs took.
    pub run_time: Spread,
}

/// How durations are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// How many were at most as long as each of [`Spread::ends`], and not as long as the one
    /// before.
    pub counts: [u64; BUCKETS_MS.len()],
    /// How many there were.
    pub count: u64,
    /// All of them together, in microseconds.
    pub sum_micros: u64,
}

impl Spread {
    /// Returns the upper ends of the buckets.
    pub fn ends() -> impl Iterator<Item = Duration> {
        BUCKETS_MS.into_iter().map(Duration::from_millis)
    }
}

/// How late the last runs of all checks began and how long they took, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LastRuns {
    /// How many checks ran at all.
    pub count: usize,
    /// Mean and largest latency.
    pub latency: (f64, f64),
    /// Mean and largest time taken.
    pub run_time: (f64, f64),
}

/// Where it is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) results: AtomicU64,
    pub(crate) runs_under_way: AtomicU64,
    pub(crate) commits_failed: AtomicU64,
    pub(crate) samples_dropped: AtomicU64,
    pub(crate) handlers_ok: AtomicU64,
    pub(crate) handlers_failed: AtomicU64,
    pub(crate) handlers_dropped: AtomicU64,
    pub(crate) latency: Spreading,
    pub(crate) run_time: Spreading,
}

/// Where a [`Spread`] is counted.
#[derive(Debug, Default)]
pub(crate) struct Spreading {
    counts: [AtomicU64; BUCKETS_MS.len()],
    count: AtomicU64,
    sum_micros: AtomicU64,
}

impl Spreading {
    /// Counts one duration.
    pub(crate) fn note(&self, duration: Duration) {
        let bucket = Spread::ends().position(|end| duration <= end);
        if let Some(counter) = bucket.and_then(|bucket| self.counts.get(bucket)) {
            count(counter, 1);
        }
        count(&self.count, 1);
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn read(&self) -> Spread {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Spread {
            counts: std::array::from_fn(|bucket| self.counts.get(bucket).map_or(0, read)),
            count: read(&self.count),
            sum_micros: read(&self.sum_micros),
        }
    }
}

impl Counters {
    pub(crate) fn read(&self, messages_waiting: usize, spawner_starts: u64) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            results: read(&self.results),
            runs_under_way: read(&self.runs_under_way),
            messages_waiting: messages_waiting as u64,
            commits_failed: read(&self.commits_failed),
            samples_dropped: read(&self.samples_dropped),
            handlers_ok: read(&self.handlers_ok),
            handlers_failed: read(&self.handlers_failed),
            handlers_dropped: read(&self.handlers_dropped),
            spawner_starts,
            latency: self.latency.read(),
            run_time: self.run_time.read(),
        }
    }
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_where_it_belongs() {
        let spreading = Spreading::default();
        for ms in [5, 6, 30_000, 30_001] {
            spreading.note(Duration::from_millis(ms));
        }
        let spread = spreading.read();
        assert_eq!(spread.counts, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((spread.count, spread.sum_micros), (4, 60_012_000));
    }
}
