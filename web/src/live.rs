//! Live changes: one task watches the rooms and tells all pages that listen.
//!
//! Changes are gathered for a moment, so that a check which changes twice is told once and a site
//! with thousands of checks does not send thousands of messages a second. Whoever falls behind is
//! told to read everything again (`resync`): nothing is queued without bound.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use noroshi_model::CheckId;
use serde::Serialize;
use tokio::sync::broadcast;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::ApiError;
use crate::route::{Access, Body, Route};

/// How long changes are gathered before they are told. Short against the eye, long against a burst.
const GATHER: Duration = Duration::from_millis(250);
/// Messages that a slow page may be behind before it must read everything again.
const QUEUE_MESSAGES: usize = 1024;
/// Most changed checks told one by one; beyond that everything is read again, which is cheaper.
const CHECKS_MAX: usize = 500;
/// Most new events told one by one.
const EVENTS_MAX: usize = 200;
/// Most pages that listen at once.
const LISTENERS_MAX: usize = 256;
/// How often a silent stream says that it lives; proxies end streams after a minute of silence.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a stream lasts. The page opens the next by itself, and the right to it is looked at.
const STREAM_LIFE: Duration = Duration::from_hours(1);

/// Tells pages what changed.
#[derive(Debug)]
pub(crate) struct Live {
    messages: broadcast::Sender<Told>,
    listeners: AtomicUsize,
}

/// A message, rendered once for all listeners.
#[derive(Clone, Debug)]
struct Told {
    name: &'static str,
    json: Arc<str>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self { messages: broadcast::channel(QUEUE_MESSAGES).0, listeners: AtomicUsize::new(0) }
    }

    /// Returns how many pages listen.
    pub(crate) fn listeners(&self) -> usize {
        self.listeners.load(Ordering::Relaxed)
    }

    fn tell(&self, name: &'static str, value: &impl Serialize) {
        match serde_json::to_string(value) {
            // An error says only that nobody listens.
            Ok(json) => drop(self.messages.send(Told { name, json: json.into() })),
            Err(error) => tracing::error!(%error, name, "cannot write a message"),
        }
    }

    fn tell_resync(&self) {
        drop(self.messages.send(Told { name: "resync", json: "{}".into() }));
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/events/stream", Access::Viewer, listen)
            .summary(
                "Live changes as server-sent events: `check` (a Check.check), `event` (an Event), \
                 `config` (a ConfigStatus), `resync` (read everything again)",
            )
            .answer(Body::Other("text/event-stream"))
            .stream(),
    ]
}

