//! What a check may find: the statuses of Nagios, for services and hosts in one enum.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The status of a host or of a check on it.
///
/// The first four belong to checks, the last three to hosts; which of them a thing can have is
/// decided by [`crate::CheckId::is_host`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The check found what it should.
    Ok,
    /// Something wants a look.
    Warning,
    /// Something is broken.
    Critical,
    /// The check could not tell. Never the same as OK, never zero.
    Unknown,
    /// The host answers.
    Up,
    /// The host does not answer and its parents do.
    Down,
    /// The host cannot be judged: none of its parents is up.
    Unreachable,
}

impl Status {
    /// All statuses, in the order in which a summary lists them.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Warning,
        Self::Critical,
        Self::Unknown,
        Self::Up,
        Self::Down,
        Self::Unreachable,
    ];

    /// Tells whether somebody may have to do something: everything but OK and up.
    pub fn is_problem(self) -> bool {
        !matches!(self, Self::Ok | Self::Up)
    }

    /// Tells whether only a host can have this status.
    pub fn is_host(self) -> bool {
        matches!(self, Self::Up | Self::Down | Self::Unreachable)
    }

    /// Returns how bad it is, for sorting the worst first: 0 (OK, up) to 4 (down).
    ///
    /// Unknown ranks between warning and critical, as Nagios' CGIs sort.
    pub fn severity(self) -> u8 {
        match self {
            Self::Ok | Self::Up => 0,
            Self::Warning => 1,
            Self::Unknown | Self::Unreachable => 2,
            Self::Critical => 3,
            Self::Down => 4,
        }
    }

    /// Returns the number that plug-ins and `noroshi_check_status` use.
    ///
    /// Checks: 0 OK, 1 warning, 2 critical, 3 unknown (Nagios plug-in guidelines, "Plugin Return
    /// Codes"); hosts: 0 up, 1 down, 2 unreachable (`$HOSTSTATEID$`).
    pub fn code(self) -> u8 {
        match self {
            Self::Ok | Self::Up => 0,
            Self::Warning | Self::Down => 1,
            Self::Critical | Self::Unreachable => 2,
            Self::Unknown => 3,
        }
    }

    /// Returns the name, lower case, as in JSON and in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
            Self::Unreachable => "unreachable",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    /// Reads a name as [`Status::as_str`] writes it, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// The text names no status.
#[derive(Debug, thiserror::Error)]
#[error("no status is called {0:?}")]
pub struct UnknownStatus(String);

/// Whether a status is still being confirmed, as in Nagios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateType {
    /// Seen, but not yet often enough to be told to anybody.
    Soft,
    /// Confirmed.
    Hard,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_read_back_from_its_name() {
        for status in Status::ALL {
            assert_eq!(status.as_str().to_uppercase().parse::<Status>().unwrap(), status);
            let json = serde_json::to_string(&status).unwrap();
            assert_eq!(json, format!("{:?}", status.as_str()));
        }
        assert!("fine".parse::<Status>().is_err());
    }
}
