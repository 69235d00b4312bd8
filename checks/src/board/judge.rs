//! What results make of the board: states, events, and what follows for parents and children.

use std::collections::BTreeMap;
use std::time::Duration;

use noroshi_model::{
    Behind, ChangeKind, CheckId, CheckResult, EventBody, Origin, StateChange, StateType, Status,
    Subject, Timestamp,
};

use super::graph::hinders;
use super::{Board, Entry, HandlerCall};
use crate::handler;
use crate::macros::{Macros, in_environment, names_asked};
use crate::probe::{Judging, Probe};
use crate::record;
use crate::state::{Held, Problem};
use crate::step::{self, Change, Path, StateStep};

/// How long a confirmed problem waits for its ancestors to be looked at. A page that comes ten
/// seconds later but names the root is worth more than one that does not.
const HOLD_MAX: Duration = Duration::from_secs(10);
/// What a check needs is not looked at again for its first failure when it was within this time
/// (Nagios' `cached_host_check_horizon`).
const ANCESTOR_FRESH: Duration = Duration::from_secs(15);
/// How many bytes of an output, and of a long output, an event keeps.
const EVENT_TEXT_BYTES_MAX: usize = 4096;
/// How many looks a second verify what is behind a root that is back.
const VERIFIED_PER_SECOND: i64 = 200;

impl Board {
    /// Takes a result in and returns the status that is now shown; `None` when the result decided
    /// nothing.
    pub(crate) fn take_result(
        &mut self,
        result: &CheckResult,
        judging: Judging,
        now: Timestamp,
        steady: i64,
    ) -> Option<Status> {
        let id = &result.id;
        self.note_time(now);
        let path = self.path(id, result.started);
        if self.is_undecided(result, judging.is_own_fault, now) {
            self.note_undecided(result, steady);
            return None;
        }
        let entry = self.entries.get_mut(id)?;
        let (before, due) = (entry.state.status, entry.due);
        let (attempt, state_type) = (entry.state.attempt, entry.state.state_type);
        let (next, changes) = step::step(&entry.ready.rules, &entry.state, result, path, now);
        entry.state = next;
        self.tally.change(id, before, entry.state.status);
        if let Some(over) = judging.over {
            entry.state.over = over;
        }
        let is_own = matches!(result.origin, Origin::Active | Origin::Stale);
        if is_own {
            entry.is_running = false;
        } else {
            entry.state.heard = entry.state.heard.max(Some(result.finished));
        }
        // A result from outside does not put off the next look, but it does put off staleness.
        let is_passive = entry.probe().is_some_and(|probe| !probe.is_active());
        let is_planned_anew = is_own || (is_passive && !entry.is_running);
        let is_moved = (attempt, state_type) != (entry.state.attempt, entry.state.state_type)
            || before != entry.state.status;
        let is_fine_again = before.is_some_and(hinders) && !entry.hinders();
        if is_fine_again {
            entry.state.not_up_until = Some(result.started);
        }
        let is_first_failure =
            entry.state.is_problem() && before.is_none_or(|before| !before.is_problem());
        if is_planned_anew {
            self.plan_next(id, due, steady);
        }
        let is_logged = !changes.is_empty() || is_moved;
        for change in changes {
            self.take_change(id, change, path != Path::Clear, (now, steady));
        }
        self.remember(id, is_logged);
        if id.is_host() || self.graph.has_below(id) {
            self.follow(id, is_fine_again, now, steady);
        }
        if is_first_failure {
            self.look_above(id, now, steady);
        }
        self.entries.get(id)?.state.status
    }

    /// Tells whether a result says nothing about what is checked.
    fn is_undecided(&self, result: &CheckResult, is_own_fault: bool, now: Timestamp) -> bool {
        let Some(entry) = self.entries.get(&result.id) else { return true };
        let (is_host, is_unknown) = (entry.ready.rules.is_host, result.status == Status::Unknown);
        match entry.probe() {
            // A result came while this one waited to be judged.
            Some(probe) if result.origin == Origin::Stale => {
                let fresh_until =
                    entry.state.heard.zip(probe.freshness()).map(|(heard, span)| heard + span);
                fresh_until.is_some_and(|until| until > result.finished)
            }
            Some(Probe::Cluster(_)) if is_unknown => self.is_cluster_waiting(&result.id),
            // Who sends samples could not while the server was away, and comes back by and by.
            Some(Probe::Expression(_)) if self.away.may_be_missed(now) => {
                is_unknown || is_host && result.status != Status::Ok
            }
            Some(probe) => is_host && is_unknown && (is_own_fault || probe.is_own_fault()),
            None => false,
        }
    }

