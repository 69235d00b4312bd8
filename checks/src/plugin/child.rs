//! A program that was started: its pipes, its process group, and how its end is seen.
//!
//! Two ways to wait for the end. [`Started::ended_within`] holds a thread, makes a handful of system
//! calls and is for the first moments, in which most plug-ins end; [`Started::follow`] is for all
//! others.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use parking_lot::Mutex;
#[cfg(feature = "server")]
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt, Interest};
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::run::{OUTPUT_BYTES_MAX, Ran, TERM_GRACE};
use super::understand::Exit;

/// How much of standard error is kept.
const STDERR_BYTES_MAX: usize = 4 * 1024;
/// How long output is read after the program has ended: a child that it left in the background may
/// hold the pipe open for ever.
const DRAIN_GRACE: Duration = Duration::from_millis(500);
/// How long a program may take from letting go of its output to its end.
#[cfg(feature = "server")]
const EXIT_MAX: Duration = Duration::from_millis(2);
/// How often the end is looked for where the kernel (before Linux 5.3) has no handle of a process.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Programs that were ended and not yet waited for: a process that hangs in the kernel must not
/// hold up whoever ended it.
static ENDED: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// A program under way. When it is dropped, its process group gets SIGKILL.
#[derive(Debug)]
pub(super) struct Started {
    begun: Instant,
    group: Group,
    /// `None` once they were given away to be followed.
    pipes: Option<(ChildStdout, ChildStderr)>,
    /// Set when it was seen to end while somebody else holds its pipes.
    status: Option<ExitStatus>,
}

impl Started {
    /// Starts a program in a process group of its own, with nothing to read.
    ///
    /// Errors: the system's; [`ErrorKind::ExecutableFileBusy`] passes.
    pub(super) fn start(command: &mut Command, begun: Instant) -> std::io::Result<Self> {
        reap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.process_group(0).spawn()?;
        let pipes = child.stdout.take().zip(child.stderr.take());
        Ok(Self { begun, group: Group::of(child), pipes, status: None })
    }

    /// Waits for the end in this thread; `None` when it has not come within the span, or when
    /// something that the program left behind may still write.
    ///
    /// The output is read at the end only: a pipe holds as much as is kept of it.
    #[cfg(feature = "server")]
    pub(super) fn ended_within(&mut self, span: Duration, buffer: &mut Vec<u8>) -> Option<Ran> {
        // Nearly the last thing that a program does is to let go of what it wrote to. To wait for
        // that needs no handle.
        let (_, err) = self.pipes.as_ref()?;
        wait_for(PollFd::new(err, PollFlags::empty()), span)?;
        self.status = self.group.try_wait().ok()?;
        if self.status.is_none() {
            wait_for(PollFd::new(&self.group.handle()?, PollFlags::IN), EXIT_MAX)?;
            self.status = self.group.try_wait().ok()?;
        }
        let status = self.status?;
        let (out, err) = self.pipes.as_mut()?;
        let mut ends = [PollFd::new(out, PollFlags::IN), PollFd::new(err, PollFlags::IN)];
        poll(&mut ends, Some(&Timespec::default())).ok()?;
        let found = [ends[0].revents(), ends[1].revents()];
        if found.iter().any(|found| !found.contains(PollFlags::HUP)) {
            return None;
        }
        let mut stdout = Vec::new();
        let mut stderr = Vec::new();
        if found[0].contains(PollFlags::IN) {
            read_rest(out, &mut stdout, OUTPUT_BYTES_MAX, buffer);
        }
        if found[1].contains(PollFlags::IN) {
            read_rest(err, &mut stderr, STDERR_BYTES_MAX, buffer);
        }
        Some(Ran { exit: exit_of(status), stdout, stderr, run_time: self.begun.elapsed() })
    }

    /// Reads the output to its end and ends the program when it takes longer than `time_limit`
    /// from its start.
    ///
    /// Cancel: the process group gets SIGKILL.
    pub(super) async fn follow(mut self, time_limit: Duration) -> Ran {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let exit = match self.pipes.take().map(receivers) {
            Some(Ok(pipes)) => {
                let following = Following::new(&mut self);
                following.until_end(pipes, time_limit, &mut stdout, &mut stderr).await
            }
            Some(Err(error)) => Exit::CannotStart(error.to_string()),
            None => Exit::CannotStart("no pipes".to_owned()),
        };
        Ran { exit, stdout, stderr, run_time: self.begun.elapsed() }
    }
}

/// A program that is followed.
struct Following<'a> {
    started: &'a mut Started,
    end: Option<AsyncFd<OwnedFd>>,
}

