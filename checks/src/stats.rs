//! What the room knows of itself.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

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
    /// Event handlers not run because too many waited.
    pub handlers_dropped: u64,
}

/// Where it is counted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) results: AtomicU64,
    pub(crate) runs_under_way: AtomicU64,
    pub(crate) commits_failed: AtomicU64,
    pub(crate) samples_dropped: AtomicU64,
    pub(crate) handlers_dropped: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self, messages_waiting: usize) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            results: read(&self.results),
            runs_under_way: read(&self.runs_under_way),
            messages_waiting: messages_waiting as u64,
            commits_failed: read(&self.commits_failed),
            samples_dropped: read(&self.samples_dropped),
            handlers_dropped: read(&self.handlers_dropped),
        }
    }
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(by as u64, Ordering::Relaxed);
}
