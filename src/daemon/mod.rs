//! The wiring: opens the store, makes the rooms, gives each what it needs, runs and stops them.
//!
//! | file | what |
//! |---|---|
//! | `added` | hosts that people add while the server runs |
//! | `access` | how commands on this machine reach the server |
//! | `commands` | the external command file |
//! | `health` | whether the store takes everything in, as a check of the server |
//! | `local` | watches the machine that the server runs on |
//! | `plugins` | results of plug-ins that agents run |
//! | `register` | hosts that registered themselves |
//! | `reload` | when the configuration is read again |
//! | `suggest` | through which host another may be reached |
//! | `site` | what is watched changes while the server runs |

mod access;
mod added;
mod handed;
mod health;
mod local;
mod plugins;
mod register;
mod reload;
mod site;
mod suggest;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use noroshi_alerts::Alerts;
use noroshi_checks::Checks;
use noroshi_collector::{Collector, Ingest};
use noroshi_model::{Clock, GraphTemplate, Records, SeriesSource, Sink, Status};
use noroshi_store::Store;
use noroshi_web::people::{People, Role};
use noroshi_web::{ConfigStatus, SiteStatus, WebDeps};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use access::LocalAccess;

use crate::clock::SystemClock;
use crate::config::{self, Config, Fault, RegisteredHost};

/// The person that the first start makes.
const ADMIN: &str = "admin";
/// The key that the server makes for commands on its own machine.
const LOCAL_TOKEN: &str = "local-commands";
/// The longest that a stop may take before what still runs is left behind.
const STOP_MAX: Duration = Duration::from_secs(4);

/// What the command line says.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// File or folder; `None`: the built-in configuration.
    pub(crate) config_path: Option<PathBuf>,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// Where to listen, above the configuration.
    pub(crate) listen: Option<SocketAddr>,
}

/// A server that is ready to run.
pub(crate) struct Daemon {
    /// File or folder; empty while the built-in configuration holds because there is none.
    config_path: OnceLock<PathBuf>,
    /// The data folder, as the command line names it.
    data: PathBuf,
    /// Where it listens: how people reach it when the configuration does not say.
    url: String,
    clock: Arc<dyn Clock>,
    store: Arc<Store>,
    checks: Arc<Checks>,
    collector: Arc<Collector>,
    alerts: Arc<Alerts>,
    ingest: Arc<Ingest>,
    status: watch::Sender<SiteStatus>,
    reload_asked: mpsc::Sender<()>,
    applied: Mutex<Applied>,
    handed_in: watch::Sender<config::HandedIn>,
    /// Held while a host is made known, until it has its checks.
    registering: Mutex<()>,
    /// Held while the file of the added hosts is changed, or the configuration read with it.
    adding: Mutex<()>,
    /// Machines that report and did not become hosts, by name.
    refused: parking_lot::Mutex<BTreeMap<String, RegisteredHost>>,
    /// Which checks wait for which plug-in of which host's agent.
    plugin_checks: parking_lot::Mutex<plugins::ByPlugin>,
    /// How the server asks itself for its measurements; set once it may sign in.
    own_pages: OnceLock<LocalAccess>,
}

/// What is in force.
struct Applied {
    config: Config,
    registered: Vec<RegisteredHost>,
}

/// Where a server that has started is found.
#[derive(Debug)]
pub(crate) struct Started {
    /// Where it listens.
    pub(crate) url: String,
    /// A link that signs in once, while the admin has no password.
    pub(crate) sign_in_link: Option<String>,
}

