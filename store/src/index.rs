//! From label matchers to series: an inverted index in memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use noroshi_model::{Labels, Matcher, MatcherOp};

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

    /// Removes a series.
    pub(crate) fn remove(&mut self, series: u32, labels: &Labels) {
        for (name, value) in labels.iter() {
            let Some(values) = self.names.get_mut(name) else { continue };
            let Some(list) = values.get_mut(value) else { continue };
            if let Ok(position) = list.binary_search(&series) {
                list.remove(position);
            }
            if list.is_empty() {
                values.remove(value);
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// Returns the series that may match, sorted: those of the matchers that an empty value does
    /// not satisfy; the caller checks the other matchers on the labels. `None` when every matcher
    /// accepts the empty value.
    pub(crate) fn candidates(&self, matchers: &[Matcher]) -> Option<Vec<u32>> {
        let mut lists: Vec<Vec<u32>> = Vec::new();
        let mut equal: Vec<&[u32]> = Vec::new();
        let mut is_bounded = false;
        for matcher in matchers.iter().filter(|matcher| !matcher.matches("")) {
            is_bounded = true;
            let values = self.names.get(matcher.name());
            if matcher.op() == MatcherOp::Equal {
                let list = values.and_then(|values| values.get(matcher.value()));
                equal.push(list.map_or(&[], Vec::as_slice));
            }
        }
        if !is_bounded {
            return None;
        }
        equal.sort_by_key(|list| list.len());
        let mut found = equal.split_first().map(|(first, rest)| {
            let in_all = |series: &u32| rest.iter().all(|list| list.binary_search(series).is_ok());
            first.iter().copied().filter(in_all).collect::<Vec<u32>>()
        });
        // A handful is checked label by label faster than lists are joined.
        if found.as_ref().is_none_or(|found| found.len() > 4096) {
            for matcher in matchers.iter().filter(|matcher| !matcher.matches("")) {
                if matcher.op() != MatcherOp::Equal {
                    lists.push(self.union(matcher));
                }
            }
            lists.sort_by_key(Vec::len);
            for list in lists {
                found = Some(match found {
                    Some(found) => intersection(&found, &list),
                    None => list,
                });
            }
        }
        found
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

fn intersection(a: &[u32], b: &[u32]) -> Vec<u32> {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    if many.len() / 16 > few.len() {
        return few.iter().copied().filter(|series| many.binary_search(series).is_ok()).collect();
    }
    let (mut out, mut at) = (Vec::with_capacity(few.len()), 0);
    for &series in few {
        while many.get(at).is_some_and(|other| *other < series) {
            at += 1;
        }
        if many.get(at) == Some(&series) {
            out.push(series);
        }
    }
    out
}
