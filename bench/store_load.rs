//! Sends the same generated site to a server by Prometheus remote write, by the agents' protocol,
//! or to rrdcached.
//!
//! `store_load remote-write URL [TOKEN]`, `store_load agent URL TOKEN [FRAMES]` (frames in a body: a
//! spool sends many) or `store_load rrdcached SOCKET FOLDER`; prints the samples that were
//! acknowledged and the seconds it took, making them included. `bench/store.sh` runs it.
//! `STORE_HOSTS` hosts x 100 series x `STORE_STEPS` steps of 10 s from `STORE_START` (seconds since
//! 1970; when unset the last step is now): of six series two are counters, two gauges with two
//! decimals, one is nearly and one quite constant. `STORE_SKIP` steps are made and not sent.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints and may fail")]

#[path = "../tests/house/remote_write.rs"]
mod remote_write;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use noroshi_model::frame::{self, Frame, HostIdentity};
use noroshi_model::{Batch, Labels, Sample, Timestamp};
use remote_write::Request;

const SERIES_OF_HOST: usize = 100;
const STEP_SECONDS: i64 = 10;
/// Samples in a request: what Prometheus sends at most by default (`max_samples_per_send`, 2.42
/// has 500, 3.x 2,000) times a few, as fast senders are set.
const SAMPLES_OF_REQUEST: usize = 10_000;
/// Connections of remote write at once: a Prometheus that has much to send opens that many and more
/// (`queue_config`, `max_shards`).
const SHARDS: usize = 4;
/// Connections of agents at once. More hosts take turns.
const AGENTS: usize = 64;
/// Updates of rrdcached that go together (`BATCH`).
const UPDATES_OF_BATCH: usize = 1000;

#[derive(Clone, Copy)]
struct Site {
    hosts: usize,
    skip: usize,
    steps: usize,
    start: i64,
}

impl Site {
    fn from_environment() -> Self {
        let number = |name: &str, otherwise: i64| {
            std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
        };
        let steps = number("STORE_STEPS", 360);
        let now = Command::new("date").arg("+%s").output().unwrap().stdout;
        let now: i64 = String::from_utf8(now).unwrap().trim().parse().unwrap();
        let start = number("STORE_START", (now / STEP_SECONDS - steps) * STEP_SECONDS);
        let (hosts, skip) = (number("STORE_HOSTS", 1000), number("STORE_SKIP", 0));
        Self { hosts: hosts as usize, skip: skip as usize, steps: steps as usize, start }
    }

    /// Returns the hosts of one sender of several, and their values.
    fn part(self, sender: usize, senders: usize) -> Part {
        let bound = |sender: usize| self.hosts * sender / senders;
        let hosts = bound(sender)..bound(sender + 1);
        let series = hosts.start * SERIES_OF_HOST..hosts.end * SERIES_OF_HOST;
        let values = series.clone().map(|series| series as f64).collect();
        let mut part = Part { first: series.start, values, state: 42 + sender as u64 };
        for _ in 0..self.skip {
            for series in series.clone() {
                part.next(series);
            }
        }
        part
    }

    /// Returns the moments that are sent, in seconds.
    fn moments(self) -> impl Iterator<Item = i64> {
        (self.skip..self.skip + self.steps).map(move |step| self.start + step as i64 * STEP_SECONDS)
    }
}

/// What one sender sends.
struct Part {
    first: usize,
    values: Vec<f64>,
    state: u64,
}

