//! `rules`, `alerts`, `status/buildinfo`: our checks in Prometheus' words.
//!
//! A rule is a check on an expression; an alert is a host or check with a problem: pending while
//! soft, firing when hard. Groups are hosts.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use noroshi_checks::CheckView;
use noroshi_model::{StateType, Status, Timestamp};
use serde::Serialize;

use super::answer::{Failure, success};
use crate::app::App;
use crate::arguments::{ArgumentError, Arguments};
use crate::route::{Access, Body, Route, Value};

/// The version of Prometheus whose API this is: clients choose their requests by it (Grafana asks
/// for labels with `match[]` from 2.24 on, and for UTF-8 names from 3.0 on).
const VERSION: &str = "3.0.0";
/// The file in which Prometheus would have the rules.
const FILE: &str = "noroshi";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/prometheus/api/v1/rules", Access::Viewer, rules)
            .summary("Checks on expressions, as rules; groups are hosts")
            .takes("type", Value::Text, "`alert` or `record`; there are no recording rules")
            .takes("rule_name[]", Value::Texts, "only these checks")
            .takes("rule_group[]", Value::Texts, "only these hosts")
            .takes("file[]", Value::Texts, "only these files; the only one is `noroshi`")
            .takes("exclude_alerts", Value::Text, "`true`: leave the alerts out")
            .answer(Body::Json("PrometheusAnswer")),
        Route::get("/prometheus/api/v1/alerts", Access::Viewer, alerts)
            .summary("Open problems, as alerts")
            .answer(Body::Json("PrometheusAnswer")),
        Route::get("/prometheus/api/v1/status/buildinfo", Access::Viewer, build)
            .summary("Which Prometheus' API this is")
            .answer(Body::Json("PrometheusAnswer")),
    ]
}

#[derive(Serialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    file: &'static str,
    rules: Vec<Rule>,
    /// Seconds: the shortest of its rules.
    interval: f64,
    limit: u64,
    evaluation_time: f64,
    last_evaluation: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    state: &'static str,
    name: String,
    query: String,
    duration: f64,
    keep_firing_for: f64,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alerts: Option<Vec<Alert>>,
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    evaluation_time: f64,
    last_evaluation: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Alerts {
    alerts: Vec<Alert>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<&'static str, String>,
    state: &'static str,
    active_at: Option<String>,
    value: String,
}

async fn rules(
    State(app): State<Arc<App>>,
    arguments: Result<Arguments, ArgumentError>,
) -> Result<Response, Failure> {
    let arguments = arguments?;
    let has_alerting = match arguments.text("type") {
        None | Some("alert") => true,
        Some("record") => false,
        Some(other) => {
            let message = format!("not supported value \"{other}\"");
            return Err(Failure::bad_parameter("type", &message));
        }
    };
    let has_alerts = arguments.text("exclude_alerts") != Some("true");
    let worker = Arc::clone(&app);
    let work = move || {
        let wants = |name: &str, value: &str| {
            arguments.all(name).next().is_none() || arguments.all(name).any(|one| one == value)
        };
        let is_any = has_alerting && wants("file[]", FILE);
        let hosts = worker.deps.checks.hosts().into_iter().filter(|_| is_any);
        let groups = hosts.filter(|host| wants("rule_group[]", &host.name)).filter_map(|host| {
            let mut checks = worker.deps.checks.checks_of(&host.name);
            checks.retain(|check| check.expr.is_some() && wants("rule_name[]", &title(check)));
            group(host.name, &checks, has_alerts)
        });
        Rules { groups: groups.collect() }
    };
    Ok(success(app.gate.query(work).await?, &[]))
}

fn group(name: String, checks: &[CheckView], has_alerts: bool) -> Option<Group> {
    let last = checks.iter().filter_map(|check| check.last_check).max();
    let interval = checks.iter().map(|check| check.interval_ms).min()?;
    Some(Group {
        name,
        file: FILE,
        interval: interval as f64 / 1e3,
        limit: 0,
        evaluation_time: checks.iter().map(|check| check.run_time_ms).sum::<f64>() / 1e3,
        last_evaluation: date(last.unwrap_or_default()),
        rules: checks.iter().map(|check| rule(check, has_alerts)).collect(),
    })
}

fn rule(check: &CheckView, has_alerts: bool) -> Rule {
    let is_broken = check.status == Some(Status::Unknown);
    Rule {
        state: state(check),
        name: title(check),
        query: check.expr.clone().unwrap_or_default(),
        duration: check.lasting.map_or(0.0, |lasting| lasting.needed_ms as f64 / 1e3),
        keep_firing_for: 0.0,
        labels: check.labels.clone(),
        annotations: annotations(check),
        alerts: has_alerts.then(|| alert(check).into_iter().collect()),
        health: match check.status {
            None => "unknown",
            Some(Status::Unknown) => "err",
            Some(_) => "ok",
        },
        last_error: is_broken.then(|| check.output.clone()),
        evaluation_time: check.run_time_ms / 1e3,
        last_evaluation: date(check.last_check.unwrap_or_default()),
        kind: "alerting",
    }
}

async fn alerts(State(app): State<Arc<App>>) -> Result<Response, Failure> {
    let checks = Arc::clone(&app.deps.checks);
    let work = move || Alerts { alerts: checks.problems().iter().filter_map(alert).collect() };
    Ok(success(app.gate.query(work).await?, &[]))
}

/// Returns the alert of a check; `None` when it has no problem.
fn alert(check: &CheckView) -> Option<Alert> {
    let status = check.status.filter(|status| status.is_problem())?;
    let mut labels = check.labels.clone();
    labels.insert("alertname".to_owned(), title(check));
    labels.insert("instance".to_owned(), check.host.clone());
    labels.insert("severity".to_owned(), status.to_string());
    Some(Alert {
        labels,
        annotations: annotations(check),
        state: state(check),
        active_at: check.since.map(date),
        value: format!("{}e+00", status.code()),
    })
}

fn state(check: &CheckView) -> &'static str {
    match (check.status.is_some_and(Status::is_problem), check.state_type) {
        (false, _) => "inactive",
        (true, StateType::Soft) => "pending",
        (true, StateType::Hard) => "firing",
    }
}

/// Returns what an alert is called: the check's name, or `host` for a host's own state.
fn title(check: &CheckView) -> String {
    check.check.clone().unwrap_or_else(|| "host".to_owned())
}

fn annotations(check: &CheckView) -> BTreeMap<&'static str, String> {
    let all = [
        ("summary", &check.output),
        ("description", &check.long_output),
        ("notes", &check.notes),
        ("runbook_url", &check.notes_url),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty()).map(|(n, t)| (n, t.clone())).collect()
}

/// Writes a moment in RFC 3339; Go's zero time for a moment that never was.
fn date(at: Timestamp) -> String {
    if at == Timestamp::default() {
        return "0001-01-01T00:00:00Z".to_owned();
    }
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildInfo {
    version: &'static str,
    revision: &'static str,
    branch: &'static str,
    build_user: &'static str,
    build_date: &'static str,
    go_version: &'static str,
}

async fn build() -> Response {
    let revision = concat!("noroshi-", env!("CARGO_PKG_VERSION"));
    let build = BuildInfo {
        version: VERSION,
        revision,
        branch: "",
        build_user: "",
        build_date: "",
        go_version: "",
    };
    success(build, &[])
}
