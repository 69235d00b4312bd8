//! The only place of the server that asks the system what time it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use noroshi_model::{Clock, Timestamp};

/// The machine's clock; may jump.
#[derive(Debug, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that all others are given")]
    fn now(&self) -> Timestamp {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp::default() + since,
            Err(before) => Timestamp::default() - before.duration().max(Duration::ZERO),
        }
    }
}
