//! A real Prometheus writes to us: what it sends is read whole.

use std::convert::Infallible;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use noroshi_collector::prometheus::remote_write::{Decoded, Receiver};
use noroshi_model::{Kind, Width};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::{PATIENCE, Service, free_port};

/// Takes remote writes on a free port and keeps what they say.
async fn receiver() -> (u16, watch::Receiver<Vec<Decoded>>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (kept, told) = watch::channel(Vec::new());
    let receiver = Arc::new(Receiver::default());
    let task = tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (kept, receiver) = (kept.clone(), Arc::clone(&receiver));
            let service = service_fn(move |request: Request<Incoming>| {
                let (kept, receiver) = (kept.clone(), Arc::clone(&receiver));
                async move {
                    let kind = request.headers()["content-type"].to_str().unwrap().to_owned();
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let decoded = receiver.decode(&kind, &body).unwrap();
                    kept.send_modify(|all| all.push(decoded));
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
                }
            });
            let http = hyper::server::conn::http1::Builder::new();
            open.spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    (port, told, task)
}

/// A counter of Prometheus itself.
const APPENDED: &str = "prometheus_tsdb_head_samples_appended_total";

#[tokio::test]
async fn what_a_real_prometheus_writes_is_read() {
    let (receiver_port, mut told, _task) = receiver().await;
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let file = folder.path().join("prometheus.yml");
    let config = format!(
        "global:\n  scrape_interval: 1s\n  external_labels: {{site: tokyo}}\n\
         scrape_configs:\n- job_name: own\n  static_configs:\n  - targets: ['127.0.0.1:{port}']\n\
         remote_write:\n- url: http://127.0.0.1:{receiver_port}/write\n  \
         metadata_config: {{send_interval: 1s}}\n  \
         queue_config: {{batch_send_deadline: 1s}}\n"
    );
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("/usr/bin/prometheus");
    let command = command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _service = Service::start(command, port, "prometheus").await;

    let is_known = |all: &Vec<Decoded>| {
        let up = all.iter().flat_map(|d| &d.batch.samples).any(|s| s.labels.name() == "up");
        up && all.iter().flat_map(|d| &d.batch.metas).any(|meta| meta.name == APPENDED)
    };
    let all = tokio::time::timeout(PATIENCE, told.wait_for(is_known)).await;
    let all = all.expect("Prometheus wrote no series and metadata").unwrap().clone();
    let up = all.iter().flat_map(|d| &d.batch.samples).find(|s| s.labels.name() == "up").unwrap();
    let expected = format!(r#"up{{instance="127.0.0.1:{port}",job="own",site="tokyo"}}"#);
    assert_eq!((up.labels.to_string(), up.value), (expected, 1.0));
    let metas = || all.iter().flat_map(|d| &d.batch.metas);
    let total = metas().find(|m| m.name == APPENDED).unwrap();
    assert_eq!(total.kind, Kind::Counter(Width::Float));
    assert!(total.help.contains("appended samples"), "{}", total.help);
}
