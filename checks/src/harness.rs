//! A whole site in a test: real plug-ins, memory in the place of the store, a clock that runs.

use std::sync::Arc;
use std::time::Duration;

use noroshi_model::seam::{Accepted, BoxFuture, MemoryRecords};
use noroshi_model::seam::{RawSegment, Segment};
use noroshi_model::{
    Batch, CheckId, Clock, Labels, Matcher, MetricMeta, Refused, Sample, Select, SelectError,
    SeriesData, SeriesSource, Sink, Timestamp,
};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{CheckView, Checks, Deps, Site};

/// A clock that starts at a moment and goes on with tokio's, which a test may pause; it can jump.
pub(crate) struct TestClock {
    origin: Instant,
    at: Mutex<Timestamp>,
}

impl TestClock {
    pub(crate) fn start(at: Timestamp) -> Arc<Self> {
        Arc::new(Self { origin: Instant::now(), at: Mutex::new(at) })
    }

    /// Makes the wall clock jump; steady time goes on.
    pub(crate) fn jump(&self, seconds: i64) {
        let mut at = self.at.lock();
        *at = Timestamp::from_millis(at.as_millis() + seconds * 1000);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.at.lock() + self.origin.elapsed()
    }
}

/// Series in memory: what is submitted can be selected.
#[derive(Default)]
pub(crate) struct MemorySeries(pub(crate) Mutex<Vec<Sample>>);

impl MemorySeries {
    /// Adds a sample, its labels in pairs.
    pub(crate) fn add(&self, labels: &[(&str, &str)], at: Timestamp, value: f64) {
        let labels = Labels::new(labels.iter().copied());
        self.0.lock().push(Sample { labels, at, value });
    }

    /// Returns the newest value of each series of a name, with its labels.
    pub(crate) fn newest(&self, name: &str) -> Vec<(Labels, f64)> {
        let samples = self.0.lock();
        let mut found = std::collections::BTreeMap::new();
        for sample in samples.iter().filter(|sample| sample.labels.name() == name) {
            found.insert(sample.labels.clone(), sample.value);
        }
        found.into_iter().collect()
    }

    /// Returns how many samples of a name came in.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.0.lock().iter().filter(|sample| sample.labels.name() == name).count()
    }

    /// Forgets what is older, so that a long test stays fast.
    pub(crate) fn forget_before(&self, at: Timestamp) {
        self.0.lock().retain(|sample| sample.at >= at);
    }

    fn matching(&self, matchers: &[Matcher]) -> Vec<Sample> {
        let samples = self.0.lock();
        let is_match = |sample: &&Sample| matchers.iter().all(|m| m.matches_labels(&sample.labels));
        samples.iter().filter(is_match).cloned().collect()
    }
}

impl SeriesSource for MemorySeries {
    fn select(&self, request: &Select) -> Result<Vec<SeriesData>, SelectError> {
        let mut found = std::collections::BTreeMap::<Labels, RawSegment>::new();
        for sample in self.matching(&request.matchers) {
            if request.after < sample.at && sample.at <= request.until {
                let segment = found.entry(sample.labels).or_default();
                segment.at.push(sample.at.as_millis());
                segment.value.push(sample.value);
            }
        }
        let data = |(labels, segment)| SeriesData { labels, segments: vec![Segment::Raw(segment)] };
        Ok(found.into_iter().map(data).collect())
    }

    fn series(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Labels>, SelectError> {
        let samples = self.matching(matchers);
        let found: std::collections::BTreeSet<Labels> = samples
            .into_iter()
            .filter(|sample| after < sample.at && sample.at <= until)
            .map(|sample| sample.labels)
            .collect();
        Ok(found.into_iter().take(limit).collect())
    }

    fn label_names(&self, _: &[Matcher], _: usize) -> Result<Vec<String>, SelectError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: usize) -> Result<Vec<String>, SelectError> {
        Ok(Vec::new())
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<MetricMeta>, SelectError> {
        Ok(Vec::new())
    }

    fn last_seen(&self, matchers: &[Matcher]) -> Result<Option<Timestamp>, SelectError> {
        Ok(self.matching(matchers).iter().map(|sample| sample.at).max())
    }
}

impl Sink for MemorySeries {
    fn submit(&self, batch: Batch) -> BoxFuture<'_, Result<Accepted, Refused>> {
        let stored = batch.samples.len();
        self.0.lock().extend(batch.samples);
        Box::pin(async move { Ok(Accepted { stored, ..Accepted::default() }) })
    }
}

/// Checks that run.
pub(crate) struct House {
    pub(crate) checks: Arc<Checks>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) records: Arc<MemoryRecords>,
    pub(crate) series: Arc<MemorySeries>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl House {
    /// Starts with nothing remembered.
    pub(crate) fn start(site: Site) -> Self {
        let clock = TestClock::start(Timestamp::from_secs(1_800_000_000));
        Self::start_with(site, clock, Arc::default(), Arc::default())
    }

    /// Starts with what is remembered.
    pub(crate) fn start_with(
        site: Site,
        clock: Arc<TestClock>,
        records: Arc<MemoryRecords>,
        series: Arc<MemorySeries>,
    ) -> Self {
        let deps = Deps {
            clock: Arc::clone(&clock) as _,
            records: Arc::clone(&records) as _,
            series: Arc::clone(&series) as _,
            sink: Arc::clone(&series) as _,
        };
        let checks = Checks::new(deps).unwrap();
        checks.apply(site);
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&checks).run(stop.clone()));
        Self { checks, clock, records, series, stop, running }
    }

    /// Waits until something shown of a check is as wanted; fails after a minute.
    pub(crate) async fn wait(&self, id: &str, is_so: impl Fn(&CheckView) -> bool) -> CheckView {
        let id = CheckId::parse(id);
        let begun = Instant::now();
        loop {
            let view = self.checks.check(&id).unwrap();
            if is_so(&view) {
                return view;
            }
            assert!(begun.elapsed() < Duration::from_hours(1), "never came about: {view:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends everything where it stands, as `kill -9` does, and returns what is remembered.
    pub(crate) async fn kill(self) -> (Arc<TestClock>, Arc<MemoryRecords>, Arc<MemorySeries>) {
        self.running.abort();
        assert!(self.running.await.is_err(), "it was still running");
        drop(self.checks);
        // A commit that is on another thread goes on, which in a killed process it would not.
        while Arc::strong_count(&self.records) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (self.clock, self.records, self.series)
    }

    /// Stops and returns what is remembered.
    pub(crate) async fn stop(self) -> (Arc<TestClock>, Arc<MemoryRecords>, Arc<MemorySeries>) {
        self.stop.cancel();
        self.running.await.unwrap();
        (self.clock, self.records, self.series)
    }
}
