//! What the threads of an open store share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use noroshi_model::Clock;
use noroshi_model::time::millis;
use parking_lot::{Mutex, RwLock};

use crate::catalogue::Catalogue;
use crate::config::{RetentionClass, SERIES_BYTES, StoreConfig, ring_bytes};
use crate::engine::Engine;
use crate::journal::Journal;
use crate::quiet::Quiet;
use crate::records::RecordTable;
use crate::repair::Repairs;
use crate::ring::{Limit, Ring};
use crate::series_log::SeriesLog;
use crate::table::Table;

/// A retention class with its rings.
pub(crate) struct Class {
    /// As configured.
    pub(crate) spec: RetentionClass,
    /// Steps in milliseconds, finest first.
    pub(crate) steps: Vec<i64>,
    /// How far each archive reaches back, milliseconds.
    pub(crate) spans: Vec<i64>,
    /// A counter's growth over a longer silence is unknown, milliseconds.
    pub(crate) heartbeat: i64,
    /// Bytes planned for a series in each archive.
    pub(crate) series_bytes: Vec<u64>,
    /// One for each archive.
    pub(crate) rings: Vec<Ring>,
    /// Series in the class.
    pub(crate) series_count: AtomicU64,
}

impl Class {
    /// Takes a class and its open rings.
    pub(crate) fn new(spec: RetentionClass, rings: Vec<Ring>) -> Self {
        let steps = spec.archives.iter().map(|archive| millis(archive.step)).collect();
        let spans = spec.archives.iter().map(|archive| millis(archive.span())).collect();
        let series_bytes = spec.bytes_of_series();
        let heartbeat = spec.heartbeat.map_or(i64::MAX, millis);
        let series_count = AtomicU64::new(0);
        Self { spec, steps, spans, heartbeat, series_bytes, rings, series_count }
    }

    /// Returns the bounds of a ring at a moment.
    pub(crate) fn limit(&self, archive: usize, now: i64) -> Limit {
        let bytes_max = ring_bytes(self.series_count.load(Relaxed), self.series_bytes[archive]);
        Limit { expired_at: now.saturating_sub(self.spans[archive]), bytes_max }
    }

    /// Returns the silence after which a series is unknown, whose source promised an interval (0:
    /// it did not); 0 when it never is.
    pub(crate) fn silence_max(&self, interval: u32, intervals: u32) -> i64 {
        let promised = i64::from(interval) * i64::from(intervals);
        self.spec.heartbeat.map_or(promised, millis)
    }

    /// Tells whether too many samples are missing in a row for it to be known.
    pub(crate) fn is_too_sparse(&self, step: i64, interval: u32, count: u64) -> bool {
        let spacing = if interval > 0 { i64::from(interval) } else { self.heartbeat };
        let expected = step as f64 / spacing as f64;
        let missing = expected - count as f64;
        // A little more than rounding can make of a share of them.
        missing > expected * self.spec.unknown_share_max + 1e-9
    }

    /// Returns the bytes that the class may take with so many series more.
    pub(crate) fn planned_bytes(&self, more: u64) -> u64 {
        let count = self.series_count.load(Relaxed) + more;
        let rings: u64 = self.series_bytes.iter().map(|bytes| ring_bytes(count, *bytes)).sum();
        rings + 2 * count * SERIES_BYTES
    }
}

/// What is counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) samples: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) too_old: AtomicU64,
    pub(crate) in_future: AtomicU64,
    pub(crate) over_budget: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) blocks: AtomicU64,
    pub(crate) damaged_blocks: AtomicU64,
    pub(crate) overwritten_early: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) checkpoint_failures: AtomicU64,
    pub(crate) checkpoint_pause_micros: AtomicU64,
    pub(crate) clock_rewinds: AtomicU64,
    pub(crate) late_waiting: AtomicU64,
    pub(crate) budget_bytes: AtomicU64,
    pub(crate) planned_bytes: AtomicU64,
    pub(crate) disk_free_bytes: AtomicU64,
    pub(crate) disk_reserve_bytes: AtomicU64,
    pub(crate) series_refused: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    pub(crate) checkpoint_bytes: AtomicU64,
}

/// The shared part of a store.
pub(crate) struct Inner {
    pub(crate) directory: PathBuf,
    pub(crate) config: StoreConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) classes: Vec<Class>,
    pub(crate) catalogue: RwLock<Catalogue>,
    /// Locked after the catalogue where both are.
    pub(crate) quiet: RwLock<Quiet>,
    pub(crate) table: Table,
    pub(crate) journal: Journal,
    pub(crate) records: Arc<RecordTable>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) log: Mutex<SeriesLog>,
    pub(crate) repairs: Repairs,
    pub(crate) counters: Counters,
    /// Held while a checkpoint takes the place of another, and while the store is copied.
    pub(crate) checkpoint_gate: Mutex<()>,
    /// The disk is nearly full: nothing is taken in.
    pub(crate) is_full: AtomicBool,
    /// The store is being closed: nothing is taken in.
    pub(crate) is_closing: AtomicBool,
}

impl Inner {
    /// Returns the clock's now in milliseconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_millis()
    }

    /// Adds one to a counter.
    pub(crate) fn count(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Relaxed);
    }
}
