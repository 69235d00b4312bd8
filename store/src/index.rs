//! From label matchers to series: an inverted index in memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use noroshi_model::{Labels, Matcher, MatcherOp};

/// So many series are checked label by label faster than lists are joined.
const FEW: usize = 4096;

/// What the index finds for some matchers.
pub(crate) struct Candidates {
    /// Numbers of series, sorted.
    pub(crate) series: Vec<u32>,
    /// Whether each of them matches; else the caller asks the matchers about its labels.
    pub(crate) are_exact: bool,
}

/// Which series have which value of which label. Lists are sorted.
#[derive(Default)]
pub(crate) struct Index {
    names: HashMap<Arc<str>, HashMap<Arc<str>, Vec<u32>>>,
}

impl Index {
    /// Adds a series; its number is greater than all before.
    pub(crate) fn add(&mut self, series: u32, labels: &Labels) {
        for (name, value) in labels.iter() {
            if !self.names.contains_key(name) {
                self.names.insert(name.into(), HashMap::new());
            }
            let Some(values) = self.names.get_mut(name) else { continue };
            match values.get_mut(value) {
                Some(list) => match list.last() {
                    Some(last) if *last >= series => {
                        if let Err(position) = list.binary_search(&series) {
                            list.insert(position, series);
                        }
                    }
                    _ => list.push(series),
                },
                None => drop(values.insert(value.into(), vec![series])),
            }
        }
    }

    /// Removes series, each list in one go.
    pub(crate) fn remove(&mut self, gone: &[(u32, Labels)]) {
        let mut by_label: HashMap<(&str, &str), Vec<u32>> = HashMap::new();
        for (series, labels) in gone {
            for label in labels.iter() {
                by_label.entry(label).or_default().push(*series);
            }
        }
        for ((name, value), mut gone) in by_label {
            let Some(values) = self.names.get_mut(name) else { continue };
            let Some(list) = values.get_mut(value) else { continue };
            gone.sort_unstable();
            let first = gone.first().map_or(0, |first| list.partition_point(|s| s < first));
            let kept = |series: &&u32| gone.binary_search(series).is_err();
            let rest: Vec<u32> = list[first..].iter().filter(kept).copied().collect();
            list.truncate(first);
            list.extend_from_slice(&rest);
            if list.len() < list.capacity() / 2 {
                list.shrink_to_fit();
            }
            if list.is_empty() {
                values.remove(value);
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// Returns the series that match or may match, sorted. `None` when every matcher accepts the
    /// empty value: that would be all series.
    ///
    /// Many series are narrowed down by the lists of each matcher's values, so that a matcher is
    /// asked once for a value and not once for a series; a few are left for the caller to check.
    pub(crate) fn candidates(&self, matchers: &[Matcher]) -> Option<Candidates> {
        let (bounding, refusing): (Vec<&Matcher>, Vec<&Matcher>) =
            matchers.iter().partition(|matcher| !matcher.matches(""));
        let (equal, matching): (Vec<&Matcher>, Vec<&Matcher>) =
            bounding.into_iter().partition(|matcher| matcher.op() == MatcherOp::Equal);
        let (mut series, rest) = match matching.split_first() {
            _ if !equal.is_empty() => (self.in_all(&equal), matching.as_slice()),
            Some((first, rest)) => (self.union(first), rest),
            None => return None,
        };
        for matcher in rest {
            if series.len() <= FEW {
                return Some(Candidates { series, are_exact: false });
            }
            let accepted = self.bits(matcher, &series, true);
            series.retain(|series| accepted.has(*series));
        }
        for matcher in refusing {
            if series.len() <= FEW {
                return Some(Candidates { series, are_exact: false });
            }
            let refused = self.bits(matcher, &series, false);
            series.retain(|series| !refused.has(*series));
        }
        Some(Candidates { series, are_exact: true })
    }

    /// Returns the series that have all of the values, sorted.
    fn in_all(&self, equal: &[&Matcher]) -> Vec<u32> {
        let list = |matcher: &&Matcher| {
            let values = self.names.get(matcher.name());
            values.and_then(|values| values.get(matcher.value())).map_or(&[][..], Vec::as_slice)
        };
        let mut lists: Vec<&[u32]> = equal.iter().map(list).collect();
        lists.sort_by_key(|list| list.len());
        let Some((first, rest)) = lists.split_first() else { return Vec::new() };
        let is_in_all = |series: &u32| rest.iter().all(|list| list.binary_search(series).is_ok());
        first.iter().copied().filter(is_in_all).collect()
    }

    /// Returns the series whose value of the matcher's label matches, sorted.
    fn union(&self, matcher: &Matcher) -> Vec<u32> {
        let Some(values) = self.names.get(matcher.name()) else { return Vec::new() };
        let mut all: Vec<u32> = Vec::new();
        for (value, list) in values {
            if matcher.matches(value) {
                all.extend_from_slice(list);
            }
        }
        all.sort_unstable();
        all
    }

    /// Returns which series have a value that the matcher accepts, or one that it does not; as far
    /// as the last of `among`, which is sorted.
    fn bits(&self, matcher: &Matcher, among: &[u32], is_accepted: bool) -> Bits {
        let mut bits = Bits::up_to(among.last().copied().unwrap_or(0));
        for (value, list) in self.names.get(matcher.name()).into_iter().flatten() {
            if matcher.matches(value) == is_accepted {
                for series in list {
                    bits.set(*series);
                }
            }
        }
        bits
    }

    /// Returns all label names, sorted.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.names.keys().map(|name| &**name).collect()
    }

    /// Returns all values of a label, sorted.
    pub(crate) fn values(&self, name: &str) -> BTreeSet<&str> {
        let values = self.names.get(name).into_iter().flat_map(HashMap::keys);
        values.map(|value| &**value).collect()
    }
}

/// A set of series' numbers.
struct Bits(Vec<u64>);

impl Bits {
    /// Makes an empty set for numbers up to `last`.
    fn up_to(last: u32) -> Self {
        Self(vec![0; last as usize / 64 + 1])
    }

    /// Adds a number; one beyond the last is left out.
    fn set(&mut self, series: u32) {
        if let Some(word) = self.0.get_mut(series as usize / 64) {
            *word |= 1 << (series % 64);
        }
    }

    fn has(&self, series: u32) -> bool {
        self.0.get(series as usize / 64).is_some_and(|word| word & (1 << (series % 64)) != 0)
    }
}
