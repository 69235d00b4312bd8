//! Runs the polls of a site: each target in a task of its own, started, changed and ended here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::time::millis;
use noroshi_model::{Batch, Clock, Sink, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::poll::{Key, PollFailure, PollSpec, Session, guarded};
use crate::reading::{Booker, Labelled};
use crate::schedule::{first_delay, next_delay};

/// Most polls that wait for an answer at once. Full: further ones wait, and their turn is skipped
/// when it takes too long. Far below the usual bound of 1024 open files.
const POLLS_AT_ONCE: usize = 256;

/// Asks the targets of a site.
pub struct Collector {
    clock: Arc<dyn Clock>,
    sink: Arc<dyn Sink>,
    /// What is to be asked, with what became of it.
    wanted: Mutex<BTreeMap<Key, Arc<Poll>>>,
    changed: Notify,
    permits: Semaphore,
}

/// What [`Collector::apply`] changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Targets that are new.
    pub added: usize,
    /// Targets that are asked otherwise.
    pub changed: usize,
    /// Targets that are not asked any more.
    pub removed: usize,
}

/// What became of the polls of one target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PollStatus {
    /// The host.
    pub instance: String,
    /// The poller.
    pub kind: &'static str,
    /// The label `job`.
    pub job: String,
    /// Where it is.
    pub address: String,
    /// From one poll to the next, in milliseconds.
    pub interval_ms: i64,
    /// When the last poll began; `None` before the first has ended.
    pub last_run: Option<Timestamp>,
    /// When a poll last succeeded.
    pub last_success: Option<Timestamp>,
    /// How long the last poll took, in milliseconds.
    pub duration_ms: f64,
    /// How many samples the last poll gave.
    pub samples: usize,
    /// Stable name of the last poll's failure; `None` when it succeeded.
    pub failure: Option<&'static str>,
    /// The failure in words, with its causes.
    pub failure_text: Option<String>,
    /// Polls since the start of the server.
    pub runs: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Turns that were skipped because the poll before was not over.
    pub skipped: u64,
}

/// One target with its status.
struct Poll {
    key: Key,
    spec: PollSpec,
    status: Mutex<PollStatus>,
}

impl Poll {
    fn new(key: Key, spec: PollSpec) -> Self {
        let status = PollStatus {
            instance: spec.instance.clone(),
            kind: key.kind,
            job: key.job.clone(),
            address: spec.target.address().to_owned(),
            interval_ms: millis(spec.interval),
            last_run: None,
            last_success: None,
            duration_ms: 0.0,
            samples: 0,
            failure: None,
            failure_text: None,
            runs: 0,
            failures: 0,
            skipped: 0,
        };
        Self { key, spec, status: Mutex::new(status) }
    }

    /// Notes the end of a poll; logs when success became failure or the other way.
    fn note(&self, at: Timestamp, duration: Duration, result: &Result<Labelled, PollFailure>) {
        let mut status = self.status.lock();
        let before = status.failure;
        status.last_run = Some(at);
        status.duration_ms = duration.as_secs_f64() * 1000.0;
        status.runs += 1;
        status.failure = result.as_ref().err().map(PollFailure::as_str);
        status.failure_text = result.as_ref().err().map(PollFailure::to_chain);
        status.samples = result.as_ref().map_or(0, |labelled| labelled.scraped);
        match result {
            Ok(_) => status.last_success = Some(at),
            Err(_) => status.failures += 1,
        }
        let (instance, kind, job) = (&status.instance, status.kind, &status.job);
        match (before, &status.failure_text) {
            (before, Some(error)) if before != status.failure => {
                let failure = status.failure;
                tracing::warn!(instance, kind, job, failure, error, "a poll fails");
            }
            (Some(_), None) => tracing::info!(instance, kind, job, "the poll succeeds again"),
            _ => {}
        }
    }
}

/// A task that asks one target.
struct Running {
    poll: Arc<Poll>,
    ends: Ends,
    task: JoinHandle<Option<Booker>>,
}

/// The ways in which the asking of one target ends.
#[derive(Clone)]
struct Ends {
    /// The server stops; the next start asks again.
    stop: CancellationToken,
    /// The target is not wanted any more.
    removed: CancellationToken,
    /// A task with another configuration of the target waits for this one's end.
    replaced: CancellationToken,
}

