//! Takes what agents send: `agent/PROTOCOL.md` from the server's side.

mod agents;
mod plugins;
mod unpack;

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::join_all;
use noroshi_model::frame::{self, Frame};
use noroshi_model::seam::Accepted;
use noroshi_model::{Clock, Kind, Labels, MetricMeta, Refused, Sample, Sink, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{broadcast, mpsc};

use agents::Agents;
use plugins::Plugins;
use unpack::{Read, Unpacker};

pub use agents::{AgentView, HostSeen};
pub use plugins::{HostResults, Looks};

/// How many sightings wait for whoever listens. Full: the oldest is dropped; who listens is told so
/// and finds the host among [`Ingest::all_hosts`].
const SEEN_QUEUE: usize = 1024;

/// Bodies up to this size, in bytes, are unpacked where they arrive; larger ones elsewhere, so that
/// a spool of hours does not hold up the others.
const INLINE_BYTES_MAX: usize = 32 << 10;

/// Who sends, as the server knows it from the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentIdentity {
    /// The name of the token.
    pub token: String,
    /// The address that the request came from; empty when not known.
    pub address: String,
    /// Which list of looks it says that it has; empty: none.
    pub looks_version: String,
}

/// What is taken from agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest body in bytes, compressed.
    pub body_bytes_max: usize,
    /// Largest body in bytes, decompressed.
    pub decoded_bytes_max: usize,
    /// Most samples of one frame.
    pub samples_max: usize,
    /// Most series of one host in one frame.
    pub series_max: usize,
    /// Most results of plug-ins in one frame.
    pub results_max: usize,
    /// Most hosts that are remembered.
    pub hosts_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: frame::BODY_BYTES_MAX,
            decoded_bytes_max: frame::DECODED_BYTES_MAX,
            samples_max: 200_000,
            series_max: 50_000,
            results_max: 1000,
            hosts_max: 20_000,
        }
    }
}

/// What became of a body's samples; the answer to the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Samples that are durable.
    pub accepted: usize,
    /// Samples older than is kept.
    pub too_old: usize,
    /// Samples too far in the future.
    pub in_future: usize,
    /// Samples of series for which there is no room.
    pub over_budget: usize,
    /// Names of plug-ins of the agent's config that it is asked to run at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub run: Vec<String>,
    /// What the agent is to look at, when that is other than what it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks: Option<Arc<Looks>>,
}

impl Receipt {
    fn add(&mut self, taken: Accepted) {
        self.accepted += taken.stored;
        self.too_old += taken.too_old;
        self.in_future += taken.in_future;
        self.over_budget += taken.over_budget;
    }
}

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Answer 413.
    #[error("a body of {bytes} bytes or more is larger than the {bytes_max} that are taken")]
    TooLarge {
        /// How much there is at least.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// Answer 400: it does not decompress.
    #[error("the frames cannot be decompressed")]
    Compression(#[source] std::io::Error),
    /// Answer 400.
    #[error("the frames cannot be read")]
    Frame(#[source] frame::FrameError),
    /// Answer 422: a name that cannot be a host's.
    #[error(
        "{name:?} is no name of a host: it is longer than 253 characters, or holds a slash or a control character"
    )]
    HostName {
        /// The name, cut.
        name: String,
    },
    /// Answer 413: one host sends more than it may.
    #[error("host {host} sends {count} {what} at once; {count_max} are taken")]
    TooMany {
        /// The host.
        host: String,
        /// `samples`, `series` or `results`.
        what: &'static str,
        /// How many it sends.
        count: usize,
        /// The bound.
        count_max: usize,
    },
    /// Answer 409: two machines use one name.
    #[error(
        "host {host} is another machine ({machine_id}), which reported within ten minutes; give one of the two another name"
    )]
    HostTaken {
        /// The host.
        host: String,
        /// The machine that has the name.
        machine_id: String,
    },
    /// Answer 429.
    #[error("{hosts_max} hosts are known; no more are taken")]
    TooManyHosts {
        /// The bound.
        hosts_max: usize,
    },
    /// Answer 503: the store does not take samples now.
    #[error("the samples cannot be stored")]
    Refused(#[source] Refused),
}

