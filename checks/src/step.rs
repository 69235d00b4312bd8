//! The state machine: what a result makes of a state. Pure; `STATES.md` is its table.

use std::time::Duration;

use noroshi_model::{ChangeKind, CheckResult, StateType, Status, Timestamp};

use crate::record::cut;
use crate::spec::FlappingSpec;
use crate::state::{LONG_OUTPUT_BYTES_MAX, OUTPUT_BYTES_MAX, Problem, State, Streak};

/// What of a spec the state machine goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rules {
    /// Whether it is a host: up, down, unreachable.
    pub(crate) is_host: bool,
    /// How many results that are not OK make a problem hard. At least 1.
    pub(crate) attempts_max: u32,
    /// Of how many last results `attempts_max` must be problems; `None`: one after the other.
    pub(crate) window: Option<u32>,
    /// How long a problem must be seen to last until it is hard, beside its attempts.
    pub(crate) lasting: Option<Duration>,
    /// How far results may be apart: a longer gap proves nothing of what was in it.
    pub(crate) gap_max: Duration,
    /// Whether each confirmed problem result is logged again.
    pub(crate) is_volatile: bool,
    /// Flap detection.
    pub(crate) flapping: FlappingSpec,
}

/// How something is reached while it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// Nothing stands in the way.
    Clear,
    /// Something that it depends on has a problem.
    Behind,
    /// For a check: its host is not up. For a host: none of its parents is.
    CutOff,
}

impl Rules {
    /// Returns how many results within the window were problems; `None` when there is no window.
    fn failures(&self, state: &State) -> Option<u32> {
        let mask = u64::MAX.checked_shr(64 - self.window?).unwrap_or(0);
        Some((state.recent & mask).count_ones())
    }

    /// Goes on with a streak, or begins one: after a gap, and when the wall clock was set back.
    fn prolonged(&self, streak: Option<Streak>, result: &CheckResult) -> Streak {
        let (started, finished) = (result.started, result.finished);
        let is_whole = |streak: &Streak| {
            finished >= streak.begun && started.since(streak.newest) <= self.gap_max
        };
        let begun = streak.filter(is_whole).map_or(finished, |streak| streak.begun);
        Streak { begun, newest: started }
    }

    /// Tells whether a problem has lasted as long as it must to be hard.
    fn has_lasted(&self, state: &State) -> bool {
        let lasted = state.streak.map_or(Duration::ZERO, |streak| streak.lasted());
        self.lasting.is_none_or(|needed| lasted >= needed)
    }
}

/// What became different.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// The status or the state type.
    State(StateStep),
    /// One more attempt of a problem that is not yet confirmed. Not logged; event handlers run.
    Attempt,
    /// The acknowledgement ended with the state for which it was given.
    AcknowledgementEnded {
        /// The problem it was for.
        problem: u64,
    },
    /// The state began to flap.
    FlappingStarted {
        /// Weighted share of changes, 0 to 100.
        percent: f64,
    },
    /// The state stopped flapping.
    FlappingStopped {
        /// Weighted share of changes, 0 to 100.
        percent: f64,
    },
}

/// A change of status or state type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StateStep {
    /// Why it is logged.
    pub(crate) kind: ChangeKind,
    /// Status before.
    pub(crate) previous: Status,
    /// Status now.
    pub(crate) status: Status,
    /// State type now.
    pub(crate) state_type: StateType,
    /// Which attempt this was.
    pub(crate) attempt: u32,
    /// The same for event handlers: with the end of a problem the attempt that found it, as Nagios
    /// counts (`checks.c` sets it back after handlers were called).
    pub(crate) tried: u32,
    /// The problem that it is about, the one that just ended included, as it was before.
    pub(crate) problem: Problem,
}

