//! Hosts, checks and what happened to them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use noroshi_checks::{CheckView, Counts, HostRow, HostView};
use noroshi_collector::{AgentView, PollStatus};
use noroshi_model::{CheckId, Event, GraphTemplate, Matcher, Restart, Timestamp};
use serde::{Deserialize, Serialize};

use super::body::QueryOf;
use crate::app::App;
use crate::configuration::HostSource;
use crate::deps::ConfigStatus;
use crate::error::ApiError;
use crate::route::{Access, Body, Route, Value};

/// Events returned when no number is asked for.
const EVENTS_USUAL: usize = 100;
/// Most events in one answer.
const EVENTS_MAX: usize = 1000;
/// Events that come with a check.
const EVENTS_OF_CHECK: usize = 50;
/// A host has few kinds of series; this is a bound, not a choice.
const JOBS_MAX: usize = 100;
/// Restarts that are drawn into a host's graphs: more hide the curves.
const RESTARTS_MAX: usize = 20;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/overview", Access::Viewer, overview)
            .summary("How everything stands: counts, open problems, hosts")
            .answer(Body::Json("Overview")),
        Route::get("/api/v1/hosts/{host}", Access::Viewer, host)
            .summary("A host with its checks and graphs")
            .needs("host", Value::Text, "the host's name")
            .answer(Body::Json("Host")),
        Route::get("/api/v1/check", Access::Viewer, check)
            .summary("A check, or without `check` a host's own state, with its last events")
            .needs("host", Value::Text, "the host's name")
            .takes("check", Value::Text, "the check's name")
            .answer(Body::Json("Check")),
        Route::get("/api/v1/events", Access::Viewer, events)
            .summary("What happened, newest first")
            .takes("host", Value::Text, "only this host, or with `check` this check")
            .takes("check", Value::Text, "the check's name")
            .takes("before", Value::Integer, "only events with a smaller sequence number")
            .takes("limit", Value::Integer, "at most this many, 1 to 1000; 100 if not given")
            .answer(Body::Json("Events")),
    ]
}

/// How everything stands.
#[derive(Serialize)]
struct Overview {
    now: Timestamp,
    version: String,
    started_at: Timestamp,
    counts: Counts,
    problems: Vec<CheckView>,
    hosts: Vec<HostRow>,
    config: ConfigStatus,
    #[serde(rename = "self")]
    own: Own,
}

/// How the server itself stands.
#[derive(Serialize)]
struct Own {
    /// Series that are known.
    series: u64,
    /// Bytes that they may take by plan.
    planned_bytes: u64,
    /// Bytes that they take now.
    used_bytes: u64,
    disk_free_bytes: u64,
    /// Whether nothing is taken in because the disk is nearly full.
    is_disk_full: bool,
    /// Whether nothing is taken in because the disk failed.
    is_broken: bool,
    notifications_queued: u64,
    agents: usize,
    polls: usize,
    polls_failing: usize,
}

async fn overview(State(app): State<Arc<App>>) -> Result<Json<Overview>, ApiError> {
    let worker = Arc::clone(&app);
    let overview = move || {
        let deps = &worker.deps;
        let status = deps.status.borrow().clone();
        let store = deps.store.stats();
        let polls = deps.collector.status();
        Overview {
            now: deps.clock.now(),
            version: status.version,
            started_at: status.started_at,
            counts: deps.checks.counts(),
            problems: deps.checks.problems(),
            hosts: deps.checks.hosts(),
            config: status.config,
            own: Own {
                series: store.series,
                planned_bytes: store.planned_bytes,
                used_bytes: store.used_bytes(),
                disk_free_bytes: store.disk_free_bytes,
                is_disk_full: store.is_disk_full,
                is_broken: store.is_broken,
                notifications_queued: deps.alerts.stats().queued,
                agents: deps.ingest.agents().len(),
                polls: polls.len(),
                polls_failing: polls.iter().filter(|poll| poll.failure.is_some()).count(),
            },
        }
    };
    Ok(Json(app.gate.query(overview).await?))
}

/// A host with what its page shows.
#[derive(Serialize)]
struct HostAnswer {
    host: HostView,
    checks: Vec<CheckView>,
    graphs: Vec<GraphTemplate>,
    agent: Option<AgentView>,
    polls: Vec<PollStatus>,
    restarts: Vec<Restart>,
    source: Option<HostSource>,
}

