//! How long hosts and checks were in which state: one of them, or many in one report.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use noroshi_checks::{Availability, AvailabilityOf, AvailabilityReport, Together};
use noroshi_model::{CheckId, Status, Timestamp};
use serde::{Deserialize, Serialize};

use super::board::{Named, no_check};
use super::body::QueryOf;
use super::keeping::selector;
use crate::app::App;
use crate::arguments::ArgumentError;
use crate::error::ApiError;
use crate::route::{Access, Body, Route, Value};

/// The span when none is asked for: a month.
const SPAN: Duration = Duration::from_hours(30 * 24);
/// Most rows of a report: 6 MB of JSON.
const ROWS_MAX: usize = 20_000;

pub(super) fn routes() -> Vec<Route> {
    let report = |route: Route| {
        route
            .takes("group", Value::Text, "only hosts of this group")
            .takes("match", Value::Text, "only what has these labels: {site=\"tokyo\"}")
            .takes("check", Value::Text, "the checks of this name; the hosts themselves without")
            .takes("start", Value::Integer, "from when, in milliseconds since 1970; 30 days ago")
            .takes("end", Value::Integer, "until when; now, if not given or later")
    };
    vec![
        Route::get("/api/v1/availability", Access::Viewer, availability)
            .summary("How long a host or check was in which confirmed state")
            .needs("host", Value::Text, "the host's name")
            .takes("check", Value::Text, "the check's name")
            .takes("start", Value::Integer, "from when, in milliseconds since 1970; 30 days ago")
            .takes("end", Value::Integer, "until when; now, if not given or later")
            .answer(Body::Json("Availability")),
        report(Route::get("/api/v1/availability/report", Access::Viewer, many))
            .summary("The availability of many hosts, or of one check of each, and of all together")
            .answer(Body::Json("AvailabilityReport")),
        report(Route::get("/api/v1/availability/report.csv", Access::Viewer, many_as_csv))
            .summary("The same, a line each, with times in seconds")
            .answer(Body::Other("text/csv")),
    ]
}

