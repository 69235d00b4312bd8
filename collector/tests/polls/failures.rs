//! Every way in which a poll can fail, each against a server that fails so.

use std::time::Duration;

use crate::support::{Page, Server, WallClock, raw_server, value};
use noroshi_collector::{Password, PollFailure, Target, nginx, poll_once, prometheus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TIMEOUT: Duration = Duration::from_secs(10);

async fn fail(target: Target, timeout: Duration) -> PollFailure {
    poll_once(&target, timeout, &*WallClock::new()).await.unwrap_err()
}

async fn nginx_fails(url: &str) -> PollFailure {
    fail(Target::Nginx(nginx::Config::new(url)), TIMEOUT).await
}

fn scrape(url: &str) -> Target {
    Target::Prometheus { job: "x".to_owned(), config: prometheus::Config::new(url) }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let (port, _task) = raw_server(async |mut stream| {
        let mut request = Vec::new();
        let _read = stream.read_to_end(&mut request).await;
    })
    .await;
    let started = tokio::time::Instant::now();
    let target = Target::Nginx(nginx::Config::new(&format!("http://127.0.0.1:{port}/")));
    let failure = fail(target, Duration::from_millis(150)).await;
    assert_eq!(
        (failure.as_str(), failure.to_string().as_str()),
        ("timeout", "no answer within 150 ms")
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_that_drips_its_answer_is_given_up_in_time() {
    let (port, _task) = raw_server(async |mut stream| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
        let bytes = head.iter().chain(std::iter::repeat(&b'x'));
        for byte in bytes {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let target = scrape(&format!("http://127.0.0.1:{port}/"));
    assert_eq!(fail(target, Duration::from_millis(400)).await.as_str(), "timeout");
}

#[tokio::test]
async fn answers_that_are_too_long_are_not_read() {
    let server = Server::start(Page::text(vec![b'x'; 5000])).await;
    assert_eq!(nginx_fails(&server.url()).await.as_str(), "too_large");
    // Without a length in the head, and without an end.
    let (port, _task) = raw_server(async |mut stream| {
        let mut chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        while stream.write_all(&chunk).await.is_ok() {
            chunk = b"100\r\n".iter().chain(&[b'x'; 256]).chain(b"\r\n").copied().collect();
        }
    })
    .await;
    let failure = nginx_fails(&format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(failure.to_string(), "the answer is longer than 4096 bytes");
}

#[tokio::test]
async fn garbage_and_broken_answers_are_told_apart() {
    let speaking = async |bytes: &'static [u8]| {
        let (port, task) = raw_server(move |mut stream| async move {
            let mut request = [0; 1024];
            let _read = stream.read(&mut request).await;
            let _written = stream.write_all(bytes).await;
        })
        .await;
        let failure = nginx_fails(&format!("http://127.0.0.1:{port}/")).await;
        task.abort();
        failure
    };
    assert_eq!(speaking(b"SSH-2.0-OpenSSH_9.2\r\n").await.as_str(), "protocol");
    assert_eq!(speaking(b"").await.as_str(), "protocol");
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nActive";
    assert_eq!(speaking(cut).await.as_str(), "protocol");
    let failure = speaking(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
    assert_eq!(failure.as_str(), "parse");
    assert!(failure.to_string().contains("this is no page of stub_status"), "{failure}");
}

#[tokio::test]
async fn other_statuses_than_200_are_failures() {
    for status in [301, 401, 404, 500, 503] {
        let server = Server::start(Page { status, ..Page::text("a 1\n") }).await;
        let failure = fail(scrape(&server.url()), TIMEOUT).await;
        assert_eq!(failure.to_string(), format!("the server answers {status}"));
        assert_eq!(failure.as_str(), "status");
    }
}

#[tokio::test]
async fn a_closed_port_and_a_name_without_address_are_told_apart() {
    let server = Server::start(Page::text("")).await;
    let url = server.url();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let free = listener.local_addr().unwrap().port();
    drop((server, listener));
    let failure = nginx_fails(&format!("http://127.0.0.1:{free}/")).await;
    assert_eq!(failure.as_str(), "connect", "{url}");
    assert!(failure.to_chain().contains("refused"), "{}", failure.to_chain());
    // RFC 6761, 6.4: `.invalid` never has an address.
    assert_eq!(nginx_fails("http://noroshi.invalid/").await.as_str(), "resolve");
}

#[tokio::test]
async fn a_page_with_too_many_samples_and_a_page_that_is_cut_off_fail() {
    let server = Server::start(Page::text("a 1\nb 2\nc 3\n")).await;
    let config = prometheus::Config { sample_limit: 2, ..prometheus::Config::new(&server.url()) };
    let failure = fail(Target::Prometheus { job: "x".to_owned(), config }, TIMEOUT).await;
    assert_eq!(failure.as_str(), "sample_limit");
    let content_type = "application/openmetrics-text; version=1.0.0";
    let server = Server::start(Page { content_type, ..Page::text("a 1\n") }).await;
    let failure = fail(scrape(&server.url()), TIMEOUT).await;
    assert!(failure.to_string().contains("# EOF is missing"), "{failure}");
    let server = Server::start(Page::text(&b"a 1\n\xff\n"[..])).await;
    assert!(fail(scrape(&server.url()), TIMEOUT).await.to_string().contains("no UTF-8"));
}

#[tokio::test]
async fn what_is_asked_says_who_asks_and_what_is_wanted() {
    let server = Server::start(Page::text("a 1\n")).await;
    let config = prometheus::Config {
        user: Some("me".to_owned()),
        password: Some(Password::new("secret")),
        ..prometheus::Config::new(&format!("{}?a=b", server.url()))
    };
    let target = Target::Prometheus { job: "x".to_owned(), config };
    poll_once(&target, TIMEOUT, &*WallClock::new()).await.unwrap();
    let requests = server.requests.lock();
    let request = &requests[0];
    let header = |name: &str| request.headers()[name].to_str().unwrap();
    assert_eq!(request.uri().to_string(), "/metrics?a=b");
    assert_eq!(header("host"), format!("127.0.0.1:{}", server.port));
    // "me:secret" in Base64.
    assert_eq!(header("authorization"), "Basic bWU6c2VjcmV0");
    assert!(header("accept").starts_with("application/openmetrics-text;version=1.0.0"));
    assert!(header("user-agent").starts_with("noroshi/"));
    assert_eq!(header("x-prometheus-scrape-timeout-seconds"), "10");
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    // `localhost` is ::1 first on most systems; the server listens on 127.0.0.1 alone.
    let server = Server::start(Page::text("a 1\n")).await;
    let target = scrape(&format!("http://localhost:{}/metrics", server.port));
    let batch = poll_once(&target, TIMEOUT, &*WallClock::new()).await.unwrap();
    assert_eq!(value(&batch, r#"a{job="x"}"#), Some(1.0));
}
