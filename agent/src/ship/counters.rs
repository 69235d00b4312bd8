//! What the agent counts about itself, sent with each reading.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sources::{Metric, Output};

/// Counts since the start; shared by reading and delivery.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    sent_frames: AtomicU64,
    sent_bytes: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    failures: [AtomicU64; FailureKind::ALL.len()],
    waiting_frames: AtomicU64,
    spool_bytes: AtomicU64,
}

/// Why a frame was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropReason {
    /// The queue's bound was reached; the oldest go first.
    Full,
    /// The server will never take it.
    Refused,
    /// It could not be written to or read from the spool.
    Spool,
}

impl DropReason {
    const ALL: [Self; 3] = [Self::Full, Self::Refused, Self::Spool];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Refused => "refused",
            Self::Spool => "spool",
        }
    }
}

/// Why sending failed: stable names for log, label and documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// No name, no route, refused, or the connection broke.
    Connect,
    /// The certificate or the handshake.
    Tls,
    /// No answer in time.
    Timeout,
    /// The token is not good.
    Unauthorized,
    /// Another machine has this host's name.
    Conflict,
    /// The server asks to wait.
    Busy,
    /// The body is malformed or too large.
    Refused,
    /// An answer that does not belong here.
    Unexpected,
}

impl FailureKind {
    const ALL: [Self; 8] = [
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Unauthorized,
        Self::Conflict,
        Self::Busy,
        Self::Refused,
        Self::Unexpected,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::Unexpected => "unexpected",
        }
    }
}

const SENT_FRAMES: &str = "noroshi_agent_sent_frames_total";
const SENT_BYTES: &str = "noroshi_agent_sent_bytes_total";
const DROPPED: &str = "noroshi_agent_dropped_frames_total";
const FAILURES: &str = "noroshi_agent_send_errors_total";
const WAITING: &str = "noroshi_agent_waiting_frames";
const SPOOL_BYTES: &str = "noroshi_agent_spool_bytes";
const BUILD_INFO: &str = "noroshi_agent_build_info";

const METRICS: [Metric; 7] = [
    Metric::counter(SENT_FRAMES, "", "Readings that the server has taken."),
    Metric::counter(SENT_BYTES, "bytes", "Bytes of bodies that the server has taken."),
    Metric::counter(DROPPED, "", "Readings given up, by reason."),
    Metric::counter(FAILURES, "", "Attempts to send that failed, by reason."),
    Metric::gauge(WAITING, "", "Readings that wait for the server."),
    Metric::gauge(SPOOL_BYTES, "bytes", "Bytes that wait on disk."),
    Metric::gauge(BUILD_INFO, "", "1, with the agent's version."),
];

impl Counters {
    pub(crate) fn count_sent(&self, frames: usize, bytes: usize) {
        self.sent_frames.fetch_add(frames as u64, Ordering::Relaxed);
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_dropped(&self, reason: DropReason, frames: u64) {
        self.dropped[reason as usize].fetch_add(frames, Ordering::Relaxed);
    }

    pub(crate) fn count_failure(&self, kind: FailureKind) {
        self.failures[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_waiting(&self, frames: u64, spool_bytes: u64) {
        self.waiting_frames.store(frames, Ordering::Relaxed);
        self.spool_bytes.store(spool_bytes, Ordering::Relaxed);
    }

    /// Returns how many frames were given up for any reason.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Adds the counts to a reading.
    pub(crate) fn push(&self, out: &mut Output) {
        out.describe(&METRICS);
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
        out.push(SENT_FRAMES, &[], load(&self.sent_frames));
        out.push(SENT_BYTES, &[], load(&self.sent_bytes));
        for (reason, count) in DropReason::ALL.iter().zip(&self.dropped) {
            out.push(DROPPED, &[("reason", reason.as_str())], load(count));
        }
        for (kind, count) in FailureKind::ALL.iter().zip(&self.failures) {
            out.push(FAILURES, &[("reason", kind.as_str())], load(count));
        }
        out.push(WAITING, &[], load(&self.waiting_frames));
        out.push(SPOOL_BYTES, &[], load(&self.spool_bytes));
        out.push(BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    }
}
