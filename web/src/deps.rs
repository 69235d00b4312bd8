//! What the server is given.

use std::sync::Arc;

use noroshi_alerts::Alerts;
use noroshi_checks::Checks;
use noroshi_collector::{Collector, Ingest};
use noroshi_model::{Clock, GraphTemplate, Records, SeriesSource, Sink, Timestamp};
use noroshi_store::Store;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::configuration::Configuration;

/// The rooms that the pages show, and what the server must know about itself.
pub struct WebDeps {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// People and sessions.
    pub records: Arc<dyn Records>,
    /// The series that queries read.
    pub series: Arc<dyn SeriesSource>,
    /// Where remote write goes.
    pub sink: Arc<dyn Sink>,
    /// Hosts and checks.
    pub checks: Arc<Checks>,
    /// Who was told what.
    pub alerts: Arc<Alerts>,
    /// What is polled.
    pub collector: Arc<Collector>,
    /// Where agents' frames go.
    pub ingest: Arc<Ingest>,
    /// For figures about it; it is read and written through the seams above.
    pub store: Arc<Store>,
    /// The graphs that hosts show, of all kinds of series.
    pub graphs: Vec<GraphTemplate>,
    /// The server's own state.
    pub status: watch::Receiver<SiteStatus>,
    /// Where hosts come from, and those that people add.
    pub configuration: Arc<dyn Configuration>,
    /// Asks for the config to be read again. A full queue means that it is about to be.
    pub reload: mpsc::Sender<()>,
    /// Whether browsers reach the server by HTTPS: the cookie is then sent by HTTPS only.
    pub is_secure: bool,
}

/// What the server knows about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteStatus {
    /// The config in use.
    pub config: ConfigStatus,
    /// When the server started.
    pub started_at: Timestamp,
    /// The program's version.
    pub version: String,
}

/// The config in use, and what is wrong with the one that is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConfigStatus {
    /// The file or folder; `None` for the built-in config.
    pub path: Option<String>,
    /// When it was last taken into use.
    pub loaded_at: Timestamp,
    /// Why the last reload changed nothing, one error each; empty when it went well.
    pub errors: Vec<String>,
    /// What is in force otherwise than somebody may think: added hosts that were left out at the
    /// start because of faults, or that a file of the configuration overrides.
    pub notes: Vec<String>,
}
