//! Decides who is told what, when, how often, and tells them.
//!
//! In reading order: `config` (what is configured), `stage` (the list of stages that decides),
//! `fold`, `desk`, `digest` and `pipeline` (which carry events through it), `sender`, `smtp`,
//! `picture` and `message` (which bring the word to people), `book` (what is kept). `README.md`
//! has the stages, the records and what a kill can do.
//!
//! ```
//! use std::sync::Arc;
//!
//! use noroshi_alerts::{Alerts, Config, Deps};
//! use noroshi_model::seam::{ManualClock, MemoryRecords};
//! use noroshi_model::{
//!     CheckId, Clock, Event, EventBody, RecordBatch, Records, Space, Timestamp,
//! };
//! use tokio_util::sync::CancellationToken;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! let records: Arc<dyn Records> = Arc::new(MemoryRecords::new());
//! let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
//! let series = Arc::new(noroshi_expr::MemorySeries::new());
//! let (newest, events) = tokio::sync::watch::channel(0);
//! let deps = Deps { clock: Arc::clone(&clock), records: Arc::clone(&records), series, events };
//! let alerts = Alerts::new(deps).unwrap();
//! alerts.apply(Config::default()).unwrap();
//! let stop = CancellationToken::new();
//! let running = tokio::spawn(Arc::clone(&alerts).run(stop.clone()));
//!
//! // `checks` logs an event and says so.
//! let id = CheckId::check("web1", "http");
//! let body = EventBody::Commented { author: "ann".to_owned(), comment: "odd".to_owned() };
//! let event = Event { sequence: 1, at: clock.now(), id: id.clone(), body };
//! let mut batch = RecordBatch::new();
//! batch.put(Space::Events, Event::key(1), event.to_record());
//! records.commit(batch).unwrap();
//! newest.send(1).unwrap();
//!
//! // It is decided, and the trace says why nobody was told.
//! while alerts.stats().events_behind > 0 {
//!     tokio::task::yield_now().await;
//! }
//! let trace = &alerts.why(&id, None, 1).unwrap()[0];
//! assert_eq!(trace.steps[0].reason, "nobody is told of this kind of event");
//! stop.cancel();
//! running.await.unwrap();
//! # });
//! ```

mod alerts;
mod book;
mod config;
mod counters;
mod desk;
mod digest;
#[cfg(test)]
mod fixture;
mod fold;
mod message;
mod picture;
mod pipeline;
mod sender;
mod smtp;
mod stage;
mod view;

pub use alerts::{Alerts, Deps, TestError};
pub use book::StateError;
pub use config::{
    Applied, Config, ConfigError, Contact, Secret, Security, Smtp, StatusFilter, check,
};
pub use view::{
    Channel, ContactTrace, NotificationKind, NotificationState, NotificationView, Stats, Step,
    Trace,
};
