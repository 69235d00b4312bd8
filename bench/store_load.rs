//! Sends the same generated site to a server by Prometheus remote write, or to rrdcached.
//!
//! `store_load remote-write URL [TOKEN]` or `store_load rrdcached SOCKET FOLDER`; prints the
//! samples that were acknowledged and the seconds it took. `bench/store.sh` runs it.
//! `STORE_HOSTS` hosts x 100 series x `STORE_STEPS` steps of 10 s that end now: of six series two
//! are counters, two gauges with two decimals, one is nearly and one quite constant.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints and may fail")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use prost::Message;

const SERIES_OF_HOST: usize = 100;
const STEP_MS: i64 = 10_000;
/// Samples in a request: what Prometheus sends at most by default (`max_samples_per_send`, 2.42
/// has 500, 3.x 2,000) times a few, as fast senders are set.
const SAMPLES_OF_REQUEST: usize = 10_000;
/// Updates of rrdcached that go together (`BATCH`).
const UPDATES_OF_BATCH: usize = 1000;

// Prometheus remote write 1.0, `prompb/remote.proto` and `prompb/types.proto`.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
}
#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Point>,
}
#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}
#[derive(Clone, Copy, PartialEq, Message)]
struct Point {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    at: i64,
}

struct Site {
    hosts: usize,
    steps: usize,
    start: i64,
    values: Vec<f64>,
    state: u64,
}

impl Site {
    fn from_environment() -> Self {
        let number = |name: &str, otherwise: usize| {
            std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
        };
        let (hosts, steps) = (number("STORE_HOSTS", 1000), number("STORE_STEPS", 360));
        let now = Command::new("date").arg("+%s").output().unwrap().stdout;
        let now: i64 = String::from_utf8(now).unwrap().trim().parse().unwrap();
        let start = (now / 10 - steps as i64) * STEP_MS;
        let values = (0..hosts * SERIES_OF_HOST).map(|series| series as f64).collect();
        Self { hosts, steps, start, values, state: 42 }
    }

    fn random(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns the next value of a series; to be asked once a step.
    fn next(&mut self, series: usize) -> f64 {
        let (kind, random) = (series % SERIES_OF_HOST % 6, self.random());
        let value = &mut self.values[series];
        match kind {
            0 => *value += (random * 1e6).floor(),
            1 => *value += (random * 30.0).floor(),
            2 | 3 => {
                let moved = *value % 100.0 + random * 4.0 - 2.0;
                *value = (moved.abs() * 100.0).round() / 100.0;
            }
            4 if random < 0.02 => *value += 1.0,
            _ => {}
        }
        *value
    }
}

fn labels(series: usize) -> Vec<Label> {
    let (host, index) = (series / SERIES_OF_HOST, series % SERIES_OF_HOST);
    let total = if index % 6 < 2 { "_total" } else { "" };
    // In the order of their names, as the protocol asks.
    let pairs = [
        ("__name__", format!("node_thing{index}{total}")),
        ("datacenter", format!("dc{}", host % 3)),
        ("device", format!("eth{}", index % 7)),
        ("instance", format!("host{host:05}.example.net:9100")),
        ("job", "node".to_owned()),
        ("rack", format!("rack{:02}", host % 40)),
    ];
    let label = |(name, value): (&str, String)| Label { name: name.to_owned(), value };
    pairs.into_iter().map(label).collect()
}

/// One connection that stays open.
struct Connection {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Connection {
    fn open(url: &str, token: Option<&str>) -> Self {
        let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let key = token.map_or(String::new(), |token| format!("authorization: Bearer {token}\r\n"));
        let head = format!(
            "POST /{path} HTTP/1.1\r\nhost: {address}\r\n{key}content-encoding: snappy\r\n\
             content-type: application/x-protobuf\r\nx-prometheus-remote-write-version: 0.1.0\r\n"
        );
        Self { stream: BufReader::with_capacity(1 << 16, stream), head }
    }

