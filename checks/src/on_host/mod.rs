//! Looks at processes, ports and files of a host: on the host itself, by its agent, or here when it
//! is the server's own machine.
//!
//! What to look at and how to judge it comes from the server's configuration. Names of processes
//! and numbers of ports are no secrets; files are looked at (never opened) only in folders that the
//! agent's own config names.

mod file;
#[cfg(feature = "server")]
mod here;
mod port;
mod process;

use std::path::{Path, PathBuf};

use noroshi_model::{Status, Timestamp};
use serde::{Deserialize, Serialize};

pub use file::FileLook;
#[cfg(feature = "server")]
pub(crate) use here::{Looking, look_here};
pub use port::{PortLook, PortProtocol};
pub use process::ProcessLook;

/// What is looked at, and how it is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostLook {
    /// Processes that run.
    Process(ProcessLook),
    /// Whether something listens.
    Port(PortLook),
    /// Whether a file is there, and how old and large it is.
    File(FileLook),
}

/// A look as an agent is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LookSpec {
    /// How its results are named.
    pub name: String,
    /// From look to look, in milliseconds.
    pub interval_ms: u64,
    /// The same while a problem is new.
    pub retry_ms: u64,
    /// What to do.
    pub look: HostLook,
}

/// Where to look.
#[derive(Clone, Debug)]
pub struct Ground {
    /// In the place of `/proc`.
    pub proc: PathBuf,
    /// In the place of `/etc/passwd`.
    pub passwd: PathBuf,
    /// The folders in which files may be looked at; `None`: everywhere.
    pub folders: Option<Vec<PathBuf>>,
    /// What counts as now.
    pub now: Timestamp,
}

impl Ground {
    /// The machine it runs on.
    pub fn here(folders: Option<Vec<PathBuf>>, now: Timestamp) -> Self {
        Self { proc: "/proc".into(), passwd: "/etc/passwd".into(), folders, now }
    }
}

impl HostLook {
    /// Looks once. Returns the status and what a plug-in would print: text, then performance data.
    ///
    /// Blocking: some milliseconds; a second more when CPU is judged, and without limit when a
    /// file system hangs.
    pub fn look(&self, ground: &Ground) -> (Status, String) {
        let seen = match self {
            Self::Process(look) => look.look(ground),
            Self::Port(look) => look.look(ground),
            Self::File(look) => look.look(ground),
        };
        seen.unwrap_or_else(|error| (Status::Unknown, error))
    }

    /// Tells what cannot work whatever the host is like; `None` when nothing is wrong.
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Process(look) => look.fault(),
            Self::Port(_) => None,
            Self::File(look) => look.fault(),
        }
    }
}

/// What a look found while it is put together.
#[derive(Debug, Default)]
struct Verdict {
    status: Option<Status>,
    texts: Vec<String>,
    perfdata: Vec<String>,
}

impl Verdict {
    /// Notes a problem: the worst counts.
    fn worsen(&mut self, status: Status, text: String) {
        let is_worse = self.status.is_none_or(|before| status.severity() > before.severity());
        if is_worse {
            self.status = Some(status);
        }
        self.texts.push(text);
    }

    /// Judges a value that must not be above its limits; `words` says what it is, its limit comes
    /// behind.
    fn limit(
        &mut self,
        value: f64,
        limits: (Option<f64>, Option<f64>),
        words: &str,
        show: impl Fn(f64) -> String,
    ) {
        let over = |limit: Option<f64>| limit.filter(|limit| value > *limit);
        if let Some(limit) = over(limits.1) {
            self.worsen(Status::Critical, format!("{words}, limit {}", show(limit)));
        } else if let Some(limit) = over(limits.0) {
            self.worsen(Status::Warning, format!("{words}, limit {}", show(limit)));
        }
    }

    /// Adds performance data in the words of plug-ins.
    fn measure(&mut self, label: &str, value: &str, limits: (Option<f64>, Option<f64>)) {
        let shown = |limit: Option<f64>| limit.map(|limit| limit.to_string()).unwrap_or_default();
        let text = format!("{label}={value};{};{}", shown(limits.0), shown(limits.1));
        self.perfdata.push(text.trim_end_matches(';').to_owned());
    }

    /// Makes what a plug-in would print; `fine` is the text without a problem.
    fn print(self, fine: String) -> (Status, String) {
        let text = if self.texts.is_empty() { fine } else { self.texts.join("; ") };
        (self.status.unwrap_or(Status::Ok), format!("{text} | {}", self.perfdata.join(" ")))
    }
}

/// Says how many were expected when `count` is not between `min` and `max`.
fn expected(count: usize, min: u32, max: Option<u32>) -> Option<String> {
    let (low, high) = (count < min as usize, max.is_some_and(|max| count > max as usize));
    match (low, high, max) {
        (true, _, _) => Some(format!("at least {min} expected")),
        (_, true, Some(0)) => Some("none expected".to_owned()),
        (_, true, Some(max)) => Some(format!("at most {max} expected")),
        _ => None,
    }
}

/// Reads a file of the kernel; says which one when it cannot.
fn read(path: &Path) -> Result<String, String> {
    let bytes =
        std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
