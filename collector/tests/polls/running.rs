//! The collector as it runs: spread, kept apart, changed under way, unknown when it must be.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{PATIENCE, Page, Server, Shelf, WallClock, raw_server, value};
use noroshi_collector::{Applied, Collector, PollSpec, Target, prometheus};
use noroshi_model::{Batch, Refused, is_unknown};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Stage {
    shelf: Arc<Shelf>,
    collector: Arc<Collector>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

fn stage() -> Stage {
    let shelf = Shelf::new();
    let collector = Collector::new(WallClock::new(), shelf.clone());
    let stop = CancellationToken::new();
    let (runner, token) = (collector.clone(), stop.clone());
    let running = tokio::spawn(async move { runner.run(token).await });
    Stage { shelf, collector, stop, running }
}

impl Stage {
    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap();
    }
}

/// A scrape of a server every 200 ms: more often than the configuration allows.
fn spec(instance: &str, url: &str) -> PollSpec {
    let target = Target::Prometheus { job: "x".to_owned(), config: prometheus::Config::new(url) };
    let timing = (Duration::from_secs(1), Duration::from_secs(10));
    PollSpec { interval: Duration::from_millis(200), ..PollSpec::new(instance, target, timing) }
}

fn has(series: &'static str, wanted: f64) -> impl Fn(&[Batch]) -> bool {
    move |batches| batches.iter().any(|batch| value(batch, series) == Some(wanted))
}

fn ends_unknown(series: &'static str) -> impl Fn(&[Batch]) -> bool {
    move |batches| {
        let last = batches.iter().rev().find_map(|batch| value(batch, series));
        last.is_some_and(is_unknown)
    }
}

#[tokio::test]
async fn a_scrape_gives_series_with_the_labels_of_their_host() {
    let page = "# TYPE a gauge\na{instance=\"theirs\"} 1\n";
    let server = Server::start(Page::text(page)).await;
    let stage = stage();
    let mut spec = spec("web1", &server.url());
    spec.labels.insert("site".to_owned(), "tokyo".to_owned());
    stage.collector.apply(vec![spec]);
    let batches = stage.shelf.wait("a scrape", |batches| batches.len() >= 2).await;
    let own = r#"{instance="web1",job="x",site="tokyo"}"#;
    let series = r#"a{exported_instance="theirs",instance="web1",job="x",site="tokyo"}"#;
    assert_eq!(value(&batches[0], series), Some(1.0));
    assert_eq!(value(&batches[0], &format!("up{own}")), Some(1.0));
    assert_eq!(value(&batches[0], &format!("scrape_samples_scraped{own}")), Some(1.0));
    assert!(value(&batches[0], &format!("scrape_duration_seconds{own}")).unwrap() > 0.0);
    assert_eq!(batches[0].interval, Some(Duration::from_millis(200)));
    // What is known of the metrics is said once.
    let names: Vec<_> = batches[0].metas.iter().map(|meta| meta.name.as_str()).collect();
    let kept = "scrape_samples_post_metric_relabeling";
    let own_names = ["up", "scrape_duration_seconds", "scrape_samples_scraped", kept];
    assert_eq!(names[..5], [&["a"], &own_names[..]].concat());
    assert_eq!(names[5..], ["scrape_series_added"]);
    assert_eq!(value(&batches[0], &format!("{kept}{own}")), Some(1.0));
    // All series of the first scrape are new, none of the second.
    let added = format!("scrape_series_added{own}");
    assert_eq!((value(&batches[0], &added), value(&batches[1], &added)), (Some(1.0), Some(0.0)));
    assert!(batches[1].metas.is_empty());
    stage.stop().await;
}

