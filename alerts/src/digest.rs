//! When too much happens at once: how much each contact was told lately, and the digest that
//! gathers what was more than that.
//!
//! What goes into a digest counts as told (the ledger says so, and follows the digest's fate); it
//! waits under its contact until a digest takes it along.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use noroshi_model::{CheckId, RecordBatch, Records, Space, Status, Timestamp};

use crate::alerts::{Active, Alerts};
use crate::book::{self, Letter, Notification, Other, StateError, Told};
use crate::config::Contact;
use crate::counters::Counters;
use crate::view::{Channel, NotificationKind, NotificationState};

/// How many changes a contact is told one by one in [`WINDOW`]: what a person can still read.
pub(crate) const CHANGES_MAX: usize = 20;

/// Over which time changes are counted.
pub(crate) const WINDOW: Duration = Duration::from_mins(10);

/// How long the first change waits for others before its digest goes out.
const GATHER: Duration = Duration::from_mins(2);

/// How many changes one digest lists.
const LISTED_MAX: usize = 100;

/// How many notifications are read back at the start to know what was told lately.
const READ_BACK_MAX: usize = 1000;

/// When each contact was told lately.
#[derive(Debug, Default)]
pub(crate) struct Rates(HashMap<String, VecDeque<Timestamp>>);

impl Rates {
    /// Reads what was told lately.
    pub(crate) fn load(records: &dyn Records, now: Timestamp) -> Result<Self, StateError> {
        let span = (book::NOTIFICATIONS, None, READ_BACK_MAX);
        let found: Vec<Notification> =
            book::values_back(records, Space::Queue, "notifications", span)?;
        let mut seen = BTreeSet::new();
        let mut rates = Self::default();
        for one in found.iter().rev() {
            let is_new = seen.insert((&one.contact, one.event, &one.id, one.at));
            if is_new && one.state != NotificationState::Suppressed && now.since(one.at) < WINDOW {
                rates.note(&one.contact, one.at);
            }
        }
        Ok(rates)
    }

    /// Returns how many changes a contact was told one by one in the last [`WINDOW`].
    pub(crate) fn recent(&self, contact: &str, now: Timestamp) -> usize {
        let times = self.0.get(contact);
        times.map_or(0, |times| times.iter().filter(|at| now.since(**at) < WINDOW).count())
    }

    /// Takes note that a contact was told of a change.
    pub(crate) fn note(&mut self, contact: &str, at: Timestamp) {
        let times = self.0.entry(contact.to_owned()).or_default();
        times.push_back(at);
        if times.len() > CHANGES_MAX {
            times.pop_front();
        }
    }
}

impl Alerts {
    /// Sends the digests that are due. Blocking.
    pub(crate) fn send_digests(&self) -> Result<(), StateError> {
        let now = self.clock.now();
        for (name, gathered) in gathered(self.records.as_ref())? {
            if gathered.iter().all(|one| now.since(one.at) < GATHER) {
                continue;
            }
            let active = self.active();
            let mut counters = self.counters.lock();
            let contact = active.config.contacts.iter().find(|contact| contact.name == name);
            let mut batch = RecordBatch::new();
            let numbers = match contact {
                Some(contact) => {
                    let who = (active.as_ref(), contact);
                    write_digest(
                        self.records.as_ref(),
                        &mut batch,
                        &mut counters,
                        who,
                        (now, &gathered),
                    )?
                }
                // Nobody is left to be told.
                None => Vec::new(),
            };
            for mut one in gathered {
                batch.remove(Space::Queue, book::gathered_key(&name, one.number));
                one.letter = None;
                book::put_notification(&mut batch, &one);
            }
            self.commit(batch)?;
            drop(counters);
            self.announce(&numbers);
        }
        Ok(())
    }
}

/// Returns what waits for digests, by contact, oldest first.
fn gathered(records: &dyn Records) -> Result<BTreeMap<String, Vec<Notification>>, StateError> {
    let keys = records
        .scan(Space::Queue, book::GATHERED, None, usize::MAX)
        .map_err(|source| StateError::Read { what: "digest", source })?;
    let mut all: BTreeMap<String, Vec<Notification>> = BTreeMap::new();
    for number in keys.iter().filter_map(|(key, _)| book::number_of_key(key)) {
        let key = book::notification_key(number);
        let found = book::value(records, Space::Queue, "notifications", &key)?;
        let Some(one): Option<Notification> = found else { continue };
        all.entry(one.contact.clone()).or_default().push(one);
    }
    Ok(all)
}

