//! When the sources of series began anew: what is drawn into graphs as a mark.

use std::collections::HashMap;

use noroshi_model::{Matcher, Restart, SelectError, Timestamp};

use crate::find::Found;
use crate::inner::Inner;
use crate::select::read_error;

impl Inner {
    /// As [`noroshi_model::SeriesSource::restarts`].
    pub(crate) fn restarts(
        &self,
        matchers: &[Matcher],
        (after, until): (Timestamp, Timestamp),
        sources_max: usize,
    ) -> Result<Vec<Restart>, SelectError> {
        let (after, until) = (after.as_millis(), until.as_millis());
        // All series of a source are marked alike: the one that reaches back furthest tells it.
        let mut sources: HashMap<(String, String), (i64, Found)> = HashMap::new();
        for found in self.found(matchers, (after, until))? {
            let label = |name| found.labels.get(name).unwrap_or_default().to_owned();
            let source = (label("job"), label("instance"));
            let spans = &self.classes;
            let reach = self.look(&found, |head| {
                spans.get(usize::from(head.class)).and_then(|class| class.spans.last()).copied()
            });
            let reach = reach.flatten().unwrap_or(0);
            if sources.get(&source).is_none_or(|(known, _)| *known < reach) {
                sources.insert(source, (reach, found));
            }
            if sources.len() > sources_max {
                return Ok(Vec::new());
            }
        }
        let mut restarts = Vec::new();
        for ((job, _), (_, found)) in sources {
            let Some(view) = self.view_found(&found, after, until) else { continue };
            for archive in 0..view.chains.len() {
                let marks = self.marks(&view, archive, (after, until)).map_err(read_error)?;
                restarts.extend(marks.iter().map(|mark| Restart {
                    at: Timestamp::from_millis(mark.at),
                    started_at: Timestamp::from_millis(mark.started_at),
                    job: job.clone(),
                }));
            }
        }
        restarts.sort();
        restarts.dedup();
        Ok(restarts)
    }
}
