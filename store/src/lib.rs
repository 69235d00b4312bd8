//! Round-robin series and small durable records.
//!
//! A [`Store`] keeps series in archives of known size: full-resolution samples in the first, rows
//! with minimum, maximum, sum, count, last and increase in the coarser ones. What it acknowledges
//! is in its journal and survives a kill; see `FORMAT.md` for every byte on disk.

mod backup;
mod block;
mod catalogue;
mod checkpoint;
mod codec;
mod config;
mod engine;
mod engine_sled;
mod entry;
mod export;
mod fetch;
mod fold;
mod head;
mod import;
mod index;
mod inner;
mod journal;
mod keeper;
mod open;
mod records;
mod repair;
mod ring;
mod rrd;
mod seal;
mod segment;
mod select;
mod series_log;
mod stats;
mod store;
mod table;
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
