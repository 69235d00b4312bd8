//! Availability: how long hosts and checks were in which state, from the event log.
//!
//! Only confirmed states count (soft ones were not yet certain). Time of which nothing is known is
//! told as such, not taken to be fine: before the first event that tells, and while the monitor
//! itself was off (`runs.rs`). One pass in the order of time serves one check and ten thousand
//! hosts alike.

use std::collections::BTreeMap;
use std::time::Duration;

use noroshi_model::{ChangeKind, CheckId, EventBody, Matcher, Status, Timestamp};
use serde::Serialize;

use crate::runs::Gaps;

/// How long something was in which state.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Availability {
    /// Milliseconds in each status, by name; statuses that did not occur are left out.
    pub status_ms: BTreeMap<&'static str, u64>,
    /// The part of it that was in a downtime, in milliseconds.
    pub downtime_ms: BTreeMap<&'static str, u64>,
    /// Milliseconds of which nothing is known: the log does not reach back so far, or it was never
    /// looked at.
    pub unmonitored_ms: u64,
    /// Milliseconds in which the monitor itself was off: whatever was known before, nobody looked.
    pub monitor_off_ms: u64,
    /// From when on something is known, in milliseconds since 1970, when that is after the span's
    /// beginning.
    pub known_since: Option<Timestamp>,
}

/// Whose availability a report tells: all that is asked for must be so.
#[derive(Clone, Debug, Default)]
pub struct AvailabilityOf {
    /// Hosts of this group; `None`: of any and of none.
    pub group: Option<String>,
    /// What its labels must be, the host's name among them as `instance`.
    pub matchers: Vec<Matcher>,
    /// The checks of this name; `None`: the hosts themselves.
    pub check: Option<String>,
}

/// The availability of many over one span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AvailabilityReport {
    /// Each, by name.
    pub rows: Vec<(CheckId, Availability)>,
    /// All together.
    pub together: Together,
    /// The same, with those left out at each moment that were in a downtime.
    pub together_without_downtime: Together,
}

/// How long any of several, or all of them, were not fine. In milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Together {
    /// The state of at least one was known, and the monitor ran.
    pub known_ms: u64,
    /// At least one was known not to be fine.
    pub any_down_ms: u64,
    /// None of those that were known was fine.
    pub all_down_ms: u64,
}

impl Availability {
    /// Returns the share of the known time that was fine (OK or up), 0 to 1.
    ///
    /// With `is_downtime_left_out` the time in a downtime counts neither way. `None` when no time
    /// is left to judge.
    pub fn ratio(&self, is_downtime_left_out: bool) -> Option<f64> {
        let known = |name: &str| {
            let all = self.status_ms.get(name).copied().unwrap_or(0);
            let planned = self.downtime_ms.get(name).copied().unwrap_or(0);
            if is_downtime_left_out { all - planned } else { all }
        };
        let total: u64 = self.status_ms.keys().map(|name| known(name)).sum();
        let fine = known(Status::Ok.as_str()) + known(Status::Up.as_str());
        (total > 0).then(|| fine as f64 / total as f64)
    }
}

impl AvailabilityReport {
    /// Returns the mean of the shares that were fine, 0 to 1; `None` when nothing is known of any.
    pub fn mean(&self, is_downtime_left_out: bool) -> Option<f64> {
        let ratios = self.rows.iter().filter_map(|(_, times)| times.ratio(is_downtime_left_out));
        let (sum, count) = ratios.fold((0.0, 0_u32), |(sum, n), ratio| (sum + ratio, n + 1));
        (count > 0).then(|| sum / f64::from(count))
    }
}

/// One whose time is added up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    /// Its status now, for when no event tells.
    pub(crate) current: Option<Status>,
    /// Nothing is known of what was before.
    pub(crate) known: Option<Timestamp>,
}

/// Something that events are about: a subject, or the host of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot {
    /// Whose states they are.
    pub(crate) subject: Option<usize>,
    /// For whom its downtimes hold.
    pub(crate) downtimes_of: Vec<usize>,
}

/// An event, in short.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) at: Timestamp,
    pub(crate) slot: usize,
    pub(crate) what: What,
}

/// What an event means for availability.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    State { kind: ChangeKind, previous: Status, status: Status },
    DowntimeBegan,
    DowntimeEnded,
}

impl What {
    /// Returns what an event means; `None` when it means nothing here.
    pub(crate) fn of(body: &EventBody) -> Option<Self> {
        Some(match body {
            EventBody::State(change) => {
                Self::State { kind: change.kind, previous: change.previous, status: change.status }
            }
            EventBody::DowntimeStarted { .. } => Self::DowntimeBegan,
            EventBody::DowntimeEnded { .. } => Self::DowntimeEnded,
            _ => return None,
        })
    }
}

/// One subject on the way through the turns.
struct Line {
    sum: Availability,
    status: Option<Status>,
    downtimes: usize,
    /// From when on something may be known of it, within the span.
    known: Timestamp,
    is_known: bool,
    /// Up to when its time is added up.
    from: Timestamp,
}

/// How many are known, and of them not fine: all, and those that are in no downtime.
#[derive(Clone, Copy, Default)]
struct Tally([(usize, usize); 2]);

/// The pass through all turns.
struct Pass<'a> {
    lines: Vec<Line>,
    tally: Tally,
    sums: [Together; 2],
    gaps: &'a Gaps,
    now: Timestamp,
}

