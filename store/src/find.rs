//! Which series a question is about: those of the index, and quiet ones where it reaches back to
//! their time.

use std::collections::BTreeSet;

use noroshi_model::{Labels, Matcher, SelectError, Timestamp};

use crate::fetch::View;
use crate::head::Head;
use crate::inner::Inner;

/// A series that was found.
pub(crate) struct Found {
    pub(crate) labels: Labels,
    pub(crate) series: u32,
    /// Of a quiet series, as it was laid down.
    quiet: Option<Box<Head>>,
}

impl Inner {
    /// Returns the series that match (all when `matchers` is empty) and may have something in
    /// `(after, until]`, in order of their labels.
    pub(crate) fn found(
        &self,
        matchers: &[Matcher],
        (after, until): (i64, i64),
    ) -> Result<Vec<Found>, SelectError> {
        // Both at once: a series that wakes or is laid down meanwhile would be in neither.
        let catalogue = self.catalogue.read();
        let awake: Vec<u32> = match matchers {
            [] => catalogue.iter_from(0).map(|(series, _)| series).collect(),
            _ => catalogue.matching(matchers)?,
        };
        let quiet = self.quiet.read();
        let awake = awake.into_iter().filter(|series| self.may_have(*series, after, until));
        let labelled = |series: u32| {
            Some(Found { labels: catalogue.labels(series)?.clone(), series, quiet: None })
        };
        let mut found: Vec<Found> = awake.filter_map(labelled).collect();
        if until > after {
            found.extend(quiet.matching(matchers, after).into_iter().map(|series| Found {
                labels: series.labels,
                series: series.number,
                quiet: Some(Box::new(series.head)),
            }));
        }
        drop((quiet, catalogue));
        found.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// Works on the head of a series that was found; `None` when it is gone meanwhile.
    pub(crate) fn look<T>(&self, found: &Found, look: impl Fn(&Head) -> T) -> Option<T> {
        if let Some(head) = &found.quiet {
            return Some(look(head));
        }
        self.table.with(found.series, |head| look(head)).or_else(|| {
            // It was laid down since.
            self.quiet.read().find(&found.labels).map(|series| look(&series.head))
        })
    }

    /// Copies what a reader of `(after, until]` needs of a series that was found.
    pub(crate) fn view_found(&self, found: &Found, after: i64, until: i64) -> Option<View> {
        self.look(found, |head| View::of(found.series, head, (after, until), true))
    }

    /// Tells whether a series has a sample in memory or on disk in `(after, until]`, as far as its
    /// newest sample and its chains tell.
    fn may_have(&self, series: u32, after: i64, until: i64) -> bool {
        self.table.with(series, |head| head.newest_at() > after).unwrap_or(false) && until > after
    }

    /// Returns label names of the series that match, in a span or without one of those that are not
    /// quiet, sorted.
    pub(crate) fn names_of(
        &self,
        matchers: &[Matcher],
        span: Option<(Timestamp, Timestamp)>,
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        self.texts_of(matchers, span, limit, |labels, texts| {
            for (name, _) in labels.iter() {
                if !texts.contains(name) {
                    texts.insert(name.to_owned());
                }
            }
        })
    }

    /// As [`Inner::names_of`], the values of one label.
    pub(crate) fn values_of(
        &self,
        name: &str,
        matchers: &[Matcher],
        span: Option<(Timestamp, Timestamp)>,
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        self.texts_of(matchers, span, limit, |labels, texts| {
            if let Some(value) = labels.get(name).filter(|value| !texts.contains(*value)) {
                texts.insert(value.to_owned());
            }
        })
    }

    fn texts_of(
        &self,
        matchers: &[Matcher],
        span: Option<(Timestamp, Timestamp)>,
        limit: usize,
        mut collect: impl FnMut(&Labels, &mut BTreeSet<String>),
    ) -> Result<Vec<String>, SelectError> {
        let mut texts = BTreeSet::new();
        if let Some((after, until)) = span {
            let found = self.found(matchers, (after.as_millis(), until.as_millis()))?;
            for found in &found {
                collect(&found.labels, &mut texts);
            }
        } else {
            let catalogue = self.catalogue.read();
            for series in catalogue.matching(matchers)? {
                if let Some(labels) = catalogue.labels(series) {
                    collect(labels, &mut texts);
                }
            }
        }
        Ok(texts.into_iter().take(limit).collect())
    }
}
