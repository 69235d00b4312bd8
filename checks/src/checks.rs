//! The whole of the room: what the programs hold, and the tasks behind it.

use std::sync::Arc;
use std::time::Duration;

use noroshi_expr::{Engine, EngineLimits};
use noroshi_model::{CheckId, Clock, Event, EventBody, Records, SeriesSource, Sink, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::action::{Acknowledge, ActionError, Downtime, Heartbeat, PassiveResult};
use crate::availability::{self, Availability, AvailabilityOf, AvailabilityReport, Turn, What};
use crate::board::{Applied, Board, Gathered, Wanted, all_to_wall, to_wall};
use crate::handed::HandedIn;
use crate::log;
use crate::plugin::Plugins;
use crate::probe::{Judging, Probe};
use crate::record::StateError;
use crate::run::{Runner, from_outside};
use crate::samples;
use crate::schedule::Steady;
use crate::spec::Site;
use crate::stats::{Counters, LastRuns, Stats, count};
use crate::view::{CheckView, Counts, HostRow, HostView};
use crate::writer::{Message, Writer};

/// How many results and actions wait for the writer. When it is full, whoever brings one waits.
const MESSAGES_MAX: usize = 4096;
/// How many updates a reader of [`Checks::updates`] may be behind before it is told that it lost
/// some.
const UPDATES_MAX: usize = 4096;

/// How many requests for runs by agents wait; the oldest go, and whoever wants one asks again.
const ASKED_MAX: usize = 1024;

/// How many events of an availability are read at once.
const EVENTS_AT_ONCE: usize = 1000;

/// How many samples one expression may load: a thousand series over a day at 10 s and more.
const SAMPLES_MAX: usize = 10_000_000;
/// How long one expression may be evaluated. It goes on after the check's own time-out, because a
/// thread cannot be ended, and must not do so for long.
const EVALUATION_MAX: Duration = Duration::from_secs(20);

/// What the room needs of others.
#[derive(Clone)]
pub struct Deps {
    /// Tells the time of day.
    pub clock: Arc<dyn Clock>,
    /// Keeps states and events.
    pub records: Arc<dyn Records>,
    /// Answers expressions.
    pub series: Arc<dyn SeriesSource>,
    /// Takes performance data.
    pub sink: Arc<dyn Sink>,
}

/// Hosts and checks: runs them, judges what they find, and remembers it.
pub struct Checks {
    deps: Deps,
    pub(crate) board: Arc<Mutex<Board>>,
    /// Held while a site is put in force.
    applying: Mutex<()>,
    steady: Steady,
    messages: mpsc::Sender<Message>,
    /// Taken by the first [`Checks::run`].
    inbox: Mutex<Option<mpsc::Receiver<Message>>>,
    committed: watch::Sender<u64>,
    updates: broadcast::Sender<CheckId>,
    asked: broadcast::Sender<(String, String)>,
    /// Something is due earlier than the scheduler believes.
    due: Arc<Notify>,
    /// There is something to write that came by no message.
    to_write: Arc<Notify>,
    engine: Engine,
    plugins: Arc<Plugins>,
    counters: Arc<Counters>,
    pub(crate) handed: HandedIn,
}

impl Checks {
    /// Reads what is remembered. Nothing is watched before [`Checks::apply`], nothing runs before
    /// [`Checks::run`].
    pub fn new(deps: Deps) -> Result<Arc<Self>, StateError> {
        let board = Board::load(&*deps.records)?;
        let (messages, inbox) = mpsc::channel(MESSAGES_MAX);
        Ok(Arc::new(Self {
            steady: Steady::start(deps.clock.now()),
            committed: watch::Sender::new(board.log.newest()),
            updates: broadcast::Sender::new(UPDATES_MAX),
            asked: broadcast::Sender::new(ASKED_MAX),
            board: Arc::new(Mutex::new(board)),
            applying: Mutex::default(),
            messages,
            inbox: Mutex::new(Some(inbox)),
            due: Arc::default(),
            to_write: Arc::default(),
            engine: Engine::new(EngineLimits {
                samples_max: SAMPLES_MAX,
                duration_max: EVALUATION_MAX,
                lookback: EngineLimits::default().lookback,
            }),
            plugins: Arc::default(),
            counters: Arc::default(),
            handed: HandedIn::default(),
            deps,
        }))
    }

    /// Makes the site what is watched. Checks that stay keep their states and their phases, and go
    /// on meanwhile: a large site is put in force in slices. Blocking, for as long as it takes to
    /// compare the site with the one before.
    pub fn apply(&self, site: Site) -> Applied {
        let _one = self.applying.lock();
        self.plugins.apply(site.plugins.clone());
        let applied = Wanted::new(site).apply(&self.board, self.now(), self.steady);
        self.due.notify_one();
        self.to_write.notify_one();
        applied
    }

    /// Runs checks until `stop`; then ends what is under way and writes what is not yet written.
    ///
    /// May be called once; a second call returns at once. Returns before `stop` only when the
    /// task that judges and commits has failed by a bug; the program should then end and be started
    /// again.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let Some(inbox) = self.inbox.lock().take() else { return };
        let writer = Writer {
            deps: self.deps.clone(),
            board: Arc::clone(&self.board),
            steady: self.steady,
            committed: self.committed.clone(),
            updates: self.updates.clone(),
            due: Arc::clone(&self.due),
            to_write: Arc::clone(&self.to_write),
            plugins: Arc::clone(&self.plugins),
            messages: self.messages.clone(),
            counters: Arc::clone(&self.counters),
        };
        let runner = Runner {
            deps: self.deps.clone(),
            board: Arc::clone(&self.board),
            steady: self.steady,
            messages: self.messages.clone(),
            due: Arc::clone(&self.due),
            engine: self.engine.clone(),
            plugins: Arc::clone(&self.plugins),
            counters: Arc::clone(&self.counters),
        };
        // The writer ends after the runner, so that it takes the last results.
        let writer_stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (plugins, token) = (Arc::clone(&self.plugins), writer_stop.clone());
        tasks.spawn(async move { plugins.supervise(token).await });
        tasks.spawn(writer.run(inbox, writer_stop.clone()));
        tokio::select! {
            () = runner.run(stop) => {}
            // Without the writer nothing is judged any longer: better an end that is seen.
            Some(ended) = tasks.join_next() => {
                tracing::error!(?ended, "a task of checks failed by a bug; no check runs now");
            }
        }
        writer_stop.cancel();
        while tasks.join_next().await.is_some() {}
    }

    /// Returns all hosts, by name.
    pub fn hosts(&self) -> Vec<HostRow> {
        self.board.lock().hosts()
    }

    /// Returns one host; `None` when there is none of that name.
    pub fn host(&self, name: &str) -> Option<HostView> {
        let mut host = self.board.lock().host(name)?;
        to_wall(&mut host.state, self.now(), self.steady.now());
        Some(host)
    }

    /// Returns the checks of a host, by name; empty when there is no such host.
    pub fn checks_of(&self, host: &str) -> Vec<CheckView> {
        let checks = self.board.lock().checks_of(host);
        all_to_wall(checks, self.now(), self.steady.now())
    }

    /// Returns a check, or a host's own state; `None` when there is none of that name.
    pub fn check(&self, id: &CheckId) -> Option<CheckView> {
        let mut view = self.board.lock().view(id)?;
        to_wall(&mut view, self.now(), self.steady.now());
        Some(view)
    }

    /// Returns everything that has a problem, the worst first, of the equally bad the newest.
    pub fn problems(&self) -> Vec<CheckView> {
        let problems = self.board.lock().problems();
        all_to_wall(problems, self.now(), self.steady.now())
    }

    /// Tells what the room knows of itself.
    pub fn stats(&self) -> Stats {
        let waiting = self.messages.max_capacity() - self.messages.capacity();
        self.counters.read(waiting, self.plugins.starts())
    }

    /// Tells how late the last runs of all checks began and how long they took.
    pub fn last_runs(&self) -> LastRuns {
        self.board.lock().last_runs()
    }

    /// Counts hosts and checks by status.
    pub fn counts(&self) -> Counts {
        self.board.lock().counts()
    }

    /// Returns events, newest first: of one check or of all, with a number below `before`.
    ///
    /// At most `limit`, and never more than a thousand. Blocking: it reads records.
    pub fn events(&self, id: Option<&CheckId>, before: Option<u64>, limit: usize) -> Vec<Event> {
        let sequences = self.board.lock().log.query(id, before, limit);
        log::read(&*self.deps.records, &sequences)
    }

    /// Adds up how long a host or check was in which state from `start` to `end`.
    ///
    /// `None` when there is none of that name. A moment to come counts as now. Blocking: it reads
    /// records.
    pub fn availability(
        &self,
        id: &CheckId,
        start: Timestamp,
        end: Timestamp,
    ) -> Option<Availability> {
        let report = self.availability_of_all(std::slice::from_ref(id), start, end);
        report.rows.into_iter().next().map(|(_, times)| times)
    }

    /// Returns whose availability is asked for, by name; at most one more than `limit`.
    pub fn chosen(&self, of: &AvailabilityOf, limit: usize) -> Vec<CheckId> {
        self.board.lock().chosen(of, limit)
    }

    /// Adds up how long each of several was in which state from `start` to `end`, and how long any
    /// or all of them were not fine.
    ///
    /// Who is not known is left out. A moment to come counts as now. Blocking: it reads the events
    /// of all of them once, a thousand at a time.
    pub fn availability_of_all(
        &self,
        ids: &[CheckId],
        start: Timestamp,
        end: Timestamp,
    ) -> AvailabilityReport {
        let now = self.now();
        let gathered = self.board.lock().gather(ids, now);
        let mut turns = Vec::new();
        for sequences in gathered.sequences.chunks(EVENTS_AT_ONCE) {
            for event in log::read(&*self.deps.records, sequences) {
                let slot = gathered.slot_of.get(&event.id);
                if let (Some(slot), Some(what)) = (slot, What::of(&event.body)) {
                    turns.push(Turn { at: event.at, slot: *slot, what });
                }
            }
        }
        let span = (start, end.min(now).max(start));
        let Gathered { ids, subjects, slots, gaps, .. } = gathered;
        let (times, [together, without_downtime]) =
            availability::add_up(&subjects, &slots, &turns, &gaps, span);
        AvailabilityReport {
            rows: ids.into_iter().zip(times).collect(),
            together,
            together_without_downtime: without_downtime,
        }
    }

    /// Tells the number of the newest committed event, now and whenever there is a newer one.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// Tells of which check something shown has changed.
    pub fn updates(&self) -> broadcast::Receiver<CheckId> {
        self.updates.subscribe()
    }

    /// Tells which plug-in of which host's agent somebody wants to be run at once.
    pub fn asked(&self) -> broadcast::Receiver<(String, String)> {
        self.asked.subscribe()
    }

    /// Takes a result in that somebody else found. Ready when it is durable.
    pub async fn submit(&self, result: PassiveResult) -> Result<(), ActionError> {
        self.submit_all(vec![result]).await?.pop().unwrap_or(Ok(()))
    }

    /// Takes results in, in their order, with one commit. Returns what became of each.
    pub(crate) async fn submit_all(
        &self,
        results: Vec<PassiveResult>,
    ) -> Result<Vec<Result<(), ActionError>>, ActionError> {
        let counters = Arc::clone(&self.counters);
        self.act(move |board, now, steady| {
            let take = |result| {
                let mut result = from_outside(result, now)?;
                if !board.entries.contains_key(&result.id) {
                    let Some(id) = board.by_address(&result.id) else {
                        return Err(ActionError::NoSuchCheck { id: result.id });
                    };
                    result.id = id;
                }
                let status = board.take_result(&result, Judging::default(), now, steady);
                samples::add(&mut board.out.samples, &result, &[], status);
                count(&counters.results, 1);
                Ok(())
            };
            Ok(results.into_iter().map(take).collect())
        })
        .await
    }

    /// Takes a call of a heartbeat in. Ready when it is durable.
    pub async fn heartbeat(&self, id: &CheckId, call: Heartbeat) -> Result<(), ActionError> {
        let (id, counters) = (id.clone(), Arc::clone(&self.counters));
        self.act(move |board, now, steady| {
            let is_result = board.heartbeat(&id, call, now, steady)?;
            count(&counters.results, usize::from(is_result));
            Ok(())
        })
        .await
    }

    /// Asks for a run at once; a run under way is followed by another. Of a plug-in that an agent
    /// runs, those who listen to [`Checks::asked`] are told.
    pub async fn recheck(&self, id: &CheckId) -> Result<(), ActionError> {
        let id = id.clone();
        let asked = self.asked.clone();
        self.act(move |board, _, steady| {
            if !board.entries.contains_key(&id) {
                return Err(ActionError::NoSuchCheck { id });
            }
            if let Some(Probe::Agent(agent)) = board.entries[&id].probe()
                && asked.send((id.host.to_string(), agent.plugin.clone())).is_err()
            {
                tracing::debug!(check = %id, "nobody brings requests to agents");
            }
            board.recheck(&id, steady);
            Ok(())
        })
        .await
    }

    /// Takes a problem on.
    pub async fn acknowledge(&self, id: &CheckId, asked: Acknowledge) -> Result<(), ActionError> {
        let id = id.clone();
        self.act(move |board, now, _| board.acknowledge(&id, asked, now)).await
    }

    /// Gives a problem back.
    pub async fn unacknowledge(&self, id: &CheckId, author: &str) -> Result<(), ActionError> {
        let (id, author) = (id.clone(), author.to_owned());
        self.act(move |board, now, _| board.unacknowledge(&id, author, now)).await
    }

    /// Plans a downtime. Returns its number.
    pub async fn downtime(&self, asked: Downtime) -> Result<u64, ActionError> {
        self.act(move |board, now, _| board.plan_downtime(&asked, now)).await
    }

    /// Plans a downtime of a host, and one for each host behind it that begins when that does.
    pub(crate) async fn downtime_that_triggers(&self, asked: Downtime) -> Result<(), ActionError> {
        let asked = Downtime { is_for_children: true, ..asked };
        self.act(move |board, now, _| board.plan_downtimes(&asked, true, now).map(drop)).await
    }

    /// Ends a downtime, or takes it back before it began.
    pub async fn cancel_downtime(&self, downtime: u64, author: &str) -> Result<(), ActionError> {
        tracing::info!(downtime, author, "downtime cancelled");
        self.act(move |board, now, _| board.cancel_downtime(downtime, now)).await
    }

    /// Adds a comment.
    pub async fn comment(&self, id: &CheckId, author: &str, text: &str) -> Result<(), ActionError> {
        let (id, author, text) = (id.clone(), author.to_owned(), text.to_owned());
        self.act(move |board, now, _| board.comment(&id, author, text, now)).await
    }

    /// Logs what was done elsewhere about a host or check, which may be gone already.
    pub async fn note(&self, id: &CheckId, body: EventBody) -> Result<(), ActionError> {
        let id = id.clone();
        self.act(move |board, now, _| {
            board.log(&id, body, now);
            Ok(())
        })
        .await
    }

    /// Lets the writer do something to the board. Ready when what it did is durable.
    async fn act<T: Send + 'static>(
        &self,
        action: impl FnOnce(&mut Board, Timestamp, i64) -> Result<T, ActionError> + Send + 'static,
    ) -> Result<T, ActionError> {
        let (reply, answer) = oneshot::channel();
        let message = Message::Act(Box::new(move |board, now, steady| {
            let done = action(board, now, steady);
            Box::new(move || {
                // Who asked may have gone away; what was asked for is done.
                drop(reply.send(done));
            })
        }));
        self.messages.send(message).await.map_err(|_| ActionError::Stopping)?;
        self.to_write.notify_one();
        answer.await.unwrap_or(Err(ActionError::Stopping))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.deps.clock.now()
    }
}

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checks").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
