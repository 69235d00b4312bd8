//! Numbers that go on counting: where the log was left, what the next record is called, and the
//! figures for `/metrics`.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use noroshi_model::{RecordBatch, Records, Space, Timestamp};
use parking_lot::Mutex;

use crate::book::{self, Notification, StateError};
use crate::digest::Rates;
use crate::view::Stats;

/// Where the log was left, and what the next records are called.
#[derive(Debug)]
pub(crate) struct Counters {
    site: String,
    cursor: u64,
    last_notification: u64,
    last_trace: u64,
    pub(crate) rates: Rates,
    /// Who could be reached when that was last written down; `None` before it was looked at.
    pub(crate) reachable: Option<BTreeSet<String>>,
}

impl Counters {
    /// Reads where they were; names the installation when it has no name yet.
    pub(crate) fn load(records: &dyn Records, now: Timestamp) -> Result<Self, StateError> {
        let site = match book::value(records, Space::Values, "site", book::SITE)? {
            Some(site) => site,
            None => name_site(records, now)?,
        };
        let cursor = match book::value(records, Space::Queue, "cursor", book::CURSOR)? {
            Some(cursor) => cursor,
            None => crate::pipeline::begin(records)?,
        };
        Ok(Self {
            site,
            cursor,
            last_notification: book::last_number(
                records,
                Space::Queue,
                "notifications",
                book::NOTIFICATIONS,
            )?,
            last_trace: book::last_number(records, Space::Traces, "traces", book::TRACE_ORDER)?,
            rates: Rates::load(records, now)?,
            reachable: None,
        })
    }

    /// Returns the newest event that was decided.
    pub(crate) fn cursor(&self) -> u64 {
        self.cursor
    }

    pub(crate) fn set_cursor(&mut self, cursor: u64) {
        self.cursor = cursor;
    }

    /// Returns the next notification's number. A number whose commit failed is not used again
    /// before the next start: nobody saw it.
    pub(crate) fn next_notification(&mut self) -> u64 {
        self.last_notification += 1;
        self.last_notification
    }

    pub(crate) fn last_notification(&self) -> u64 {
        self.last_notification
    }

    pub(crate) fn last_trace(&self) -> u64 {
        self.last_trace
    }

    pub(crate) fn next_trace(&mut self) -> u64 {
        self.last_trace += 1;
        self.last_trace
    }

    /// Returns a `Message-ID` without its angle brackets, the same for every attempt.
    ///
    /// Unique by installation and notification; event and contact are for the reader. Only
    /// characters of RFC 5322's `atext`.
    pub(crate) fn message_id(
        &self,
        event: Option<u64>,
        contact: &str,
        number: u64,
        domain: &str,
    ) -> String {
        let contact: String = contact
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(40)
            .collect();
        format!("noroshi.{}.{}.{contact}.{number}@{domain}", self.site, event.unwrap_or(0))
    }
}

/// Gives the installation a name that no other has: event numbers begin at 1 in each.
fn name_site(records: &dyn Records, now: Timestamp) -> Result<String, StateError> {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_i64(now.as_millis());
    let site = format!("{:016x}", hasher.finish());
    let mut batch = RecordBatch::new();
    book::put(&mut batch, Space::Values, book::SITE.to_vec(), &site);
    records.commit(batch).map_err(StateError::Write)?;
    Ok(site)
}

/// Figures for `/metrics`, and what the tasks tell each other.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// What waits: number and moment of the decision.
    pub(crate) waiting: Mutex<BTreeMap<u64, Timestamp>>,
    pub(crate) sent: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) deferred: AtomicU64,
    pub(crate) graphs_missed: AtomicU64,
    /// Milliseconds from event to 250 of the last mail; negative before the first.
    pub(crate) last_delay: AtomicI64,
    /// Whether the sender is to try everything at once.
    pub(crate) hurry: AtomicBool,
}

impl Figures {
    /// Reads what waits.
    pub(crate) fn load(records: &dyn Records) -> Result<Self, StateError> {
        let figures = Self { last_delay: AtomicI64::new(-1), ..Self::default() };
        for notification in waiting(records)? {
            figures.waiting.lock().insert(notification.number, notification.at);
        }
        Ok(figures)
    }

    pub(crate) fn stats(&self, now: Timestamp, newest: u64, cursor: u64) -> Stats {
        let waiting = self.waiting.lock();
        let oldest = waiting.values().min().map(|at| now.since(*at).as_secs_f64());
        let delay = self.last_delay.load(Ordering::Relaxed);
        Stats {
            queued: waiting.len() as u64,
            sent_total: self.sent.load(Ordering::Relaxed),
            failed_total: self.failed.load(Ordering::Relaxed),
            deferred_total: self.deferred.load(Ordering::Relaxed),
            oldest_waiting_seconds: oldest.unwrap_or(0.0),
            events_behind: newest.saturating_sub(cursor),
            last_delay_seconds: (delay >= 0).then_some(delay as f64 / 1000.0),
            graphs_missed_total: self.graphs_missed.load(Ordering::Relaxed),
        }
    }
}

/// Returns the notifications that wait, oldest first.
pub(crate) fn waiting(records: &dyn Records) -> Result<Vec<Notification>, StateError> {
    let keys = records
        .scan(Space::Queue, book::WAITING, None, usize::MAX)
        .map_err(|source| StateError::Read { what: "queue", source })?;
    let mut found = Vec::new();
    for number in keys.iter().filter_map(|(key, _)| book::number_of_key(key)) {
        let key = book::notification_key(number);
        if let Some(one) = book::value(records, Space::Queue, "notifications", &key)? {
            found.push(one);
        }
    }
    Ok(found)
}
