//! What a poll gives: samples as the target named them, before they get their host's labels.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::{Batch, Kind, Labels, MetricMeta, Sample, Timestamp, UNKNOWN};

use crate::poll::{PollFailure, PollSpec, Target};
use crate::prometheus::relabel::{self, Relabel};

/// The answer of a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// Samples with the target's own labels; `None`: measured when the poll began.
    pub(crate) samples: Vec<(Labels, Option<Timestamp>, f64)>,
    /// What is known about them.
    pub(crate) metas: Vec<MetricMeta>,
    /// Since when the target counts.
    pub(crate) started_at: Option<Timestamp>,
    /// What becomes of its series.
    pub(crate) treatment: Treatment,
}

/// What a target's configuration says of its series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Treatment {
    /// Whether a label of the target wins over ours of the same name.
    pub(crate) is_honoring_labels: bool,
    /// Applied when the series have our labels.
    pub(crate) relabel: Arc<[Relabel]>,
    /// Held against what is left then.
    pub(crate) limits: Limits,
}

/// The most that a page may bring; `None`: the bounds of its parser alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Limits {
    pub(crate) samples: Option<usize>,
    pub(crate) labels: Option<usize>,
    /// Longest name of a label, in bytes.
    pub(crate) name_bytes: Option<usize>,
    /// Longest value of a label, in bytes.
    pub(crate) value_bytes: Option<usize>,
}

/// A reading under our labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Labelled {
    pub(crate) samples: Vec<(Labels, Option<Timestamp>, f64)>,
    /// How many samples the target gave, those included that a rule dropped.
    pub(crate) scraped: usize,
    pub(crate) metas: Vec<MetricMeta>,
    pub(crate) started_at: Option<Timestamp>,
}

impl Reading {
    /// Adds our labels, then relabels, then counts.
    ///
    /// Errors: [`PollFailure::SampleLimit`], [`PollFailure::LabelLimit`], and
    /// [`PollFailure::Parse`] when a rule takes a series' name away.
    pub(crate) fn labelled(self, ours: &BTreeMap<String, String>) -> Result<Labelled, PollFailure> {
        let Treatment { is_honoring_labels, relabel, limits } = self.treatment;
        let mut labelled = Labelled { scraped: self.samples.len(), ..Labelled::default() };
        for (theirs, at, value) in self.samples {
            let labels = target_labels(&theirs, ours, is_honoring_labels);
            let Some(labels) = relabel::apply(&relabel, labels) else { continue };
            limits.check(&labels)?;
            labelled.samples.push((labels, at, value));
        }
        let (samples, samples_max) = (labelled.samples.len(), limits.samples);
        if let Some(samples_max) = samples_max.filter(|most| samples > *most) {
            return Err(PollFailure::SampleLimit { samples, samples_max });
        }
        labelled.metas = self.metas;
        if !relabel.is_empty() {
            let names: HashSet<&str> = labelled.samples.iter().map(|(l, ..)| l.name()).collect();
            labelled.metas.retain(|meta| names.contains(meta.name.as_str()));
        }
        labelled.started_at = self.started_at;
        Ok(labelled)
    }

    /// Returns the samples with the label `job` alone added. Errors: as [`Self::labelled`].
    pub(crate) fn into_batch(self, at: Timestamp, job: &str) -> Result<Batch, PollFailure> {
        let own = [("job".to_owned(), job.to_owned())].into();
        let Labelled { samples, metas, started_at, .. } = self.labelled(&own)?;
        let named = samples.into_iter().map(|(labels, own_at, value)| Sample {
            labels,
            at: own_at.unwrap_or(at),
            value,
        });
        Ok(Batch { samples: named.collect(), metas, started_at, interval: None })
    }
}

impl Limits {
    fn check(&self, labels: &Labels) -> Result<(), PollFailure> {
        let name = labels.name();
        if name.is_empty() {
            let reason = format!("{labels} has no name after metric_relabel_configs");
            return Err(PollFailure::Parse { reason });
        }
        let beyond = |what, found: usize, most: Option<usize>| match most {
            Some(most) if found > most => {
                Err(PollFailure::LabelLimit { name: name.to_owned(), what, found, most })
            }
            _ => Ok(()),
        };
        beyond("labels (label_limit)", labels.len(), self.labels)?;
        for (label, value) in labels.iter() {
            let most = self.name_bytes;
            beyond("bytes in a label's name (label_name_length_limit)", label.len(), most)?;
            let most = self.value_bytes;
            beyond("bytes in a label's value (label_value_length_limit)", value.len(), most)?;
        }
        Ok(())
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
    /// Our series about each poll.
    own: &'static [OwnSeries],
    /// The series of the last poll that succeeded, but for those with times of their own.
    seen: HashSet<Labels>,
    /// Whether they were marked as unknown since: once is enough, and the moment of the mark is
    /// since when nothing is known of them.
    is_marked: bool,
    /// The metas that were sent; they are repeated only when they change.
    metas: BTreeMap<String, MetricMeta>,
}

impl Booker {
    pub(crate) fn new(spec: &PollSpec) -> Self {
        let mut labels = spec.labels.clone();
        labels.insert("instance".to_owned(), spec.instance.clone());
        labels.insert("job".to_owned(), spec.target.job().to_owned());
        let own = if spec.target.is_scrape() { &OWN[..] } else { &OWN[..OWN_OF_ALL] };
        let (interval, seen, metas) = (spec.interval, HashSet::new(), BTreeMap::new());
        let mut booker = Self { labels, interval, own, seen, is_marked: false, metas };
        booker.expect(&spec.target);
        booker
    }

