//! When a poll is due: spread over the interval by its name, and never in bunches.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use noroshi_model::Timestamp;
use noroshi_model::time::millis;

use crate::poll::Key;

/// A new target is first asked within this time, so that a newcomer sees something soon.
const FIRST_MAX: Duration = Duration::from_secs(5);

/// Returns the poll's place in its interval: always the same for one key.
///
/// Spread by a hash, so that ten thousand targets of one interval do not all come at once, and in
/// wall time, so that a restart keeps the distances of the samples.
fn phase(key: &Key, interval: Duration) -> Duration {
    // The keys are constant in `DefaultHasher::new`, so that the phase survives a restart.
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let interval = millis(interval).max(1).unsigned_abs();
    Duration::from_millis(hasher.finish() % interval)
}

/// Returns how long a new target waits for its first poll.
pub(crate) fn first_delay(key: &Key, interval: Duration) -> Duration {
    phase(key, interval.min(FIRST_MAX))
}

/// Returns how long to wait from `now` for the poll's next turn; more than zero.
///
/// Turns that went by during a long poll are skipped.
pub(crate) fn next_delay(key: &Key, interval: Duration, now: Timestamp) -> Duration {
    let step = millis(interval).max(1);
    let phase = millis(phase(key, interval));
    let into = (now.as_millis() - phase).rem_euclid(step);
    Duration::from_millis((step - into).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(instance: &str) -> Key {
        Key { instance: instance.to_owned(), kind: "nginx", job: "nginx".to_owned() }
    }

    #[test]
    fn turns_are_an_interval_apart_in_wall_time() {
        let interval = Duration::from_secs(10);
        let mut now = Timestamp::from_millis(1_700_000_000_123);
        now = now + next_delay(&key("web1"), interval, now);
        for _ in 0..3 {
            let delay = next_delay(&key("web1"), interval, now);
            assert_eq!(delay, interval);
            now = now + delay;
        }
        // A poll that took 25 s: the next turn is 5 s later, and two turns are skipped.
        assert_eq!(next_delay(&key("web1"), interval, now + Duration::from_secs(25)).as_secs(), 5);
    }

    #[test]
    fn targets_are_spread_over_the_interval() {
        let interval = Duration::from_secs(10);
        let mut buckets = [0; 10];
        for i in 0..1000 {
            let now = Timestamp::from_secs(1_700_000_000);
            let delay = next_delay(&key(&format!("web{i}")), interval, now);
            buckets[(delay.as_millis() as usize - 1) / 1000] += 1;
        }
        // 100 expected in each; four standard deviations are 38.
        assert!(buckets.iter().all(|count| (62..=138).contains(count)), "{buckets:?}");
    }

    #[test]
    fn a_new_target_is_asked_soon_even_when_its_interval_is_long() {
        for i in 0..100 {
            let delay = first_delay(&key(&format!("web{i}")), Duration::from_hours(1));
            assert!(delay < FIRST_MAX);
        }
    }
}
