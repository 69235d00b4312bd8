//! memcached by its command `stats`: hits, items, memory, connections.
//!
//! The names are those of `memcached_exporter` (`pkg/exporter/exporter.go`). `README.md` says what
//! the server needs.

mod parse;

use std::time::Duration;

use noroshi_model::{GraphLine, GraphTemplate, Kind, Labels, LineStyle, Width};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::{INTERVAL, TIMEOUT, interval, timeout};
use crate::http::{open_tcp, split_address};
use crate::poll::PollFailure;
use crate::reading::Reading;
use crate::registry::{DefaultCheck, PollerInfo, Series, table_metas};

pub use parse::{Stats, StatsError};

/// The poller's name.
pub const KIND: &str = "memcached";

/// Whether memcached answered, under the exporter's own name.
pub(crate) const UP: &str = "memcached_up";

/// memcached's port (IANA, `doc/protocol.txt`).
const PORT: u16 = 11211;

/// Largest answer in bytes: a sound one has about 3 KiB.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// `[host.NAME.poll.memcached]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `HOST[:PORT]`; the port is 11211 when none is said.
    // `noroshi poll KIND TARGET` calls the target of every kind `url`.
    #[serde(alias = "url")]
    pub address: String,
    /// From one poll to the next.
    #[serde(default = "interval", with = "noroshi_model::quantity::humane")]
    pub interval: Duration,
    /// How long a poll may take.
    #[serde(default = "timeout", with = "noroshi_model::quantity::humane")]
    pub timeout: Duration,
}

impl Config {
    /// Returns the configuration with nothing but an address.
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), interval: INTERVAL, timeout: TIMEOUT }
    }
}

/// The counters start anew with memcached, or with `stats reset`.
const COUNTER: Kind = Kind::Counter(Width::Float);

/// What the poller gives: name, kind, unit, meaning.
pub(crate) const SERIES: [Series; 20] = [
    (UP, Kind::Gauge, "", "Whether the last poll of memcached succeeded: 1 or 0."),
    ("memcached_uptime_seconds", COUNTER, "seconds", "Seconds since the start."),
    ("memcached_process_user_cpu_seconds_total", COUNTER, "seconds", "CPU time in user mode."),
    ("memcached_process_system_cpu_seconds_total", COUNTER, "seconds", "CPU time in the kernel."),
    ("memcached_read_bytes_total", COUNTER, "bytes", "Bytes read from the network."),
    ("memcached_written_bytes_total", COUNTER, "bytes", "Bytes sent to the network."),
    ("memcached_commands_total", COUNTER, "", "Commands, by command and status."),
    ("memcached_current_bytes", Kind::Gauge, "bytes", "Bytes that the items take."),
    ("memcached_limit_bytes", Kind::Gauge, "bytes", "Bytes that the items may take."),
    ("memcached_current_items", Kind::Gauge, "", "Items that are kept."),
    ("memcached_items_total", COUNTER, "", "Items that were stored."),
    ("memcached_items_evicted_total", COUNTER, "", "Valid items removed to make room."),
    ("memcached_items_reclaimed_total", COUNTER, "", "Items stored in the place of expired ones."),
    ("memcached_current_connections", Kind::Gauge, "", "Open connections."),
    ("memcached_max_connections", Kind::Gauge, "", "Connections that may be open."),
    ("memcached_connections_total", COUNTER, "", "Connections that were opened."),
    ("memcached_connections_rejected_total", COUNTER, "", "Connections refused at the limit."),
    (
        "memcached_connections_listener_disabled_total",
        COUNTER,
        "",
        "How often the limit of connections was reached and no more were taken.",
    ),
    ("memcached_accepting_connections", Kind::Gauge, "", "Whether connections are taken: 1 or 0."),
    ("memcached_threads", Kind::Gauge, "", "Worker threads."),
];

/// Series without labels: name and key of `stats` (`doc/protocol.txt`, "General-purpose
/// statistics").
const PLAIN: [(&str, &str); 18] = [
    ("memcached_uptime_seconds", "uptime"),
    ("memcached_process_user_cpu_seconds_total", "rusage_user"),
    ("memcached_process_system_cpu_seconds_total", "rusage_system"),
    ("memcached_read_bytes_total", "bytes_read"),
    ("memcached_written_bytes_total", "bytes_written"),
    ("memcached_current_bytes", "bytes"),
    ("memcached_limit_bytes", "limit_maxbytes"),
    ("memcached_current_items", "curr_items"),
    ("memcached_items_total", "total_items"),
    ("memcached_items_evicted_total", "evictions"),
    ("memcached_items_reclaimed_total", "reclaimed"),
    ("memcached_current_connections", "curr_connections"),
    ("memcached_max_connections", "max_connections"),
    ("memcached_connections_total", "total_connections"),
    ("memcached_connections_rejected_total", "rejected_connections"),
    ("memcached_connections_listener_disabled_total", "listen_disabled_num"),
    ("memcached_accepting_connections", "accepting_conns"),
    ("memcached_threads", "threads"),
];