    /// Shows why something could not be looked at. That says nothing about it: it stays what it
    /// was.
    fn note_undecided(&mut self, result: &CheckResult, steady: i64) {
        let Some(entry) = self.entries.get_mut(&result.id) else { return };
        entry.is_running = false;
        if result.origin == Origin::Stale {
            let due = entry.due;
            self.plan_next(&result.id, due, steady);
            return;
        }
        entry.state.output.clone_from(&result.output);
        (entry.state.started, entry.state.finished) = (Some(result.started), Some(result.finished));
        let due = entry.due;
        self.plan_next(&result.id, due, steady);
        self.remember(&result.id, false);
    }

    /// Does what one change calls for.
    fn take_change(
        &mut self,
        id: &CheckId,
        change: Change,
        is_blocked: bool,
        (now, steady): (Timestamp, i64),
    ) {
        let percent_status = self.entries.get(id).and_then(|entry| entry.state.status);
        match change {
            Change::State(change) => {
                let is_new = change.kind == ChangeKind::HardProblem;
                let is_held = self.held.contains(id);
                match change.kind {
                    // What is held is about to be logged with the state as it then is.
                    ChangeKind::HardRepeat if is_held => return,
                    ChangeKind::HardProblem | ChangeKind::HardRepeat => {}
                    _ => drop(self.held.remove(id)),
                }
                if is_new && !is_blocked && self.hold(id, &change, now, steady) {
                    return;
                }
                self.log_state(id, &change, now);
            }
            Change::Attempt => self.call_handler(id, StateType::Soft, None),
            Change::AcknowledgementEnded { problem } => {
                let author = "the state changed".to_owned();
                self.log(id, EventBody::Unacknowledged { problem, author }, now);
            }
            Change::FlappingStarted { percent } => {
                self.log(id, EventBody::FlappingStarted { percent }, now);
            }
            Change::FlappingStopped { percent } => {
                let status = percent_status.unwrap_or(Status::Unknown);
                self.log(id, EventBody::FlappingStopped { percent, status }, now);
            }
        }
    }

    /// Holds a confirmed problem back until its ancestors have been looked at.
    ///
    /// Returns false when there is nothing to look at or that was done since.
    fn hold(&mut self, id: &CheckId, change: &StateStep, now: Timestamp, steady: i64) -> bool {
        let Some(entry) = self.entries.get(id) else { return false };
        let at = entry.state.finished.unwrap_or(now);
        let stale = self.ancestors_not_seen_since(id, at);
        if stale.is_empty() {
            return false;
        }
        for ancestor in stale {
            self.recheck(&ancestor, steady);
        }
        if let Some(entry) = self.entries.get_mut(id) {
            let (deadline, previous) = match &entry.state.held {
                Some(held) => (held.deadline, held.change.previous),
                None => (now + HOLD_MAX, change.previous),
            };
            let change = StateStep { previous, ..change.clone() };
            // It is not logged yet: should it end before, nobody knew of it.
            if let Some(problem) = &mut entry.state.problem {
                problem.was_confirmed = change.problem.was_confirmed;
            }
            entry.state.held = Some(Held { change, at, deadline });
            self.held.insert(id.clone());
        }
        true
    }

    /// Logs the held problems whose ancestors have been looked at, or which waited long enough.
    pub(crate) fn release_held(&mut self, now: Timestamp, steady: i64) {
        let mut ready = Vec::new();
        for id in &self.held {
            let held = self.entries.get(id).and_then(|entry| entry.state.held.as_ref());
            match held {
                None => ready.push(id.clone()),
                // After a jump of the clock backwards a deadline may be far away.
                Some(held) if now >= held.deadline || held.deadline.since(now) > HOLD_MAX => {
                    ready.push(id.clone());
                }
                Some(held) if self.ancestors_not_seen_since(id, held.at).is_empty() => {
                    ready.push(id.clone());
                }
                Some(_) => {}
            }
        }
        for id in ready {
            self.held.remove(&id);
            self.release(&id, now, steady);
        }
    }

