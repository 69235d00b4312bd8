//! Messages of both versions, well-formed and damaged.

use super::*;
use messages::v1::{Label, MetricMetadata, Unread, WriteRequest};
use noroshi_model::{UNKNOWN, is_unknown};
use proptest::prelude::*;

const FIRST: &str = "application/x-protobuf";
const SECOND: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn packed(message: &impl Message) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&message.encode_to_vec()).unwrap()
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

fn request() -> WriteRequest {
    let samples = vec![
        v1::Sample { value: 1.5, timestamp: 1000 },
        v1::Sample { value: UNKNOWN, timestamp: 2000 },
    ];
    let series = v1::TimeSeries {
        labels: vec![label("__name__", "up"), label("job", "x")],
        samples,
        exemplars: vec![Unread {}],
        histograms: Vec::new(),
    };
    let meta = MetricMetadata {
        r#type: 1,
        metric_family_name: "a_total".to_owned(),
        help: "A.".to_owned(),
        unit: String::new(),
    };
    WriteRequest { timeseries: vec![series], metadata: vec![meta] }
}

#[test]
fn version_1_is_read_with_its_staleness_markers() {
    let decoded = decode(FIRST, &packed(&request())).unwrap();
    let samples = &decoded.batch.samples;
    assert_eq!(samples[0].labels.to_string(), r#"up{job="x"}"#);
    assert_eq!((samples[0].at, samples[0].value), (Timestamp::from_secs(1), 1.5));
    assert!(is_unknown(samples[1].value));
    assert_eq!(decoded.batch.metas[0].kind, Kind::Counter(Width::Float));
    assert_eq!((decoded.exemplars_left_out, decoded.histograms_left_out), (1, 0));
}

#[test]
fn the_bytes_of_a_message_are_those_of_the_specification() {
    // WriteRequest{timeseries: [{labels: [{"__name__", "a"}], samples: [{1.0, 5}]}]}, written by
    // hand: tag 1 length 28, in it tag 1 length 13 (name 10, value 1) and tag 2 length 11.
    let mut plain = b"\x0a\x1c\x0a\x0d\x0a\x08__name__\x12\x01a\x12\x0b\x09".to_vec();
    plain.extend(1.0_f64.to_le_bytes());
    plain.extend([0x10, 5]);
    let body = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    let decoded = decode(FIRST, &body).unwrap();
    let sample = &decoded.batch.samples[0];
    assert_eq!((sample.labels.to_string().as_str(), sample.value), ("a", 1.0));
    assert_eq!(sample.at, Timestamp::from_millis(5));
}

fn second_request() -> v2::Request {
    let symbols = ["", "__name__", "a_seconds", "job", "x", "Help.", "seconds"];
    let series = v2::TimeSeries {
        labels_refs: vec![1, 2, 3, 4],
        samples: vec![v1::Sample { value: 3.0, timestamp: 7 }],
        histograms: vec![Unread {}],
        exemplars: Vec::new(),
        metadata: Some(v2::Metadata { r#type: 2, help_ref: 5, unit_ref: 6 }),
    };
    v2::Request { symbols: symbols.map(str::to_owned).into(), timeseries: vec![series] }
}

#[test]
fn version_2_is_read_through_its_symbols() {
    let decoded = decode(SECOND, &packed(&second_request())).unwrap();
    assert_eq!(decoded.batch.samples[0].labels.to_string(), r#"a_seconds{job="x"}"#);
    let meta = &decoded.batch.metas[0];
    let said = (meta.name.as_str(), meta.kind, meta.unit.as_str(), meta.help.as_str());
    assert_eq!(said, ("a_seconds", Kind::Gauge, "seconds", "Help."));
    assert_eq!(decoded.histograms_left_out, 1);

    let mut lost = second_request();
    lost.timeseries[0].labels_refs = vec![1, 99];
    let error = decode(SECOND, &packed(&lost)).unwrap_err().to_string();
    assert!(error.contains("a symbol that is not there"), "{error}");
    lost.timeseries[0].labels_refs = vec![1];
    assert!(decode(SECOND, &packed(&lost)).is_err());
}

#[test]
fn what_is_no_remote_write_is_refused_with_the_reason() {
    let kind = |content_type, body: &[u8]| decode(content_type, body).unwrap_err();
    assert!(matches!(kind("text/plain", b""), RemoteWriteError::ContentType { .. }));
    let other = "application/x-protobuf;proto=a.B";
    assert!(matches!(kind(other, b""), RemoteWriteError::ContentType { .. }));
    assert!(matches!(kind(FIRST, b"\xff\xff"), RemoteWriteError::Compression(_)));
    let garbage = snap::raw::Encoder::new().compress_vec(b"\xff\xff\xff").unwrap();
    assert!(matches!(kind(FIRST, &garbage), RemoteWriteError::Message(_)));
    // A head that promises 4 GiB less one byte.
    assert!(matches!(kind(FIRST, b"\xff\xff\xff\xff\x0f"), RemoteWriteError::TooLarge { .. }));
    let big = vec![0; BODY_BYTES_MAX + 1];
    assert!(matches!(kind(FIRST, &big), RemoteWriteError::TooLarge { .. }));

    let mut nameless = request();
    nameless.timeseries[0].labels.remove(0);
    assert!(matches!(
        kind(FIRST, &packed(&nameless)),
        RemoteWriteError::Series { what: "no name" }
    ));
    let mut twice = request();
    twice.timeseries[0].labels.push(label("job", "y"));
    assert!(matches!(kind(FIRST, &packed(&twice)), RemoteWriteError::Series { .. }));
}

proptest! {
    #[test]
    fn damaged_messages_never_panic(at in 0..200_usize, byte in any::<u8>(), is_second in any::<bool>()) {
        let plain = if is_second { second_request().encode_to_vec() } else { request().encode_to_vec() };
        let mut plain = plain;
        let at = at % plain.len();
        plain[at] = byte;
        let body = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
        let kind = if is_second { SECOND } else { FIRST };
        if let Ok(decoded) = decode(kind, &body) {
            prop_assert!(decoded.batch.samples.len() <= 2);
        }
    }
}