/// Runs the server until it is told to stop; calls `on_start` once it listens.
///
/// Errors: what keeps it from starting, with what to do.
pub(crate) async fn run(
    options: Options,
    config: Config,
    on_start: impl FnOnce(&Started),
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listen = options.listen.unwrap_or(config.server.listen);
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on {listen}; is another server running? --listen names another port")
    })?;
    let url = format!("http://{}", reachable(listener.local_addr()?));
    let is_secure = config.server.is_behind_tls;
    let watched = config.local.is_watched.then(|| (config.local.name.clone(), config.local.step));
    let data = options.data.clone();
    let (reload_asked, reloads) = mpsc::channel(1);
    let daemon = Arc::new(Daemon::open(options, config, &url, reload_asked).await?);
    let started = daemon.let_people_in(&data, &url).await?;

    let mut tasks = JoinSet::new();
    let web = Arc::clone(&daemon).web_deps(is_secure);
    if let Some((name, step)) = watched {
        let (sink, clock) = (daemon.store.clone() as Arc<dyn Sink>, Arc::clone(&daemon.clock));
        let mut watch = local::Watch::new(name, step, sink, clock);
        // The first reading is there before the first check looks at it.
        watch.read().await;
        let stop = stop.clone();
        tasks.spawn(async move {
            watch.run(stop).await;
            Ok(())
        });
    }
    daemon.apply_site().await;
    daemon.spawn_rooms(&mut tasks, &stop);
    tasks.spawn(reload::run(Arc::clone(&daemon), reloads, stop.clone()));
    let serving = noroshi_web::serve(listener, web, stop.clone());
    tasks.spawn(async move {
        serving.await;
        Ok(())
    });
    on_start(&started);
    // Results are taken by the checks that run now.
    daemon.report_config(&[]).await;
    let outcome = wait(&mut tasks, &stop).await;
    daemon.close().await;
    outcome
}

/// Waits for the order to stop, or for a room that fails; then for all rooms.
async fn wait(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let outcome = tokio::select! {
        // Parts end as well when the order comes: the order counts then.
        biased;
        () = stop.cancelled() => Ok(()),
        Some(ended) = tasks.join_next() => match ended {
            Ok(Ok(())) => Err(anyhow::anyhow!("a part of the server ended by itself")),
            Ok(Err(error)) => Err(error),
            Err(panic) => Err(anyhow::Error::from(panic).context("a part of the server panicked")),
        },
    };
    stop.cancel();
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_MAX, all).await.is_err() {
        tracing::warn!(parts = tasks.len(), "not all parts stopped in time; they are left behind");
        tasks.abort_all();
    }
    outcome
}

