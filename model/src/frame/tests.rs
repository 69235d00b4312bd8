use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::UNKNOWN;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().copied())
}

fn sample(pairs: &[(&str, &str)], at: i64, value: f64) -> Sample {
    Sample { labels: labels(pairs), at: Timestamp::from_millis(at), value }
}

/// The frame whose bytes of version 1 are kept below; no part of it may change.
fn frame_of_version_1() -> Frame {
    let load = [("__name__", "node_load1")];
    let idle = [("__name__", "node_cpu_seconds_total"), ("cpu", "0"), ("mode", "idle")];
    Frame {
        results: Vec::new(),
        host: HostIdentity {
            name: "web1".into(),
            machine_id: "m1".into(),
            boot_id: "b1".into(),
            os: "Debian".into(),
            kernel: "6.1".into(),
            agent_version: "0.1.0".into(),
            address: Some("192.0.2.7".into()),
        },
        run: 300,
        sequence: 2,
        batch: Batch {
            samples: vec![
                sample(&load, 10_000, 0.5),
                sample(&idle, 10_000, -3.0),
                sample(&load, 20_000, UNKNOWN),
            ],
            metas: vec![MetricMeta {
                name: "node_load1".into(),
                kind: Kind::Gauge,
                unit: String::new(),
                help: "Load.".into(),
            }],
            started_at: Some(Timestamp::from_millis(-1)),
            interval: Some(Duration::from_secs(10)),
        },
    }
}

/// `frame_of_version_1` as PROTOCOL.md draws it, written by hand; read for ever.
const BYTES_OF_VERSION_1: &[&[u8]] = &[
    b"NRSF\x01",
    b"\xa7\0\0\0", // 167 bytes follow: 45 + 20 + 60 + 11 + 31
    b"\x04web1\x02m1\x02b1\x06Debian\x03\x36.1\x050.1.0\x09192.0.2.7", // the host: 38
    b"\xac\x02\x02", // run 300, sequence 2
    b"\x01\x01",   // boot: -1
    b"\x90\x4e",   // 10,000 ms
    b"\x01\x0anode_load1\x01\0\x05Load.", // one meta: a gauge
    b"\x07\x08__name__\x0anode_load1\x16node_cpu_seconds_total\x03cpu\x010\x04mode\x04idle",
    b"\x02\x01\0\x01\x03\0\x02\x03\x04\x05\x06", // two series
    b"\x02",                                     // two runs
    b"\xa0\x9c\x01\x02\0\0",                     // at 10,000: series 0 and 1
    b"\x01\0\0\0\0\0\0\xe0\x3f\x0a",             // 0.5; -3 as 5, twice
    b"\xa0\x9c\x01\x01\0",                       // at 20,000: series 0
    b"\x01\x02\0\0\0\0\0\xf0\x7f",               // unknown
];

fn bits(frame: &Frame) -> (Vec<(Labels, i64, u64)>, Frame) {
    let rows =
        |sample: &Sample| (sample.labels.clone(), sample.at.as_millis(), sample.value.to_bits());
    let samples = frame.batch.samples.iter().map(rows).collect();
    let mut rest = frame.clone();
    rest.batch.samples.clear();
    (samples, rest)
}

#[test]
fn a_frame_of_version_1_is_read_and_written_byte_for_byte() {
    let mut bytes = BYTES_OF_VERSION_1.concat();
    // The length is counted, so that a slip of the hand in the comment above is seen as one.
    assert_eq!(u32::from_le_bytes(bytes[5..9].try_into().unwrap()) as usize, bytes.len() - 9);
    assert_eq!(bits(&decode_all(&bytes).unwrap()[0]), bits(&frame_of_version_1()));
    assert_eq!(encode(&frame_of_version_1()), bytes);
    bytes.extend(bytes.clone());
    assert_eq!(decode_all(&bytes).unwrap().len(), 2);
}

/// What follows the samples in version 2, as PROTOCOL.md draws it.
const RESULTS_OF_VERSION_2: &[&[u8]] = &[
    b"\x01",            // one result
    b"\x04raid",        // its name
    b"\xa0\x9c\x01",    // at 10,000
    b"\xdc\x0b",        // 1500 ms
    b"\x02",            // critical
    b"\x0bdegraded|a=", // 11 bytes of output
];

fn frame_of_version_2() -> Frame {
    let raid = PluginResult {
        name: "raid".to_owned(),
        at: Timestamp::from_millis(10_000),
        run_time: Duration::from_millis(1500),
        status: crate::Status::Critical,
        output: "degraded|a=".to_owned(),
    };
    Frame { results: vec![raid], ..frame_of_version_1() }
}

