//! When each check is due: pure arithmetic on a steady clock.
//!
//! Regular runs lie on a grid of the check's interval whose phase is a hash of its id. So runs are
//! spread evenly, a reload or a restart finds the same phase again without remembering it, and
//! nothing is bunched after an outage. The steady clock counts milliseconds from the wall time of
//! the start and never jumps.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use noroshi_model::{CheckId, Timestamp};
use tokio::time::Instant;

use crate::class::{Class, Room};

/// How many checks a second are begun beyond their grid when many wait for their first run or
/// were missed: few enough for a small machine.
const CATCH_UP_PER_SECOND: usize = 100;
/// The shortest span over which first runs are spread.
const CATCH_UP_MS_MIN: i64 = 2_000;

/// A clock in milliseconds that never jumps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steady {
    origin: Instant,
    millis: i64,
}

impl Steady {
    /// Starts at the wall time `now`.
    pub(crate) fn start(now: Timestamp) -> Self {
        Self { origin: Instant::now(), millis: now.as_millis() }
    }

    /// Returns the steady time.
    pub(crate) fn now(&self) -> i64 {
        let elapsed = self.origin.elapsed().as_millis();
        self.millis.saturating_add(i64::try_from(elapsed).unwrap_or(i64::MAX))
    }

    /// Returns the moment at which tokio's clock shows `due`; the past becomes the origin.
    pub(crate) fn instant(&self, due: i64) -> Instant {
        let after = due.saturating_sub(self.millis).max(0).unsigned_abs();
        self.origin + Duration::from_millis(after)
    }
}

/// Returns the phase of a check: evenly spread over all `u64`, the same after a restart.
pub(crate) fn phase(id: &CheckId) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Returns the first moment after `after` that lies on the check's grid.
pub(crate) fn slot_after(phase: u64, interval_ms: i64, after: i64) -> i64 {
    let interval = interval_ms.max(1);
    let offset = i64::try_from(phase % interval.unsigned_abs()).unwrap_or(0);
    after + interval - (after - offset).rem_euclid(interval)
}

/// Returns when a check is due whose run was due at `due` and has ended `now`.
///
/// That is the next slot; slots that went by during the run are left out, not made up for.
pub(crate) fn next_regular(phase: u64, interval_ms: i64, due: i64, now: i64) -> i64 {
    slot_after(phase, interval_ms, (due + interval_ms / 2).max(now))
}

/// Returns when a check first runs that was never run, or whose slot was missed.
///
/// Spread over a span that grows with the number of those that wait, but never beyond the slot.
pub(crate) fn first(phase: u64, interval_ms: i64, waiting: usize, now: i64) -> i64 {
    let span = i64::try_from(waiting * 1000 / CATCH_UP_PER_SECOND).unwrap_or(i64::MAX);
    let span = span.max(CATCH_UP_MS_MIN).unsigned_abs();
    // Other bits than those of the grid's phase, or both would sort the checks alike.
    let offset = i64::try_from((phase >> 32) % span).unwrap_or(0);
    slot_after(phase, interval_ms, now).min(now + offset)
}

/// What is due when. An entry that is no longer true is skipped by whoever pops it.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    planned: BinaryHeap<Reverse<(i64, CheckId)>>,
    /// What is due and had no room, of each class, the earliest first.
    put_off: [VecDeque<(i64, CheckId)>; Class::ALL.len()],
}

impl Queue {
    /// Notes that a check is due. Returns whether it is due before all others.
    pub(crate) fn push(&mut self, due: i64, id: CheckId) -> bool {
        let is_earliest = self.earliest().is_none_or(|earliest| due < earliest);
        self.planned.push(Reverse((due, id)));
        is_earliest
    }

    /// Takes an entry that is due: first one that was put off and now has room.
    pub(crate) fn pop_due(&mut self, now: i64, room: &Room) -> Option<(i64, CheckId)> {
        for class in Class::ALL.into_iter().filter(|class| room.has(*class)) {
            if let Some(entry) = self.put_off[class as usize].pop_front() {
                return Some(entry);
            }
        }
        let Reverse((due, _)) = self.planned.peek()?;
        if *due > now {
            return None;
        }
        self.planned.pop().map(|Reverse(entry)| entry)
    }

    /// Keeps an entry that is due until there is room for its class.
    pub(crate) fn put_off(&mut self, class: Class, due: i64, id: CheckId) {
        self.put_off[class as usize].push_back((due, id));
    }

    /// Tells of which classes some are due and wait for room, by the numbers of the classes.
    pub(crate) fn waits(&self) -> [bool; Class::ALL.len()] {
        Class::ALL.map(|class| !self.put_off[class as usize].is_empty())
    }

    /// Tells whether a check is noted for a moment.
    #[cfg(test)]
    pub(crate) fn holds(&self, due: i64, id: &CheckId) -> bool {
        self.planned.iter().any(|Reverse((at, of))| *at == due && of == id)
    }

    /// Returns when the earliest entry is due that was not put off.
    pub(crate) fn earliest(&self) -> Option<i64> {
        self.planned.peek().map(|Reverse((due, _))| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_lie_on_the_grid_and_after_the_moment() {
        // Phase 25 on a grid of 60: ..., 25, 85, 145, ...
        for (after, slot) in [(0, 25), (24, 25), (25, 85), (26, 85), (-40, -35), (-35, 25)] {
            assert_eq!(slot_after(25, 60, after), slot, "after {after}");
        }
    }

    #[test]
    fn a_run_that_took_long_leaves_slots_out_instead_of_making_up_for_them() {
        assert_eq!(next_regular(25, 60, 25, 30), 85);
        assert_eq!(next_regular(25, 60, 25, 84), 85);
        assert_eq!(next_regular(25, 60, 25, 290), 325);
        // A run off the grid (a recheck at 70) is followed by one at least half an interval later.
        assert_eq!(next_regular(25, 60, 70, 71), 145);
    }

    #[test]
    fn ten_thousand_checks_are_spread_evenly_over_the_minute() {
        let mut per_second = [0; 60];
        for i in 0..10_000 {
            let due = slot_after(phase(&CheckId::check(&format!("h{i}"), "ping")), 60_000, 0);
            per_second[(due / 1000) as usize % 60] += 1;
        }
        // 10000/60 = 167 on average; the deviation of such a sum is 13, so 6 of them are 78.
        assert!(per_second.iter().all(|n| (89..245).contains(n)), "{per_second:?}");
    }

    #[test]
    fn missed_checks_are_caught_up_with_without_a_flood() {
        let mut per_second = [0; 120];
        for i in 0..6_000 {
            let id = CheckId::check(&format!("h{i}"), "ping");
            let due = first(phase(&id), 3_600_000, 6_000, 0);
            per_second[(due / 1000) as usize] += 1;
        }
        // 6000 at 100 a second take a minute.
        assert!(per_second[..60].iter().all(|n| *n < 160), "{per_second:?}");
        assert!(per_second[61..].iter().all(|n| *n == 0));
        // A single new check runs within two seconds.
        assert!(first(phase(&CheckId::host("new")), 3_600_000, 1, 0) < 2_000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_steady_clock_goes_on_from_the_wall_time_of_the_start() {
        let steady = Steady::start(Timestamp::from_secs(1000));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(steady.now(), 1_005_000);
        tokio::time::sleep_until(steady.instant(1_007_000)).await;
        assert_eq!(steady.now(), 1_007_000);
    }
}
