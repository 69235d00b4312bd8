//! Brings the queue to the server, oldest first, one body at a time.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use noroshi_model::{Clock, frame};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::backoff::{Backoff, jitter};
use super::client::{Client, Looks, Receipt, SendError};
use super::counters::{Counters, DropReason, FailureKind};
use super::queue::{Parcel, Queue};
use crate::plugins::Asked;

/// Most bytes of compressed frames in one body, but for a single frame that has more. A second on a
/// slow line; a failure repeats no more than this, and no more than a few of it are in memory.
const BODY_BYTES_MAX: usize = 128 << 10;

/// Most frames in one body; decompressed they stay far below what a server reads.
const FRAMES_MAX: usize = 256;

/// How long the end waits for the server; then what is unsent goes to the spool.
const LAST_SEND_TIMEOUT: Duration = Duration::from_millis(600);

/// Owns the queue and the connection.
pub(crate) struct Delivery {
    /// Away while something is being sent.
    client: Option<Client>,
    queue: Queue,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    backoff: Backoff,
    /// No attempt before this.
    not_before: Instant,
    /// Less than [`FRAMES_MAX`] while the server refuses bodies.
    frames_max: usize,
    /// What the last attempt failed of: told once, not at each attempt.
    failing: Option<FailureKind>,
    /// Where it goes what the server asks for.
    ask: mpsc::Sender<Asked>,
}

/// A body on its way; gives back the client, what was sent, and what became of it.
type Sending = Pin<Box<dyn Future<Output = Sent> + Send>>;

struct Sent {
    client: Client,
    parcel: Parcel,
    body_bytes: usize,
    result: Result<Receipt, SendError>,
}

impl Delivery {
    pub(crate) fn new(
        client: Client,
        queue: Queue,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        ask: mpsc::Sender<Asked>,
    ) -> Self {
        Self {
            client: Some(client),
            queue,
            clock,
            counters,
            backoff: Backoff::default(),
            not_before: Instant::now(),
            frames_max: FRAMES_MAX,
            failing: None,
            ask,
        }
    }

    /// Runs until the other end of `arriving` closes and what arrived is sent or on disk.
    pub(crate) async fn run(mut self, mut arriving: mpsc::Receiver<Vec<u8>>) {
        let mut sending: Option<Sending> = None;
        loop {
            if sending.is_none() && Instant::now() >= self.not_before {
                sending = self.begin();
            }
            let is_waiting = sending.is_none() && self.queue.frames() > 0;
            tokio::select! {
                frame = arriving.recv() => match frame {
                    Some(frame) => self.queue.push(frame),
                    None => break,
                },
                sent = async { sending.as_mut()?.await.into() }, if sending.is_some() => {
                    sending = None;
                    if let Some(sent) = sent {
                        self.finish(sent);
                    }
                }
                () = sleep_until(self.not_before), if is_waiting => {}
            }
        }
        self.end(sending).await;
    }

    /// Starts to send the oldest frames; `None` when there are none.
    fn begin(&mut self) -> Option<Sending> {
        let parcel = self.queue.front(self.frames_max, BODY_BYTES_MAX)?;
        let mut client = self.client.take()?;
        let mut body = frame::encode_body(self.clock.now(), &[]);
        body.reserve_exact(parcel.frames.iter().map(Vec::len).sum());
        for frame in &parcel.frames {
            body.extend_from_slice(frame);
        }
        let body_bytes = body.len();
        Some(Box::pin(async move {
            let result = client.send(Bytes::from(body)).await;
            Sent { client, parcel, body_bytes, result }
        }))
    }

