//! What the integration tests share: a house around the room, made of the seams.

#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod smtp_server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use jiff::tz::TimeZone;
use noroshi_alerts::{Alerts, Config, Contact, Deps, Smtp, StatusFilter};
use noroshi_model::seam::{ManualClock, MemoryRecords, RawSegment, Record, Segment, SelectOnly};
use noroshi_model::{
    ChangeKind, CheckId, Clock, Event, EventBody, GraphHint, Labels, RecordBatch, RecordError,
    Records, Refused, Select, SeriesData, SeriesSource, Space, StateChange, StateType, Status,
    Subject, Timestamp,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// 2026-11-21 04:04:05 UTC.
pub const START: Timestamp = Timestamp::from_secs(1_795_233_845);

/// What outlives a kill: records, and the world around.
pub struct World {
    pub records: Arc<MemoryRecords>,
    pub clock: Arc<ManualClock>,
    pub series: Arc<dyn SeriesSource>,
    events: watch::Sender<u64>,
}

/// One life of the room, from start to stop or kill.
pub struct Life {
    pub alerts: Arc<Alerts>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl World {
    pub fn new() -> Self {
        Self {
            records: Arc::new(MemoryRecords::new()),
            clock: Arc::new(ManualClock::new(START)),
            series: Arc::new(curve()),
            events: watch::Sender::new(0),
        }
    }

    /// Begins a life on records that may die.
    pub fn live_on(&self, records: Arc<dyn Records>, config: Config) -> Life {
        let deps = Deps {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            records,
            series: Arc::clone(&self.series),
            events: self.events.subscribe(),
        };
        let alerts = Alerts::new(deps).unwrap();
        alerts.apply(config).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&alerts).run(stop.clone()));
        Life { alerts, stop, task }
    }

    pub fn live(&self, config: Config) -> Life {
        self.live_on(Arc::clone(&self.records) as Arc<dyn Records>, config)
    }

    /// Lets a life begin and end in which nothing happens: what a first start writes is written.
    pub async fn live_before(&self, config: Config) {
        let life = self.live(config);
        life.until("the contacts written down", |_| {
            self.records.get(Space::Values, b"alerts/reachable").unwrap().is_some()
        })
        .await;
        life.stop().await;
    }

    /// Adds an event to the log, a second after the last one.
    pub fn happen(&self, id: &CheckId, body: EventBody) -> u64 {
        self.clock.advance(Duration::from_secs(1));
        let sequence = *self.events.borrow() + 1;
        let event = Event { sequence, at: self.clock.now(), id: id.clone(), body };
        let mut batch = RecordBatch::new();
        batch.put(Space::Events, Event::key(sequence), event.to_record());
        self.records.commit(batch).unwrap();
        self.events.send_replace(sequence);
        sequence
    }
}

impl Life {
    /// Stops as the server does on SIGTERM.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Ends as by kill -9: no future goes on.
    pub async fn kill(self) {
        self.task.abort();
        // The error says that it was aborted, which is what was asked for.
        drop(self.task.await);
    }

