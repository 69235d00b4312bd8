//! Runs a program under limits: no shell, bounded time, bounded output, no child left behind.
//!
//! A program is always named by its absolute path, and no user, group or limit is set between fork
//! and exec, so that the standard library can use `posix_spawn`. Limits and user are those of the
//! process that calls: `spawner.rs` is one that has taken them on. How the end is awaited stands in
//! `child.rs`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::child::Started;
use super::understand::Exit;

/// How much of a program's output is kept; what goes beyond is read and thrown away, so that the
/// program does not wait for a reader. Nagios keeps 8 KiB; a pipe holds as much (pipe(7)).
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// How long a program may take to end after SIGTERM before it gets SIGKILL.
pub(super) const TERM_GRACE: Duration = Duration::from_secs(2);
/// How often a program is tried that somebody is just writing.
const TRIES_MAX: u32 = 6;
/// How long somebody is given to close it.
pub(super) const TRY_AFTER: Duration = Duration::from_millis(20);
/// Where a program without a slash is looked for, in order.
const FOLDERS: [&str; 10] = [
    "/usr/lib/nagios/plugins",
    "/usr/lib64/nagios/plugins",
    "/usr/lib/monitoring-plugins",
    "/usr/local/nagios/libexec",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];
/// The `PATH` of programs that are run.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Characters are UTF-8, all else is as in the locale C: the same to a program as
/// `LC_ALL=C.UTF-8`, but the C library reads one file at its start in the place of twelve, which is
/// a quarter of what starting a small plug-in costs (`bench/checks.sh`).
const LOCALE: (&str, &str) = ("LC_CTYPE", "C.UTF-8");

/// What a run gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote, up to [`OUTPUT_BYTES_MAX`].
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, up to 4 KiB.
    pub stderr: Vec<u8>,
    /// How long it took.
    pub run_time: Duration,
}

/// Runs a program to its end or to its time-out; then its whole process group is ended.
///
/// The environment is `PATH`, `LC_CTYPE` and `env`, nothing of the server's own. Every failure is
/// an [`Exit`]. Cancel: when the future is dropped, the process group gets SIGKILL.
pub async fn run(argv: &[String], env: &BTreeMap<String, String>, time_limit: Duration) -> Ran {
    let begun = Instant::now();
    let mut tries = 0;
    loop {
        tries += 1;
        match start(argv, env, begun) {
            Ok(started) => return started.follow(time_limit).await,
            Err(refusal) if refusal.is_passing(tries) => sleep(TRY_AFTER).await,
            Err(refusal) => return refusal.ran(begun),
        }
    }
}

/// A program that could not be started.
pub(super) struct Refusal {
    exit: Exit,
    is_busy: bool,
}

impl Refusal {
    /// Tells whether it is worth while to try again: somebody is just writing the program, or a
    /// fork elsewhere still holds it open.
    pub(super) fn is_passing(&self, tries: u32) -> bool {
        self.is_busy && tries < TRIES_MAX
    }

    /// Returns what is answered.
    pub(super) fn ran(self, begun: Instant) -> Ran {
        let run_time = begun.elapsed();
        Ran { exit: self.exit, stdout: Vec::new(), stderr: Vec::new(), run_time }
    }
}

/// Starts a program. Holds the thread until it has been loaded.
pub(super) fn start(
    argv: &[String],
    env: &BTreeMap<String, String>,
    begun: Instant,
) -> Result<Started, Refusal> {
    let refused = |exit: Exit| Refusal { exit, is_busy: false };
    let Some((program, arguments)) = argv.split_first().filter(|(p, _)| !p.is_empty()) else {
        return Err(refused(Exit::NotFound("(no command line)".to_owned())));
    };
    let path = locate(program).ok_or_else(|| refused(Exit::NotFound(program.clone())))?;
    let mut command = Command::new(&path);
    command.args(arguments).env_clear().env("PATH", PATH).env(LOCALE.0, LOCALE.1).envs(env);
    Started::start(&mut command, begun).map_err(|error| Refusal {
        is_busy: error.kind() == ErrorKind::ExecutableFileBusy,
        exit: exit_of(program, &error),
    })
}

/// Returns the absolute path of a program; `None` when there is none.
///
/// A name with a slash is taken as it is, from the root or from the working folder.
pub fn resolve(program: &str) -> Option<PathBuf> {
    locate(program).filter(|path| path.exists())
}

/// Returns where a program is; of one that is named by a path only its start tells whether it is.
fn locate(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return std::path::absolute(program).ok();
    }
    let is_program = |path: &Path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| is_program(path))
}

/// Returns what it means that a program could not be started.
fn exit_of(program: &str, error: &std::io::Error) -> Exit {
    // A script without `#!`: a shell would run it, the kernel does not.
    let is_no_program = error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error());
    match error.kind() {
        ErrorKind::NotFound => Exit::NotFound(program.to_owned()),
        ErrorKind::PermissionDenied => Exit::NotExecutable(program.to_owned()),
        _ if is_no_program => Exit::NotExecutable(format!("{program} (no program, no `#!`)")),
        _ => Exit::CannotStart(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
