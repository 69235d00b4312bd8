//! What is known of the agents since the start of the server.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use noroshi_model::Timestamp;
use noroshi_model::frame::Frame;
use noroshi_model::host_label::{self, HOST_LABELS, HOST_LABELS_MAX};
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
    /// The labels that its config gives the host.
    pub labels: BTreeMap<String, String>,
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
    /// The labels that its config gives the host.
    pub labels: BTreeMap<String, String>,
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

    /// Returns what others want to know of each host, by name.
    pub(super) fn all_seen(&self) -> Vec<HostSeen> {
        self.by_host.values().map(Known::seen).collect()
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
        let is_first = before.is_none();
        let known = self.by_host.entry(host.name.clone());
        let known = known.or_insert_with(|| Known::new(frame, at));
        let view = &mut known.view;
        let address = host.address.as_ref().unwrap_or(&agent.address);
        let facts = [
            (&mut view.os, &host.os),
            (&mut view.kernel, &host.kernel),
            (&mut view.version, &host.agent_version),
            (&mut view.token, &agent.token),
            (&mut view.address, address),
        ];
        let mut is_otherwise = is_first;
        for (kept, told) in facts.into_iter().filter(|(kept, told)| *kept != *told) {
            kept.clone_from(told);
            is_otherwise = true;
        }
        // A frame of results alone says nothing of what else there is.
        if is_first || is_reading(frame) {
            view.series = *series;
            let plugin_intervals_ms = plugin_intervals(frame);
            is_otherwise |= view.plugin_intervals_ms != plugin_intervals_ms;
            view.plugin_intervals_ms = plugin_intervals_ms;
            let labels = host_labels(frame);
            is_otherwise |= view.labels != labels;
            view.labels = labels;
        }
        view.machine_id.clone_from(&host.machine_id);
        view.last_seen = at;
        let newest = frame.batch.samples.iter().map(|sample| sample.at).max();
        view.newest_sample = newest.max(view.newest_sample);
        view.interval_ms = frame.batch.interval.map(|interval| interval.as_millis() as u64);
        view.clock_offset_ms = clock_offset_ms;
        known.count(frame);
        Ok(is_otherwise.then(|| known.seen()))
    }
}

impl Known {
    /// Makes a host of which nothing is known but its name.
    fn new(frame: &Frame, at: Timestamp) -> Self {
        let view = AgentView {
            host: frame.host.name.clone(),
            token: String::new(),
            address: String::new(),
            machine_id: String::new(),
            os: String::new(),
            kernel: String::new(),
            version: String::new(),
            first_seen: at,
            last_seen: at,
            newest_sample: None,
            interval_ms: None,
            clock_offset_ms: 0,
            series: 0,
            plugin_intervals_ms: BTreeMap::new(),
            labels: BTreeMap::new(),
            frames: 0,
            frames_missing: 0,
        };
        let (run, sequence) = (frame.run, frame.sequence);
        Self { view, run, frames_of_run: 0, first_of_run: sequence, last_of_run: sequence }
    }

    /// Counts the frames of the agent's run; a frame that comes again makes none missing.
    fn count(&mut self, frame: &Frame) {
        let sequence = frame.sequence;
        if self.run != frame.run {
            (self.run, self.frames_of_run) = (frame.run, 0);
            (self.first_of_run, self.last_of_run) = (sequence, sequence);
        }
        self.first_of_run = self.first_of_run.min(sequence);
        self.last_of_run = self.last_of_run.max(sequence);
        self.frames_of_run += 1;
        let numbered = (self.last_of_run - self.first_of_run).saturating_add(1);
        self.view.frames_missing = numbered.saturating_sub(self.frames_of_run);
        self.view.frames += 1;
    }

    /// Returns what others want to know of the host.
    fn seen(&self) -> HostSeen {
        let view = &self.view;
        HostSeen {
            host: view.host.clone(),
            os: view.os.clone(),
            kernel: view.kernel.clone(),
            version: view.version.clone(),
            token: view.token.clone(),
            address: view.address.clone(),
            plugin_intervals_ms: view.plugin_intervals_ms.clone(),
            labels: view.labels.clone(),
        }
    }
}

/// Tells whether a frame holds more than results and what the server added.
fn is_reading(frame: &Frame) -> bool {
    frame.batch.samples.iter().any(|sample| sample.labels.name() != super::CLOCK_OFFSET)
}

/// Returns the labels that a reading gives its host; those that an agent may not give are left out.
fn host_labels(frame: &Frame) -> BTreeMap<String, String> {
    let mut told = frame.batch.samples.iter().filter(|s| s.labels.name() == HOST_LABELS);
    let labels = told.next_back().into_iter().flat_map(|sample| sample.labels.iter());
    labels
        // The agent refuses these at its start; another program may send what it likes.
        .filter(|(name, value)| host_label::fault(name, value).is_none())
        .take(HOST_LABELS_MAX)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
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
