//! Plug-ins that agents run: results go to the checks, requests for runs to the agents.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use noroshi_checks::on_host::LookSpec;
use noroshi_checks::{AgentProbe, PassiveResult, Probe};
use noroshi_collector::{HostResults, Looks};
use noroshi_model::frame::PluginResult;
use noroshi_model::{CheckId, Origin};
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Daemon, register};
use crate::config::RegisteredHost;

/// How many hosts' results are taken in at once: each waits for the disk, and they share a commit.
const HOSTS_AT_ONCE: usize = 64;

/// The checks that wait for results, by host and plug-in.
pub(super) type ByPlugin = HashMap<String, HashMap<String, Vec<CheckId>>>;

/// Finds the checks that wait for results.
pub(super) fn checks_by_plugin(site: &noroshi_checks::Site) -> ByPlugin {
    let mut by_plugin = ByPlugin::new();
    for check in &site.checks {
        if let Probe::Agent(probe) = &check.probe {
            let of_host = by_plugin.entry(check.id.host.to_string()).or_default();
            of_host.entry(probe.plugin.clone()).or_default().push(check.id.clone());
        }
    }
    by_plugin
}

/// Collects what the agents are to look at.
pub(super) fn looks_by_host(site: &noroshi_checks::Site) -> HashMap<String, Looks> {
    let mut by_host: HashMap<String, Vec<LookSpec>> = HashMap::new();
    for check in &site.checks {
        let Probe::Agent(AgentProbe { plugin, look: Some(look), .. }) = &check.probe else {
            continue;
        };
        let ms = |span: Duration| span.as_millis() as u64;
        by_host.entry(check.id.host.to_string()).or_default().push(LookSpec {
            name: plugin.clone(),
            interval_ms: ms(check.timing.interval),
            retry_ms: ms(check.timing.retry_interval),
            look: look.clone(),
        });
    }
    let list = |list: Vec<LookSpec>| serde_json::to_value(list).unwrap_or_default();
    by_host.into_iter().map(|(host, looks)| (host, Looks::new(list(looks)))).collect()
}

impl Daemon {
    /// Brings results to checks and requests to agents until `stop`.
    pub(super) async fn serve_plugins(self: Arc<Self>, stop: CancellationToken) {
        let mut results = self.ingest.results();
        let mut asked = self.checks.asked();
        let mut taking = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(of_host) = results.recv(), if taking.len() < HOSTS_AT_ONCE => {
                    let daemon = Arc::clone(&self);
                    taking.spawn(async move { daemon.take_results(of_host).await });
                }
                Some(_) = taking.join_next() => {}
                request = asked.recv() => match request {
                    Ok((host, plugin)) => self.ingest.ask(&host, &plugin),
                    // Whoever asked sees no result and asks again.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => break,
                },
            }
        }
    }

    /// Hands the results of one host in, in their order.
    async fn take_results(&self, of_host: HostResults) {
        let HostResults { host, results, done } = of_host;
        for result in results {
            let mut ids = self.waiting_for(&host, &result.name);
            if ids.is_empty() && self.learn(&host).await {
                ids = self.waiting_for(&host, &result.name);
            }
            for id in ids {
                self.submit_result(id, &result).await;
            }
        }
        // The agent may have hung up: what it sent is done all the same.
        done.send(()).unwrap_or_default();
    }

    fn waiting_for(&self, host: &str, plugin: &str) -> Vec<CheckId> {
        let by_plugin = self.plugin_checks.lock();
        by_plugin.get(host).and_then(|of_host| of_host.get(plugin)).cloned().unwrap_or_default()
    }

    /// Takes over what an agent has just told of its plug-ins: it may not have been done yet.
    async fn learn(&self, host: &str) -> bool {
        let Some(agent) = self.ingest.agent(host) else { return false };
        let plugins = register::intervals(agent.plugin_intervals_ms);
        let facts = register::facts([&agent.os, &agent.kernel, &agent.version, &agent.token]);
        let (name, address, labels) = (agent.host, agent.address, agent.labels);
        let host = RegisteredHost { name, address, plugins, facts, labels };
        if let Err(error) = self.register(vec![host]).await {
            tracing::error!(error = format!("{error:#}"), "cannot register a host");
            return false;
        }
        true
    }

    async fn submit_result(&self, id: CheckId, result: &PluginResult) {
        let handed = PassiveResult {
            id,
            status: result.status,
            output: result.output.clone(),
            at: Some(result.at),
            origin: Origin::Agent,
        };
        if let Err(error) = self.checks.submit(handed).await {
            tracing::debug!(%error, plugin = result.name, "a result of an agent is for no check");
        }
    }
}
