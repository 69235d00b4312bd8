//! Passive checks: what is found when no result came in the time allowed.

use noroshi_model::quantity::format_duration;
use noroshi_model::{Status, Timestamp};

use super::PassiveProbe;
use super::finding::Finding;

/// Says that nothing came, and for how long. `last`: when the last result came.
pub(crate) fn look(probe: &PassiveProbe, last: Option<Timestamp>, now: Timestamp) -> Finding {
    let status = probe.stale.unwrap_or(Status::Unknown);
    let text = match last {
        Some(last) => format!("no result for {}", format_duration(now.since(last))),
        None => "no result ever came".to_owned(),
    };
    Finding::new(status, text)
}
