//! Prometheus' own programs and Grafana's requests against a running server.
//!
//! Goal: who speaks to a Prometheus can speak to us. Method: a real Prometheus scrapes itself and
//! remote-writes into our server; `promtool query` asks both and must print the same; requests in
//! the shapes of Grafana's data source (`pkg/promlib/client/client.go`,
//! `packages/grafana-prometheus/src/resource_clients.ts`) must be answered in Prometheus' exact
//! shapes; and our server scrapes a real node exporter, which then stops.
#![allow(clippy::unwrap_used, reason = "a test ends at what is not there")]

mod house;

use std::fs;
use std::process::{Command, Stdio};

use house::http::{self, Answer, encode};
use house::noroshi::Server;
use house::{PATIENCE, Process, free_port, wait_for};
use serde_json::{Value, json};

const API: &str = "/prometheus/api/v1";
/// A series that tells by itself whether its sender was reached.
const UP: &str = "up{job=\"prometheus\"}";

/// Returns the configuration: one exporter scraped each second, one check on it.
fn config(exporter: &Exporter) -> String {
    format!(
        "[local]
watch = false
[host.box.poll.prometheus.node]
url = \"http://{}/metrics\"
interval = \"1s\"
timeout = \"1s\"
[host.box.check.exporter]
expr = \"up{{instance=\\\"box\\\",job=\\\"node\\\"}} < 1\"
interval = \"1s\"
retry = \"1s\"
attempts = 1
notes_url = \"https://wiki.example.org/exporter\"
",
        exporter.address
    )
}

struct Exporter {
    address: String,
    process: Process,
}

impl Exporter {
    /// Starts Debian's node exporter with one collector.
    fn start() -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new("/usr/bin/prometheus-node-exporter");
        command
            .args(["--collector.disable-defaults", "--collector.loadavg"])
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::start("prometheus-node-exporter", &mut command);
        wait_for("the exporter to answer", PATIENCE, || {
            http::send(&address, "GET /metrics", None, "").filter(|answer| answer.status == 200)
        });
        Self { address, process }
    }
}

struct Prometheus {
    address: String,
    _folder: tempfile::TempDir,
    _process: Process,
}

