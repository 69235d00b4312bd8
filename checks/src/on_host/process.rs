//! Processes, by name, command line and user.
//!
//! Source: proc(5): `/proc/PID/stat` (fields 2, 3, 14, 15, 22, 24), `/proc/PID/cmdline`, the owner
//! of the folder.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use noroshi_model::Status;
use noroshi_model::quantity::format_value;
use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use super::{Ground, Verdict, expected, read};

/// Bytes of a process' name that the kernel keeps (`TASK_COMM_LEN` less its NUL).
const NAME_BYTES: usize = 15;
/// Over which time CPU is measured.
const CPU_SPAN: Duration = Duration::from_secs(1);

/// Which processes must run, and what they may use together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessLook {
    /// The name of the program, as the kernel has it.
    pub name: Option<String>,
    /// What the command line must match; arguments are separated by blanks.
    pub cmdline: Option<String>,
    /// Whose they must be: a name of `/etc/passwd`, or a number.
    pub user: Option<String>,
    /// How many there must be at least.
    pub min: u32,
    /// How many there may be at most.
    pub max: Option<u32>,
    /// Most resident memory of all together, in bytes: for warning.
    pub memory_warning: Option<f64>,
    /// For critical.
    pub memory_critical: Option<f64>,
    /// Most CPU of all together, in per cent of one core over a second: for warning.
    pub cpu_warning: Option<f64>,
    /// For critical.
    pub cpu_critical: Option<f64>,
}

/// A process that is meant.
struct Found {
    /// Start and, with the number, what tells it from a later one of the same number.
    identity: (u32, u64),
    cpu_ticks: u64,
    resident_pages: u64,
}

impl ProcessLook {
    pub(super) fn fault(&self) -> Option<String> {
        if self.name.is_none() && self.cmdline.is_none() {
            return Some("`process` needs a `name` or a `cmdline`".to_owned());
        }
        let error = Regex::new(self.cmdline.as_deref()?).err()?;
        Some(format!("`cmdline` is no regular expression: {error}"))
    }

    pub(super) fn look(&self, ground: &Ground) -> Result<(Status, String), String> {
        let pattern = self.cmdline.as_deref().map(Regex::new).transpose();
        let pattern = pattern.map_err(|error| error.to_string())?;
        let user = self.user.as_deref().map(|user| user_number(user, ground)).transpose()?;
        let find = || self.find(&ground.proc, pattern.as_ref(), user);
        let mut found = find()?;
        let is_cpu_judged = self.cpu_warning.is_some() || self.cpu_critical.is_some();
        let mut cpu = None;
        if is_cpu_judged {
            let before: HashMap<(u32, u64), u64> =
                found.iter().map(|process| (process.identity, process.cpu_ticks)).collect();
            std::thread::sleep(CPU_SPAN);
            found = find()?;
            let used = |process: &Found| {
                let before = before.get(&process.identity).copied().unwrap_or_default();
                process.cpu_ticks.saturating_sub(before)
            };
            let ticks: u64 = found.iter().map(used).sum();
            let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
            cpu = Some(100.0 * seconds / CPU_SPAN.as_secs_f64());
        }
        Ok(self.judge(&found, cpu))
    }

    fn judge(&self, found: &[Found], cpu: Option<f64>) -> (Status, String) {
        let what = self.words();
        let pages: u64 = found.iter().map(|process| process.resident_pages).sum();
        let memory = pages as f64 * rustix::param::page_size() as f64;
        let bytes = |value: f64| format_value(value, "bytes");
        let counted = match found.len() {
            0 => format!("no process {what}"),
            1 => format!("1 process {what}"),
            count => format!("{count} processes {what}"),
        };
        let mut verdict = Verdict::default();
        if let Some(expected) = expected(found.len(), self.min, self.max) {
            verdict.worsen(Status::Critical, format!("{counted}; {expected}"));
        }
        let limits = (self.memory_warning, self.memory_critical);
        verdict.limit(memory, limits, &format!("{counted} with {}", bytes(memory)), bytes);
        verdict.measure("processes", &found.len().to_string(), (None, None));
        verdict.measure("memory", &format!("{memory}B"), limits);
        let mut fine = format!("{counted}, {}", bytes(memory));
        if let Some(cpu) = cpu {
            let percent = |value: f64| format!("{} of a core", format_value(value, "percent"));
            let limits = (self.cpu_warning, self.cpu_critical);
            verdict.limit(cpu, limits, &format!("{counted} with {}", percent(cpu)), percent);
            verdict.measure("cpu", &format!("{cpu:.1}%"), limits);
            fine = format!("{fine}, {}", percent(cpu));
        }
        verdict.print(fine)
    }

    /// Says which processes are meant.
    fn words(&self) -> String {
        let name = self.name.clone();
        let parts = [
            name,
            self.cmdline.as_ref().map(|pattern| format!("/{pattern}/")),
            self.user.as_ref().map(|user| format!("of {user}")),
        ];
        // A bar would begin the performance data.
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ").replace('|', "¦")
    }

    fn find(
        &self,
        proc: &Path,
        pattern: Option<&Regex>,
        user: Option<u32>,
    ) -> Result<Vec<Found>, String> {
        let cannot = |error| format!("cannot list {}: {error}", proc.display());
        let mut found = Vec::new();
        for entry in fs::read_dir(proc).map_err(cannot)? {
            let Ok(entry) = entry else { continue };
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One that ends meanwhile is gone.
            found.extend(self.process(pid, &entry.path(), pattern, user));
        }
        Ok(found)
    }

    /// Returns a process that is meant and lives.
    fn process(
        &self,
        pid: u32,
        folder: &Path,
        pattern: Option<&Regex>,
        user: Option<u32>,
    ) -> Option<Found> {
        let stat = fs::read(folder.join("stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        // The name may hold anything, brackets too: its end is the last one.
        let (head, rest) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Fields are counted from 1; the first of the rest is the third.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        let cmdline = || {
            let bytes = fs::read(folder.join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
        };
        if let Some(wanted) = &self.name {
            let is_cut = name.len() >= NAME_BYTES && wanted.starts_with(name);
            // The whole of a long name stands in the first argument only.
            let program = || Some(cmdline()?.split('\0').next()?.rsplit('/').next()?.to_owned());
            if name != wanted && !(is_cut && program()? == *wanted) {
                return None;
            }
        }
        if let Some(pattern) = pattern
            && !pattern.is_match(&cmdline()?.replace('\0', " "))
        {
            return None;
        }
        if let Some(user) = user
            && fs::metadata(folder).ok()?.uid() != user
        {
            return None;
        }
        Some(Found {
            identity: (pid, number(22)?),
            cpu_ticks: number(14)? + number(15)?,
            resident_pages: number(24)?,
        })
    }
}

/// Returns the number of a user.
fn user_number(user: &str, ground: &Ground) -> Result<u32, String> {
    if let Ok(number) = user.parse() {
        return Ok(number);
    }
    let passwd = read(&ground.passwd)?;
    // passwd(5): name, password, number.
    let mut lines = passwd.lines().map(|line| line.split(':'));
    let number = lines.find_map(|mut fields| {
        (fields.next() == Some(user)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    number.ok_or_else(|| format!("there is no user {user} on this host; write its number"))
}
