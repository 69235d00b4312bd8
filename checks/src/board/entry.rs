//! One check on the board: its spec, its state, and when it first runs.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use noroshi_model::time::millis;
use noroshi_model::{CheckId, Lasting, Timestamp};

use crate::macros::{names_asked, speak_of_states};
use crate::probe::{Judged, Probe};
use crate::schedule;
use crate::spec::{CheckSpec, CheckTerms, FlappingSpec, HostSpec, Timing};
use crate::state::State;
use crate::step::Rules;

/// How long those who report need at most to find the server again after it was away.
const REPORTERS_RETURN: Duration = Duration::from_mins(5);
/// How many intervals results may be apart so that a problem is taken to last between them: a run
/// may take an interval, and the next one then begins two intervals after it.
const GAP_INTERVALS: u32 = 3;
/// The least such gap: a busy machine is late by seconds, not by intervals of 100 ms.
const GAP_MIN: Duration = Duration::from_secs(10);

/// One host's own check, or one check on a host.
pub(crate) struct Entry {
    pub(crate) id: CheckId,
    pub(crate) host: Arc<HostSpec>,
    /// `None` for the host itself.
    pub(crate) check: Option<CheckSpec>,
    pub(crate) ready: Arc<Ready>,
    pub(crate) state: State,
    pub(super) phase: u64,
    /// When it is due, in steady milliseconds; `None`: not planned.
    pub(crate) due: Option<i64>,
    pub(crate) is_running: bool,
    /// Somebody asked for a run while one was under way.
    pub(super) wants_rerun: bool,
}

/// What follows from what is said of a check or host; checks that share their terms share it.
pub(crate) struct Ready {
    pub(crate) timing: Timing,
    pub(crate) rules: Rules,
    /// Macros in its texts that speak of others.
    pub(super) asks: Vec<String>,
    /// Whether macros in its texts speak of states.
    pub(super) has_states: bool,
    /// For an expression check: the expression made ready, once it was needed. A site of 100,000
    /// checks is applied before it is read.
    judged: OnceLock<Judged>,
}

impl Ready {
    pub(super) fn of_host(host: &HostSpec) -> Self {
        Self::new(host.probe.as_ref(), &host.timing, (true, false), host.flapping)
    }

    pub(super) fn of_check(check: &CheckTerms) -> Self {
        let of_what = (false, check.is_volatile);
        Self::new(Some(&check.probe), &check.timing, of_what, check.flapping)
    }

    fn new(
        probe: Option<&Probe>,
        timing: &Timing,
        (is_host, is_volatile): (bool, bool),
        flapping: FlappingSpec,
    ) -> Self {
        let timing = timing.bounded();
        let rules = Rules {
            is_host,
            attempts_max: timing.attempts_max,
            window: timing.window,
            lasting: timing.lasting,
            gap_max: gap_max(probe, &timing),
            is_volatile,
            flapping,
        };
        Self {
            rules,
            asks: names_asked(probe.iter().flat_map(|probe| probe.texts())),
            has_states: speak_of_states(probe.iter().flat_map(|probe| probe.texts())),
            timing,
            judged: OnceLock::new(),
        }
    }

    /// Returns the expression of a probe made ready; `None` for one that looks otherwise.
    pub(crate) fn judged(&self, probe: &Probe) -> Option<&Judged> {
        let Probe::Expression(probe) = probe else { return None };
        Some(self.judged.get_or_init(|| Judged::new(probe)))
    }
}

impl Entry {
    pub(super) fn new(
        id: CheckId,
        host: Arc<HostSpec>,
        check: Option<CheckSpec>,
        ready: Arc<Ready>,
    ) -> Self {
        let (phase, state) = (schedule::phase(&id), State::pending());
        let (due, is_running, wants_rerun) = (None, false, false);
        Self { id, host, check, ready, state, phase, due, is_running, wants_rerun }
    }

    /// Returns how it is looked at; `None` for a host that is taken to be up.
    pub(crate) fn probe(&self) -> Option<&Probe> {
        match &self.check {
            Some(check) => Some(&check.probe),
            None => self.host.probe.as_ref(),
        }
    }

    /// Returns the expression made ready; `None` for a check that looks otherwise.
    pub(crate) fn judged(&self) -> Option<&Judged> {
        self.ready.judged(self.probe()?)
    }

