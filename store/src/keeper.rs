//! The thread that keeps house: makes checkpoints durable, empties the journal, watches the disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use noroshi_model::{Labels, MetricMeta, RecordBatch};
use tokio::sync::mpsc;

use crate::checkpoint::{SavedArchive, SavedClass, Unpublished};
use crate::engine::{Change, Tree};
use crate::entry::{put_metas, put_records, put_removed};
use crate::inner::Inner;
use crate::records::Recent;
use crate::segment::frame;
use crate::series_log::{frame_groups, group_changes, group_series, meta_change, removed_change};
use crate::writer::Command;

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// When in this time
const QUIET: Duration = Duration::from_secs(5);
/// fewer bytes came than the server writes of itself, the journal is emptied if that is worth it: a
/// store that is left alone takes no more of the disk than it has to, and starts at once.
const QUIET_BYTES_MAX: u64 = 128 << 10;
/// Bytes of the journal that are worth it, and
const QUIET_JOURNAL_BYTES_MIN: u64 = 1 << 20;
/// which share of the checkpoint they must have at least: that is written anew for them.
const QUIET_JOURNAL_SHARE: u64 = 16;
/// After a checkpoint that failed, time until the next try.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Bytes that are left free on the disk at least, unless it is so small that
const RESERVE_BYTES_MAX: u64 = 256 << 20;
/// this share of it is less.
const RESERVE_SHARE: u64 = 20;
/// Records in one entry of the log: with the largest values still a believable entry.
const RECORDS_IN_ENTRY: usize = 32;
/// Changes of the engine in one go.
const CHANGES_AT_ONCE: usize = 200;
/// The engine's note of the checkpoint that it has everything of.
pub(crate) const CHECKPOINT_NOTE: &[u8] = b"checkpoint";

/// A checkpoint to be made durable.
pub(crate) struct KeeperTask {
    pub(crate) unpublished: Unpublished,
    /// The first journal segment that is still needed.
    pub(crate) journal: u64,
    /// Series from this number on are not in the catalogue's log.
    pub(crate) first_series: u32,
    /// Metrics that are not in it.
    pub(crate) metas: Vec<MetricMeta>,
    /// Series that were removed.
    pub(crate) removed: Vec<u32>,
    /// Told whether it worked.
    pub(crate) done: Option<SyncSender<bool>>,
}

/// The keeper's own state.
pub(crate) struct Keeper {
    pub(crate) inner: Arc<Inner>,
    pub(crate) tasks: Receiver<KeeperTask>,
    pub(crate) commands: mpsc::WeakSender<Command>,
    /// What earlier checkpoints that failed left to do.
    pub(crate) owed_series: Option<u32>,
    pub(crate) owed_metas: Vec<MetricMeta>,
    /// As above.
    pub(crate) owed_removed: Vec<u32>,
    /// Whether the engine took everything up to now.
    pub(crate) is_engine_whole: bool,
}

impl Keeper {
    /// Makes the keeper of a store that is being opened.
    pub(crate) fn new(
        inner: &Arc<Inner>,
        tasks: Receiver<KeeperTask>,
        commands: &mpsc::Sender<Command>,
    ) -> Self {
        Self {
            inner: Arc::clone(inner),
            tasks,
            commands: commands.downgrade(),
            owed_series: None,
            owed_metas: Vec::new(),
            owed_removed: Vec::new(),
            is_engine_whole: true,
        }
    }

