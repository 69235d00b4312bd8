//! A server with everything behind it.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper::Method;
use jiff::tz::TimeZone;
use noroshi_alerts::{Alerts, Config, Contact, Secret, Security, Smtp, StatusFilter};
use noroshi_checks::{
    CheckSpec, Checks, ExpressionProbe, HostSpec, Judge, Missing, PassiveProbe, Probe, Site,
};
use noroshi_collector::{Collector, Ingest};
use noroshi_model::seam::{Accepted, ManualClock, MemoryRecords};
use noroshi_model::{
    Batch, BoxFuture, CheckId, GraphLine, GraphTemplate, Labels, LineStyle, Refused, SeriesSource,
    Sink, Status, Timestamp,
};
use noroshi_store::{Store, StoreConfig};
use noroshi_web::people::{People, Role};
use noroshi_web::{ConfigStatus, SiteStatus, WebDeps};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::Ask;
use crate::hosts::Hosts;
use crate::memory::MemorySeries;

/// When the clock stands at the start: 2023-11-14 22:13:20 UTC.
pub const NOW: i64 = 1_700_000_000;

/// Takes batches and shows them.
#[derive(Default)]
pub struct Basket(pub Mutex<Vec<Batch>>);

impl Sink for Basket {
    fn submit(&self, batch: Batch) -> BoxFuture<'_, Result<Accepted, Refused>> {
        let accepted = Accepted { stored: batch.samples.len(), ..Accepted::default() };
        self.0.lock().push(batch);
        Box::pin(async move { Ok(accepted) })
    }
}

/// A running server.
pub struct House {
    pub address: SocketAddr,
    pub clock: Arc<ManualClock>,
    pub people: Arc<People>,
    pub basket: Arc<Basket>,
    pub store: Arc<Store>,
    /// Removed with the house.
    _folder: tempfile::TempDir,
    pub status: watch::Sender<SiteStatus>,
    pub reloads: mpsc::Receiver<()>,
    pub stop: CancellationToken,
    pub serving: JoinHandle<()>,
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// One contact, reached through a mail server that is not there.
fn contacts() -> Config {
    let ops = Contact {
        name: "ops".to_owned(),
        email: vec!["ops@example.net".to_owned()],
        pager: Vec::new(),
        statuses: StatusFilter::default(),
        zone: TimeZone::UTC,
    };
    let smtp = Smtp {
        host: "127.0.0.1".to_owned(),
        port: 1,
        security: Security::None,
        user: None,
        password: Secret::new(""),
        from: "noroshi@example.net".to_owned(),
        ca_pem: None,
    };
    Config { contacts: vec![ops], smtp: Some(smtp), ..Config::default() }
}

/// One host's graph template.
fn graphs() -> Vec<GraphTemplate> {
    let line = |expr: &str| GraphLine {
        expr: expr.to_owned(),
        legend: "{{device}}".to_owned(),
        style: LineStyle::Line,
    };
    let graph = |job: &str, expr| GraphTemplate {
        job: job.to_owned(),
        id: "traffic".to_owned(),
        title: "Traffic".to_owned(),
        unit: "bytes/s".to_owned(),
        is_stacked: false,
        min: Some(0.0),
        max: None,
        lines: vec![line(expr)],
    };
    let expr = r#"rate(node_network_receive_bytes_total{instance="$instance"}[$window])"#;
    vec![graph("node", expr), graph("nginx", "nginx_up")]
}

/// Two hosts; on web1 a passive check with a slash in its name, a heartbeat, and one on an expression.
fn site() -> Site {
    let passive = |name: &str| {
        let is_heartbeat = name == "backup";
        let probe = Probe::Passive(PassiveProbe { is_heartbeat, ..PassiveProbe::default() });
        let mut check = CheckSpec::new(CheckId::check("web1", name), probe);
        check.timing.attempts_max = 1;
        check.contacts = vec!["ops".to_owned()];
        "https://wiki.example/disk".clone_into(&mut check.notes_url);
        check
    };
    let mut load = CheckSpec::new(
        CheckId::check("web1", "load"),
        Probe::Expression(ExpressionProbe {
            expr: r#"node_load1{instance="web1"} > 100"#.to_owned(),
            judge: Judge::Firing { status: Status::Critical },
            unit: String::new(),
            name_labels: Vec::new(),
            meaning: String::new(),
            missing: Missing::Unknown,
        }),
    );
    load.timing.attempts_max = 1;
    Site {
        hosts: vec![HostSpec::new("web1", "192.0.2.1"), HostSpec::new("web2", "192.0.2.2")],
        checks: vec![passive("disk /var"), passive("backup"), load],
        ..Site::default()
    }
}

/// Series of two hosts: `node_load1` each 10 s for an hour until now, 1, 2, 3, ...; a counter.
fn series() -> MemorySeries {
    let mut all = MemorySeries::default();
    for (host, factor) in [("web1", 1.0), ("web2", 10.0)] {
        let named = |name| Labels::new([("__name__", name), ("instance", host), ("job", "node")]);
        let at = |i: i64| (NOW - 3600 + 10 * i) * 1000;
        let load = (0..=360).map(|i| (at(i), factor * i as f64)).collect();
        let bytes = (0..=360).map(|i| (at(i), 1000.0 * i as f64)).collect();
        all.0.push((named("node_load1"), load));
        all.0.push((named("node_network_receive_bytes_total"), bytes));
    }
    all
}

impl House {
    /// Starts a server on an ephemeral port, over series in memory and a basket for samples.
    pub async fn open() -> Self {
        Self::start(false, false).await
    }

