//! Passive checks and heartbeats: what is found when nothing came in the time allowed.

use noroshi_model::quantity::format_duration;
use noroshi_model::{Status, Timestamp};

use super::finding::Finding;
use super::{AgentProbe, PassiveProbe};

/// Says that nothing came, and for how long. `heard`: when something last came.
pub(crate) fn look(probe: &PassiveProbe, heard: Option<Timestamp>, now: Timestamp) -> Finding {
    let status = probe.stale.unwrap_or(Status::Unknown);
    let ago = heard.map(|heard| format_duration(now.since(heard)));
    let text = match (ago, probe.is_heartbeat) {
        (Some(ago), true) => format!("last called {ago} ago"),
        (None, true) => "never called".to_owned(),
        (Some(ago), false) => format!("no result for {ago}"),
        (None, false) => "no result ever came".to_owned(),
    };
    let every = probe.freshness.filter(|_| probe.is_heartbeat);
    let wanted = every.map(|every| format!("; it must call every {}", format_duration(every)));
    Finding::new(status, format!("{text}{}", wanted.unwrap_or_default()))
}

/// The same of a plug-in that the host's agent runs.
pub(crate) fn look_agent(probe: &AgentProbe, last: Option<Timestamp>, now: Timestamp) -> Finding {
    let plugin = &probe.plugin;
    Finding::unknown(match last {
        _ if probe.look.is_some() => match last {
            Some(last) => {
                let span = format_duration(now.since(last));
                format!("the host's agent has not told for {span}")
            }
            None => "the host's agent has not told: does a noroshi-agent that can look at \
                     processes, ports and files report from there?"
                .to_owned(),
        },
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
