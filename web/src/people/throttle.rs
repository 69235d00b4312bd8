//! Slows down whoever guesses passwords: per account and address, so that a guesser elsewhere does
//! not lock the owner out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use noroshi_model::Timestamp;
use parking_lot::Mutex;

/// Failures that cost nothing: typing errors.
const FAILURES_FREE: u32 = 5;
/// Wait after the first failure that costs; doubles with each further one.
const WAIT_FIRST: Duration = Duration::from_secs(1);
/// Longest wait. One guess in 15 minutes is 35 000 a year: nothing against any fit password.
const WAIT_MAX: Duration = Duration::from_mins(15);
/// How long a failure is remembered after the last one.
const MEMORY: Duration = Duration::from_hours(1);
/// Most pairs remembered. When full, those that failed longest ago are forgotten: an attacker with
/// this many addresses is held by the bound on concurrent hashes.
const PAIRS_MAX: usize = 10_000;

/// Counts failed sign-ins.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<(String, IpAddr), Failures>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Throttle {
    /// Returns how long this account must wait at this address; `None` when it may try.
    pub(crate) fn wait(&self, account: &str, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let failures = *self.0.lock().get(&pair(account, address))?;
        let waited = now.since(failures.last);
        wait_after(failures.count).checked_sub(waited).filter(|left| !left.is_zero())
    }

    /// Remembers a failure.
    pub(crate) fn failed(&self, account: &str, address: IpAddr, now: Timestamp) {
        let mut map = self.0.lock();
        if map.len() >= PAIRS_MAX {
            forget(&mut map, now);
        }
        let failures =
            map.entry(pair(account, address)).or_insert(Failures { count: 0, last: now });
        if now.since(failures.last) > MEMORY {
            failures.count = 0;
        }
        *failures = Failures { count: failures.count.saturating_add(1), last: now };
    }

    /// Forgets the failures of an account at an address: it signed in.
    pub(crate) fn succeeded(&self, account: &str, address: IpAddr) {
        self.0.lock().remove(&pair(account, address));
    }
}

/// Makes room: forgets what is old and, if that is not enough, the older half.
fn forget(map: &mut HashMap<(String, IpAddr), Failures>, now: Timestamp) {
    map.retain(|_, failures| now.since(failures.last) <= MEMORY);
    if map.len() < PAIRS_MAX {
        return;
    }
    let mut moments: Vec<Timestamp> = map.values().map(|failures| failures.last).collect();
    let middle = moments.len() / 2;
    let (_, median, _) = moments.select_nth_unstable(middle);
    let median = *median;
    map.retain(|_, failures| failures.last > median);
}

/// Returns the wait after so many failures in a row.
fn wait_after(count: u32) -> Duration {
    match count.checked_sub(FAILURES_FREE) {
        None => Duration::ZERO,
        Some(over) => WAIT_FIRST.saturating_mul(1 << over.min(20)).min(WAIT_MAX),
    }
}

/// Names the pair. An IPv6 customer has a whole /64, so that counts as one address.
fn pair(account: &str, address: IpAddr) -> (String, IpAddr) {
    let address = match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    };
    (account.chars().take(super::NAME_CHARS_MAX).collect(), address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    #[test]
    fn the_wait_doubles_after_five_failures_up_to_a_quarter_of_an_hour() {
        let throttle = Throttle::default();
        for _ in 0..4 {
            throttle.failed("admin", HERE, at(0));
        }
        assert_eq!(throttle.wait("admin", HERE, at(0)), None);
        // failures 5, 6, 7: 1 s, 2 s, 4 s; the sixteenth would be 2^11 s and is bounded by 900 s
        for (failures, wait) in [(1, 1), (1, 2), (1, 4), (9, 900)] {
            for _ in 0..failures {
                throttle.failed("admin", HERE, at(0));
            }
            assert_eq!(throttle.wait("admin", HERE, at(0)), Some(Duration::from_secs(wait)));
        }
        assert_eq!(throttle.wait("admin", HERE, at(899)), Some(Duration::from_secs(1)));
        assert_eq!(throttle.wait("admin", HERE, at(900)), None);
    }

    #[test]
    fn other_accounts_and_addresses_are_not_slowed_and_success_forgets() {
        let throttle = Throttle::default();
        let other = "192.0.2.1".parse().unwrap();
        for _ in 0..9 {
            throttle.failed("admin", HERE, at(0));
        }
        assert!(throttle.wait("admin", HERE, at(0)).is_some());
        assert_eq!(throttle.wait("admin", other, at(0)), None);
        assert_eq!(throttle.wait("eve", HERE, at(0)), None);
        throttle.succeeded("admin", HERE);
        assert_eq!(throttle.wait("admin", HERE, at(0)), None);
    }

    #[test]
    fn neighbours_in_one_ipv6_network_count_as_one() {
        let throttle = Throttle::default();
        for host in 1..=6 {
            let address = format!("2001:db8:0:1::{host}").parse().unwrap();
            throttle.failed("admin", address, at(0));
        }
        assert!(throttle.wait("admin", "2001:db8:0:1::99".parse().unwrap(), at(0)).is_some());
        assert!(throttle.wait("admin", "2001:db8:0:2::1".parse().unwrap(), at(0)).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for account in 0..2 * PAIRS_MAX {
            throttle.failed(&account.to_string(), HERE, at(account as i64 / 1000));
        }
        assert!(throttle.0.lock().len() <= PAIRS_MAX);
    }
}
