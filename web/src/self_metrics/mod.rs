//! `/metrics`, `/healthz`, `/readyz`: the server about itself.

mod rooms;

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use noroshi_checks::Spread;
use noroshi_model::{Space, Status};

use crate::app::App;
use crate::error::ApiError;
use crate::route::{Access, Body, Route};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/healthz", Access::Open, healthz)
            .summary("Answers while the server runs")
            .answer(Body::Other("text/plain")),
        Route::get("/readyz", Access::Viewer, readyz)
            .summary("Answers when the store can be read and the server is not stopping")
            .answer(Body::Other("text/plain")),
        Route::get("/metrics", Access::Viewer, metrics)
            .summary("The server about itself, in Prometheus' text format")
            .answer(Body::Other("text/plain; version=0.0.4")),
    ]
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(app): State<Arc<App>>) -> Result<&'static str, ApiError> {
    if app.stop.is_cancelled() {
        return Err(ApiError::Unavailable("the server is stopping".to_owned()));
    }
    let worker = Arc::clone(&app);
    let read = move || worker.deps.records.get(Space::Values, b"web/ready").map(drop);
    let failed = |error| {
        tracing::error!(error = %noroshi_model::chain(&error), "not ready");
        ApiError::Unavailable("the store cannot be read".to_owned())
    };
    app.gate.disk(read).await?.map_err(failed)?;
    Ok("ready\n")
}

async fn metrics(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let worker = Arc::clone(&app);
    let text = app.gate.query(move || written(&worker)).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// Text in Prometheus' exposition format 0.0.4.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Begins a metric. The help has neither backslash nor line break.
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    /// Writes one value.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut opener = '{';
        self.0.push_str(name);
        for (label, text) in labels {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            // Writing into a string cannot fail.
            write!(self.0, "{opener}{label}=\"{text}\"").unwrap_or_default();
            opener = ',';
        }
        let closer = if labels.is_empty() { "" } else { "}" };
        self.line(format_args!("{closer} {}", noroshi_expr::number_text(value)));
    }

    /// Writes a metric with one value.
    fn single(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{text}").unwrap_or_default();
    }
}

fn written(app: &App) -> String {
    let mut page = Page::default();
    server(app, &mut page);
    checks(app, &mut page);
    timing(app, &mut page);
    programs(app, &mut page);
    alerts(app, &mut page);
    rooms::store(app, &mut page);
    rooms::handed_in(app, &mut page);
    rooms::polls(app, &mut page);
    rooms::agents(app, &mut page);
    process(&mut page);
    page.0
}

fn server(app: &App, page: &mut Page) {
    let status = app.deps.status.borrow().clone();
    page.metric("noroshi_build_info", "gauge", "The program; always 1.");
    page.sample("noroshi_build_info", &[("version", &status.version)], 1.0);
    let started = status.started_at.as_secs_f64();
    let help = "When the server started, in seconds since 1970.";
    page.single("noroshi_start_time_seconds", "gauge", help, started);
    let errors = status.config.errors.len() as f64;
    let help = "Errors in the config that could not be taken into use.";
    page.single("noroshi_config_errors", "gauge", help, errors);
    let loaded = status.config.loaded_at.as_secs_f64();
    let help = "When the config in use was loaded, in seconds since 1970.";
    page.single("noroshi_config_loaded_timestamp_seconds", "gauge", help, loaded);

    let tallies = app.requests.tallies();
    page.metric("noroshi_http_requests_total", "counter", "Requests answered.");
    for ((method, route, code), tally) in &tallies {
        let labels = [("method", *method), ("route", route), ("code", &code.to_string())];
        page.sample("noroshi_http_requests_total", &labels, tally.count as f64);
    }
    let name = "noroshi_http_request_seconds_total";
    page.metric(name, "counter", "Time that requests took together.");
    for ((method, route, code), tally) in &tallies {
        let labels = [("method", *method), ("route", route), ("code", &code.to_string())];
        page.sample(name, &labels, tally.seconds);
    }
    let (queries, hashes) = app.gate.waiting();
    let name = "noroshi_http_waiting";
    page.metric(name, "gauge", "Requests that wait for a place to work.");
    page.sample(name, &[("work", "query")], queries as f64);
    page.sample(name, &[("work", "password")], hashes as f64);
    let listeners = app.live.listeners() as f64;
    page.single("noroshi_http_listeners", "gauge", "Pages that listen to changes.", listeners);
}

/// Event handlers, and the process that runs plug-ins.
fn programs(app: &App, page: &mut Page) {
    let stats = app.deps.checks.stats();
    let name = "noroshi_event_handlers_total";
    page.metric(name, "counter", "Event handlers by how they ended.");
    let by_result = [
        ("ok", stats.handlers_ok),
        ("failed", stats.handlers_failed),
        ("dropped", stats.handlers_dropped),
    ];
    for (result, count) in by_result {
        page.sample(name, &[("result", result)], count as f64);
    }
    let name = "noroshi_plugin_spawner_starts_total";
    let help = "Starts of the process that runs plug-ins.";
    page.single(name, "counter", help, stats.spawner_starts as f64);
}