impl IngestError {
    /// Returns the stable name: log field and the answer's `kind`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Compression(_) => "compression",
            Self::Frame(_) => "frame",
            Self::HostName { .. } => "host_name",
            Self::TooMany { .. } => "too_many",
            Self::HostTaken { .. } => "host_taken",
            Self::TooManyHosts { .. } => "too_many_hosts",
            Self::Refused(refused) => refused.as_str(),
        }
    }

    /// Returns the HTTP status that `agent/PROTOCOL.md` gives it.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::TooLarge { .. } | Self::TooMany { .. } => 413,
            Self::Compression(_) | Self::Frame(_) => 400,
            Self::HostName { .. } => 422,
            Self::HostTaken { .. } => 409,
            Self::TooManyHosts { .. } => 429,
            Self::Refused(_) => 503,
        }
    }
}

/// Takes agents' frames.
pub struct Ingest {
    clock: Arc<dyn Clock>,
    sink: Arc<dyn Sink>,
    limits: Limits,
    agents: Mutex<Agents>,
    unpacker: Arc<Unpacker>,
    seen: broadcast::Sender<HostSeen>,
    plugins: Plugins,
}

impl Ingest {
    /// Makes an ingest with the usual limits.
    pub fn new(clock: Arc<dyn Clock>, sink: Arc<dyn Sink>) -> Arc<Self> {
        Self::with_limits(clock, sink, Limits::default())
    }

    /// Makes an ingest with other limits.
    pub fn with_limits(clock: Arc<dyn Clock>, sink: Arc<dyn Sink>, limits: Limits) -> Arc<Self> {
        let (seen, _) = broadcast::channel(SEEN_QUEUE);
        let agents = Mutex::new(Agents::new(limits.hosts_max));
        let (plugins, unpacker) = (Plugins::default(), Unpacker::new(limits.decoded_bytes_max));
        let unpacker = Arc::new(unpacker);
        Arc::new(Self { clock, sink, limits, agents, unpacker, seen, plugins })
    }

    /// Keeps a name for the server itself: frames of a host of that name are refused.
    ///
    /// For the machine that the server watches in its own process; many an image is called
    /// `localhost` as it is.
    pub fn reserve(&self, host: &str) {
        self.agents.lock().reserve(host);
    }

