//! Samples of what seldom changes: read once in a while, told with each reading.

use std::time::Duration;

use noroshi_model::{Sample, Timestamp};

use super::files::SourceError;
use super::output::Output;

/// How long what seldom changes is taken as known.
const KNOWN_MAX: Duration = Duration::from_mins(1);

/// Tells whether what was read then is still taken as known.
pub(super) fn is_known(read_at: Timestamp, now: Timestamp) -> bool {
    let age = now.as_millis().saturating_sub(read_at.as_millis());
    // A clock that was set back makes the age negative.
    (0..KNOWN_MAX.as_millis() as i64).contains(&age)
}

/// What was read last, and when.
#[derive(Default)]
pub(super) struct Kept {
    read_at: Option<Timestamp>,
    samples: Vec<Sample>,
}

impl Kept {
    /// Adds what `read` adds, or after less than a minute what it added the last time. What failed
    /// is not kept.
    pub(super) fn tell(
        &mut self,
        out: &mut Output,
        read: impl FnOnce(&mut Output) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        if self.read_at.is_some_and(|read_at| is_known(read_at, out.at())) {
            out.repeat(&self.samples);
            return Ok(());
        }
        self.read_at = None;
        let mark = out.mark();
        read(out)?;
        self.samples = out.since(mark).to_vec();
        self.read_at = Some(out.at());
        Ok(())
    }
}