/// Watches the rooms until the stop.
pub(crate) async fn watch(app: Arc<App>, stop: CancellationToken) {
    let mut updates = app.deps.checks.updates();
    let mut committed = app.deps.checks.committed();
    let mut status = app.deps.status.clone();
    let mut told = *committed.borrow_and_update();
    let mut gathered = Gathered::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = until(gathered.due()) => {
                gathered.add_all(&mut updates);
                committed.mark_unchanged();
                tell(&app, std::mem::take(&mut gathered), &mut told).await;
            }
            // Only the first: each further one would be a wake-up, with thousands a second.
            update = updates.recv(), if gathered.since.is_none() => match update {
                Ok(id) => gathered.add(id),
                Err(RecvError::Lagged(_)) => gathered.overflow(),
                Err(RecvError::Closed) => return,
            },
            Ok(()) = committed.changed(), if gathered.since.is_none() => gathered.touch(),
            Ok(()) = status.changed() => {
                let config = status.borrow_and_update().config.clone();
                app.live.tell("config", &config);
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// What changed since it was last told.
#[derive(Debug, Default)]
struct Gathered {
    /// When the first change came.
    since: Option<Instant>,
    checks: BTreeSet<CheckId>,
    is_too_much: bool,
}

impl Gathered {
    /// Returns when it is told; `None`: nothing has changed.
    fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + GATHER)
    }

    /// Adds what has come meanwhile.
    fn add_all(&mut self, updates: &mut Receiver<CheckId>) {
        loop {
            match updates.try_recv() {
                Ok(id) => self.add(id),
                Err(TryRecvError::Lagged(_)) => self.overflow(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn touch(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    fn add(&mut self, id: CheckId) {
        self.touch();
        self.checks.insert(id);
        if self.checks.len() > CHECKS_MAX {
            self.overflow();
        }
    }

    fn overflow(&mut self) {
        self.touch();
        self.checks.clear();
        self.is_too_much = true;
    }
}

/// Tells what was gathered, and the events after `told`.
async fn tell(app: &Arc<App>, gathered: Gathered, told: &mut u64) {
    let newest = *app.deps.checks.committed().borrow();
    let behind = newest.saturating_sub(*told) as usize;
    let from = std::mem::replace(told, newest);
    if app.live.messages.receiver_count() == 0 {
        return;
    }
    if gathered.is_too_much || behind > EVENTS_MAX {
        app.live.tell_resync();
        return;
    }
    let worker = Arc::clone(app);
    let work = move || {
        for view in gathered.checks.iter().filter_map(|id| worker.deps.checks.check(id)) {
            worker.live.tell("check", &view);
        }
        if behind == 0 {
            return;
        }
        let events = worker.deps.checks.events(None, Some(newest + 1), behind);
        for event in events.iter().rev().filter(|event| event.sequence > from) {
            worker.live.tell("event", event);
        }
    };
    if let Err(error) = app.gate.disk(work).await {
        tracing::error!(%error, "cannot tell what changed");
        app.live.tell_resync();
    }
}

async fn listen(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    // A browser that comes back may have missed something.
    let is_return = headers.contains_key("last-event-id");
    let Some(listener) = Listener::new(&app.live, app.stop.clone(), is_return) else {
        return ApiError::Busy.into_response();
    };
    let messages = stream::unfold(listener, |mut listener| async {
        let message = listener.next().await?;
        Some((Ok::<_, Infallible>(message), listener))
    });
    Sse::new(messages).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// One page that listens.
struct Listener {
    messages: broadcast::Receiver<Told>,
    stop: CancellationToken,
    ends: Instant,
    is_resync_due: bool,
    number: u64,
    live: Arc<Live>,
}

impl Listener {
    /// Begins to listen; `None` when too many do.
    fn new(live: &Arc<Live>, stop: CancellationToken, is_resync_due: bool) -> Option<Self> {
        let before = live.listeners.fetch_add(1, Ordering::Relaxed);
        let listener = Self {
            messages: live.messages.subscribe(),
            stop,
            ends: Instant::now() + STREAM_LIFE,
            is_resync_due,
            number: 0,
            live: Arc::clone(live),
        };
        (before < LISTENERS_MAX).then_some(listener)
    }

    /// Returns the next message; `None` when the stream ends.
    async fn next(&mut self) -> Option<Message> {
        self.number += 1;
        let id = self.number.to_string();
        if std::mem::take(&mut self.is_resync_due) {
            return Some(Message::default().id(id).event("resync").data("{}"));
        }
        tokio::select! {
            () = self.stop.cancelled() => None,
            () = tokio::time::sleep_until(self.ends) => None,
            told = self.messages.recv() => match told {
                Ok(told) => Some(Message::default().id(id).event(told.name).data(&*told.json)),
                Err(RecvError::Lagged(_)) => {
                    // What is still queued is older than what will be read.
                    self.messages = self.messages.resubscribe();
                    Some(Message::default().id(id).event("resync").data("{}"))
                }
                Err(RecvError::Closed) => None,
            },
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.live.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(live: &Arc<Live>) -> Option<Listener> {
        Listener::new(live, CancellationToken::new(), false)
    }

    /// Returns the message as it goes over the wire.
    async fn text_of(listener: &mut Listener) -> String {
        let message = listener.next().await.unwrap();
        let stream = stream::once(async move { Ok::<_, Infallible>(message) });
        let body = Sse::new(stream).into_response().into_body();
        let bytes = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_page_that_falls_behind_reads_everything_again_and_then_goes_on() {
        let live = Arc::new(Live::new());
        let mut slow = listener(&live).unwrap();
        for number in 0..=QUEUE_MESSAGES {
            live.tell("event", &number);
        }
        assert!(text_of(&mut slow).await.contains("event: resync"));
        live.tell("event", &"after");
        assert!(text_of(&mut slow).await.contains("data: \"after\""));
    }

    #[test]
    fn listeners_are_bounded() {
        let live = Arc::new(Live::new());
        let all: Vec<Listener> = (0..LISTENERS_MAX).map(|_| listener(&live).unwrap()).collect();
        assert!(listener(&live).is_none());
        assert_eq!(live.listeners(), LISTENERS_MAX);
        drop(all);
        assert_eq!(live.listeners(), 0);
        assert!(listener(&live).is_some());
    }

    #[test]
    fn too_many_changed_checks_become_one_resync() {
        let mut gathered = Gathered::default();
        for number in 0..CHECKS_MAX {
            gathered.add(CheckId::check("web1", &number.to_string()));
        }
        assert!(!gathered.is_too_much);
        gathered.add(CheckId::host("web1"));
        assert!(gathered.is_too_much && gathered.checks.is_empty());
    }
}
