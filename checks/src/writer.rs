//! The writer: the one task that changes the board, commits what changed, and tells of it.

use std::sync::Arc;
use std::time::Duration;

use noroshi_model::seam::{RECORD_BYTES_MAX, change_bytes};
use noroshi_model::{Batch, CheckId, CheckResult, RecordBatch, Sample, Sink, Space, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::board::{Board, HandlerCall, Out};
use crate::checks::Deps;
use crate::handler::Handlers;
use crate::plugin::Plugins;
use crate::probe::More;
use crate::samples;
use crate::schedule::Steady;
use crate::stats::{Counters, count};

/// How many messages are taken in one commit.
const BATCH_MAX: usize = 512;
/// How long results gather before they are judged together. Who acts does not wait for that.
const GATHER: Duration = Duration::from_millis(10);
/// How long performance data gathers before the store is given it: each batch is a write to disk.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);
/// How often downtimes and held problems are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How often states that are behind on disk are written, in times and outputs: those that matter
/// are written at once. Each costs as much as judging and storing a result (`bench/README.md`).
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// After so many times each has had its turn: what a kill may lose of times and outputs is a
/// minute's.
const FLUSH_ROUND: usize = 12;
/// How many states are written in one commit.
const FLUSH_MAX: usize = 1000;
/// How many bytes go into one commit; a round that has more is committed in parts. The store takes
/// four times as many.
const COMMIT_BYTES_MAX: usize = 8 << 20;
/// How long the writer waits before it tries again to commit.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many rounds' performance data waits for the store, five seconds' or more; a further one's is
/// dropped and counted.
const SAMPLES_MAX: usize = 512;
/// How many event handlers run at once; further ones wait.
const HANDLERS_MAX: usize = 16;
/// How many event handlers wait; a further one is dropped and logged.
const HANDLERS_WAITING_MAX: usize = 1024;

/// Does something to the board; what it returns is called when that is durable.
pub(crate) type Action =
    Box<dyn FnOnce(&mut Board, Timestamp, i64) -> Box<dyn FnOnce() + Send> + Send>;

/// What the writer is told.
pub(crate) enum Message {
    /// A run has ended.
    Result(Box<CheckResult>, More),
    /// Somebody wants something done.
    Act(Action),
}

/// The one task that changes the board.
pub(crate) struct Writer {
    pub(crate) deps: Deps,
    pub(crate) board: Arc<Mutex<Board>>,
    pub(crate) steady: Steady,
    pub(crate) committed: watch::Sender<u64>,
    pub(crate) updates: broadcast::Sender<CheckId>,
    pub(crate) due: Arc<Notify>,
    pub(crate) to_write: Arc<Notify>,
    pub(crate) plugins: Arc<Plugins>,
    /// Where handlers tell how they ended.
    pub(crate) messages: mpsc::Sender<Message>,
    pub(crate) counters: Arc<Counters>,
}

/// What of one round is done after the commit.
#[derive(Default)]
struct Round {
    replies: Vec<Box<dyn FnOnce() + Send>>,
}

/// Where it goes that is not committed here.
struct Outlets {
    samples: mpsc::Sender<Vec<Sample>>,
    handlers: mpsc::Sender<HandlerCall>,
}

impl Writer {
    /// Takes messages until `stop`, then what is left, and writes every state once more.
    pub(crate) async fn run(self, mut inbox: mpsc::Receiver<Message>, stop: CancellationToken) {
        let (samples, publishing) = mpsc::channel(SAMPLES_MAX);
        let (handlers, handling) = mpsc::channel(HANDLERS_WAITING_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(publish(Arc::clone(&self.deps.sink), publishing, Arc::clone(&self.counters)));
        let runs = Handlers {
            clock: Arc::clone(&self.deps.clock),
            plugins: Arc::clone(&self.plugins),
            messages: self.messages.clone(),
            counters: Arc::clone(&self.counters),
        };
        tasks.spawn(runs.run(handling, HANDLERS_MAX, stop.clone()));
        let outlets = Outlets { samples, handlers };
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut flushes = interval(FLUSH_EVERY);
        flushes.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut messages = Vec::with_capacity(BATCH_MAX);
        loop {
            let (mut is_flush, mut is_stop) = (false, false);
            tokio::select! {
                _ = inbox.recv_many(&mut messages, BATCH_MAX) => {
                    self.gather(&mut inbox, &mut messages, &stop).await;
                }
                _ = ticks.tick() => {}
                _ = flushes.tick() => is_flush = true,
                () = self.to_write.notified() => {}
                () = stop.cancelled() => {
                    is_stop = true;
                    inbox.close();
                    while let Ok(message) = inbox.try_recv() {
                        messages.push(message);
                    }
                }
            }
            let round = self.take(&mut messages);
            let out = std::mem::take(&mut self.board.lock().out);
            self.finish(round, out, &outlets, is_stop).await;
            if is_flush || is_stop {
                self.flush(is_stop).await;
            }
            if is_stop {
                break;
            }
        }
        drop(outlets);
        while tasks.join_next().await.is_some() {}
    }

    /// Lets further results come, unless somebody waits for an action.
    async fn gather(
        &self,
        inbox: &mut mpsc::Receiver<Message>,
        messages: &mut Vec<Message>,
        stop: &CancellationToken,
    ) {
        let is_result = |message: &Message| matches!(message, Message::Result(..));
        if messages.len() >= BATCH_MAX || !messages.iter().all(is_result) {
            return;
        }
        tokio::select! {
            () = sleep(GATHER) => {}
            // The inbox is not looked at: each result would be a wake-up.
            () = self.to_write.notified() => {}
            () = stop.cancelled() => {}
        }
        while messages.len() < BATCH_MAX
            && let Ok(message) = inbox.try_recv()
        {
            messages.push(message);
        }
    }

    /// Lets the messages change the board.
    fn take(&self, messages: &mut Vec<Message>) -> Round {
        let (now, steady) = (self.deps.clock.now(), self.steady.now());
        let mut round = Round::default();
        let mut board = self.board.lock();
        for message in messages.drain(..) {
            match message {
                Message::Result(result, more) => {
                    count(&self.counters.results, 1);
                    self.counters.latency.note(result.latency);
                    self.counters.run_time.note(result.finished.since(result.started));
                    let status = board.take_result(&result, more.judged, now, steady);
                    samples::add(&mut board.out.samples, &result, &more.measures, status);
                }
                Message::Act(action) => round.replies.push(action(&mut board, now, steady)),
            }
        }
        board.tick(now);
        board.release_held(now, steady);
        board.follow_members(now, steady);
        round
    }

    /// Commits what changed and tells of it.
    async fn finish(&self, round: Round, out: Out, outlets: &Outlets, is_final: bool) {
        if out.is_due_sooner {
            self.due.notify_one();
        }
        if !self.commit(out.batch, is_final).await {
            return;
        }
        if let Some(newest) = out.newest {
            self.committed.send_replace(newest);
        }
        for id in out.updated {
            // Nobody may be listening.
            drop(self.updates.send(id));
        }
        for reply in round.replies {
            reply();
        }
        for call in out.handlers {
            let id = call.id.clone();
            if outlets.handlers.try_send(call).is_err() {
                count(&self.counters.handlers_dropped, 1);
                tracing::error!(check = %id, "event handler not run: too many wait");
            }
        }
        if !out.samples.is_empty() {
            let samples = out.samples.len();
            if outlets.samples.try_send(out.samples).is_err() {
                count(&self.counters.samples_dropped, samples);
                tracing::warn!(samples, "performance data dropped: the store is behind");
            }
        }
    }

    /// Makes a batch durable, however long it takes; false only when that failed at the stop.
    async fn commit(&self, mut batch: RecordBatch, is_final: bool) -> bool {
        // What the store will never take must not keep back all that comes after it.
        batch.changes.retain(|change| {
            let (space, bytes) = (change.0, change_bytes(change));
            if bytes > RECORD_BYTES_MAX {
                tracing::error!(?space, bytes, "a record is too large and is left out");
            }
            bytes <= RECORD_BYTES_MAX
        });
        for part in parts(batch, COMMIT_BYTES_MAX) {
            if !self.commit_part(part, is_final).await {
                return false;
            }
        }
        true
    }

    async fn commit_part(&self, batch: RecordBatch, is_final: bool) -> bool {
        loop {
            let (records, copy) = (Arc::clone(&self.deps.records), batch.clone());
            let committed = tokio::task::spawn_blocking(move || records.commit(copy)).await;
            match committed {
                Ok(Ok(())) => return true,
                Ok(Err(error)) => {
                    count(&self.counters.commits_failed, 1);
                    tracing::error!(
                        error = noroshi_model::chain(&error),
                        "cannot write states and events"
                    );
                }
                Err(error) => tracing::error!(%error, "writing states and events panicked"),
            }
            if is_final {
                return false;
            }
            sleep(RETRY_AFTER).await;
        }
    }

    /// Writes states that are behind on disk: those whose turn it is, at the end all.
    async fn flush(&self, is_final: bool) {
        let all = self.board.lock().entries.len();
        let mut left = if is_final { usize::MAX } else { all.div_ceil(FLUSH_ROUND).max(1) };
        while left > 0 {
            let number = left.min(FLUSH_MAX);
            left -= number;
            let (is_all, batch) = {
                let mut board = self.board.lock();
                let is_all = board.write_dirty(number);
                let board = &mut *board;
                board.runs.beat(&mut board.out.batch, self.deps.clock.now());
                (is_all, std::mem::take(&mut board.out.batch))
            };
            if !self.commit(batch, is_final).await || is_all {
                return;
            }
        }
    }
}

/// Cuts a batch into parts of little more than `bytes_max`; none is empty.
///
/// An event and what it made of a state or downtime stay together: a kill between two parts leaves
/// nothing half done.
fn parts(batch: RecordBatch, bytes_max: usize) -> Vec<RecordBatch> {
    let mut parts = Vec::new();
    let (mut part, mut bytes) = (RecordBatch::new(), 0);
    for change in batch.changes {
        let before = part.changes.last().map(|(space, ..)| *space);
        // A state is written behind its events, a downtime or comment before them.
        let is_end = before == Some(Space::States)
            || before == Some(Space::Events) && change.0 == Space::Marks;
        if bytes >= bytes_max && is_end {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += change_bytes(&change);
        part.changes.push(change);
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Hands performance data to the store, all that has gathered in one batch.
async fn publish(
    sink: Arc<dyn Sink>,
    mut samples: mpsc::Receiver<Vec<Sample>>,
    counters: Arc<Counters>,
) {
    let mut gathered = Vec::new();
    let mut metas = samples::metas();
    let mut last: Option<Instant> = None;
    while samples.recv_many(&mut gathered, SAMPLES_MAX).await > 0 {
        if let Some(last) = last {
            sleep_until(last + PUBLISH_EVERY).await;
        }
        while let Ok(further) = samples.try_recv() {
            gathered.push(further);
        }
        let all: Vec<Sample> = gathered.drain(..).flatten().collect();
        let number = all.len();
        let batch = Batch { samples: all, metas: std::mem::take(&mut metas), ..Batch::default() };
        last = Some(Instant::now());
        if let Err(error) = sink.submit(batch).await {
            metas = samples::metas();
            count(&counters.samples_dropped, number);
            tracing::warn!(samples = number, reason = error.as_str(), "performance data not taken");
        }
    }
}

#[cfg(test)]
mod tests;
