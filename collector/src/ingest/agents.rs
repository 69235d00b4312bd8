//! What is known of the agents since the start of the server.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use noroshi_model::Timestamp;
use noroshi_model::frame::Frame;
use serde::Serialize;

use super::unpack::Read;
use super::{AgentIdentity, IngestError};

/// For so long a name belongs to the machine that reported under it last.
const HOLD: Duration = Duration::from_mins(10);

/// An agent as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentView {
    /// The host's name.
    pub host: String,
    /// The name of the token that it uses.
    pub token: String,
    /// The address that it wants to be known by, or that it reports from; empty when not known.
    pub address: String,
    /// `/etc/machine-id`; empty when the host has none.
    pub machine_id: String,
    /// Name of the operating system.
    pub os: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Version of the agent.
    pub version: String,
    /// When it first reported since the start of the server.
    pub first_seen: Timestamp,
    /// When it last reported.
    pub last_seen: Timestamp,
    /// The newest moment of its samples.
    pub newest_sample: Option<Timestamp>,
    /// From one reading to the next, in milliseconds, as the agent says.
    pub interval_ms: Option<u64>,
    /// The server's time less the agent's at the last report, the time on the way included.
    pub clock_offset_ms: i64,
    /// Series in the last reading.
    pub series: usize,
    /// The plug-ins that its config names, and how often each is run, in milliseconds.
    pub plugin_intervals_ms: BTreeMap<String, u64>,
    /// Frames since the start of the server.
    pub frames: u64,
    /// Frames that the agent numbered and that did not come, since the start of its run.
    pub frames_missing: u64,
}

/// A host that reports for the first time, or otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSeen {
    /// Its name.
    pub host: String,
    /// Name of its operating system.
    pub os: String,
    /// Release of its kernel.
    pub kernel: String,
    /// Version of its agent.
    pub version: String,
    /// The name of the token that it uses.
    pub token: String,
    /// The address that it wants to be known by, or that it reports from; empty when not known.
    pub address: String,
    /// The plug-ins that its config names, and how often each is run, in milliseconds.
    pub plugin_intervals_ms: BTreeMap<String, u64>,
}

/// All agents by host.
#[derive(Debug)]
pub(super) struct Agents {
    hosts_max: usize,
    /// Names that no agent may use.
    reserved: HashSet<String>,
    by_host: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    view: AgentView,
    run: u64,
    /// Frames of the run so far, and its greatest number.
    frames_of_run: u64,
    first_of_run: u64,
    last_of_run: u64,
}

impl Agents {
    pub(super) fn new(hosts_max: usize) -> Self {
        Self { hosts_max, reserved: HashSet::new(), by_host: BTreeMap::new() }
    }

    pub(super) fn reserve(&mut self, host: &str) {
        self.reserved.insert(host.to_owned());
    }

    pub(super) fn views(&self) -> Vec<AgentView> {
        self.by_host.values().map(|known| known.view.clone()).collect()
    }

    pub(super) fn view(&self, host: &str) -> Option<AgentView> {
        self.by_host.get(host).map(|known| known.view.clone())
    }

