//! What a reading of this machine costs, part by part: `cargo bench -p noroshi-agent`.

#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::unwrap_used, reason = "a bench stops at what it did not expect")]

use noroshi_agent::sources::{Reader, Roots};
use noroshi_model::Timestamp;
use noroshi_model::frame::{self, Frame, HostIdentity};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;

/// How often each part is done.
const TIMES: u32 = 300;

fn main() {
    let now = Timestamp::from_secs(1_700_000_000);
    let mut reader = Reader::new(Roots::default());
    reader.read(now);
    let batch = reader.read(now);
    let samples = batch.samples.len();
    let host = HostIdentity { name: "web1".to_owned(), ..HostIdentity::default() };
    let frame = Frame { host, run: 1, sequence: 1, batch, results: Vec::new() };
    let encoded = frame::encode(&frame);
    let packed = zstd::bulk::compress(&encoded, 3).unwrap();

    println!("{samples} samples; CPU time, mean of {TIMES}");
    println!("  encoded      {:>8} bytes", encoded.len());
    println!("  compressed   {:>8} bytes", packed.len());
    row("read", samples, || reader.read(now));
    row("encode", samples, || frame::encode(&frame));
    row("compress", samples, || zstd::bulk::compress(&encoded, 3).unwrap());
    row("decompress", samples, || zstd::bulk::decompress(&packed, encoded.len()).unwrap());
    row("decode", samples, || frame::decode_all(&encoded).unwrap());

    println!("each source, by the clock, the slowest first:");
    let batch = reader.read(now);
    let mut sources: Vec<_> = batch
        .samples
        .iter()
        .filter(|sample| sample.labels.name() == "node_scrape_collector_duration_seconds")
        .map(|sample| (sample.value * 1e6, sample.labels.get("collector").unwrap_or("")))
        .collect();
    sources.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (micros, name) in sources {
        println!("  {name:<12} {micros:>8.1} us");
    }
}

fn row<T>(name: &str, samples: usize, mut work: impl FnMut() -> T) {
    let begin = cpu_nanos();
    for _ in 0..TIMES {
        black_box(work());
    }
    let each = (cpu_nanos() - begin) / f64::from(TIMES);
    println!("  {name:<12} {:>8.1} us {:>8.0} ns a sample", each / 1e3, each / samples as f64);
}

/// Returns the CPU time of this thread: others on the machine do not count.
///
/// What threads of file systems that are asked take is not in it.
fn cpu_nanos() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
