//! What a poll gives: samples as the target named them, before they get their host's labels.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use noroshi_model::{Batch, Kind, Labels, MetricMeta, Sample, Timestamp, UNKNOWN};

use crate::poll::{PollFailure, PollSpec, Target};

/// The answer of a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// Samples with the target's own labels; `None`: measured when the poll began.
    pub(crate) samples: Vec<(Labels, Option<Timestamp>, f64)>,
    /// What is known about them.
    pub(crate) metas: Vec<MetricMeta>,
    /// Since when the target counts.
    pub(crate) started_at: Option<Timestamp>,
    /// Whether a label of the target wins over ours of the same name.
    pub(crate) is_honoring_labels: bool,
}

impl Reading {
    /// Returns the samples with the label `job` alone added.
    pub(crate) fn into_batch(self, at: Timestamp, job: &str) -> Batch {
        let own = [("job".to_owned(), job.to_owned())].into();
        let named = self.samples.iter().map(|(labels, own_at, value)| Sample {
            labels: target_labels(labels, &own, self.is_honoring_labels),
            at: own_at.unwrap_or(at),
            value: *value,
        });
        let (samples, metas) = (named.collect(), self.metas);
        Batch { samples, metas, started_at: self.started_at, interval: None }
    }
}

/// Joins the target's labels with ours.
///
/// As Prometheus does (`docs/configuration`, `honor_labels`): ours win and the target's label of
/// that name becomes `exported_NAME`; or the target's wins when it is honoured.
fn target_labels(theirs: &Labels, ours: &BTreeMap<String, String>, is_honoring: bool) -> Labels {
    let mut builder = theirs.to_builder();
    for (name, value) in ours {
        match theirs.get(name) {
            Some(_) if is_honoring => continue,
            Some(exported) => {
                let mut free = format!("exported_{name}");
                while theirs.get(&free).is_some() {
                    free = format!("exported_{free}");
                }
                builder.set(&free, exported);
            }
            None => {}
        }
        builder.set(name, value);
    }
    builder.build()
}

/// Turns the polls of one target into batches, and knows which series it had.
#[derive(Debug)]
pub(crate) struct Booker {
    labels: BTreeMap<String, String>,
    interval: Duration,
    /// The series of the last poll that succeeded, but for those with times of their own.
    seen: HashSet<Labels>,
    /// The metas that were sent; they are repeated only when they change.
    metas: BTreeMap<String, MetricMeta>,
}

impl Booker {
    pub(crate) fn new(spec: &PollSpec) -> Self {
        let mut labels = spec.labels.clone();
        labels.insert("instance".to_owned(), spec.instance.clone());
        labels.insert("job".to_owned(), spec.target.job().to_owned());
        let mut booker =
            Self { labels, interval: spec.interval, seen: HashSet::new(), metas: BTreeMap::new() };
        booker.expect(&spec.target);
        booker
    }

    /// Notes the gauges that a target will have, so that they are unknown when it never answers.
    fn expect(&mut self, target: &Target) {
        let ours = |theirs: &Labels| target_labels(theirs, &self.labels, false);
        self.seen = target.gauges().iter().map(ours).collect();
    }

    /// Returns the labels of a series of ours about the target.
    fn own(&self, name: &str) -> Labels {
        let pairs = self.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        Labels::new(pairs.chain([("__name__", name)]))
    }

    /// Books a poll that began at `at` and took `duration`.
    ///
    /// Series that were there at the last poll and are not any more become unknown; so do all of
    /// them when the poll failed.
    pub(crate) fn book(
        &mut self,
        at: Timestamp,
        duration: Duration,
        result: &Result<Reading, PollFailure>,
        target: &Target,
    ) -> Batch {
        let mut batch = Batch { interval: Some(self.interval), ..Batch::default() };
        let own = |booker: &Self, name: &str, value| Sample { labels: booker.own(name), at, value };
        let scraped = if let Ok(reading) = result {
            self.take(at, reading, &mut batch);
            reading.samples.len()
        } else {
            let up = target.own_up().map(|name| self.own(name));
            let unknown = self.seen.iter().filter(|labels| Some(*labels) != up.as_ref()).cloned();
            batch.samples.extend(unknown.map(|labels| Sample { labels, at, value: UNKNOWN }));
            batch.samples.extend(up.map(|labels| Sample { labels, at, value: 0.0 }));
            0
        };
        let is_up = f64::from(u8::from(result.is_ok()));
        batch.samples.push(own(self, "up", is_up));
        batch.samples.push(own(self, "scrape_duration_seconds", duration.as_secs_f64()));
        batch.samples.push(own(self, "scrape_samples_scraped", scraped as f64));
        self.add_metas(own_metas(), &mut batch);
        batch
    }

    fn take(&mut self, at: Timestamp, reading: &Reading, batch: &mut Batch) {
        let mut seen = HashSet::with_capacity(reading.samples.len());
        for (theirs, own_at, value) in &reading.samples {
            let labels = target_labels(theirs, &self.labels, reading.is_honoring_labels);
            if own_at.is_none() {
                seen.insert(labels.clone());
            }
            batch.samples.push(Sample { labels, at: own_at.unwrap_or(at), value: *value });
        }
        let vanished = self.seen.difference(&seen).cloned();
        batch.samples.extend(vanished.map(|labels| Sample { labels, at, value: UNKNOWN }));
        self.seen = seen;
        batch.started_at = reading.started_at;
        self.add_metas(reading.metas.clone(), batch);
    }

    fn add_metas(&mut self, metas: Vec<MetricMeta>, batch: &mut Batch) {
        for meta in metas {
            if self.metas.get(&meta.name) != Some(&meta) {
                self.metas.insert(meta.name.clone(), meta.clone());
                batch.metas.push(meta);
            }
        }
    }

    /// Returns what says that nobody asks this target any more: all its series are unknown.
    pub(crate) fn end(&mut self, at: Timestamp) -> Batch {
        let own = ["up", "scrape_duration_seconds", "scrape_samples_scraped"].map(|n| self.own(n));
        let series = self.seen.drain().chain(own);
        let samples = series.map(|labels| Sample { labels, at, value: UNKNOWN }).collect();
        Batch { samples, ..Batch::default() }
    }

    /// Takes over from the booker of the same target before its configuration changed; returns what
    /// ends the series that get other labels now.
    pub(crate) fn inherit(&mut self, mut before: Self, at: Timestamp) -> Batch {
        if before.labels != self.labels {
            return before.end(at);
        }
        self.seen = before.seen;
        self.metas = before.metas;
        Batch::new()
    }

    /// Forgets what was sent, after the sink has refused it.
    pub(crate) fn resend(&mut self) {
        self.metas.clear();
    }
}

/// What is known about the series that every poll gives.
pub(crate) fn own_metas() -> Vec<MetricMeta> {
    let own = [
        ("up", "", "Whether the last poll of the target succeeded: 1 or 0."),
        ("scrape_duration_seconds", "seconds", "How long the last poll of the target took."),
        ("scrape_samples_scraped", "", "How many samples the target gave at the last poll."),
    ];
    let meta = |(name, unit, help): (&str, &str, &str)| MetricMeta {
        name: name.to_owned(),
        kind: Kind::Gauge,
        unit: unit.to_owned(),
        help: help.to_owned(),
    };
    own.map(meta).into()
}
