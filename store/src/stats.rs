//! What is measured of a store, for the server's own metrics and its pages.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::config::ring_bytes;
use crate::inner::Inner;

/// What is measured of a store. Counts are since it was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreStats {
    /// Series that are known, quiet ones included.
    pub series: u64,
    /// Series that nothing came for in a while, laid down.
    pub quiet_series: u64,
    /// Bytes that these take in memory.
    pub quiet_bytes: u64,
    /// Samples taken in, repeated and late ones included.
    pub samples: u64,
    /// Samples that were there already.
    pub repeated: u64,
    /// Samples that came after newer ones and were merged.
    pub late: u64,
    /// Late samples in memory that are not merged yet.
    pub late_waiting: u64,
    /// Samples dropped because the ring does not reach back so far.
    pub too_old: u64,
    /// Samples refused because they are further in the future than is believed.
    pub in_future: u64,
    /// Samples refused because the disk budget has no room for their series.
    pub over_budget: u64,
    /// Batches taken in.
    pub batches: u64,
    /// Batches refused as a whole.
    pub refused: u64,
    /// Samples that wait for the writer.
    pub queue_samples: u64,
    /// Bytes in the journal: what a restart would have to read.
    pub journal_bytes: u64,
    /// Bytes written to the journal.
    pub journal_written_bytes: u64,
    /// Calls of `fdatasync` for the journal.
    pub syncs: u64,
    /// Time they took.
    pub sync_time: Duration,
    /// Blocks written to rings.
    pub blocks: u64,
    /// Damaged blocks that were met and left out.
    pub damaged_blocks: u64,
    /// Extents overwritten before their time because the ring had its planned size.
    pub overwritten_early: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Checkpoints that failed; the journal keeps everything meanwhile.
    pub checkpoint_failures: u64,
    /// Longest time that a checkpoint kept the writer.
    pub checkpoint_pause_max: Duration,
    /// Times that a series went on at an earlier time because the clock had been ahead.
    pub clock_rewinds: u64,
    /// Bytes of catalogue and its log.
    pub catalogue_bytes: u64,
    /// Bytes of the last checkpoint: what is in memory and in no ring, as of then.
    pub checkpoint_bytes: u64,
    /// Bytes that all series may take by plan.
    pub planned_bytes: u64,
    /// Bytes that may be planned for.
    pub budget_bytes: u64,
    /// Bytes free on the disk.
    pub disk_free_bytes: u64,
    /// With fewer bytes free than this nothing is taken in: they are for checkpoints and records.
    pub disk_reserve_bytes: u64,
    /// New series that were refused because the disk budget has no room for them. Bounded: above
    /// ten thousand they are not told apart any more.
    pub series_refused: u64,
    /// Whether nothing is taken in because the disk is nearly full.
    pub is_disk_full: bool,
    /// Whether nothing is taken in until a restart because the disk failed.
    pub is_broken: bool,
    /// Every archive of every class.
    pub rings: Vec<RingStats>,
}

/// What is measured of one archive.
#[derive(Clone, Debug, PartialEq)]
pub struct RingStats {
    /// The class.
    pub class: String,
    /// Its step.
    pub step: Duration,
    /// Series in the class.
    pub series: u64,
    /// Bytes that it may have by plan.
    pub planned_bytes: u64,
    /// Bytes that its file has.
    pub bytes: u64,
}

impl StoreStats {
    /// Returns the bytes that everything takes on the disk now; rings count as long as they are,
    /// though a part of the newest extent may not be written yet.
    pub fn used_bytes(&self) -> u64 {
        let rings: u64 = self.rings.iter().map(|ring| ring.bytes).sum();
        rings + self.journal_bytes + self.catalogue_bytes + self.checkpoint_bytes
    }

    /// Reads all counters.
    pub(crate) fn of(inner: &Inner, queue_samples: u64) -> Self {
        let counters = &inner.counters;
        let journal = inner.journal.counters();
        let rings = inner.classes.iter().flat_map(|class| {
            class.rings.iter().enumerate().map(|(archive, ring)| {
                let series = class.series_count.load(Relaxed);
                RingStats {
                    class: class.spec.name.clone(),
                    step: class.spec.archives[archive].step,
                    series,
                    planned_bytes: ring_bytes(series, class.series_bytes[archive]),
                    bytes: ring.bytes(),
                }
            })
        });
        let quiet = inner.quiet.read();
        let (quiet_series, quiet_bytes) = (quiet.len() as u64, quiet.bytes() as u64);
        drop(quiet);
        Self {
            series: inner.catalogue.read().len() as u64 + quiet_series,
            quiet_series,
            quiet_bytes,
            samples: counters.samples.load(Relaxed),
            repeated: counters.repeated.load(Relaxed),
            late: counters.late.load(Relaxed),
            late_waiting: counters.late_waiting.load(Relaxed),
            too_old: counters.too_old.load(Relaxed),
            in_future: counters.in_future.load(Relaxed),
            over_budget: counters.over_budget.load(Relaxed),
            batches: counters.batches.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            queue_samples,
            journal_bytes: journal.bytes.load(Relaxed),
            journal_written_bytes: journal.written.load(Relaxed),
            syncs: journal.syncs.load(Relaxed),
            sync_time: Duration::from_micros(journal.sync_micros.load(Relaxed)),
            blocks: counters.blocks.load(Relaxed),
            damaged_blocks: counters.damaged(),
            overwritten_early: counters.overwritten_early.load(Relaxed),
            checkpoints: counters.checkpoints.load(Relaxed),
            checkpoint_failures: counters.checkpoint_failures.load(Relaxed),
            checkpoint_pause_max: Duration::from_micros(
                counters.checkpoint_pause_micros.load(Relaxed),
            ),
            clock_rewinds: counters.clock_rewinds.load(Relaxed),
            catalogue_bytes: inner.engine.bytes() + counters.log_bytes.load(Relaxed),
            checkpoint_bytes: counters.checkpoint_bytes.load(Relaxed),
            planned_bytes: counters.planned_bytes.load(Relaxed),
            budget_bytes: counters.budget_bytes.load(Relaxed),
            disk_free_bytes: counters.disk_free_bytes.load(Relaxed),
            disk_reserve_bytes: counters.disk_reserve_bytes.load(Relaxed),
            series_refused: counters.series_refused.load(Relaxed),
            is_disk_full: inner.is_full.load(Relaxed),
            is_broken: inner.journal.is_broken(),
            rings: rings.collect(),
        }
    }
}
