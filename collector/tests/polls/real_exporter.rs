//! A real exporter: Debian's `prometheus-node-exporter`.

use std::process::Command;
use std::time::Duration;

use noroshi_collector::{Target, poll_once, prometheus};
use noroshi_model::{Kind, Width};

use crate::support::{Service, WallClock, free_port, value};

#[tokio::test]
async fn a_real_exporter_is_scraped_with_what_it_says_of_its_metrics() {
    let port = free_port();
    let mut command = Command::new("/usr/bin/prometheus-node-exporter");
    let command = command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _service = Service::start(command, port, "prometheus-node-exporter").await;
    let config = prometheus::Config::new(&format!("http://127.0.0.1:{port}/metrics"));
    let target = Target::Prometheus { job: "node".to_owned(), config };
    let batch = poll_once(&target, Duration::from_secs(10), &*WallClock::new()).await.unwrap();

    assert!(batch.samples.len() > 200, "{} samples", batch.samples.len());
    assert!(value(&batch, r#"node_load1{job="node"}"#).unwrap() >= 0.0);
    let meta = |name: &str| batch.metas.iter().find(|meta| meta.name == name).unwrap();
    assert_eq!(meta("node_cpu_seconds_total").kind, Kind::Counter(Width::Float));
    assert_eq!(meta("node_load1").kind, Kind::Gauge);
    assert_eq!(meta("go_gc_duration_seconds").kind, Kind::Summary);
    assert_eq!(meta("go_gc_duration_seconds_count").kind, Kind::Counter(Width::Float));
    assert!(meta("node_load1").help.contains("load average"));
    // Every sample is of a metric about which the page says something.
    for sample in &batch.samples {
        let name = sample.labels.name();
        assert!(batch.metas.iter().any(|meta| meta.name == name), "nothing is known of {name}");
    }
}
