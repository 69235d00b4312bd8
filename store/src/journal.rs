//! The journal: one thread that writes what was handed in, syncs it once for many, and tells each
//! who waits. Nothing is acknowledged anywhere else.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use noroshi_model::seam::Accepted;
use noroshi_model::{RecordBatch, Refused};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::disk;
use crate::segment::{self, Segment};

/// A group is written at once when it has this many bytes, however young.
const GROUP_BYTES: usize = 1 << 20;
/// Who hands in waits while so many bytes wait to be written: bounds the memory.
const PENDING_BYTES_MAX: usize = 16 << 20;
/// A segment is closed at this size.
const SEGMENT_BYTES: u64 = 16 << 20;

/// Puts changes of records, durable in the journal, into the catalogue.
pub(crate) type ApplyRecords = Box<dyn Fn(&RecordBatch) -> Result<(), Refused> + Send>;

/// Who is told when an entry is durable.
pub(crate) enum Waiter {
    /// A sender of samples.
    Samples(oneshot::Sender<Result<Accepted, Refused>>, Accepted),
    /// A committer of records, told when they are in the catalogue as well.
    Records(RecordBatch, std::sync::mpsc::SyncSender<Result<(), Refused>>),
    /// Wants all later entries in a new segment, and its number.
    Cut(std::sync::mpsc::SyncSender<Result<u64, Refused>>),
}

/// What is measured of the journal.
#[derive(Debug, Default)]
pub(crate) struct JournalCounters {
    /// Calls of `fdatasync`, each with the write before it.
    pub(crate) syncs: AtomicU64,
    /// Time they took, microseconds.
    pub(crate) sync_micros: AtomicU64,
    /// Bytes in all segments.
    pub(crate) bytes: AtomicU64,
    /// Bytes written since the start.
    pub(crate) written: AtomicU64,
    /// Writes that failed because the disk was full.
    pub(crate) full: AtomicU64,
}

#[derive(Default)]
struct Pending {
    framed: Vec<u8>,
    waiters: Vec<Waiter>,
    since: Option<Instant>,
    is_urgent: bool,
    /// A cut is the last of its group: what comes later waits for the next.
    is_closed: bool,
    is_stopping: bool,
}

struct Shared {
    pending: Mutex<Pending>,
    /// Told when there is something to write.
    filled: Condvar,
    /// Told when a group was taken.
    taken: Condvar,
    counters: JournalCounters,
    is_broken: AtomicBool,
    #[cfg(test)]
    panics: AtomicBool,
}

/// The journal of an open store.
pub(crate) struct Journal {
    directory: PathBuf,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Starts a journal that writes to a new segment with this number.
    pub(crate) fn start(
        directory: &Path,
        number: u64,
        interval: Duration,
        apply: ApplyRecords,
    ) -> io::Result<Self> {
        let segment = Segment::create(directory, number)?;
        let shared = Arc::new(Shared {
            pending: Mutex::default(),
            filled: Condvar::new(),
            taken: Condvar::new(),
            counters: JournalCounters::default(),
            is_broken: AtomicBool::new(false),
            #[cfg(test)]
            panics: AtomicBool::new(false),
        });
        let bytes = bytes_in(directory)?;
        shared.counters.bytes.store(bytes, Relaxed);
        let writer = Writer {
            shared: Arc::clone(&shared),
            directory: directory.to_owned(),
            segment,
            interval,
            apply,
        };
        let thread = std::thread::Builder::new()
            .name("store-journal".to_owned())
            .spawn(move || writer.run())?;
        let thread = Mutex::new(Some(thread));
        Ok(Self { directory: directory.to_owned(), shared, thread })
    }