impl Part {
    fn random(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn series(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.values.len()
    }

    /// Returns the next value of a series; to be asked once a step.
    fn next(&mut self, series: usize) -> f64 {
        let (kind, random) = (series % SERIES_OF_HOST % 6, self.random());
        let value = &mut self.values[series - self.first];
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

fn host_name(host: usize) -> String {
    format!("host{host:05}.example.net:9100")
}

/// Returns the labels of a series in the order of their names, as the protocol asks.
fn labels(series: usize) -> [(&'static str, String); 6] {
    let (host, index) = (series / SERIES_OF_HOST, series % SERIES_OF_HOST);
    let total = if index % 6 < 2 { "_total" } else { "" };
    [
        ("__name__", format!("node_thing{index}{total}")),
        ("datacenter", format!("dc{}", host % 3)),
        ("device", format!("eth{}", index % 7)),
        ("instance", host_name(host)),
        ("job", "node".to_owned()),
        ("rack", format!("rack{:02}", host % 40)),
    ]
}

/// One connection that stays open.
struct Connection {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Connection {
    fn open(url: &str, headers: &[(&str, &str)]) -> Self {
        let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut head = format!("POST /{path} HTTP/1.1\r\nhost: {address}\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        Self { stream: BufReader::with_capacity(1 << 16, stream), head }
    }

    /// Sends a body until it is acknowledged.
    fn send(&mut self, body: &[u8]) {
        loop {
            let head = format!("{}content-length: {}\r\n\r\n", self.head, body.len());
            let mut request = head.into_bytes();
            request.extend_from_slice(body);
            self.stream.get_mut().write_all(&request).unwrap();
            let (status, text) = self.answer();
            match status {
                200..300 => return,
                // As Prometheus does: the same again, in a moment.
                429 | 503 => thread::sleep(Duration::from_millis(100)),
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

/// Runs senders beside each other, and returns how long all took.
fn beside(senders: usize, send: impl Fn(usize) + Sync) -> Duration {
    let begun = Instant::now();
    thread::scope(|scope| {
        for sender in 0..senders {
            let send = &send;
            scope.spawn(move || send(sender));
        }
    });
    begun.elapsed()
}

/// Sends every step of every series.
fn remote_writes(site: Site, url: &str, token: Option<&str>) -> Duration {
    let key = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ];
    headers.extend(key.as_deref().map(|key| ("authorization", key)));
    beside(SHARDS, |shard| {
        let mut part = site.part(shard, SHARDS);
        let mut connection = Connection::open(url, &headers);
        let mut compress = snap::raw::Encoder::new();
        let encoded = |series| remote_write::labels(labels(series));
        let labels: Vec<Vec<u8>> = part.series().map(encoded).collect();
        let mut request = Request::default();
        let all: Vec<usize> = part.series().collect();
        let moments: Vec<i64> = site.moments().collect();
        // A small site sends several steps at once: it would wait for the disk most of the time.
        for moments in moments.chunks((SAMPLES_OF_REQUEST / all.len()).max(1)) {
            for some in all.chunks(SAMPLES_OF_REQUEST) {
                request.clear();
                for &series in some {
                    let mut samples = Vec::with_capacity(moments.len());
                    samples.extend(moments.iter().map(|at| (at * 1000, part.next(series))));
                    request.put(&labels[series - part.first], samples);
                }
                connection.send(&compress.compress_vec(request.plain()).unwrap());
            }
        }
    })
}

/// Sends every step of every host as its agent would; `instance` and `job` are the server's.
fn agents(site: Site, url: &str, token: &str, frames_of_body: usize) -> Duration {
    let key = format!("Bearer {token}");
    let headers =
        [("authorization", key.as_str()), ("content-type", "application/vnd.noroshi.frames")];
    let senders = AGENTS.min(site.hosts);
    beside(senders, |sender| {
        let mut part = site.part(sender, senders);
        let mut connection = Connection::open(url, &headers);
        let mut compress = zstd::bulk::Compressor::new(3).unwrap();
        let own =
            |series| labels(series).into_iter().filter(|l| !["instance", "job"].contains(&l.0));
        let labels: Vec<Labels> = part.series().map(|series| Labels::new(own(series))).collect();
        let moments: Vec<i64> = site.moments().collect();
        for (round, moments) in moments.chunks(frames_of_body).enumerate() {
            for first in part.series().step_by(SERIES_OF_HOST) {
                let mut body = Vec::new();
                for (number, &at) in moments.iter().enumerate() {
                    let sample = |series: usize| Sample {
                        labels: labels[series - part.first].clone(),
                        at: Timestamp::from_secs(at),
                        value: part.next(series),
                    };
                    let batch = Batch {
                        samples: (first..first + SERIES_OF_HOST).map(sample).collect(),
                        interval: Some(Duration::from_secs(STEP_SECONDS as u64)),
                        ..Batch::default()
                    };
                    let name = host_name(first / SERIES_OF_HOST);
                    let host = HostIdentity { name, ..HostIdentity::default() };
                    let sequence = (round * frames_of_body + number) as u64;
                    let frame = Frame { host, run: 1, sequence, batch, ..Frame::default() };
                    body.extend(compress.compress(&frame::encode(&frame)).unwrap());
                }
                let sent_at = Timestamp::from_secs(moments[moments.len() - 1]);
                connection.send(&frame::encode_body(sent_at, &body));
            }
        }
    })
}

/// Makes a file for each series and updates all by the daemon; making them is not measured.
fn rrdcached(site: Site, socket: &str, folder: &str) -> Duration {
    let mut part = site.part(0, 1);
    let begin = site.start - STEP_SECONDS;
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
    for series in part.series().skip(1) {
        std::fs::write(format!("{folder}/{series}.rrd"), &bytes).unwrap();
    }
    let mut stream = BufReader::new(UnixStream::connect(socket).unwrap());
    let begun = Instant::now();
    for at in site.moments() {
        let all: Vec<usize> = part.series().collect();
        for some in all.chunks(UPDATES_OF_BATCH) {
            let mut text = "BATCH\n".to_owned();
            for &series in some {
                text += &format!("UPDATE {series}.rrd {at}:{}\n", part.next(series));
            }
            text += ".\n";
            stream.get_mut().write_all(text.as_bytes()).unwrap();
            // `0 Go ahead...` to BATCH, `0 errors` to the point.
            for _ in 0..2 {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                assert!(line.starts_with("0 "), "{line}");
            }
        }
    }
    begun.elapsed()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let site = Site::from_environment();
    let took = match args[..] {
        ["remote-write", url] => remote_writes(site, url, None),
        ["remote-write", url, token] => remote_writes(site, url, Some(token)),
        ["agent", url, token] => agents(site, url, token, 1),
        ["agent", url, token, frames] => agents(site, url, token, frames.parse().unwrap()),
        ["rrdcached", socket, folder] => rrdcached(site, socket, folder),
        _ => panic!(
            "store_load remote-write URL [TOKEN] | agent URL TOKEN [FRAMES] | rrdcached SOCKET FOLDER"
        ),
    };
    let samples = site.hosts * SERIES_OF_HOST * site.steps;
    println!("{samples} {:.3}", took.as_secs_f64());
}
