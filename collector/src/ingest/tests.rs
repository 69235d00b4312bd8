//! Bodies in, samples and agents out.

use std::time::Duration;

use noroshi_model::frame::{HostIdentity, PluginResult, encode, encode_body};
use noroshi_model::seam::{Accepted, ManualClock};
use noroshi_model::{Batch, BoxFuture, Status};

use super::*;

/// Keeps what it is given, or refuses it.
#[derive(Default)]
struct Shelf {
    batches: Mutex<Vec<Batch>>,
    refusal: Mutex<Option<Refused>>,
}

impl Sink for Shelf {
    fn submit(&self, batch: Batch) -> BoxFuture<'_, Result<Accepted, Refused>> {
        Box::pin(async move {
            if let Some(refused) = *self.refusal.lock() {
                return Err(refused);
            }
            let stored = batch.samples.len();
            self.batches.lock().push(batch);
            Ok(Accepted { stored, ..Accepted::default() })
        })
    }
}

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

struct Stage {
    shelf: Arc<Shelf>,
    clock: Arc<ManualClock>,
    ingest: Arc<Ingest>,
    agent: AgentIdentity,
}

fn stage(limits: Limits) -> Stage {
    let (shelf, clock) = (Arc::new(Shelf::default()), Arc::new(ManualClock::new(NOW)));
    let ingest = Ingest::with_limits(clock.clone(), shelf.clone(), limits);
    let agent = AgentIdentity {
        token: "agents".to_owned(),
        address: "192.0.2.7".to_owned(),
        looks_version: String::new(),
    };
    Stage { shelf, clock, ingest, agent }
}

fn frame(host: &str, sequence: u64, series: usize) -> Frame {
    let sample = |i: usize| Sample {
        labels: Labels::new([("__name__", "node_load1".to_owned()), ("n", format!("{i}"))]),
        at: NOW,
        value: i as f64,
    };
    let batch = Batch {
        samples: (0..series).map(sample).collect(),
        interval: Some(Duration::from_secs(10)),
        ..Batch::default()
    };
    let host = HostIdentity {
        name: host.to_owned(),
        machine_id: "m1".to_owned(),
        os: "Debian".to_owned(),
        agent_version: "0.1.0".to_owned(),
        ..HostIdentity::default()
    };
    Frame { host, run: 7, sequence, batch, results: Vec::new() }
}

/// A body sent 250 ms before now.
fn body(frames: &[Frame]) -> Vec<u8> {
    let packed = frames.iter().flat_map(|f| zstd::encode_all(&encode(f)[..], 3).unwrap());
    encode_body(NOW - Duration::from_millis(250), &packed.collect::<Vec<_>>())
}

impl Stage {
    async fn send(&self, frames: &[Frame]) -> Result<Receipt, IngestError> {
        self.ingest.accept(&self.agent, &body(frames)).await
    }
}

#[tokio::test]
async fn frames_become_samples_of_their_host() {
    let stage = stage(Limits::default());
    let mut seen = stage.ingest.hosts_seen();
    let receipt = stage.send(&[frame("web1", 1, 2), frame("web1", 2, 2)]).await.unwrap();
    // 2 + 2 samples, and the clock's offset with the last frame.
    assert_eq!(receipt.accepted, 5);
    let batches = std::mem::take(&mut *stage.shelf.batches.lock());
    let shown: Vec<_> = batches[1].samples.iter().map(|s| s.labels.to_string()).collect();
    assert_eq!(
        shown,
        [
            r#"node_load1{instance="web1",job="node",n="0"}"#,
            r#"node_load1{instance="web1",job="node",n="1"}"#,
            r#"noroshi_agent_clock_offset_seconds{instance="web1",job="node"}"#,
        ]
    );
    assert_eq!(batches[1].samples[2].value, 0.25);
    assert_eq!(batches[0].interval, Some(Duration::from_secs(10)));

    let agents = stage.ingest.agents();
    let view = &agents[0];
    assert_eq!((view.host.as_str(), view.address.as_str()), ("web1", "192.0.2.7"));
    assert_eq!((view.frames, view.frames_missing, view.clock_offset_ms), (2, 0, 250));
    assert_eq!(seen.try_recv().unwrap().host, "web1");
    assert!(seen.try_recv().is_err(), "a host is new once");
}

