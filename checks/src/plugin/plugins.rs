//! The server's end of the line to the spawner: hands runs over, and starts the spawner again when
//! it is gone.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::frame::{self, Answer, Inbox, Request};
use super::limits::Limits;
use super::run::{Ran, TERM_GRACE, run};
use super::understand::Exit;

/// The spawner ended while it ran the plug-in.
const ENDED: &str = "spawner_ended";
/// The spawner did not answer long after the run's time was over.
const SILENT: &str = "spawner_silent";
/// The spawner does not start, again and again; the server's log says why.
const NOT_STARTED: &str = "spawner_not_started";
/// How many requests wait to be written. When it is full, whoever brings one waits.
const REQUESTS_MAX: usize = 1024;
/// How much is read at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// How much longer than the run's time an answer is waited for: the time that a program gets to
/// end by itself, and a busy machine.
const ANSWER_GRACE: Duration = TERM_GRACE.saturating_add(Duration::from_secs(8));
/// How long the supervisor waits before it starts a spawner that ended; doubled each time.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest such wait.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A spawner that lived for this long did start.
const LIFE_MIN: Duration = Duration::from_secs(10);
/// After how many ends in a row checks no longer wait for the next start.
const ENDS_MAX: u32 = 2;
/// How often the table of processes is searched for what a killed spawner left behind: what is
/// found may be starting a child at that moment.
const SEARCHES_MAX: u32 = 10;

/// How plug-ins are run.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginSpec {
    /// How many run at once; further ones wait. At least 1.
    pub at_once: usize,
    /// The process that starts them; `None`: this one, without limits.
    pub spawner: Option<SpawnerSpec>,
    /// Whether plug-ins and event handlers get every macro as `NAGIOS_...` in their environment.
    pub has_environment_macros: bool,
}

impl Default for PluginSpec {
    /// Two hundred in this process: they wait for the network most of the time, and a hundred that
    /// hang must not keep the others from running.
    fn default() -> Self {
        Self { at_once: 200, spawner: None, has_environment_macros: false }
    }
}

/// The process that starts plug-ins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnerSpec {
    /// The program, by its absolute path, and the arguments that make it call
    /// [`serve_spawner`](super::serve_spawner). Limits are put behind them as `--NAME=VALUE`.
    pub argv: Vec<String>,
    /// What each plug-in may use.
    pub limits: Limits,
    /// User and group that plug-ins run as; `None`: the server's. Only root can choose.
    pub user: Option<(u32, u32)>,
}

/// Runs plug-ins, as [`PluginSpec`] says.
#[derive(Debug)]
pub struct Plugins {
    spec: watch::Sender<PluginSpec>,
    line: watch::Sender<Line>,
    places: Mutex<Arc<Semaphore>>,
    next: AtomicU64,
    starts: AtomicU64,
}

/// Who runs plug-ins now.
#[derive(Clone, Debug)]
enum Line {
    /// This process.
    Here,
    /// Nobody, but soon.
    Starting,
    /// The spawner at the other end.
    Ready(mpsc::Sender<Ask>),
    /// Nobody, for this reason.
    Broken(&'static str),
}

/// What the line is given.
#[derive(Debug)]
enum Ask {
    Run(Request, u64, oneshot::Sender<Ran>),
    Cancel(u64),
}

impl Default for Plugins {
    fn default() -> Self {
        let spec = PluginSpec::default();
        Self {
            line: watch::Sender::new(Line::Here),
            places: Mutex::new(Arc::new(Semaphore::new(spec.at_once))),
            spec: watch::Sender::new(spec),
            next: AtomicU64::new(1),
            starts: AtomicU64::new(0),
        }
    }
}

impl Plugins {
    /// Makes it so from the next run on. What is under way ends as it began.
    pub fn apply(&self, spec: PluginSpec) {
        if *self.spec.borrow() == spec {
            return;
        }
        if self.spec.borrow().at_once != spec.at_once {
            *self.places.lock() = Arc::new(Semaphore::new(spec.at_once.max(1)));
        }
        let line = if spec.spawner.is_some() { Line::Starting } else { Line::Here };
        if self.spec.borrow().spawner != spec.spawner {
            self.line.send_replace(line);
        }
        self.spec.send_replace(spec);
    }

    /// Tells whether macros go into the environment.
    pub(crate) fn has_environment_macros(&self) -> bool {
        self.spec.borrow().has_environment_macros
    }

    /// Returns how many run at once.
    pub(crate) fn at_once(&self) -> usize {
        self.spec.borrow().at_once.max(1)
    }

    /// Returns how often a spawner was started.
    pub fn starts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }

    /// Waits for one of the places that [`PluginSpec::at_once`] gives.
    pub(crate) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        let places = Arc::clone(&self.places.lock());
        // It is never closed.
        places.acquire_owned().await.ok()
    }

    /// Runs a program to its end or to its time-out; then its whole process group is ended.
    ///
    /// The environment is `PATH`, `LC_CTYPE` and `env`. Every failure is an [`Exit`]; when the
    /// spawner fails it is [`Exit::NotRun`]. Cancel: when the future is dropped, the process group
    /// gets SIGKILL.
    pub async fn run(
        &self,
        argv: Vec<String>,
        env: BTreeMap<String, String>,
        time_limit: Duration,
    ) -> Ran {
        let begun = Instant::now();
        let not_run = |reason: &'static str| Ran {
            exit: Exit::NotRun(reason.to_owned()),
            stdout: Vec::new(),
            stderr: Vec::new(),
            run_time: begun.elapsed(),
        };
        let mut line = self.line.subscribe();
        let settled = line.wait_for(|line| !matches!(line, Line::Starting));
        let to = match timeout(time_limit, settled).await.map(|line| line.map(|l| l.clone())) {
            Ok(Ok(Line::Ready(to))) => to,
            Ok(Ok(Line::Here)) => return run(&argv, &env, time_limit).await,
            Ok(Ok(Line::Broken(reason))) => return not_run(reason),
            _ => return not_run(NOT_STARTED),
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let request = Request::Run { id, argv, env, time_limit };
        let mut ending = Ending { id, to: to.clone(), is_needed: true };
        let asking = async {
            to.send(Ask::Run(request, id, reply)).await.ok()?;
            answer.await.ok()
        };
        let answered = timeout(time_limit + ANSWER_GRACE, asking).await;
        ending.is_needed = answered.is_err();
        match answered {
            Ok(Some(ran)) => ran,
            Ok(None) => not_run(ENDED),
            Err(_) => not_run(SILENT),
        }
    }

    /// Keeps a spawner running, when one is wanted, until `stop`; then all it runs is ended.
    pub async fn supervise(&self, stop: CancellationToken) {
        let mut spec = self.spec.subscribe();
        let mut lives = JoinSet::new();
        let mut ends = 0;
        while !stop.is_cancelled() {
            let wanted = spec.borrow_and_update().spawner.clone();
            let Some(wanted) = wanted else {
                tokio::select! {
                    _ = spec.changed() => continue,
                    () = stop.cancelled() => break,
                }
            };
            let begun = Instant::now();
            match Life::begin(&wanted) {
                Ok(life) => {
                    self.starts.fetch_add(1, Ordering::Relaxed);
                    let (to, asks) = mpsc::channel(REQUESTS_MAX);
                    self.line.send_replace(Line::Ready(to));
                    let current = lives.spawn(life.live(asks)).id();
                    tokio::select! {
                        // The one before ends by itself when nobody waits for it any longer.
                        () = until_other(&mut spec, &wanted) => {
                            self.line.send_replace(Line::Starting);
                            continue;
                        }
                        () = until_end(&mut lives, current) => {}
                        () = stop.cancelled() => break,
                    }
                }
                Err(error) => tracing::error!(%error, "cannot start the spawner of plug-ins"),
            }
            ends = if begun.elapsed() >= LIFE_MIN { 1 } else { ends + 1 };
            let line = if ends < ENDS_MAX { Line::Starting } else { Line::Broken(NOT_STARTED) };
            self.line.send_replace(line);
            let backoff = BACKOFF_MAX.min(BACKOFF_MIN * 2_u32.saturating_pow(ends - 1));
            tracing::error!(?backoff, "there is no spawner of plug-ins; it will be started again");
            tokio::select! {
                () = sleep(backoff) => {}
                () = until_other(&mut spec, &wanted) => ends = 0,
                () = stop.cancelled() => {}
            }
        }
        self.line.send_replace(Line::Broken(ENDED));
        // The end of a line is an order: the spawner ends what it runs.
        lives.shutdown().await;
    }
}

/// Ready when another spawner is wanted.
async fn until_other(spec: &mut watch::Receiver<PluginSpec>, current: &SpawnerSpec) {
    let is_other = |spec: &PluginSpec| spec.spawner.as_ref() != Some(current);
    if spec.wait_for(is_other).await.is_err() {
        // The sender is in the same value as the supervisor.
        std::future::pending::<()>().await;
    }
}

/// Ready when one task has ended; those before it may end meanwhile.
async fn until_end(lives: &mut JoinSet<()>, current: tokio::task::Id) {
    while let Some(ended) = lives.join_next_with_id().await {
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        if id == current {
            return;
        }
    }
}

/// A run that is to be ended when nobody waits for it any longer.
struct Ending {
    id: u64,
    to: mpsc::Sender<Ask>,
    is_needed: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.is_needed {
            // When it is lost, the run's own time ends it.
            drop(self.to.try_send(Ask::Cancel(self.id)));
        }
    }
}

/// One spawner, from its start to its end.
struct Life {
    child: Child,
    stream: UnixStream,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Ran>>>,
}