    /// Logs one held problem, blocked or not.
    fn release(&mut self, id: &CheckId, now: Timestamp, steady: i64) {
        let started = self.entries.get(id).and_then(|entry| entry.state.started).unwrap_or(now);
        let is_blocked = self.path(id, started) != Path::Clear;
        let Some(entry) = self.entries.get_mut(id) else { return };
        let Some(mut held) = entry.state.held.take() else { return };
        entry.state.is_blocked = is_blocked;
        if is_blocked && id.is_host() {
            let before = entry.state.status.replace(Status::Unreachable);
            self.tally.change(id, before, Some(Status::Unreachable));
            held.change.status = Status::Unreachable;
        }
        self.log_state(id, &held.change, now);
        self.remember(id, true);
        if id.is_host() {
            self.follow(id, false, now, steady);
        }
    }

    /// Logs a change of state with all that a notification needs.
    fn log_state(&mut self, id: &CheckId, change: &StateStep, now: Timestamp) {
        let next = self.log.next();
        let since = self.entries.get(id).and_then(|e| e.state.started).unwrap_or(now);
        let blocked_by = self.blocked_by(id, since);
        let is_hard_problem =
            change.kind == ChangeKind::HardProblem && change.state_type == StateType::Hard;
        if is_hard_problem {
            for (number, downtime, moved) in self.downtimes.begin_flexible(id, now) {
                self.log_downtime(number, &downtime, moved, now);
            }
        }
        let next = next.max(self.log.next());
        let is_in_downtime = self.downtimes.holds(id);
        let behind = match change.kind {
            ChangeKind::HardProblem | ChangeKind::HardRepeat => self.count_behind(id),
            _ => Behind::default(),
        };
        let Some(entry) = self.entries.get_mut(id) else { return };
        let sequence = if change.problem.sequence == 0 { next } else { change.problem.sequence };
        let is_confirmed = change.kind == ChangeKind::HardProblem;
        let was_confirmed = change.problem.was_confirmed || is_confirmed;
        let problem = Problem { sequence, since: change.problem.since, was_confirmed };
        if entry.state.problem.is_some() {
            entry.state.problem = Some(problem);
        }
        let state = &entry.state;
        let body = EventBody::State(Box::new(StateChange {
            kind: change.kind,
            previous: change.previous,
            status: change.status,
            state_type: change.state_type,
            attempt: change.attempt,
            attempts_max: entry.ready.rules.attempts_max,
            lasting: entry.lasting(),
            problem: problem.sequence,
            since: problem.since,
            output: record::cut(&state.output, EVENT_TEXT_BYTES_MAX).to_owned(),
            long_output: record::cut(&state.long_output, EVENT_TEXT_BYTES_MAX).to_owned(),
            is_in_downtime,
            is_acknowledged: state.acknowledgement.is_some(),
            is_flapping: state.is_flapping,
            blocked_by,
            behind,
            subject: entry.subject(),
        }));
        self.log(id, body, now);
        let state_type = match change.kind {
            ChangeKind::SoftProblem | ChangeKind::SoftRecovery => StateType::Soft,
            _ => StateType::Hard,
        };
        self.call_handler(id, state_type, Some(change.tried));
    }

    /// Adds an event to the log.
    pub(crate) fn log(&mut self, id: &CheckId, body: EventBody, now: Timestamp) {
        let sequence = self.log.append(&mut self.out.batch, now, id, body);
        self.out.newest = Some(sequence);
        self.out.updated.insert(id.clone());
    }

    /// Notes that a state changed: written with the next commit, or when there is time.
    pub(super) fn remember(&mut self, id: &CheckId, is_urgent: bool) {
        self.out.updated.insert(id.clone());
        match self.entries.get(id) {
            Some(entry) if is_urgent => {
                record::put_state(&mut self.out.batch, id, &entry.state);
                self.dirty.remove(id);
            }
            _ => self.dirty.insert(id.clone()),
        }
    }

