//! Where one decision is worked out: reads what is remembered, asks the stages, and gathers all
//! that follows into one batch of records.

use std::collections::BTreeMap;
use std::time::Duration;

use noroshi_model::{CheckId, Lasting, RecordBatch, Records, Space, Status, Timestamp};

use crate::alerts::Active;
use crate::book::{
    self, Belief, HardChange, Letter, Memory, Notification, Other, StateError, Told,
};
use crate::config::Contact;
use crate::counters::Counters;
use crate::message::words;
use crate::stage::{Case, Person, RATE, Selection, Trigger, judge_contact, judge_subject};
use crate::view::{Channel, ContactTrace, NotificationKind, NotificationState, Step, Trace};

/// How many other problems of the same host a message lists.
const OTHERS_MAX: usize = 8;

/// How many traces are kept: at half a kilobyte each, 25 MB.
const TRACES_MAX: u64 = 50_000;

/// How long traces are kept: 90 days, as long as the five-minute archive.
const TRACE_AGE_MAX: Duration = Duration::from_hours(90 * 24);

/// How many notifications are kept.
const NOTIFICATIONS_MAX: u64 = 20_000;

/// How many old records go with each decision: more than one decision adds to either kind on
/// average, so that a bound that became smaller is reached.
const PRUNE_MAX: usize = 8;

/// One decision in the making.
pub(crate) struct Desk<'a> {
    pub(crate) records: &'a dyn Records,
    pub(crate) active: &'a Active,
    pub(crate) counters: &'a mut Counters,
    pub(crate) now: Timestamp,
    pub(crate) batch: RecordBatch,
    /// What was queued.
    pub(crate) queued: Vec<u64>,
}

/// About what is decided, and why now.
pub(crate) struct Question<'a> {
    pub(crate) id: &'a CheckId,
    pub(crate) trigger: Trigger,
    pub(crate) event: Option<u64>,
    pub(crate) is_superseded: bool,
    /// For a check: its host, after the event.
    pub(crate) host: Option<&'a Memory>,
    /// The status that a change brings, confirmed or not.
    pub(crate) seen: Option<Status>,
    /// How long what it found had lasted, when that counts.
    pub(crate) lasting: Option<Lasting>,
}