impl<'a> Following<'a> {
    fn new(started: &'a mut Started) -> Self {
        #[expect(
            deprecated,
            reason = "its successor is unsafe to call; an OwnedFd keeps the promise"
        )]
        let watch = |handle: OwnedFd| AsyncFd::with_interest(handle, Interest::READABLE);
        let end = started.group.handle().and_then(|handle| watch(handle).ok());
        Self { started, end }
    }

    async fn until_end(
        mut self,
        (out, err): (Receiver, Receiver),
        time_limit: Duration,
        stdout: &mut Vec<u8>,
        stderr: &mut Vec<u8>,
    ) -> Exit {
        let mut reading = std::pin::pin!(async {
            tokio::join!(
                drain(out, stdout, OUTPUT_BYTES_MAX),
                drain(err, stderr, STDERR_BYTES_MAX)
            );
        });
        let mut is_read = false;
        let deadline = self.started.begun + time_limit;
        let ended = timeout_at(deadline, async {
            let mut ending = std::pin::pin!(self.ended());
            loop {
                tokio::select! {
                    status = &mut ending => return status,
                    () = &mut reading, if !is_read => is_read = true,
                }
            }
        });
        if let Ok(status) = ended.await {
            if !is_read {
                // What is read so far counts, whether the pipe is closed in time or not.
                drop(timeout(DRAIN_GRACE, &mut reading).await);
            }
            return status.map_or_else(|error| Exit::CannotStart(error.to_string()), exit_of);
        }
        let mut killing = std::pin::pin!(self.kill());
        tokio::select! {
            () = &mut killing => {}
            () = &mut reading, if !is_read => killing.await,
        }
        Exit::TimedOut(time_limit)
    }

    /// Ready when the program has ended; its group is then left alone: what it left behind is meant
    /// to stay.
    async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        if let Some(status) = self.started.status {
            return Ok(status);
        }
        loop {
            if let Some(status) = self.started.group.try_wait()? {
                self.started.status = Some(status);
                return Ok(status);
            }
            match &self.end {
                Some(end) => end.readable().await?.clear_ready(),
                None => sleep(LOOK_EVERY).await,
            }
        }
    }

    /// Ends the group, politely first.
    async fn kill(&mut self) {
        let group = self.started.group.id;
        self.started.group.signal(Signal::TERM);
        let is_ended = timeout(TERM_GRACE, self.ended()).await.is_ok();
        // Grandchildren may have ignored the first signal even when the child did not; as long as
        // there is one, the group's number is nobody else's.
        if let Some(group) = group {
            kill_process_group(group, Signal::KILL).unwrap_or_default();
        }
        if !is_ended {
            drop(self.ended().await);
        }
    }
}

/// A child and its process group, which is ended when dropped unless the child ended by itself.
#[derive(Debug)]
struct Group {
    /// `None` once the child was waited for: then its number may be another's.
    id: Option<Pid>,
    child: Option<Child>,
}

impl Group {
    fn of(child: Child) -> Self {
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Self { id, child: Some(child) }
    }

    /// Returns what becomes readable at the end. An old kernel has none, and a sandbox may forbid
    /// it.
    fn handle(&self) -> Option<OwnedFd> {
        pidfd_open(self.id?, PidfdFlags::empty()).ok()
    }

    fn try_wait(&mut self) -> std::io::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Err(ErrorKind::NotFound.into()) };
        let status = child.try_wait()?;
        if status.is_some() {
            (self.id, self.child) = (None, None);
        }
        Ok(status)
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            // That a group is already gone is what is wanted.
            kill_process_group(id, signal).unwrap_or_default();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        ENDED.lock().extend(self.child.take());
        reap();
    }
}

/// Waits for those that were ended and have come to their end.
fn reap() {
    ENDED.lock().retain_mut(|child| matches!(child.try_wait(), Ok(None)));
}

/// Waits for something to happen to a file; `None` when nothing did within the span.
#[cfg(feature = "server")]
fn wait_for(file: PollFd<'_>, span: Duration) -> Option<()> {
    let timeout = Timespec::try_from(span).ok()?;
    (poll(&mut [file], Some(&timeout)) == Ok(1)).then_some(())
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}

/// Reads what is left in a pipe that nobody can write to any longer.
#[cfg(feature = "server")]
fn read_rest(
    from: &mut impl std::io::Read,
    into: &mut Vec<u8>,
    bytes_max: usize,
    buffer: &mut Vec<u8>,
) {
    buffer.resize(OUTPUT_BYTES_MAX, 0);
    loop {
        match from.read(buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                keep(into, &buffer[..count], bytes_max);
                if count < buffer.len() {
                    return;
                }
            }
        }
    }
}

/// Reads to the end and keeps at most `bytes_max`.
async fn drain(mut from: impl AsyncRead + Unpin, into: &mut Vec<u8>, bytes_max: usize) {
    let mut buffer = vec![0; 8192];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => keep(into, &buffer[..count], bytes_max),
        }
    }
}

fn keep(into: &mut Vec<u8>, bytes: &[u8], bytes_max: usize) {
    let room = bytes_max - into.len();
    into.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

fn receivers((out, err): (ChildStdout, ChildStderr)) -> std::io::Result<(Receiver, Receiver)> {
    Ok((Receiver::from_owned_fd(out.into())?, Receiver::from_owned_fd(err.into())?))
}