    /// Notes that the event handler of a check is to be run, if it has one. `tried` takes the place
    /// of the attempt that the check is at now.
    fn call_handler(&mut self, id: &CheckId, state_type: StateType, tried: Option<u32>) {
        let Some(entry) = self.entries.get(id) else { return };
        let spec = match &entry.check {
            Some(check) => check.on_change.clone(),
            None => entry.host.on_change.clone(),
        };
        let spec = spec.filter(|spec| handler::is_wanted(spec, state_type));
        if let (Some(spec), Some(view)) = (spec, self.view(id)) {
            let mut asks = names_asked(spec.texts());
            if self.has_environment_macros {
                asks.extend(in_environment().map(str::to_owned));
            }
            let asked = self.asked(id, &asks);
            let mut macros = Macros { asked, ..self.macros(id) };
            macros.set_change(state_type, tried);
            let (id, view) = (id.clone(), Box::new(view));
            self.out.handlers.push(HandlerCall { id, spec, macros, state_type, view });
        }
    }

    /// Does what a result means for what is behind it: after a recovery that is verified before
    /// anything is said of it, after a failure hosts that were down are unreachable.
    fn follow(&mut self, id: &CheckId, is_fine_again: bool, now: Timestamp, steady: i64) {
        let hinders = self.entries.get(id).is_some_and(|entry| entry.hinders());
        if is_fine_again {
            self.verify_behind(id, now, steady);
        }
        if !hinders {
            return;
        }
        for child in self.behind(id) {
            let Some(entry) = self.entries.get(&child) else { continue };
            if entry.state.status != Some(Status::Down) || self.path(&child, now) == Path::Clear {
                continue;
            }
            let Some(entry) = self.entries.get_mut(&child) else { continue };
            let (next, changes) = step::cut_off(&entry.ready.rules, &entry.state, now);
            let before = std::mem::replace(&mut entry.state, next).status;
            self.tally.change(&child, before, entry.state.status);
            if entry.state.held.is_some() {
                continue;
            }
            for change in changes {
                self.take_change(&child, change, true, (now, steady));
            }
            self.remember(&child, true);
        }
    }

    /// Asks for a look at every problem behind something that nothing else is in the way of.
    ///
    /// Not all at once: what just came back must not be flooded.
    fn verify_behind(&mut self, id: &CheckId, now: Timestamp, steady: i64) {
        let mut asked = 0;
        for child in self.behind(id) {
            let is_problem = self.entries.get(&child).is_some_and(|e| e.state.is_problem());
            if is_problem && self.path(&child, now) == Path::Clear {
                self.recheck_at(&child, steady + asked / VERIFIED_PER_SECOND * 1000);
                asked += 1;
            }
        }
    }

    /// Asks for a look at what a check that just failed needs, unless that was just done.
    fn look_above(&mut self, id: &CheckId, now: Timestamp, steady: i64) {
        for above in self.nearest_above(id) {
            let seen = self.entries.get(&above).and_then(|entry| entry.state.finished);
            if seen.is_none_or(|seen| seen > now || now.since(seen) > ANCESTOR_FRESH) {
                self.recheck(&above, steady);
            }
        }
    }
}

impl Entry {
    /// Tells whether nobody is to be told of its problems.
    pub(crate) fn is_quiet(&self) -> bool {
        let own = self.check.as_ref().and_then(|check| check.is_quiet);
        own.unwrap_or(self.host.is_quiet)
    }

    /// Returns what is told of it besides its state.
    pub(crate) fn subject(&self) -> Subject {
        let host = &self.host;
        let own = self.check.as_ref().map(|check| &check.contacts);
        let contacts = own.filter(|contacts| !contacts.is_empty()).unwrap_or(&host.contacts);
        let (notes, notes_url) = self.notes();
        Subject {
            address: host.address.clone(),
            alias: host.alias.clone(),
            groups: host.groups.clone(),
            labels: self.labels(),
            contacts: contacts.clone(),
            is_quiet: self.is_quiet(),
            notes: notes.to_owned(),
            notes_url: notes_url.to_owned(),
            graphs: self.graphs(),
        }
    }

    /// Returns its labels: those of its host, and its own over them.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.host.labels.clone();
        if let Some(check) = &self.check {
            labels.extend(check.labels.clone());
        }
        labels
    }

    /// Returns what to do about it, as text and as an address.
    pub(crate) fn notes(&self) -> (&str, &str) {
        match &self.check {
            Some(check) => (&check.notes, &check.notes_url),
            None => (&self.host.notes, &self.host.notes_url),
        }
    }
}
