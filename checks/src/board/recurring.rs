//! Maintenance periods: each is a downtime again and again, as the configuration asks for it.

use std::collections::BTreeMap;
use std::time::Duration;

use noroshi_model::{CheckId, Timestamp};

use super::Board;
use crate::mark::PlannedDowntime;
use crate::record;

/// Who asked for the downtimes of a maintenance period.
const CONFIGURATION: &str = "configuration";
/// How long a downtime of a maintenance period is at most; then another follows.
const RECURRING_MAX: Duration = Duration::from_hours(24 * 7);

impl Board {
    /// Plans a downtime for each maintenance period that has begun.
    pub(super) fn plan_recurring(&mut self, now: Timestamp) {
        let mut due = Vec::new();
        for (name, ids) in &self.recurring {
            if !self.periods.holds(Some(name), now) {
                continue;
            }
            let is_planned = |id: &&CheckId| {
                let mut of_host = self.downtimes.all.of_host(&id.host);
                of_host.any(|(_, of)| of.id == **id && is_of_period(of) && of.comment == *name)
            };
            let missing: Vec<CheckId> = ids.iter().filter(|id| !is_planned(id)).cloned().collect();
            if !missing.is_empty() {
                let end = self.periods.end(name, now, RECURRING_MAX);
                due.extend(missing.into_iter().map(|id| (id, name.clone(), end)));
            }
        }
        for (id, comment, end) in due {
            let number = self.take_mark();
            let author = CONFIGURATION.to_owned();
            let downtime = PlannedDowntime {
                id,
                start: now,
                end,
                author,
                comment,
                duration: None,
                triggered_by: None,
                began: None,
                until: None,
            };
            self.downtimes.all.insert(number, downtime);
        }
    }

    /// Remembers that somebody ended the downtime of a maintenance period: until that is over there
    /// is no other.
    pub(super) fn call_off(&mut self, number: u64, downtime: PlannedDowntime) {
        if is_of_period(&downtime) && self.is_asked_for(&downtime) {
            let (start, began, until) = (downtime.end, None, None);
            let downtime = PlannedDowntime { start, began, until, ..downtime };
            record::put_downtime(&mut self.out.batch, number, &downtime);
            self.downtimes.all.insert(number, downtime);
        }
    }

    /// Ends the downtimes of periods that another configuration no longer asks for, or not for as
    /// long.
    pub(super) fn end_unasked(&mut self, now: Timestamp) {
        let mut ends: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut changed = Vec::new();
        for (number, downtime) in self.downtimes.all.iter().filter(|(_, of)| is_of_period(of)) {
            let is_held = self.periods.holds(Some(&downtime.comment), now);
            let end = if is_held && self.is_asked_for(downtime) {
                let find = || self.periods.end(&downtime.comment, now, RECURRING_MAX);
                *ends.entry(downtime.comment.clone()).or_insert_with(find)
            } else {
                now
            };
            // One that holds for longer than a downtime does is followed by another.
            let is_long = end >= now + RECURRING_MAX;
            if end != downtime.end && !(is_long && downtime.end > now) {
                changed.push((number, end));
            }
        }
        for (number, end) in changed {
            let Some(mut downtime) = self.downtimes.all.remove(number) else { continue };
            if end <= now {
                record::remove_downtime(&mut self.out.batch, number);
                if downtime.is_active() {
                    self.log_downtime_end(number, &downtime, true, now);
                }
            } else {
                if downtime.is_called_off() {
                    downtime.start = end;
                }
                downtime.end = end;
                downtime.until = downtime.until.map(|_| end);
                record::put_downtime(&mut self.out.batch, number, &downtime);
                self.downtimes.all.insert(number, downtime.clone());
            }
            self.show_downtime(&downtime);
        }
    }

    fn is_asked_for(&self, downtime: &PlannedDowntime) -> bool {
        let ids = self.recurring.get(&downtime.comment);
        // They are listed in their order.
        ids.is_some_and(|ids| ids.binary_search(&downtime.id).is_ok())
    }
}

fn is_of_period(downtime: &PlannedDowntime) -> bool {
    downtime.author == CONFIGURATION
}