impl Life {
    /// Starts the process.
    fn begin(spec: &SpawnerSpec) -> io::Result<Self> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let stream = UnixStream::from_std(ours)?;
        let (program, arguments) = spec.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let limits = spec.limits;
        let mut command = std::process::Command::new(program);
        command
            .arg0("noroshi")
            .args(arguments)
            .args(limits.memory_bytes_max.map(|bytes| format!("--memory-max={bytes}")))
            .args(limits.processes_max.map(|count| format!("--processes-max={count}")))
            .arg(format!("--at-once={}", limits.runs_at_once))
            // The allocator's gigabyte of reserve would count as used against the limit of memory.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null());
        if let Some((user, group)) = spec.user {
            command.uid(user).gid(group);
        }
        let child = Command::from(command).spawn()?;
        Ok(Self { child, stream, waiting: Mutex::default() })
    }

    /// Hands over what is asked until nobody can ask any longer, or the process has ended.
    async fn live(mut self, asks: mpsc::Receiver<Ask>) {
        let (read, write) = self.stream.into_split();
        let is_lost = tokio::select! {
            written = write_requests(asks, write, &self.waiting) => match written {
                Ok(()) => false,
                Err(error) => {
                    tracing::error!(%error, "cannot write to the spawner of plug-ins");
                    true
                }
            },
            read = read_answers(read, &self.waiting) => {
                let error = read.err();
                tracing::error!(?error, "the spawner of plug-ins ended");
                true
            }
        };
        if is_lost {
            // Not yet waited for, so that its number is nobody else's.
            let session = self.child.id().and_then(|id| i32::try_from(id).ok());
            self.child.start_kill().unwrap_or_default();
            if let Some(session) = session {
                end_session(session).await;
            }
            // Whoever waits learns that there is no answer.
            self.waiting.lock().clear();
        }
        drop(self.child.wait().await);
    }
}

async fn write_requests(
    mut asks: mpsc::Receiver<Ask>,
    mut to: OwnedWriteHalf,
    waiting: &Mutex<HashMap<u64, oneshot::Sender<Ran>>>,
) -> io::Result<()> {
    let (mut ready, mut bytes) = (Vec::new(), Vec::new());
    while asks.recv_many(&mut ready, REQUESTS_MAX).await > 0 {
        // What was begun together is written together: each write wakes the spawner.
        tokio::task::yield_now().await;
        while ready.len() < REQUESTS_MAX
            && let Ok(ask) = asks.try_recv()
        {
            ready.push(ask);
        }
        for ask in ready.drain(..) {
            match ask {
                Ask::Run(request, id, reply) => match frame::put_request(&mut bytes, &request) {
                    Ok(()) => drop(waiting.lock().insert(id, reply)),
                    Err(error) => drop(reply.send(Ran {
                        exit: Exit::CannotStart(format!("the command line is {error}")),
                        stdout: Vec::new(),
                        stderr: Vec::new(),
                        run_time: Duration::ZERO,
                    })),
                },
                Ask::Cancel(id) => {
                    waiting.lock().remove(&id);
                    frame::put_request(&mut bytes, &Request::Cancel { id })?;
                }
            }
        }
        to.write_all(&bytes).await?;
        bytes.clear();
    }
    Ok(())
}

async fn read_answers(
    mut from: OwnedReadHalf,
    waiting: &Mutex<HashMap<u64, oneshot::Sender<Ran>>>,
) -> io::Result<()> {
    let mut inbox = Inbox::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        inbox.push(&buffer[..count]);
        while let Some((answer, tail)) = inbox.take::<Answer>()? {
            if let Some(reply) = waiting.lock().remove(&answer.id) {
                // Who asked may have gone away.
                drop(reply.send(frame::ran(answer, tail)));
            }
        }
    }
}

/// Ends the processes of a session: what plug-ins were running when their spawner was killed.
async fn end_session(session: i32) {
    for _ in 0..SEARCHES_MAX {
        let found = tokio::task::spawn_blocking(move || processes_of(session)).await;
        let found = found.unwrap_or_default();
        if found.is_empty() {
            return;
        }
        for process in found {
            // That it is already gone is what is wanted.
            rustix::process::kill_process(process, Signal::KILL).unwrap_or_default();
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Returns the processes of a session that run, without its leader.
fn processes_of(session: i32) -> Vec<Pid> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers
        .filter(|number: &i32| *number != session && is_in_session(*number, session))
        .filter_map(Pid::from_raw)
        .collect()
}

/// Tells whether a process runs in a session. Source: proc(5), `/proc/PID/stat`: after the name in
/// brackets come state, parent, group and session.
fn is_in_session(process: i32, session: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return false };
    let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
    let fields: Vec<&str> = fields.split(' ').take(4).collect();
    fields.first() != Some(&"Z") && fields.get(3).and_then(|id| id.parse().ok()) == Some(session)
}
