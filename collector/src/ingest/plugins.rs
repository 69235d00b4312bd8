//! Plug-ins that agents run: their results go on to the checks, requests for runs go back.

use std::collections::{BTreeMap, BTreeSet};

use noroshi_model::frame::PluginResult;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

/// How many frames' results wait for the checks. Full: the agents wait for their answers.
const RESULTS_QUEUE: usize = 64;
/// How many hosts may have open requests, and each how many: what people click in ten seconds.
const HOSTS_MAX: usize = 10_000;
const ASKED_MAX: usize = 64;

/// What plug-ins of one host found.
#[derive(Debug)]
pub struct HostResults {
    /// The host.
    pub host: String,
    /// Oldest first.
    pub results: Vec<PluginResult>,
    /// To be told when they are durable, or will never be.
    pub done: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
pub(super) struct Plugins {
    receiver: Mutex<Option<mpsc::Sender<HostResults>>>,
    asked: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl Plugins {
    pub(super) fn results(&self) -> mpsc::Receiver<HostResults> {
        let (sender, receiver) = mpsc::channel(RESULTS_QUEUE);
        *self.receiver.lock() = Some(sender);
        receiver
    }

    /// Hands results on; ready when they are done with.
    pub(super) async fn deliver(&self, host: &str, results: Vec<PluginResult>) {
        if results.is_empty() {
            return;
        }
        let Some(sender) = self.receiver.lock().clone() else { return };
        let (done, is_done) = oneshot::channel();
        let host = host.to_owned();
        // Whoever takes results has gone: the server ends, and the agent will say it again.
        if sender.send(HostResults { host, results, done }).await.is_ok() {
            is_done.await.unwrap_or_default();
        }
    }

    pub(super) fn ask(&self, host: &str, plugin: &str) {
        let mut asked = self.asked.lock();
        if asked.len() >= HOSTS_MAX && !asked.contains_key(host) {
            return;
        }
        let of_host = asked.entry(host.to_owned()).or_default();
        if of_host.len() < ASKED_MAX {
            of_host.insert(plugin.to_owned());
        }
    }

    pub(super) fn take_asked(&self, host: &str) -> Vec<String> {
        self.asked.lock().remove(host).unwrap_or_default().into_iter().collect()
    }
}
