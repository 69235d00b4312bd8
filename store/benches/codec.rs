//! The codec alone: nanoseconds and bytes a sample of each kind of column, and a row of archives.
//! `cargo bench -p noroshi-store --bench codec`.
//!
//! Blocks of 512 samples in chunks of 64, as heads pack them; the best of twenty rounds.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints and may fail")]

#[allow(dead_code, unused_imports, reason = "the store's own file; the bench uses a part")]
#[path = "../src/codec/mod.rs"]
mod codec;

use std::hint::black_box;
use std::time::{Duration, Instant};

use codec::{
    CHUNK_SAMPLES, Point, Reader, Row, RowsState, SamplesState, decode_rows, decode_samples,
    encode_rows, encode_samples,
};
use noroshi_model::UNKNOWN;

const START: i64 = 1_790_000_000_000;
const STEP: i64 = 10_000;
const BLOCK: usize = 512;
const BLOCKS: usize = 200;
const ROUNDS: usize = 20;

/// A generator that depends on nothing else (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Returns the shortest time of a round.
fn best(mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap()
}

fn line(what: &str, count: usize, bytes: usize, encode: Duration, decode: Duration) {
    let each = |took: Duration| took.as_nanos() as f64 / count as f64;
    let size = bytes as f64 / count as f64;
    println!("| {what:34} | {:6.1} | {:6.1} | {size:6.2} |", each(encode), each(decode));
}

/// Measures a column made by `value`, which gets the sample's number; `waver` moves the times.
fn samples(what: &str, waver: f64, mut value: impl FnMut(usize, f64) -> f64) {
    let mut random = Random(42);
    let point = |index: usize| {
        let at = START + index as i64 * STEP + (random.next() * waver) as i64;
        Point { at, value: value(index, random.next()) }
    };
    let points: Vec<Point> = (0..BLOCK * BLOCKS).map(point).collect();
    let pack = |block: &[Point]| {
        let mut out = Vec::with_capacity(16 * BLOCK);
        let mut state = SamplesState::new(block[0].at);
        for chunk in block.chunks(CHUNK_SAMPLES) {
            encode_samples(&mut out, chunk, &mut state);
        }
        out
    };
    let packed: Vec<Vec<u8>> = points.chunks(BLOCK).map(pack).collect();
    let encode = best(|| {
        for block in points.chunks(BLOCK) {
            black_box(pack(block));
        }
    });
    let mut out: Vec<Point> = Vec::with_capacity(BLOCK);
    let decode = best(|| {
        for (block, payload) in points.chunks(BLOCK).zip(&packed) {
            out.clear();
            let mut state = SamplesState::new(block[0].at);
            decode_samples(&mut Reader::new(payload), &mut out, &mut state).unwrap();
            black_box(&out);
        }
    });
    line(what, points.len(), packed.iter().map(Vec::len).sum(), encode, decode);
}

/// Measures rows of a minute made of six samples each.
fn rows(what: &str, has_increase: bool, mut value: impl FnMut(usize, f64) -> f64) {
    const MINUTE: i64 = 60_000;
    let mut random = Random(7);
    let mut before = 0.0;
    let row = |index: usize| {
        let six: Vec<f64> = (0..6).map(|i| value(6 * index + i, random.next())).collect();
        let row = Row {
            at: START + (index as i64 + 1) * MINUTE,
            min: six.iter().copied().fold(f64::INFINITY, f64::min),
            max: six.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            sum: six.iter().sum(),
            last: six[5],
            count: 6,
            increase: if has_increase { six[5] - before } else { 0.0 },
        };
        before = six[5];
        row
    };
    let rows: Vec<Row> = (0..CHUNK_SAMPLES * 800).map(row).collect();
    let pack = |chunk: &[Row]| {
        let mut out = Vec::with_capacity(48 * CHUNK_SAMPLES);
        encode_rows(&mut out, chunk, &mut RowsState::new(MINUTE, chunk[0].at, has_increase));
        out
    };
    let packed: Vec<Vec<u8>> = rows.chunks(CHUNK_SAMPLES).map(pack).collect();
    let encode = best(|| {
        for chunk in rows.chunks(CHUNK_SAMPLES) {
            black_box(pack(chunk));
        }
    });
    let mut out: Vec<Row> = Vec::with_capacity(CHUNK_SAMPLES);
    let decode = best(|| {
        for (chunk, payload) in rows.chunks(CHUNK_SAMPLES).zip(&packed) {
            out.clear();
            let mut state = RowsState::new(MINUTE, chunk[0].at, has_increase);
            decode_rows(&mut Reader::new(payload), &mut out, &mut state).unwrap();
            black_box(&out);
        }
    });
    line(what, rows.len(), packed.iter().map(Vec::len).sum(), encode, decode);
}

fn main() {
    println!("| column | encode ns | decode ns | bytes |\n|---|---|---|---|");
    samples("constant", 0.0, |_, _| 17.0);
    samples("nearly constant whole number", 0.0, |index, _| (index / 50) as f64);
    let mut counted = 0.0;
    samples("counter, small steps", 0.0, |_, random| {
        counted += (random * 30.0).floor();
        counted
    });
    let mut counted = 0.0;
    samples("counter, large steps", 0.0, |_, random| {
        counted += (random * 1e6).floor();
        counted
    });
    let mut level: f64 = 50.0;
    let mut walk = move |_: usize, random: f64| {
        level = ((level + random * 4.0 - 2.0).abs() * 100.0).round() / 100.0;
        level
    };
    samples("gauge, two decimals", 0.0, &mut walk);
    samples("gauge, two decimals, times waver", 20.0, &mut walk);
    samples("gauge, a fifth unknown", 0.0, |index, random| {
        if index % 5 == 0 { UNKNOWN } else { (random * 1e4).floor() / 100.0 }
    });
    samples("any float", 0.0, |_, random| random);
    rows("row: gauge, two decimals", false, &mut walk);
    let mut counted = 0.0;
    rows("row: counter, small steps", true, |_, random| {
        counted += (random * 30.0).floor();
        counted
    });
    rows("row: any float", false, |_, random| random);
}
