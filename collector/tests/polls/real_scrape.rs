//! Scrapes as the world has them: a blackbox exporter with parameters, nginx that packs and
//! redirects, rules that drop and rewrite, and what our own series say of it all.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use noroshi_collector::{PollFailure, PollTargets, Target, poll_once};
use noroshi_model::Batch;

use crate::support::{Page, Server, Service, WallClock, free_port, value};

/// Reads the configuration of one scrape, as a user writes it.
fn scrape(text: &str) -> Target {
    let targets: PollTargets = toml::from_str(&format!("[prometheus.x]\n{text}")).unwrap();
    targets.specs("web1").pop().unwrap().target
}

async fn poll(text: &str) -> Result<Batch, PollFailure> {
    poll_once(&scrape(text), Duration::from_secs(10), &*WallClock::new()).await
}

/// Starts an nginx with these locations on a port of 127.0.0.1.
async fn nginx(folder: &Path, port: u16, locations: &str) -> Service {
    let name = folder.display();
    let config = format!(
        "daemon off; master_process off; pid {name}/pid; error_log {name}/errors;\n\
         events {{ worker_connections 64; }}\n\
         http {{ access_log off; client_body_temp_path {name}/body;\n\
         proxy_temp_path {name}/p; fastcgi_temp_path {name}/f;\n\
         uwsgi_temp_path {name}/u; scgi_temp_path {name}/s;\n\
         gzip on; gzip_types text/plain; gzip_min_length 1; default_type text/plain;\n\
         server {{ listen 127.0.0.1:{port}; root {name};\n{locations} }} }}\n"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    Service::start(Command::new("/usr/sbin/nginx").arg("-c").arg(&file), port, "nginx-light").await
}

/// Goal: a page comes through a real web server that packs it and sends us around; the key stays
/// with the server that it is for. Method: nginx redirects within itself, to another server, and in
/// a circle; the other server keeps what it was asked.
#[tokio::test]
async fn packed_pages_and_redirects_of_a_real_nginx_are_read() {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let other = Server::start(Page::text("b 2\n")).await;
    let lines: Vec<String> = (0..500).map(|i| format!("a{{i=\"{i}\"}} {i}\n")).collect();
    let page = lines.concat();
    std::fs::write(folder.path().join("metrics"), &page).unwrap();
    let locations = format!(
        "location /old {{ return 301 /metrics; }}\n\
         location /away {{ return 302 {}; }}\n\
         location /circle {{ return 307 /circle; }}\n\
         location /unpacked {{ gzip off; alias {}/metrics; }}\n\
         location /keyed {{\n if ($http_authorization != 'Bearer key') {{ return 401; }}
         return 302 /metrics; }}",
        other.url(),
        folder.path().display()
    );
    let _nginx = nginx(folder.path(), port, &locations).await;
    let at = |path: &str| format!("url = 'http://127.0.0.1:{port}/{path}'\n");

    let batch = poll(&at("metrics")).await.unwrap();
    assert_eq!(batch.samples.len(), 500);
    assert_eq!(value(&batch, r#"a{i="499",job="x"}"#), Some(499.0));
    assert_eq!(poll(&at("old")).await.unwrap().samples, batch.samples);
    assert_eq!(poll(&at("unpacked")).await.unwrap().samples, batch.samples);
    let keyed = format!("{}token = 'key'\n", at("keyed"));
    assert_eq!(poll(&keyed).await.unwrap().samples, batch.samples);
    assert_eq!(poll(&at("keyed")).await.unwrap_err().to_string(), "the server answers 401");

    // The bound counts what comes out: packed, these 5 KB are less than one.
    let failure = poll(&format!("{}body_size_limit = 4000", at("metrics"))).await.unwrap_err();
    assert_eq!(failure.to_string(), "the answer is longer than 4000 bytes");

    let away = poll(&format!("{}token = 'key'\n", at("away"))).await.unwrap();
    assert_eq!(value(&away, r#"b{job="x"}"#), Some(2.0));
    assert!(!other.requests.lock()[0].headers().contains_key("authorization"));
    let failure = poll(&at("circle")).await.unwrap_err();
    assert_eq!(failure.as_str(), "redirects");
    let failure = poll(&format!("{}follow_redirects = false", at("old"))).await.unwrap_err();
    assert_eq!(failure.to_string(), "the server answers 301");
}

#[tokio::test]
async fn a_blackbox_exporter_is_told_what_to_probe() {
    let port = free_port();
    let mut command = Command::new("/usr/bin/prometheus-blackbox-exporter");
    command
        .arg("--config.file=/etc/prometheus/blackbox.yml")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _service = Service::start(&mut command, port, "prometheus-blackbox-exporter").await;
    let probe = |target: &str| {
        format!(
            "url = 'http://127.0.0.1:{port}/probe'\n\
             params = {{ module = 'http_2xx', target = ['{target}'] }}\n"
        )
    };
    let page = Server::start(Page::text("fine")).await;
    let batch = poll(&probe(&page.url())).await.unwrap();
    assert_eq!(value(&batch, r#"probe_success{job="x"}"#), Some(1.0));
    assert_eq!(value(&batch, r#"probe_http_status_code{job="x"}"#), Some(200.0));
    page.page.lock().status = 503;
    let batch = poll(&probe(&page.url())).await.unwrap();
    assert_eq!(value(&batch, r#"probe_success{job="x"}"#), Some(0.0));
    // The time that the exporter gives its probe is ours, less its half second of reserve.
    let slow = Server::start(Page::text("late")).await;
    *slow.delay.lock() = Duration::from_mins(1);
    let target = scrape(&probe(&slow.url()));
    let batch = poll_once(&target, Duration::from_millis(1500), &*WallClock::new()).await;
    let batch = batch.expect("the exporter was told too long a time");
    assert_eq!(value(&batch, r#"probe_success{job="x"}"#), Some(0.0));
}

#[tokio::test]
async fn a_real_node_exporter_is_cut_to_what_is_wanted() {
    let port = free_port();
    let mut command = Command::new("/usr/bin/prometheus-node-exporter");
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _service = Service::start(&mut command, port, "prometheus-node-exporter").await;
    let url = format!("url = 'http://127.0.0.1:{port}/metrics'\n");
    let whole = poll(&url).await.unwrap();
    let rules = r#"
metric_relabel_configs = [
  { source_labels = ["__name__"], regex = "node_cpu_seconds_total|node_load.*", action = "keep" },
  { source_labels = ["mode"], regex = "guest|nice", action = "drop" },
  { source_labels = ["cpu"], regex = "(.+)", target_label = "core", replacement = "core$1" },
  { regex = "cpu", action = "labeldrop" },
]
"#;
    let cut = poll(&format!("{url}{rules}")).await.unwrap();
    assert!(cut.samples.len() < whole.samples.len() / 4, "{} samples", cut.samples.len());
    assert!(value(&cut, r#"node_load1{job="x"}"#).is_some());
    let idle = r#"node_cpu_seconds_total{core="core0",job="x",mode="idle"}"#;
    assert!(value(&cut, idle).unwrap() > 0.0);
    let names: Vec<&str> = cut.metas.iter().map(|meta| meta.name.as_str()).collect();
    assert_eq!(names, ["node_cpu_seconds_total", "node_load1", "node_load15", "node_load5"]);
}