    /// Sends a body until it is acknowledged.
    fn send(&mut self, body: &[u8]) {
        loop {
            let head = format!("{}content-length: {}\r\n\r\n", self.head, body.len());
            self.stream.get_mut().write_all(head.as_bytes()).unwrap();
            self.stream.get_mut().write_all(body).unwrap();
            let (status, text) = self.answer();
            match status {
                200..300 => return,
                // As Prometheus does: the same again, in a moment.
                429 | 503 => std::thread::sleep(Duration::from_millis(100)),
                _ => panic!("{status}: {text}"),
            }
        }
    }

    fn answer(&mut self) -> (u16, String) {
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            assert!(self.stream.read_line(&mut line).unwrap() > 0, "the server hung up");
            let line = line.trim_end().to_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(rest) = line.strip_prefix("content-length:") {
                length = rest.trim().parse().unwrap();
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}

/// Sends every step of every series, and returns how long the server's part of it took: making
/// the bodies is not measured.
fn remote_write(site: &mut Site, url: &str, token: Option<&str>) -> Duration {
    let mut connection = Connection::open(url, token);
    let mut compress = snap::raw::Encoder::new();
    let mut took = Duration::ZERO;
    let all = site.hosts * SERIES_OF_HOST;
    let labels: Vec<Vec<Label>> = (0..all).map(labels).collect();
    for step in 0..site.steps {
        let at = site.start + step as i64 * STEP_MS;
        for from in (0..all).step_by(SAMPLES_OF_REQUEST) {
            let one = |series: usize| TimeSeries {
                labels: labels[series].clone(),
                samples: vec![Point { value: site.next(series), at }],
            };
            let until = (from + SAMPLES_OF_REQUEST).min(all);
            let request = WriteRequest { series: (from..until).map(one).collect() };
            let body = compress.compress_vec(&request.encode_to_vec()).unwrap();
            let begun = Instant::now();
            connection.send(&body);
            took += begun.elapsed();
        }
    }
    took
}

/// Makes a file for each series and updates all by the daemon; making them is not measured.
fn rrdcached(site: &mut Site, socket: &str, folder: &str) -> Duration {
    let mut stream = BufReader::new(UnixStream::connect(socket).unwrap());
    let all = site.hosts * SERIES_OF_HOST;
    let begin = site.start / 1000 - 10;
    let mut rows = String::new();
    for step in [1, 6, 30] {
        for function in ["AVERAGE", "MIN", "MAX"] {
            rows += &format!(" RRA:{function}:0.5:{step}:{}", 360 / step);
        }
    }
    // One file is made, the others are copies: the daemon's own CREATE syncs each.
    let first = format!("{folder}/0.rrd");
    let args = format!("create {first} -s 10 -b {begin} DS:v:GAUGE:40:U:U{rows}");
    let made = Command::new("rrdtool").args(args.split(' ')).status().unwrap();
    assert!(made.success());
    let bytes = std::fs::read(&first).unwrap();
    for series in 1..all {
        std::fs::write(format!("{folder}/{series}.rrd"), &bytes).unwrap();
    }
    let mut took = Duration::ZERO;
    for step in 0..site.steps {
        let at = (site.start + step as i64 * STEP_MS) / 1000;
        for from in (0..all).step_by(UPDATES_OF_BATCH) {
            let mut text = "BATCH\n".to_owned();
            for series in from..(from + UPDATES_OF_BATCH).min(all) {
                text += &format!("UPDATE {series}.rrd {at}:{}\n", site.next(series));
            }
            text += ".\n";
            let begun = Instant::now();
            stream.get_mut().write_all(text.as_bytes()).unwrap();
            // `0 Go ahead...` to BATCH, `0 errors` to the point.
            for _ in 0..2 {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                assert!(line.starts_with("0 "), "{line}");
            }
            took += begun.elapsed();
        }
    }
    stream.get_mut().write_all(b"FLUSHALL\nQUIT\n").unwrap();
    took
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut site = Site::from_environment();
    let took = match args[..] {
        ["remote-write", url] => remote_write(&mut site, url, None),
        ["remote-write", url, token] => remote_write(&mut site, url, Some(token)),
        ["rrdcached", socket, folder] => rrdcached(&mut site, socket, folder),
        _ => panic!("store_load remote-write URL [TOKEN] | rrdcached SOCKET FOLDER"),
    };
    let samples = site.hosts * SERIES_OF_HOST * site.steps;
    println!("{samples} {:.3}", took.as_secs_f64());
}