    /// Hands in framed entries. The waiter is told later; at once when the journal is broken.
    pub(crate) fn append(&self, framed: &[u8], waiter: Waiter, is_urgent: bool) {
        let mut pending = self.shared.pending.lock();
        while (pending.is_closed || pending.framed.len() > PENDING_BYTES_MAX)
            && !pending.is_stopping
        {
            self.shared.taken.wait(&mut pending);
        }
        if pending.is_stopping {
            drop(pending);
            return tell(waiter, Err(Refused::Closing));
        }
        pending.framed.extend_from_slice(framed);
        pending.is_closed = matches!(waiter, Waiter::Cut(_));
        pending.waiters.push(waiter);
        let is_first = pending.since.is_none();
        let is_due = is_urgent || pending.framed.len() >= GROUP_BYTES;
        pending.is_urgent |= is_due;
        if is_first {
            pending.since = Some(Instant::now());
        }
        drop(pending);
        if is_first || is_due {
            self.shared.filled.notify_one();
        }
    }

    /// Makes records durable and applies them.
    pub(crate) fn commit(&self, framed: &[u8], batch: RecordBatch) -> Result<(), Refused> {
        let (done, wait) = std::sync::mpsc::sync_channel(1);
        self.append(framed, Waiter::Records(batch, done), true);
        wait.recv().unwrap_or(Err(Refused::Closing))
    }

    /// Makes an entry durable.
    pub(crate) fn note(&self, framed: &[u8]) -> Result<(), Refused> {
        self.commit(framed, RecordBatch::new())
    }

    /// Waits until all that was handed in is durable and applied, begins a new segment, and returns
    /// its number.
    pub(crate) fn cut(&self) -> Result<u64, Refused> {
        let (done, wait) = std::sync::mpsc::sync_channel(1);
        self.append(&[], Waiter::Cut(done), true);
        wait.recv().unwrap_or(Err(Refused::Closing))
    }

    /// Removes the segments before `number`.
    pub(crate) fn drop_before(&self, number: u64) -> io::Result<()> {
        for old in segment::list(&self.directory)? {
            if old < number {
                disk::remove(&segment::path_of(&self.directory, old))?;
            }
        }
        disk::sync_directory(&self.directory)?;
        self.shared.counters.bytes.store(bytes_in(&self.directory)?, Relaxed);
        Ok(())
    }

    /// Returns what is measured.
    pub(crate) fn counters(&self) -> &JournalCounters {
        &self.shared.counters
    }

    /// Tells whether a write or a sync failed for another reason than a full disk.
    pub(crate) fn is_broken(&self) -> bool {
        self.shared.is_broken.load(Relaxed)
    }

    /// Lets the thread panic at the next group.
    #[cfg(test)]
    pub(crate) fn panic_next(&self) {
        self.shared.panics.store(true, Relaxed);
    }

    /// Tells whether the thread has ended although nobody stopped it.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread
            .try_lock()
            .is_some_and(|thread| thread.as_ref().is_some_and(JoinHandle::is_finished))
    }

    /// Writes what is left and ends the thread. Later appends are refused.
    pub(crate) fn stop(&self) {
        self.shared.pending.lock().is_stopping = true;
        self.shared.filled.notify_one();
        self.shared.taken.notify_all();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's thread panicked");
        }
    }
}

fn bytes_in(directory: &Path) -> io::Result<u64> {
    let length = |number| Ok(std::fs::metadata(segment::path_of(directory, number))?.len());
    segment::list(directory)?.into_iter().map(length).sum()
}

/// Tells a waiter; who no longer waits does not need to be told.
fn tell(waiter: Waiter, outcome: Result<(), Refused>) {
    let is_heard = match waiter {
        Waiter::Samples(sender, accepted) => sender.send(outcome.map(|()| accepted)).is_ok(),
        Waiter::Records(_, sender) => sender.send(outcome).is_ok(),
        Waiter::Cut(sender) => sender.send(outcome.map(|()| 0)).is_ok(),
    };
    tracing::trace!(is_heard, "an entry of the journal is answered");
}

struct Writer {
    shared: Arc<Shared>,
    directory: PathBuf,
    segment: Segment,
    interval: Duration,
    apply: ApplyRecords,
}

/// Refuses everything once the thread has panicked: nobody may wait for it.
struct Refusing(Arc<Shared>);

