//! The series that are known: labels, numbers, the index, and what is known about metrics.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;

use noroshi_model::hash::{Hashed, hash_bytes};
use noroshi_model::{Kind, Labels, Matcher, MetricMeta, SelectError, Width};

use crate::fold::width_of;
use crate::index::Index;

/// Metrics that are remembered; more are a mistake of a source and are left out.
const METAS_MAX: usize = 200_000;

/// Everything that is known about series apart from their samples.
#[derive(Default)]
pub(crate) struct Catalogue {
    labels: Vec<Option<Labels>>,
    by_hash: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    pub(crate) index: Index,
    metas: BTreeMap<String, MetricMeta>,
    count: usize,
}

/// Returns the hash by which a series is found.
pub(crate) fn hash_labels(labels: &Labels) -> u64 {
    hash_bytes(labels.as_packed().as_bytes())
}

impl Catalogue {
    /// Returns a series' number.
    pub(crate) fn find(&self, hash: u64, labels: &Labels) -> Option<u32> {
        let mut key = hash;
        loop {
            let series = *self.by_hash.get(&key)?;
            if self.labels.get(series as usize).is_some_and(|known| known.as_ref() == Some(labels))
            {
                return Some(series);
            }
            key = key.wrapping_add(1);
        }
    }

    /// Adds a series under a number that is not in use.
    pub(crate) fn add(&mut self, series: u32, labels: Labels) {
        let place = series as usize;
        if self.labels.len() <= place {
            self.labels.resize(place + 1, None);
        }
        if self.labels[place].is_some() {
            return;
        }
        self.add_key(hash_labels(&labels), series);
        self.index.add(series, &labels);
        self.labels[place] = Some(labels);
        self.count += 1;
    }

    /// Removes series. Numbers are not used again.
    pub(crate) fn remove(&mut self, gone: &[u32]) {
        let mut removed = Vec::with_capacity(gone.len());
        for &series in gone {
            if let Some(labels) = self.labels.get_mut(series as usize).and_then(Option::take) {
                self.remove_key(hash_labels(&labels), series);
                removed.push((series, labels));
            }
        }
        self.count -= removed.len();
        self.index.remove(&removed);
    }

    fn add_key(&mut self, mut key: u64, series: u32) {
        while self.by_hash.contains_key(&key) {
            key = key.wrapping_add(1);
        }
        self.by_hash.insert(key, series);
    }

    /// Removes the key of a series. Those behind it that may have stepped aside for it are put in
    /// anew, so that they are found.
    fn remove_key(&mut self, mut key: u64, series: u32) {
        while self.by_hash.get(&key).is_some_and(|known| *known != series) {
            key = key.wrapping_add(1);
        }
        self.by_hash.remove(&key);
        let mut behind = Vec::new();
        loop {
            key = key.wrapping_add(1);
            let Some(next) = self.by_hash.remove(&key) else { break };
            behind.push(next);
        }
        for next in behind {
            if let Some(labels) = self.labels.get(next as usize).and_then(Option::as_ref) {
                self.add_key(hash_labels(labels), next);
            }
        }
    }

    /// Takes note that numbers below this one are given away, to series that are quiet.
    pub(crate) fn begin_at(&mut self, next_series: u32) {
        if self.labels.len() < next_series as usize {
            self.labels.resize(next_series as usize, None);
        }
    }

    /// Returns how many series are known.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Returns the number that the next new series gets.
    pub(crate) fn next_series(&self) -> u32 {
        self.labels.len() as u32
    }

    /// Returns a series' labels.
    pub(crate) fn labels(&self, series: u32) -> Option<&Labels> {
        self.labels.get(series as usize)?.as_ref()
    }

    /// Walks over all series from a number on.
    pub(crate) fn iter_from(&self, first: u32) -> impl Iterator<Item = (u32, &Labels)> {
        let all = self.labels.iter().enumerate().skip(first as usize);
        all.filter_map(|(series, labels)| Some((series as u32, labels.as_ref()?)))
    }

    /// Returns the series that match, sorted by number.
    pub(crate) fn matching(&self, matchers: &[Matcher]) -> Result<Vec<u32>, SelectError> {
        let found = self.index.candidates(matchers).ok_or(SelectError::MatchesEverything)?;
        if found.are_exact {
            return Ok(found.series);
        }
        let is_match = |series: &u32| {
            let labels = self.labels(*series);
            labels.is_some_and(|labels| matchers.iter().all(|m| m.matches_labels(labels)))
        };
        Ok(found.series.into_iter().filter(is_match).collect())
    }

