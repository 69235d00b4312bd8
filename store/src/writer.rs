//! The one thread that changes series: takes batches in order, journals them, appends.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use noroshi_model::seam::Accepted;
use noroshi_model::time::millis;
use noroshi_model::{Batch, MetricMeta, Refused};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::catalogue::hash_labels;
use crate::codec::Point;
use crate::entry::{SamplesWriter, SourceFacts, put_metas, put_series};
use crate::finder::Finder;
use crate::head::{Head, LATE_SAMPLES, Put};
use crate::inner::{Counters, Inner};
use crate::journal::Waiter;
use crate::keeper::KeeperTask;
use crate::ring::RingError;
use crate::segment::frame;
use crate::series_log::LABELS_BYTES_MAX;

/// Late samples in memory, of all series; more are merged at once.
const LATE_WAITING_MAX: u64 = 2_000_000;
/// A source's start, computed from its uptime, may waver by this without being another start.
const START_WAVER_MS: i64 = 5_000;
/// Samples in one entry of the journal: far below the longest entry that is believed.
const ENTRY_SAMPLES: usize = 500_000;
/// Refused series that are told apart: more only count as samples.
const REFUSED_MAX: usize = 10_000;
/// Stands for a series that a sample was refused for.
const NO_SERIES: u32 = u32::MAX;

/// Work done by the writer's thread on behalf of others, with no batch in between.
pub(crate) type Work = Box<dyn FnOnce(&mut Writer) + Send>;

/// What the writer is asked to do.
pub(crate) enum Command {
    /// Take a batch in.
    Batch(Box<Batch>, oneshot::Sender<Result<Accepted, Refused>>, Option<OwnedSemaphorePermit>),
    /// Lay down series that are quiet.
    Rest,
    /// Write a checkpoint.
    Checkpoint(Option<SyncSender<bool>>),
    /// Do something else.
    Work(Work),
    /// End.
    Stop,
}

/// The writer's own state.
pub(crate) struct Writer {
    pub(crate) inner: Arc<Inner>,
    pub(crate) keeper: SyncSender<KeeperTask>,
    /// Series below this number are in the catalogue's log.
    pub(crate) logged_series: u32,
    pub(crate) next_checkpoint: u64,
    /// Metrics that are not in the catalogue's log.
    pub(crate) new_metas: Vec<MetricMeta>,
    /// Series that were removed and are not in it.
    pub(crate) removed: Vec<u32>,
    /// Series that seem to be silent for longer than their archives reach back, and since when.
    pub(crate) silent: HashMap<u32, Instant>,
    /// Where the next look for quiet series begins.
    pub(crate) rest_at: u32,
    /// Up to which moment quiet series may be forgotten when the grace is over, and since when.
    pub(crate) expiring_since: Option<(i64, Instant)>,
    /// Hashes of the label sets that the budget had no room for, to count each once.
    pub(crate) refused: HashSet<u64>,
    /// Reused from batch to batch.
    pub(crate) scratch: Scratch,
}

/// Buffers that keep their size from batch to batch.
#[derive(Default)]
pub(crate) struct Scratch {
    finder: Finder,
    series: Vec<u32>,
    points: Vec<Point>,
    framed: Vec<u8>,
    full: Vec<u32>,
    late: Vec<u32>,
    rewound: Vec<(u32, Point)>,
}

impl Writer {
    /// Makes the writer of a store that is being opened.
    pub(crate) fn new(
        inner: &Arc<Inner>,
        keeper: SyncSender<KeeperTask>,
        next_checkpoint: u64,
    ) -> Self {
        Self {
            inner: Arc::clone(inner),
            keeper,
            logged_series: 0,
            next_checkpoint,
            new_metas: Vec::new(),
            removed: Vec::new(),
            silent: HashMap::new(),
            rest_at: 0,
            expiring_since: None,
            refused: HashSet::new(),
            scratch: Scratch::default(),
        }
    }

