//! The runner: begins what is due, each run in a task of its own, and hands in what it found.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use noroshi_expr::Engine;
use noroshi_model::{CheckResult, Origin, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::action::{ActionError, PassiveResult};
use crate::board::{Board, Job};
use crate::checks::Deps;
use crate::class::{Class, Room};
use crate::on_host::{Looking, look_here};
use crate::plugin::{OUTPUT_BYTES_MAX, Plugins, understand_passive};
use crate::probe::{
    Finding, Probe, cluster, dns, http, icmp, look_agent, look_passive, look_plugin, nrpe, ntp,
    tcp, tls,
};
use crate::record::cut;
use crate::schedule::Steady;
use crate::stats::Counters;
use crate::writer::Message;

/// How many probes and plug-ins are under way at most, when there are files enough for them.
const RUNS_MAX: usize = 2048;
/// How many open files a run needs: a probe a socket or two, without the spawner a plug-in two
/// pipes and a handle.
const FILES_PER_RUN: u64 = 3;
/// How many open files are left to the rest of the server.
const FILES_OF_OTHERS: u64 = 256;
/// How many expressions are evaluated at once: they need the processor, not patience.
const EXPRESSIONS_MAX: usize = 4;
/// How many plug-ins and expressions are begun beyond those that have a place, to stand ready when
/// a place gets free while the runner rests. The others stay planned: they cost nothing there.
const AHEAD: usize = 256;
/// How long the scheduler sleeps when nothing is due.
const IDLE: Duration = Duration::from_mins(1);
/// How long it rests after a look: what becomes due meanwhile is begun together, which costs a
/// fraction of the wake-ups and makes nothing late that anybody could notice.
const REST: Duration = Duration::from_millis(10);

/// Begins what is due.
pub(crate) struct Runner {
    pub(crate) deps: Deps,
    pub(crate) board: Arc<Mutex<Board>>,
    pub(crate) steady: Steady,
    pub(crate) messages: mpsc::Sender<Message>,
    pub(crate) due: Arc<Notify>,
    pub(crate) engine: Engine,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) counters: Arc<Counters>,
}

/// What every run uses.
struct Tools {
    deps: Deps,
    engine: Engine,
    steady: Steady,
    messages: mpsc::Sender<Message>,
    pingers: icmp::Pingers,
    nrpe_versions: nrpe::Versions,
    looking: Looking,
    plugins: Arc<Plugins>,
    expressions: Arc<Semaphore>,
}

impl Runner {
    /// Begins what is due until `stop`; then ends what is under way.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let tools = Arc::new(Tools {
            deps: self.deps,
            engine: self.engine,
            steady: self.steady,
            messages: self.messages,
            pingers: icmp::Pingers::new(),
            nrpe_versions: nrpe::Versions::default(),
            looking: Looking::default(),
            plugins: self.plugins,
            expressions: Arc::new(Semaphore::new(EXPRESSIONS_MAX)),
        });
        let mut runs = Runs::default();
        let runs_max = runs_max();
        loop {
            let rested = Instant::now() + REST;
            let room = runs.room(runs_max, tools.plugins.at_once());
            let (jobs, earliest, waits) = {
                let mut board = self.board.lock();
                let jobs = board.take_due(room, tools.deps.clock.now(), self.steady.now());
                (jobs, board.queue.earliest(), board.queue.waits())
            };
            for job in jobs {
                // Boxed, because a task is copied whole when it is begun and when it has ended.
                let class = job.class;
                runs.of(class).spawn(Box::pin(run_one(Arc::clone(&tools), job)));
            }
            self.counters.runs_under_way.store(runs.count() as u64, Ordering::Relaxed);
            let wake = match earliest {
                Some(due) => self.steady.instant(due),
                None => Instant::now() + IDLE,
            };
            tokio::select! {
                () = sleep_until(wake.max(rested)) => {}
                () = self.due.notified() => {}
                // Where none waits for room an end is nothing to wake up for.
                () = runs.end(waits) => {}
                () = stop.cancelled() => break,
            }
            tokio::select! {
                () = sleep_until(rested) => {}
                () = stop.cancelled() => break,
            }
        }
        runs.shutdown().await;
    }
}

/// What is under way, by class: plug-ins that hang must not take the room of probes.
#[derive(Default)]
struct Runs([JoinSet<()>; Class::ALL.len()]);

impl Runs {
    fn of(&mut self, class: Class) -> &mut JoinSet<()> {
        &mut self.0[class as usize]
    }

    fn count(&self) -> usize {
        self.0.iter().map(JoinSet::len).sum()
    }

    /// Returns how many more may begin of each class, after it has let go of those that ended.
    fn room(&mut self, runs_max: usize, places: usize) -> Room {
        for runs in &mut self.0 {
            while runs.try_join_next().is_some() {}
        }
        Room(Class::ALL.map(|class| {
            let most = match class {
                // Places are for runs that may need files of this process as well.
                Class::Probe => runs_max - places.min(runs_max / 2),
                Class::Plugin => places + AHEAD,
                Class::Expression => EXPRESSIONS_MAX + AHEAD,
            };
            most.saturating_sub(self.0[class as usize].len())
        }))
    }