#[tokio::test]
async fn a_frame_may_not_choose_labels_that_belong_to_the_server() {
    let stage = stage(Limits::default());
    let mut forged = frame("web1", 1, 1);
    forged.batch.samples[0].labels =
        Labels::new([("__name__", "up"), ("instance", "web2"), ("job", "mysql")]);
    stage.send(&[forged]).await.unwrap();
    let labels = stage.shelf.batches.lock()[0].samples[0].labels.to_string();
    assert_eq!(labels, r#"up{instance="web1",job="node"}"#);
}

#[tokio::test]
async fn missing_frames_are_counted_and_repeated_ones_are_not() {
    let stage = stage(Limits::default());
    for sequence in [1, 2, 5, 5] {
        stage.send(&[frame("web1", sequence, 1)]).await.unwrap();
    }
    // 3 and 4 are missing; the second 5 hides one of them, which is the lesser fault.
    assert!(stage.ingest.agents()[0].frames_missing <= 2);
    let mut restarted = frame("web1", 1, 1);
    restarted.run = 8;
    stage.send(&[restarted]).await.unwrap();
    assert_eq!(stage.ingest.agents()[0].frames_missing, 0);
}

#[tokio::test]
async fn two_machines_do_not_share_a_name() {
    let stage = stage(Limits::default());
    stage.send(&[frame("web1", 1, 1)]).await.unwrap();
    let mut other = frame("web1", 1, 1);
    other.host.machine_id = "m2".to_owned();
    let error = stage.send(std::slice::from_ref(&other)).await.unwrap_err();
    assert_eq!((error.as_str(), error.http_status()), ("host_taken", 409));
    // Ten minutes later the name is free: the machine was replaced.
    stage.clock.advance(Duration::from_secs(601));
    stage.send(&[other]).await.unwrap();
}

#[tokio::test]
async fn the_server_keeps_its_own_name() {
    let stage = stage(Limits::default());
    stage.ingest.reserve("localhost");
    let error = stage.send(&[frame("localhost", 1, 1)]).await.unwrap_err();
    let text = "host localhost is another machine (the server itself), which reported within ten \
                minutes; give one of the two another name";
    assert_eq!(error.to_string(), text);
    assert!(stage.shelf.batches.lock().is_empty());
    stage.send(&[frame("web1", 1, 1)]).await.unwrap();
}

fn raid(seconds: i64) -> PluginResult {
    PluginResult {
        name: "raid".to_owned(),
        at: Timestamp::from_secs(seconds),
        run_time: Duration::from_millis(5),
        status: Status::Critical,
        output: "degraded".to_owned(),
    }
}

#[tokio::test]
async fn results_are_acknowledged_when_they_are_done_and_requests_come_back() {
    let stage = stage(Limits::default());
    let mut results = stage.ingest.results();
    let mut whole = frame("web1", 1, 1);
    let told = [("__name__", "noroshi_agent_plugin_interval_seconds"), ("plugin", "raid")];
    whole.batch.samples.push(Sample { labels: Labels::new(told), at: NOW, value: 60.0 });
    whole.results = vec![raid(1), raid(2)];
    stage.ingest.ask("web1", "raid");
    stage.ingest.ask("web2", "other");
    let bodies = [whole];
    let mut sending = std::pin::pin!(stage.send(&bodies));
    let of_host = tokio::select! {
        _ = &mut sending => panic!("acknowledged before it was done"),
        of_host = results.recv() => of_host.unwrap(),
    };
    assert_eq!((of_host.host.as_str(), of_host.results.len()), ("web1", 2));
    // The host is known with its plug-ins before its results are.
    let plugins = std::collections::BTreeMap::from([("raid".to_owned(), 60_000)]);
    assert_eq!(stage.ingest.agent("web1").unwrap().plugin_intervals_ms, plugins);
    of_host.done.send(()).unwrap();
    let receipt = sending.await.unwrap();
    assert_eq!((receipt.accepted, receipt.run), (3, vec!["raid".to_owned()]));

    // Asked for once; and results alone do not mean that all else is gone.
    let mut alone = frame("web1", 2, 0);
    alone.results = vec![raid(3)];
    drop(results);
    assert!(stage.send(&[alone]).await.unwrap().run.is_empty());
    let agent = stage.ingest.agent("web1").unwrap();
    assert_eq!((agent.plugin_intervals_ms, agent.series), (plugins, 2));
    stage.send(&[frame("web1", 3, 1)]).await.unwrap();
    assert!(stage.ingest.agent("web1").unwrap().plugin_intervals_ms.is_empty());
}

#[tokio::test]
async fn who_listens_too_slowly_is_told_and_finds_all_hosts() {
    let stage = stage(Limits::default());
    let mut seen = stage.ingest.hosts_seen();
    for number in 0..SEEN_QUEUE + 100 {
        stage.send(&[frame(&format!("h{number}"), 1, 1)]).await.unwrap();
    }
    assert!(matches!(seen.recv().await, Err(broadcast::error::RecvError::Lagged(_))));
    let all = stage.ingest.all_hosts();
    assert_eq!(all.len(), SEEN_QUEUE + 100);
    assert!(all.iter().any(|host| host.host == "h0" && host.address == "192.0.2.7"));
}

#[tokio::test]
async fn labels_of_a_host_are_known_with_its_readings_and_their_bounds_are_kept() {
    let stage = stage(Limits::default());
    let mut seen = stage.ingest.hosts_seen();
    let told = |sequence, labels: &[(&str, &str)]| {
        let mut whole = frame("web1", sequence, 1);
        let name = [("__name__", "noroshi_agent_labels_info")];
        let labels = Labels::new(name.into_iter().chain(labels.iter().copied()));
        whole.batch.samples.push(Sample { labels, at: NOW, value: 1.0 });
        whole
    };
    // What an agent may not say is left out, whoever sends it.
    let given = [("role", "web"), ("token", "admin"), ("host", "other"), ("rack", "b4")];
    stage.send(&[told(1, &given)]).await.unwrap();
    let expected = |labels: &[(&str, &str)]| -> std::collections::BTreeMap<String, String> {
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(seen.recv().await.unwrap().labels, expected(&[("rack", "b4"), ("role", "web")]));
    // The same again is no news; a change is; results alone say nothing of labels.
    stage.send(&[told(2, &given)]).await.unwrap();
    assert!(seen.try_recv().is_err());
    stage.send(&[told(3, &[("role", "db")])]).await.unwrap();
    assert_eq!(seen.recv().await.unwrap().labels, expected(&[("role", "db")]));
    let mut alone = frame("web1", 4, 0);
    alone.results = vec![raid(3)];
    drop(stage.ingest.results());
    stage.send(&[alone]).await.unwrap();
    assert_eq!(stage.ingest.agent("web1").unwrap().labels, expected(&[("role", "db")]));
    stage.send(&[frame("web1", 5, 1)]).await.unwrap();
    assert!(seen.recv().await.unwrap().labels.is_empty());
    let names: Vec<String> = (0..40).map(|i| format!("l{i:02}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    stage.send(&[told(6, &many)]).await.unwrap();
    assert_eq!(stage.ingest.agent("web1").unwrap().labels.len(), 32);
}

#[tokio::test]
async fn every_bound_is_kept() {
    let limits = Limits {
        body_bytes_max: 4096,
        decoded_bytes_max: 16_384,
        samples_max: 20,
        series_max: 10,
        results_max: 1,
        hosts_max: 2,
    };
    let stage = stage(limits);
    let fail = async |frames: &[Frame]| stage.send(frames).await.unwrap_err().to_string();
    assert!(fail(&[frame("web1", 1, 11)]).await.contains("web1 sends 11 series"));
    assert!(fail(&[frame("web1", 1, 21)]).await.contains("web1 sends 21 samples"));
    let mut chatty = frame("web1", 1, 1);
    chatty.results = vec![raid(1), raid(2)];
    assert!(fail(&[chatty]).await.contains("web1 sends 2 results"));
    let name = "a/b";
    assert!(fail(&[frame(name, 1, 1)]).await.contains("is no name of a host"));
    let long = "x".repeat(254);
    assert!(fail(&[frame(&long, 1, 1)]).await.contains("is no name of a host"));
    // Zeros compress well: 100,000 bytes come as a few dozen.
    let bomb = encode_body(NOW, &zstd::encode_all(&vec![0; 100_000][..], 3).unwrap());
    let error = stage.ingest.accept(&stage.agent, &bomb).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "a body of 16385 bytes or more is larger than the 16384 that are taken"
    );
    let error = stage.ingest.accept(&stage.agent, &[0; 4097]).await.unwrap_err();
    assert_eq!(error.http_status(), 413);
    stage.send(&[frame("web1", 1, 1), frame("web2", 1, 1)]).await.unwrap();
    assert!(fail(&[frame("web3", 1, 1)]).await.contains("2 hosts are known"));
}

#[tokio::test]
async fn damage_is_refused_and_a_full_disk_is_passed_on() {
    let stage = stage(Limits::default());
    let whole = body(&[frame("web1", 1, 3)]);
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        if let Err(error) = stage.ingest.accept(&stage.agent, &damaged).await {
            assert!([400, 409, 413, 422].contains(&error.http_status()), "{error}");
        }
        let error = stage.ingest.accept(&stage.agent, &whole[..at]).await;
        assert!(error.is_err() || at == 13, "cut at {at}");
    }
    *stage.shelf.refusal.lock() = Some(Refused::DiskFull);
    let error = stage.send(&[frame("web1", 1, 1)]).await.unwrap_err();
    assert_eq!((error.as_str(), error.http_status()), ("disk_full", 503));
}
