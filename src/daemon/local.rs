//! Watches the machine that the server runs on, with the agent's own sources.

use std::sync::Arc;
use std::time::Duration;

use noroshi_agent::sources::{Reader, Roots};
use noroshi_model::{Batch, Clock, Sink};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// The label `job` of what agents and these sources report, as `node_exporter`'s users name it.
const JOB: &str = "node";

/// Reads `/proc` and hands the samples in as host `instance`.
pub(super) struct Watch {
    instance: String,
    step: Duration,
    sink: Arc<dyn Sink>,
    clock: Arc<dyn Clock>,
    reader: Reader,
    /// The disk budget had no room for a series of the last reading.
    is_over_budget: bool,
}

impl Watch {
    /// Makes a watch that reads every `step`.
    pub(super) fn new(
        instance: String,
        step: Duration,
        sink: Arc<dyn Sink>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            instance,
            step,
            sink,
            clock,
            reader: Reader::new(Roots::default()),
            is_over_budget: false,
        }
    }

    /// Reads every step until `stop`, the first time a step from now.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval_at(Instant::now() + self.step, self.step);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.read().await,
            }
        }
    }

    /// Reads once. Cancel: the reading is lost, and the sources begin anew.
    pub(super) async fn read(&mut self) {
        let now = self.clock.now();
        let mut reader = std::mem::replace(&mut self.reader, Reader::new(Roots::default()));
        let reading = tokio::task::spawn_blocking(move || {
            let batch = reader.read(now);
            (reader, batch)
        });
        let batch = match reading.await {
            Ok((reader, batch)) => {
                self.reader = reader;
                batch
            }
            Err(error) => {
                tracing::error!(%error, "a source of this machine panicked; it begins anew");
                return;
            }
        };
        match self.sink.submit(self.labelled(batch)).await {
            Ok(accepted) => self.tell_budget(accepted.over_budget),
            Err(refused) => {
                tracing::warn!(reason = refused.as_str(), "samples of this machine were refused");
            }
        }
    }

    /// Says once that series are refused: on a small disk none may fit, and nothing is seen then.
    fn tell_budget(&mut self, refused: usize) {
        let is_over_budget = refused > 0;
        if is_over_budget && !self.is_over_budget {
            tracing::error!(
                refused,
                "the disk is too small for these series; `noroshi plan` tells what they need"
            );
        }
        self.is_over_budget = is_over_budget;
    }

    /// Adds `instance` and `job`.
    fn labelled(&self, mut batch: Batch) -> Batch {
        for sample in &mut batch.samples {
            let mut labels = sample.labels.to_builder();
            sample.labels = labels.set("instance", &self.instance).set("job", JOB).build();
        }
        batch.interval = Some(self.step);
        batch
    }
}
