//! Results whose senders hear no answer: NSCA, the command file, Nagios' check result files.
//!
//! What is not taken is counted, and remembered with its name for people to see: a sender that
//! goes unheard must not look like one that has nothing to say.

mod files;
mod network;
mod nsca;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use noroshi_model::{Status, Timestamp};
use parking_lot::Mutex;

use crate::action::{ActionError, PassiveResult};
use crate::checks::Checks;
pub use files::{ResultFilesSpec, serve_result_files};
pub use network::{Network, NetworkError};
pub use nsca::{NscaMethod, NscaSpec, serve_nsca};

/// How many complaints are remembered: whoever sends garbage must not fill the memory.
const COMPLAINTS_MAX: usize = 100;
/// How many bytes of a name that somebody sent are shown.
const NAME_BYTES_MAX: usize = 200;

/// How a result came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// By `send_nsca`.
    Nsca,
    /// By Nagios' external command file.
    CommandFile,
    /// By Nagios' check result files.
    ResultFiles,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was judged.
    Taken,
    /// It names a host or check that there is not.
    NoSuchCheck,
    /// Its status is none that the host or check can have.
    WrongStatus,
    /// It is no result, or is encrypted otherwise.
    Unreadable,
    /// It was sent too long ago.
    TooOld,
    /// Its sender was sent away because there were too many.
    TooMany,
    /// Its sender kept silent for too long.
    TooSlow,
    /// Its sender is in none of the networks that may send.
    NotAllowed,
}

impl Road {
    /// All roads.
    pub const ALL: [Self; 3] = [Self::Nsca, Self::CommandFile, Self::ResultFiles];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nsca => "nsca",
            Self::CommandFile => "command_file",
            Self::ResultFiles => "result_files",
        }
    }
}

impl Fate {
    /// All fates.
    pub const ALL: [Self; 8] = [
        Self::Taken,
        Self::NoSuchCheck,
        Self::WrongStatus,
        Self::Unreadable,
        Self::TooOld,
        Self::TooMany,
        Self::TooSlow,
        Self::NotAllowed,
    ];

    /// Returns the stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::NoSuchCheck => "no_such_check",
            Self::WrongStatus => "wrong_status",
            Self::Unreadable => "unreadable",
            Self::TooOld => "too_old",
            Self::TooMany => "too_many",
            Self::TooSlow => "too_slow",
            Self::NotAllowed => "not_allowed",
        }
    }
}

/// Something that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// How it came.
    pub road: Road,
    /// Who or what it was, and why it was not taken.
    pub what: String,
    /// How often since the start, or since it was forgotten.
    pub count: u64,
    /// When it was last so.
    pub last: Timestamp,
}

/// What came in by the roads that give no answer, since the start.
#[derive(Debug, Default)]
pub struct HandedIn {
    counts: [[AtomicU64; Fate::ALL.len()]; Road::ALL.len()],
    complaints: Mutex<BTreeMap<(&'static str, String), Complaint>>,
}

impl HandedIn {
    /// Returns how many results came by each road and what became of them.
    pub fn counts(&self) -> impl Iterator<Item = (Road, Fate, u64)> {
        Road::ALL.into_iter().flat_map(move |road| {
            Fate::ALL.into_iter().map(move |fate| (road, fate, self.count(road, fate)))
        })
    }

    /// Returns what was not taken since a moment, the most frequent first.
    pub fn complaints(&self, since: Timestamp) -> Vec<Complaint> {
        let complaints = self.complaints.lock();
        let mut list: Vec<Complaint> =
            complaints.values().filter(|complaint| complaint.last >= since).cloned().collect();
        list.sort_by_key(|complaint| std::cmp::Reverse(complaint.count));
        list
    }

    fn count(&self, road: Road, fate: Fate) -> u64 {
        self.counts[road as usize][fate as usize].load(Relaxed)
    }

    /// Counts one that was taken.
    fn note_taken(&self, road: Road) {
        self.counts[road as usize][Fate::Taken as usize].fetch_add(1, Relaxed);
    }