    /// Works until the writer is gone.
    pub(crate) fn run(mut self) {
        let (mut last, mut is_asked, mut samples_before) = (Instant::now(), false, 0);
        let (mut written, mut written_at) = (0, Instant::now());
        loop {
            match self.tasks.recv_timeout(LOOK_EVERY) {
                Ok(task) => {
                    let outcome = self.keep(task);
                    is_asked = false;
                    last = Instant::now();
                    if !outcome {
                        last = last.checked_sub(self.pause()).unwrap_or(last);
                    }
                    samples_before = self.inner.journal.counters().written.load(Relaxed);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            look_at_disk(&self.inner);
            let rest = self.commands.upgrade().map(|c| c.try_send(Command::Rest).is_ok());
            tracing::trace!(?rest, "asked to lay down quiet series");
            let counters = self.inner.journal.counters();
            let is_long = counters.bytes.load(Relaxed) > self.inner.config.journal_bytes_max
                && last.elapsed() > Duration::from_secs(1);
            let has_news = counters.written.load(Relaxed) > samples_before;
            let is_due = last.elapsed() > self.inner.config.checkpoint_interval && has_news;
            let mut is_quiet = false;
            if written_at.elapsed() > QUIET {
                let before = std::mem::replace(&mut written, counters.written.load(Relaxed));
                written_at = Instant::now();
                is_quiet = written - before < QUIET_BYTES_MAX && has_news;
            }
            let is_quiet = is_quiet && self.is_worth_emptying();
            if (is_long || is_due || is_quiet) && (!is_asked || last.elapsed() > RETRY_AFTER) {
                let asked = self.commands.upgrade().map(|c| c.try_send(Command::Checkpoint(None)));
                is_asked = matches!(asked, Some(Ok(())));
            }
        }
    }

    /// Tells whether the journal is long beside what a checkpoint writes.
    fn is_worth_emptying(&self) -> bool {
        let journal = self.inner.journal.counters().bytes.load(Relaxed);
        let checkpoint = self.inner.counters.checkpoint_bytes.load(Relaxed);
        journal >= QUIET_JOURNAL_BYTES_MIN.max(checkpoint / QUIET_JOURNAL_SHARE)
    }

    /// Returns how much earlier than usual a failed checkpoint is tried again.
    fn pause(&self) -> Duration {
        self.inner.config.checkpoint_interval.saturating_sub(RETRY_AFTER)
    }

    /// Makes a checkpoint durable; tells whether it worked.
    fn keep(&mut self, task: KeeperTask) -> bool {
        let first_series = self.owed_series.map_or(task.first_series, |o| o.min(task.first_series));
        self.owed_metas.extend(task.metas);
        self.owed_removed.extend(task.removed);
        let number = task.unpublished.number;
        let inner = Arc::clone(&self.inner);
        let gate = inner.checkpoint_gate.lock();
        let mut outcome = self.write_log(first_series);
        if outcome.is_ok() {
            self.note(number);
            outcome = self
                .sync_rings()
                .and_then(|()| task.unpublished.publish())
                .map(|bytes| inner.counters.checkpoint_bytes.store(bytes, Relaxed))
                .and_then(|()| inner.journal.drop_before(task.journal));
        }
        drop(gate);
        inner.counters.log_bytes.store(inner.log.lock().bytes(), Relaxed);
        let counters = &self.inner.counters;
        match &outcome {
            Ok(()) => {
                (self.owed_series, self.owed_metas) = (None, Vec::new());
                self.owed_removed = Vec::new();
                Inner::count(&counters.checkpoints, 1);
            }
            Err(error) => {
                self.owed_series = Some(first_series);
                Inner::count(&counters.checkpoint_failures, 1);
                tracing::error!(%error, "cannot finish a checkpoint; the journal keeps everything");
            }
        }
        answer(task.done, outcome.is_ok());
        outcome.is_ok()
    }

    /// Brings the catalogue's log and the engine up to date.
    fn write_log(&mut self, first_series: u32) -> io::Result<()> {
        let inner = &Arc::clone(&self.inner);
        let groups = inner.groups_from(first_series);
        let recent = inner.records.take_recent();
        let mut framed = Vec::new();
        frame_groups(&mut framed, &groups);
        if !self.owed_metas.is_empty() {
            frame(&mut framed, |out| put_metas(out, &self.owed_metas));
        }
        if !self.owed_removed.is_empty() {
            frame(&mut framed, |out| put_removed(out, &self.owed_removed));
        }
        frame_records(&mut framed, &recent);
        if let Err(error) = inner.log.lock().append(&framed) {
            inner.records.return_recent(recent);
            return Err(error);
        }
        let mut changes = group_changes(groups);
        changes.extend(self.owed_metas.iter().filter_map(meta_change));
        changes.extend(self.owed_removed.iter().copied().map(removed_change));
        if self.is_engine_whole
            && let Err(error) = apply_slowly(inner, &changes)
        {
            self.give_engine_up(&error);
        }
        if self.is_engine_whole && inner.log.lock().is_bloated() {
            inner.rewrite_log()?;
        }
        Ok(())
    }

    /// The engine failed: the log has everything and goes on alone. Without a newer note the next
    /// start sets the engine aside and rebuilds it.
    fn give_engine_up(&mut self, error: &io::Error) {
        tracing::error!(%error, "the catalogue failed; the next start rebuilds it from its log");
        self.is_engine_whole = false;
    }

    fn note(&mut self, number: u64) {
        if self.is_engine_whole
            && let Err(error) = self.write_note(number)
        {
            self.give_engine_up(&error);
        }
    }

    fn write_note(&self, number: u64) -> io::Result<()> {
        let value = Some(number.to_le_bytes().to_vec());
        let change = (Tree::Notes, CHECKPOINT_NOTE.to_vec(), value);
        apply_slowly(&self.inner, &[change])?;
        self.inner.engine.sync().map_err(io::Error::other)
    }

    fn sync_rings(&self) -> io::Result<()> {
        for ring in self.inner.classes.iter().flat_map(|class| &class.rings) {
            ring.sync().map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// Writes changed records as entries of the log, some of them in each.
fn frame_records(framed: &mut Vec<u8>, recent: &Recent) {
    let mut changes = recent.iter();
    loop {
        let mut batch = RecordBatch::new();
        let some = changes.by_ref().take(RECORDS_IN_ENTRY);
        batch
            .changes
            .extend(some.map(|((space, key), value)| (*space, key.clone(), value.clone())));
        if batch.is_empty() {
            return;
        }
        frame(framed, |out| put_records(out, &batch));
    }
}

/// Tells who waits for a checkpoint, if anyone does still.
pub(crate) fn answer(done: Option<SyncSender<bool>>, is_done: bool) {
    let is_heard = done.is_some_and(|done| done.send(is_done).is_ok());
    tracing::debug!(is_done, is_heard, "checkpoint");
}

/// Applies changes in small steps: `sled` makes all readers wait while it works.
pub(crate) fn apply_slowly(inner: &Inner, changes: &[Change]) -> io::Result<()> {
    for some in changes.chunks(CHANGES_AT_ONCE) {
        inner.engine.apply(some).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Looks how much is free on the disk, and stops or resumes taking in.
pub(crate) fn look_at_disk(inner: &Inner) {
    let Ok(disk) = rustix::fs::statvfs(&inner.directory) else { return };
    let free = disk.f_bavail * disk.f_frsize;
    inner.counters.disk_free_bytes.store(free, Relaxed);
    let reserve = (disk.f_blocks * disk.f_frsize / RESERVE_SHARE).min(RESERVE_BYTES_MAX);
    // Once full, a quarter more must be free: it would begin and end each second otherwise.
    let was_full = inner.is_full.load(Relaxed);
    let is_full = free < if was_full { reserve + reserve / 4 } else { reserve };
    inner.counters.disk_reserve_bytes.store(reserve, Relaxed);
    if inner.is_full.swap(is_full, Relaxed) != is_full {
        if is_full {
            tracing::error!(
                free,
                reserve,
                "the disk is nearly full: nothing is taken in until there is room"
            );
        } else {
            tracing::info!(free, "there is room on the disk again");
        }
    }
}

impl Inner {
    /// Groups all series for the log, or those with a number from `first` on.
    fn groups_from(&self, first: u32) -> Vec<(u32, Vec<u8>)> {
        // Both at once: a series that wakes meanwhile would be in neither.
        let catalogue = self.catalogue.read();
        let quiet = self.quiet.read().all_from(first);
        let mut all: Vec<(u32, &Labels)> = catalogue.iter_from(first).collect();
        all.extend(quiet.iter().map(|series| (series.number, &series.labels)));
        all.sort_unstable_by_key(|(series, _)| *series);
        group_series(all.into_iter())
    }

    /// Returns the classes as a checkpoint keeps them.
    pub(crate) fn saved_classes(&self) -> Vec<SavedClass> {
        let saved = |class: &crate::inner::Class| SavedClass {
            name: class.spec.name.clone(),
            archives: class
                .rings
                .iter()
                .zip(&class.steps)
                .map(|(ring, step)| SavedArchive::new(*step, &ring.state()))
                .collect(),
        };
        self.classes.iter().map(saved).collect()
    }

    /// Writes the catalogue's log anew from what is known now.
    pub(crate) fn rewrite_log(&self) -> io::Result<()> {
        let mut log = self.log.lock();
        log.rewrite(|append| {
            let groups = self.groups_from(0);
            let metas: Vec<MetricMeta> = self.catalogue.read().metas().values().cloned().collect();
            let mut framed = Vec::new();
            frame_groups(&mut framed, &groups);
            frame(&mut framed, |out| put_metas(out, &metas));
            append(&framed)?;
            self.records.each_batch(&mut |batch| {
                let mut framed = Vec::new();
                frame(&mut framed, |out| put_records(out, batch));
                append(&framed)
            })
        })
    }
}
