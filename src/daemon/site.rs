//! What is watched changes while the server runs: hosts register, configurations are taken over,
//! and the server's own measurements begin.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use noroshi_collector::{Password, PollSpec, Target, prometheus};
use noroshi_model::{CheckId, Matcher, Records, SeriesSource as _};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use super::{Daemon, LOCAL_TOKEN, LocalAccess, plugins, register};
use crate::config::{Config, Local, Register, RegisteredHost, Verdict};

/// The label `job` of the server's own measurements.
const OWN_JOB: &str = "noroshi";

impl Daemon {
    /// Lets hosts that report for the first time become known, until `stop`.
    pub(super) async fn register_hosts(&self, stop: CancellationToken) {
        let mut seen = self.ingest.hosts_seen();
        loop {
            let mut told = tokio::select! {
                () = stop.cancelled() => return,
                told = seen.recv() => told,
            };
            // When a thousand agents start, the site is applied a few times and not a thousand.
            let mut hosts = Vec::new();
            loop {
                match told {
                    Ok(host) => hosts.push(reported(host)),
                    // More than may wait: all that ever reported are looked at.
                    Err(RecvError::Lagged(_)) => {
                        hosts = self.ingest.all_hosts().into_iter().map(reported).collect();
                    }
                    Err(RecvError::Closed) => return,
                }
                told = match seen.try_recv() {
                    Ok(host) => Ok(host),
                    Err(TryRecvError::Lagged(number)) => Err(RecvError::Lagged(number)),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                };
            }
            if let Err(error) = self.register(hosts).await {
                tracing::error!(error = format!("{error:#}"), "cannot register hosts");
            }
        }
    }

    /// Makes hosts known, or what has changed about them. Ready when they have their checks.
    pub(super) async fn register(&self, hosts: Vec<RegisteredHost>) -> anyhow::Result<()> {
        let _one = self.registering.lock().await;
        {
            let mut applied = self.applied.lock().await;
            let mut wanted = hosts;
            wanted.retain(|host| {
                let known = applied.registered.iter().find(|known| known.name == host.name);
                // The address is that of its first report.
                let is_as_known = known.is_some_and(|known| {
                    (&known.plugins, &known.facts, &known.labels)
                        == (&host.plugins, &host.facts, &host.labels)
                });
                // One that was taken before is judged anew, and keeps what is known of it.
                let may = self.may_be_host(&applied.config, host) || known.is_some();
                may && !is_as_known
            });
            if wanted.is_empty() {
                return Ok(());
            }
            let records: Arc<dyn Records> = self.store.clone();
            let (kept, now) = (wanted.clone(), self.clock.now());
            tokio::task::spawn_blocking(move || register::remember(&records, &kept, now)).await??;
            for host in wanted {
                let known = applied.registered.iter().position(|known| known.name == host.name);
                if let Some(known) = known {
                    applied.registered[known] = host;
                } else {
                    let (name, address) = (&host.name, &host.address);
                    tracing::info!(host = name, address, "a host registered itself");
                    applied.registered.push(host);
                }
            }
        }
        self.apply_site().await;
        Ok(())
    }

    /// Tells whether a machine that reports may be a host; one that may not is noted.
    fn may_be_host(&self, config: &Config, host: &RegisteredHost) -> bool {
        let mut refused = self.refused.lock();
        match config.judge(host) {
            Verdict::Refused(why) if !config.has_host(&host.name) => {
                if refused.insert(host.name.clone(), host.clone()).is_none() {
                    tracing::info!(host = host.name, why, "a machine that reports is no host");
                }
                false
            }
            _ => {
                refused.remove(&host.name);
                true
            }
        }
    }

    /// Judges anew who was refused, after the rules have changed.
    pub(super) async fn reconsider(&self) {
        let refused: Vec<RegisteredHost> = self.refused.lock().values().cloned().collect();
        if let Err(error) = self.register(refused).await {
            tracing::error!(error = format!("{error:#}"), "cannot register hosts");
        }
    }

