//! Event handlers: what runs when a state changes, soft or hard, and what became of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use noroshi_model::{CheckId, Clock, EventBody, StateType, Status, Timestamp};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::board::HandlerCall;
use crate::macros::Escape;
use crate::plugin::{Exit, Plugins, understand};
use crate::probe::http::{UrlCall, call_url};
use crate::record::cut;
use crate::spec::HandlerAction;
use crate::stats::{Counters, count};
use crate::writer::Message;

/// How many handlers of one check wait for the one that runs; of more the oldest is dropped,
/// because it is about a state that is long over.
const WAITING_MAX: usize = 8;
/// How many bytes of what a handler said are kept in the history of its check.
const OUTPUT_BYTES_MAX: usize = 1000;
/// The content type of a body, unless a header says otherwise.
const JSON: &str = "application/json";

/// What handlers need, and where their ends are told.
pub(crate) struct Handlers {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) plugins: Arc<Plugins>,
    pub(crate) messages: mpsc::Sender<Message>,
    pub(crate) counters: Arc<Counters>,
}

/// How a handler ended.
struct Done {
    is_ok: bool,
    output: String,
}

impl Handlers {
    /// Runs handlers as they come, at most `at_once`, until the channel is closed. Those of one
    /// check never run at the same time, and run in the order of its changes.
    pub(crate) async fn run(
        self,
        mut calls: mpsc::Receiver<HandlerCall>,
        at_once: usize,
        stop: CancellationToken,
    ) {
        let handlers = Arc::new(self);
        let mut running = JoinSet::new();
        // Of every check whose handler runs: those that come after it.
        let mut waiting: HashMap<CheckId, VecDeque<HandlerCall>> = HashMap::new();
        loop {
            tokio::select! {
                call = calls.recv(), if running.len() < at_once => {
                    let Some(call) = call else { break };
                    if let Some(queue) = waiting.get_mut(&call.id) {
                        queue.push_back(call);
                        if queue.len() > WAITING_MAX && let Some(oldest) = queue.pop_front() {
                            count(&handlers.counters.handlers_dropped, 1);
                            tracing::error!(check = %oldest.id, "event handler not run: too late");
                        }
                    } else {
                        waiting.insert(call.id.clone(), VecDeque::new());
                        running.spawn(Arc::clone(&handlers).run_safely(call));
                    }
                }
                Some(Ok(id)) = running.join_next() => {
                    match waiting.get_mut(&id).and_then(VecDeque::pop_front) {
                        Some(next) => {
                            running.spawn(Arc::clone(&handlers).run_safely(next));
                        }
                        None => drop(waiting.remove(&id)),
                    }
                }
                () = stop.cancelled() => break,
            }
        }
        running.shutdown().await;
    }

    /// Runs one handler, even one that meets a bug. Returns whose it was.
    async fn run_safely(self: Arc<Self>, call: HandlerCall) -> CheckId {
        let id = call.id.clone();
        if AssertUnwindSafe(self.run_one(call)).catch_unwind().await.is_err() {
            tracing::error!(check = %id, "an event handler panicked; this is a bug in the server");
        }
        id
    }

    /// Runs one handler and tells how it ended.
    async fn run_one(&self, call: HandlerCall) {
        let (id, begun) = (&call.id, Instant::now());
        let (what, done) = match &call.spec.action {
            HandlerAction::Command { argv } => (argv.first(), self.command(&call, argv).await),
            HandlerAction::Url { url, .. } => (Some(url), self.url(&call).await),
        };
        let counter =
            if done.is_ok { &self.counters.handlers_ok } else { &self.counters.handlers_failed };
        count(counter, 1);
        // As configured, macros not expanded: a value may be secret.
        let what = what.cloned().unwrap_or_default();
        if done.is_ok {
            tracing::info!(check = %id, what, output = done.output, "event handler ran");
        } else {
            tracing::error!(check = %id, what, output = done.output, "event handler failed");
        }
        let body = EventBody::HandlerRan {
            what,
            is_ok: done.is_ok,
            output: cut(&done.output, OUTPUT_BYTES_MAX).to_owned(),
            run_time_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            status: call.view.status.unwrap_or(Status::Unknown),
            state_type: call.state_type,
        };
        let subject = id.clone();
        let tell = Message::Act(Box::new(move |board, now, _| {
            if board.entries.contains_key(&subject) {
                board.log(&subject, body, now);
            }
            Box::new(|| ())
        }));
        // When the server stops nobody takes it: the log has it.
        drop(self.messages.send(tell).await);
    }