impl Collector {
    /// Makes a collector without targets.
    pub fn new(clock: Arc<dyn Clock>, sink: Arc<dyn Sink>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            sink,
            wanted: Mutex::new(BTreeMap::new()),
            changed: Notify::new(),
            permits: Semaphore::new(POLLS_AT_ONCE),
        })
    }

    /// Sets what is asked from now on, as a difference: a target that stays as it is keeps its
    /// phase, its connection and its status. Of two specs for one host, kind and job the last wins.
    pub fn apply(&self, specs: Vec<PollSpec>) -> Applied {
        let mut applied = Applied::default();
        let mut wanted = self.wanted.lock();
        let mut before = std::mem::take(&mut *wanted);
        let specs: BTreeMap<Key, PollSpec> =
            specs.into_iter().map(|spec| (spec.key(), spec)).collect();
        for (key, spec) in specs {
            let poll = match before.remove(&key) {
                Some(poll) if poll.spec == spec => poll,
                Some(_) => {
                    applied.changed += 1;
                    Arc::new(Poll::new(key.clone(), spec))
                }
                None => {
                    applied.added += 1;
                    Arc::new(Poll::new(key.clone(), spec))
                }
            };
            wanted.insert(key, poll);
        }
        applied.removed = before.len();
        drop(wanted);
        self.changed.notify_one();
        applied
    }

    /// Returns what became of all polls, ordered by host, kind and job.
    pub fn status(&self) -> Vec<PollStatus> {
        self.wanted.lock().values().map(|poll| poll.status.lock().clone()).collect()
    }

    /// Asks the targets until `stop`, then waits for the polls under way to be given up.
    pub async fn run(self: &Arc<Self>, stop: CancellationToken) {
        let mut running: BTreeMap<Key, Running> = BTreeMap::new();
        loop {
            self.reconcile(&mut running, &stop);
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.changed.notified() => {}
            }
        }
        for running in running.into_values() {
            if let Err(error) = running.task.await {
                tracing::error!(%error, "a task of the collector panicked");
            }
        }
    }

    /// Starts and ends tasks until they are those that are wanted.
    ///
    /// A task whose target changed or went is waited for by its successor, so that no target is
    /// ever asked twice at once.
    fn reconcile(self: &Arc<Self>, running: &mut BTreeMap<Key, Running>, stop: &CancellationToken) {
        let wanted = self.wanted.lock().clone();
        running.retain(|key, old| {
            if !wanted.contains_key(key) {
                old.ends.removed.cancel();
            }
            wanted.contains_key(key) || !old.task.is_finished()
        });
        for (key, poll) in wanted {
            let mut before = None;
            if let Some(old) = running.remove(&key) {
                if Arc::ptr_eq(&old.poll, &poll) && !old.ends.removed.is_cancelled() {
                    running.insert(key, old);
                    continue;
                }
                old.ends.replaced.cancel();
                before = Some(old.task);
            }
            let (removed, replaced) = (CancellationToken::new(), CancellationToken::new());
            let ends = Ends { stop: stop.clone(), removed, replaced };
            let task = Task { collector: Arc::clone(self), poll: Arc::clone(&poll) };
            let task = tokio::spawn(task.run(before, ends.clone()));
            running.insert(key, Running { poll, ends, task });
        }
    }
}

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Collector({} polls)", self.wanted.lock().len())
    }
}

/// Asks one target on and on.
struct Task {
    collector: Arc<Collector>,
    poll: Arc<Poll>,
}

impl Task {
    /// Asks until one of the ends; returns what a successor has to know.
    async fn run(self, before: Option<JoinHandle<Option<Booker>>>, ends: Ends) -> Option<Booker> {
        let mut booker = Booker::new(&self.poll.spec);
        if let Some(before) = before {
            match before.await {
                Ok(Some(before)) => {
                    let end = booker.inherit(before, self.collector.clock.now());
                    self.submit(end, &mut booker).await;
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "a task of the collector panicked"),
            }
        }
        tokio::select! {
            () = ends.stop.cancelled() => return None,
            () = ends.replaced.cancelled() => return Some(booker),
            () = ends.removed.cancelled() => {}
            () = self.poll_on(&mut booker) => {}
        }
        let end = booker.end(self.collector.clock.now());
        self.submit(end, &mut booker).await;
        None
    }

    async fn poll_on(&self, booker: &mut Booker) {
        let Poll { key, spec, .. } = &*self.poll;
        let mut session = Session::default();
        tokio::time::sleep(first_delay(key, spec.interval)).await;
        loop {
            let started = Instant::now();
            self.poll_once(&mut session, booker).await;
            let delay = next_delay(key, spec.interval, self.collector.clock.now());
            let turns = started.elapsed().as_secs_f64() / spec.interval.as_secs_f64();
            self.poll.status.lock().skipped += turns as u64;
            tokio::time::sleep(delay).await;
        }
    }

    async fn poll_once(&self, session: &mut Session, booker: &mut Booker) {
        // The semaphore is never closed: without a permit the poll would only be less bounded.
        let permit = self.collector.permits.acquire().await;
        let (at, started) = (self.collector.clock.now(), Instant::now());
        let spec = &self.poll.spec;
        let result = guarded(session, &spec.target, spec.timeout()).await;
        drop(permit);
        let result = result.and_then(|reading| reading.labelled(booker.labels()));
        let duration = started.elapsed();
        self.poll.note(at, duration, &result);
        let batch = booker.book(at, duration, &result, &spec.target);
        self.submit(batch, booker).await;
    }

    async fn submit(&self, batch: Batch, booker: &mut Booker) {
        if batch.samples.is_empty() {
            return;
        }
        if let Err(refused) = self.collector.sink.submit(batch).await {
            booker.resend();
            let (instance, kind) = (&self.poll.spec.instance, self.poll.key.kind);
            let reason = refused.as_str();
            tracing::error!(instance, kind, reason, "the samples of a poll are lost");
        }
    }
}