/// Commands by what became of them: command, status, key.
const COMMANDS: [(&str, &str, &str); 14] = [
    ("get", "hit", "get_hits"),
    ("get", "miss", "get_misses"),
    ("set", "hit", "cmd_set"),
    ("delete", "hit", "delete_hits"),
    ("delete", "miss", "delete_misses"),
    ("incr", "hit", "incr_hits"),
    ("incr", "miss", "incr_misses"),
    ("decr", "hit", "decr_hits"),
    ("decr", "miss", "decr_misses"),
    ("cas", "hit", "cas_hits"),
    ("cas", "miss", "cas_misses"),
    ("cas", "badval", "cas_badval"),
    ("touch", "hit", "touch_hits"),
    ("touch", "miss", "touch_misses"),
];

/// The poller in the list of all.
pub(crate) const INFO: PollerInfo = PollerInfo {
    kind: KIND,
    summary: "memcached by stats: hits, items, memory, connections",
    metas: || table_metas(&SERIES),
    graphs,
    checks,
    sample: include_str!("sample.toml"),
    read,
};

/// Asks once, on a connection of its own. Errors: [`PollFailure`].
pub(crate) async fn poll(config: &Config) -> Result<Reading, PollFailure> {
    let (host, port) = split_address(&config.address, PORT)?;
    let mut stream = open_tcp(&host, port).await?;
    let broken = |source| PollFailure::Broken { address: format!("{host}:{port}"), source };
    stream.write_all(b"stats\r\n").await.map_err(broken)?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while !parse::is_whole(&answer) {
        let count = stream.read(&mut part).await.map_err(broken)?;
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&part[..count]);
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(PollFailure::TooLarge { bytes_max: ANSWER_BYTES_MAX });
        }
    }
    read(&answer)
}

/// Turns an answer into samples; what it does not say has none.
fn read(answer: &[u8]) -> Result<Reading, PollFailure> {
    let stats = Stats::parse(&String::from_utf8_lossy(answer))
        .map_err(|error| PollFailure::Parse { reason: error.to_string() })?;
    let mut reading = Reading { metas: table_metas(&SERIES), ..Reading::default() };
    reading.samples.push((Labels::new([("__name__", UP)]), None, 1.0));
    for (name, key) in PLAIN {
        let sample = |value| (Labels::new([("__name__", name)]), None, value);
        reading.samples.extend(stats.number(key).map(sample));
    }
    for (command, status, key) in COMMANDS {
        let pairs =
            [("__name__", "memcached_commands_total"), ("command", command), ("status", status)];
        reading.samples.extend(stats.number(key).map(|value| (Labels::new(pairs), None, value)));
    }
    Ok(reading)
}

fn graphs() -> Vec<GraphTemplate> {
    let of_host = r#"instance="$instance",job="memcached""#;
    let line =
        |expr: String, legend: &str, style| GraphLine { expr, legend: legend.to_owned(), style };
    let graph = |id: &str, title: &str, unit: &str, max, lines| GraphTemplate {
        job: KIND.to_owned(),
        id: id.to_owned(),
        title: title.to_owned(),
        unit: unit.to_owned(),
        is_stacked: id == "gets",
        min: Some(0.0),
        max,
        lines,
    };
    let plain = |name: &str| format!("memcached_{name}{{{of_host}}}");
    let rate = |name: &str| format!("rate({}[$window])", plain(name));
    let gets = |status: &str| {
        let labels = format!(r#"{of_host},command="get",status="{status}""#);
        format!("rate(memcached_commands_total{{{labels}}}[$window])")
    };
    let share = format!("{0} / ({0} + {1})", gets("hit"), gets("miss"));
    let (area, thin) = (LineStyle::Area, LineStyle::Line);
    let hits = vec![line(gets("hit"), "hit", area), line(gets("miss"), "miss", area)];
    let memory =
        vec![line(plain("current_bytes"), "used", area), line(plain("limit_bytes"), "limit", thin)];
    let evicted = vec![
        line(rate("items_evicted_total"), "evicted", thin),
        line(rate("items_reclaimed_total"), "reclaimed", thin),
    ];
    let traffic = vec![
        line(rate("read_bytes_total"), "in", area),
        line(rate("written_bytes_total"), "out", LineStyle::Negative),
    ];
    let connections = vec![line(plain("current_connections"), "open", area)];
    vec![
        graph("gets", "memcached gets", "per second", None, hits),
        graph("hits", "memcached hit ratio", "ratio", Some(1.0), vec![line(share, "hits", thin)]),
        graph("memory", "memcached memory", "bytes", None, memory),
        graph("evictions", "memcached items pushed out", "per second", None, evicted),
        GraphTemplate {
            min: None,
            ..graph("traffic", "memcached traffic", "bytes/s", None, traffic)
        },
        graph("connections", "memcached connections", "", None, connections),
    ]
}

fn checks() -> Vec<DefaultCheck> {
    let of_host = r#"instance="$instance",job="memcached""#;
    let plain = |name: &str| format!("memcached_{name}{{{of_host}}}");
    vec![
        DefaultCheck {
            name: "memcached".to_owned(),
            expr: format!("1 - up{{{of_host}}}"),
            warning: None,
            critical: Some(0.5),
            unit: String::new(),
            notes:
                "memcached does not answer: is it running, and does it listen where this server \
                    can reach it?"
                    .to_owned(),
        },
        DefaultCheck {
            name: "memcached connections".to_owned(),
            expr: format!("{} / {}", plain("current_connections"), plain("max_connections")),
            warning: Some(0.8),
            critical: Some(0.95),
            unit: "ratio".to_owned(),
            notes: "Nearly all connections are in use; beyond the limit clients wait. Look for \
                    clients that do not close, or raise -c."
                .to_owned(),
        },
    ]
}