    /// Counts one that was not taken, and remembers it. Beyond the bound the one that was last
    /// heard of longest ago is forgotten.
    pub(crate) fn note_refused(&self, road: Road, fate: Fate, what: String, now: Timestamp) {
        self.counts[road as usize][fate as usize].fetch_add(1, Relaxed);
        let mut complaints = self.complaints.lock();
        let key = (road.as_str(), what.clone());
        if complaints.len() >= COMPLAINTS_MAX && !complaints.contains_key(&key) {
            let oldest = complaints.iter().min_by_key(|(_, complaint)| complaint.last);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                complaints.remove(&oldest);
            }
        }
        let complaint =
            complaints.entry(key).or_insert(Complaint { road, what, count: 0, last: now });
        complaint.count += 1;
        complaint.last = now;
    }
}

impl Checks {
    /// Tells what came in by the roads that give no answer.
    pub fn handed_in(&self) -> &HandedIn {
        &self.handed
    }

    /// Takes results of senders who hear no answer, in their order. Ready when they are durable.
    pub(crate) async fn hand_in(&self, road: Road, results: Vec<PassiveResult>) {
        if results.is_empty() {
            return;
        }
        match self.submit_all(results).await {
            Ok(fates) => fates.iter().for_each(|fate| self.note_handed(road, fate)),
            // Whoever stops has no time for counting.
            Err(error) => tracing::debug!(%error, "results came while the checks were stopping"),
        }
    }

    /// Counts what became of one result.
    pub(crate) fn note_handed(&self, road: Road, fate: &Result<(), ActionError>) {
        let (fate, error) = match fate {
            Ok(()) => return self.handed.note_taken(road),
            Err(error @ ActionError::NoSuchCheck { .. }) => (Fate::NoSuchCheck, error),
            Err(error) => (Fate::WrongStatus, error),
        };
        self.handed.note_refused(road, fate, shortened(&error.to_string()), self.now());
    }
}

/// Returns the status of a plug-in's exit code; `None` for one that plug-ins do not have.
///
/// Of a host 0 is up and all else is down. Nagios refuses an UNKNOWN (3) of a host here; a plug-in
/// that cannot tell has not found the host up.
pub(crate) fn status_of(is_check: bool, code: i64) -> Option<Status> {
    match (is_check, code) {
        (true, 0) => Some(Status::Ok),
        (true, 1) => Some(Status::Warning),
        (true, 2) => Some(Status::Critical),
        (true, 3) => Some(Status::Unknown),
        (false, 0) => Some(Status::Up),
        (false, 1..=3) => Some(Status::Down),
        _ => None,
    }
}

/// Cuts what somebody sent to a length that people read, without control characters.
fn shortened(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if shown.len() + c.len_utf8() > NAME_BYTES_MAX {
            shown.push('…');
            break;
        }
        shown.push(c);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_remembered_within_bounds() {
        let handed = HandedIn::default();
        let at = Timestamp::from_secs;
        for number in 0..150 {
            let what = format!("web{number}/disk: there is no such check");
            handed.note_refused(Road::Nsca, Fate::NoSuchCheck, what, at(number));
        }
        let again = "web149/disk: there is no such check".to_owned();
        handed.note_refused(Road::Nsca, Fate::NoSuchCheck, again.clone(), at(200));
        let all = handed.complaints(at(0));
        assert_eq!(all.len(), COMPLAINTS_MAX);
        assert_eq!((all[0].what.as_str(), all[0].count, all[0].last), (&*again, 2, at(200)));
        assert_eq!(all.iter().map(|complaint| complaint.last).min(), Some(at(50)));
        assert_eq!(handed.complaints(at(200)).len(), 1);
        assert_eq!(handed.count(Road::Nsca, Fate::NoSuchCheck), 151);
        assert_eq!(handed.count(Road::CommandFile, Fate::NoSuchCheck), 0);
    }

    #[test]
    fn names_are_shown_cut_and_on_one_line() {
        assert_eq!(shortened("a\nb\u{1b}[31m"), "ab[31m");
        assert_eq!(shortened(&"é".repeat(300)), format!("{}…", "é".repeat(100)));
    }
}