#[tokio::test]
async fn series_that_vanish_and_targets_that_fail_become_unknown() {
    let server = Server::start(Page::text("a 1\nb 2\nc 3 5000\n")).await;
    let stage = stage();
    stage.collector.apply(vec![spec("web1", &server.url())]);
    stage.shelf.wait("b", has(r#"b{instance="web1",job="x"}"#, 2.0)).await;
    server.set("a 1\n");
    let gone = ends_unknown(r#"b{instance="web1",job="x"}"#);
    let batches = stage.shelf.wait("b unknown", gone).await;
    // A series with a time of its own is not judged by the times of the scrapes.
    assert!(!ends_unknown(r#"c{instance="web1",job="x"}"#)(&batches));
    assert!(!ends_unknown(r#"a{instance="web1",job="x"}"#)(&batches));

    server.page.lock().status = 500;
    stage.shelf.wait("a unknown", ends_unknown(r#"a{instance="web1",job="x"}"#)).await;
    stage.shelf.wait("up 0", has(r#"up{instance="web1",job="x"}"#, 0.0)).await;
    // Once: the moment of the mark tells since when nothing is known.
    let batches = stage.shelf.wait_more(2).await;
    assert_eq!(value(batches.last().unwrap(), r#"a{instance="web1",job="x"}"#), None);
    let status = &stage.collector.status()[0];
    assert_eq!((status.failure, status.samples), (Some("status"), 0));
    assert!(status.last_success.is_some() && status.failures >= 1);

    server.page.lock().status = 200;
    let is_back = |batches: &[Batch]| {
        let last = batches.iter().rev().find_map(|b| value(b, r#"up{instance="web1",job="x"}"#));
        last == Some(1.0)
    };
    stage.shelf.wait("up again", is_back).await;
    stage.stop().await;
}

#[tokio::test]
async fn a_target_that_goes_ends_in_unknown_and_one_that_stays_keeps_its_connection() {
    let server = Server::start(Page::text("a 1\n")).await;
    let stage = stage();
    let (one, two) = (spec("web1", &server.url()), spec("web2", &server.url()));
    let applied = stage.collector.apply(vec![one.clone(), two.clone()]);
    assert_eq!(applied, Applied { added: 2, ..Applied::default() });
    stage.shelf.wait("web1", has(r#"a{instance="web1",job="x"}"#, 1.0)).await;
    stage.shelf.wait("web2", has(r#"a{instance="web2",job="x"}"#, 1.0)).await;
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);

    let mut changed = one.clone();
    changed.labels.insert("site".to_owned(), "tokyo".to_owned());
    let applied = stage.collector.apply(vec![changed, two.clone()]);
    assert_eq!(applied, Applied { changed: 1, ..Applied::default() });
    stage.shelf.wait("old", ends_unknown(r#"a{instance="web1",job="x"}"#)).await;
    stage.shelf.wait("new", has(r#"a{instance="web1",job="x",site="tokyo"}"#, 1.0)).await;

    let applied = stage.collector.apply(vec![two]);
    assert_eq!(applied, Applied { removed: 1, ..Applied::default() });
    let gone = r#"a{instance="web1",job="x",site="tokyo"}"#;
    stage.shelf.wait("removed", ends_unknown(gone)).await;
    let up = r#"up{instance="web1",job="x",site="tokyo"}"#;
    stage.shelf.wait("removed", ends_unknown(up)).await;
    let batches = stage.shelf.wait_more(3).await;
    assert!(!ends_unknown(r#"a{instance="web2",job="x"}"#)(&batches));
    // web2 has had one connection all the time; web1 one for each configuration.
    assert_eq!(server.connections.load(Ordering::SeqCst), 3);
    assert_eq!(stage.collector.status().len(), 1);
    stage.stop().await;
}

#[tokio::test]
async fn one_target_is_never_asked_twice_at_once_and_missed_turns_are_skipped() {
    let server = Server::start(Page::text("a 1\n")).await;
    *server.delay.lock() = Duration::from_millis(180);
    let stage = stage();
    let mut slow = spec("web1", &server.url());
    slow.interval = Duration::from_millis(200);
    stage.collector.apply(vec![slow.clone()]);
    stage.shelf.wait_more(2).await;
    // The timeout is cut to 95 % of the interval: 190 ms. A slower answer is a failure.
    *server.delay.lock() = Duration::from_millis(400);
    stage.shelf.wait("a timeout", has(r#"up{instance="web1",job="x"}"#, 0.0)).await;
    assert_eq!(stage.collector.status()[0].failure, Some("timeout"));
    // A change while a poll is under way waits for its end.
    for i in 0..5 {
        slow.labels.insert("n".to_owned(), format!("{i}"));
        stage.collector.apply(vec![slow.clone()]);
    }
    *server.delay.lock() = Duration::ZERO;
    let series = r#"a{instance="web1",job="x",n="4"}"#;
    stage.shelf.wait("the last change", has(series, 1.0)).await;
    // The server goes on with a request that was given up: what was given up counts as one more.
    assert!(server.busy_max.load(Ordering::SeqCst) <= 3);
    stage.stop().await;
}

#[tokio::test]
async fn a_server_that_closes_after_each_answer_is_polled_all_the_same() {
    let (port, _task) = raw_server(async |mut stream| {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut request = [0; 4096];
        let _read = stream.read(&mut request).await;
        let _written = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na 1\n").await;
    })
    .await;
    let stage = stage();
    stage.collector.apply(vec![spec("web1", &format!("http://127.0.0.1:{port}/metrics"))]);
    let batches = stage.shelf.wait("polls", |batches| batches.len() >= 6).await;
    let up = batches.iter().map(|batch| value(batch, r#"up{instance="web1",job="x"}"#));
    assert!(up.clone().all(|value| value == Some(1.0)), "{:?}", up.collect::<Vec<_>>());
    stage.stop().await;
}

#[tokio::test]
async fn a_sink_that_refuses_loses_samples_but_not_what_is_known_of_them() {
    let server = Server::start(Page::text("# TYPE a gauge\na 1\n")).await;
    let stage = stage();
    stage.shelf.refuse(Some(Refused::DiskFull));
    stage.collector.apply(vec![spec("web1", &server.url())]);
    let refused = stage.shelf.wait_more(2).await;
    assert!(refused.iter().all(|batch| batch.metas.iter().any(|meta| meta.name == "a")));
    stage.shelf.refuse(None);
    let kept = stage.shelf.wait_more(3).await;
    assert!(kept.last().unwrap().metas.is_empty(), "said once and taken");
    stage.stop().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_server_that_says_nothing() {
    let (port, _task) = raw_server(|stream| async move {
        tokio::time::sleep(PATIENCE * 10).await;
        drop(stream);
    })
    .await;
    let stage = stage();
    let mut silent = spec("web1", &format!("http://127.0.0.1:{port}/metrics"));
    silent.interval = Duration::from_mins(1);
    silent.timeout = Duration::from_mins(1);
    stage.collector.apply(vec![silent]);
    let started = tokio::time::Instant::now();
    stage.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5));
}
