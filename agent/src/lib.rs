//! The small program on each host: reads `/proc` and `/sys` and ships what it read.
//!
//! * [`sources`] reads; the server uses it in its own process to watch the machine it runs on.
//! * [`graphs`] says which graphs a host gets from that.
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

pub use graphs::graphs;
