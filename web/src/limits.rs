//! What holds for every answer: time, headers, panics, one line of log, and the counts of requests.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::app::App;
use crate::error::ApiError;

/// How long an answer may take; the query engine's own limit is shorter.
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// What a page may load: itself, and pictures that it made (a graph saved as PNG).
const CONTENT_POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Ends a request that takes too long.
pub(crate) async fn in_time(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let answer = tokio::time::timeout(ANSWER_MAX, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let message = format!("this took longer than {} s", ANSWER_MAX.as_secs());
        ApiError::TimedOut(message).answer_at(&path)
    })
}

/// Answers for a handler that panicked: the request fails, the server goes on.
#[expect(clippy::needless_pass_by_value, reason = "the signature is tower-http's")]
pub(crate) fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(panic = text, "a request panicked");
    ApiError::Internal.into_response()
}

/// Logs one line a request, counts it, and adds the headers that every answer carries.
pub(crate) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or("none", MatchedPath::as_str).to_owned();
    let id = request.headers().get("x-request-id").cloned();
    let mut response = next.run(request).await;
    protect(response.headers_mut());
    let status = response.status().as_u16();
    let took = began.elapsed();
    app.requests.count(method.as_str(), &route, status, took);
    let id = id.as_ref().and_then(|id| id.to_str().ok()).unwrap_or("");
    tracing::debug!(%method, path, status, took_ms = took.as_secs_f64() * 1e3, id, "request");
    response
}

fn protect(headers: &mut HeaderMap) {
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        // What is answered belongs to whoever is signed in.
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Counts requests by method, route and status.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<BTreeMap<RequestKey, Tally>>);

/// Method, route as in the table, status. Routes are a fixed table and methods are those that
/// HTTP has names for, so this is bounded.
type RequestKey = (&'static str, String, u16);

/// How many requests, and how long they took together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) seconds: f64,
}

impl Requests {
    fn count(&self, method: &str, route: &str, status: u16, took: Duration) {
        const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or("other");
        let mut tallies = self.0.lock();
        let tally = tallies.entry((method, route.to_owned(), status)).or_default();
        tally.count += 1;
        tally.seconds += took.as_secs_f64();
    }

    /// Returns the counts, ordered.
    pub(crate) fn tallies(&self) -> Vec<(RequestKey, Tally)> {
        self.0.lock().iter().map(|(key, tally)| (key.clone(), *tally)).collect()
    }
}
