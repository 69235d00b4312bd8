//! What people attach to checks: downtimes and comments.

use std::collections::BTreeMap;
use std::time::Duration;

use noroshi_model::{CheckId, Timestamp};

/// A downtime that is to come or holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedDowntime {
    /// Of what.
    pub id: CheckId,
    /// When it begins, or may begin.
    pub start: Timestamp,
    /// When it ends, or may no longer begin.
    pub end: Timestamp,
    /// Who asked.
    pub author: String,
    /// Why.
    pub comment: String,
    /// For a flexible one, how long it holds once begun.
    pub duration: Option<Duration>,
    /// The downtime with which it begins.
    pub triggered_by: Option<u64>,
    /// When it began; `None` before.
    pub began: Option<Timestamp>,
    /// When it will end; `None` before it began.
    pub until: Option<Timestamp>,
}

/// Something that somebody said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Comment {
    /// About what.
    pub id: CheckId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: String,
    /// What.
    pub text: String,
}

/// What happened to a downtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It began to hold.
    Began,
    /// It held, and is over.
    Ended,
    /// It never held, and no longer will.
    Passed,
}

impl PlannedDowntime {
    /// Tells whether it holds.
    pub(crate) fn is_active(&self) -> bool {
        self.began.is_some()
    }

    /// Tells whether it begins with something else than the clock.
    fn waits(&self) -> bool {
        self.duration.is_some() || self.triggered_by.is_some()
    }

    /// Begins it.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.began = Some(now);
        self.until = Some(match self.duration {
            Some(duration) => now + duration,
            None => self.end,
        });
    }
}

/// All downtimes by number.
#[derive(Debug, Default)]
pub(crate) struct Downtimes {
    /// By number.
    pub all: BTreeMap<u64, PlannedDowntime>,
}

impl Downtimes {
    /// Moves the clock on: begins and ends what is due. Those that are over are taken out.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<(u64, PlannedDowntime, Moved)> {
        let mut moved = Vec::new();
        for (number, downtime) in &mut self.all {
            let is_over = downtime.until.unwrap_or(downtime.end) <= now;
            if is_over {
                let how = if downtime.is_active() { Moved::Ended } else { Moved::Passed };
                moved.push((*number, downtime.clone(), how));
            } else if !downtime.is_active() && !downtime.waits() && downtime.start <= now {
                downtime.begin(now);
                moved.push((*number, downtime.clone(), Moved::Began));
            }
        }
        self.all.retain(|_, downtime| downtime.until.unwrap_or(downtime.end) > now);
        let mut begun: Vec<u64> = Vec::new();
        begun.extend(moved.iter().filter(|m| m.2 == Moved::Began).map(|m| m.0));
        for number in begun {
            moved.extend(self.trigger(number, now));
        }
        moved
    }

    /// Begins the flexible downtimes of `id` whose span holds `now`: it has a hard problem.
    pub(crate) fn begin_flexible(
        &mut self,
        id: &CheckId,
        now: Timestamp,
    ) -> Vec<(u64, PlannedDowntime, Moved)> {
        let mut begun = Vec::new();
        for (number, downtime) in &mut self.all {
            let is_flexible = downtime.duration.is_some() && downtime.triggered_by.is_none();
            let is_in_span = downtime.start <= now && now < downtime.end;
            if downtime.id == *id && is_flexible && is_in_span && !downtime.is_active() {
                downtime.begin(now);
                begun.push((*number, downtime.clone(), Moved::Began));
            }
        }
        let numbers: Vec<u64> = begun.iter().map(|(number, _, _)| *number).collect();
        for number in numbers {
            begun.extend(self.trigger(number, now));
        }
        begun
    }

    /// Begins what waits for the downtime `number`, and what waits for that.
    fn trigger(&mut self, number: u64, now: Timestamp) -> Vec<(u64, PlannedDowntime, Moved)> {
        let mut begun = Vec::new();
        let mut by = vec![number];
        while let Some(number) = by.pop() {
            for (other, downtime) in &mut self.all {
                let is_due = downtime.start <= now && now < downtime.end;
                if downtime.triggered_by == Some(number) && !downtime.is_active() && is_due {
                    downtime.begin(now);
                    begun.push((*other, downtime.clone(), Moved::Began));
                    by.push(*other);
                }
            }
        }
        begun
    }

    /// Walks over the downtimes that concern `id`: its own and its host's.
    pub(crate) fn of<'a>(
        &'a self,
        id: &'a CheckId,
    ) -> impl Iterator<Item = (u64, &'a PlannedDowntime)> {
        let concerns = move |of: &CheckId| of == id || (of.check.is_none() && of.host == id.host);
        self.all.iter().filter(move |(_, d)| concerns(&d.id)).map(|(number, d)| (*number, d))
    }

    /// Tells whether a downtime of `id` or of its host holds.
    pub(crate) fn holds(&self, id: &CheckId) -> bool {
        self.of(id).any(|(_, downtime)| downtime.is_active())
    }
}
