//! Apache's httpd by its page `server-status?auto`: requests, workers, connections.
//!
//! The names are those of `apache_exporter` 1.x (`collector/collector.go`). Averages since the
//! start (`ReqPerSec`, `CPULoad`) are not kept: they say nothing about now. `README.md` says what
//! to switch on at the server.

mod parse;

use noroshi_model::{GraphLine, GraphTemplate, Kind, Labels, LineStyle, Width};

use crate::http::Client;
use crate::poll::PollFailure;
use crate::reading::Reading;
use crate::registry::{DefaultCheck, PollerInfo, Series, table_metas};

/// `[host.NAME.poll.apache]`: the page is `http://HOST[:PORT]/server-status?auto` or `https://`.
pub use crate::config::StatusPage as Config;
pub use parse::{ServerStatus, ServerStatusError};

/// The poller's name.
pub const KIND: &str = "apache";

/// Whether Apache answered, under the exporter's own name.
pub(crate) const UP: &str = "apache_up";

/// Largest page in bytes: the scoreboard has a byte a worker, at most 20,000 (`HARD_SERVER_LIMIT`),
/// the rest is below 2 KiB but for balancers, which are not read.
const BODY_BYTES_MAX: usize = 256 << 10;

/// The counters start anew with Apache itself (not with a graceful restart).
const COUNTER: Kind = Kind::Counter(Width::Float);

/// What the poller gives.
pub(crate) const SERIES: [Series; 9] = [
    (UP, Kind::Gauge, "", "Whether the last poll of Apache succeeded: 1 or 0."),
    ("apache_accesses_total", COUNTER, "", "Requests of clients."),
    ("apache_sent_kilobytes_total", COUNTER, "", "KiB sent to clients."),
    ("apache_duration_ms_total", COUNTER, "", "Milliseconds that requests took, all together."),
    ("apache_cpu_time_ms_total", COUNTER, "", "Milliseconds of CPU, by type (user, system)."),
    ("apache_uptime_seconds_total", COUNTER, "seconds", "Seconds since the start."),
    ("apache_workers", Kind::Gauge, "", "Workers, by state (busy, idle)."),
    ("apache_scoreboard", Kind::Gauge, "", "Slots for workers, by state."),
    ("apache_connections", Kind::Gauge, "", "Connections of the event MPM, by state."),
];

/// The poller in the list of all.
pub(crate) const INFO: PollerInfo = PollerInfo {
    kind: KIND,
    summary: "Apache's httpd by server-status: requests, workers, connections",
    metas: || table_metas(&SERIES),
    graphs,
    checks,
    sample: include_str!("sample.toml"),
    read,
};

/// Asks once. Errors: [`PollFailure`].
pub(crate) async fn poll(config: &Config, client: &mut Client) -> Result<Reading, PollFailure> {
    debug_assert_eq!(config.url, client.url(), "a client belongs to its target");
    read(&client.fetch(&[], BODY_BYTES_MAX).await?.body)
}

/// Returns the gauges that every Apache has.
pub(crate) fn gauges() -> Vec<Labels> {
    let workers = ["busy", "idle"].map(|state| labels("apache_workers", "state", state));
    let slots = parse::SLOTS.map(|(_, state)| labels("apache_scoreboard", "state", state));
    workers.into_iter().chain(slots).collect()
}

fn labels(name: &str, label: &str, value: &str) -> Labels {
    Labels::new([("__name__", name), (label, value)])
}

