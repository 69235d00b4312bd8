//! The small program on each host: reads `/proc` and `/sys` and ships what it read.
//!
//! * [`sources`] reads; the server uses it in its own process to watch the machine it runs on.
//! * [`graphs`] says which graphs a host gets from that.
//! * `plugins` (of the feature `ship`) runs the plug-ins that the host's own config names.
//! * `ship` (a feature, on by default) brings readings to the server; `cli` and `config` say which
//!   and how. `PROTOCOL.md` draws what goes over the wire.
//!
//! ```
//! use noroshi_agent::sources::{Reader, Roots};
//! use noroshi_model::Timestamp;
//!
//! let mut reader = Reader::new(Roots::default());
//! let batch = reader.read(Timestamp::from_secs(1_700_000_000));
//! let time = batch.samples.iter().find(|sample| sample.labels.name() == "node_time_seconds");
//! assert_eq!(time.map(|sample| sample.value), Some(1_700_000_000.0));
//! ```

pub mod graphs;
pub mod sources;

#[cfg(feature = "ship")]
pub mod cli;
#[cfg(feature = "ship")]
pub mod config;
#[cfg(feature = "ship")]
mod identity;
#[cfg(feature = "ship")]
mod labels;
#[cfg(feature = "ship")]
pub mod plugins;
#[cfg(feature = "ship")]
mod print;
#[cfg(feature = "ship")]
pub mod ship;

pub use graphs::graphs;
