//! The spawner: a small process that starts plug-ins for the server and follows them to their end.
//!
//! It has the limits and the user that plug-ins are to have, so that nothing has to be set between
//! fork and exec: each start is a `posix_spawn`, which costs the same however large the server is.
//! Its end of the line is its standard input. When the line ends, the server has: every plug-in
//! under way is ended, and the spawner too.
//!
//! One thread reads requests. Eight start programs, each one after the other, and wait for a moment
//! for the end: so no more plug-ins are young than the machine has use for, and most of them cost
//! one wake-up. What takes longer is followed by the main thread, any number of them. Another
//! thread writes answers, those that come soon after each other together.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::child::Started;
use super::frame::{self, Inbox, Request};
use super::run::{Ran, TRY_AFTER, start};

/// How many programs are being started at once. A start holds its thread until the program has been
/// loaded: one thread starts half as many a second as a machine of two cores can; with two hundred
/// at once each costs a fifth more (`bench/checks.sh`).
const STARTERS: usize = 8;
/// How long whoever started a program waits for its end, before it starts the next one: a small
/// plug-in on a busy machine.
const YOUNG: Duration = Duration::from_millis(10);
/// What a starter needs on its stack besides what `posix_spawn` makes for itself.
const STACK_BYTES: usize = 256 * 1024;
/// How many programs wait to be followed; starters wait when there are more.
const SLOW_MAX: usize = 64;
/// How long the first answer waits for others: each write wakes the server, which lets results
/// gather for twice as long before it judges them. How long a run took is told from its own end.
const ANSWERS_TOGETHER: Duration = Duration::from_millis(5);
/// How much is read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Serves the server at the other end of standard input until it ends.
///
/// Errors: standard input is no socket, or what comes through it is no request.
pub fn serve_spawner() -> io::Result<()> {
    // A session of its own: a Ctrl-C at the server's terminal is the server's to act on, and what
    // is left of the session when the spawner is killed can be found. Fails for a leader of a
    // group, which only a person at a terminal would start.
    rustix::process::setsid()?;
    let line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    line.set_nonblocking(false)?;
    let requests = line.try_clone()?;
    let desk = Arc::new(Desk::new(line));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (slow, to_follow) = mpsc::channel(SLOW_MAX);
    let mut starters = Vec::new();
    for number in 0..STARTERS {
        let (desk, slow) = (Arc::clone(&desk), slow.clone());
        let begin = move || start_each(&desk, &slow);
        starters.push(thread_named(format!("start-{number}"), begin)?);
    }
    drop(slow);
    let (ended, end) = oneshot::channel();
    let reading = Arc::clone(&desk);
    let reader = thread_named("read".to_owned(), move || {
        let outcome = reading.take_requests(requests);
        reading.close();
        // The main thread waits for this as long as it lives.
        drop(ended.send(outcome));
    })?;
    let answering = Arc::clone(&desk);
    let answerer = thread_named("answer".to_owned(), move || answering.write_answers())?;
    let outcome = runtime.block_on(follow_each(&desk, to_follow, end));
    for thread in starters.into_iter().chain([answerer, reader]) {
        if thread.join().is_err() {
            return Err(io::Error::other("a thread panicked"));
        }
    }
    outcome
}

fn thread_named(
    name: String,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(run)
}

/// A run to be made.
struct Job {
    id: u64,
    argv: Vec<String>,
    env: std::collections::BTreeMap<String, String>,
    time_limit: Duration,
}

/// A program that does not end at once.
struct Slow {
    id: u64,
    started: Started,
    time_limit: Duration,
}

/// A run that is not yet answered.
struct Run {
    /// When it was asked for.
    asked: Instant,
    stage: Stage,
}

/// Where it is.
enum Stage {
    Waiting,
    Young,
    Followed(AbortHandle),
}

/// What waits, what is under way, and where answers go.
struct Desk {
    work: Mutex<Work>,
    wanted: Condvar,
    answers: Mutex<Answers>,
    answered: Condvar,
    line: UnixStream,
}

#[derive(Default)]
struct Work {
    waiting: VecDeque<Job>,
    runs: HashMap<u64, Run>,
    is_over: bool,
}

/// Answers that are not yet written.
#[derive(Default)]
struct Answers {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Desk {
    fn new(line: UnixStream) -> Self {
        let (work, answers) = (Mutex::default(), Mutex::default());
        Self { work, wanted: Condvar::new(), answers, answered: Condvar::new(), line }
    }

