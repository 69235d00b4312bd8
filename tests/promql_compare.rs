//! Our `PromQL` beside Prometheus' own, on the same samples.
//!
//! Goal: the same answers, within float error. Method: the same remote-written samples (counters
//! with resets, gauges with gaps, classic histograms) go into a real Prometheus and into our
//! server; hundreds of expressions, made by combination, are asked of both, at one moment and over
//! a range, and the answers are compared label set by label set.
//!
//! Debian's Prometheus is 2.42, whose range selectors still include the sample at their left end;
//! no moment of this test falls on a sample, so that the difference cannot show. Its `atan2` keeps
//! the metric's name, which Prometheus 3 drops as for every other operator: the operands of the
//! test have none. Its `increase` of a counter that began inside the window reaches back farther
//! (`expr/LANGUAGE.md`): a test of its own holds each program against its formula.
#![allow(clippy::unwrap_used, reason = "a test ends at what is not there")]

mod house;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use house::http::{self, Answer, encode};
use house::noroshi::Server;
use house::remote_write::{self, Request};
use house::{PATIENCE, Process, free_port, wait_for};
use serde_json::Value;

/// From one sample to the next, in milliseconds.
const STEP: i64 = 15_000;
/// Samples lie so many milliseconds beside the grid on which subqueries look: no window ends on one.
const PHASE: i64 = 7_300;
/// Samples of a series: forty minutes.
const SAMPLES: i64 = 160;
/// How far two results may lie apart, as a share of the larger.
const TOLERANCE: f64 = 1e-9;
/// How far results near zero may lie apart, where the terms of a sum cancel each other.
const TOLERANCE_NEAR_ZERO: f64 = 1e-12;

/// Adds a series made of a rule for its values; `None` leaves a gap.
fn series(
    request: &mut Request,
    labels: &[(&str, &str)],
    start: i64,
    value: impl Fn(i64) -> Option<f64>,
) {
    let samples = (0..SAMPLES).filter_map(|i| Some((start + i * STEP, value(i)?)));
    request.put(&remote_write::labels(labels.iter().copied()), samples);
}

/// A number between 0 and 1 that depends on its arguments only.
fn noise(seed: i64, i: i64) -> f64 {
    let mut x = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i as u64);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn all_series(start: i64) -> Request {
    let mut all = Request::default();
    for (n, (instance, job)) in
        [("a", "web"), ("b", "web"), ("c", "db"), ("d", "db")].into_iter().enumerate()
    {
        let seed = n as i64;
        for code in ["200", "404", "500"] {
            let labels =
                [("__name__", "reqs_total"), ("instance", instance), ("job", job), ("code", code)];
            let pace = code.parse::<f64>().unwrap() / 100.0 + seed as f64;
            // Restarted once, at a moment of its own.
            let reset = 60 + 9 * seed;
            series(&mut all, &labels, start, move |i| {
                let since = if i >= reset { i - reset } else { i };
                Some((since as f64 * pace * 7.0 + (noise(seed, i) * pace).floor()).floor())
            });
        }
        let labels = [("__name__", "temp"), ("instance", instance), ("job", job)];
        series(&mut all, &labels, start, move |i| {
            let is_gap = (40..70 + seed * 3).contains(&i) && seed % 2 == 1;
            let wave = (i as f64 / 17.0 + seed as f64).sin();
            (!is_gap).then(|| (20.0 + 30.0 * wave + 3.0 * noise(seed + 9, i)).round() / 4.0)
        });
        let labels = [("__name__", "limit"), ("instance", instance), ("zone", "z1")];
        series(&mut all, &labels, start, move |_| Some(10.0 * (seed + 1) as f64));
        for (k, le) in ["0.1", "0.5", "1", "5", "+Inf"].into_iter().enumerate() {
            let labels =
                [("__name__", "lat_bucket"), ("instance", instance), ("job", job), ("le", le)];
            let k = k as i64 + 1;
            series(&mut all, &labels, start, move |i| Some((i * k * (seed + 2)) as f64));
        }
    }
    for since in INTERVALS_SINCE_ZERO {
        let labels = [("__name__", "young_total"), ("since", &*since.to_string())];
        series(&mut all, &labels, start, move |i| Some((i as f64 + since) * YOUNG_PACE));
    }
    all
}

