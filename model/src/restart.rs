//! When the source of series began anew.

use std::fmt;

use serde::Serialize;

use crate::Timestamp;

/// A source's counters began anew: a machine booted, a server was restarted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Restart {
    /// The first sample after it.
    pub at: Timestamp,
    /// When the source says that it started.
    pub started_at: Timestamp,
    /// The label `job` of its series; empty when they have none.
    pub job: String,
}

impl fmt::Display for Restart {
    /// Says what happened in a word or two: `booted`, `nginx restarted`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.job.as_str() {
            "node" => f.write_str("booted"),
            "" => f.write_str("restarted"),
            job => write!(f, "{job} restarted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_told_in_a_word_or_two() {
        let at = Timestamp::from_secs(1_790_000_000);
        let told = |job: &str| Restart { at, started_at: at, job: job.to_owned() }.to_string();
        assert_eq!(told("node"), "booted");
        assert_eq!(told("nginx"), "nginx restarted");
        assert_eq!(told(""), "restarted");
    }
}
