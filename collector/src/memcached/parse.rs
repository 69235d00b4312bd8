//! The answer to `stats`: lines of `STAT name value`, then `END` (`doc/protocol.txt`).

use std::collections::HashMap;

/// What `stats` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    numbers: HashMap<String, f64>,
}

/// Why an answer is none to `stats`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatsError {
    /// The connection ended too early.
    #[error("the answer to stats has no end")]
    Cut,
    /// A line is something else; `ERROR` and `SERVER_ERROR` are such.
    #[error("{line:?} is no line of stats")]
    Line {
        /// The line, cut.
        line: String,
    },
}

/// Tells whether nothing more will come: the end, or an error.
pub(super) fn is_whole(answer: &[u8]) -> bool {
    answer.ends_with(b"END\r\n") || (answer.ends_with(b"\r\n") && !answer.starts_with(b"STAT "))
}

impl Stats {
    /// Reads an answer. Errors: [`StatsError`].
    pub fn parse(answer: &str) -> Result<Self, StatsError> {
        let mut stats = Self::default();
        for line in answer.lines() {
            if line == "END" {
                return Ok(stats);
            }
            let wrong = || StatsError::Line { line: line.chars().take(80).collect() };
            let rest = line.strip_prefix("STAT ").ok_or_else(wrong)?;
            let (name, value) = rest.split_once(' ').ok_or_else(wrong)?;
            // `version`, `libevent` and the like are no numbers and not needed.
            if let Some(number) = value.parse().ok().filter(|n: &f64| n.is_finite()) {
                stats.numbers.insert(name.to_owned(), number);
            }
        }
        Err(StatsError::Cut)
    }

    /// Returns a number by its name; `None` when this version does not give it.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = include_str!("payloads/1.6.18.txt");

    #[test]
    fn the_answer_of_a_real_memcached_is_read() {
        let stats = Stats::parse(ANSWER).unwrap();
        assert_eq!((stats.number("get_hits"), stats.number("get_misses")), (Some(1.0), Some(1.0)));
        assert_eq!(stats.number("limit_maxbytes"), Some(67_108_864.0));
        assert_eq!(stats.number("rusage_user"), Some(0.001_769));
        assert_eq!(stats.number("version"), None);
        assert!(is_whole(ANSWER.as_bytes()));
    }

    #[test]
    fn what_is_cut_off_or_no_answer_is_refused() {
        let cut = &ANSWER[..100];
        assert!(!is_whole(cut.as_bytes()));
        assert!(Stats::parse("STAT uptime 5\r\n").is_err());
        let cases =
            ["ERROR\r\n", "SERVER_ERROR out of memory\r\n", "STAT\r\nEND\r\n", "HTTP/1.1 400\r\n"];
        for answer in cases {
            assert!(Stats::parse(answer).is_err(), "{answer}");
        }
        assert!(is_whole(b"ERROR\r\n"));
    }
}