/// Turns a page into samples; what a page does not say has none.
fn read(page: &[u8]) -> Result<Reading, PollFailure> {
    let status = ServerStatus::parse(&String::from_utf8_lossy(page))
        .map_err(|error| PollFailure::Parse { reason: error.to_string() })?;
    let mut reading = Reading { metas: table_metas(&SERIES), ..Reading::default() };
    let mut add = |labels: Labels, value: Option<f64>| {
        reading.samples.extend(value.map(|value| (labels, None, value)));
    };
    let plain = |name: &str| Labels::new([("__name__", name)]);
    add(plain(UP), Some(1.0));
    let counters = [
        ("apache_accesses_total", "Total Accesses"),
        ("apache_sent_kilobytes_total", "Total kBytes"),
        ("apache_duration_ms_total", "Total Duration"),
        ("apache_uptime_seconds_total", "Uptime"),
    ];
    for (name, key) in counters {
        add(plain(name), status.number(key));
    }
    for (kind, own, children) in
        [("user", "CPUUser", "CPUChildrenUser"), ("system", "CPUSystem", "CPUChildrenSystem")]
    {
        let both = status.number(own).zip(status.number(children));
        let millis = both.map(|(own, children)| (own + children) * 1000.0);
        add(labels("apache_cpu_time_ms_total", "type", kind), millis);
    }
    for (state, key) in [("busy", "BusyWorkers"), ("idle", "IdleWorkers")] {
        add(labels("apache_workers", "state", state), status.number(key));
    }
    for (state, count) in status.slots() {
        add(labels("apache_scoreboard", "state", state), Some(count as f64));
    }
    for (state, key) in [
        ("total", "ConnsTotal"),
        ("writing", "ConnsAsyncWriting"),
        ("keepalive", "ConnsAsyncKeepAlive"),
        ("closing", "ConnsAsyncClosing"),
    ] {
        add(labels("apache_connections", "state", state), status.number(key));
    }
    Ok(reading)
}

fn graphs() -> Vec<GraphTemplate> {
    let of_host = r#"instance="$instance",job="apache""#;
    let line =
        |expr: String, legend: &str, style| GraphLine { expr, legend: legend.to_owned(), style };
    let graph = |id: &str, title: &str, unit: &str, lines| GraphTemplate {
        job: KIND.to_owned(),
        id: id.to_owned(),
        title: title.to_owned(),
        unit: unit.to_owned(),
        is_stacked: matches!(id, "workers" | "connections"),
        min: Some(0.0),
        max: None,
        lines,
    };
    let rate = |name: &str| format!("rate({name}{{{of_host}}}[$window])");
    let sent = format!("{} * 1024", rate("apache_sent_kilobytes_total"));
    let slots = format!(r#"apache_scoreboard{{{of_host},state!~"open_slot|idle"}}"#);
    let connections = format!(r#"apache_connections{{{of_host},state!="total"}}"#);
    let requests = rate("apache_accesses_total");
    let duration = format!("{} / {requests} / 1000", rate("apache_duration_ms_total"));
    vec![
        graph(
            "requests",
            "Apache requests",
            "per second",
            vec![line(requests, "requests", LineStyle::Area)],
        ),
        graph("traffic", "Apache traffic", "bytes/s", vec![line(sent, "sent", LineStyle::Area)]),
        graph(
            "workers",
            "Apache workers at work",
            "",
            vec![line(slots, "{{state}}", LineStyle::Area)],
        ),
        graph(
            "connections",
            "Apache connections without a worker",
            "",
            vec![line(connections, "{{state}}", LineStyle::Area)],
        ),
        graph(
            "duration",
            "Apache mean duration of a request",
            "seconds",
            vec![line(duration, "mean", LineStyle::Line)],
        ),
    ]
}

fn checks() -> Vec<DefaultCheck> {
    let of_host = r#"instance="$instance",job="apache""#;
    let busy = format!(r#"apache_workers{{{of_host},state="busy"}}"#);
    let slots = format!("sum(apache_scoreboard{{{of_host}}})");
    vec![
        DefaultCheck {
            name: "apache".to_owned(),
            expr: format!("1 - up{{{of_host}}}"),
            warning: None,
            critical: Some(0.5),
            unit: String::new(),
            notes:
                "Apache's status page does not answer: is Apache running, and is the page still \
                    configured and allowed for this server?"
                    .to_owned(),
        },
        DefaultCheck {
            name: "apache workers".to_owned(),
            expr: format!("sum({busy}) / {slots}"),
            warning: Some(0.8),
            critical: Some(0.95),
            unit: "ratio".to_owned(),
            notes:
                "Nearly all slots for workers are busy: new requests will wait. Look for a slow \
                    backend in the scoreboard, or raise MaxRequestWorkers."
                    .to_owned(),
        },
    ]
}
