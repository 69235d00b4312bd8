//! The store as others see it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use noroshi_model::seam::{Accepted, Record};
use noroshi_model::{
    Batch, BoxFuture, Clock, Labels, Matcher, MetricMeta, RecordBatch, RecordError, Records,
    Refused, Restart, Select, SelectError, SeriesData, SeriesSource, Sink, Space, Timestamp,
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::config::StoreConfig;
use crate::entry::put_records;
use crate::inner::Inner;
use crate::open::{OpenError, Recovery, open_parts};
use crate::records::check_sizes;
use crate::segment::frame;
use crate::stats::StoreStats;
use crate::writer::Command;

/// Batches that wait for the writer. Full: senders wait.
pub(crate) const QUEUE_BATCHES: usize = 1024;
/// Samples that wait for the writer, in all batches: some 100 MB with their labels. Full: senders
/// wait.
const QUEUE_SAMPLES: usize = 500_000;

/// An open store. One process has a folder open at a time.
///
/// All methods may be called from any thread; those of [`Records`] and [`SeriesSource`] block for
/// the time of a few disk reads (`commit`: of one `fdatasync`).
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    pub(crate) commands: mpsc::Sender<Command>,
    room: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Keeps the folder locked.
    _lock: std::fs::File,
}

impl Store {
    /// Opens the store in a folder, making it when it is not there, and brings back what a kill
    /// or a power cut left unfinished.
    ///
    /// Errors: [`OpenError`]; damage is no error but told in the [`Recovery`].
    pub fn open(
        directory: &Path,
        config: StoreConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Self>, Recovery), OpenError> {
        let parts = open_parts(directory, config, clock)?;
        let store = Self {
            inner: parts.inner,
            commands: parts.commands,
            room: Arc::new(Semaphore::new(QUEUE_SAMPLES)),
            threads: Mutex::new(parts.threads),
            _lock: parts.lock,
        };
        Ok((Arc::new(store), parts.recovery))
    }

    /// Opens a store as it was last opened: with its retention classes and its bound of bytes. For
    /// commands that work on the folder of a server that is not running.
    ///
    /// Errors: [`OpenError`].
    pub fn reopen(
        directory: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Self>, Recovery), OpenError> {
        let config = crate::kept::read(directory)
            .map_err(crate::open::io_error("read the retention of", directory))?;
        Self::open(directory, config, clock)
    }

    /// Takes a batch in and waits; for threads without a runtime. As [`Sink::submit`].
    pub fn submit_blocking(&self, batch: Batch) -> Result<Accepted, Refused> {
        self.may_submit()?;
        let (reply, answer) = oneshot::channel();
        self.commands
            .blocking_send(Command::Batch(Box::new(batch), reply, None))
            .map_err(|_| Refused::Closing)?;
        answer.blocking_recv().unwrap_or(Err(Refused::Closing))
    }

    fn may_submit(&self) -> Result<(), Refused> {
        let refused = if self.inner.is_closing.load(Relaxed) {
            Refused::Closing
        } else if self.inner.journal.is_broken() {
            Refused::Broken
        } else if self.inner.is_full.load(Relaxed) {
            Refused::DiskFull
        } else {
            return Ok(());
        };
        Inner::count(&self.inner.counters.refused, 1);
        Err(refused)
    }

    /// Writes a checkpoint and waits until it is durable: the journal is empty then. Tells whether
    /// that worked.
    pub fn checkpoint(&self) -> bool {
        let (done, wait) = std::sync::mpsc::sync_channel(1);
        send_patiently(&self.commands, Command::Checkpoint(Some(done)));
        wait.recv().unwrap_or(false)
    }

    /// Returns what is measured of the store.
    pub fn stats(&self) -> StoreStats {
        let waiting = QUEUE_SAMPLES.saturating_sub(self.room.available_permits());
        StoreStats::of(&self.inner, waiting as u64)
    }

    /// Names the thread of the store that has ended by a panic, if one has: nothing can be kept
    /// then, and the program must be started again. Its last words are in the program's log.
    pub fn ended_thread(&self) -> Option<String> {
        // Held while the store is being closed: threads end then as they should.
        let threads = self.threads.try_lock()?;
        if self.inner.is_closing.load(Relaxed) {
            return None;
        }
        if self.inner.journal.has_ended() {
            return Some("store-journal".to_owned());
        }
        let ended = threads.iter().find(|thread| thread.is_finished())?;
        Some(ended.thread().name().unwrap_or("store").to_owned())
    }

    /// Ends the store: refuses what comes from now on, finishes what was handed in, writes a
    /// checkpoint. May be called more than once; what waits for the first call returns with it.
    pub fn close(&self) {
        let mut threads = self.threads.lock();
        if threads.is_empty() {
            return;
        }
        self.inner.is_closing.store(true, Relaxed);
        for last in [Command::Checkpoint(None), Command::Stop] {
            send_patiently(&self.commands, last);
        }
        for thread in threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
        self.inner.journal.stop();
    }
}