impl Drop for Refusing {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        self.0.is_broken.store(true, Relaxed);
        let mut pending = self.0.pending.lock();
        pending.is_stopping = true;
        let waiters = std::mem::take(&mut pending.waiters);
        drop(pending);
        self.0.taken.notify_all();
        for waiter in waiters {
            tell(waiter, Err(Refused::Broken));
        }
    }
}

impl Writer {
    fn run(mut self) {
        let _refusing = Refusing(Arc::clone(&self.shared));
        while let Some(group) = self.next_group() {
            self.write(group);
        }
    }

    /// Waits for a group; `None` when the journal stops and nothing is left.
    fn next_group(&self) -> Option<Pending> {
        let mut pending = self.shared.pending.lock();
        loop {
            if let Some(since) = pending.since {
                let left = self.interval.saturating_sub(since.elapsed());
                if pending.is_urgent || pending.is_stopping || left.is_zero() {
                    break;
                }
                self.shared.filled.wait_for(&mut pending, left);
            } else if pending.is_stopping {
                return None;
            } else {
                self.shared.filled.wait(&mut pending);
            }
        }
        let is_stopping = pending.is_stopping;
        let group = std::mem::take(&mut *pending);
        pending.is_stopping = is_stopping;
        drop(pending);
        self.shared.taken.notify_all();
        Some(group)
    }

    fn write(&mut self, group: Pending) {
        #[cfg(test)]
        assert!(!self.shared.panics.load(Relaxed), "a fault of the test");
        let outcome = self.append(&group.framed);
        for waiter in group.waiters {
            match (outcome, waiter) {
                (Ok(()), Waiter::Records(batch, sender)) => {
                    let applied = (self.apply)(&batch);
                    tell(Waiter::Records(batch, sender), applied);
                }
                (Ok(()), Waiter::Cut(sender)) => {
                    let number = self.rotate().map(|()| self.segment.number);
                    // A cut that nobody waits for any more is done all the same.
                    if sender.send(number).is_err() {
                        tracing::debug!("nobody waits for a new journal segment");
                    }
                }
                (outcome, waiter) => tell(waiter, outcome),
            }
        }
        if outcome.is_ok()
            && self.segment.length >= SEGMENT_BYTES
            && let Err(refused) = self.rotate()
        {
            // The old segment goes on; the next group tries again.
            tracing::warn!(reason = refused.as_str(), "cannot begin a new journal segment");
        }
    }

    fn append(&mut self, framed: &[u8]) -> Result<(), Refused> {
        if self.shared.is_broken.load(Relaxed) {
            return Err(Refused::Broken);
        }
        if framed.is_empty() {
            return Ok(());
        }
        let before = Instant::now();
        let appended = self.segment.append(framed);
        let counters = &self.shared.counters;
        counters.syncs.fetch_add(1, Relaxed);
        counters.sync_micros.fetch_add(before.elapsed().as_micros() as u64, Relaxed);
        match appended {
            Ok(()) => {
                counters.bytes.fetch_add(framed.len() as u64, Relaxed);
                counters.written.fetch_add(framed.len() as u64, Relaxed);
                Ok(())
            }
            Err(error) => Err(self.refuse(&error, "write to the journal")),
        }
    }

    fn rotate(&mut self) -> Result<(), Refused> {
        match Segment::create(&self.directory, self.segment.number + 1) {
            Ok(segment) => {
                self.shared.counters.bytes.fetch_add(segment.length, Relaxed);
                self.segment = segment;
                Ok(())
            }
            Err(error) => Err(self.refuse(&error, "begin a journal segment")),
        }
    }

    /// A full disk is a state that passes; after any other error nobody knows what the disk holds
    /// (a failed `fsync` may have dropped the pages), and nothing more is acknowledged.
    fn refuse(&self, error: &io::Error, what: &str) -> Refused {
        let is_full =
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        if is_full {
            self.shared.counters.full.fetch_add(1, Relaxed);
            return Refused::DiskFull;
        }
        tracing::error!(%error, "cannot {what}; nothing more is taken in until a restart");
        self.shared.is_broken.store(true, Relaxed);
        Refused::Broken
    }
}