fn checks(app: &App, page: &mut Page) {
    let counts = app.deps.checks.counts();
    let name = "noroshi_hosts";
    page.metric(name, "gauge", "Hosts by status.");
    let hosts = counts.hosts;
    let by_status = [
        (Status::Up.as_str(), hosts.up),
        (Status::Down.as_str(), hosts.down),
        (Status::Unreachable.as_str(), hosts.unreachable),
        ("pending", hosts.pending),
    ];
    for (status, count) in by_status {
        page.sample(name, &[("status", status)], count as f64);
    }
    let name = "noroshi_checks";
    page.metric(name, "gauge", "Checks by status.");
    let checks = counts.checks;
    let by_status = [
        (Status::Ok.as_str(), checks.ok),
        (Status::Warning.as_str(), checks.warning),
        (Status::Critical.as_str(), checks.critical),
        (Status::Unknown.as_str(), checks.unknown),
        ("pending", checks.pending),
    ];
    for (status, count) in by_status {
        page.sample(name, &[("status", status)], count as f64);
    }
}

/// How late checks begin and how long they take: the scheduler's health.
fn timing(app: &App, page: &mut Page) {
    let last = app.deps.checks.last_runs();
    let name = "noroshi_check_latency_seconds";
    page.metric(name, "gauge", "How late the last runs of all checks began.");
    page.sample(name, &[("of", "mean")], last.latency.0);
    page.sample(name, &[("of", "max")], last.latency.1);
    let name = "noroshi_check_run_time_seconds";
    page.metric(name, "gauge", "How long the last runs of all checks took.");
    page.sample(name, &[("of", "mean")], last.run_time.0);
    page.sample(name, &[("of", "max")], last.run_time.1);
    let stats = app.deps.checks.stats();
    let help = "How late runs of checks began, since the start.";
    spread(page, "noroshi_checks_latency_seconds", help, &stats.latency);
    let help = "How long runs of checks took, since the start.";
    spread(page, "noroshi_checks_run_time_seconds", help, &stats.run_time);
    for (name, kind, help, value) in [
        ("results_total", "counter", "Results taken, passive ones included.", stats.results),
        ("runs_under_way", "gauge", "Runs that are under way or wait.", stats.runs_under_way),
        ("messages_waiting", "gauge", "Results that wait to be judged.", stats.messages_waiting),
        ("commits_failed_total", "counter", "Commits tried again.", stats.commits_failed),
        ("samples_dropped_total", "counter", "Samples that were lost.", stats.samples_dropped),
    ] {
        page.single(&format!("noroshi_checks_{name}"), kind, help, value as f64);
    }
    let events = *app.deps.checks.committed().borrow() as f64;
    page.single("noroshi_events_total", "counter", "Events in the log, ever.", events);
}

/// Writes a histogram.
fn spread(page: &mut Page, name: &str, help: &str, spread: &Spread) {
    page.metric(name, "histogram", help);
    let bucket = format!("{name}_bucket");
    let mut so_far = 0;
    for (end, count) in Spread::ends().zip(spread.counts) {
        so_far += count;
        page.sample(&bucket, &[("le", &end.as_secs_f64().to_string())], so_far as f64);
    }
    page.sample(&bucket, &[("le", "+Inf")], spread.count as f64);
    page.sample(&format!("{name}_sum"), &[], spread.sum_micros as f64 / 1e6);
    page.sample(&format!("{name}_count"), &[], spread.count as f64);
}

/// Writes what the kernel tells about this process, by the names that Prometheus' client libraries
/// use. Elsewhere than on Linux there is nothing to tell.
fn process(page: &mut Page) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // proc_pid_status(5): `VmRSS:	    1234 kB`, `Threads:	5`.
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    if let Some(kibibytes) = field("VmRSS:") {
        let help = "Resident memory size in bytes.";
        page.single("process_resident_memory_bytes", "gauge", help, kibibytes * 1024.0);
    }
    if let Some(threads) = field("Threads:") {
        page.single("process_threads", "gauge", "Threads of the process.", threads);
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        let help = "Number of open file descriptors.";
        page.single("process_open_fds", "gauge", help, files.count() as f64);
    }
}

fn alerts(app: &App, page: &mut Page) {
    let stats = app.deps.alerts.stats();
    let gauges = [
        ("noroshi_notifications_queued", "Notifications that wait.", stats.queued as f64),
        (
            "noroshi_notifications_oldest_waiting_seconds",
            "How long the oldest waiting notification has waited.",
            stats.oldest_waiting_seconds,
        ),
        ("noroshi_alerts_events_behind", "Events not yet decided.", stats.events_behind as f64),
        (
            "noroshi_notification_delay_seconds",
            "From the event to the mail server's yes, for the last mail.",
            stats.last_delay_seconds.unwrap_or(f64::NAN),
        ),
    ];
    for (name, help, value) in gauges {
        page.single(name, "gauge", help, value);
    }
    let name = "noroshi_notifications_total";
    page.metric(name, "counter", "Notifications since the start by what became of them.");
    page.sample(name, &[("result", "sent")], stats.sent_total as f64);
    page.sample(name, &[("result", "failed")], stats.failed_total as f64);
    page.sample(name, &[("result", "deferred")], stats.deferred_total as f64);
    let missed = stats.graphs_missed_total as f64;
    let help = "Graphs that could not be drawn in time for a mail.";
    page.single("noroshi_notification_graphs_missed_total", "counter", help, missed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_numbers_written_plainly() {
        let mut page = Page::default();
        page.metric("x_total", "counter", "Some.");
        page.sample("x_total", &[("a", "b\"\\\nc"), ("d", "e")], 1e21);
        page.sample("x_total", &[], f64::NAN);
        let expected = "# HELP x_total Some.\n# TYPE x_total counter\n\
                        x_total{a=\"b\\\"\\\\\\nc\",d=\"e\"} 1000000000000000000000\nx_total NaN\n";
        assert_eq!(page.0, expected);
    }
}
