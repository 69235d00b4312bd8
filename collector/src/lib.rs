//! Polls and takes in: one folder a service; agents' ingest; push protocols.
//!
//! * [`Collector`] runs the polls of a site, each on its own clock, and gives what they find to a
//!   [`noroshi_model::Sink`];
//! * [`registry`] lists the pollers with their metrics, graphs and checks;
//! * [`Ingest`] takes what agents send;
//! * [`prometheus::remote_write`] reads what Prometheus sends.
//!
//! `README.md` says how a poller is added.
//!
//! ```
//! use noroshi_collector::{PollTargets, registry};
//!
//! let targets: PollTargets = serde_json::from_str(
//!     r#"{"nginx": {"url": "http://192.0.2.10/stub_status", "interval": "10s"}}"#,
//! )?;
//! let specs = targets.specs("web1");
//! assert_eq!((specs[0].instance.as_str(), specs[0].target.kind()), ("web1", "nginx"));
//! assert!(registry().iter().any(|poller| poller.kind == "nginx"));
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod apache;
mod collector;
mod config;
mod http;
mod ingest;
pub mod memcached;
pub mod nginx;
mod poll;
pub mod prometheus;
mod reading;
mod registry;
mod schedule;

pub use collector::{Applied, Collector, PollStatus};
pub use config::{Password, PollTargets};
pub use ingest::{
    AgentIdentity, AgentView, HostResults, HostSeen, Ingest, IngestError, Limits, Looks, Receipt,
};
pub use poll::{PollFailure, PollSpec, Target, poll_once};
pub use registry::{DefaultCheck, PollerInfo, registry};