    /// Notes a frame with the moment of its arrival and the offset of its clock; returns what is
    /// new about the host. Errors: another machine has the name; too many hosts.
    pub(super) fn note(
        &mut self,
        agent: &AgentIdentity,
        Read { frame, series }: &Read,
        (at, clock_offset_ms): (Timestamp, i64),
    ) -> Result<Option<HostSeen>, IngestError> {
        let host = &frame.host;
        if self.reserved.contains(&host.name) {
            let machine_id = "the server itself".to_owned();
            return Err(IngestError::HostTaken { host: host.name.clone(), machine_id });
        }
        let before = self.by_host.get(&host.name);
        if before.is_none() && self.by_host.len() >= self.hosts_max {
            return Err(IngestError::TooManyHosts { hosts_max: self.hosts_max });
        }
        if let Some(before) = before.map(|known| &known.view)
            && !before.machine_id.is_empty()
            && !host.machine_id.is_empty()
            && before.machine_id != host.machine_id
            && at.since(before.last_seen) < HOLD
        {
            let (host, machine_id) = (host.name.clone(), before.machine_id.clone());
            return Err(IngestError::HostTaken { host, machine_id });
        }
        // A frame of results alone says nothing of what else there is.
        let last = before.map(|known| &known.view).filter(|_| !is_reading(frame));
        let plugin_intervals_ms =
            last.map_or_else(|| plugin_intervals(frame), |last| last.plugin_intervals_ms.clone());
        let seen = HostSeen {
            host: host.name.clone(),
            os: host.os.clone(),
            kernel: host.kernel.clone(),
            version: host.agent_version.clone(),
            token: agent.token.clone(),
            address: host.address.clone().unwrap_or_else(|| agent.address.clone()),
            plugin_intervals_ms: plugin_intervals_ms.clone(),
        };
        let newest = frame.batch.samples.iter().map(|sample| sample.at).max();
        let newest_before = before.and_then(|known| known.view.newest_sample);
        let view = AgentView {
            host: seen.host.clone(),
            token: agent.token.clone(),
            address: seen.address.clone(),
            machine_id: host.machine_id.clone(),
            os: seen.os.clone(),
            kernel: host.kernel.clone(),
            version: seen.version.clone(),
            first_seen: before.map_or(at, |known| known.view.first_seen),
            last_seen: at,
            newest_sample: newest.max(newest_before),
            interval_ms: frame.batch.interval.map(|interval| interval.as_millis() as u64),
            clock_offset_ms,
            series: last.map_or(*series, |last| last.series),
            plugin_intervals_ms,
            frames: before.map_or(0, |known| known.view.frames) + 1,
            frames_missing: 0,
        };
        let is_new = before.is_none_or(|known| {
            let known = &known.view;
            let facts = |view: &AgentView| {
                let AgentView { os, kernel, version, token, address, .. } = view;
                [os, kernel, version, token, address].map(String::clone)
            };
            facts(known) != facts(&view) || known.plugin_intervals_ms != view.plugin_intervals_ms
        });
        self.keep(view, frame);
        Ok(is_new.then_some(seen))
    }

    /// Counts the frames of the agent's run; a frame that comes again makes none missing.
    fn keep(&mut self, mut view: AgentView, frame: &Frame) {
        let (run, sequence) = (frame.run, frame.sequence);
        let known = match self.by_host.remove(&view.host) {
            Some(before) if before.run == run => before,
            _ => Known {
                view: view.clone(),
                run,
                frames_of_run: 0,
                first_of_run: sequence,
                last_of_run: sequence,
            },
        };
        let first_of_run = known.first_of_run.min(sequence);
        let last_of_run = known.last_of_run.max(sequence);
        let frames_of_run = known.frames_of_run + 1;
        let numbered = (last_of_run - first_of_run).saturating_add(1);
        view.frames_missing = numbered.saturating_sub(frames_of_run);
        let host = view.host.clone();
        self.by_host.insert(host, Known { view, run, frames_of_run, first_of_run, last_of_run });
    }
}

/// Tells whether a frame holds more than results and what the server added.
fn is_reading(frame: &Frame) -> bool {
    frame.batch.samples.iter().any(|sample| sample.labels.name() != super::CLOCK_OFFSET)
}

/// The series by which an agent tells which plug-ins it runs.
const PLUGIN_INTERVAL: &str = "noroshi_agent_plugin_interval_seconds";

/// Returns the plug-ins that a reading tells of.
fn plugin_intervals(frame: &Frame) -> BTreeMap<String, u64> {
    let told = frame.batch.samples.iter().filter(|sample| {
        sample.labels.name() == PLUGIN_INTERVAL && sample.value.is_finite() && sample.value > 0.0
    });
    told.filter_map(|sample| {
        let name = sample.labels.get("plugin")?;
        Some((name.to_owned(), (sample.value * 1000.0) as u64))
    })
    .collect()
}
