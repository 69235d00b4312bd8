//! Decides when to look, looks, and judges what was seen.

mod action;
mod period;
mod probe;
mod spec;
mod view;

pub use action::{Acknowledge, ActionError, Downtime, PassiveResult};
pub use period::PeriodSpec;
pub use probe::{
    Compare, DnsProbe, ExpressionProbe, HttpProbe, IcmpProbe, Judge, Missing, NtpProbe,
    PassiveProbe, PluginProbe, Probe, Protocol, TcpProbe, Threshold, TlsProbe,
};
pub use spec::{CheckSpec, FlappingSpec, HandlerAction, HandlerSpec, HostSpec, Site, Timing};
pub use view::{
    AcknowledgementView, CheckCounts, CheckView, CommentView, Counts, DowntimeView, HostCounts,
    HostView,
};