    /// Works until told to stop or until nobody can ask any more.
    pub(crate) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.blocking_recv() {
            match command {
                Command::Batch(batch, reply, permit) => {
                    self.take(&batch, reply);
                    drop(permit);
                }
                Command::Checkpoint(done) => self.checkpoint(done),
                Command::Rest => while self.rest() && commands.is_empty() {},
                Command::Work(work) => work(&mut self),
                Command::Stop => break,
            }
        }
        commands.close();
        while let Ok(command) = commands.try_recv() {
            if let Command::Batch(batch, reply, permit) = command {
                self.take(&batch, reply);
                drop(permit);
            }
        }
    }

    /// Takes a batch in; the reply comes from the journal.
    fn take(&mut self, batch: &Batch, reply: oneshot::Sender<Result<Accepted, Refused>>) {
        let inner = Arc::clone(&self.inner);
        Inner::count(&inner.counters.batches, 1);
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.framed.clear();
        self.learn(&batch.metas, &mut scratch.framed);
        let mut accepted = Accepted::default();
        self.resolve(batch, &mut scratch, &mut accepted);
        self.refuse_by_time(batch, &mut scratch, &mut accepted);
        accepted.stored =
            batch.samples.len() - accepted.too_old - accepted.in_future - accepted.over_budget;
        let facts = SourceFacts {
            started_at: batch.started_at.map(noroshi_model::Timestamp::as_millis),
            interval: batch.interval.map(|interval| millis(interval).clamp(0, 1 << 31) as u32),
        };
        // Refused samples leave holes in the list of series.
        let pairs = batch.samples.iter().zip(&scratch.series);
        let kept = pairs.filter(|(_, series)| **series != NO_SERIES).map(|(sample, _)| sample);
        scratch.points.clear();
        scratch
            .points
            .extend(kept.map(|sample| Point { at: sample.at.as_millis(), value: sample.value }));
        scratch.series.retain(|series| *series != NO_SERIES);
        if accepted.stored > 0 {
            let Scratch { series, points, framed, .. } = &mut scratch;
            let pieces = series.chunks(ENTRY_SAMPLES).zip(points.chunks(ENTRY_SAMPLES));
            for (series, points) in pieces {
                frame(framed, |out| {
                    let mut writer = SamplesWriter::new(out, facts);
                    let all = series.iter().zip(points);
                    all.for_each(|(series, point)| writer.put(*series, point.at, point.value));
                });
            }
        }
        count_batch(&inner.counters, &accepted);
        // First to the heads: who is told that a sample is safe finds it there.
        self.append(facts, &mut scratch);
        inner.journal.append(&scratch.framed, Waiter::Samples(reply, accepted), false);
        self.settle(&mut scratch);
        self.scratch = scratch;
    }

    /// Appends samples of known series to their heads; [`Writer::settle`] follows.
    fn append(&mut self, facts: SourceFacts, scratch: &mut Scratch) {
        let inner = Arc::clone(&self.inner);
        let future = inner.now().saturating_add(millis(inner.config.future_max));
        let Scratch { series, points, full, late, rewound, .. } = scratch;
        let mut repeated = 0;
        inner.table.with_each(series, |position, head| {
            let Some(head) = head else { return };
            let point = points[position];
            if head.is_woken {
                head.reopen_rows(point.at, &inner.classes[usize::from(head.class)].steps);
            }
            note_facts(head, facts, point.at);
            if point.at < head.last_at && head.last_at > future {
                rewound.push((series[position], point));
                return;
            }
            match head.put(point.at, point.value) {
                Put::Stored if head.is_block_full() => full.push(series[position]),
                Put::Stored => {}
                Put::Repeated => repeated += 1,
                Put::Late => {
                    Inner::count(&inner.counters.late, 1);
                    Inner::count(&inner.counters.late_waiting, 1);
                    if head.late.len() >= LATE_SAMPLES {
                        late.push(series[position]);
                    }
                }
            }
        });
        Inner::count(&inner.counters.repeated, repeated);
        for (series, point) in rewound.drain(..) {
            self.rewind(series, point, future);
        }
    }

    /// Writes the blocks that have become full.
    fn settle(&mut self, scratch: &mut Scratch) {
        let inner = Arc::clone(&self.inner);
        let Scratch { full, late, .. } = scratch;
        full.dedup();
        for series in full.drain(..) {
            self.report(inner.seal(series));
        }
        late.sort_unstable();
        late.dedup();
        for series in late.drain(..) {
            self.report(inner.flush_late(series));
        }
        if inner.counters.late_waiting.load(Relaxed) > LATE_WAITING_MAX {
            self.flush_all_late();
        }
    }

    /// Appends what the journal holds: at the start, before anyone reads.
    pub(crate) fn replay(&mut self, facts: SourceFacts, samples: &[(u32, Point)]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.series.clear();
        scratch.series.extend(samples.iter().map(|(series, _)| *series));
        scratch.points.clear();
        scratch.points.extend(samples.iter().map(|(_, point)| *point));
        self.append(facts, &mut scratch);
        self.settle(&mut scratch);
        self.scratch = scratch;
    }

    /// Makes a series that the journal holds.
    pub(crate) fn replay_series(&mut self, series: u32, packed: &str) {
        let Some(labels) = noroshi_model::Labels::from_packed(packed) else { return };
        if self.inner.catalogue.read().labels(series).is_some() || self.wake(&labels).is_some() {
            return;
        }
        let inner = &self.inner;
        let mut catalogue = inner.catalogue.write();
        let Some(place) = inner.classes.iter().position(|class| class.spec.takes(&labels)) else {
            return;
        };
        let width = catalogue.width(&labels);
        catalogue.add(series, labels);
        drop(catalogue);
        let class = &inner.classes[place];
        class.series_count.fetch_add(1, Relaxed);
        inner.table.set(series, Some(Head::new(place as u16, class.steps.len(), width)));
    }

    /// Removes series that the journal says are gone.
    pub(crate) fn replay_removed(&mut self, removed: &[u32]) {
        self.inner.catalogue.write().remove(removed);
        self.inner.quiet.write().remove(removed);
        for series in removed {
            self.inner.table.set(*series, None);
        }
    }

    /// The series has samples of a future that the clock has come back from: what is in memory
    /// becomes a block, and the series goes on from here.
    fn rewind(&mut self, series: u32, point: Point, future: i64) {
        let inner = Arc::clone(&self.inner);
        let is_ahead = inner.table.with(series, |head| head.last_at > future);
        if is_ahead != Some(true) {
            // A sample before it in the same batch has done it.
            inner.table.with(series, |head| head.put(point.at, point.value));
            return;
        }
        if let Err(error) = inner.seal_all(series) {
            return self.report(Err(error));
        }
        Inner::count(&inner.counters.clock_rewinds, 1);
        inner.table.with(series, |head| {
            let steps = &inner.classes[usize::from(head.class)].steps;
            if point.at < head.last_at && head.first_at().is_none() {
                head.rewind(point.at, steps);
            }
            head.put(point.at, point.value);
        });
    }

    /// Merges all late samples.
    pub(crate) fn flush_all_late(&mut self) {
        let mut waiting = Vec::new();
        self.inner.table.for_each(|series, head| {
            if !head.late.is_empty() {
                waiting.push(series);
            }
        });
        for series in waiting {
            let outcome = self.inner.flush_late(series);
            let is_full = outcome.is_err();
            self.report(outcome);
            if is_full {
                return;
            }
        }
    }

    /// Takes note that a ring could not be written: the samples stay in memory and journal.
    pub(crate) fn report(&self, outcome: Result<(), RingError>) {
        match outcome {
            Ok(()) => {}
            Err(RingError::Full { path }) => {
                if !self.inner.is_full.swap(true, Relaxed) {
                    tracing::error!(path = %path.display(), "the disk is full: nothing is taken in");
                }
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "cannot write a block; its samples stay in memory");
            }
        }
    }

    /// Finds the series of each sample, making those that are new.
    fn resolve(&mut self, batch: &Batch, scratch: &mut Scratch, accepted: &mut Accepted) {
        let Scratch { finder, series, .. } = scratch;
        series.clear();
        let mut is_any_new = false;
        {
            let catalogue = self.inner.catalogue.read();
            finder.begin(&catalogue);
            series.extend(batch.samples.iter().map(|sample| {
                let found = finder.find(&catalogue, &sample.labels);
                is_any_new |= found.is_none();
                found.unwrap_or(NO_SERIES)
            }));
        }
        if !is_any_new {
            return;
        }
        for (position, sample) in batch.samples.iter().enumerate() {
            if series[position] == NO_SERIES {
                match self.make_series(sample, &mut scratch.framed) {
                    Some(new) => series[position] = new,
                    None => accepted.over_budget += 1,
                }
            }
        }
        self.plan();
    }

    /// Makes a series; `None` when the budget has no room for it.
    pub(crate) fn make_series(
        &mut self,
        sample: &noroshi_model::Sample,
        out: &mut Vec<u8>,
    ) -> Option<u32> {
        let labels = &sample.labels;
        if let Some(known) = self.inner.catalogue.read().find(hash_labels(labels), labels) {
            return Some(known);
        }
        if let Some(woken) = self.wake(labels) {
            // Told again: the journal is done again over the checkpoint in which it is quiet.
            frame(out, |out| put_series(out, woken, labels.as_packed()));
            return Some(woken);
        }
        let inner = &self.inner;
        let mut catalogue = inner.catalogue.write();
        let place = inner.classes.iter().position(|class| class.spec.takes(labels))?;
        let class = &inner.classes[place];
        let before = inner.counters.planned_bytes.load(Relaxed);
        let planned = before + class.planned_bytes(1) - class.planned_bytes(0);
        let is_too_long = labels.as_packed().len() > LABELS_BYTES_MAX;
        if planned > inner.counters.budget_bytes.load(Relaxed) || is_too_long {
            if self.refused.len() < REFUSED_MAX && self.refused.insert(hash_labels(labels)) {
                Inner::count(&inner.counters.series_refused, 1);
            }
            return None;
        }
        inner.counters.planned_bytes.store(planned, Relaxed);
        let series = catalogue.next_series();
        let width = catalogue.width(labels);
        catalogue.add(series, labels.clone());
        drop(catalogue);
        class.series_count.fetch_add(1, Relaxed);
        inner.table.set(series, Some(Head::new(place as u16, class.steps.len(), width)));
        frame(out, |out| put_series(out, series, labels.as_packed()));
        Some(series)
    }

    /// Computes the plan for the series that are there.
    pub(crate) fn plan(&self) {
        let inner = &self.inner;
        let classes: u64 = inner.classes.iter().map(|class| class.planned_bytes(0)).sum();
        let bytes = classes + 2 * inner.config.journal_bytes_max;
        inner.counters.planned_bytes.store(bytes, Relaxed);
    }

    /// Drops samples that are too old for the ring or from a future that is not believed.
    fn refuse_by_time(&self, batch: &Batch, scratch: &mut Scratch, accepted: &mut Accepted) {
        let now = self.inner.now();
        let future = now.saturating_add(millis(self.inner.config.future_max));
        let spans = self.inner.classes.iter().map(|class| class.spans[0]);
        let oldest = now.saturating_sub(spans.max().unwrap_or(0));
        for (position, sample) in batch.samples.iter().enumerate() {
            let at = sample.at.as_millis();
            if (at > future || at <= oldest) && scratch.series[position] != NO_SERIES {
                scratch.series[position] = NO_SERIES;
                if at > future { accepted.in_future += 1 } else { accepted.too_old += 1 }
            }
        }
    }

    /// Remembers what is new about metrics.
    fn learn(&mut self, metas: &[MetricMeta], out: &mut Vec<u8>) {
        let news: Vec<MetricMeta> = {
            let catalogue = self.inner.catalogue.read();
            metas.iter().filter(|meta| catalogue.is_news(meta)).cloned().collect()
        };
        if news.is_empty() {
            return;
        }
        frame(out, |out| put_metas(out, &news));
        self.learned(news);
    }

    /// Takes metrics over, and tells the heads of their series how they count.
    pub(crate) fn learned(&mut self, news: Vec<MetricMeta>) {
        let inner = Arc::clone(&self.inner);
        let mut catalogue = inner.catalogue.write();
        for meta in news {
            if !catalogue.learn(&meta) {
                continue;
            }
            for ending in ["", "_total", "_count", "_sum", "_bucket"] {
                let name = format!("{}{ending}", meta.name);
                let matcher = noroshi_model::Matcher::equal(noroshi_model::label::NAME, &name);
                for series in catalogue.matching(&[matcher]).unwrap_or_default() {
                    let Some(labels) = catalogue.labels(series) else { continue };
                    let width = catalogue.width(labels);
                    inner.table.with(series, |head| head.width = width);
                }
            }
            self.new_metas.push(meta);
        }
    }
}

/// Remembers what a batch says of its source.
fn note_facts(head: &mut Head, facts: SourceFacts, at: i64) {
    if let Some(interval) = facts.interval {
        head.interval = interval;
    }
    let Some(started_at) = facts.started_at else { return };
    if head.started_at == i64::MIN {
        head.started_at = started_at;
    } else if started_at - head.started_at > START_WAVER_MS && at > head.last_at {
        head.restart(at, started_at);
    }
}

fn count_batch(counters: &Counters, accepted: &Accepted) {
    Inner::count(&counters.samples, accepted.stored as u64);
    Inner::count(&counters.too_old, accepted.too_old as u64);
    Inner::count(&counters.in_future, accepted.in_future as u64);
    Inner::count(&counters.over_budget, accepted.over_budget as u64);
}