    /// Returns the machines that report and are no hosts, by name, each with the reason.
    pub(super) async fn refused_agents(&self) -> Vec<(RegisteredHost, String)> {
        let applied = self.applied.lock().await;
        let config = &applied.config;
        let mut all: BTreeMap<String, RegisteredHost> = self.refused.lock().clone();
        if config.agents.register != Register::None {
            let registered = applied.registered.iter().cloned();
            all.extend(registered.map(|host| (host.name.clone(), host)));
        }
        let judged = all.into_values().filter(|host| !config.has_host(&host.name));
        let judged = judged.filter_map(|host| match config.judge(&host) {
            Verdict::Refused(why) => Some((host, why)),
            _ => None,
        });
        judged.collect()
    }

    /// Tells whether the server's own measurements are in the store.
    fn is_measured(&self, instance: &str) -> bool {
        let matchers = [Matcher::equal("job", OWN_JOB), Matcher::equal("instance", instance)];
        match self.store.last_seen(&matchers) {
            Ok(last) => last.is_some(),
            Err(error) => {
                tracing::error!(%error, "cannot look for the server's own measurements");
                false
            }
        }
    }

    /// Lets the server's own checks begin once there is something to judge.
    pub(super) async fn judge_itself(&self, stop: CancellationToken) {
        let (name, step) = {
            let local = &self.applied.lock().await.config.local;
            (local.name.clone(), local.step)
        };
        while !self.is_measured(&name) {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(step / 4) => {}
            }
        }
        // Increases need a second measurement.
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(step * 2) => {}
        }
        self.apply_site().await;
        stop.cancelled().await;
    }

    /// Gives checks and collector the site that is in force.
    pub(super) async fn apply_site(&self) {
        let applied = self.applied.lock().await;
        let is_measured = self.is_measured(&applied.config.local.name);
        // A large site takes a moment, in which the other threads go on.
        let made = || applied.config.site(&applied.registered, is_measured);
        let mut site = tokio::task::block_in_place(made);
        if let (true, Some(access)) = (applied.config.local.is_watched, self.own_pages.get()) {
            site.polls.push(own_poll(&applied.config.local, access));
        }
        let (known, checks) = tokio::task::block_in_place(|| {
            let known: HashSet<CheckId> = ids(&site.checks).collect();
            *self.plugin_checks.lock() = plugins::checks_by_plugin(&site.checks);
            self.ingest.set_looks(plugins::looks_by_host(&site.checks));
            (known, self.checks.apply(site.checks))
        });
        let polls = self.collector.apply(site.polls);
        match self.alerts.retain(move |id| known.contains(id)).await {
            Ok(forgotten) => tracing::info!(?checks, ?polls, forgotten, "site applied"),
            Err(error) => tracing::error!(%error, "cannot forget problems of what is gone"),
        }
    }
}

/// Returns what is remembered of a host that reports.
fn reported(host: noroshi_collector::HostSeen) -> RegisteredHost {
    let facts = register::facts([&host.os, &host.kernel, &host.version, &host.token]);
    let plugins = register::intervals(host.plugin_intervals_ms);
    RegisteredHost { name: host.host, address: host.address, plugins, facts, labels: host.labels }
}

/// Names all hosts and checks of a site.
fn ids(site: &noroshi_checks::Site) -> impl Iterator<Item = CheckId> {
    let hosts = site.hosts.iter().map(|host| CheckId::host(&host.name));
    hosts.chain(site.checks.iter().map(|check| check.id.clone()))
}

/// Returns the poll of the server's own measurements: as any exporter is scraped.
fn own_poll(local: &Local, access: &LocalAccess) -> PollSpec {
    let mut config = prometheus::Config::new(&format!("{}/metrics", access.url));
    config.user = Some(LOCAL_TOKEN.to_owned());
    config.password = Some(Password::new(&access.token));
    let timing = (local.step, config.timeout);
    let target = Target::Prometheus { job: OWN_JOB.to_owned(), config };
    PollSpec::new(&local.name, target, timing)
}
