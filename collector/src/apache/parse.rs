//! The page that `mod_status.c` writes for `?auto` (`status_handler`, `short_report`).
//!
//! Lines of `Key: value`; which ones depends on the version, the MPM and `ExtendedStatus`. One line
//! alone, the server's name, comes first since 2.4.

use std::collections::HashMap;

/// What the page says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerStatus {
    numbers: HashMap<String, f64>,
    scoreboard: String,
}

/// Why a page is none of `server-status?auto`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerStatusError {
    /// The page for people was asked for, or another one altogether.
    #[error(
        "this is no page of server-status for programs: the line {expected:?} is missing; the address must end in ?auto"
    )]
    Line {
        /// How the line begins.
        expected: &'static str,
    },
}

/// The letters of the scoreboard (`scoreboard.h`, `mod_status.c` `status_flags`) with the names
/// that `apache_exporter` gives them.
pub(super) const SLOTS: [(char, &str); 11] = [
    ('_', "idle"),
    ('S', "startup"),
    ('R', "read"),
    ('W', "reply"),
    ('K', "keepalive"),
    ('D', "dns"),
    ('C', "closing"),
    ('L', "logging"),
    ('G', "graceful_stop"),
    ('I', "idle_cleanup"),
    ('.', "open_slot"),
];

/// Most lines that are read: a page without balancers has about forty.
const LINES_MAX: usize = 1000;

impl ServerStatus {
    /// Reads a page. Errors: [`ServerStatusError`].
    pub fn parse(page: &str) -> Result<Self, ServerStatusError> {
        let mut status = Self::default();
        for line in page.lines().take(LINES_MAX) {
            let Some((key, value)) = line.split_once(": ") else { continue };
            if key == "Scoreboard" {
                value.trim().clone_into(&mut status.scoreboard);
            } else if let Some(number) = value.trim().parse().ok().filter(|n: &f64| n.is_finite()) {
                status.numbers.insert(key.to_owned(), number);
            }
        }
        for expected in ["BusyWorkers", "IdleWorkers"] {
            if status.number(expected).is_none() {
                return Err(ServerStatusError::Line { expected });
            }
        }
        if status.scoreboard.is_empty() {
            return Err(ServerStatusError::Line { expected: "Scoreboard" });
        }
        Ok(status)
    }

    /// Returns a line's number; `None` when the page has no such line.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.numbers.get(key).copied()
    }

    /// Returns how many slots are in each state; letters that are not known are left out.
    pub fn slots(&self) -> impl Iterator<Item = (&'static str, usize)> {
        SLOTS.iter().map(|(letter, state)| {
            (*state, self.scoreboard.chars().filter(|slot| slot == letter).count())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_a_real_apache_is_read() {
        let status = ServerStatus::parse(include_str!("payloads/2.4.71-event.txt")).unwrap();
        assert_eq!(status.number("Total Accesses"), Some(1.0));
        assert_eq!(
            (status.number("BusyWorkers"), status.number("IdleWorkers")),
            (Some(1.0), Some(74.0))
        );
        let slots: HashMap<_, _> = status.slots().collect();
        assert_eq!((slots["reply"], slots["idle"], slots["closing"]), (1, 74, 0));
        assert_eq!(status.number("ReqPerHour"), None);
    }

    #[test]
    fn a_page_without_extended_status_has_workers_only() {
        let page = "BusyWorkers: 1\nIdleWorkers: 49\nScoreboard: W_..?\n";
        let status = ServerStatus::parse(page).unwrap();
        assert_eq!(status.number("Total Accesses"), None);
        // The question mark stands for a letter of a version to come.
        assert_eq!(status.slots().map(|(_, count)| count).sum::<usize>(), 4);
    }

    #[test]
    fn the_page_for_people_is_refused_with_what_to_do() {
        let error = ServerStatus::parse("<html><h1>Apache Server Status</h1></html>").unwrap_err();
        assert!(error.to_string().ends_with("the address must end in ?auto"), "{error}");
        for cut in ["BusyWorkers: 1\n", "BusyWorkers: 1\nIdleWorkers: 2\n", "BusyWorkers: NaN\n"] {
            assert!(ServerStatus::parse(cut).is_err(), "{cut}");
        }
    }
}