impl Desk<'_> {
    /// Reads a memory; one without content when there is none.
    pub(crate) fn memory(&self, id: &CheckId) -> Result<Memory, StateError> {
        let key = book::memory_key(id);
        Ok(book::value(self.records, Space::Ledger, "memory", &key)?.unwrap_or_default())
    }

    /// Reads the memories of a host and its checks.
    pub(crate) fn memories_of(&self, host: &str) -> Result<Vec<(CheckId, Memory)>, StateError> {
        memories(self.records, &book::memories_of_host(host))
    }

    /// Writes a memory, or forgets it when that loses nothing.
    pub(crate) fn keep(&mut self, id: &CheckId, memory: &Memory) {
        let key = book::memory_key(id);
        if memory.is_plain() {
            self.batch.remove(Space::Ledger, key);
        } else {
            book::put(&mut self.batch, Space::Ledger, key, memory);
        }
    }

    /// Decides one question about a subject as it is remembered after the event, and returns
    /// whether anybody is told.
    pub(crate) fn decide(
        &mut self,
        question: &Question<'_>,
        memory: &Memory,
    ) -> Result<bool, StateError> {
        let case = Case {
            trigger: question.trigger,
            now: self.now,
            memory,
            host: question.host,
            is_superseded: question.is_superseded,
            lasting: question.lasting,
            remind: self.active.config.remind,
        };
        let (passes, steps) = judge_subject(&case);
        if !passes && question.trigger == Trigger::Reminder {
            // Asked again and again while a downtime holds: one line each would drown the rest.
            return Ok(false);
        }
        let contacts = if passes { self.tell_all(question, &case)? } else { Vec::new() };
        let is_told = contacts.iter().any(|contact| contact.is_told);
        let is_asked_often =
            matches!(question.trigger, Trigger::Reminder | Trigger::ContactsChanged);
        if !is_asked_often || is_told {
            self.trace(question, &case, steps, contacts);
        }
        Ok(is_told)
    }

    fn tell_all(
        &mut self,
        question: &Question<'_>,
        case: &Case<'_>,
    ) -> Result<Vec<ContactTrace>, StateError> {
        let Some(last) = &case.memory.last else { return Ok(Vec::new()) };
        let mut told = self.told(question.id)?;
        let mut others = None;
        let mut traces = Vec::new();
        let active = self.active;
        let contacts = active.config.contacts.iter().map(|contact| (&contact.name, Some(contact)));
        let gone = told
            .keys()
            .filter(|name| !active.config.contacts.iter().any(|contact| contact.name == **name));
        let gone: Vec<String> = gone.cloned().collect();
        for (name, contact) in contacts.chain(gone.iter().map(|name| (name, None))) {
            let before = told.remove(name);
            let person = Person {
                contact,
                selection: select(active, &last.change.subject.contacts, name, contact),
                told: before.as_ref(),
                has_server: active.server.is_some(),
                recent: self.counters.rates.recent(name, self.now),
            };
            let (passes, steps) = judge_contact(case, &person);
            let is_gathered = !passes && steps.last().is_some_and(|step| step.stage == RATE);
            let is_told = passes || is_gathered;
            let mut notifications = Vec::new();
            if is_told && let Some(contact) = contact {
                let others = match &mut others {
                    Some(others) => others,
                    None => others.insert(self.others(question.id)?),
                };
                let letter = Letter {
                    change: Some(last.clone()),
                    believed: before.as_ref().map(|told| told.status),
                    reasons: telling(&steps),
                    others: others.0.clone(),
                    others_left_out: others.1,
                };
                let who = (contact, before.as_ref());
                notifications = self.tell(question, who, &letter, is_gathered);
            }
            if case.is_over() && before.is_some() {
                self.batch.remove(Space::Ledger, book::told_key(question.id, name));
            }
            traces.push(ContactTrace { contact: name.clone(), steps, is_told, notifications });
        }
        Ok(traces)
    }

    /// Queues one message to each address of a contact, or lays it by for a digest, and writes
    /// the ledger.
    fn tell(
        &mut self,
        question: &Question<'_>,
        (contact, told): (&Contact, Option<&Told>),
        letter: &Letter,
        is_gathered: bool,
    ) -> Vec<u64> {
        let Some(last) = &letter.change else { return Vec::new() };
        let status = last.change.status;
        let mut threads = told.map(|told| told.threads.clone()).unwrap_or_default();
        let numbers = if is_gathered {
            vec![self.gather(question, contact, letter, last)]
        } else {
            self.counters.rates.note(&contact.name, self.now);
            self.queue(question, contact, letter, &mut threads)
        };
        if status.is_problem() {
            let told = Told {
                problem: told.map_or(last.change.problem, |told| told.problem),
                status,
                at: self.now,
                by: numbers.clone(),
                before: told.map(Belief::of),
                threads,
            };
            let key = book::told_key(question.id, &contact.name);
            book::put(&mut self.batch, Space::Ledger, key, &told);
        }
        numbers
    }

    /// Queues one message to each address of a contact.
    fn queue(
        &mut self,
        question: &Question<'_>,
        contact: &Contact,
        letter: &Letter,
        threads: &mut BTreeMap<String, String>,
    ) -> Vec<u64> {
        let Some(last) = &letter.change else { return Vec::new() };
        let mut numbers = Vec::new();
        let domain = self.active.server.as_ref().map_or("localhost", |server| server.domain());
        for (channel, address) in contact.addresses() {
            let number = self.counters.next_notification();
            let message_id =
                self.counters.message_id(question.event, &contact.name, number, domain);
            let answers = threads.get(address).cloned();
            threads.entry(address.to_owned()).or_insert_with(|| message_id.clone());
            let notification = Notification {
                number,
                channel,
                address: address.to_owned(),
                message_id,
                answers,
                letter: Some(letter.clone()),
                ..self.notification(question, contact, last)
            };
            book::put_notification(&mut self.batch, &notification);
            numbers.push(number);
        }
        self.queued.extend_from_slice(&numbers);
        numbers
    }

    /// Lays a message by until the contact's digest takes it along.
    fn gather(
        &mut self,
        question: &Question<'_>,
        contact: &Contact,
        letter: &Letter,
        last: &HardChange,
    ) -> u64 {
        let number = self.counters.next_notification();
        let notification = Notification {
            number,
            state: NotificationState::Suppressed,
            error: letter.reasons.last().cloned(),
            letter: Some(letter.clone()),
            ..self.notification(question, contact, last)
        };
        book::put_notification(&mut self.batch, &notification);
        let key = book::gathered_key(&contact.name, number);
        self.batch.put(Space::Queue, key, Vec::new());
        number
    }

    /// Returns what all messages about one change to one contact have in common.
    fn notification(
        &self,
        question: &Question<'_>,
        contact: &Contact,
        last: &HardChange,
    ) -> Notification {
        let status = last.change.status;
        let kind = match question.trigger {
            _ if !status.is_problem() => NotificationKind::Recovery,
            Trigger::Reminder => NotificationKind::Reminder,
            _ => NotificationKind::Problem,
        };
        Notification {
            number: 0,
            at: self.now,
            contact: contact.name.clone(),
            channel: Channel::Email,
            address: String::new(),
            id: question.id.clone(),
            kind,
            status,
            problem: last.change.problem,
            event: question.event,
            subject: words::subject(kind, question.id, &last.change),
            message_id: String::new(),
            answers: None,
            state: NotificationState::Queued,
            attempts: 0,
            next_attempt: self.now,
            sent_at: None,
            error: None,
            letter: None,
        }
    }

    /// Reads what each contact was told about a subject.
    pub(crate) fn told(&self, id: &CheckId) -> Result<BTreeMap<String, Told>, StateError> {
        let prefix = book::told_prefix(id);
        let found = book::values(self.records, Space::Ledger, "ledger", &prefix)?;
        Ok(found
            .into_iter()
            .filter_map(|(key, told)| Some((book::id_of_key(&key)?.1, told)))
            .collect())
    }

    /// Returns other open problems on the same host, and those that this one is in the way of, the
    /// worst first, and how many were left out.
    fn others(&self, id: &CheckId) -> Result<(Vec<Other>, usize), StateError> {
        // What is remembered is what is wrong or held back: few, also on a large site.
        let remembered = memories(self.records, book::MEMORIES)?;
        let name = id.to_string();
        let belongs = |other: &CheckId, memory: &Memory| {
            other.host == id.host || memory.blocked_by.contains(&name)
        };
        let mut others: Vec<Other> = remembered
            .into_iter()
            .filter(|(other, memory)| other != id && belongs(other, memory))
            .filter_map(|(other, memory)| {
                let change = &memory.problem()?.change;
                Some(Other {
                    id: other,
                    status: change.status,
                    since: change.since,
                    output: change.output.clone(),
                })
            })
            .collect();
        others.sort_by_key(|other| std::cmp::Reverse(other.status.severity()));
        let left_out = others.len().saturating_sub(OTHERS_MAX);
        others.truncate(OTHERS_MAX);
        Ok((others, left_out))
    }

    fn trace(
        &mut self,
        question: &Question<'_>,
        case: &Case<'_>,
        steps: Vec<Step>,
        contacts: Vec<ContactTrace>,
    ) {
        let ok = if question.id.is_host() { Status::Up } else { Status::Ok };
        let trace = Trace {
            number: self.counters.next_trace(),
            at: self.now,
            id: question.id.clone(),
            event: question.event,
            trigger: question.trigger.as_str().to_owned(),
            status: question.seen.or(case.truth()).unwrap_or(ok),
            steps,
            contacts,
        };
        book::put_trace(&mut self.batch, &trace);
    }

    /// Adds the removal of a few of the oldest traces and notifications beyond their bounds.
    pub(crate) fn prune(&mut self) -> Result<(), StateError> {
        let read = |space, prefix, what| {
            let found = self.records.scan(space, prefix, None, PRUNE_MAX);
            found.map_err(|source| StateError::Read { what, source })
        };
        let traces = read(Space::Traces, book::TRACE_ORDER, "traces")?;
        let notifications = read(Space::Queue, book::NOTIFICATIONS, "notifications")?;
        let oldest = self.counters.last_trace().saturating_sub(TRACES_MAX);
        for number in traces.iter().filter_map(|(key, _)| book::number_of_key(key)) {
            let key = book::trace_order_key(number);
            let found = book::value(self.records, Space::Traces, "traces", &key)?;
            let Some((id, at)): Option<(CheckId, Timestamp)> = found else { continue };
            if number <= oldest || self.now.since(at) > TRACE_AGE_MAX {
                self.batch.remove(Space::Traces, book::trace_key(&id, number));
                self.batch.remove(Space::Traces, key);
            }
        }
        let oldest = self.counters.last_notification().saturating_sub(NOTIFICATIONS_MAX);
        for number in notifications.iter().filter_map(|(key, _)| book::number_of_key(key)) {
            // One that still waits after so many others is near its end anyway.
            if number <= oldest {
                self.batch.remove(Space::Queue, book::notification_key(number));
                self.batch.remove(Space::Queue, book::waiting_key(number));
            }
        }
        Ok(())
    }
}