    /// Remembers what is known about a metric; tells whether that was news.
    pub(crate) fn learn(&mut self, meta: &MetricMeta) -> bool {
        if self.metas.get(&meta.name) == Some(meta) {
            return false;
        }
        if self.metas.len() >= METAS_MAX && !self.metas.contains_key(&meta.name) {
            return false;
        }
        self.metas.insert(meta.name.clone(), meta.clone());
        true
    }

    /// Tells whether something is said about a metric that is not known yet.
    pub(crate) fn is_news(&self, meta: &MetricMeta) -> bool {
        self.metas.get(&meta.name) != Some(meta)
    }

    /// Returns what is known about metrics.
    pub(crate) fn metas(&self) -> &BTreeMap<String, MetricMeta> {
        &self.metas
    }

    /// Returns how a series counts: by what its source says about the metric, else by the ending
    /// of its name (`OpenMetrics` 1.0, "Suffixes").
    pub(crate) fn width(&self, labels: &Labels) -> Option<Width> {
        const ENDINGS: [&str; 4] = ["_total", "_count", "_sum", "_bucket"];
        let name = labels.name();
        let kind = self.metas.get(name).map(|meta| meta.kind).or_else(|| {
            // `x_bucket` is described under the name of its family `x`.
            let (family, ending) = name.rsplit_once('_')?;
            let family = self.metas.get(family)?;
            let is_part = matches!(family.kind, Kind::Histogram | Kind::Summary);
            (is_part && ["count", "sum", "bucket"].contains(&ending)).then_some(Kind::Histogram)
        });
        match kind {
            None | Some(Kind::Untyped) => {
                ENDINGS.iter().any(|ending| name.ends_with(ending)).then_some(Width::Float)
            }
            Some(Kind::Summary) => {
                (name.ends_with("_count") || name.ends_with("_sum")).then_some(Width::Float)
            }
            Some(kind) => width_of(kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use noroshi_model::MatcherOp;

    use super::*;

    /// Goal: whatever the index answers as exact is what each matcher says of each series' labels,
    /// for all operators, absent labels and removed series included. Method: ten thousand series,
    /// every pair of a set of matchers, and the labels asked one by one.
    #[test]
    fn the_index_finds_what_the_labels_say() {
        use MatcherOp::{Equal, Match, NotEqual, NotMatch};
        let mut labels: Vec<Option<Labels>> = (0..10_000)
            .map(|number| {
                let mut pairs = vec![
                    ("__name__", format!("m{}", number % 3)),
                    ("instance", format!("host{}", number / 10)),
                ];
                if number % 4 != 0 {
                    pairs.push(("rack", format!("r{}", number % 7)));
                }
                Some(Labels::new(pairs))
            })
            .collect();
        let mut index = Index::default();
        for (series, labels) in labels.iter().flatten().enumerate() {
            index.add(series as u32, labels);
        }
        for series in (0..10_000).step_by(13) {
            let gone = labels[series].take().unwrap();
            index.remove(&[(series as u32, gone)]);
        }
        let matchers: Vec<Matcher> = [
            ("__name__", Match, "m.*"),
            ("__name__", Match, "m[01]"),
            ("__name__", Equal, "m1"),
            ("__name__", NotEqual, "m1"),
            ("rack", Equal, ""),
            ("rack", NotEqual, ""),
            ("rack", NotMatch, "r[0-3]"),
            ("rack", Match, "|r5"),
            ("instance", NotMatch, "host.*7"),
            ("instance", Equal, "host77"),
            ("none", NotEqual, "x"),
            ("none", Match, ".+"),
        ]
        .into_iter()
        .map(|(name, op, value)| Matcher::new(name, op, value).unwrap())
        .collect();
        let mut exact = 0;
        for first in &matchers {
            for second in &matchers {
                let asked = [first.clone(), second.clone()];
                let is_match = |series: &u32| {
                    let labels = labels[*series as usize].as_ref();
                    labels.is_some_and(|labels| asked.iter().all(|m| m.matches_labels(labels)))
                };
                let naive: Vec<u32> = (0..10_000).filter(is_match).collect();
                let Some(found) = index.candidates(&asked) else {
                    assert!(first.matches("") && second.matches(""), "{first} {second}");
                    continue;
                };
                let mut series = found.series;
                if found.are_exact {
                    exact += 1;
                } else {
                    series.retain(is_match);
                }
                assert_eq!(series, naive, "{first} {second}");
            }
        }
        assert!(exact > 10, "only {exact} answers came from the index alone");
    }
}
