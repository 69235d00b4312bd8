//! Reading remote writes and agents' frames, without network and store: nanoseconds a sample.
//! `cargo bench -p noroshi-collector --bench remote_write`.
//!
//! 1,000 hosts x 100 series, in requests of 10,000 series and in frames of one host, as
//! `bench/store.sh` sends them; the first round, in which all series are new, stands for itself.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints and may fail")]

#[path = "../../tests/house/remote_write.rs"]
mod remote_write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use noroshi_collector::prometheus::remote_write::Receiver;
use noroshi_collector::{AgentIdentity, Ingest};
use noroshi_model::frame::{Frame, HostIdentity, encode, encode_body};
use noroshi_model::seam::{Accepted, ManualClock};
use noroshi_model::{Batch, BoxFuture, Labels, Refused, Sample, Sink, Timestamp};

const HOSTS: usize = 1000;
const SERIES_OF_HOST: usize = 100;
const SAMPLES_OF_REQUEST: usize = 10_000;
const ROUNDS: usize = 20;
const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

/// Takes everything.
struct Nowhere;

impl Sink for Nowhere {
    fn submit(&self, batch: Batch) -> BoxFuture<'_, Result<Accepted, Refused>> {
        let stored = batch.samples.len();
        Box::pin(async move { Ok(Accepted { stored, ..Accepted::default() }) })
    }
}

fn labels(series: usize) -> [(&'static str, String); 6] {
    let (host, index) = (series / SERIES_OF_HOST, series % SERIES_OF_HOST);
    [
        ("__name__", format!("node_thing{index}")),
        ("datacenter", format!("dc{}", host % 3)),
        ("device", format!("eth{}", index % 7)),
        ("instance", format!("host{host:05}.example.net:9100")),
        ("job", "node".to_owned()),
        ("rack", format!("rack{:02}", host % 40)),
    ]
}

fn value(series: usize) -> f64 {
    if series.is_multiple_of(3) { series as f64 / 100.0 } else { series as f64 }
}

fn requests() -> Vec<Vec<u8>> {
    let all: Vec<usize> = (0..HOSTS * SERIES_OF_HOST).collect();
    let request = |some: &[usize]| {
        let mut request = remote_write::Request::default();
        for &series in some {
            let labels = remote_write::labels(labels(series));
            request.put(&labels, [(NOW.as_millis(), value(series))]);
        }
        snap::raw::Encoder::new().compress_vec(request.plain()).unwrap()
    };
    all.chunks(SAMPLES_OF_REQUEST).map(request).collect()
}

fn frames() -> Vec<Vec<u8>> {
    let frame = |host: usize| {
        let sample = |series: usize| {
            let own = labels(series).into_iter().filter(|(n, _)| !["instance", "job"].contains(n));
            Sample { labels: Labels::new(own), at: NOW, value: value(series) }
        };
        let first = host * SERIES_OF_HOST;
        let samples = (first..first + SERIES_OF_HOST).map(sample).collect();
        let name = format!("host{host:05}");
        let host = HostIdentity { name, ..HostIdentity::default() };
        let batch = Batch { samples, ..Batch::default() };
        let frame = Frame { host, run: 1, sequence: 1, batch, ..Frame::default() };
        encode_body(NOW, &zstd::encode_all(&encode(&frame)[..], 3).unwrap())
    };
    (0..HOSTS).map(frame).collect()
}

/// Reads all bodies round after round, and prints the first round and the best.
fn line(what: &str, bodies: &[Vec<u8>], mut read: impl FnMut(&[u8]) -> usize) {
    let mut samples = 0;
    let mut round = || {
        let begun = Instant::now();
        samples = bodies.iter().map(|body| read(body)).sum();
        begun.elapsed()
    };
    let first = round();
    let best = (0..ROUNDS).map(|_| round()).min().unwrap();
    let each = |took: Duration| took.as_nanos() as f64 / samples as f64;
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    let size = bytes as f64 / samples as f64;
    println!("| {what:14} | {:8.0} | {:8.0} | {size:6.1} |", each(first), each(best));
}

fn main() {
    println!("| | first ns | later ns | bytes |\n|---|---:|---:|---:|");
    let receiver = Receiver::default();
    line("remote write", &requests(), |body| {
        receiver.decode("application/x-protobuf", body).unwrap().batch.samples.len()
    });
    let bodies = requests();
    line("of it snappy", &bodies, |body| {
        let plain = snap::raw::Decoder::new().decompress_vec(body).unwrap();
        assert!(!plain.is_empty());
        SAMPLES_OF_REQUEST
    });
    let ingest = Ingest::new(Arc::new(ManualClock::new(NOW)), Arc::new(Nowhere));
    let agent = AgentIdentity::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    line("agents' frames", &frames(), |body| {
        runtime.block_on(ingest.accept(&agent, body)).unwrap().accepted
    });
}
