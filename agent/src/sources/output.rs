//! Collects the samples of one reading.

use std::collections::HashSet;

use noroshi_model::{Batch, Kind, Labels, MetricMeta, Sample, Timestamp, Width};

/// What is known about a metric beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Base unit in the plural, empty for a count.
    pub(crate) unit: &'static str,
    pub(crate) help: &'static str,
}

/// How the kernel's counters behave: they have 64 bits and never wrap in practice, but start at
/// zero with a device that was removed and comes again. A decrease is a reset, not a wrap.
///
/// The milliseconds of `/proc/diskstats` do have 32 bits; there, too, a wrap read as a reset loses
/// only what was counted between the last reading and the wrap.
pub(crate) const COUNTER: Kind = Kind::Counter(Width::Float);

impl Metric {
    /// Describes a gauge.
    pub(crate) const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, unit, help }
    }

    /// Describes a counter.
    pub(crate) const fn counter(
        name: &'static str,
        unit: &'static str,
        help: &'static str,
    ) -> Self {
        Self { name, kind: COUNTER, unit, help }
    }

    pub(crate) fn meta(&self) -> MetricMeta {
        MetricMeta {
            name: self.name.to_owned(),
            kind: self.kind,
            unit: self.unit.to_owned(),
            help: self.help.to_owned(),
        }
    }
}

/// Samples and metas of one reading; remembers from reading to reading what was described.
#[derive(Default)]
pub(crate) struct Output {
    at: Timestamp,
    batch: Batch,
    described: HashSet<String>,
    /// Holds a label set while it is made.
    packed: String,
    /// How many samples the last reading had.
    samples_before: usize,
}

impl Output {
    pub(super) fn begin(&mut self, at: Timestamp) {
        self.at = at;
        self.batch = Batch::new();
        self.batch.samples.reserve_exact(self.samples_before);
    }

    pub(super) fn finish(&mut self) -> Batch {
        self.samples_before = self.batch.samples.len();
        std::mem::take(&mut self.batch)
    }

    /// Returns the moment of the reading.
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    /// Says since when the counters count.
    pub(super) fn set_started_at(&mut self, boot: Timestamp) {
        self.batch.started_at = Some(boot);
    }

    pub(super) fn mark(&self) -> usize {
        self.batch.samples.len()
    }

    pub(super) fn take_back(&mut self, mark: usize) {
        self.batch.samples.truncate(mark);
    }

    /// Returns the samples after a mark.
    pub(super) fn since(&self, mark: usize) -> &[Sample] {
        &self.batch.samples[mark..]
    }

    /// Adds samples of an earlier reading as those of this one.
    pub(super) fn repeat(&mut self, samples: &[Sample]) {
        let now = samples.iter().map(|sample| Sample { at: self.at, ..sample.clone() });
        self.batch.samples.extend(now);
    }

    pub(super) fn describe_again(&mut self) {
        self.described.clear();
    }

    /// Adds the metas of metrics that were not described yet.
    pub(crate) fn describe(&mut self, metrics: &[Metric]) {
        for metric in metrics {
            self.describe_with(metric.name, || metric.meta());
        }
    }

    /// Adds the meta of a metric whose name was read from a file.
    pub(super) fn describe_with(&mut self, name: &str, meta: impl FnOnce() -> MetricMeta) {
        if !self.described.contains(name) {
            self.described.insert(name.to_owned());
            self.batch.metas.push(meta());
        }
    }

    /// Adds a sample. The labels come sorted by name, and all their names after `__name__`, as
    /// every lower-case one is.
    pub(crate) fn push(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        debug_assert!(labels.is_sorted_by(|a, b| a.0 < b.0), "{name}: labels are not sorted");
        self.packed.clear();
        for (label, text) in std::iter::once(&("__name__", name)).chain(labels) {
            // An empty label is no label.
            if !text.is_empty() {
                for part in [label, text] {
                    self.packed.push_str(part);
                    self.packed.push('\0');
                }
            }
        }
        // A text from outside may hold NUL: then the slow way, which cleans it.
        let labels = Labels::from_packed(&self.packed)
            .unwrap_or_else(|| Labels::new(labels.iter().copied().chain([("__name__", name)])));
        self.batch.samples.push(Sample { labels, at: self.at, value });
    }
}