    /// Takes note of what became of a body.
    fn finish(&mut self, sent: Sent) {
        self.client = Some(sent.client);
        match sent.result {
            Ok(receipt) => {
                self.queue.remove(&sent.parcel);
                self.queue.succeeded();
                self.backoff.succeeded();
                self.frames_max = FRAMES_MAX;
                self.counters.count_sent(sent.parcel.frames.len(), sent.body_bytes);
                self.report_success(&sent.parcel, receipt);
            }
            Err(error) => {
                self.counters.count_failure(error.kind());
                if matches!(error, SendError::Refused { .. }) {
                    self.split(&sent.parcel, &error);
                } else {
                    self.queue.failed();
                    let pause = self.backoff.failed(error.retry_after(), jitter());
                    self.not_before = Instant::now() + pause;
                    self.report_failure(&error, pause);
                }
            }
        }
    }

    /// Halves the bodies, so that the frame that the server refuses is found; gives it up then.
    fn split(&mut self, parcel: &Parcel, error: &SendError) {
        let frames = parcel.frames.len();
        if frames > 1 {
            self.frames_max = frames / 2;
            tracing::debug!(%error, frames, "body refused; sending half of it");
        } else {
            self.queue.remove(parcel);
            self.frames_max = FRAMES_MAX;
            self.counters.count_dropped(DropReason::Refused, 1);
            tracing::error!(%error, "one reading is given up");
        }
    }

    fn report_success(&mut self, parcel: &Parcel, receipt: Receipt) {
        if self.failing.take().is_some() {
            tracing::info!(waiting_frames = self.queue.frames(), "the server takes readings again");
        }
        let Receipt { accepted, too_old, in_future, over_budget, run, looks } = receipt;
        if let (Some(Looks { version, list }), Some(client)) = (looks, &mut self.client) {
            tracing::debug!(version, count = list.len(), "the server says what to look at");
            // What is not taken now is told again with the next answer.
            if self.ask.try_send(Asked::Look(list)).is_ok() {
                client.has_looks(version);
            }
        }
        if !run.is_empty() && self.ask.try_send(Asked::Run(run)).is_err() {
            tracing::debug!("the server asks for more than can be run");
        }
        let frames = parcel.frames.len();
        tracing::debug!(frames, accepted, "sent");
        if in_future > 0 || over_budget > 0 {
            tracing::warn!(
                in_future,
                over_budget,
                "the server refused samples: is this host's clock right, has it too many series?",
            );
        } else if too_old > 0 {
            tracing::info!(too_old, "the server keeps no samples as old as these");
        }
    }

    fn report_failure(&mut self, error: &SendError, pause: Duration) {
        let cause = error.source().map(noroshi_model::chain).unwrap_or_default();
        let (kind, pause_ms) = (error.kind().as_str(), pause.as_millis() as u64);
        let is_news = self.failing.replace(error.kind()) != Some(error.kind());
        if is_news {
            let keeps = if self.queue.has_spool() { "on disk" } else { "in memory" };
            tracing::warn!(%error, cause, kind, pause_ms, "cannot send; readings wait {keeps}");
        } else {
            tracing::debug!(%error, cause, kind, pause_ms, "still cannot send");
        }
    }

    /// Finishes what is on its way and goes on until nothing waits or the server refuses.
    async fn send_last(&mut self, mut sending: Option<Sending>) {
        while let Some(next) = sending.take().or_else(|| self.begin()) {
            let sent = next.await;
            let is_taken = sent.result.is_ok();
            self.finish(sent);
            if !is_taken {
                break;
            }
        }
    }

    /// Sends what it can in a short time and puts the rest on disk.
    async fn end(mut self, sending: Option<Sending>) {
        // A server that is away is not asked again for the sake of the end.
        if Instant::now() >= self.not_before {
            // When time is up, what was on its way is still in the queue and goes to disk.
            drop(timeout(LAST_SEND_TIMEOUT, self.send_last(sending)).await);
        }
        self.queue.close();
        let unsent = self.queue.frames();
        match (unsent, self.queue.has_spool()) {
            (0, _) => tracing::info!("agent ends; everything is sent"),
            (_, true) => tracing::info!(unsent, "agent ends; unsent readings are on disk"),
            (_, false) => {
                tracing::warn!(unsent, "agent ends; unsent readings are lost (see --spool)");
            }
        }
    }
}
