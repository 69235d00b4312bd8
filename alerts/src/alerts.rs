//! The long-lived part: what is configured, what is asked, and the tasks that do the work.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use noroshi_model::{CheckId, Clock, RecordBatch, Records, SeriesSource, Space, Status, Timestamp};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::book::{self, Letter, Notification, StateError};
use crate::config::{self, Applied, Config, ConfigError};
use crate::counters::{Counters, Figures};
use crate::smtp::Server;
use crate::view::{Channel, NotificationKind, NotificationState, NotificationView, Stats, Trace};

/// How many traces are read at once while one is looked for.
const TRACES_READ: usize = 100;

/// What this room needs of the others.
#[derive(Clone)]
pub struct Deps {
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Where events are read, and cursor, ledger, queue and traces are kept.
    pub records: Arc<dyn Records>,
    /// Where graphs take their samples from, and verifications the last result.
    pub series: Arc<dyn SeriesSource>,
    /// The newest sequence number in [`Space::Events`].
    pub events: watch::Receiver<u64>,
}

/// Decides who is told what, and tells them.
pub struct Alerts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) series: Arc<dyn SeriesSource>,
    pub(crate) events: watch::Receiver<u64>,
    active: RwLock<Arc<Active>>,
    /// Held from the first read of a decision to the end of its commit: decisions, and what the
    /// sender writes down, happen one after another.
    pub(crate) counters: Mutex<Counters>,
    pub(crate) figures: Figures,
    /// Bounds how many graphs are in work.
    pub(crate) drawing: Arc<Semaphore>,
    /// Told when something was queued or the server became another.
    pub(crate) queued: Notify,
}

/// What is configured now, with its certificates read.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) config: Config,
    pub(crate) server: Option<Server>,
}

impl Active {
    /// Returns the names of the contacts that can be reached.
    pub(crate) fn reachable(&self) -> BTreeSet<String> {
        let contacts = self.config.contacts.iter().filter(|_| self.server.is_some());
        let reachable = contacts.filter(|contact| !contact.addresses().is_empty());
        reachable.map(|contact| contact.name.clone()).collect()
    }
}

/// Why no test message was queued.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// Nobody is called so.
    #[error("no contact is called {name:?}")]
    NoSuchContact {
        /// The name asked for.
        name: String,
    },
    /// They have no address.
    #[error("contact {name:?} has no address")]
    NoAddress {
        /// The name asked for.
        name: String,
    },
    /// There is no way to send.
    #[error("no mail server is configured; add one under [smtp]")]
    NoServer,
    /// It could not be written down.
    #[error("cannot queue the message")]
    State(#[source] StateError),
}

impl Alerts {
    /// Makes the part with a config that tells nobody, and reads where it left off.
    pub fn new(deps: Deps) -> Result<Arc<Self>, StateError> {
        let counters = Counters::load(deps.records.as_ref(), deps.clock.now())?;
        let figures = Figures::load(deps.records.as_ref())?;
        let active = Active { config: Config::default(), server: None };
        Ok(Arc::new(Self {
            clock: deps.clock,
            records: deps.records,
            series: deps.series,
            events: deps.events,
            active: RwLock::new(Arc::new(active)),
            counters: Mutex::new(counters),
            figures,
            drawing: Arc::new(Semaphore::new(crate::picture::DRAWN_AT_ONCE_MAX)),
            queued: Notify::new(),
        }))
    }

    /// Takes a config over, and returns what became different. What waits is kept; when the
    /// server became another, it is tried at once. An error changes nothing.
    pub fn apply(&self, config: Config) -> Result<Applied, ConfigError> {
        if let Some(error) = config::check(&config).into_iter().next() {
            return Err(error);
        }
        let server = config.smtp.clone().map(Server::new).transpose()?;
        let mut active = self.active.write();
        let applied = config::difference(&active.config, &config);
        *active = Arc::new(Active { config, server });
        drop(active);
        if applied.is_smtp_changed {
            self.retry_now();
        }
        Ok(applied)
    }

    /// Tries everything that waits at once, whatever its next attempt was to be.
    pub fn retry_now(&self) {
        self.figures.hurry.store(true, Ordering::SeqCst);
        self.queued.notify_one();
    }