impl Prometheus {
    /// Starts a Prometheus that scrapes itself and sends everything on to our server.
    fn start(server: &Server, token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let config = format!(
            "global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: prometheus
  static_configs: [{{targets: [\"{address}\"]}}]
remote_write:
- url: http://{}{API}/write
  authorization: {{credentials: {token}}}
  queue_config: {{batch_send_deadline: 100ms}}
  metadata_config: {{send_interval: 1s}}
",
            server.address
        );
        let path = folder.path().join("prometheus.yml");
        fs::write(&path, config).unwrap();
        let mut command = Command::new("/usr/bin/prometheus");
        command
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::start("prometheus", &mut command);
        wait_for("Prometheus to be ready", PATIENCE, || {
            http::send(&address, "GET /-/ready", None, "").filter(|answer| answer.status == 200)
        });
        Self { address, _folder: folder, _process: process }
    }
}

/// Where and when is asked.
struct Site<'a> {
    server: &'a Server,
    prometheus: &'a Prometheus,
    token: String,
    /// A whole second that both know everything about, with ten seconds of samples before it.
    at: i64,
    /// The same in the middle between two samples: Debian's Prometheus is 2.42, whose ranges still
    /// include a sample at their left end.
    between: f64,
}

impl Site<'_> {
    fn read(&self, path: &str) -> Value {
        self.ask(path).json()
    }

    fn ask(&self, path: &str) -> Answer {
        let request = format!("GET {API}{path}");
        http::send(&self.server.address, &request, Some(&self.token), "").unwrap()
    }

    /// Asks us and Prometheus.
    fn both(&self, path: &str) -> (Answer, Answer) {
        let request = format!("GET /api/v1{path}");
        let theirs = http::send(&self.prometheus.address, &request, None, "").unwrap();
        (self.ask(path), theirs)
    }

    /// Asks as Grafana does: a form by POST.
    fn post(&self, path: &str, form: &str) -> Answer {
        let path = format!("{API}{path}");
        http::post_form(&self.server.address, &path, Some(&self.token), form).unwrap()
    }

    /// Returns the labels of Prometheus' own `up`.
    fn up(&self) -> Value {
        json!({ "__name__": "up", "instance": self.prometheus.address, "job": "prometheus" })
    }
}

#[test]
fn prometheus_promtool_and_grafana_find_a_prometheus_here() {
    let mut exporter = Exporter::start();
    let server = Server::start(Some(&config(&exporter)));
    let token = |name: &str, role: &str| {
        let text = server.command_text(&["token", "create", name, "--role", role]);
        text.trim().to_owned()
    };
    let (writer, reader) = (token("prometheus", "agent"), token("grafana", "viewer"));
    let prometheus = Prometheus::start(&server, &writer);
    server.wait_for_value(&format!("count_over_time({UP}[5m])"), |count| count >= 15.0);
    let newest = server.wait_for_value(&format!("timestamp({UP})"), f64::is_finite);
    // Two seconds back: what belongs to one scrape may come in several requests.
    let between = ((newest - 2.5) * 1000.0).round() / 1000.0;
    let at = between as i64;
    let site = Site { server: &server, prometheus: &prometheus, token: reader, at, between };

    promtool_prints_what_it_prints_of_prometheus(&site);
    grafana_queries(&site);
    grafana_finds_names(&site);
    errors_are_told_as_prometheus_tells_them(&site);
    answers_are_those_of_prometheus(&site);
    let rules = rules_are_our_checks(&site, "inactive", "ok");
    assert_eq!(rules["alerts"], json!([]));
    assert_eq!(site.read("/alerts"), json!({ "status": "success", "data": { "alerts": [] } }));
    exporter_is_scraped_and_missed(&site, &mut exporter);
}

/// Runs `promtool query` and returns the lines that it printed, ordered.
fn promtool(kind: &str, flags: &[&str], server: &str, asked: &[&str]) -> Vec<String> {
    let mut command = Command::new("/usr/bin/promtool");
    command.args(["query", kind]).args(flags).arg(server).args(asked).stdin(Stdio::null());
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs what is needed"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The same command, with our address and with Prometheus', prints the same.
fn promtool_prints_what_it_prints_of_prometheus(site: &Site<'_>) {
    // This promtool has no flag for a token: it goes as the password of Basic.
    let ours = format!("http://promtool:{}@{}/prometheus", site.token, site.server.address);
    let theirs = format!("http://{}", site.prometheus.address);
    let both = |kind: &str, flags: &[&str], asked: &[&str]| {
        let printed = promtool(kind, flags, &ours, asked);
        assert_eq!(printed, promtool(kind, flags, &theirs, asked), "{kind} {flags:?} {asked:?}");
        assert!(!printed.is_empty(), "{kind} {flags:?} {asked:?} prints nothing");
        printed
    };
    let time = format!("--time={}", site.between);
    let printed = both("instant", &[&time], &[UP]);
    let address = &site.prometheus.address;
    let line = format!("up{{instance=\"{address}\", job=\"prometheus\"}} => 1 @[{}]", site.between);
    assert_eq!(printed, [line]);
    for expr in [
        "42",
        "sum by (handler) (rate(prometheus_http_requests_total{job=\"prometheus\"}[5s]))",
        "histogram_quantile(0.9, rate(prometheus_http_request_duration_seconds_bucket[8s]))",
        "topk(3, {__name__=~\"go_memstats_.*\", job=\"prometheus\"})",
        "increase(prometheus_tsdb_head_samples_appended_total[5s]) / 5",
        "max_over_time(process_resident_memory_bytes{job=\"prometheus\"}[5s:1s])",
    ] {
        both("instant", &[&time], &[expr]);
    }
    let (start, end) =
        (format!("--start={}", site.between - 6.0), format!("--end={}", site.between));
    let range = both("range", &[&start, &end, "--step=2s"], &[UP]);
    // The series' name, and four moments: six, four and two seconds back, and the last.
    assert_eq!(range.len(), 5, "{range:?}");
    both("range", &[&start, &end, "--step=1s"], &["rate(prometheus_http_requests_total[4s])"]);
    let series = both("series", &[&format!("--match={UP}")], &[]);
    let line = format!("{{__name__=\"up\", instance=\"{address}\", job=\"prometheus\"}}");
    assert_eq!(series, [line]);
    let labels = both("labels", &[&format!("--match={UP}")], &["instance"]);
    assert_eq!(labels, std::slice::from_ref(address));
    // Without a selector ours knows of its own scrapes as well.
    assert_eq!(promtool("labels", &[], &ours, &["job"]), ["node", "prometheus"]);
}

/// `QueryRange`, `QueryInstant` and `QueryExemplars` of Grafana's client.
fn grafana_queries(site: &Site<'_>) {
    let (start, end, query) = (site.at - 4, site.at, encode(UP));
    let form = format!("end={end}&query={query}&start={start}&step=2&timeout=30s");
    let answer = site.post("/query_range", &form);
    assert!(answer.head.to_lowercase().contains("content-type: application/json"));
    let values = json!([[start, "1"], [start + 2, "1"], [end, "1"]]);
    let result = json!([{ "metric": site.up(), "values": values }]);
    let data = json!({ "resultType": "matrix", "result": result });
    assert_eq!(answer.json(), json!({ "status": "success", "data": data }));
    let by_get = site.read(&format!("/query_range?{form}"));
    assert_eq!(by_get["data"], data);

    // Grafana's health check is `1+1`.
    let form = format!("query=1%2B1&time={end}");
    let data = json!({ "resultType": "scalar", "result": [end, "2"] });
    let expected = json!({ "status": "success", "data": data });
    assert_eq!(site.post("/query", &form).json(), expected);
    let form = format!("query={query}&time={end}.25");
    let result = json!([{ "metric": site.up(), "value": [end as f64 + 0.25, "1"] }]);
    let data = json!({ "resultType": "vector", "result": result });
    assert_eq!(site.post("/query", &form).json(), json!({ "status": "success", "data": data }));

    let form = format!("end={end}&query={query}&start={start}");
    let none = json!({ "status": "success", "data": [] });
    assert_eq!(site.post("/query_exemplars", &form).json(), none);
}

/// What fills Grafana's lists: names, values, series, metadata, and whose API this is.
fn grafana_finds_names(site: &Site<'_>) {
    let span = format!("start={}&end={}&limit=40000", site.at - 3600, site.at + 60);
    let up = encode(UP);
    let list = |data: Value| json!({ "status": "success", "data": data });
    let names = list(json!(["__name__", "instance", "job"]));
    assert_eq!(site.read(&format!("/labels?{span}&match[]={up}")), names);
    assert_eq!(site.read(&format!("/labels?{span}&match%5B%5D={up}")), names);
    assert_eq!(site.post("/labels", &format!("{span}&match%5B%5D={up}")).json(), names);
    let jobs = list(json!(["node", "prometheus"]));
    assert_eq!(site.read(&format!("/label/job/values?{span}")), jobs);
    // Every series is asked for like this; `up` is of both jobs.
    let all = encode("{__name__!=\"\"}");
    assert_eq!(site.read(&format!("/label/job/values?{span}&match%5B%5D={all}")), jobs);
    let metrics = site.read(&format!("/label/__name__/values?{span}"))["data"].take();
    for name in ["up", "node_load1", "prometheus_build_info"] {
        assert!(metrics.as_array().unwrap().contains(&json!(name)), "no {name} in {metrics}");
    }
    let series = list(json!([site.up()]));
    assert_eq!(site.read(&format!("/series?{span}&match%5B%5D={up}")), series);
    assert_eq!(site.post("/series", &format!("{span}&match%5B%5D={up}")).json(), series);

    let load = json!({ "type": "gauge", "help": "1m load average.", "unit": "" });
    let metadata = site.read("/metadata?metric=node_load1");
    assert_eq!(metadata, list(json!({ "node_load1": [load] })));
    // What Prometheus knows of its own metrics came with the samples.
    let path = "/metadata?metric=prometheus_http_requests_total";
    let request = format!("GET /api/v1{path}");
    let theirs = http::send(&site.prometheus.address, &request, None, "").unwrap().json();
    wait_for("metadata by remote write", PATIENCE, || (site.read(path) == theirs).then_some(()));
    assert!(site.read("/metadata?limit=40000")["data"].as_object().unwrap().len() > 100);

    let build = site.read("/status/buildinfo");
    let keys = ["version", "revision", "branch", "buildUser", "buildDate", "goVersion"];
    for key in keys {
        assert!(build["data"][key].is_string(), "no {key} in {build}");
    }
    // Grafana asks by `match[]` from 2.24 on and knows UTF-8 names from 3.0 on.
    assert!(build["data"]["version"].as_str().unwrap().starts_with("3."), "{build}");
}

fn errors_are_told_as_prometheus_tells_them(site: &Site<'_>) {
    let fail = |answer: Answer, status: u16, kind: &str| {
        assert_eq!(answer.status, status, "{}", answer.text());
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let text = body["error"].as_str().unwrap().to_owned();
        assert_eq!(body, json!({ "status": "error", "errorType": kind, "error": text }));
        text
    };
    let text = fail(site.post("/query", "query=sum(up"), 400, "bad_data");
    assert!(text.starts_with("invalid parameter \"query\": 1:"), "{text}");
    assert!(text.contains("parse error"), "{text}");
    let text = fail(site.post("/query_range", "query=up&start=1&end=2"), 400, "bad_data");
    assert_eq!(text, "invalid parameter \"step\": cannot parse \"\" to a valid duration");
    let text = fail(site.ask("/series"), 400, "bad_data");
    assert_eq!(text, "no match[] parameter provided");
    // 1,000 days of seconds are 86 million samples.
    let form = format!("query={}", encode("sum_over_time(vector(1)[1000d:1s])"));
    let text = fail(site.post("/query", &form), 422, "execution");
    assert!(text.contains("too many samples"), "{text}");
    let (up, at) = (encode("up + on (nothing) up"), site.at);
    fail(site.post("/query", &format!("query={up}&time={at}")), 422, "execution");

    let request = format!("GET {API}/query?query=up");
    let address = &site.server.address;
    assert_eq!(http::send(address, &request, None, "").unwrap().status, 401);
    // A reader's key does not write.
    let request = format!("POST {API}/write");
    assert_eq!(http::send(address, &request, Some(&site.token), "").unwrap().status, 403);
}

/// The same requests to both, byte by byte where both know the same.
fn answers_are_those_of_prometheus(site: &Site<'_>) {
    let (start, end) = (site.at - 10, site.at);
    let span = format!("start={start}&end={end}");
    let requests = encode("prometheus_http_requests_total{code=\"200\"}");
    for path in [
        format!("/labels?match[]={requests}&{span}"),
        format!("/label/handler/values?match[]={requests}&{span}"),
        format!("/series?match[]={UP}&{span}", UP = encode(UP)),
        "/metadata?limit=0".to_owned(),
        "/metadata?limit=x".to_owned(),
        "/series".to_owned(),
        "/query?query=".to_owned(),
        "/query?query=up&timeout=x".to_owned(),
        format!("/query?query={}&time={end}", encode("1 / 0")),
        format!("/query?query={}&time={end}", encode("\"a\\\"b\"")),
        format!("/query?query={}&time={}", encode(UP), site.between),
        "/query_range?query=up&start=1".to_owned(),
        "/query_range?query=up&start=1&end=2&step=-1".to_owned(),
        "/query_range?query=up&start=1&end=20000&step=1".to_owned(),
        format!("/query_exemplars?query=up&{span}"),
        "/rules?type=record".to_owned(),
        "/rules?type=other".to_owned(),
    ] {
        let (ours, theirs) = site.both(&path);
        assert_eq!((ours.status, ours.text()), (theirs.status, theirs.text()), "{path}");
    }
    shapes_are_those_of_prometheus(site);
    // Without a selector all is found in its span, and nothing in one in which nothing came.
    let names = |path: &str| site.read(path)["data"].as_array().unwrap().len();
    assert_eq!(names(&format!("/labels?start={}&end={}", end + 3600, end + 7200)), 0);
    assert_eq!(names(&format!("/label/job/values?{span}")), 2);
}

/// Where texts are our own, or figures differ.
fn shapes_are_those_of_prometheus(site: &Site<'_>) {
    // Go writes `>` as an escape.
    for path in [
        format!("/format_query?query={}", encode("sum(up{a='b'})by(job)>bool 3")),
        format!("/format_query?query={}", encode("rate(x[5m] offset 1h)^-1")),
    ] {
        let (ours, theirs) = site.both(&path);
        assert_eq!((ours.status, ours.json()), (theirs.status, theirs.json()), "{path}");
    }
    for path in ["/query?query=sum(", "/series?match[]=%7B%7D", "/labels?match[]=sum(up)"] {
        let (ours, theirs) = site.both(path);
        let kind = |answer: &Answer| {
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            (answer.status, body["status"].clone(), body["errorType"].clone())
        };
        assert_eq!(kind(&ours), kind(&theirs), "{path}");
    }
    let (ours, theirs) = site.both("/query?query=up&stats=all");
    let names = |answer: &Answer, of: &str| {
        let stats = answer.json()["data"]["stats"][of].take();
        stats.as_object().unwrap().keys().cloned().collect::<Vec<String>>()
    };
    for of in ["timings", "samples"] {
        assert_eq!(names(&ours, of), names(&theirs, of), "{of}");
    }
}

/// Waits until the only rule is in this state and returns it.
fn rules_are_our_checks(site: &Site<'_>, state: &str, health: &str) -> Value {
    let rule = wait_for(&format!("the rule to be {state}"), PATIENCE, || {
        let rules = site.read("/rules");
        assert_eq!(rules["status"], "success");
        let groups = rules["data"]["groups"].as_array().unwrap().clone();
        let group = groups.into_iter().find(|group| group["name"] == "box")?;
        let rule = group["rules"].as_array().unwrap().iter().find(|r| r["name"] == "exporter")?;
        (rule["state"] == state && rule["health"] == health).then(|| rule.clone())
    });
    assert_eq!(rule["type"], "alerting");
    assert_eq!(rule["query"], "up{instance=\"box\",job=\"node\"} < 1");
    assert!(rule["lastEvaluation"].as_str().unwrap().ends_with('Z'), "{rule}");
    assert!(rule["evaluationTime"].is_number() && rule["duration"].is_number(), "{rule}");
    assert!(rule["labels"].is_object() && rule["annotations"].is_object(), "{rule}");
    rule
}

/// A real exporter by configuration: `up`, its values, and what is left when it is gone.
fn exporter_is_scraped_and_missed(site: &Site<'_>, exporter: &mut Exporter) {
    let (server, up) = (site.server, "up{instance=\"box\",job=\"node\"}");
    let load = "node_load1{instance=\"box\",job=\"node\"}";
    assert_eq!(server.query(up), [1.0]);
    assert_eq!(server.query(load).len(), 1);
    assert_eq!(server.query("scrape_duration_seconds{instance=\"box\",job=\"node\"} > 0").len(), 1);
    let samples = server.query("scrape_samples_scraped{instance=\"box\",job=\"node\"}");
    assert!(samples[0] > 20.0, "{samples:?}");

    exporter.process.kill();
    server.wait_for_value(up, |value| value == 0.0);
    let rows = |expr: &str| {
        let query = encode(&format!("{expr}[2m]"));
        let series = site.read(&format!("/query?query={query}"))["data"]["result"].take();
        assert_eq!(series.as_array().unwrap().len(), 1, "{series}");
        series[0]["values"].as_array().unwrap().clone()
    };
    let up_rows = rows(up);
    let down = up_rows.iter().position(|row| row[1] == "0").unwrap();
    let (last_up, first_down) = (&up_rows[down - 1][0], &up_rows[down][0]);
    // Nothing came after the last good scrape, and from the first failed one on nothing is there,
    // far sooner than the five minutes of lookback.
    assert_eq!(&rows(load).last().unwrap()[0], last_up);
    let query = encode(load);
    let found = |at: &Value| {
        let answer = site.read(&format!("/query?query={query}&time={at}"));
        answer["data"]["result"].as_array().unwrap().len()
    };
    assert_eq!((found(last_up), found(first_down)), (1, 0));

    let rule = rules_are_our_checks(site, "firing", "ok");
    let alert = &rule["alerts"][0];
    let labels = json!({ "alertname": "exporter", "instance": "box", "severity": "critical" });
    assert_eq!(alert["labels"], labels);
    assert_eq!(alert["state"], "firing");
    assert_eq!(alert["annotations"]["runbook_url"], "https://wiki.example.org/exporter");
    assert!(alert["activeAt"].as_str().unwrap().ends_with('Z'), "{alert}");
    assert_eq!(alert["value"], "2e+00");
    let alerts = site.read("/alerts")["data"]["alerts"].take();
    assert_eq!(alerts, json!([alert]));
}
