//! What people attach to checks: downtimes and comments.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
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

/// What stands at a host or check.
pub(crate) trait Mark {
    /// Returns at which.
    fn id(&self) -> &CheckId;
}

impl Mark for PlannedDowntime {
    fn id(&self) -> &CheckId {
        &self.id
    }
}

impl Mark for Comment {
    fn id(&self) -> &CheckId {
        &self.id
    }
}

/// Marks by number, which are found by host too: whoever shows a check looks at its own only.
#[derive(Debug)]
pub(crate) struct Marks<T> {
    by_number: BTreeMap<u64, T>,
    of_host: HashMap<Arc<str>, BTreeSet<u64>>,
}

impl<T> Default for Marks<T> {
    fn default() -> Self {
        Self { by_number: BTreeMap::new(), of_host: HashMap::new() }
    }
}

impl<T: Mark> FromIterator<(u64, T)> for Marks<T> {
    fn from_iter<I: IntoIterator<Item = (u64, T)>>(all: I) -> Self {
        let mut marks = Self::default();
        for (number, mark) in all {
            marks.insert(number, mark);
        }
        marks
    }
}

impl<T: Mark> Marks<T> {
    /// Adds a mark, or puts it in the place of the one of that number.
    pub(crate) fn insert(&mut self, number: u64, mark: T) {
        self.remove(number);
        self.of_host.entry(Arc::clone(&mark.id().host)).or_default().insert(number);
        self.by_number.insert(number, mark);
    }

    /// Takes a mark out.
    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let mark = self.by_number.remove(&number)?;
        if let Some(of_host) = self.of_host.get_mut(&mark.id().host) {
            of_host.remove(&number);
            if of_host.is_empty() {
                self.of_host.remove(&mark.id().host);
            }
        }
        Some(mark)
    }

    /// Returns the one of a number.
    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.by_number.get(&number)
    }

    /// Tells whether there is one of a number.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.by_number.contains_key(&number)
    }

    /// Walks over all, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.by_number.iter().map(|(number, mark)| (*number, mark))
    }

    /// Walks over all, by number; at what a mark stands must stay.
    fn iter_mut(&mut self) -> impl Iterator<Item = (&u64, &mut T)> {
        self.by_number.iter_mut()
    }

    /// Walks over those of a host and its checks, by number.
    pub(crate) fn of_host(&self, host: &str) -> impl Iterator<Item = (u64, &T)> {
        let numbers = self.of_host.get(host).into_iter().flatten();
        numbers.filter_map(|number| Some((*number, self.by_number.get(number)?)))
    }

    /// Returns the greatest number.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.by_number.last_key_value().map(|(number, _)| *number)
    }
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

    /// Tells whether it never begins: it stands for a maintenance that somebody ended early.
    pub(crate) fn is_called_off(&self) -> bool {
        self.start >= self.end && !self.is_active()
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
    pub all: Marks<PlannedDowntime>,
}

impl Downtimes {
    /// Moves the clock on: begins and ends what is due. Those that are over are taken out.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<(u64, PlannedDowntime, Moved)> {
        let mut moved = Vec::new();
        for (number, downtime) in self.all.iter_mut() {
            let is_over = downtime.until.unwrap_or(downtime.end) <= now;
            if is_over {
                let how = if downtime.is_active() { Moved::Ended } else { Moved::Passed };
                moved.push((*number, downtime.clone(), how));
            } else if !downtime.is_active() && !downtime.waits() && downtime.start <= now {
                downtime.begin(now);
                moved.push((*number, downtime.clone(), Moved::Began));
            }
        }
        for (number, ..) in moved.iter().filter(|(.., how)| *how != Moved::Began) {
            self.all.remove(*number);
        }
        // Thousands may begin in one moment, and few wait for one of them.
        let awaited: BTreeSet<u64> =
            self.all.iter().filter_map(|(_, of)| of.triggered_by).collect();
        let begun = moved.iter().filter(|m| m.2 == Moved::Began && awaited.contains(&m.0));
        for number in begun.map(|m| m.0).collect::<Vec<u64>>() {
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
        for (number, downtime) in self.all.iter_mut() {
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
            for (other, downtime) in self.all.iter_mut() {
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
        let concerns = move |of: &CheckId| of.check.is_none() || of.check == id.check;
        let of_host = self.all.of_host(&id.host);
        of_host.filter(move |(_, of)| concerns(&of.id) && !of.is_called_off())
    }

    /// Tells whether a downtime of `id` or of its host holds.
    pub(crate) fn holds(&self, id: &CheckId) -> bool {
        self.of(id).any(|(_, downtime)| downtime.is_active())
    }
}
