//! Reads at each step and brings what was read to the server.
//!
//! Three tasks: `plugins` runs what the config names, [`measure`] reads and packs, [`deliver`] owns the queue and the connection. Between
//! them is a short channel; what the server does not take waits in the [`queue`], in memory and,
//! when a folder is given, on disk in the [`spool`]. The protocol is in `agent/PROTOCOL.md`.

pub(crate) mod backoff;
pub(crate) mod client;
pub(crate) mod counters;
pub(crate) mod deliver;
pub(crate) mod measure;
pub(crate) mod pack;
pub(crate) mod queue;
pub(crate) mod spool;
pub(crate) mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::Clock;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::plugins::{self, PluginSpec};
use crate::sources::Roots;
use client::{Client, ClientError};
use counters::Counters;
use deliver::Delivery;
use measure::Measuring;
use queue::Queue;
use spool::{Spool, SpoolError};

/// Packed frames on their way from reading to delivery: 4. Delivery takes them in at once, into the
/// bounded queue; when it cannot, reading waits.
const FRAMES_IN_CHANNEL: usize = 4;

/// Results of plug-ins on their way into a frame: 64. When they are not taken, the plug-ins wait.
const RESULTS_IN_CHANNEL: usize = 64;

/// Requests of the server for plug-ins: 8. More than that the server asks again.
const ASKED_IN_CHANNEL: usize = 8;

/// What the agent was told to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's address, `https://HOST:PORT`, with a path in front when a proxy wants one.
    pub server: String,
    /// The file with the token, alone on its first line.
    pub token_file: PathBuf,
    /// Further certificate authorities to trust, PEM.
    pub ca: Option<PathBuf>,
    /// Time from reading to reading.
    pub step: Duration,
    /// The host's name; `None`: what the kernel says.
    pub host: Option<String>,
    /// The address to be known by; `None`: the one the server sees.
    pub address: Option<String>,
    /// Where readings wait on disk; `None`: only in memory.
    pub spool: Option<PathBuf>,
    /// Most bytes that wait on disk.
    pub spool_bytes_max: u64,
    /// Where to read.
    pub roots: Roots,
    /// The folders in which the server may ask for files; it may ask for processes and ports.
    pub folders: Vec<PathBuf>,
    /// Labels of the host, for the server's groups, rules and routes.
    pub labels: BTreeMap<String, String>,
    /// What to run besides.
    pub plugins: Vec<PluginSpec>,
}

/// Why the agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Server, token or certificates.
    #[error("cannot send to the server")]
    Client(#[source] ClientError),
    /// The folder for unsent readings.
    #[error("cannot keep unsent readings")]
    Spool(#[source] SpoolError),
}

/// Runs until `stop`: reads, sends, and puts what is unsent into the spool at the end.
///
/// Ends within a second after `stop`. Errors: [`StartError`], at once; later failures are logged
/// and counted, and never end it.
pub async fn run(
    settings: Settings,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let counters = Arc::new(Counters::default());
    let client = Client::new(&settings).map_err(StartError::Client)?;
    let spool = match &settings.spool {
        Some(folder) => {
            let spool = Spool::open(folder, settings.spool_bytes_max);
            Some(spool.map_err(StartError::Spool)?)
        }
        None => None,
    };
    let queue = Queue::new(spool, Arc::clone(&counters));
    tracing::info!(
        server = %settings.server,
        step = %noroshi_model::quantity::format_duration(settings.step),
        waiting_frames = queue.frames(),
        "agent started",
    );
    let (frames, arriving) = mpsc::channel(FRAMES_IN_CHANNEL);
    let (results, found) = mpsc::channel(RESULTS_IN_CHANNEL);
    let (ask, asked) = mpsc::channel(ASKED_IN_CHANNEL);
    let measuring = Measuring::new(&settings, Arc::clone(&clock), Arc::clone(&counters));
    let work =
        plugins::Work { results, clock: Arc::clone(&clock), folders: settings.folders.into() };
    let plugins = plugins::run(settings.plugins, work, asked, stop.clone());
    let delivery = Delivery::new(client, queue, clock, counters, ask);
    // When `stop` ends the reading, its end of the channel closes, and that ends the delivery.
    tokio::join!(measuring.run(frames, found, stop), delivery.run(arriving), plugins);
    Ok(())
}