/// How many intervals before their first samples the counters `young_total` were zero.
const INTERVALS_SINCE_ZERO: [f64; 7] = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 40.0];
/// What they count from one sample to the next.
const YOUNG_PACE: f64 = 100.0;

/// What no combination makes.
const OTHERS: [&str; 34] = [
    "absent(nothing{a=\"b\"})",
    "absent_over_time(nothing[5m])",
    "absent_over_time(temp[5m])",
    "clamp(temp, 2, 6)",
    "clamp_min(temp, 3)",
    "clamp_max(temp, 3)",
    "round(temp, 0.5)",
    "scalar(sum(temp))",
    "scalar(temp)",
    "vector(7)",
    "time()",
    "pi()",
    "predict_linear(temp[10m], 3600)",
    "holt_winters(temp[10m], 0.5, 0.3)",
    "label_replace(temp, \"host\", \"$1-x\", \"instance\", \"(.*)\")",
    "label_join(temp, \"both\", \"/\", \"job\", \"instance\")",
    "count_values(\"v\", round(temp))",
    "sum(rate(reqs_total{code=~\"5..\"}[5m])) / sum(rate(reqs_total[5m]))",
    "topk(3, rate(young_total[5m]))",
    "increase(young_total[2m] offset 5m) / on (since) rate(young_total[7m])",
    "max_over_time(rate(reqs_total[2m])[10m:30s])",
    "avg_over_time((temp > 5)[10m:])",
    "temp offset 10m",
    "temp @ end()",
    "rate(reqs_total[5m] @ start())",
    "-temp",
    "-(temp ^ 2)",
    "temp * 2 ^ 3 ^ 0.5",
    "{__name__=~\"temp|limit\", instance!=\"a\"}",
    "sum({instance=~\"a|b\"})",
    "sort_desc(temp)",
    "1 / 0",
    "temp / 0",
    "0 / 0",
];

/// Expressions for one moment and for a range.
fn expressions() -> Vec<String> {
    let mut list = ranges_and_aggregations();
    list.extend(operators_and_functions());
    list.extend(OTHERS.map(str::to_owned));
    list
}

fn ranges_and_aggregations() -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let over_time = [
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "deriv",
        "changes",
        "resets",
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "sum_over_time",
        "count_over_time",
        "last_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "present_over_time",
    ];
    for function in over_time {
        for metric in ["reqs_total", "temp", "reqs_total{code=\"500\"}"] {
            for range in ["1m", "5m", "13m"] {
                list.push(format!("{function}({metric}[{range}])"));
            }
        }
        list.push(format!("sum by (job) ({function}(reqs_total[5m]))"));
        list.push(format!("{function}(temp[10m] offset 5m)"));
        list.push(format!("{function}(temp[10m:1m])"));
    }
    for aggregation in ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"] {
        for grouping in ["", "by (job) ", "without (instance) ", "by (job, code) ", "by (none) "] {
            list.push(format!("{aggregation} {grouping}(reqs_total)"));
            list.push(format!("{aggregation} {grouping}(temp)"));
        }
    }
    for k in ["1", "2", "5"] {
        list.push(format!("topk({k}, temp)"));
        list.push(format!("bottomk by (job) ({k}, rate(reqs_total[5m]))"));
    }
    for q in ["0", "0.5", "0.9", "1", "-1", "2"] {
        list.push(format!("quantile by (job) ({q}, temp)"));
        list.push(format!("quantile_over_time({q}, temp[7m])"));
        list.push(format!("histogram_quantile({q}, rate(lat_bucket[5m]))"));
        list.push(format!("histogram_quantile({q}, sum by (le, job) (lat_bucket))"));
    }
    list
}

