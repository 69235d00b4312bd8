//! Reads at each step and packs what was read.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::frame::{self, Frame, HostIdentity, PluginResult};
use noroshi_model::time::millis;
use noroshi_model::{Batch, Clock, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::Settings;
use super::counters::Counters;
use super::pack::Packer;
use crate::identity;
use crate::labels;
use crate::plugins::{self, Found, PluginSpec};
use crate::sources::Reader;

/// How often all metas are sent again: a server whose folder was replaced learns them in an hour.
const DESCRIBE_INTERVAL: Duration = Duration::from_hours(1);

/// Most results in one frame: with the longest output they take 4 MiB.
const RESULTS_MAX: usize = 64;
/// With a longer step, every result goes at once.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// Owns the reader.
pub(crate) struct Measuring {
    clock: Arc<dyn Clock>,
    step: Duration,
    /// Moved to the thread that reads, and back.
    state: Option<State>,
}

/// What is needed to make one frame after the other.
struct State {
    reader: Reader,
    host: HostIdentity,
    run: u64,
    sequence: u64,
    step: Duration,
    counters: Arc<Counters>,
    /// Made for the first frame.
    packer: Option<Packer>,
    described_at: Timestamp,
    dropped_before: u64,
    /// The sources that failed the last time, so that each is told once.
    failed_before: Vec<&'static str>,
    plugins: Vec<PluginSpec>,
    labels: BTreeMap<String, String>,
}

impl Measuring {
    pub(crate) fn new(settings: &Settings, clock: Arc<dyn Clock>, counters: Arc<Counters>) -> Self {
        let now = clock.now();
        let reader = Reader::new(settings.roots.clone());
        let mut host = identity::read(&settings.roots, settings.host.as_deref());
        host.address.clone_from(&settings.address);
        let state = State {
            reader,
            host,
            run: now.as_millis().max(0).unsigned_abs(),
            sequence: 0,
            step: settings.step,
            counters,
            packer: None,
            described_at: now,
            dropped_before: 0,
            failed_before: Vec::new(),
            plugins: settings.plugins.clone(),
            labels: settings.labels.clone(),
        };
        Self { clock, step: settings.step, state: Some(state) }
    }

    /// Reads at once, then at each step, until `stop` or the other end of `frames` closes. Results
    /// of plug-ins go along with the next reading; what is news goes at once.
    pub(crate) async fn run(
        mut self,
        frames: mpsc::Sender<Vec<u8>>,
        mut found: mpsc::Receiver<Found>,
        stop: CancellationToken,
    ) {
        let mut ticks: Option<tokio::time::Interval> = None;
        let mut results = Vec::new();
        let mut is_reading = true;
        loop {
            let taken = std::mem::take(&mut results);
            let frame = tokio::select! {
                () = stop.cancelled() => return,
                frame = self.make(is_reading, taken) => frame,
            };
            if let Some(frame) = frame
                && frames.send(frame).await.is_err()
            {
                return;
            }
            let ticks = ticks.get_or_insert_with(|| self.ticks());
            is_reading = tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => true,
                () = gather(&mut found, &mut results, self.step) => false,
            };
        }
    }

    /// Returns the ticks after the first reading.
    ///
    /// They lie at a place within the step that depends on the host, so that not all hosts of a
    /// site send in the same second.
    fn ticks(&self) -> tokio::time::Interval {
        let mut hasher = DefaultHasher::new();
        if let Some(state) = &self.state {
            (&state.host.name, &state.host.machine_id).hash(&mut hasher);
        }
        let step = millis(self.step).max(1);
        let phase = (hasher.finish() % step.unsigned_abs()) as i64;
        let wait = (phase - self.clock.now().as_millis()).rem_euclid(step).max(1);
        let first = Instant::now() + Duration::from_millis(wait.unsigned_abs());
        let mut ticks = interval_at(first, self.step);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks
    }

    /// Makes a packed frame, with a reading or of results alone; `None` when it could not be made,
    /// which is logged.
    async fn make(&mut self, is_reading: bool, results: Vec<PluginResult>) -> Option<Vec<u8>> {
        let mut state = self.state.take()?;
        let now = self.clock.now();
        let work = move || {
            let batch = if is_reading { state.read(now) } else { Batch::new() };
            let packed = state.pack(batch, results);
            (state, packed)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok((state, packed)) => {
                self.state = Some(state);
                packed.map_err(|error| tracing::error!(%error, "cannot pack a reading")).ok()
            }
            Err(error) => {
                tracing::error!(%error, "cannot read any more");
                None
            }
        }
    }
}

/// Takes results in until there is one that should not wait for the next reading. Cancel: those
/// taken stay in `results`.
async fn gather(
    found: &mut mpsc::Receiver<Found>,
    results: &mut Vec<PluginResult>,
    step: Duration,
) {
    while let Some(Found { result, is_news }) = found.recv().await {
        results.push(result);
        if is_news || step > WAIT_MAX || results.len() >= RESULTS_MAX {
            return;
        }
    }
    // There are no plug-ins.
    std::future::pending::<()>().await;
}

impl State {
    fn read(&mut self, now: Timestamp) -> Batch {
        let dropped = self.counters.dropped();
        let is_due = now.since(self.described_at) >= DESCRIBE_INTERVAL || now < self.described_at;
        // A frame that was given up may have held metas.
        if is_due || dropped != self.dropped_before {
            self.reader.describe_again();
            self.described_at = now;
            self.dropped_before = dropped;
        }
        let counters = Arc::clone(&self.counters);
        let (plugins, labels) = (&self.plugins, &self.labels);
        let batch = self.reader.read_with(now, |out| {
            counters.push(out);
            plugins::describe(plugins, out);
            labels::describe(labels, out);
        });
        self.report_failures();
        batch
    }

    fn pack(&mut self, mut batch: Batch, results: Vec<PluginResult>) -> std::io::Result<Vec<u8>> {
        batch.interval = Some(self.step);
        self.sequence += 1;
        let host = self.host.clone();
        let frame = Frame { host, run: self.run, sequence: self.sequence, batch, results };
        let packer = match &mut self.packer {
            Some(packer) => packer,
            none => none.insert(Packer::new()?),
        };
        packer.pack(&frame::encode(&frame))
    }

    /// Logs each source that began to fail; one that the machine does not have only for debugging.
    fn report_failures(&mut self) {
        let failures = self.reader.failures();
        for (name, error) in failures.iter().filter(|(name, _)| !self.failed_before.contains(name))
        {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            let cause = cause.unwrap_or_default();
            if matches!(error, crate::sources::SourceError::Absent { .. }) {
                tracing::debug!(source = name, %error, "this machine has none");
            } else {
                tracing::warn!(source = name, %error, cause, "cannot read");
            }
        }
        self.failed_before = failures.iter().map(|(name, _)| *name).collect();
    }
}
