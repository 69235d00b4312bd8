//! nginx by its page `stub_status`: connections and requests.
//!
//! The names are those of nginx-prometheus-exporter 1.x (`collector/nginx.go`). `README.md` says
//! what to switch on at the server.

mod parse;

use noroshi_model::{GraphLine, GraphTemplate, Kind, Labels, LineStyle, Width};

use crate::http::Client;
use crate::poll::PollFailure;
use crate::reading::Reading;
use crate::registry::{DefaultCheck, PollerInfo, Series, table_metas};

/// `[host.NAME.poll.nginx]`: the page is `http://HOST[:PORT]/stub_status` or `https://`.
pub use crate::config::StatusPage as Config;
pub use parse::{StubStatus, StubStatusError};

/// The poller's name.
pub const KIND: &str = "nginx";

/// Whether nginx answered, under the exporter's own name.
pub(crate) const UP: &str = "nginx_up";

/// Largest page in bytes: a sound one has about a hundred.
const BODY_BYTES_MAX: usize = 4096;

/// The counters start anew with nginx itself (not with its workers); a decrease is a reset.
const COUNTER: Kind = Kind::Counter(Width::Float);

/// What the poller gives.
pub(crate) const SERIES: [Series; 8] = [
    (UP, Kind::Gauge, "", "Whether the last poll of nginx succeeded: 1 or 0."),
    ("nginx_connections_active", Kind::Gauge, "", "Client connections, waiting ones included."),
    ("nginx_connections_accepted", COUNTER, "", "Client connections accepted."),
    (
        "nginx_connections_handled",
        COUNTER,
        "",
        "Client connections handled; fewer than accepted when a limit was reached.",
    ),
    ("nginx_connections_reading", Kind::Gauge, "", "Connections whose request header is read."),
    ("nginx_connections_writing", Kind::Gauge, "", "Connections to which an answer is written."),
    ("nginx_connections_waiting", Kind::Gauge, "", "Idle connections that wait for a request."),
    ("nginx_http_requests_total", COUNTER, "", "Requests of clients."),
];

/// The poller in the list of all.
pub(crate) const INFO: PollerInfo = PollerInfo {
    kind: KIND,
    summary: "nginx by stub_status: connections and requests",
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

/// Turns a page into samples.
fn read(page: &[u8]) -> Result<Reading, PollFailure> {
    let status = StubStatus::parse(&String::from_utf8_lossy(page))
        .map_err(|error| PollFailure::Parse { reason: error.to_string() })?;
    let values = [
        (UP, 1),
        ("nginx_connections_active", status.active),
        ("nginx_connections_accepted", status.accepted),
        ("nginx_connections_handled", status.handled),
        ("nginx_connections_reading", status.reading),
        ("nginx_connections_writing", status.writing),
        ("nginx_connections_waiting", status.waiting),
        ("nginx_http_requests_total", status.requests),
    ];
    let sample =
        |(name, value): (&str, u64)| (Labels::new([("__name__", name)]), None, value as f64);
    let samples = values.map(sample).into();
    Ok(Reading { samples, metas: table_metas(&SERIES), ..Reading::default() })
}

fn graphs() -> Vec<GraphTemplate> {
    let line = |expr: &str, legend: &str, style| GraphLine {
        expr: format!("{expr}{{instance=\"$instance\",job=\"nginx\"}}"),
        legend: legend.to_owned(),
        style,
    };
    let rate = |expr: &str, legend: &str, style| {
        let line = line(expr, legend, style);
        GraphLine { expr: format!("rate({}[$window])", line.expr), ..line }
    };
    let graph = |id: &str, title: &str, unit: &str, lines| GraphTemplate {
        job: KIND.to_owned(),
        id: id.to_owned(),
        title: title.to_owned(),
        unit: unit.to_owned(),
        is_stacked: id == "connections",
        min: Some(0.0),
        max: None,
        lines,
    };
    vec![
        graph(
            "requests",
            "nginx requests",
            "per second",
            vec![rate("nginx_http_requests_total", "requests", LineStyle::Area)],
        ),
        graph(
            "connections",
            "nginx connections",
            "",
            vec![
                line("nginx_connections_writing", "writing", LineStyle::Area),
                line("nginx_connections_reading", "reading", LineStyle::Area),
                line("nginx_connections_waiting", "waiting", LineStyle::Area),
            ],
        ),
        graph(
            "accepts",
            "nginx connections accepted and handled",
            "per second",
            vec![
                rate("nginx_connections_accepted", "accepted", LineStyle::Area),
                rate("nginx_connections_handled", "handled", LineStyle::Line),
            ],
        ),
    ]
}

fn checks() -> Vec<DefaultCheck> {
    let of = |name: &str| format!("{name}{{instance=\"$instance\",job=\"nginx\"}}");
    let (accepted, handled) = (of("nginx_connections_accepted"), of("nginx_connections_handled"));
    vec![
        DefaultCheck {
            name: "nginx".to_owned(),
            expr: format!("1 - {}", of("up")),
            warning: None,
            critical: Some(0.5),
            unit: String::new(),
            notes: "nginx' status page does not answer: is nginx running, and is the page still \
                    configured and allowed for this server?"
                .to_owned(),
        },
        DefaultCheck {
            name: "nginx dropped connections".to_owned(),
            expr: format!("rate({accepted}[5m]) - rate({handled}[5m])"),
            // nginx' workers count without a lock: now and then one connection is seen as accepted
            // and not yet handled.
            warning: Some(0.1),
            critical: Some(1.0),
            unit: "per second".to_owned(),
            notes: "nginx closes connections unanswered: raise worker_connections, or \
                    worker_rlimit_nofile when the error log says so."
                .to_owned(),
        },
    ]
}