fn operators_and_functions() -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    list.push("(temp + 0) atan2 3".to_owned());
    list.push("(temp + 0) atan2 on (instance) (limit + 0)".to_owned());
    for op in ["+", "-", "*", "/", "%", "^"] {
        list.push(format!("temp {op} on (instance) limit"));
        list.push(format!("temp {op} 3"));
        list.push(format!("2 {op} temp"));
        list.push(format!("reqs_total {op} on (instance) group_left (zone) limit"));
        list.push(format!("limit {op} on (instance) group_right reqs_total"));
    }
    for op in ["==", "!=", ">", "<", ">=", "<="] {
        list.push(format!("temp {op} 5"));
        list.push(format!("temp {op} bool 5"));
        list.push(format!("temp {op} on (instance) limit"));
        list.push(format!("temp {op} bool on (instance) limit"));
        list.push(format!("1 {op} bool 2"));
    }
    for op in ["and", "or", "unless"] {
        list.push(format!("temp {op} on (instance) limit"));
        list.push(format!("temp {op} (temp > 5)"));
        list.push(format!("reqs_total {op} ignoring (code) temp"));
    }
    for function in [
        "abs",
        "ceil",
        "floor",
        "exp",
        "ln",
        "log2",
        "log10",
        "sqrt",
        "sgn",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "deg",
        "rad",
        "timestamp",
        "round",
        "sort",
        "minute",
        "hour",
        "day_of_week",
        "day_of_month",
        "day_of_year",
        "days_in_month",
        "month",
        "year",
        "absent",
    ] {
        list.push(format!("{function}(temp)"));
    }
    list
}

/// One answer: per label set the moments and values as text.
type Results = BTreeMap<String, Vec<(String, f64)>>;

fn results(data: &Value) -> Results {
    let point =
        |pair: &Value| (pair[0].to_string(), pair[1].as_str().unwrap().parse::<f64>().unwrap());
    match data["resultType"].as_str().unwrap() {
        "scalar" => BTreeMap::from([(String::new(), vec![point(&data["result"])])]),
        _ => data["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|series| {
                let points = match series.get("values") {
                    Some(values) => values.as_array().unwrap().iter().map(point).collect(),
                    None => vec![point(&series["value"])],
                };
                (series["metric"].to_string(), points)
            })
            .collect(),
    }
}

fn is_close(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan())
        || a == b
        || (a - b).abs() <= (TOLERANCE * a.abs().max(b.abs())).max(TOLERANCE_NEAR_ZERO)
}

fn difference(ours: &Results, theirs: &Results) -> Option<String> {
    let ours_only: Vec<_> = ours.keys().filter(|key| !theirs.contains_key(*key)).collect();
    let theirs_only: Vec<_> = theirs.keys().filter(|key| !ours.contains_key(*key)).collect();
    if !ours_only.is_empty() || !theirs_only.is_empty() {
        return Some(format!("only ours {ours_only:?}, only theirs {theirs_only:?}"));
    }
    for (labels, points) in ours {
        let others = &theirs[labels];
        if points.len() != others.len() {
            return Some(format!("{labels}: {} points, theirs {}", points.len(), others.len()));
        }
        for (ours, theirs) in points.iter().zip(others) {
            let same_moment = ours.0.parse::<f64>().ok() == theirs.0.parse::<f64>().ok();
            if !same_moment || !is_close(ours.1, theirs.1) {
                return Some(format!("{labels}: {ours:?}, theirs {theirs:?}"));
            }
        }
    }
    None
}

