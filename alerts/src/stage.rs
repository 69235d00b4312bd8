//! The stages: who is told of what, as one list from top to bottom. Each is a pure function that
//! says whether it lets a message through, and why.
//!
//! Nagios' order of filters (`check_service_notification_viability`) is the model; different are
//! the ledger, which decides last and alone about recoveries, and that a recovery passes
//! acknowledgement, downtime and ancestors: whoever was told of a problem hears of its end at once,
//! and nobody else does.

use std::borrow::Cow;
use std::time::Duration;

use noroshi_model::{ChangeKind, Lasting, Status, Timestamp};

use crate::book::{Memory, Told};
use crate::config::Contact;
use crate::digest;
use crate::view::Step;

/// A stage that looks at the subject.
type SubjectStage = fn(&Case<'_>) -> Verdict;

/// A stage that looks at one contact.
type ContactStage = fn(&Case<'_>, &Person<'_>) -> Verdict;

/// The stages that look at the subject: the first that stops ends the decision.
pub(crate) const SUBJECT_STAGES: [(&str, SubjectStage); 7] = [
    ("kind", kind),
    ("hard", hard),
    ("notify", notify),
    ("acknowledged", acknowledged),
    ("downtime", downtime),
    ("flapping", flapping),
    ("ancestors", ancestors),
];

/// The stages that look at one contact.
pub(crate) const CONTACT_STAGES: [(&str, ContactStage); 5] = [
    ("selected", selected),
    ("reachable", reachable),
    ("statuses", statuses),
    ("ledger", ledger),
    (RATE, rate),
];

/// The stage that does not keep a message back but moves it into a digest.
pub(crate) const RATE: &str = "rate";

/// What is decided about.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) trigger: Trigger,
    pub(crate) now: Timestamp,
    /// The subject, after the event.
    pub(crate) memory: &'a Memory,
    /// For a check: its host.
    pub(crate) host: Option<&'a Memory>,
    /// Whether the log goes on with a change of the same subject at the same moment.
    pub(crate) is_superseded: bool,
    /// Of a change: how long what it found had lasted, when that counts.
    pub(crate) lasting: Option<Lasting>,
    /// After how long an open problem is told again.
    pub(crate) remind: Option<Duration>,
}

/// What asks for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The state changed.
    Change(ChangeKind),
    /// What kept a message back is over: the reader's belief is compared with the truth.
    DowntimeEnded,
    AcknowledgementEnded,
    FlappingStopped,
    /// Somebody can be reached who could not before.
    ContactsChanged,
    /// Time has passed.
    Reminder,
    /// Something that nobody is told: how it is called.
    Untold(&'static str),
}

impl Trigger {
    /// Returns what it is called in a trace.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Change(ChangeKind::SoftProblem) => "soft problem",
            Self::Change(ChangeKind::SoftRecovery) => "soft recovery",
            Self::Change(ChangeKind::HardProblem) => "hard problem",
            Self::Change(ChangeKind::HardRecovery) => "hard recovery",
            Self::Change(ChangeKind::HardRepeat) => "repeated problem",
            Self::DowntimeEnded => "downtime ended",
            Self::AcknowledgementEnded => "acknowledgement ended",
            Self::FlappingStopped => "flapping stopped",
            Self::ContactsChanged => "contacts changed",
            Self::Reminder => "reminder",
            Self::Untold(name) => name,
        }
    }
}

/// How a contact came into question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// The check or its host names them.
    Named,
    /// Nobody is named, so everybody is told.
    Everybody,
    /// Those named do not exist, so everybody is told: a problem must reach somebody.
    NamedAreUnknown,
    /// Others are named.
    OthersNamed,
    /// The ledger knows them, the config does not any more.
    Gone,
}

