//! When the sources of series began anew: what is drawn into graphs as a mark.

use std::collections::HashSet;

use noroshi_model::{Matcher, SelectError, Timestamp};
use serde::Serialize;

use crate::inner::Inner;
use crate::select::read_error;

/// A source's counters began anew: a machine booted, a server was restarted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Restart {
    /// The first sample after it.
    pub at: Timestamp,
    /// When the source says that it started.
    pub started_at: Timestamp,
    /// The label `job` of its series; empty when they have none.
    pub job: String,
}

impl Inner {
    /// See [`crate::Store::restarts`].
    pub(crate) fn restarts(
        &self,
        matchers: &[Matcher],
        (after, until): (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<Restart>, SelectError> {
        let (after, until) = (after.as_millis(), until.as_millis());
        let mut sources = HashSet::new();
        let mut restarts = Vec::new();
        for (labels, series) in self.found(matchers)? {
            let job = labels.get("job").unwrap_or_default();
            let instance = labels.get("instance").unwrap_or_default();
            // All series of a source are marked alike: one tells it.
            let is_told = sources.contains(&(job.to_owned(), instance.to_owned()));
            if is_told || !self.may_have(series, after, until) {
                continue;
            }
            let Some(view) = self.view(series, after, until) else { continue };
            sources.insert((job.to_owned(), instance.to_owned()));
            let raw = self.raw(&view, after, until, false).map_err(read_error)?;
            let within = raw.marks.iter().filter(|mark| mark.at > after && mark.at <= until);
            restarts.extend(within.map(|mark| Restart {
                at: Timestamp::from_millis(mark.at),
                started_at: Timestamp::from_millis(mark.started_at),
                job: job.to_owned(),
            }));
        }
        restarts.sort();
        restarts.dedup();
        restarts.drain(..restarts.len().saturating_sub(limit));
        Ok(restarts)
    }
}
