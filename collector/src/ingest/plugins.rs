//! Plug-ins that agents run: their results go on to the checks, requests for runs go back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use noroshi_model::frame::PluginResult;
use parking_lot::Mutex;
use serde::Serialize;
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
    looks: Mutex<HashMap<String, Arc<Looks>>>,
}

/// What an agent is to look at, besides what its own config names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Looks {
    /// Tells this list from any other; the agent repeats it.
    pub version: String,
    /// The looks, in the form that agents read; see `agent/PROTOCOL.md`.
    pub list: serde_json::Value,
}

impl Looks {
    /// Makes a list.
    pub fn new(list: serde_json::Value) -> Self {
        let mut hasher = DefaultHasher::new();
        list.to_string().hash(&mut hasher);
        Self { version: format!("{:016x}", hasher.finish()), list }
    }
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

    pub(super) fn set_looks(&self, looks: HashMap<String, Looks>) {
        let looks = looks.into_iter().map(|(host, looks)| (host, Arc::new(looks)));
        *self.looks.lock() = looks.collect();
    }

    /// Returns what an agent is to look at, unless it has that list; no list is the empty version.
    pub(super) fn looks(&self, host: &str, version: &str) -> Option<Arc<Looks>> {
        let looks = self.looks.lock().get(host).cloned();
        match looks {
            Some(looks) => (looks.version != version).then_some(looks),
            None if version.is_empty() => None,
            None => Some(Arc::new(Looks { list: serde_json::json!([]), ..Looks::default() })),
        }
    }

    pub(super) fn take_asked(&self, host: &str) -> Vec<String> {
        self.asked.lock().remove(host).unwrap_or_default().into_iter().collect()
    }
}