impl Daemon {
    /// Opens the store and makes the rooms.
    async fn open(
        options: Options,
        config: Config,
        url: &str,
        reload_asked: mpsc::Sender<()>,
    ) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (data, store_config) = (options.data.clone(), config.store.clone());
        let store_clock = Arc::clone(&clock);
        let opening =
            tokio::task::spawn_blocking(move || Store::open(&data, store_config, store_clock));
        let (store, recovery) = opening
            .await?
            .with_context(|| format!("cannot open the store at {}", options.data.display()))?;
        tracing::info!("the store is open: {recovery}");
        let records: Arc<dyn Records> = store.clone();
        let series: Arc<dyn SeriesSource> = store.clone();
        let sink: Arc<dyn Sink> = store.clone();
        let checks = Checks::new(noroshi_checks::Deps {
            clock: Arc::clone(&clock),
            records: Arc::clone(&records),
            series: Arc::clone(&series),
            sink: Arc::clone(&sink),
        })
        .context("cannot read the states of checks")?;
        let alerts = Alerts::new(noroshi_alerts::Deps {
            clock: Arc::clone(&clock),
            records: Arc::clone(&records),
            series,
            events: checks.committed(),
        })
        .context("cannot read the queue of messages")?;
        alerts.apply(alerts_of(&config, url)).context("contacts or mail server")?;
        let registered = register::load(&*records)?;
        let ingest = Ingest::new(Arc::clone(&clock), Arc::clone(&sink));
        if config.local.is_watched {
            // An agent of the same name would write into this machine's series.
            ingest.reserve(&config.local.name);
        }
        let (status, _) = watch::channel(SiteStatus {
            config: ConfigStatus {
                path: options.config_path.as_ref().map(|path| path.display().to_string()),
                loaded_at: clock.now(),
                errors: Vec::new(),
                notes: config.notes(),
            },
            started_at: clock.now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        Ok(Self {
            config_path: options.config_path.map_or_else(OnceLock::new, OnceLock::from),
            data: options.data,
            url: url.to_owned(),
            collector: Collector::new(Arc::clone(&clock), sink),
            ingest,
            clock,
            store,
            checks,
            alerts,
            status,
            reload_asked,
            own_pages: OnceLock::new(),
            handed_in: watch::Sender::new(config.handed_in.clone()),
            registering: Mutex::default(),
            adding: Mutex::default(),
            refused: parking_lot::Mutex::default(),
            plugin_checks: parking_lot::Mutex::default(),
            applied: Mutex::new(Applied { config, registered }),
        })
    }

    /// Starts the rooms that run by themselves.
    fn spawn_rooms(
        self: &Arc<Self>,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        stop: &CancellationToken,
    ) {
        let (checks, token) = (Arc::clone(&self.checks), stop.clone());
        tasks.spawn(async move {
            checks.run(token).await;
            Ok(())
        });
        let (collector, token) = (Arc::clone(&self.collector), stop.clone());
        tasks.spawn(async move {
            collector.run(token).await;
            Ok(())
        });
        let (alerts, token) = (Arc::clone(&self.alerts), stop.clone());
        tasks.spawn(async move {
            alerts.run(token).await;
            Ok(())
        });
        let (daemon, token) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move {
            daemon.register_hosts(token).await;
            Ok(())
        });
        handed::spawn(tasks, &self.checks, &self.handed_in, stop);
        let (daemon, token) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move {
            daemon.watch_handed_in(token).await;
            Ok(())
        });
        let (daemon, token) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move { daemon.watch_store(token).await });
        let (daemon, token) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move {
            daemon.serve_plugins(token).await;
            Ok(())
        });
        let (daemon, token) = (Arc::clone(self), stop.clone());
        tasks.spawn(async move {
            daemon.judge_itself(token).await;
            Ok(())
        });
    }

    /// Gives the HTTP side what it shows.
    fn web_deps(self: Arc<Self>, is_secure: bool) -> WebDeps {
        WebDeps {
            clock: Arc::clone(&self.clock),
            records: self.store.clone(),
            series: self.store.clone(),
            sink: self.store.clone(),
            checks: Arc::clone(&self.checks),
            alerts: Arc::clone(&self.alerts),
            collector: Arc::clone(&self.collector),
            ingest: Arc::clone(&self.ingest),
            store: Arc::clone(&self.store),
            graphs: graphs(),
            status: self.status.subscribe(),
            configuration: Arc::new(added::Door(Arc::clone(&self))),
            reload: self.reload_asked.clone(),
            is_secure,
        }
    }

    /// Makes the first person, and a key for commands on this machine.
    async fn let_people_in(&self, data: &std::path::Path, url: &str) -> anyhow::Result<Started> {
        let people = People::new(self.store.clone(), Arc::clone(&self.clock));
        let (data, url) = (data.to_owned(), url.to_owned());
        let (started, access) = tokio::task::spawn_blocking(move || {
            if people.users()?.is_empty() {
                people.create_user(ADMIN, Role::Admin, None)?;
            }
            let is_new = people.user(ADMIN)?.is_some_and(|admin| !admin.has_password);
            let link = if is_new { Some(people.sign_in_link(ADMIN)?) } else { None };
            // The key of the last run is replaced: only its hash was kept.
            if people.tokens()?.iter().any(|token| token.name == LOCAL_TOKEN) {
                people.revoke_token(LOCAL_TOKEN)?;
            }
            let token = people.create_token(LOCAL_TOKEN, Role::Admin)?;
            let access = LocalAccess { url: url.clone(), token };
            access.write(&data)?;
            let sign_in_link = link.map(|secret| format!("{url}/sign-in?token={secret}"));
            Ok::<_, anyhow::Error>((Started { url, sign_in_link }, access))
        })
        .await??;
        self.own_pages.get_or_init(|| access);
        Ok(started)
    }

    /// Returns the file or folder to read: once there is one, it stays the one.
    fn config_path(&self) -> Option<PathBuf> {
        if self.config_path.get().is_none() {
            let found = config::find(None)?;
            self.status.send_modify(|status| {
                status.config.path = Some(found.display().to_string());
            });
            self.config_path.get_or_init(|| found);
        }
        self.config_path.get().cloned()
    }

    /// Reads the configuration again; a faulty one changes nothing and is shown.
    async fn reload(&self) {
        let _one = self.adding.lock().await;
        let (path, added) = (self.config_path(), self.added_path());
        let load = move || {
            let added = config::added::read(&added).map_err(|fault| vec![fault])?;
            config::load_with(path.as_deref(), added.as_ref())
        };
        let loading = tokio::task::spawn_blocking(load).await;
        let faults = match loading {
            Ok(Ok(config)) => self.take_over(config).await.err().into_iter().collect(),
            Ok(Err(faults)) => faults.iter().map(Fault::to_string).collect(),
            Err(panic) => vec![format!("the configuration cannot be read: {panic}")],
        };
        for fault in &faults {
            tracing::error!(fault, "the new configuration is not applied");
        }
        self.report_config(&faults).await;
    }

    /// Puts a configuration in force.
    async fn take_over(&self, config: Config) -> Result<(), String> {
        {
            let mut applied = self.applied.lock().await;
            let alerts = alerts_of(&config, &self.url);
            self.alerts.apply(alerts).map_err(|error| error.to_string())?;
            if config.server.listen != applied.config.server.listen {
                tracing::warn!("[server] listen needs a restart");
            }
            self.handed_in.send_replace(config.handed_in.clone());
            applied.config = config;
        }
        self.apply_site().await;
        self.reconsider().await;
        Ok(())
    }

    /// Shows how the last reading of the configuration went: in the UI, and as a check.
    async fn report_config(&self, faults: &[String]) {
        let now = self.clock.now();
        let (notes, is_whole) = {
            let config = &self.applied.lock().await.config;
            (config.notes(), config.left_out.is_empty())
        };
        let (status, output) = if !faults.is_empty() {
            let what = "the changed configuration is not in force: ";
            (Status::Warning, format!("{what}{}", faults.join("\n")))
        } else if !is_whole {
            let what = "hosts that were added are not in force: ";
            (Status::Warning, format!("{what}{}", notes.join("\n")))
        } else {
            (Status::Ok, "in force as written".to_owned())
        };
        self.status.send_modify(|status| {
            status.config.errors = faults.to_vec();
            status.config.notes = notes;
            if faults.is_empty() {
                status.config.loaded_at = now;
            }
        });
        self.hand_in(config::CONFIGURATION_CHECK, status, output).await;
    }

    /// Closes the store: what is not yet on the disk goes there.
    async fn close(&self) {
        let store = Arc::clone(&self.store);
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::error!("closing the store panicked; the next start recovers it");
        }
    }
}

/// Returns the graphs of everything that may be watched.
fn graphs() -> Vec<GraphTemplate> {
    let polled = noroshi_collector::registry().iter().flat_map(|poller| (poller.graphs)());
    let probed = noroshi_checks::graphs();
    noroshi_agent::graphs::graphs().into_iter().chain(polled).chain(probed).collect()
}

/// Returns who is told; links lead to where the server listens unless the configuration says.
fn alerts_of(config: &Config, url: &str) -> noroshi_alerts::Config {
    let mut alerts = config.alerts.clone();
    if config.server.url.is_none() {
        url.clone_into(&mut alerts.base_url);
    }
    alerts
}

/// Returns how an address that listens is reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => address.set_ip(std::net::Ipv4Addr::LOCALHOST.into()),
            SocketAddr::V6(_) => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
        }
    }
    address
}