#[test]
fn a_frame_with_results_is_of_version_2_and_ends_with_them() {
    let mut bytes = BYTES_OF_VERSION_1.concat();
    bytes[4] = 2;
    bytes.extend(RESULTS_OF_VERSION_2.concat());
    let length = (bytes.len() - 9) as u32;
    bytes[5..9].copy_from_slice(&length.to_le_bytes());
    assert_eq!(encode(&frame_of_version_2()), bytes);
    let read = decode_all(&bytes).unwrap().remove(0);
    assert_eq!(read.results, frame_of_version_2().results);
    assert_eq!(bits(&read), bits(&frame_of_version_2()));
}

#[test]
fn damage_in_results_is_named_and_long_output_is_cut() {
    let error_with = |part: usize, bytes: &[u8]| {
        let mut parts = RESULTS_OF_VERSION_2.to_vec();
        parts[part] = bytes;
        result::decode(&mut Reader::new(&parts.concat())).unwrap_err()
    };
    let malformed = |part| FrameError::Malformed { part };
    assert_eq!(error_with(1, b"\0"), malformed("plug-in name"));
    assert_eq!(error_with(1, b"\x02a\n"), malformed("plug-in name"));
    assert_eq!(error_with(4, b"\x04"), malformed("status"));
    assert_eq!(error_with(5, b"\x01\xff"), malformed("output"));
    assert_eq!(error_with(5, b"\x05abc"), FrameError::Truncated { part: "output" });
    let too_long = FrameError::TooLarge { part: "bytes of output", found: 65_537, max: 65_536 };
    assert_eq!(error_with(5, b"\x81\x80\x04"), too_long);
    assert!(matches!(error_with(0, b"\xff\xff\x03"), FrameError::Truncated { .. }));

    let mut long = frame_of_version_2();
    long.results[0].output = "é".repeat(40_000);
    let read = decode_all(&encode(&long)).unwrap().remove(0);
    assert_eq!(read.results[0].output, "é".repeat(32_768));
}

#[test]
fn a_body_has_a_head_with_the_time_of_sending() {
    let body = encode_body(Timestamp::from_millis(258), b"zz");
    assert_eq!(body, b"NRSB\x01\x02\x01\0\0\0\0\0\0zz");
    let expected = Body { sent_at: Timestamp::from_millis(258), compressed: b"zz" };
    assert_eq!(decode_body(&body), Ok(expected));
    assert_eq!(decode_body(b"NRS"), Err(FrameError::Truncated { part: "magic" }));
    assert_eq!(decode_body(b"GET / HTTP/1.1"), Err(FrameError::Magic));
    assert_eq!(
        decode_body(b"NRSB\x09\0\0\0\0\0\0\0\0"),
        Err(FrameError::Version { found: 9, newest: 1 })
    );
}

/// Replaces one part of the frame of version 1 and tells how reading fails.
fn error_with(part: usize, bytes: &[u8]) -> FrameError {
    let mut parts = BYTES_OF_VERSION_1.to_vec();
    parts[part] = bytes;
    let length = (parts[2..].concat().len() as u32).to_le_bytes();
    if part > 1 {
        parts[1] = &length;
    }
    decode_all(&parts.concat()).unwrap_err()
}

#[test]
fn damage_is_named_and_takes_no_memory() {
    let malformed = |part| FrameError::Malformed { part };
    assert_eq!(error_with(0, b"NRSF\x03"), FrameError::Version { found: 3, newest: VERSION });
    assert_eq!(error_with(0, b"NRSF\0"), malformed("version"));
    assert_eq!(error_with(0, b"XRSF\x01"), FrameError::Magic);
    let found = u64::from(u32::MAX);
    let max = FRAME_BYTES_MAX as u64;
    let huge = FrameError::TooLarge { part: "bytes", found, max };
    assert_eq!(error_with(1, b"\xff\xff\xff\xff"), huge);
    assert_eq!(error_with(4, b"\x02\x01"), malformed("boot time"));
    // Seventy million million metas, series and samples.
    let huge = b"\xff\xff\xff\xff\xff\xff\x0f";
    assert_eq!(error_with(6, huge), FrameError::Truncated { part: "metrics" });
    assert_eq!(error_with(8, huge), FrameError::Truncated { part: "series" });
    assert_eq!(error_with(9, huge), FrameError::Truncated { part: "runs" });
    // Labels that are out of order, that are not in the dictionary, and a text with NUL.
    assert_eq!(error_with(8, b"\x02\x01\0\x01\x03\x03\x04\0\x02\x05\x06"), malformed("label"));
    assert_eq!(error_with(8, b"\x01\x01\0\x07"), malformed("label"));
    assert_eq!(error_with(7, b"\x01\x01\0"), malformed("text"));
    // A series that does not exist; a value that is neither whole nor raw; a byte too many.
    assert_eq!(error_with(10, b"\xa0\x9c\x01\x02\0\x08"), malformed("series"));
    assert_eq!(error_with(11, b"\x01\0\0\0\0\0\0\xe0\x3f\x03"), malformed("value"));
    assert_eq!(error_with(13, b"\x01\x02\0\0\0\0\0\xf0\x7f\0"), malformed("end"));
}