    /// Waits until a condition on the room holds, which other tasks bring about.
    pub async fn until(&self, what: &str, holds: impl Fn(&Alerts) -> bool) {
        let wait = async {
            while !holds(&self.alerts) {
                tokio::task::yield_now().await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        // Longer than the timeouts that a test with a paused clock waits for.
        tokio::time::timeout(Duration::from_mins(1), wait)
            .await
            .unwrap_or_else(|_| panic!("{what} never held: {:?}", self.alerts.stats()));
    }
}

/// One contact `ann` in Tokyo, told of everything.
pub fn config(smtp: Smtp) -> Config {
    Config {
        contacts: vec![contact("ann", &["ann@example.net"], &[])],
        smtp: Some(smtp),
        base_url: "https://noroshi.example.net".to_owned(),
        remind: None,
    }
}

pub fn contact(name: &str, email: &[&str], pager: &[&str]) -> Contact {
    let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    Contact {
        name: name.to_owned(),
        email: owned(email),
        pager: owned(pager),
        statuses: StatusFilter::default(),
        zone: TimeZone::get("Asia/Tokyo").unwrap(),
    }
}

pub fn web1() -> CheckId {
    CheckId::check("web1", "http")
}

/// Returns a change of `web1/http` with everything that can be told.
pub fn change(kind: ChangeKind, status: Status, problem: u64) -> StateChange {
    let labels = [("role".to_owned(), "web".to_owned())];
    StateChange {
        kind,
        previous: if status.is_problem() { Status::Ok } else { Status::Critical },
        status,
        state_type: StateType::Hard,
        attempt: 3,
        attempts_max: 3,
        lasting: None,
        problem,
        since: START - Duration::from_secs(200),
        output: if status.is_problem() {
            "connection refused — 接続拒否".to_owned()
        } else {
            "HTTP/1.1 200 OK in 12 ms".to_owned()
        },
        long_output: "connect to 192.0.2.10 port 80\n<no answer & no luck>".to_owned(),
        is_in_downtime: false,
        is_acknowledged: false,
        is_flapping: false,
        blocked_by: Vec::new(),
        behind: noroshi_model::Behind::default(),
        subject: Subject {
            address: "192.0.2.10".to_owned(),
            alias: "Front server 1".to_owned(),
            groups: vec!["web".to_owned(), "tokyo".to_owned()],
            labels: labels.into(),
            contacts: Vec::new(),
            is_quiet: false,
            notes: "Restart nginx: systemctl restart nginx\nThen look at the error log.".to_owned(),
            notes_url: "https://wiki.example.net/nginx?a=1&b=2".to_owned(),
            graphs: vec![GraphHint {
                expr: "rate(nginx_http_requests_total{instance=\"web1\"}[1m])".to_owned(),
                title: "Requests per second on web1".to_owned(),
                unit: "per second".to_owned(),
                warning: Some(80.0),
                critical: Some(100.0),
            }],
        },
    }
}

pub fn problem(number: u64) -> EventBody {
    EventBody::State(Box::new(change(ChangeKind::HardProblem, Status::Critical, number)))
}

pub fn recovery(number: u64) -> EventBody {
    EventBody::State(Box::new(change(ChangeKind::HardRecovery, Status::Ok, number)))
}

/// Series that always are there: a counter that grows by 60 a second and, in the last five
/// minutes before [`START`], by 120.
pub fn curve() -> impl SeriesSource {
    SelectOnly(|request: &Select| {
        let labels = Labels::new([
            ("__name__", "nginx_http_requests_total"),
            ("instance", "web1"),
            ("job", "nginx"),
        ]);
        let mut raw = RawSegment::default();
        let mut at = Timestamp::from_millis(request.after.as_millis() + 1)
            .align_down(Duration::from_secs(10));
        while at <= request.until {
            if at > request.after {
                let busy = at.since(START - Duration::from_mins(5)).as_secs_f64();
                raw.at.push(at.as_millis());
                raw.value.push(at.as_secs_f64() * 60.0 + busy * 60.0);
            }
            at = at + Duration::from_secs(10);
        }
        Ok(vec![SeriesData { labels, segments: vec![Segment::Raw(raw)] }])
    })
}

/// Series that are asked for and do not come until somebody lets go; then the source breaks.
/// `entered` hears of each question, each word of `is_released` lets one go.
pub fn stuck(
    entered: tokio::sync::mpsc::Sender<()>,
    is_released: std::sync::mpsc::Receiver<()>,
) -> impl SeriesSource {
    let is_released = std::sync::Mutex::new(is_released);
    SelectOnly(move |_: &Select| {
        if entered.try_send(()).is_err() {
            // Somebody has heard already.
        }
        let released = is_released.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
        panic!("the source breaks: {released:?}");
    })
}

/// Records on which the process dies at a given commit: that commit and all later ones fail.
pub struct Mortal {
    records: Arc<MemoryRecords>,
    commits_left: AtomicI64,
    /// Whether the last commit is on disk, so that only its answer is lost.
    is_last_kept: bool,
    pub is_dead: AtomicBool,
    /// Whether the commit at which it died took a mail out of the queue.
    pub died_after_sending: AtomicBool,
}

impl Mortal {
    pub fn new(records: &Arc<MemoryRecords>, commits: i64, is_last_kept: bool) -> Arc<Self> {
        Arc::new(Self {
            records: Arc::clone(records),
            commits_left: AtomicI64::new(commits),
            is_last_kept,
            is_dead: AtomicBool::new(false),
            died_after_sending: AtomicBool::new(false),
        })
    }

    /// Lets commits succeed again: a disk that was full for a while.
    pub fn revive(&self) {
        self.commits_left.store(i64::MAX, Ordering::SeqCst);
        self.is_dead.store(false, Ordering::SeqCst);
    }
}

impl Records for Mortal {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        self.records.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RecordError> {
        self.records.scan(space, prefix, after, limit)
    }

    fn scan_back(
        &self,
        space: Space,
        prefix: &[u8],
        before: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RecordError> {
        self.records.scan_back(space, prefix, before, limit)
    }

    fn commit(&self, batch: RecordBatch) -> Result<(), RecordError> {
        if self.is_dead.load(Ordering::SeqCst) {
            return Err(RecordError::Write(Refused::Broken));
        }
        if self.commits_left.fetch_sub(1, Ordering::SeqCst) > 1 {
            return self.records.commit(batch);
        }
        let takes_out = |(space, key, value): &(Space, Vec<u8>, Option<Vec<u8>>)| {
            *space == Space::Queue && key.starts_with(b"w") && value.is_none()
        };
        let is_settling = batch.changes.iter().any(takes_out);
        self.died_after_sending.store(is_settling, Ordering::SeqCst);
        if self.is_last_kept {
            self.records.commit(batch)?;
        }
        self.is_dead.store(true, Ordering::SeqCst);
        Err(RecordError::Write(Refused::Broken))
    }
}
