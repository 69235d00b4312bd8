//! Passive checks: what is found when no result came in the time allowed.

use noroshi_model::quantity::format_duration;
use noroshi_model::{Status, Timestamp};

use super::finding::Finding;
use super::{AgentProbe, PassiveProbe};

/// Says that nothing came, and for how long. `last`: when the last result came.
pub(crate) fn look(probe: &PassiveProbe, last: Option<Timestamp>, now: Timestamp) -> Finding {
    let status = probe.stale.unwrap_or(Status::Unknown);
    let text = match last {
        Some(last) => format!("no result for {}", format_duration(now.since(last))),
        None => "no result ever came".to_owned(),
    };
    Finding::new(status, text)
}

/// The same of a plug-in that the host's agent runs.
pub(crate) fn look_agent(probe: &AgentProbe, last: Option<Timestamp>, now: Timestamp) -> Finding {
    let plugin = &probe.plugin;
    Finding::unknown(match last {
        Some(last) => {
            let span = format_duration(now.since(last));
            format!("the agent sent no result of `{plugin}` for {span}")
        }
        None => format!(
            "the agent never sent a result of `{plugin}`: does the config of noroshi-agent on this \
             host have [check.{plugin}]?"
        ),
    })
}