/// Sends samples by remote write.
fn write(address: &str, path: &str, token: Option<&str>, request: &Request) -> u16 {
    let body = snap::raw::Encoder::new().compress_vec(request.plain()).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let authorization =
        token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{authorization}\
         content-type: application/x-protobuf\r\ncontent-encoding: snappy\r\n\
         x-prometheus-remote-write-version: 0.1.0\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

struct Prometheus {
    address: String,
    _folder: tempfile::TempDir,
    _process: Process,
}

fn start_prometheus() -> Prometheus {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    fs::write(&config, "global: {scrape_interval: 15s}\n").unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let mut command = Command::new("/usr/bin/prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--web.enable-remote-write-receiver")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let process = Process::start("prometheus", &mut command);
    wait_for("Prometheus to be ready", PATIENCE, || {
        http::send(&address, "GET /-/ready", None, "").filter(|answer| answer.status == 200)
    });
    Prometheus { address, _folder: folder, _process: process }
}

/// How long after a sample is asked, in seconds.
const AFTER_SAMPLE: f64 = 4.3;

/// Both programs with the same samples.
struct Both {
    ours: Server,
    theirs: Prometheus,
    /// When the first sample was, in milliseconds.
    start: i64,
}

impl Both {
    fn loaded() -> Self {
        let theirs = start_prometheus();
        let ours = Server::start(Some("[local]\nwatch = false\n"));
        let token = ours.token();
        let now = ours.read("/api/v1/overview")["now"].as_i64().unwrap();
        // The last sample lies a minute back.
        let start = (now - 60_000 - SAMPLES * STEP) / STEP * STEP + PHASE;
        let request = all_series(start);
        let path = "/prometheus/api/v1/write";
        assert_eq!(write(&ours.address, path, Some(&token), &request) / 100, 2);
        assert_eq!(write(&theirs.address, "/api/v1/write", None, &request) / 100, 2);
        Self { ours, theirs, start }
    }

    /// Returns the moment, in seconds, a little after sample `i`.
    fn at(&self, i: i64) -> f64 {
        (self.start + i * STEP) as f64 / 1000.0 + AFTER_SAMPLE
    }

    fn ask(&self, question: &str) -> (Answer, Answer) {
        let theirs = format!("GET /api/v1/{question}");
        let theirs = http::send(&self.theirs.address, &theirs, None, "");
        let ours = self.ours.ask(&format!("/prometheus/api/v1/{question}"));
        (ours.unwrap(), theirs.unwrap())
    }
}

/// A straight counter, its first samples in a window of five minutes that began before them.
///
/// After `k` intervals of `YOUNG_PACE` each: what is sampled, what is left to the window's end, and
/// a way towards its start, all in intervals. The way is half an interval, since the start is far;
/// not beyond the moment at which the counter was zero. Prometheus 2.42 goes to that moment even
/// when it is farther, unless it is farther than 1.1 intervals (`promql/functions.go`).
#[test]
fn a_counter_that_began_near_zero_is_stretched_as_prometheus_3_stretches_it() {
    let both = Both::loaded();
    for k in 2..=16 {
        let query = encode("increase(young_total[5m])");
        let (ours, theirs) = both.ask(&format!("query?query={query}&time={}", both.at(k)));
        let (ours, theirs) = (ours.json(), theirs.json());
        let (ours, theirs) = (results(&ours["data"]), results(&theirs["data"]));
        for since in INTERVALS_SINCE_ZERO {
            let labels = format!("{{\"since\":\"{since}\"}}");
            let to_end = AFTER_SAMPLE * 1000.0 / STEP as f64;
            let stretched = |way: f64| YOUNG_PACE * (k as f64 + to_end + way);
            let (now, before) = (since.min(0.5), if since < 1.1 { since } else { 0.5 });
            let found = (ours[&labels][0].1, theirs[&labels][0].1);
            assert!(is_close(found.0, stretched(now)), "{since} {k}: {found:?}");
            assert!(is_close(found.1, stretched(before)), "{since} {k}: {found:?}");
        }
    }
}

#[test]
fn our_answers_are_those_of_prometheus() {
    let both = Both::loaded();
    let at = |i: i64| both.at(i);
    let expressions = expressions();
    let mut differences = Vec::new();
    let mut compared = 0;
    for expr in &expressions {
        let query = encode(expr);
        let moments = [at(50), at(120)].map(|time| format!("query?query={query}&time={time}"));
        let range = format!("query_range?query={query}&start={}&end={}&step=37", at(30), at(140));
        for question in moments.iter().chain([&range]) {
            let (ours, theirs) = both.ask(question);
            compared += 1;
            if ours.status != theirs.status {
                differences.push(format!("{expr}: {} {}", ours.status, ours.text()));
            } else if ours.status == 200 {
                let (ours, theirs) = (ours.json(), theirs.json());
                let (ours, theirs) = (results(&ours["data"]), results(&theirs["data"]));
                if let Some(what) = difference(&ours, &theirs) {
                    differences.push(format!("{expr} ({}): {what}", &question[..12]));
                }
            }
        }
    }
    assert!(compared > 900, "only {compared} questions were asked");
    assert!(
        differences.is_empty(),
        "{} of {compared} answers differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}