    /// Takes the body of one request.
    ///
    /// Ready when all frames are durable; series get `instance` (the frame's host) and
    /// `job="node"`. Errors: [`IngestError`]; frames before the one that failed are stored, and
    /// the agent may send them again without harm. Cancel: as an error.
    pub async fn accept(&self, agent: &AgentIdentity, body: &[u8]) -> Result<Receipt, IngestError> {
        let received_at = self.clock.now();
        let (bytes, bytes_max) = (body.len(), self.limits.body_bytes_max);
        if bytes > bytes_max {
            return Err(IngestError::TooLarge { bytes, bytes_max });
        }
        let (sent_at, frames) = self.unpack(body).await?;
        let offset_ms = received_at.as_millis().saturating_sub(sent_at.as_millis());
        let mut submitted = Vec::with_capacity(frames.len());
        let mut results = Vec::with_capacity(frames.len());
        let (mut failed, mut asked_of) = (None, None);
        let last = frames.len().saturating_sub(1);
        for (index, mut read) in frames.into_iter().enumerate() {
            if let Err(error) = self.note(agent, &read, (received_at, offset_ms)) {
                failed = Some(error);
                break;
            }
            if index == last {
                add_offset(&mut read.frame, received_at, offset_ms);
            }
            // All are made durable together, in their order.
            submitted.push(self.sink.submit(read.frame.batch));
            results.push((read.frame.host.name, read.frame.results));
        }
        let mut receipt = Receipt::default();
        for (taken, (host, results)) in join_all(submitted).await.into_iter().zip(results) {
            receipt.add(taken.map_err(IngestError::Refused)?);
            self.plugins.deliver(&host, results).await;
            asked_of = Some(host);
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if let Some(host) = asked_of {
            receipt.run = self.plugins.take_asked(&host);
            receipt.looks = self.plugins.looks(&host, &agent.looks_version);
        }
        Ok(receipt)
    }

    /// Checks a frame and takes note of its host.
    fn note(
        &self,
        agent: &AgentIdentity,
        read: &Read,
        (received_at, offset_ms): (Timestamp, i64),
    ) -> Result<(), IngestError> {
        self.check(read)?;
        let seen = self.agents.lock().note(agent, read, (received_at, offset_ms))?;
        if let Some(seen) = seen
            && self.seen.send(seen).is_err()
        {
            tracing::debug!("nobody wants to know which hosts report");
        }
        Ok(())
    }

    /// Returns the results of plug-ins that agents run, from now on; the last caller gets them.
    ///
    /// A body is acknowledged when the receiver has said of each that it is done.
    pub fn results(&self) -> mpsc::Receiver<HostResults> {
        self.plugins.results()
    }

    /// Asks the agent of `host` for a run of the plug-in `plugin`, in the answer to what it sends
    /// next. It runs what its own config names so, and nothing else.
    pub fn ask(&self, host: &str, plugin: &str) {
        self.plugins.ask(host, plugin);
    }

    /// Says what the agents of hosts are to look at: all that there is, by host. They are told
    /// with the answers to what they send next.
    pub fn set_looks(&self, looks: HashMap<String, Looks>) {
        self.plugins.set_looks(looks);
    }

    /// Returns the agents that have reported since the start, ordered by host.
    pub fn agents(&self) -> Vec<AgentView> {
        self.agents.lock().views()
    }

    /// Returns the agent of one host; `None` when it has not reported since the start.
    pub fn agent(&self, host: &str) -> Option<AgentView> {
        self.agents.lock().view(host)
    }

    /// Returns all hosts that have reported since the start, by name: for who missed some of
    /// [`Ingest::hosts_seen`].
    pub fn all_hosts(&self) -> Vec<HostSeen> {
        self.agents.lock().all_seen()
    }

    /// Tells of each host that reports for the first time since the start, or otherwise than
    /// before (address, system, version).
    pub fn hosts_seen(&self) -> broadcast::Receiver<HostSeen> {
        self.seen.subscribe()
    }

    async fn unpack(&self, body: &[u8]) -> Result<(Timestamp, Vec<Read>), IngestError> {
        let body = frame::decode_body(body).map_err(IngestError::Frame)?;
        let frames = if body.compressed.len() <= INLINE_BYTES_MAX {
            self.unpacker.unpack(body.compressed)?
        } else {
            let compressed = body.compressed.to_vec();
            let unpacker = Arc::clone(&self.unpacker);
            let work = tokio::task::spawn_blocking(move || unpacker.unpack(&compressed));
            let broken = |error| IngestError::Compression(std::io::Error::other(error));
            work.await.map_err(broken)??
        };
        Ok((body.sent_at, frames))
    }

    fn check(&self, Read { frame, series }: &Read) -> Result<(), IngestError> {
        let name = &frame.host.name;
        let is_odd = |c: char| c == '/' || c.is_control();
        if name.is_empty() || name.len() > HOST_NAME_MAX || name.contains(is_odd) {
            return Err(IngestError::HostName { name: name.chars().take(80).collect() });
        }
        let too_many = |what, count, count_max| {
            let host = name.clone();
            Err(IngestError::TooMany { host, what, count, count_max })
        };
        let samples = frame.batch.samples.len();
        if samples > self.limits.samples_max {
            return too_many("samples", samples, self.limits.samples_max);
        }
        let results = frame.results.len();
        if results > self.limits.results_max {
            return too_many("results", results, self.limits.results_max);
        }
        if *series > self.limits.series_max {
            return too_many("series", *series, self.limits.series_max);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ingest({:?})", self.limits)
    }
}

/// Longest name of a host in bytes, as in DNS (RFC 1035, 2.3.4).
const HOST_NAME_MAX: usize = 253;

/// The series that says how far an agent's clock is off.
pub(crate) const CLOCK_OFFSET: &str = "noroshi_agent_clock_offset_seconds";

/// Adds how far the host's clock is off: the server's time less the agent's, the way included.
fn add_offset(frame: &mut Frame, at: Timestamp, offset_ms: i64) {
    let pairs = [("__name__", CLOCK_OFFSET), ("instance", &frame.host.name), ("job", "node")];
    let value = offset_ms as f64 / 1000.0;
    frame.batch.samples.push(Sample { labels: Labels::new(pairs), at, value });
    frame.batch.metas.push(MetricMeta {
        name: CLOCK_OFFSET.to_owned(),
        kind: Kind::Gauge,
        unit: "seconds".to_owned(),
        help: "The server's time less the host's, the time on the way included.".to_owned(),
    });
}

#[cfg(test)]
mod tests;
