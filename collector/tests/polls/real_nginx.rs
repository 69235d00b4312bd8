//! A real nginx: what its page says, when it stops, when it is back.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{PATIENCE, Service, Shelf, WallClock, free_port, value};
use noroshi_collector::{Collector, PollSpec, Target, nginx};
use noroshi_model::is_unknown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// nginx with `stub_status` on a port of 127.0.0.1.
struct Nginx {
    _service: Service,
    port: u16,
}

impl Nginx {
    async fn start(folder: &Path, port: u16) -> Self {
        let folder_name = folder.display();
        let config = format!(
            "daemon off; master_process off; pid {folder_name}/pid; error_log {folder_name}/errors;\n\
             events {{ worker_connections 64; }}\n\
             http {{ access_log off; client_body_temp_path {folder_name}/body;\n\
             proxy_temp_path {folder_name}/p; fastcgi_temp_path {folder_name}/f;\n\
             uwsgi_temp_path {folder_name}/u; scgi_temp_path {folder_name}/s;\n\
             server {{ listen 127.0.0.1:{port};\n\
             location = /stub_status {{ stub_status; }} }} }}\n"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        let service = Service::start(command.arg("-c").arg(&file), port, "nginx-light").await;
        Self { _service: service, port }
    }

    /// Asks for a page that is not there, on a connection that then stays open.
    async fn visit(&self) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 404");
        stream
    }
}

fn series(name: &str) -> String {
    format!(r#"{name}{{instance="web1",job="nginx"}}"#)
}

/// Goal: a real nginx is counted right, is down with unknown gauges when it is killed, and is up
/// again when it is back. Method: poll it often, visit it, kill it, start it again.
#[tokio::test]
async fn a_real_nginx_is_polled_dies_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let nginx = Nginx::start(folder.path(), port).await;
    let (shelf, stop) = (Shelf::new(), CancellationToken::new());
    let collector = Collector::new(WallClock::new(), shelf.clone());
    let (runner, token) = (Arc::clone(&collector), stop.clone());
    let running = tokio::spawn(async move { runner.run(token).await });
    let config = nginx::Config::new(&format!("http://127.0.0.1:{port}/stub_status"));
    let timing = (Duration::from_secs(1), Duration::from_secs(1));
    let spec = PollSpec::new("web1", Target::Nginx(config), timing);
    collector.apply(vec![PollSpec { interval: Duration::from_millis(400), ..spec }]);

    let requests = series("nginx_http_requests_total");
    let first = shelf.wait("a poll", |batches| !batches.is_empty()).await;
    let before = value(&first[0], &requests).unwrap();
    let mut guests = Vec::new();
    for _ in 0..7 {
        guests.push(nginx.visit().await);
    }
    // Seven visitors that stay wait for their next request; the poll itself is being written.
    let waiting = series("nginx_connections_waiting");
    let is_counted = |batches: &[noroshi_model::Batch]| {
        batches.last().is_some_and(|batch| value(batch, &waiting) == Some(7.0))
    };
    let batches = shelf.wait("seven visitors", is_counted).await;
    let last = batches.last().unwrap();
    let polls = (batches.len() - 1) as f64;
    assert_eq!(value(last, &requests).unwrap() - before, 7.0 + polls);
    assert_eq!(value(last, &series("nginx_connections_active")), Some(8.0));
    assert_eq!(value(last, &series("nginx_connections_writing")), Some(1.0));
    assert_eq!(
        value(last, &series("nginx_connections_accepted")),
        value(last, &series("nginx_connections_handled"))
    );
    assert_eq!(value(last, &series("nginx_up")), Some(1.0));

    drop((guests, nginx));
    let is_down = |batches: &[noroshi_model::Batch]| {
        batches.last().is_some_and(|batch| value(batch, &series("up")) == Some(0.0))
    };
    let batches = shelf.wait("nginx down", is_down).await;
    let last = batches.last().unwrap();
    assert_eq!(value(last, &series("nginx_up")), Some(0.0));
    assert!(value(last, &series("nginx_connections_active")).is_some_and(is_unknown));
    let is_refused = ["connect", "protocol"];
    assert!(is_refused.contains(&collector.status()[0].failure.unwrap()));

    let _again = Nginx::start(folder.path(), port).await;
    let is_up = |batches: &[noroshi_model::Batch]| {
        batches.last().is_some_and(|batch| value(batch, &series("nginx_up")) == Some(1.0))
    };
    let batches = shelf.wait("nginx back", is_up).await;
    assert!(value(batches.last().unwrap(), &requests).unwrap() < before + 7.0, "counted anew");
    stop.cancel();
    tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
}
