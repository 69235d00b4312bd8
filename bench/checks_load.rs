//! The loads of `bench/checks.sh`: how fast programs start at all, and how fast a server answers.
//!
//! `checks_load spawn IN_FLIGHT SECONDS PROGRAM [ARGUMENT...]` starts a program again and again,
//! reads its output, and prints runs a second and for each the milliseconds of its own CPU, and of
//! its own and the program's together.
//! `checks_load get IN_FLIGHT SECONDS HOST:PORT PATH` asks over connections that stay open and
//! prints the answers with 200 a second, and how many had `probe_success 1` in them.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may panic")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let in_flight: usize = arguments[1].parse().unwrap();
    let span = Duration::from_secs(arguments[2].parse().unwrap());
    let rest = arguments[3..].to_vec();
    let (done, good) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let is_spawn = arguments[0] == "spawn";
    let begun = Instant::now();
    let threads: Vec<_> = (0..in_flight)
        .map(|_| {
            let (rest, done, good) = (rest.clone(), Arc::clone(&done), Arc::clone(&good));
            std::thread::spawn(move || {
                if is_spawn {
                    spawn(&rest, begun + span, &done);
                } else {
                    get(&rest, begun + span, &done, &good);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let done = done.load(Ordering::Relaxed) as f64;
    let per_second = done / begun.elapsed().as_secs_f64();
    if is_spawn {
        // A tick is 10 ms on Linux.
        let [own, children] = ticks().map(|ticks| ticks * 10.0 / done);
        println!("{per_second:.0} {own:.3} {:.3}", own + children);
    } else {
        println!("{per_second:.0} {}", good.load(Ordering::Relaxed) as f64 / done);
    }
}

/// Returns the ticks of CPU that this process has used, and those of its children that have ended.
fn ticks() -> [f64; 2] {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // proc_pid_stat(5): utime, stime, cutime and cstime are the 14th to 17th field.
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11);
    let ticks: Vec<f64> = fields.take(4).map(|field| field.parse().unwrap()).collect();
    [ticks[0] + ticks[1], ticks[2] + ticks[3]]
}

fn spawn(argv: &[String], until: Instant, done: &AtomicU64) {
    while Instant::now() < until {
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).stdin(Stdio::null());
        command.output().unwrap();
        done.fetch_add(1, Ordering::Relaxed);
    }
}

fn get(target: &[String], until: Instant, done: &AtomicU64, good: &AtomicU64) {
    let mut stream = TcpStream::connect(&target[0]).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", target[1], target[0]);
    let mut buffer = vec![0; 64 * 1024];
    while Instant::now() < until {
        stream.write_all(request.as_bytes()).unwrap();
        let mut read = 0;
        while !is_whole(&buffer[..read]) {
            read += stream.read(&mut buffer[read..]).unwrap();
        }
        let answer = String::from_utf8_lossy(&buffer[..read]);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        done.fetch_add(1, Ordering::Relaxed);
        good.fetch_add(u64::from(answer.contains("probe_success 1")), Ordering::Relaxed);
    }
}

/// Tells whether an answer has come to its end, by its length or its last chunk.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    match length.and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None => body.ends_with("0\r\n\r\n"),
    }
}
