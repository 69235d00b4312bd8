//! Round-robin series and small durable records.
//!
//! A [`Store`] keeps series in archives of known size: full-resolution samples in the first, rows
//! with minimum, maximum, sum, count, last and increase in the coarser ones. What it acknowledges
//! is in its journal and survives a kill; see `FORMAT.md` for every byte on disk.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use noroshi_model::seam::{ManualClock, Segment};
//! use noroshi_model::{Batch, Labels, Matcher, Sample, Select, SeriesSource, Timestamp};
//! use noroshi_store::{Store, StoreConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let now = Timestamp::from_secs(1_790_000_000);
//! let clock = Arc::new(ManualClock::new(now));
//! let (store, recovery) = Store::open(folder.path(), StoreConfig::default(), clock)?;
//! assert!(recovery.is_new);
//!
//! let labels = Labels::new([("__name__", "node_load1"), ("instance", "web1")]);
//! let sample = Sample { labels, at: now, value: 0.42 };
//! store.submit_blocking(Batch { samples: vec![sample], ..Batch::new() })?;
//!
//! let answer = store.select(&Select {
//!     matchers: vec![Matcher::equal("instance", "web1")],
//!     after: now - Duration::from_secs(60),
//!     until: now,
//!     step: Duration::ZERO,
//!     window: Duration::ZERO,
//!     samples_max: 1000,
//! })?;
//! assert!(matches!(&answer[0].segments[0], Segment::Raw(raw) if raw.value == [0.42]));
//! store.close();
//! # Ok(())
//! # }
//! ```

mod backup;
mod block;
mod catalogue;
mod checkpoint;
mod codec;
mod config;
#[cfg(test)]
mod crash;
mod disk;
mod engine;
mod engine_sled;
mod entry;
mod export;
mod fetch;
mod find;
mod finder;
mod fold;
mod head;
mod import;
mod index;
mod inner;
mod journal;
mod keeper;
mod kept;
mod open;
mod quiet;
mod rebuild;
mod records;
mod repair;
mod rest;
mod restarts;
mod ring;
mod rrd;
mod save;
mod seal;
mod segment;
mod select;
mod series_log;
mod stats;
mod store;
mod table;
mod tail;
#[cfg(any(test, feature = "fuzzing"))]
mod untrusted;
mod writer;

pub use backup::{BackupError, BackupReport, restore};
pub use config::{
    ArchiveSpec, ConfigError, DEFAULT_ARCHIVES, Plan, PlannedArchive, RetentionClass, StoreConfig,
    plan,
};
pub use export::{TransferError, TransferReport};
pub use open::{OpenError, Recovery};
pub use rrd::RrdError;
pub use stats::{RingStats, StoreStats};
pub use store::Store;
#[cfg(feature = "fuzzing")]
pub use untrusted::{block, checkpoint, export_line, journal, rrd};