    /// Notes the gauges that a target will have, so that they are unknown when it never answers.
    fn expect(&mut self, target: &Target) {
        let ours = |theirs: &Labels| target_labels(theirs, &self.labels, false);
        self.seen = target.gauges().iter().map(ours).collect();
    }

    /// Returns the labels that the target's series get.
    pub(crate) fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
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
        result: &Result<Labelled, PollFailure>,
        target: &Target,
    ) -> Batch {
        let mut batch = Batch { interval: Some(self.interval), ..Batch::default() };
        let mut counts = Counts { is_up: result.is_ok(), duration, ..Counts::default() };
        if let Ok(labelled) = result {
            (counts.scraped, counts.kept) = (labelled.scraped, labelled.samples.len());
            counts.added = self.take(at, labelled, &mut batch);
        } else {
            let up = target.own_up().map(|name| self.own(name));
            let is_up = |labels: &&Labels| Some(*labels) == up.as_ref();
            if !self.is_marked {
                let unknown = self.seen.iter().filter(|labels| !is_up(labels)).cloned();
                batch.samples.extend(unknown.map(|labels| Sample { labels, at, value: UNKNOWN }));
                self.is_marked = true;
            }
            batch.samples.extend(up.map(|labels| Sample { labels, at, value: 0.0 }));
        }
        for own in self.own {
            let (labels, value) = (self.own(own.name), (own.value)(&counts));
            batch.samples.push(Sample { labels, at, value });
        }
        self.add_metas(self.own.iter().map(OwnSeries::meta).collect(), &mut batch);
        batch
    }

    /// Books what came and returns how many series were not there at the last poll.
    fn take(&mut self, at: Timestamp, labelled: &Labelled, batch: &mut Batch) -> usize {
        let mut seen = HashSet::with_capacity(labelled.samples.len());
        for (labels, own_at, value) in &labelled.samples {
            if own_at.is_none() {
                seen.insert(labels.clone());
            }
            let (labels, at) = (labels.clone(), own_at.unwrap_or(at));
            batch.samples.push(Sample { labels, at, value: *value });
        }
        let added = seen.difference(&self.seen).count();
        let vanished = self.seen.difference(&seen).cloned();
        batch.samples.extend(vanished.map(|labels| Sample { labels, at, value: UNKNOWN }));
        (self.seen, self.is_marked) = (seen, false);
        batch.started_at = labelled.started_at;
        self.add_metas(labelled.metas.clone(), batch);
        added
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
        let own: Vec<Labels> = self.own.iter().map(|own| self.own(own.name)).collect();
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
        (self.seen, self.is_marked) = (before.seen, before.is_marked);
        self.metas = before.metas;
        Batch::new()
    }

    /// Forgets what was sent, after the sink has refused it.
    pub(crate) fn resend(&mut self) {
        self.is_marked = false;
        self.metas.clear();
    }
}

/// What is counted of one poll.
#[derive(Debug, Default)]
struct Counts {
    is_up: bool,
    duration: Duration,
    scraped: usize,
    kept: usize,
    added: usize,
}

/// A series of ours about each poll.
#[derive(Debug)]
struct OwnSeries {
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    value: fn(&Counts) -> f64,
}

/// The first so many of [`OWN`] come with every poll, the others with scrapes.
const OWN_OF_ALL: usize = 3;

/// Names as in Prometheus (`docs/concepts/jobs_instances`, "Automatically generated labels and time
/// series").
static OWN: [OwnSeries; 5] = [
    OwnSeries {
        name: "up",
        unit: "",
        help: "Whether the last poll of the target succeeded: 1 or 0.",
        value: |counts| f64::from(u8::from(counts.is_up)),
    },
    OwnSeries {
        name: "scrape_duration_seconds",
        unit: "seconds",
        help: "How long the last poll of the target took.",
        value: |counts| counts.duration.as_secs_f64(),
    },
    OwnSeries {
        name: "scrape_samples_scraped",
        unit: "",
        help: "How many samples the target gave at the last poll.",
        value: |counts| counts.scraped as f64,
    },
    OwnSeries {
        name: "scrape_samples_post_metric_relabeling",
        unit: "",
        help: "How many of them metric_relabel_configs left.",
        value: |counts| counts.kept as f64,
    },
    OwnSeries {
        name: "scrape_series_added",
        unit: "",
        help: "How many series were not there at the poll before.",
        value: |counts| counts.added as f64,
    },
];

impl OwnSeries {
    fn meta(&self) -> MetricMeta {
        let text = str::to_owned;
        MetricMeta {
            name: text(self.name),
            kind: Kind::Gauge,
            unit: text(self.unit),
            help: text(self.help),
        }
    }
}