#[derive(Deserialize)]
struct AvailabilityQuery {
    host: String,
    check: Option<String>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

#[derive(Serialize)]
struct AvailabilityAnswer {
    host: String,
    check: Option<String>,
    start: Timestamp,
    end: Timestamp,
    /// Share of the known time that was fine, 0 to 1; `None` when nothing is known.
    ratio: Option<f64>,
    /// The same, time in downtimes left out.
    ratio_without_downtime: Option<f64>,
    #[serde(flatten)]
    times: Availability,
}

async fn availability(
    State(app): State<Arc<App>>,
    QueryOf(query): QueryOf<AvailabilityQuery>,
) -> Result<Json<AvailabilityAnswer>, ApiError> {
    let (start, end) = span(&app, query.start, query.end)?;
    let worker = Arc::clone(&app);
    let found = move || {
        let id = Named { host: query.host, check: query.check }.id();
        let times = worker.deps.checks.availability(&id, start, end);
        times.map(|times| (id.clone(), times)).ok_or_else(|| no_check(&id))
    };
    let (id, times) = app.gate.query(found).await??;
    Ok(Json(AvailabilityAnswer {
        host: id.host.to_string(),
        check: id.check.as_ref().map(ToString::to_string),
        start,
        end,
        ratio: times.ratio(false),
        ratio_without_downtime: times.ratio(true),
        times,
    }))
}

/// Returns the span that is asked for.
fn span(
    app: &App,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
) -> Result<(Timestamp, Timestamp), ArgumentError> {
    let now = app.deps.clock.now();
    let end = end.unwrap_or(now).min(now);
    let start = start.unwrap_or(end - SPAN);
    if start > end {
        return Err(ArgumentError::invalid("start", "it is after the end"));
    }
    Ok((start, end))
}

#[derive(Deserialize)]
struct ReportQuery {
    group: Option<String>,
    r#match: Option<String>,
    check: Option<String>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

#[derive(Serialize)]
struct ReportAnswer {
    start: Timestamp,
    end: Timestamp,
    /// Mean of the rows' shares, 0 to 1; `None` when nothing is known of any.
    mean: Option<f64>,
    /// The same, time in downtimes left out.
    mean_without_downtime: Option<f64>,
    together: Together,
    together_without_downtime: Together,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    host: String,
    check: Option<String>,
    ratio: Option<f64>,
    ratio_without_downtime: Option<f64>,
    #[serde(flatten)]
    times: Availability,
}

/// Works a report out, off the runtime.
async fn report(
    app: &Arc<App>,
    query: ReportQuery,
) -> Result<(Timestamp, Timestamp, AvailabilityReport), ApiError> {
    let (start, end) = span(app, query.start, query.end)?;
    let named = |text: Option<String>| text.filter(|text| !text.is_empty());
    let matchers = named(query.r#match).map_or(Ok(Vec::new()), |text| selector(&text))?;
    let of = AvailabilityOf { group: named(query.group), matchers, check: named(query.check) };
    let checks = Arc::clone(&app.deps.checks);
    let found = move || {
        let ids = checks.chosen(&of, ROWS_MAX);
        if ids.len() > ROWS_MAX {
            let what = format!("more than {ROWS_MAX} rows; ask for a group, or for labels");
            return Err(ArgumentError::invalid("match", what));
        }
        Ok(checks.availability_of_all(&ids, start, end))
    };
    Ok((start, end, app.gate.query(found).await??))
}

async fn many(
    State(app): State<Arc<App>>,
    QueryOf(query): QueryOf<ReportQuery>,
) -> Result<Json<ReportAnswer>, ApiError> {
    let (start, end, report) = report(&app, query).await?;
    let (mean, mean_without_downtime) = (report.mean(false), report.mean(true));
    let row = |(id, times): (CheckId, Availability)| Row {
        host: id.host.to_string(),
        check: id.check.as_ref().map(ToString::to_string),
        ratio: times.ratio(false),
        ratio_without_downtime: times.ratio(true),
        times,
    };
    Ok(Json(ReportAnswer {
        start,
        end,
        mean,
        mean_without_downtime,
        together: report.together,
        together_without_downtime: report.together_without_downtime,
        rows: report.rows.into_iter().map(row).collect(),
    }))
}

async fn many_as_csv(
    State(app): State<Arc<App>>,
    QueryOf(query): QueryOf<ReportQuery>,
) -> Result<Response, ApiError> {
    let (.., report) = report(&app, query).await?;
    let kind = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"availability.csv\""),
    ];
    Ok((kind, csv(&report)).into_response())
}

/// The states of the columns, from fine to bad.
const COLUMNS: [Status; 7] = [
    Status::Up,
    Status::Ok,
    Status::Warning,
    Status::Unknown,
    Status::Unreachable,
    Status::Critical,
    Status::Down,
];

/// Writes a report as comma-separated values (RFC 4180): per cent with six digits behind the point,
/// times in seconds; an empty field is not known.
fn csv(report: &AvailabilityReport) -> String {
    let mut text = "host,check,percent,percent_without_downtime".to_owned();
    for status in COLUMNS {
        text += &format!(",{status}_seconds");
    }
    text += ",downtime_seconds,not_known_seconds,monitor_off_seconds\r\n";
    let percent = |ratio: Option<f64>| ratio.map_or(String::new(), |r| format!("{:.6}", r * 100.0));
    for (id, times) in &report.rows {
        let check = id.check.as_deref().unwrap_or_default();
        text += &format!("{},{}", field(&id.host), field(check));
        text += &format!(",{},{}", percent(times.ratio(false)), percent(times.ratio(true)));
        let of = |status: Status| times.status_ms.get(status.as_str()).copied().unwrap_or(0);
        let planned = times.downtime_ms.values().sum();
        let rest = [planned, times.unmonitored_ms, times.monitor_off_ms];
        for millis in COLUMNS.map(of).into_iter().chain(rest) {
            text += &format!(",{}", millis as f64 / 1000.0);
        }
        text += "\r\n";
    }
    text
}

/// Writes a field; what a spreadsheet would take for a formula gets an apostrophe before it.
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    let is_quoted = text.contains(['"', ',', '\r', '\n']);
    if is_quoted { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_written_as_lines() {
        let times = Availability {
            status_ms: [("up", 90_000), ("down", 10_500)].into(),
            downtime_ms: [("down", 500)].into(),
            unmonitored_ms: 2_000,
            monitor_off_ms: 1_000,
            known_since: None,
        };
        let rows = vec![
            (CheckId::host("a"), times),
            (CheckId::check("=b", "x, \"y\""), Availability::default()),
        ];
        let text = csv(&AvailabilityReport { rows, ..AvailabilityReport::default() });
        let lines: Vec<&str> = text.split("\r\n").collect();
        // 90 of 100.5 s; 90 of 100 s.
        assert_eq!(lines[1], "a,,89.552239,90.000000,90,0,0,0,0,0,10.5,0.5,2,1");
        assert_eq!(lines[2], "'=b,\"x, \"\"y\"\"\",,,0,0,0,0,0,0,0,0,0,0");
        assert_eq!(lines.len(), 4);
    }
}