/// Judges a result: returns the state after it and what became different, in order.
///
/// `path`: the worst of it at any time from the start of the run to now.
pub(crate) fn step(
    rules: &Rules,
    state: &State,
    result: &CheckResult,
    path: Path,
    now: Timestamp,
) -> (State, Vec<Change>) {
    let mut next = state.clone();
    cut(&result.output, OUTPUT_BYTES_MAX).clone_into(&mut next.output);
    cut(&result.long_output, LONG_OUTPUT_BYTES_MAX).clone_into(&mut next.long_output);
    next.perfdata.clone_from(&result.perfdata);
    if !result.perfdata.is_empty() {
        next.measured.clone_from(&result.perfdata);
    }
    if state.status.is_none() {
        next.first = Some(result.started);
    }
    next.started = Some(result.started);
    next.finished = Some(result.finished);
    next.latency = result.latency;

    let status = seen(rules, result.status, path);
    let mut changes = judge(rules, &mut next, (status, result), path, now);
    detect_flapping(rules, &mut next, &mut changes);
    (next, changes)
}

/// Makes a host that is down unreachable: something above it failed after its own result.
///
/// The other way round needs a fresh result: after an ancestor is back, a child is verified.
pub(crate) fn cut_off(rules: &Rules, state: &State, now: Timestamp) -> (State, Vec<Change>) {
    let mut next = state.clone();
    let mut changes = Vec::new();
    if rules.is_host && state.status == Some(Status::Down) {
        change_status(&mut next, Status::Unreachable, now);
        let kind = match next.state_type {
            StateType::Hard => ChangeKind::HardProblem,
            StateType::Soft => ChangeKind::SoftProblem,
        };
        next.is_blocked = true;
        end_acknowledgement(&mut next, false, &mut changes);
        log(&mut next, kind, Status::Down, &mut changes);
    }
    (next, changes)
}

/// Returns the status that a result means: a host is up, down or unreachable.
fn seen(rules: &Rules, found: Status, path: Path) -> Status {
    if !rules.is_host {
        return found;
    }
    match found {
        Status::Ok | Status::Warning | Status::Up => Status::Up,
        _ if path == Path::Clear => Status::Down,
        _ => Status::Unreachable,
    }
}

/// Moves `next` on to the status that `result` means and returns what became different.
fn judge(
    rules: &Rules,
    next: &mut State,
    (status, result): (Status, &CheckResult),
    path: Path,
    now: Timestamp,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let fine = if rules.is_host { Status::Up } else { Status::Ok };
    let previous = next.status.unwrap_or(fine);
    let was_problem = previous.is_problem();
    next.recent = next.recent << 1 | u64::from(status.is_problem());
    if !status.is_problem() {
        // What was confirmed by a window is over when the window says so.
        let is_confirmed = was_problem && next.state_type == StateType::Hard && !next.is_blocked;
        if is_confirmed && rules.failures(next).is_some_and(|f| f >= rules.attempts_max) {
            return changes;
        }
        let is_soft = next.state_type == StateType::Soft;
        let tried = (next.attempt + u32::from(is_soft)).min(rules.attempts_max);
        recover(next, previous, status, now, &mut changes);
        if let Some(Change::State(step)) = changes.first_mut() {
            step.tried = tried;
        }
        return changes;
    }
    // A check is not retried while its host cannot answer: it is confirmed at once.
    let is_sure = path == Path::CutOff && !rules.is_host;
    let is_blocked = path != Path::Clear;
    let is_anew = !was_problem || (next.is_blocked && !is_blocked);
    let attempt = next.attempt;
    next.streak = Some(rules.prolonged(next.streak.filter(|_| !is_anew), result));
    if is_anew {
        let new = Problem { sequence: 0, since: now, was_confirmed: false };
        next.problem = next.problem.or(Some(new));
        next.attempt = 1;
        if next.is_blocked {
            (next.is_blocked, next.recent) = (false, 1);
        }
    } else if next.state_type == StateType::Soft {
        next.attempt = (next.attempt + 1).min(rules.attempts_max);
    }
    if next.state_type == StateType::Soft || is_anew {
        let failures = rules.failures(next).map(|failures| failures.min(rules.attempts_max));
        next.attempt = failures.unwrap_or(next.attempt);
    }
    let was_hard = was_problem && !is_anew && next.state_type == StateType::Hard;
    let is_confirmed = next.attempt >= rules.attempts_max && rules.has_lasted(next);
    let is_hard = was_hard || is_sure || is_confirmed;
    next.state_type = if is_hard { StateType::Hard } else { StateType::Soft };
    if previous != status {
        end_acknowledgement(next, false, &mut changes);
    }
    change_status(next, status, now);
    // What was told before something else failed stays told: it is not confirmed anew.
    next.is_blocked |= is_blocked && !(was_hard && previous == status);

    let kind = match (is_hard, was_hard) {
        (true, false) => Some(ChangeKind::HardProblem),
        (true, true) if previous != status => Some(ChangeKind::HardProblem),
        (true, true) => rules.is_volatile.then_some(ChangeKind::HardRepeat),
        (false, _) if is_anew || previous != status => Some(ChangeKind::SoftProblem),
        (false, _) => None,
    };
    match kind {
        Some(kind) => log(next, kind, previous, &mut changes),
        // While only time is waited for there is no further attempt.
        None if !is_hard && (rules.lasting.is_none() || next.attempt != attempt) => {
            changes.push(Change::Attempt);
        }
        None => {}
    }
    changes
}