/// Sends although the queue may be full; `blocking_send` would panic on a runtime's thread.
pub(crate) fn send_patiently(commands: &mpsc::Sender<Command>, mut command: Command) {
    while let Err(mpsc::error::TrySendError::Full(back)) = commands.try_send(command) {
        command = back;
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.inner.directory.display())
    }
}

impl Sink for Store {
    fn submit(&self, batch: Batch) -> BoxFuture<'_, Result<Accepted, Refused>> {
        Box::pin(async move {
            self.may_submit()?;
            let weight = batch.samples.len().clamp(1, QUEUE_SAMPLES) as u32;
            let permit = Arc::clone(&self.room).acquire_many_owned(weight).await;
            let permit = permit.map_err(|_| Refused::Closing)?;
            let (reply, answer) = oneshot::channel();
            let command = Command::Batch(Box::new(batch), reply, Some(permit));
            self.commands.send(command).await.map_err(|_| Refused::Closing)?;
            answer.await.unwrap_or(Err(Refused::Closing))
        })
    }
}

impl SeriesSource for Store {
    fn select(&self, request: &Select) -> Result<Vec<SeriesData>, SelectError> {
        self.inner.select(request)
    }

    fn series(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Labels>, SelectError> {
        self.inner.series(matchers, after, until, limit)
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, SelectError> {
        self.inner.label_names(matchers, limit)
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        self.inner.label_values(name, matchers, limit)
    }

    fn label_names_within(
        &self,
        matchers: &[Matcher],
        span: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        self.inner.label_names_within(matchers, span, limit)
    }

    fn label_values_within(
        &self,
        name: &str,
        matchers: &[Matcher],
        span: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        self.inner.label_values_within(name, matchers, span, limit)
    }

    fn metadata(&self, name: Option<&str>) -> Result<Vec<MetricMeta>, SelectError> {
        self.inner.metadata(name)
    }

    fn last_seen(&self, matchers: &[Matcher]) -> Result<Option<Timestamp>, SelectError> {
        self.inner.last_seen(matchers)
    }

    fn restarts(
        &self,
        matchers: &[Matcher],
        span: (Timestamp, Timestamp),
        sources_max: usize,
    ) -> Result<Vec<Restart>, SelectError> {
        self.inner.restarts(matchers, span, sources_max)
    }
}

impl Records for Store {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        self.inner.records.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RecordError> {
        self.inner.records.scan(space, prefix, (after, false), limit)
    }

    fn scan_back(
        &self,
        space: Space,
        prefix: &[u8],
        before: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RecordError> {
        self.inner.records.scan(space, prefix, (before, true), limit)
    }

    fn commit(&self, batch: RecordBatch) -> Result<(), RecordError> {
        check_sizes(&batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        if self.inner.journal.is_broken() {
            return Err(RecordError::Write(Refused::Broken));
        }
        let mut framed = Vec::new();
        frame(&mut framed, |out| put_records(out, &batch));
        self.inner.journal.commit(&framed, batch).map_err(RecordError::Write)
    }
}

#[cfg(test)]
mod tests {
    use noroshi_model::Sample;
    use noroshi_model::seam::ManualClock;

    use super::*;

    fn open(directory: &Path) -> Arc<Store> {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_790_000_000)));
        Store::open(directory, StoreConfig::default(), clock as Arc<dyn Clock>).unwrap().0
    }

    fn submit(store: &Store) -> Result<Accepted, Refused> {
        let labels = Labels::new([("__name__", "x")]);
        let sample = Sample { labels, at: Timestamp::from_secs(1_790_000_000), value: 1.0 };
        store.submit_blocking(Batch { samples: vec![sample], ..Batch::new() })
    }

    fn wait_for_end(store: &Store) -> String {
        loop {
            if let Some(ended) = store.ended_thread() {
                return ended;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_writer_that_panics_is_named_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        assert_eq!(submit(&store).unwrap().stored, 1);
        assert_eq!(store.ended_thread(), None);
        let fault = Box::new(|_: &mut crate::writer::Writer| panic!("a fault of the test"));
        send_patiently(&store.commands, Command::Work(fault));
        assert_eq!(wait_for_end(&store), "store-writer");
        assert_eq!(submit(&store), Err(Refused::Closing));
        store.close();
        assert_eq!(store.ended_thread(), None);
        drop(store);
        // What was acknowledged is there again.
        let store = open(folder.path());
        assert_eq!(store.stats().series, 1);
    }

    #[test]
    fn a_journal_that_panics_is_named_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mut batch = RecordBatch::new();
        batch.put(Space::States, "key", "value");
        store.inner.journal.panic_next();
        assert!(store.inner.journal.commit(&[0; 16], batch).is_err());
        assert_eq!(wait_for_end(&store), "store-journal");
        assert_eq!(submit(&store), Err(Refused::Broken));
        store.close();
    }
}