async fn host(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<HostAnswer>, ApiError> {
    let worker = Arc::clone(&app);
    let source = app.deps.configuration.source(&name).await;
    let found = move || {
        let deps = &worker.deps;
        let host = deps.checks.host(&name).ok_or_else(|| no_host(&name))?;
        Ok(HostAnswer {
            host,
            checks: deps.checks.checks_of(&name),
            graphs: graphs(&worker, &name)?,
            agent: deps.ingest.agents().into_iter().find(|agent| agent.host == name),
            restarts: restarts(&worker, &name)?,
            polls: deps.collector.status().into_iter().filter(|p| p.instance == name).collect(),
            source,
        })
    };
    app.gate.query(found).await?.map(Json)
}

/// Returns the graphs for the kinds of series that a host has, with its name filled in.
fn graphs(app: &App, host: &str) -> Result<Vec<GraphTemplate>, ApiError> {
    let of_host = [Matcher::equal("instance", host)];
    let jobs = app.deps.series.label_values("job", &of_host, JOBS_MAX);
    let jobs = jobs.map_err(|error| ApiError::internal("cannot read labels", &error))?;
    let name = quoted(host);
    let templates = app.deps.graphs.iter().filter(|graph| jobs.contains(&graph.job));
    let fill = |graph: &GraphTemplate| {
        let mut graph = graph.clone();
        for line in &mut graph.lines {
            line.expr = line.expr.replace("$instance", &name);
        }
        graph
    };
    Ok(templates.map(fill).collect())
}

/// Returns when the host or a service on it was restarted.
fn restarts(app: &App, host: &str) -> Result<Vec<Restart>, ApiError> {
    let of_host = [Matcher::equal("instance", host)];
    let ever = (Timestamp::from_millis(0), app.deps.clock.now());
    let restarts = app.deps.series.restarts(&of_host, ever, usize::MAX);
    let mut restarts =
        restarts.map_err(|error| ApiError::internal("cannot read restarts", &error))?;
    restarts.drain(..restarts.len().saturating_sub(RESTARTS_MAX));
    Ok(restarts)
}

/// Writes a name so that it can stand between the double quotes of an expression.
fn quoted(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Which host or check is meant.
#[derive(Deserialize)]
pub(crate) struct Named {
    pub(crate) host: String,
    pub(crate) check: Option<String>,
}

impl Named {
    /// Returns the name as the rooms know it.
    pub(crate) fn id(&self) -> CheckId {
        match self.check.as_deref() {
            None | Some("") => CheckId::host(&self.host),
            Some(check) => CheckId::check(&self.host, check),
        }
    }
}

#[derive(Serialize)]
struct Check {
    check: CheckView,
    events: Vec<Event>,
}

async fn check(
    State(app): State<Arc<App>>,
    QueryOf(named): QueryOf<Named>,
) -> Result<Json<Check>, ApiError> {
    let worker = Arc::clone(&app);
    let found = move || {
        let id = named.id();
        let check = worker.deps.checks.check(&id).ok_or_else(|| no_check(&id))?;
        let events = worker.deps.checks.events(Some(&id), None, EVENTS_OF_CHECK);
        Ok(Check { check, events })
    };
    app.gate.query(found).await?.map(Json)
}

#[derive(Deserialize)]
struct EventsQuery {
    host: Option<String>,
    check: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Events {
    events: Vec<Event>,
}

async fn events(
    State(app): State<Arc<App>>,
    QueryOf(query): QueryOf<EventsQuery>,
) -> Result<Json<Events>, ApiError> {
    let limit = query.limit.unwrap_or(EVENTS_USUAL).clamp(1, EVENTS_MAX);
    let worker = Arc::clone(&app);
    let read = move || {
        let named = query.host.filter(|host| !host.is_empty());
        let id = named.map(|host| Named { host, check: query.check }.id());
        worker.deps.checks.events(id.as_ref(), query.before, limit)
    };
    let events = app.gate.query(read).await?;
    Ok(Json(Events { events }))
}

pub(crate) fn no_host(name: &str) -> ApiError {
    ApiError::NotFound(format!("there is no host {name}"))
}

pub(crate) fn no_check(id: &CheckId) -> ApiError {
    ApiError::NotFound(format!("there is no check {id}"))
}
