//! Decides when to look, looks, and judges what was seen.
//!
//! [`Checks`] is the whole: it takes a [`Site`] (hosts and checks as configured), runs what is due,
//! lets the state machine judge each result, and writes state and events in one commit. What it
//! holds is shown as [`HostView`] and [`CheckView`]. The transitions stand in `STATES.md`.
//!
//! Reading order: [`spec`](Site) what is configured; `state` and `step` the state machine (pure);
//! `board` every check with its state; `schedule` when each is due (pure); `run` and `probe` how
//! they look; [`plugin`] how Nagios plug-ins are run and understood; `writer` the one task that
//! commits; `record` and `log` the written forms.

mod action;
mod board;
mod checks;
mod flapping;
mod handler;
#[cfg(test)]
mod harness;
mod log;
mod macros;
mod mark;
mod period;
pub mod plugin;
mod probe;
mod record;
mod run;
mod schedule;
mod spec;
mod state;
mod step;
mod view;
mod writer;

pub use action::{Acknowledge, ActionError, Downtime, PassiveResult, TEXT_BYTES_MAX};
pub use board::Applied;
pub use checks::{Checks, Deps};
pub use period::PeriodSpec;
pub use probe::{
    Compare, DnsProbe, ExpressionProbe, HttpProbe, IcmpProbe, Judge, Missing, NtpProbe,
    PassiveProbe, PluginProbe, Probe, Protocol, TcpProbe, Threshold, TlsProbe,
};
pub use record::StateError;
pub use spec::{CheckSpec, FlappingSpec, HandlerAction, HandlerSpec, HostSpec, Site, Timing};
pub use view::{
    AcknowledgementView, CheckCounts, CheckView, CommentView, Counts, DowntimeView, HostCounts,
    HostView,
};