/// A contact in question.
#[derive(Debug)]
pub(crate) struct Person<'a> {
    /// `None` when the config does not know them any more.
    pub(crate) contact: Option<&'a Contact>,
    pub(crate) selection: Selection,
    pub(crate) told: Option<&'a Told>,
    pub(crate) has_server: bool,
    /// How many changes they were told one by one in the last [`digest::WINDOW`].
    pub(crate) recent: usize,
}

/// What a stage says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) passes: bool,
    pub(crate) reason: Cow<'static, str>,
}

fn pass(reason: impl Into<Cow<'static, str>>) -> Verdict {
    Verdict { passes: true, reason: reason.into() }
}

fn stop(reason: impl Into<Cow<'static, str>>) -> Verdict {
    Verdict { passes: false, reason: reason.into() }
}

impl Case<'_> {
    /// Returns the confirmed status; `None` when none was ever seen.
    pub(crate) fn truth(&self) -> Option<Status> {
        self.memory.last.as_ref().map(|last| last.change.status)
    }

    /// Tells whether all is well, so that only a recovery can be told.
    pub(crate) fn is_over(&self) -> bool {
        self.truth().is_some_and(|status| !status.is_problem())
    }
}

/// Runs the subject's stages; the last step tells whether all let it through.
pub(crate) fn judge_subject(case: &Case<'_>) -> (bool, Vec<Step>) {
    run(SUBJECT_STAGES.iter().map(|(name, stage)| (*name, stage(case))))
}

/// Runs the contact's stages.
pub(crate) fn judge_contact(case: &Case<'_>, person: &Person<'_>) -> (bool, Vec<Step>) {
    run(CONTACT_STAGES.iter().map(|(name, stage)| (*name, stage(case, person))))
}

