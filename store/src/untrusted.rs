//! The readers of bytes that may be anything, for the fuzzer (`fuzz/`) and for the test below. None
//! may panic, read beyond its input, or take more memory than a multiple of the input.
#![cfg_attr(
    not(feature = "fuzzing"),
    allow(unreachable_pub, reason = "the fuzzer is another crate")
)]
#![allow(clippy::panic, reason = "what it checks")]

use crate::block::{FIXED_BYTES, decode_block};
use crate::checkpoint::read_head;
use crate::codec::Reader;
use crate::entry::read_entry;
use crate::segment::{frame, read_entries};
use crate::series_log::unpack_group;
use crate::{export, rrd as dumps};

/// A block whose checksum is right: `input` is what stands behind it.
pub fn block(input: &[u8]) {
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(b"NB");
    bytes.extend_from_slice(input.get(..2).unwrap_or(&[1, 0]));
    let length = (8 + input.len().max(FIXED_BYTES - 8) + 4) as u32;
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(input.get(2..).unwrap_or_default());
    bytes.resize(length as usize, 0);
    let checksum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&checksum.to_le_bytes());
    let Some(block) = decode_block(bytes) else { return };
    let (mut points, mut rows) = (Vec::new(), Vec::new());
    let found = (block.samples(&mut points), block.rows(60_000, &mut rows));
    // Up to 64 in a chunk, and each chunk has a byte at least.
    let most = 64 * (input.len() + FIXED_BYTES);
    assert!(points.len() <= most && rows.len() <= most, "{found:?}");
}

/// A segment of the journal, and its content as an entry of each kind.
pub fn journal(input: &[u8]) {
    let entry = |bytes: &[u8]| {
        drop(read_entry(bytes));
        drop(bytes.split_first().map(|(_, group)| unpack_group(group)));
    };
    read_entries(input, entry);
    let mut framed = vec![0; 32];
    frame(&mut framed, |out| out.extend_from_slice(input));
    let report = read_entries(&framed, entry);
    assert_eq!(report.entries, u64::from(!input.is_empty()), "what was framed is read");
}

/// Heads of a checkpoint.
pub fn checkpoint(input: &[u8]) {
    let mut reader = Reader::new(input);
    while !reader.is_empty() && read_head(&mut reader).is_some() {}
}

/// A dump of `rrdtool`.
pub fn rrd(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for (step, rows) in dumps::parse(text).into_iter().flatten().flat_map(|s| s.archives) {
        assert!(rows.iter().all(|row| row.at > 0 && row.at % step == 0));
    }
}

/// A line of an export.
pub fn export_line(input: &[u8]) {
    if let Some(count) = export::read_line(input) {
        assert!(count <= input.len(), "a moment takes a byte at least");
    }
}

#[cfg(test)]
mod tests {
    use noroshi_model::{Labels, RecordBatch, Space};

    use super::*;
    use crate::block::{BlockHeader, BlockKind, Mark, Place, encode_block, rows_payload};
    use crate::checkpoint::put_head;
    use crate::codec::{Point, Row, SamplesState, encode_samples};
    use crate::entry::{SamplesWriter, SourceFacts, put_records, put_series};
    use crate::head::Head;

    type TryReader = fn(&[u8]);

    /// Good inputs of every reader, by reader.
    fn good() -> Vec<(TryReader, Vec<u8>)> {
        let mut payload = Vec::new();
        let at = |i: i64| 1_790_000_000_000 + i * 10_000 + i % 7;
        let points: Vec<Point> =
            (0..64).map(|i| Point { at: at(i), value: (i * i % 31) as f64 / 8.0 }).collect();
        encode_samples(&mut payload, &points, &mut SamplesState::new(points[0].at));
        let header = |kind| BlockHeader {
            kind,
            has_increase: true,
            series: 5,
            extent: 3,
            previous: Place::NOWHERE,
            first_at: points[0].at,
            last_at: points[63].at,
            reach: i64::MIN,
            count: 64,
            marks: vec![Mark { at: points[9].at, started_at: 7 }],
        };
        let samples = encode_block(&header(BlockKind::Samples), &payload);
        let row = |i: i64| Row {
            at: 1_790_000_040_000 + i * 60_000,
            min: 0.5,
            max: i as f64,
            sum: 6.0 * i as f64,
            last: 0.1 * i as f64,
            count: 6,
            increase: 3.0,
        };
        let rows: Vec<Row> = (1..60).map(row).collect();
        let rows = encode_block(&header(BlockKind::Rows), &rows_payload(&rows, 60_000, true));
        let mut journal_bytes = vec![0; 32];
        frame(&mut journal_bytes, |out| {
            let facts = SourceFacts { started_at: Some(7), interval: Some(10_000) };
            let mut writer = SamplesWriter::new(out, facts);
            for point in &points {
                writer.put(3, point.at, point.value);
            }
        });
        let mut records = RecordBatch::new();
        records.put(Space::States, "key", "value");
        frame(&mut journal_bytes, |out| put_records(out, &records));
        let labels = Labels::new([("__name__", "x"), ("instance", "web1")]);
        frame(&mut journal_bytes, |out| put_series(out, 9, labels.as_packed()));
        let mut head = Head::new(0, 3, None);
        for point in &points {
            head.put(point.at, point.value);
        }
        let mut heads = Vec::new();
        put_head(&mut heads, 5, &head);
        let dump = include_bytes!("../tests/rrdtool-dump.xml").to_vec();
        let line = br#"{"labels":{"a":"b"},"step":60000,"at":[60000],"min":[1],"max":[2],
            "sum":[3],"last":[null],"count":[2],"increase":["NaN"]}"#;
        // Of a block the harness makes the first part itself.
        let inner = |block: Vec<u8>| [&block[6..8], &block[12..]].concat();
        vec![
            (block, inner(samples)),
            (block, inner(rows)),
            (journal, journal_bytes),
            (checkpoint, heads),
            (rrd, dump),
            (export_line, line.to_vec()),
        ]
    }

    /// Bytes to try; the same in each run.
    fn next(state: &mut u64) -> usize {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (*state >> 33) as usize
    }

    #[test]
    fn damaged_bytes_never_panic_a_reader() {
        let mut state = 1;
        for (reader, bytes) in good() {
            reader(&bytes);
            for round in 0..400 {
                let mut damaged = bytes.clone();
                for _ in 0..=round % 5 {
                    let at = next(&mut state) % damaged.len();
                    match next(&mut state) % 4 {
                        0 => damaged[at] = next(&mut state) as u8,
                        1 => damaged[at] ^= 1 << (next(&mut state) % 8),
                        2 => damaged.truncate(at.max(1)),
                        _ => damaged[at] = [0, 0x7f, 0x80, 0xff][next(&mut state) % 4],
                    }
                }
                reader(&damaged);
            }
            for length in [0, 1, 7, 40, 300] {
                for _ in 0..100 {
                    let noise: Vec<u8> = (0..length).map(|_| next(&mut state) as u8).collect();
                    reader(&noise);
                }
            }
        }
    }
}
