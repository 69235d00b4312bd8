//! Flap detection: the weighted share of changes among the last states.
//!
//! Source: Nagios Core `base/flapping.c`: 21 states are kept, so there are 20 changes; the weight
//! of a change rises in a line from 0.75 (oldest) to 1.25 (newest), so that all 20 together weigh
//! 20 and are 100 %.

use noroshi_model::Status;

/// How many states are kept (`MAX_STATE_HISTORY_ENTRIES`).
pub(crate) const STATES: usize = 21;
/// Weight of the oldest change.
const WEIGHT_OLDEST: f64 = 0.75;
/// Weight of the newest change.
const WEIGHT_NEWEST: f64 = 1.25;

/// The last 21 states as their codes, oldest first. A new one holds only OK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct History([u8; STATES]);

impl History {
    /// Reads what [`History::codes`] gave; a longer or shorter one is cut or filled with OK.
    pub(crate) fn from_codes(codes: &[u8]) -> Self {
        let mut history = Self::default();
        for code in codes {
            history.push_code(*code);
        }
        history
    }

    /// Returns the codes, oldest first.
    pub(crate) fn codes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the state before the newest: for a check the last confirmed one.
    pub(crate) fn previous(&self, is_host: bool) -> Option<Status> {
        let code = self.0[STATES - 2];
        let statuses: &[Status] = if is_host {
            &[Status::Up, Status::Down, Status::Unreachable]
        } else {
            &[Status::Ok, Status::Warning, Status::Critical, Status::Unknown]
        };
        statuses.iter().copied().find(|status| status.code() == code)
    }

    /// Adds the newest state; the oldest is forgotten.
    pub(crate) fn push(&mut self, status: Status) {
        self.push_code(status.code());
    }

    fn push_code(&mut self, code: u8) {
        self.0.rotate_left(1);
        self.0[STATES - 1] = code;
    }

    /// Returns the weighted share of changes, 0 to 100.
    pub(crate) fn percent(&self) -> f64 {
        let changes = STATES - 1;
        let slope = (WEIGHT_NEWEST - WEIGHT_OLDEST) / (changes - 1) as f64;
        let mut weight = 0.0;
        for (i, pair) in self.0.windows(2).enumerate() {
            if pair[0] != pair[1] {
                weight += WEIGHT_OLDEST + i as f64 * slope;
            }
        }
        weight / changes as f64 * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> f64 {
        let mut history = History::default();
        for letter in text.chars() {
            history.push(if letter == 'c' { Status::Critical } else { Status::Ok });
        }
        history.percent()
    }

    #[test]
    fn the_weights_are_those_of_the_documentation() {
        // Only the newest change: 1.25 of 20 = 6.25 %.
        assert!((after("c") - 6.25).abs() < 1e-9);
        // The newest two: (1.25 + 1.25 - 0.5/19) / 20 = 12.368 %.
        assert!((after("co") - 12.368_421).abs() < 1e-5);
        // One change that is 19 states old: 0.75 / 20 = 3.75 %.
        assert!((after("cccccccccccccccccccc") - 3.75).abs() < 1e-9);
        // Every state differs from the one before: 100 %.
        assert!((after("ocococococococococococ") - 100.0).abs() < 1e-9);
        assert_eq!(after("ooo"), 0.0);
    }

    #[test]
    fn a_history_is_read_back_from_its_codes() {
        let mut history = History::default();
        history.push(Status::Warning);
        history.push(Status::Critical);
        assert_eq!(History::from_codes(history.codes()), history);
        assert_eq!(History::from_codes(&[1, 2]), history);
    }
}