/// Queues one digest to each address of a contact, and hangs the ledger on it.
fn write_digest(
    records: &dyn Records,
    batch: &mut RecordBatch,
    counters: &mut Counters,
    (active, contact): (&Active, &Contact),
    (now, gathered): (Timestamp, &[Notification]),
) -> Result<Vec<u64>, StateError> {
    let (others, left_out) = newest_of_each(gathered);
    let worst = others.iter().map(|other| other.status).max_by_key(|status| status.severity());
    let template = Notification {
        number: 0,
        at: now,
        contact: contact.name.clone(),
        channel: Channel::Email,
        address: String::new(),
        id: CheckId::host("noroshi"),
        kind: NotificationKind::Digest,
        status: worst.unwrap_or(Status::Ok),
        problem: 0,
        event: None,
        subject: subject(&others, left_out),
        message_id: String::new(),
        answers: None,
        state: NotificationState::Queued,
        attempts: 0,
        next_attempt: now,
        sent_at: None,
        error: None,
        letter: Some(Letter {
            others: others.clone(),
            others_left_out: left_out,
            reasons: gathered_reasons(gathered),
            ..Letter::default()
        }),
    };
    let domain = active.server.as_ref().map_or("localhost", |server| server.domain());
    let mut numbers = Vec::new();
    for (channel, address) in contact.addresses() {
        let number = counters.next_notification();
        let message_id = counters.message_id(None, &contact.name, number, domain);
        let address = address.to_owned();
        let digest = Notification { number, channel, address, message_id, ..template.clone() };
        book::put_notification(batch, &digest);
        numbers.push(number);
    }
    for id in gathered.iter().map(|one| &one.id).collect::<BTreeSet<_>>() {
        let key = book::told_key(id, &contact.name);
        let found = book::value(records, Space::Ledger, "ledger", &key)?;
        let Some(mut told): Option<Told> = found else { continue };
        if gathered.iter().any(|one| told.by.contains(&one.number)) {
            told.by.clone_from(&numbers);
            book::put(batch, Space::Ledger, key, &told);
        }
    }
    Ok(numbers)
}

/// Returns how each subject stands by its newest change, the worst first, and how many are left
/// out.
fn newest_of_each(gathered: &[Notification]) -> (Vec<Other>, usize) {
    let newest: BTreeMap<&CheckId, &Notification> =
        gathered.iter().map(|one| (&one.id, one)).collect();
    let mut others: Vec<Other> = newest
        .into_values()
        .filter_map(|one| {
            let change = &one.letter.as_ref()?.change.as_ref()?.change;
            Some(Other {
                id: one.id.clone(),
                status: change.status,
                since: change.since,
                output: change.output.clone(),
            })
        })
        .collect();
    others.sort_by_key(|other| std::cmp::Reverse(other.status.severity()));
    let left_out = others.len().saturating_sub(LISTED_MAX);
    others.truncate(LISTED_MAX);
    (others, left_out)
}

/// Returns why these came in a digest.
fn gathered_reasons(gathered: &[Notification]) -> Vec<String> {
    let reasons: BTreeSet<&String> = gathered.iter().filter_map(|one| one.error.as_ref()).collect();
    reasons.into_iter().cloned().collect()
}

/// Returns a digest's subject: `[DIGEST] 31 changes: 2 down, 20 critical, 9 ok`.
fn subject(others: &[Other], left_out: usize) -> String {
    let mut counts: Vec<(Status, usize)> = Vec::new();
    for other in others {
        match counts.iter_mut().find(|(status, _)| *status == other.status) {
            Some((_, count)) => *count += 1,
            None => counts.push((other.status, 1)),
        }
    }
    let counts: Vec<String> =
        counts.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let changes = others.len() + left_out;
    let noun = if changes == 1 { "change" } else { "changes" };
    format!("[DIGEST] {changes} {noun}: {}", counts.join(", "))
}

/// Returns why something goes into a digest.
pub(crate) fn reason() -> String {
    let minutes = WINDOW.as_secs() / 60;
    format!("more than {CHANGES_MAX} messages in {minutes} minutes, so the rest comes in a digest")
}

#[cfg(test)]
mod tests;