    /// Ready when a run of one of these classes has ended.
    async fn end(&mut self, of: [bool; Class::ALL.len()]) {
        poll_fn(|context| {
            for (runs, is_wanted) in self.0.iter_mut().zip(of) {
                if is_wanted && let Poll::Ready(Some(_)) = runs.poll_join_next(context) {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        })
        .await;
    }

    async fn shutdown(&mut self) {
        for runs in &mut self.0 {
            runs.shutdown().await;
        }
    }
}

/// Returns how many runs may be under way: a probe that cannot open a socket because there are too
/// many would call a target down that is not.
fn runs_max() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let room = files.unwrap_or(u64::MAX).saturating_sub(FILES_OF_OTHERS) / FILES_PER_RUN;
    usize::try_from(room).unwrap_or(RUNS_MAX).clamp(16, RUNS_MAX)
}

/// Makes one run and hands in its result.
async fn run_one(tools: Arc<Tools>, job: Job) {
    let Some(probe) = job.probe() else { return };
    let _place = match job.class {
        Class::Plugin => tools.plugins.place().await,
        // The semaphore is never closed.
        Class::Expression => Arc::clone(&tools.expressions).acquire_owned().await.ok(),
        Class::Probe => None,
    };
    let late = tools.steady.now().saturating_sub(job.due).max(0).unsigned_abs();
    let started = tools.deps.clock.now();
    let begun = Instant::now();
    let looked = AssertUnwindSafe(look(&tools, &job, probe, started)).catch_unwind().await;
    let mut finding = looked.unwrap_or_else(|_| {
        tracing::error!(check = %job.id, "a check panicked; this is a bug in the server");
        Finding::own_fault("the check failed by a bug in the server; its log says more")
    });
    let origin = if probe.is_active() { Origin::Active } else { Origin::Stale };
    let result = CheckResult {
        id: job.id,
        status: finding.status,
        output: std::mem::take(&mut finding.output),
        long_output: std::mem::take(&mut finding.long_output),
        perfdata: std::mem::take(&mut finding.perfdata),
        started,
        // Measured on the steady clock: a jump of the wall clock makes no run longer or shorter.
        finished: started + finding.took.unwrap_or_else(|| begun.elapsed()),
        latency: Duration::from_millis(late),
        origin,
    };
    // The writer outlives all runs; when it is gone there is nobody to tell.
    drop(tools.messages.send(Message::Result(Box::new(result), finding.more())).await);
}

/// Looks, for no longer than the time-out.
async fn look(tools: &Tools, job: &Job, probe: &Probe, now: Timestamp) -> Finding {
    let limit = job.ready.timing.timeout;
    // Each kind has its own box: otherwise every run would have room for the largest of them.
    let looking = async {
        match probe {
            Probe::Expression(_) => look_at_expression(tools, job, now).await,
            Probe::Tcp(probe) => Box::pin(tcp::look(probe, &job.macros, now)).await,
            Probe::Agent(probe) => look_agent(probe, job.heard, now),
            Probe::Passive(probe) => look_passive(probe, job.heard, now),
            Probe::Cluster(probe) => cluster::look(probe, &job.members),
            // The runner of plug-ins keeps the time by itself, to end the whole process group.
            Probe::Plugin(probe) => look_plugin(probe, &job.macros, &tools.plugins, limit).await,
            Probe::Http(probe) => Box::pin(http::look(probe, &job.macros, now)).await,
            // It keeps the time by itself: waiting for its turn does not count.
            Probe::Icmp(probe) => {
                Box::pin(icmp::look(probe, &job.macros, &tools.pingers, limit)).await
            }
            Probe::Dns(probe) => Box::pin(dns::look(probe, &job.macros)).await,
            Probe::Tls(probe) => Box::pin(tls::look(probe, &job.macros, now)).await,
            Probe::Nrpe(probe) => {
                Box::pin(nrpe::look(probe, &job.macros, &tools.nrpe_versions)).await
            }
            Probe::Ntp(probe) => Box::pin(ntp::look(probe, &job.macros, now)).await,
            Probe::OnHost(look) => look_here(look, &tools.looking, now).await,
        }
    };
    if matches!(probe, Probe::Plugin(_) | Probe::Icmp(_)) {
        return looking.await;
    }
    timeout(limit, looking).await.unwrap_or_else(|_| Finding::timed_out(limit))
}

async fn look_at_expression(tools: &Tools, job: &Job, now: Timestamp) -> Finding {
    let (engine, series) = (tools.engine.clone(), Arc::clone(&tools.deps.series));
    let (over, ready) = (job.over.clone(), Arc::clone(&job.ready));
    let (host, check) = (Arc::clone(&job.macros.host), job.macros.check.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let probe = check.as_ref().map(|check| &check.probe).or(host.probe.as_ref());
        let judged = probe.and_then(|probe| ready.judged(probe));
        judged.map(|judged| judged.look(&engine, &*series, &over, now))
    });
    match looked.await {
        Ok(finding) => finding.unwrap_or_else(|| Finding::own_fault("the expression is missing")),
        Err(_) => Finding::own_fault("the evaluation failed by a bug in the server"),
    }
}

/// Makes a result of what somebody handed in.
pub(crate) fn from_outside(
    handed: PassiveResult,
    now: Timestamp,
) -> Result<CheckResult, ActionError> {
    let (id, status) = (handed.id, handed.status);
    if status.is_host() != id.is_host() && status.is_host() {
        return Err(ActionError::WrongStatus { id, status });
    }
    let understood = understand_passive(status, cut(&handed.output, OUTPUT_BYTES_MAX));
    // A result from the future would make all later ones look old.
    let at = handed.at.unwrap_or(now).min(now);
    Ok(CheckResult {
        id,
        status,
        output: understood.output,
        long_output: understood.long_output,
        perfdata: understood.perfdata,
        started: at,
        finished: at,
        latency: Duration::ZERO,
        origin: handed.origin,
    })
}

#[cfg(test)]
mod tests;
