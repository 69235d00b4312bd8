//! Series in memory.

use noroshi_model::seam::{RawSegment, Segment};
use noroshi_model::{
    Kind, Labels, Matcher, MetricMeta, Select, SelectError, SeriesData, SeriesSource, Timestamp,
};

/// Series with their samples: milliseconds and values.
#[derive(Default)]
pub struct MemorySeries(pub Vec<(Labels, Vec<(i64, f64)>)>);

impl MemorySeries {
    fn matching<'a>(
        &'a self,
        matchers: &'a [Matcher],
    ) -> impl Iterator<Item = &'a (Labels, Vec<(i64, f64)>)> {
        self.0.iter().filter(|(labels, _)| matchers.iter().all(|m| m.matches_labels(labels)))
    }
}

fn sorted(mut all: Vec<String>, limit: usize) -> Vec<String> {
    all.sort();
    all.dedup();
    all.truncate(limit);
    all
}

impl SeriesSource for MemorySeries {
    fn select(&self, request: &Select) -> Result<Vec<SeriesData>, SelectError> {
        assert!(
            request.matchers.iter().all(|matcher| matcher.value() != "broken"),
            "a source that panics"
        );
        let (after, until) = (request.after.as_millis(), request.until.as_millis());
        let mut found: Vec<SeriesData> = self
            .matching(&request.matchers)
            .map(|(labels, samples)| {
                let wanted = samples.iter().filter(|(at, _)| after < *at && *at <= until);
                let (at, value) = wanted.copied().unzip();
                let segments = vec![Segment::Raw(RawSegment { at, value })];
                SeriesData { labels: labels.clone(), segments }
            })
            .collect();
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
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
        let is_there =
            |samples: &[(i64, f64)]| samples.iter().any(|(at, _)| after < *at && *at <= until);
        let found = self.matching(matchers).filter(|(_, samples)| is_there(samples));
        let mut found: Vec<Labels> = found.map(|(labels, _)| labels.clone()).collect();
        found.sort();
        found.truncate(limit);
        Ok(found)
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, SelectError> {
        let sets = self.matching(matchers).map(|(labels, _)| labels);
        let names = sets.flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()));
        Ok(sorted(names.collect(), limit))
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        let sets = self.matching(matchers).map(|(labels, _)| labels);
        Ok(sorted(sets.filter_map(|labels| labels.get(name).map(str::to_owned)).collect(), limit))
    }

    fn metadata(&self, name: Option<&str>) -> Result<Vec<MetricMeta>, SelectError> {
        let known = MetricMeta {
            name: "node_load1".to_owned(),
            kind: Kind::Gauge,
            unit: String::new(),
            help: "1m load average.".to_owned(),
        };
        Ok([known].into_iter().filter(|meta| name.is_none_or(|name| name == meta.name)).collect())
    }

    fn last_seen(&self, matchers: &[Matcher]) -> Result<Option<Timestamp>, SelectError> {
        let last = self.matching(matchers).filter_map(|(_, samples)| samples.last());
        Ok(last.map(|(at, _)| Timestamp::from_millis(*at)).max())
    }
}