    /// Decides and sends until `stop`. Not to be called twice.
    ///
    /// Cancel: what was not committed is decided or sent again after the next start.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let pipeline = Arc::clone(&self).run_pipeline(stop.clone());
        tokio::join!(pipeline, self.run_sender(stop));
    }

    /// Returns the decisions about a host or check, newest first, at most `limit`: those up to
    /// and including `at`, or all that are kept.
    pub fn why(
        &self,
        id: &CheckId,
        at: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Trace>, StateError> {
        let prefix = book::traces_prefix(id);
        let mut before: Option<Vec<u8>> = None;
        let mut traces: Vec<Trace> = Vec::new();
        loop {
            let span = (prefix.as_slice(), before.as_deref(), TRACES_READ);
            let page: Vec<Trace> =
                book::values_back(self.records.as_ref(), Space::Traces, "traces", span)?;
            before = page.last().map(|trace| book::trace_key(id, trace.number));
            let is_last = page.is_empty();
            traces.extend(page.into_iter().filter(|trace| at.is_none_or(|at| trace.at <= at)));
            if is_last || traces.len() >= limit {
                traces.truncate(limit);
                return Ok(traces);
            }
        }
    }

    /// Returns notifications, newest first, at most `limit`: those with a number less than
    /// `before`, or the newest.
    pub fn notifications(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<NotificationView>, StateError> {
        let before = before.map(book::notification_key);
        let span = (book::NOTIFICATIONS, before.as_deref(), limit);
        let found: Vec<Notification> =
            book::values_back(self.records.as_ref(), Space::Queue, "notifications", span)?;
        Ok(found.iter().map(Notification::view).collect())
    }

    /// Queues a test message to every address of a contact, and returns the notifications' numbers.
    pub async fn test_message(self: &Arc<Self>, contact: &str) -> Result<Vec<u64>, TestError> {
        let (alerts, name) = (Arc::clone(self), contact.to_owned());
        let task = tokio::task::spawn_blocking(move || alerts.queue_test(&name));
        task.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn queue_test(&self, name: &str) -> Result<Vec<u64>, TestError> {
        let active = self.active();
        let Some(server) = &active.server else { return Err(TestError::NoServer) };
        let name = name.to_owned();
        let Some(contact) = active.config.contacts.iter().find(|contact| contact.name == name)
        else {
            return Err(TestError::NoSuchContact { name });
        };
        let addresses = contact.addresses();
        if addresses.is_empty() {
            return Err(TestError::NoAddress { name });
        }
        let mut counters = self.counters.lock();
        let mut batch = RecordBatch::new();
        let mut numbers = Vec::new();
        for (channel, address) in addresses {
            let number = counters.next_notification();
            let message_id = counters.message_id(None, &name, number, server.domain());
            let mut notification = self.test_notification(&name, channel, address);
            notification.number = number;
            notification.message_id = message_id;
            numbers.push(number);
            book::put_notification(&mut batch, &notification);
        }
        self.commit(batch).map_err(TestError::State)?;
        drop(counters);
        self.announce(&numbers);
        Ok(numbers)
    }

    fn test_notification(&self, contact: &str, channel: Channel, address: &str) -> Notification {
        let now = self.clock.now();
        Notification {
            number: 0,
            at: now,
            contact: contact.to_owned(),
            channel,
            address: address.to_owned(),
            id: CheckId::host("noroshi"),
            kind: NotificationKind::Test,
            status: Status::Ok,
            problem: 0,
            event: None,
            subject: format!("[TEST] Noroshi reaches {contact}"),
            message_id: String::new(),
            answers: None,
            state: NotificationState::Queued,
            attempts: 0,
            next_attempt: now,
            sent_at: None,
            error: None,
            letter: Some(Letter::default()),
        }
    }

    /// Forgets every host and check that is not configured any more, and returns how many there
    /// were: no reminder comes for them, and no mail lists them. To be called after `checks` has
    /// taken a config over.
    pub async fn retain(
        self: &Arc<Self>,
        is_known: impl Fn(&CheckId) -> bool + Send + 'static,
    ) -> Result<usize, StateError> {
        let alerts = Arc::clone(self);
        let task = tokio::task::spawn_blocking(move || alerts.forget_unknown(is_known));
        task.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn forget_unknown(&self, is_known: impl Fn(&CheckId) -> bool) -> Result<usize, StateError> {
        let _decisions_wait = self.counters.lock();
        let mut batch = RecordBatch::new();
        let mut forgotten = BTreeSet::new();
        for prefix in [book::MEMORIES, book::TOLD] {
            let found = self.records.scan(Space::Ledger, prefix, None, usize::MAX);
            let what = "ledger";
            for (key, _) in found.map_err(|source| StateError::Read { what, source })? {
                let Some((id, _)) = book::id_of_key(&key) else { continue };
                if !is_known(&id) {
                    batch.remove(Space::Ledger, key);
                    forgotten.insert(id);
                }
            }
        }
        if !batch.is_empty() {
            self.commit(batch)?;
        }
        Ok(forgotten.len())
    }

    /// Returns figures for `/metrics`.
    pub fn stats(&self) -> Stats {
        self.figures.stats(self.clock.now(), *self.events.borrow(), self.counters.lock().cursor())
    }

    /// Returns what is configured now.
    pub(crate) fn active(&self) -> Arc<Active> {
        Arc::clone(&self.active.read())
    }

    /// Makes a batch durable. Blocking.
    pub(crate) fn commit(&self, batch: RecordBatch) -> Result<(), StateError> {
        self.records.commit(batch).map_err(StateError::Write)
    }
}

impl std::fmt::Debug for Alerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alerts").field("active", &self.active()).finish_non_exhaustive()
    }
}