#[test]
fn few_bytes_cannot_ask_for_much_memory_by_long_labels() {
    // One text of 4,096 bytes, and 20,000 series that each hold it twice in 3 bytes: 160 MB.
    let mut out = bytes::Writer::default();
    encode_identity(&mut out, &frame_of_version_1());
    out.varint(0);
    out.varint(1);
    out.text(&"x".repeat(TEXT_BYTES_MAX));
    out.varint(20_000);
    out.bytes.extend([1, 0, 0].repeat(20_000));
    out.varint(0);
    let mut bytes = b"NRSF\x01".to_vec();
    bytes.extend((out.bytes.len() as u32).to_le_bytes());
    bytes.extend(out.bytes);
    let error = decode_all(&bytes).unwrap_err();
    assert!(matches!(error, FrameError::TooLarge { part: "bytes of labels", .. }), "{error}");
}

#[test]
fn a_text_too_long_is_cut_at_a_character() {
    let mut frame = frame_of_version_1();
    // Two bytes each: 4,097 bytes with the `x`, so that the bound lies within a character.
    frame.host.os = format!("x{}", "é".repeat(2048));
    let read = decode_all(&encode(&frame)).unwrap().remove(0);
    assert_eq!(read.host.os.len(), 4095);
}

fn any_value() -> impl Strategy<Value = f64> {
    let whole = any::<i64>().prop_map(|number| number as f64);
    let small = (-1000_i64..1000).prop_map(|number| number as f64);
    let special = prop::sample::select(vec![0.0, -0.0, UNKNOWN, f64::INFINITY, f64::NAN, 2e53]);
    let raw = any::<u64>().prop_map(f64::from_bits);
    prop_oneof![whole, small, special, raw]
}

prop_compose! {
    fn any_frame()(
        rows in prop::collection::vec((0_u8..9, any::<i64>(), any_value(), any::<bool>()), 0..60),
        run in any::<u64>(),
        sequence in any::<u64>(),
        started_at in prop::option::of(any::<i64>()),
        interval in 0_u64..100_000,
        kind in 0..KINDS.len(),
    ) -> Frame {
        let mut frame = frame_of_version_1();
        let mut at_before = 0;
        frame.batch.samples.clear();
        for (series, at, value, is_new_run) in rows {
            let at = if is_new_run { at } else { at_before };
            at_before = at;
            let name = format!("series_{series}");
            let device = "sda".repeat(usize::from(series));
            let pairs = [("__name__", name.as_str()), ("device", device.as_str())];
            frame.batch.samples.push(sample(&pairs, at, value));
        }
        frame.batch.metas[0].kind = KINDS[kind];
        frame.batch.started_at = started_at.map(Timestamp::from_millis);
        frame.batch.interval = (interval > 0).then(|| Duration::from_millis(interval));
        Frame { run, sequence, ..frame }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(frame in any_frame()) {
        let bytes = encode(&frame);
        prop_assert_eq!(bits(&decode_all(&bytes).unwrap()[0]), bits(&frame));
    }

    #[test]
    fn damaged_frames_never_panic(
        frame in any_frame(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&frame);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        // What is still a frame can be written again.
        for frame in decode_all(&bytes).unwrap_or_default() {
            encode(&frame);
        }
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(bytes.is_empty() || decode_all(&bytes).is_err());
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = b"NRSF\x01".to_vec();
        bytes.extend((noise.len() as u32).to_le_bytes());
        bytes.extend(noise);
        if let Ok(frames) = decode_all(&bytes) {
            prop_assert_eq!(frames.len(), 1);
        }
    }
}

#[test]
fn a_frame_with_the_series_of_the_last_one_shares_their_labels() {
    let own = [("instance", "web1"), ("job", "node")];
    let bytes = encode(&frame_of_version_1());
    let (first, table) = open(&bytes).unwrap().0.read(None, &own).unwrap();
    assert_eq!(table.len(), 2);
    let shown: Vec<String> = first.batch.samples.iter().map(|s| s.labels.to_string()).collect();
    assert_eq!(shown[0], r#"node_load1{instance="web1",job="node"}"#);
    let (second, same) = open(&bytes).unwrap().0.read(Some(Arc::clone(&table)), &own).unwrap();
    assert_eq!(bits(&second), bits(&first));
    assert!(Arc::ptr_eq(&table, &same));

    // One series more: the table of the last frame is of no use, and does no harm.
    let mut more = frame_of_version_1();
    more.batch.samples.push(sample(&[("__name__", "up")], 20_000, 1.0));
    let bytes = encode(&more);
    let (read, other) = open(&bytes).unwrap().0.read(Some(table), &own).unwrap();
    assert_eq!((read.batch.samples.len(), other.len()), (4, 3));
    let (plain, _) = open(&bytes).unwrap().0.read(None, &own).unwrap();
    assert_eq!(bits(&read), bits(&plain));
}
