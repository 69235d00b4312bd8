//! Messages of both versions, well-formed and damaged.

use super::*;
use messages::v1::{Label, MetricMetadata, Unread, WriteRequest};
use noroshi_model::{UNKNOWN, is_unknown};
use proptest::prelude::*;

const FIRST: &str = "application/x-protobuf";
const SECOND: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// Reads a body message by message, by a receiver that knows nothing, and by one that has seen it
/// before; all three must say the same.
fn decode(content_type: &str, body: &[u8]) -> Result<Decoded, RemoteWriteError> {
    let receiver = Receiver::default();
    let fresh = receiver.decode(content_type, body);
    let again = receiver.decode(content_type, body);
    // As text: NaN is not equal to itself.
    let shown = |outcome: &Result<Decoded, RemoteWriteError>| format!("{outcome:?}");
    assert_eq!(shown(&fresh), shown(&again));
    if let Ok(plain) = snap::raw::Decoder::new().decompress_vec(body)
        && let Ok(is_second) = is_second(content_type)
    {
        let by_messages = if is_second { second(&plain) } else { first(&plain) };
        assert_eq!(shown(&fresh), shown(&by_messages));
    }
    fresh
}

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

#[test]
fn usual_requests_are_read_without_the_messages_and_known_series_share_their_labels() {
    let known = Known::new();
    let first_time = walk::first(&request().encode_to_vec(), &known).unwrap();
    let second_time = walk::first(&request().encode_to_vec(), &known).unwrap();
    let text = |decoded: &Decoded| decoded.batch.samples[0].labels.as_packed().as_ptr();
    assert_eq!(text(&first_time), text(&second_time));
    let known = Known::new();
    let first_time = walk::second(&second_request().encode_to_vec(), &known).unwrap();
    let second_time = walk::second(&second_request().encode_to_vec(), &known).unwrap();
    assert_eq!(text(&first_time), text(&second_time));
}

#[test]
fn odd_but_legal_messages_are_read_by_the_messages() {
    let known = Known::new();
    // A sample before the labels.
    let series = b"\x12\x0b\x09\0\0\0\0\0\0\xf0\x3f\x10\x05\x0a\x0d\x0a\x08__name__\x12\x01a";
    let mut plain = vec![0x0a, series.len() as u8];
    plain.extend(series);
    assert!(walk::first(&plain, &known).is_none());
    let body = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(decode(FIRST, &body).unwrap().batch.samples[0].value, 1.0);
    // A field that is not known here.
    let mut plain = request().encode_to_vec();
    plain.extend(b"\x7a\x01x");
    assert!(walk::first(&plain, &known).is_none());
    let body = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(decode(FIRST, &body).unwrap().batch.samples.len(), 2);
    // NUL in a symbol must not make one series of two.
    let mut forged = second_request();
    forged.symbols[4] = "x\0y\0z".to_owned();
    let decoded = decode(SECOND, &packed(&forged)).unwrap();
    assert_eq!(decoded.batch.samples[0].labels.get("job"), Some("x\u{fffd}y\u{fffd}z"));
}

#[test]
fn the_sum_of_all_labels_has_a_bound() {
    let mut request = second_request();
    request.symbols[4] = "x".repeat(1 << 20);
    let series = request.timeseries[0].clone();
    request.timeseries = vec![series; LABEL_BYTES_MAX >> 20];
    let error = decode(SECOND, &packed(&request)).unwrap_err();
    assert!(matches!(error, RemoteWriteError::TooLarge { .. }), "{error}");
}

fn any_request() -> impl Strategy<Value = WriteRequest> {
    let text = prop::sample::select(vec!["", "__name__", "a", "b", "up", "x\0y", "\u{e9}"]);
    let label = (text.clone(), text).prop_map(|(name, value)| label(name, value));
    let sample = (prop::sample::select(vec![0.0, 1.5, -1.0]), prop::sample::select(vec![0, 5, -7]));
    let sample = sample.prop_map(|(value, timestamp)| v1::Sample { value, timestamp });
    let unread = || prop::collection::vec(Just(Unread {}), 0..2);
    let name = prop::sample::select(vec!["up", "down"]);
    let labels = (name, prop::collection::vec(label, 0..3));
    let series = (labels, prop::collection::vec(sample, 0..3), unread(), unread());
    let series = series.prop_map(|((name, mut labels), samples, exemplars, histograms)| {
        labels.insert(0, self::label("__name__", name));
        v1::TimeSeries { labels, samples, exemplars, histograms }
    });
    prop::collection::vec(series, 0..5)
        .prop_map(|timeseries| WriteRequest { timeseries, metadata: Vec::new() })
}

proptest! {
    #[test]
    fn any_request_is_read_as_the_messages_say(request in any_request()) {
        // `decode` compares.
        let _whatever = decode(FIRST, &packed(&request));
    }

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