fn run(verdicts: impl Iterator<Item = (&'static str, Verdict)>) -> (bool, Vec<Step>) {
    let mut steps = Vec::new();
    for (stage, verdict) in verdicts {
        let passes = verdict.passes;
        let reason = verdict.reason.into_owned();
        steps.push(Step { stage: stage.to_owned(), passes, reason });
        if !passes {
            return (false, steps);
        }
    }
    (true, steps)
}

// --------------------------------------------------------------------------------- the subject's

fn kind(case: &Case<'_>) -> Verdict {
    if case.is_superseded {
        return stop("the state changed at the same moment; that change decides");
    }
    match case.trigger {
        Trigger::Untold(_) => stop("nobody is told of this kind of event"),
        Trigger::Change(_) => pass("a change of state"),
        Trigger::Reminder => pass("time to remind of an open problem"),
        _ => pass("what was last told is compared with what is true now"),
    }
}

fn hard(case: &Case<'_>) -> Verdict {
    match case.trigger {
        Trigger::Change(ChangeKind::SoftProblem) => match case.lasting {
            Some(lasting) => stop(format!("not confirmed yet: {lasting}")),
            None => stop("not confirmed yet"),
        },
        Trigger::Change(ChangeKind::SoftRecovery) => stop("over before it was confirmed"),
        _ => match case.truth() {
            None => stop("no confirmed state is known"),
            Some(status) => match case.lasting.filter(|_| status.is_problem()) {
                Some(lasting) => pass(format!("confirmed: {status}, {lasting}")),
                None => pass(format!("confirmed: {status}")),
            },
        },
    }
}

/// Whoever was told of a problem before this was said hears of its end all the same.
fn notify(case: &Case<'_>) -> Verdict {
    if case.is_over() {
        pass("it is over")
    } else if case.memory.last.as_ref().is_some_and(|last| last.change.subject.is_quiet) {
        stop("nobody is told of it: notify = false")
    } else {
        pass("it is told")
    }
}

fn acknowledged(case: &Case<'_>) -> Verdict {
    if case.is_over() {
        pass("it is over")
    } else if case.memory.is_acknowledged {
        stop("somebody has taken the problem on")
    } else {
        pass("nobody has taken the problem on")
    }
}

fn downtime(case: &Case<'_>) -> Verdict {
    if case.is_over() {
        return pass("it is over");
    }
    if let Some(number) = case.memory.downtimes.keys().next() {
        return stop(format!("downtime {number} holds"));
    }
    if case.memory.is_in_downtime {
        return stop("a downtime holds");
    }
    match case.host.and_then(|host| host.downtimes.keys().next()) {
        Some(number) => stop(format!("downtime {number} of the host holds")),
        None => pass("no downtime holds"),
    }
}

fn flapping(case: &Case<'_>) -> Verdict {
    if case.memory.is_flapping {
        stop("the state flaps; what is true is told when it comes to rest")
    } else {
        pass("the state does not flap")
    }
}

/// What is held back here needs no word when the ancestors are back: `checks` verifies it by fresh
/// results then, and logs it anew when it still is a problem.
fn ancestors(case: &Case<'_>) -> Verdict {
    if case.is_over() {
        return pass("it is over");
    }
    if let Some(root) = case.memory.blocked_by.last() {
        let nearest = case.memory.blocked_by.first().unwrap_or(root);
        return stop(if nearest == root {
            format!("{root} is not up")
        } else {
            format!("{nearest} is not up (root: {root})")
        });
    }
    pass("every ancestor is up")
}

// --------------------------------------------------------------------------------- the contact's

fn selected(case: &Case<'_>, person: &Person<'_>) -> Verdict {
    match person.selection {
        Selection::Gone => stop("no longer a contact"),
        Selection::Named => pass("named by the check or its host"),
        Selection::Everybody => pass("nobody is named, so every contact is told"),
        Selection::NamedAreUnknown => pass("those named are no contacts, so every contact is told"),
        Selection::OthersNamed if person.told.is_some() && case.is_over() => {
            pass("not named any more, but told of the problem")
        }
        Selection::OthersNamed => stop("others are named"),
    }
}

fn reachable(_: &Case<'_>, person: &Person<'_>) -> Verdict {
    if !person.has_server {
        stop("no mail server is configured")
    } else if person.contact.is_none_or(|contact| contact.addresses().is_empty()) {
        stop("they have no address")
    } else {
        pass("they have an address")
    }
}

fn statuses(case: &Case<'_>, person: &Person<'_>) -> Verdict {
    if case.is_over() {
        return pass("the ledger decides about recoveries");
    }
    let status = case.truth().unwrap_or(Status::Unknown);
    let is_wanted = person.contact.is_some_and(|contact| contact.statuses.wants(status));
    match person.told {
        _ if is_wanted => pass(format!("they want to hear of {status}")),
        Some(told) if told.status != status => {
            pass(format!("they do not ask for {status}, but believe {}", told.status))
        }
        _ => stop(format!("they do not want to hear of {status}")),
    }
}

fn ledger(case: &Case<'_>, person: &Person<'_>) -> Verdict {
    let Some(told) = person.told else {
        return if case.is_over() {
            stop("never told of the problem")
        } else {
            pass("not told of the problem yet")
        };
    };
    if case.is_over() {
        return pass(format!("they believe {}", told.status));
    }
    let status = case.truth().unwrap_or(Status::Unknown);
    if told.status != status {
        return pass(format!("they believe {}", told.status));
    }
    match (case.trigger, case.remind) {
        (Trigger::Change(ChangeKind::HardRepeat), _) => pass("every occurrence is told"),
        (Trigger::Reminder, Some(after)) if case.now.since(told.at) >= after => {
            pass("they know, and it is time to remind them")
        }
        _ => stop(format!("they know that it is {status}")),
    }
}

fn rate(case: &Case<'_>, person: &Person<'_>) -> Verdict {
    if case.trigger == Trigger::ContactsChanged {
        return stop("what was open before they could be reached comes in one digest");
    }
    if person.recent < digest::CHANGES_MAX {
        pass("not more messages than can be read")
    } else {
        stop(digest::reason())
    }
}

#[cfg(test)]
mod tests;
