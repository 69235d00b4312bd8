//! Runs a program under limits: no shell, bounded time, bounded output, no child left behind.
//!
//! A program is always named by its absolute path, and no user, group or limit is set between fork
//! and exec, so that the standard library can use `posix_spawn`. Limits and user are those of the
//! process that calls: `spawner.rs` is one that has taken them on.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::understand::Exit;

/// How much of a program's output is kept; what goes beyond is read and thrown away, so that the
/// program does not wait for a reader. Nagios keeps 8 KiB.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// How much of standard error is kept.
const STDERR_BYTES_MAX: usize = 4 * 1024;
/// How long a program may take to end after SIGTERM before it gets SIGKILL.
pub(super) const TERM_GRACE: Duration = Duration::from_secs(2);
/// How long output is read after the program has ended: a child that it left in the background may
/// hold the pipe open for ever.
const DRAIN_GRACE: Duration = Duration::from_millis(500);
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
/// The environment is `PATH`, `LC_ALL` and `env`, nothing of the server's own. Every failure is an
/// [`Exit`]. Cancel: when the future is dropped, the process group gets SIGKILL.
pub async fn run(argv: &[String], env: &BTreeMap<String, String>, time_limit: Duration) -> Ran {
    let begun = Instant::now();
    let mut stdout = Vec::new();
    let mut stderr = Vec::new();
    let exit = match spawn(argv, env).await {
        Ok(child) => follow(child, time_limit, &mut stdout, &mut stderr).await,
        Err(exit) => exit,
    };
    Ran { exit, stdout, stderr, run_time: begun.elapsed() }
}

/// Returns the absolute path of a program; `None` when there is none.
///
/// A name with a slash is taken as it is, from the root or from the working folder.
pub fn resolve(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return std::path::absolute(program).ok().filter(|path| path.exists());
    }
    let is_program = |path: &Path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| is_program(path))
}

async fn spawn(argv: &[String], env: &BTreeMap<String, String>) -> Result<Child, Exit> {
    let Some((program, arguments)) = argv.split_first().filter(|(p, _)| !p.is_empty()) else {
        return Err(Exit::NotFound("(no command line)".to_owned()));
    };
    let path = resolve(program).ok_or_else(|| Exit::NotFound(program.clone()))?;
    let mut command = Command::new(&path);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C.UTF-8")
        .envs(env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut tries = 0;
    loop {
        match command.spawn() {
            Ok(child) => return Ok(child),
            // Somebody is just writing the program, or a fork elsewhere still holds it open.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < 5 => {
                tries += 1;
                sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(refused(program, &error)),
        }
    }
}

/// Returns what it means that a program could not be started.
fn refused(program: &str, error: &std::io::Error) -> Exit {
    // A script without `#!`: a shell would run it, the kernel does not.
    let is_no_program = error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error());
    match error.kind() {
        ErrorKind::NotFound => Exit::NotFound(program.to_owned()),
        ErrorKind::PermissionDenied => Exit::NotExecutable(program.to_owned()),
        _ if is_no_program => Exit::NotExecutable(format!("{program} (no program, no `#!`)")),
        _ => Exit::CannotStart(error.to_string()),
    }
}

/// Reads a child's output to its end and ends it when it takes too long.
async fn follow(
    mut child: Child,
    time_limit: Duration,
    stdout: &mut Vec<u8>,
    stderr: &mut Vec<u8>,
) -> Exit {
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        return Exit::CannotStart("no pipes".to_owned());
    };
    let group = Group::of(&child);
    let mut reading = std::pin::pin!(async {
        tokio::join!(drain(out, stdout, OUTPUT_BYTES_MAX), drain(err, stderr, STDERR_BYTES_MAX));
    });
    let mut is_read = false;
    let ended = timeout(time_limit, async {
        loop {
            tokio::select! {
                status = child.wait() => return status,
                () = &mut reading, if !is_read => is_read = true,
            }
        }
    });
    if let Ok(status) = ended.await {
        group.forget();
        if !is_read {
            // What is read so far counts, whether the pipe is closed in time or not.
            drop(timeout(DRAIN_GRACE, &mut reading).await);
        }
        return status.map_or_else(|error| Exit::CannotStart(error.to_string()), exit_of);
    }
    let mut ending = std::pin::pin!(group.end(&mut child));
    tokio::select! {
        () = &mut ending => {}
        () = &mut reading, if !is_read => ending.await,
    }
    Exit::TimedOut(time_limit)
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}

/// Reads to the end and keeps at most `bytes_max`.
async fn drain(mut from: impl AsyncRead + Unpin, into: &mut Vec<u8>, bytes_max: usize) {
    let mut buffer = vec![0; 8192];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                let room = bytes_max - into.len();
                into.extend_from_slice(&buffer[..count.min(room)]);
            }
        }
    }
}

/// A child's process group; ended when dropped, unless the child ended by itself.
struct Group {
    id: Option<Pid>,
}

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { id }
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            // That a group is already gone is what is wanted.
            kill_process_group(id, signal).unwrap_or_default();
        }
    }

    /// Leaves the group alone: the child has ended, what it left behind is meant to stay.
    fn forget(mut self) {
        self.id = None;
    }

    /// Ends the group, politely first.
    async fn end(mut self, child: &mut Child) {
        self.signal(Signal::TERM);
        drop(timeout(TERM_GRACE, child.wait()).await);
        // Grandchildren may have ignored the first signal even when the child did not.
        self.signal(Signal::KILL);
        drop(child.wait().await);
        self.id = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests;
