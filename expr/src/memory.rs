//! Series in memory: for tests and for commands that need no server.

use std::collections::{BTreeMap, BTreeSet};

use noroshi_model::seam::{RawSegment, Segment};
use noroshi_model::{
    Labels, Matcher, MetricMeta, Select, SelectError, SeriesData, SeriesSource, Timestamp,
};

/// A source of series that holds what was added to it.
#[derive(Clone, Debug, Default)]
pub struct MemorySeries {
    series: BTreeMap<Labels, Vec<Segment>>,
    metas: BTreeMap<String, MetricMeta>,
}

impl MemorySeries {
    /// Returns a source without series.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds samples to a series, in order of time and later than those it has.
    pub fn add(&mut self, labels: &Labels, samples: impl IntoIterator<Item = (Timestamp, f64)>) {
        let segments = self.series.entry(labels.clone()).or_default();
        if !matches!(segments.last(), Some(Segment::Raw(_))) {
            segments.push(Segment::Raw(RawSegment::default()));
        }
        if let Some(Segment::Raw(raw)) = segments.last_mut() {
            for (at, value) in samples {
                debug_assert!(raw.at.last().is_none_or(|last| *last < at.as_millis()));
                raw.at.push(at.as_millis());
                raw.value.push(value);
            }
        }
    }

    /// Adds a whole series, in the place of one with the same labels.
    pub fn insert(&mut self, data: SeriesData) {
        self.series.insert(data.labels, data.segments);
    }

    /// Adds what is known about a metric.
    pub fn describe(&mut self, meta: MetricMeta) {
        self.metas.insert(meta.name.clone(), meta);
    }

    /// Walks over all series.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, &[Segment])> {
        self.series.iter().map(|(labels, segments)| (labels, segments.as_slice()))
    }

    fn matching<'a>(
        &'a self,
        matchers: &'a [Matcher],
    ) -> impl Iterator<Item = (&'a Labels, &'a [Segment])> {
        let is_match = |labels: &Labels| matchers.iter().all(|m| m.matches_labels(labels));
        self.iter().filter(move |(labels, _)| is_match(labels))
    }
}

/// Returns the moments of a segment.
fn moments(segment: &Segment) -> &[i64] {
    match segment {
        Segment::Raw(raw) => &raw.at,
        Segment::Rows(rows) => &rows.at,
    }
}

/// Returns the part of a segment inside a span; `None` when there is none. Of rows longer than
/// the window there is one more.
fn cut(segment: &Segment, after: i64, until: i64, window: i64) -> Option<Segment> {
    let at = moments(segment);
    let after = match segment {
        Segment::Rows(rows) if rows.step > window => after + window - rows.step,
        _ => after,
    };
    let from = at.partition_point(|at| *at <= after);
    let to = at.partition_point(|at| *at <= until);
    if from >= to {
        return None;
    }
    let part = |values: &Vec<f64>| values.get(from..to).map(<[f64]>::to_vec).unwrap_or_default();
    Some(match segment {
        Segment::Raw(raw) => {
            Segment::Raw(RawSegment { at: raw.at[from..to].to_vec(), value: part(&raw.value) })
        }
        Segment::Rows(rows) => Segment::Rows(noroshi_model::seam::RowSegment {
            step: rows.step,
            at: rows.at[from..to].to_vec(),
            min: part(&rows.min),
            max: part(&rows.max),
            sum: part(&rows.sum),
            last: part(&rows.last),
            count: part(&rows.count),
            increase: part(&rows.increase),
        }),
    })
}

impl SeriesSource for MemorySeries {
    fn select(&self, request: &Select) -> Result<Vec<SeriesData>, SelectError> {
        if request.matchers.iter().all(|matcher| matcher.matches("")) {
            return Err(SelectError::MatchesEverything);
        }
        let (after, until) = (request.after.as_millis(), request.until.as_millis());
        let window = noroshi_model::time::millis(request.window);
        let (mut found, mut samples) = (Vec::new(), 0);
        for (labels, segments) in self.matching(&request.matchers) {
            let segments: Vec<Segment> =
                segments.iter().filter_map(|segment| cut(segment, after, until, window)).collect();
            samples += segments.iter().map(|segment| moments(segment).len()).sum::<usize>();
            if samples > request.samples_max {
                return Err(SelectError::TooManySamples { samples_max: request.samples_max });
            }
            if !segments.is_empty() {
                found.push(SeriesData { labels: labels.clone(), segments });
            }
        }
        Ok(found)
    }

    fn series(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Labels>, SelectError> {
        let (after, until) = (after.as_millis(), until.as_millis());
        let has_sample = |segments: &[Segment]| {
            segments.iter().any(|s| cut(s, after, until, i64::MAX).is_some())
        };
        let found = self.matching(matchers).filter(|(_, segments)| has_sample(segments));
        Ok(found.map(|(labels, _)| labels.clone()).take(limit).collect())
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, SelectError> {
        let mut names = BTreeSet::new();
        for (labels, _) in self.matching(matchers) {
            names.extend(labels.iter().map(|(name, _)| name.to_owned()));
        }
        Ok(names.into_iter().take(limit).collect())
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        let values = self.matching(matchers).filter_map(|(labels, _)| labels.get(name));
        let values: BTreeSet<&str> = values.collect();
        Ok(values.into_iter().take(limit).map(str::to_owned).collect())
    }

    fn metadata(&self, name: Option<&str>) -> Result<Vec<MetricMeta>, SelectError> {
        let is_asked = |meta: &&MetricMeta| name.is_none_or(|name| meta.name == name);
        Ok(self.metas.values().filter(is_asked).cloned().collect())
    }

    fn last_seen(&self, matchers: &[Matcher]) -> Result<Option<Timestamp>, SelectError> {
        let newest = self
            .matching(matchers)
            .flat_map(|(_, segments)| segments)
            .filter_map(|segment| moments(segment).last())
            .max();
        Ok(newest.map(|millis| Timestamp::from_millis(*millis)))
    }
}