    /// Takes requests until the line ends.
    fn take_requests(&self, mut from: UnixStream) -> io::Result<()> {
        let mut inbox = Inbox::default();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // A server that was killed left answers unread.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(error),
            };
            inbox.push(&buffer[..count]);
            while let Some((request, _)) = inbox.take::<Request>()? {
                self.take(request);
            }
        }
    }

    fn take(&self, request: Request) {
        let mut work = self.work.lock();
        match request {
            Request::Run { id, argv, env, time_limit } => {
                work.runs.insert(id, Run { asked: Instant::now(), stage: Stage::Waiting });
                work.waiting.push_back(Job { id, argv, env, time_limit });
                drop(work);
                self.wanted.notify_one();
            }
            Request::Cancel { id } => {
                // What waits or is young is seen not to be wanted any longer by its starter.
                let cancelled = work.runs.remove(&id).map(|run| run.stage);
                if let Some(Stage::Followed(handle)) = cancelled {
                    handle.abort();
                }
            }
        }
    }

    /// Lets everybody end.
    fn close(&self) {
        self.work.lock().is_over = true;
        self.wanted.notify_all();
        self.answers.lock().is_over = true;
        self.answered.notify_all();
    }

    /// Waits for a run to be made; `None` at the end.
    fn next(&self) -> Option<Job> {
        let mut work = self.work.lock();
        loop {
            if work.is_over {
                return None;
            }
            match work.waiting.pop_front() {
                Some(job) => {
                    let Some(run) = work.runs.get_mut(&job.id) else { continue };
                    run.stage = Stage::Young;
                    return Some(job);
                }
                None => self.wanted.wait(&mut work),
            }
        }
    }

    /// Answers a run that is still wanted. How long it took is told from when it was asked for.
    fn answer(&self, id: u64, mut ran: Ran) {
        let Some(run) = self.work.lock().runs.remove(&id) else { return };
        ran.run_time = run.asked.elapsed();
        let mut answers = self.answers.lock();
        let is_first = answers.bytes.is_empty();
        // It is far shorter than a frame may be: output is cut.
        frame::put_answer(&mut answers.bytes, id, &ran).unwrap_or_default();
        drop(answers);
        if is_first {
            self.answered.notify_one();
        }
    }

    /// Writes answers until the line ends.
    fn write_answers(&self) {
        let mut bytes = Vec::new();
        loop {
            {
                let mut answers = self.answers.lock();
                while answers.bytes.is_empty() && !answers.is_over {
                    self.answered.wait(&mut answers);
                }
                if answers.is_over {
                    return;
                }
            }
            thread::sleep(ANSWERS_TOGETHER);
            std::mem::swap(&mut bytes, &mut self.answers.lock().bytes);
            // Without a reader the line has ended, and so will this process.
            (&self.line).write_all(&bytes).unwrap_or_default();
            bytes.clear();
        }
    }
}

/// Starts one program after the other until the end.
fn start_each(desk: &Desk, slow: &mpsc::Sender<Slow>) {
    let mut buffer = Vec::new();
    while let Some(job) = desk.next() {
        let (id, time_limit) = (job.id, job.time_limit);
        match start_one(&job) {
            Err(ran) => desk.answer(id, ran),
            Ok(mut started) => {
                match started.ended_within(YOUNG.min(time_limit), &mut buffer) {
                    Some(ran) => desk.answer(id, ran),
                    // The main thread ends after the starters.
                    None => drop(slow.blocking_send(Slow { id, started, time_limit })),
                }
            }
        }
    }
}

fn start_one(job: &Job) -> Result<Started, Ran> {
    let begun = Instant::now();
    let mut tries = 0;
    loop {
        tries += 1;
        match start(&job.argv, &job.env, begun) {
            Ok(started) => return Ok(started),
            Err(refusal) if refusal.is_passing(tries) => thread::sleep(TRY_AFTER),
            Err(refusal) => return Err(refusal.ran(begun)),
        }
    }
}

/// Follows what does not end at once, until the line ends. When it returns, everything under way
/// is ended.
async fn follow_each(
    desk: &Arc<Desk>,
    mut slow: mpsc::Receiver<Slow>,
    mut end: oneshot::Receiver<io::Result<()>>,
) -> io::Result<()> {
    let mut runs = JoinSet::new();
    let outcome = loop {
        tokio::select! {
            outcome = &mut end => break outcome.unwrap_or(Ok(())),
            Some(_) = runs.join_next() => {}
            Some(Slow { id, started, time_limit }) = slow.recv() => {
                let mut work = desk.work.lock();
                // Dropping it ends it.
                let Some(run) = work.runs.get_mut(&id) else { continue };
                let desk = Arc::clone(desk);
                run.stage = Stage::Followed(runs.spawn(async move {
                    let ran = started.follow(time_limit).await;
                    desk.answer(id, ran);
                }));
            }
        }
    };
    // Dropping a run kills its process group.
    runs.shutdown().await;
    while slow.recv().await.is_some() {}
    outcome
}