    async fn command(&self, call: &HandlerCall, argv: &[String]) -> Done {
        let argv = call.macros.expand_all(argv, &[]);
        let has_env = self.plugins.has_environment_macros();
        let env = if has_env { call.macros.environment(&[]) } else { BTreeMap::new() };
        let ran = self.plugins.run(argv, env, call.spec.timeout).await;
        let said = understand(&ran.exit, &ran.stdout, &ran.stderr).output;
        match ran.exit {
            Exit::Code(0) => Done { is_ok: true, output: said },
            Exit::Code(code) => Done { is_ok: false, output: format!("exit {code}: {said}") },
            _ => Done { is_ok: false, output: said },
        }
    }

    async fn url(&self, call: &HandlerCall) -> Done {
        let now = self.clock.now();
        let request = match request(call, now) {
            Ok(request) => request,
            Err(why) => return Done { is_ok: false, output: why },
        };
        match call_url(request, call.spec.timeout, now).await {
            Ok(status) => Done { is_ok: true, output: format!("HTTP {status}") },
            Err(why) => Done { is_ok: false, output: why },
        }
    }
}

/// Makes the request of a URL handler.
fn request(call: &HandlerCall, now: Timestamp) -> Result<UrlCall, String> {
    let HandlerAction::Url { url, method, headers, body } = &call.spec.action else {
        return Err("no URL".to_owned());
    };
    let expand = |text: &str, escape| call.macros.expand_escaped(text, escape);
    let is_type = |name: &str| name.eq_ignore_ascii_case("content-type");
    let mut named: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        named.push((name.clone(), expand(value, Escape::None)));
    }
    let kind = named.iter().find(|(name, _)| is_type(name)).map_or(JSON, |(_, value)| value);
    let escape = if kind.starts_with(JSON) { Escape::Json } else { Escape::None };
    let body = match body {
        Some(text) => expand(text, escape),
        None => state_json(call, now),
    };
    if !named.iter().any(|(name, _)| is_type(name)) {
        named.push(("Content-Type".to_owned(), JSON.to_owned()));
    }
    Ok(UrlCall { url: expand(url, Escape::Url), method: method.clone(), headers: named, body })
}

/// Writes the state as `docs/event-handlers.md` shows it.
fn state_json(call: &HandlerCall, now: Timestamp) -> String {
    let (view, host) = (&call.view, &call.macros.host);
    let seconds = |at: Option<Timestamp>| at.map(|at| at.as_millis() as f64 / 1000.0);
    json!({
        "version": 1,
        "at": seconds(Some(now)),
        "host": view.host,
        "check": view.check,
        "address": host.address,
        "groups": host.groups,
        "labels": view.labels,
        "status": view.status,
        "state_type": call.state_type,
        "attempt": view.attempt,
        "attempts_max": view.attempts_max,
        "lasting": view.lasting,
        "since": seconds(view.since),
        "problem": view.problem,
        "output": view.output,
        "long_output": view.long_output,
        "is_in_downtime": view.is_in_downtime,
        "is_acknowledged": view.is_acknowledged,
        "is_flapping": view.is_flapping,
        "is_quiet": view.is_quiet,
        "blocked_by": view.blocked_by,
        "notes": view.notes,
        "notes_url": view.notes_url,
    })
    .to_string()
}

/// Tells whether a handler runs for a change.
pub(crate) fn is_wanted(spec: &crate::HandlerSpec, state_type: StateType) -> bool {
    match state_type {
        StateType::Soft => spec.is_for_soft,
        StateType::Hard => spec.is_for_hard,
    }
}