    /// Starts a server that writes to and reads from a real store.
    pub async fn over_store() -> Self {
        Self::start(true, false).await
    }

    /// Starts a server behind a proxy that speaks HTTPS.
    pub async fn behind_https() -> Self {
        Self::start(false, true).await
    }

    async fn start(is_over_store: bool, is_secure: bool) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(NOW)));
        let records = Arc::new(MemoryRecords::new());
        let basket = Arc::new(Basket::default());
        let config = ConfigStatus { loaded_at: Timestamp::from_secs(NOW), ..Default::default() };
        let started_at = Timestamp::from_secs(NOW - 60);
        let version = "0.1.0".to_owned();
        let (status, status_receiver) = watch::channel(SiteStatus { config, started_at, version });
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(folder.path(), StoreConfig::default(), clock.clone()).unwrap();
        let (series, sink): (Arc<dyn SeriesSource>, Arc<dyn Sink>) = if is_over_store {
            (store.clone(), store.clone())
        } else {
            (Arc::new(series()), basket.clone())
        };
        let checks = Checks::new(noroshi_checks::Deps {
            clock: clock.clone(),
            records: records.clone(),
            series: series.clone(),
            sink: sink.clone(),
        });
        let checks = checks.unwrap();
        checks.apply(site());
        let alerts = Alerts::new(noroshi_alerts::Deps {
            clock: clock.clone(),
            records: records.clone(),
            series: series.clone(),
            events: checks.committed(),
        });
        let alerts = alerts.unwrap();
        let ingest = Ingest::new(clock.clone(), sink.clone());
        let (reload, reloads) = mpsc::channel(1);
        let deps = WebDeps {
            clock: clock.clone(),
            records: records.clone(),
            series,
            sink: sink.clone(),
            checks: checks.clone(),
            alerts: alerts.clone(),
            collector: Collector::new(clock.clone(), sink.clone()),
            ingest,
            store: store.clone(),
            graphs: graphs(),
            status: status_receiver,
            configuration: Arc::new(Hosts::default()),
            reload,
            is_secure,
        };
        let people = People::new(records, clock.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        alerts.apply(contacts()).unwrap();
        tokio::spawn(alerts.clone().run(stop.clone()));
        tokio::spawn(checks.clone().run(stop.clone()));
        let serving = tokio::spawn(noroshi_web::serve(listener, deps, stop.clone()));
        Self {
            address,
            clock,
            people,
            basket,
            store,
            _folder: folder,
            status,
            reloads,
            stop,
            serving,
        }
    }

    pub fn get(&self, path: &str) -> Ask {
        Ask::new(self.address, Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Ask {
        Ask::new(self.address, Method::POST, path)
    }

    pub fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.address, method.parse().unwrap(), path)
    }

    /// Makes a token.
    pub fn token(&self, role: Role) -> String {
        let name = format!("token-{}", self.people.tokens().unwrap().len());
        self.people.create_token(&name, role).unwrap()
    }

    /// Reads JSON with a viewer's token; the answer must be 200.
    pub async fn read(&self, path: &str) -> serde_json::Value {
        let answer = self.get(path).token(&self.token(Role::Viewer)).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Signs a user in by password and returns the cookie.
    pub async fn sign_in(&self, user: &str, password: &str) -> String {
        let form = format!("user={user}&password={password}");
        let answer = self.post("/sign-in").form(&form).send().await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        answer.cookie()
    }
}