/// Returns the reasons that tell the reader something: why they, and why now.
fn telling(steps: &[Step]) -> Vec<String> {
    let is_telling =
        |step: &&Step| matches!(step.stage.as_str(), "selected" | "ledger") || !step.passes;
    steps.iter().filter(is_telling).map(|step| step.reason.clone()).collect()
}

/// Reads memories under a prefix.
pub(crate) fn memories(
    records: &dyn Records,
    prefix: &[u8],
) -> Result<Vec<(CheckId, Memory)>, StateError> {
    let found = book::values(records, Space::Ledger, "memory", prefix)?;
    Ok(found
        .into_iter()
        .filter_map(|(key, memory)| Some((book::id_of_key(&key)?.0, memory)))
        .collect())
}

/// Tells how a contact comes into question for a subject that names `named`.
fn select(active: &Active, named: &[String], name: &str, contact: Option<&Contact>) -> Selection {
    let is_known =
        |name: &String| active.config.contacts.iter().any(|contact| contact.name == *name);
    if contact.is_none() {
        Selection::Gone
    } else if named.is_empty() {
        Selection::Everybody
    } else if named.iter().any(|other| other == name) {
        Selection::Named
    } else if named.iter().any(is_known) {
        Selection::OthersNamed
    } else {
        Selection::NamedAreUnknown
    }
}
