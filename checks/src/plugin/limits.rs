//! What a plug-in may use: limits that the spawner sets for itself, so that all it starts has them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many open files each run needs in the spawner: two pipes, a handle, and both ends of the
/// pipes and `/dev/null` while it is started.
const FILES_PER_RUN: u64 = 8;
/// The files that programs expect to be able to open (Linux' own default); some close every number
/// up to the limit before they begin, which with the server's million takes long.
const FILES_MIN: u64 = 1024;
/// How much sooner than the server the kernel ends a plug-in when the machine has no memory left
/// (`oom_score_adj`, -1000 to 1000; 500 weighs as half of the machine's memory).
const OOM_SCORE: &str = "500";

/// What each plug-in may use at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory of one process, in bytes: `RLIMIT_DATA`, what it can write to and shares with nobody.
    /// Address space is not limited: Java and Go reserve far more than they ever use.
    pub memory_bytes_max: Option<u64>,
    /// Processes and threads of the user that plug-ins run as: `RLIMIT_NPROC`. The kernel counts
    /// all of that user and does not hold root to it.
    pub processes_max: Option<u64>,
    /// How many run at once: how many files the spawner opens.
    pub runs_at_once: u64,
}

impl Limits {
    /// Sets the limits of this process and of all that it will start. A limit that is already
    /// lower stays.
    ///
    /// Errors: which limit the kernel refused.
    pub fn apply(&self) -> Result<(), LimitError> {
        set("core", Resource::Core, Some(0))?;
        set("memory_max", Resource::Data, self.memory_bytes_max)?;
        set("processes_max", Resource::Nproc, self.processes_max)?;
        let files = FILES_MIN.max(self.runs_at_once.saturating_mul(FILES_PER_RUN));
        set_current("open files", Resource::Nofile, files)?;
        if let Err(error) = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE) {
            tracing::debug!(%error, "plug-ins are ended no sooner than the server without memory");
        }
        Ok(())
    }
}

/// A limit that could not be set.
#[derive(Debug, thiserror::Error)]
#[error("cannot set the limit {name} of plug-ins to {value}")]
pub struct LimitError {
    name: &'static str,
    value: u64,
    #[source]
    source: rustix::io::Errno,
}

/// Sets a limit that cannot be raised again.
fn set(name: &'static str, resource: Resource, value: Option<u64>) -> Result<(), LimitError> {
    let Some(wanted) = value else { return Ok(()) };
    let value = getrlimit(resource).maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let limit = Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(resource, limit).map_err(|source| LimitError { name, value, source })
}

/// Sets a limit that a program may raise again up to what it was.
fn set_current(name: &'static str, resource: Resource, value: u64) -> Result<(), LimitError> {
    let before = getrlimit(resource);
    let value = before.maximum.map_or(value, |maximum| maximum.min(value));
    let limit = Rlimit { current: Some(value), maximum: before.maximum };
    setrlimit(resource, limit).map_err(|source| LimitError { name, value, source })
}
