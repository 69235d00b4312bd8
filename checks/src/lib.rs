//! Decides when to look, looks, and judges what was seen.
//!
//! [`Checks`] is the whole: it takes a [`Site`] (hosts and checks as configured), runs what is due,
//! lets the state machine judge each result, and writes state and events in one commit. What it
//! holds is shown as [`HostView`] and [`CheckView`]. The transitions stand in `STATES.md`.
//!
//! ```
//! # use noroshi_model::seam::{Accepted, BoxFuture, ManualClock, MemoryRecords};
//! # use noroshi_model::*;
//! # struct Nothing;
//! # impl SeriesSource for Nothing {
//! #     fn select(&self, _: &Select) -> Result<Vec<SeriesData>, SelectError> { Ok(vec![]) }
//! #     fn series(&self, _: &[Matcher], _: Timestamp, _: Timestamp, _: usize)
//! #         -> Result<Vec<Labels>, SelectError> { Ok(vec![]) }
//! #     fn label_names(&self, _: &[Matcher], _: usize) -> Result<Vec<String>, SelectError> {
//! #         Ok(vec![])
//! #     }
//! #     fn label_values(&self, _: &str, _: &[Matcher], _: usize)
//! #         -> Result<Vec<String>, SelectError> { Ok(vec![]) }
//! #     fn metadata(&self, _: Option<&str>) -> Result<Vec<MetricMeta>, SelectError> {
//! #         Ok(vec![])
//! #     }
//! #     fn last_seen(&self, _: &[Matcher]) -> Result<Option<Timestamp>, SelectError> { Ok(None) }
//! # }
//! # impl Sink for Nothing {
//! #     fn submit(&self, _: Batch) -> BoxFuture<'_, Result<Accepted, Refused>> {
//! #         Box::pin(async { Ok(Accepted::default()) })
//! #     }
//! # }
//! use std::sync::Arc;
//!
//! use noroshi_checks::{CheckSpec, Checks, Deps, HostSpec, PluginProbe, Probe, Site};
//! use tokio_util::sync::CancellationToken;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let checks = Checks::new(Deps {
//!     clock: Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000))),
//!     records: Arc::new(MemoryRecords::new()),
//!     series: Arc::new(Nothing),
//!     sink: Arc::new(Nothing),
//! })?;
//! let argv = vec!["/bin/echo".to_owned(), "$HOSTNAME$ is fine | load=0.5".to_owned()];
//! let probe = Probe::Plugin(PluginProbe { argv, ..PluginProbe::default() });
//! let id = CheckId::check("web1", "echo");
//! let applied = checks.apply(Site {
//!     hosts: vec![HostSpec::new("web1", "192.0.2.7")],
//!     checks: vec![CheckSpec::new(id.clone(), probe)],
//!     ..Site::default()
//! });
//! assert_eq!(applied.added, 2);
//!
//! let stop = CancellationToken::new();
//! let mut updates = checks.updates();
//! let running = tokio::spawn(Arc::clone(&checks).run(stop.clone()));
//! checks.recheck(&id).await?;
//! while checks.check(&id).is_some_and(|view| view.status.is_none()) {
//!     updates.recv().await?;
//! }
//! let view = checks.check(&id).expect("it was applied");
//! assert_eq!((view.status, view.output.as_str()), (Some(Status::Ok), "web1 is fine"));
//! assert_eq!(view.perfdata[0].value, Some(0.5));
//! stop.cancel();
//! running.await?;
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: [`spec`](Site) what is configured; `state` and `step` the state machine (pure);
//! `board` every check with its state; `schedule` when each is due (pure); `run` and `probe` how
//! they look; [`plugin`] how Nagios plug-ins are run and understood; `writer` the one task that
//! commits; `record` and `log` the written forms.
//!
//! Without the feature `server` there are only [`plugin`] and [`on_host`]: what an agent does, too.

#[cfg(feature = "server")]
mod action;
#[cfg(feature = "server")]
mod availability;
#[cfg(feature = "server")]
mod board;
#[cfg(feature = "server")]
mod checks;
#[cfg(feature = "server")]
mod class;
#[cfg(feature = "server")]
mod command;
#[cfg(feature = "server")]
#[cfg(test)]
mod day;
#[cfg(feature = "server")]
mod flapping;
#[cfg(feature = "server")]
mod graphs;
#[cfg(feature = "server")]
mod handed;
#[cfg(feature = "server")]
mod handler;
#[cfg(feature = "server")]
#[cfg(test)]
mod harness;
#[cfg(feature = "server")]
mod log;
#[cfg(feature = "server")]
mod macros;
#[cfg(feature = "server")]
mod mark;
pub mod on_host;
#[cfg(feature = "server")]
mod period;
pub mod plugin;
#[cfg(feature = "server")]
mod probe;
#[cfg(feature = "server")]
mod record;
#[cfg(feature = "server")]
mod run;
#[cfg(feature = "server")]
mod runs;
#[cfg(feature = "server")]
mod samples;
#[cfg(feature = "server")]
mod schedule;
#[cfg(feature = "server")]
#[cfg(test)]
mod simulation;
#[cfg(feature = "server")]
mod spec;
#[cfg(feature = "server")]
mod state;
#[cfg(feature = "server")]
mod stats;
#[cfg(feature = "server")]
mod step;
#[cfg(feature = "server")]
mod view;
#[cfg(feature = "server")]
mod writer;

#[cfg(feature = "server")]
pub use action::{Acknowledge, ActionError, Downtime, Heartbeat, PassiveResult, TEXT_BYTES_MAX};
#[cfg(feature = "server")]
pub use availability::{Availability, AvailabilityOf, AvailabilityReport, Together};
#[cfg(feature = "server")]
pub use board::Applied;
#[cfg(feature = "server")]
pub use checks::{Checks, Deps};
#[cfg(feature = "server")]
pub use command::{Command, CommandError, Which, serve_commands};
#[cfg(feature = "server")]
pub use graphs::graphs;
#[cfg(feature = "server")]
pub use handed::{
    Complaint, Fate, HandedIn, Network, NetworkError, NscaMethod, NscaSpec, ResultFilesSpec, Road,
    serve_nsca, serve_result_files,
};
#[cfg(feature = "server")]
pub use macros::{is_macro, read_by_shell};
#[cfg(feature = "server")]
pub use period::PeriodSpec;
#[cfg(feature = "server")]
pub use probe::{
    AgentProbe, ClusterLimit, ClusterProbe, ClusterSelect, Compare, DnsProbe, ExpressionProbe,
    Family, HttpProbe, IcmpProbe, JsonWish, Judge, Missing, NrpeCertificates, NrpeProbe, NrpeTls,
    NrpeVersion, NtpProbe, PassiveProbe, PluginProbe, Probe, Protocol, Secret, Security, TcpProbe,
    Threshold, TlsProbe,
};
#[cfg(feature = "server")]
pub use record::StateError;
#[cfg(feature = "server")]
pub use spec::{
    CheckSpec, CheckTerms, FlappingSpec, HandlerAction, HandlerSpec, HistorySpec, HostSpec, Site,
    Timing,
};
#[cfg(feature = "server")]
pub use stats::{LastRuns, Spread, Stats};
#[cfg(feature = "server")]
pub use view::{
    AcknowledgementView, CheckCounts, CheckView, CommentView, Counts, DowntimeView, HostCounts,
    HostRow, HostState, HostView,
};