/// Ends a problem, if there is one.
fn recover(
    next: &mut State,
    previous: Status,
    status: Status,
    now: Timestamp,
    changes: &mut Vec<Change>,
) {
    next.attempt = 1;
    next.streak = None;
    next.held = None;
    next.state_type = StateType::Hard;
    change_status(next, status, now);
    if previous.is_problem() {
        // A problem that was never logged as hard was told to nobody: its end is a soft one.
        let was_confirmed = next.problem.is_some_and(|problem| problem.was_confirmed);
        let kind = if was_confirmed { ChangeKind::HardRecovery } else { ChangeKind::SoftRecovery };
        log(next, kind, previous, changes);
        end_acknowledgement(next, true, changes);
    }
    next.problem = None;
    if next.is_blocked {
        // What failed behind something counts in no window.
        (next.is_blocked, next.recent) = (false, 0);
    }
}

/// Sets the status and the moment since when.
fn change_status(next: &mut State, status: Status, now: Timestamp) {
    if next.status != Some(status) {
        next.status = Some(status);
        next.since = Some(now);
    }
}

/// Notes a change of state.
fn log(next: &mut State, kind: ChangeKind, previous: Status, changes: &mut Vec<Change>) {
    if let (Some(problem), Some(status)) = (next.problem, next.status) {
        let (state_type, attempt) = (next.state_type, next.attempt);
        changes.push(Change::State(StateStep {
            kind,
            previous,
            status,
            state_type,
            attempt,
            tried: attempt,
            problem,
        }));
    }
    if let (Some(problem), ChangeKind::HardProblem) = (&mut next.problem, kind) {
        problem.was_confirmed = true;
    }
}

/// Ends the acknowledgement: at any change of state a normal one, at the end of the problem each.
fn end_acknowledgement(next: &mut State, is_over: bool, changes: &mut Vec<Change>) {
    if next.acknowledgement.as_ref().is_some_and(|given| is_over || !given.is_sticky) {
        next.acknowledgement = None;
        let problem = next.problem.map_or(0, |problem| problem.sequence);
        changes.push(Change::AcknowledgementEnded { problem });
    }
}

/// Records the state for flap detection and compares with the thresholds.
///
/// Of a check only confirmed states and recoveries count, of a host every result (Nagios Core,
/// `check_for_service_flapping` and `check_for_host_flapping`).
fn detect_flapping(rules: &Rules, next: &mut State, changes: &mut Vec<Change>) {
    let Some(status) = next.status else { return };
    if next.is_being_confirmed() && !rules.is_host {
        return;
    }
    next.history.push(status);
    let percent = next.history.percent();
    if !rules.flapping.is_enabled {
        next.is_flapping = false;
    } else if !next.is_flapping && percent >= rules.flapping.high {
        next.is_flapping = true;
        changes.push(Change::FlappingStarted { percent });
    } else if next.is_flapping && percent <= rules.flapping.low {
        next.is_flapping = false;
        changes.push(Change::FlappingStopped { percent });
    }
}

#[cfg(test)]
mod tests;
