//! How long to wait after a failure.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause of our own. A server that is back is noticed within one and a half of it;
/// ten thousand agents come at 330 a second.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest pause that a server can ask for; what it asks beyond is taken as a mistake.
const ASKED_LONGEST: Duration = Duration::from_mins(5);

/// Grows from failure to failure, and starts anew after a success.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Returns the pause after one more failure: 1, 2, 4 ... 30 s, times `jitter`, or what the
    /// server asked for.
    ///
    /// `jitter` is at random from 0.5 to 1.5, so that the agents of a site do not come all at once
    /// when their server is back; a pause that the server asked for only grows by it.
    pub(crate) fn failed(&mut self, asked: Option<Duration>, jitter: f64) -> Duration {
        let own = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        match asked {
            Some(asked) => asked.min(ASKED_LONGEST).mul_f64(jitter.max(1.0)),
            None => own.mul_f64(jitter),
        }
    }
}

/// Returns a number at random from 0.5 to 1.5.
///
/// From the randomness of the standard library's hash maps: spreading needs no better, and a crate
/// for random numbers would be a fifth of this program.
pub(crate) fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(0_u8);
    0.5 + bits as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute_and_start_anew() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u64> = (0..9).map(|_| backoff.failed(None, 1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30, 30]);
        assert_eq!(backoff.failed(None, 1.5), Duration::from_secs(45));
        backoff.succeeded();
        assert_eq!(backoff.failed(None, 0.5), Duration::from_millis(500));
    }

    #[test]
    fn a_pause_that_the_server_asks_for_is_kept_within_bounds() {
        let mut backoff = Backoff::default();
        let mut ask = |seconds, jitter| {
            backoff.failed(Some(Duration::from_secs(seconds)), jitter).as_secs_f64()
        };
        assert_eq!(ask(7, 0.5), 7.0);
        assert_eq!(ask(10, 1.25), 12.5);
        assert_eq!(ask(86_400, 1.0), 300.0);
    }

    #[test]
    fn jitter_spreads_around_one() {
        let sum: f64 = (0..1000).map(|_| jitter()).sum();
        assert!((0..1000).all(|_| (0.5..=1.5).contains(&jitter())));
        // Standard deviation of the mean of 1,000: 0.289 / sqrt(1000) = 0.009.
        assert!((sum / 1000.0 - 1.0).abs() < 0.1, "{sum}");
    }
}