    /// Tells whether its slot was missed while the server was away, or it never ran.
    pub(super) fn is_late(&self, steady: i64) -> bool {
        let is_active = self.probe().is_some_and(Probe::is_active);
        let interval = millis(self.ready.timing.interval);
        is_active
            && self.state.started.is_none_or(|started| {
                // The slot that its last run belonged to, and the one after it.
                started.as_millis() + interval + interval / 2 < steady
                    || started.as_millis() > steady
            })
    }

    /// Returns when it is first due after a start or a change of its timing. `away`: how long the
    /// server did not listen.
    pub(super) fn first_due(
        &self,
        waiting: usize,
        wall: Timestamp,
        away: Duration,
        steady: i64,
    ) -> Option<i64> {
        let interval = millis(self.ready.timing.interval);
        match self.probe()? {
            probe if !probe.is_active() => {
                let span = probe.freshness()?;
                // What was not heard may have been said while nobody listened: who reports has as
                // long again, and a while to find the server. A daily job that failed is not
                // forgiven by a restart each night.
                let grace = span.min(away + REPORTERS_RETURN);
                let heard = self.state.heard.map_or(Duration::ZERO, |heard| wall.since(heard));
                Some(steady + millis(span.saturating_sub(heard).max(grace)))
            }
            _ if self.is_late(steady) => {
                Some(schedule::first(self.phase, interval, waiting, steady))
            }
            _ if self.state.is_being_confirmed() => {
                let due = self.state.started.map_or(steady, Timestamp::as_millis);
                Some(self.retry_due(due, (wall, steady)))
            }
            _ => Some(schedule::slot_after(self.phase, interval, steady)),
        }
    }

    /// Returns when a problem that is being confirmed is looked at again whose last run was due at
    /// `due`: after the retry interval, or when it will have lasted long enough, if that is before.
    pub(super) fn retry_due(&self, due: i64, (now, steady): (Timestamp, i64)) -> i64 {
        let retry = due + millis(self.ready.timing.retry_interval);
        let end =
            self.lasts_until().map_or(retry, |end| steady + end.as_millis() - now.as_millis());
        retry.min(end).max(steady)
    }

    /// Returns when a passive check is looked at that is not heard of: it is stale then, or its
    /// silence, which it was found to be a problem of, has lasted long enough.
    pub(super) fn silence_due(&self, now: Timestamp, steady: i64) -> Option<i64> {
        let freshness = self.probe()?.freshness()?;
        let heard = self.state.heard.map_or(Duration::ZERO, |heard| now.since(heard));
        let rest = freshness.saturating_sub(heard);
        let due = steady + millis(if rest.is_zero() { freshness } else { rest });
        let is_silent = |end: &Timestamp| self.state.heard.is_none_or(|at| at + freshness <= *end);
        let end = self.lasts_until().filter(is_silent);
        let end = end.map_or(due, |end| steady + end.as_millis() - now.as_millis());
        Some(due.min(end).max(steady))
    }

    /// Returns when a problem will have lasted long enough; `None` when that is not waited for.
    fn lasts_until(&self) -> Option<Timestamp> {
        let streak = self.state.streak.filter(|_| self.state.is_being_confirmed())?;
        let needed = self.ready.rules.lasting?;
        (streak.lasted() < needed).then(|| streak.begun + needed)
    }

    /// Tells how long its problem was seen to last; `None` when that decides nothing.
    pub(crate) fn lasting(&self) -> Option<Lasting> {
        let needed_ms = millis(self.ready.rules.lasting?).unsigned_abs();
        let streak = self.state.streak;
        let seen_ms = streak.map_or(0, |streak| millis(streak.lasted()).unsigned_abs());
        Some(Lasting { seen_ms, needed_ms })
    }
}

/// Returns how far results may be apart so that a problem is taken to last between them.
fn gap_max(probe: Option<&Probe>, timing: &Timing) -> Duration {
    let interval = match probe {
        Some(Probe::Passive(passive)) => passive.freshness,
        _ => None,
    };
    let interval = interval.unwrap_or(timing.interval.max(timing.retry_interval));
    interval.saturating_mul(GAP_INTERVALS).max(GAP_MIN)
}