/// Adds up a span. `turns`: in the order of the log, those before the span included.
pub(crate) fn add_up(
    subjects: &[Subject],
    slots: &[Slot],
    turns: &[Turn],
    gaps: &Gaps,
    (start, end): (Timestamp, Timestamp),
) -> (Vec<Availability>, [Together; 2]) {
    let mut lines: Vec<Line> =
        subjects.iter().map(|subject| Line::new(subject, start, end)).collect();
    note_first(&mut lines, slots, turns);
    let mut joins: Vec<(Timestamp, usize)> =
        lines.iter().enumerate().map(|(index, line)| (line.known, index)).collect();
    joins.sort_unstable();
    let mut joins = joins.into_iter().peekable();
    let mut pass =
        Pass { lines, tally: Tally::default(), sums: Default::default(), gaps, now: start };
    for turn in turns {
        // A clock that was set back turns no time back.
        let at = turn.at.clamp(pass.now, end);
        while let Some((known, index)) = joins.next_if(|(known, _)| *known <= at) {
            pass.pass_to(known);
            pass.change(index, |line| line.is_known = true);
        }
        pass.pass_to(at);
        let slot = &slots[turn.slot];
        match turn.what {
            What::State { kind: ChangeKind::SoftProblem | ChangeKind::SoftRecovery, .. } => {}
            What::State { status, .. } => {
                if let Some(index) = slot.subject {
                    pass.change(index, |line| line.status = Some(status));
                }
            }
            What::DowntimeBegan => {
                for index in &slot.downtimes_of {
                    pass.change(*index, |line| line.downtimes += 1);
                }
            }
            What::DowntimeEnded => {
                for index in &slot.downtimes_of {
                    pass.change(*index, |line| line.downtimes = line.downtimes.saturating_sub(1));
                }
            }
        }
    }
    for (known, index) in joins {
        pass.pass_to(known);
        pass.change(index, |line| line.is_known = true);
    }
    pass.pass_to(end);
    let off = millis(gaps.within(start, end));
    let end_all = |mut line: Line| {
        line.add(gaps, end);
        line.sum.monitor_off_ms = off;
        line.sum
    };
    (pass.lines.into_iter().map(end_all).collect(), pass.sums)
}

/// Gives each line the confirmed status before its first event, as far as the events tell it.
fn note_first(lines: &mut [Line], slots: &[Slot], turns: &[Turn]) {
    let mut is_told = vec![false; lines.len()];
    for turn in turns {
        let What::State { kind, previous, .. } = turn.what else { continue };
        let Some(index) = slots[turn.slot].subject else { continue };
        if !std::mem::replace(&mut is_told[index], true) {
            // A problem that begins says what was before it.
            let is_told = kind == ChangeKind::SoftProblem || !previous.is_problem();
            lines[index].status = is_told.then_some(previous);
        }
    }
}

impl Line {
    fn new(subject: &Subject, start: Timestamp, end: Timestamp) -> Self {
        let known = subject.known.filter(|known| *known > start);
        Self {
            sum: Availability { known_since: known, ..Availability::default() },
            status: subject.current,
            downtimes: 0,
            known: known.map_or(start, |known| known.min(end)),
            is_known: false,
            from: start,
        }
    }

    /// Adds up the time to a moment.
    fn add(&mut self, gaps: &Gaps, until: Timestamp) {
        let span = until.since(self.from).saturating_sub(gaps.within(self.from, until));
        self.from = until;
        let span = millis(span);
        if span == 0 {
            return;
        }
        let Some(status) = self.status.filter(|_| self.is_known) else {
            self.sum.unmonitored_ms += span;
            return;
        };
        *self.sum.status_ms.entry(status.as_str()).or_default() += span;
        if self.downtimes > 0 {
            *self.sum.downtime_ms.entry(status.as_str()).or_default() += span;
        }
    }

    /// Tells in which tallies it counts, and whether as one that is not fine.
    fn counts(&self) -> ([bool; 2], bool) {
        let is_known = self.is_known && self.status.is_some();
        let is_bad = self.status.is_some_and(|s| !matches!(s, Status::Ok | Status::Up));
        ([is_known, is_known && self.downtimes == 0], is_bad)
    }
}

impl Tally {
    fn add(&mut self, (kinds, is_bad): ([bool; 2], bool)) {
        for ((known, bad), is_in) in self.0.iter_mut().zip(kinds) {
            *known += usize::from(is_in);
            *bad += usize::from(is_in && is_bad);
        }
    }

    fn remove(&mut self, (kinds, is_bad): ([bool; 2], bool)) {
        for ((known, bad), is_in) in self.0.iter_mut().zip(kinds) {
            *known -= usize::from(is_in);
            *bad -= usize::from(is_in && is_bad);
        }
    }
}

impl Pass<'_> {
    /// Lets the time pass for all together.
    fn pass_to(&mut self, at: Timestamp) {
        if at <= self.now {
            return;
        }
        let span = millis(at.since(self.now).saturating_sub(self.gaps.within(self.now, at)));
        self.now = at;
        for (sum, (known, bad)) in self.sums.iter_mut().zip(self.tally.0) {
            sum.known_ms += if known > 0 { span } else { 0 };
            sum.any_down_ms += if bad > 0 { span } else { 0 };
            sum.all_down_ms += if bad > 0 && bad == known { span } else { 0 };
        }
    }

    /// Changes one line now.
    fn change(&mut self, index: usize, change: impl FnOnce(&mut Line)) {
        let line = &mut self.lines[index];
        line.add(self.gaps, self.now);
        self.tally.remove(line.counts());
        change(line);
        self.tally.add(line.counts());
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
