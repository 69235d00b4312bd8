//! Remote writes: what Prometheus and its kin send to `/prometheus/api/v1/write`.
//!
//! Sources: the Remote-Write 1.0 and 2.0 specifications (`prometheus.io/docs/specs/prw`), the
//! messages of `prometheus/prometheus` `prompb/types.proto`, `prompb/remote.proto` and
//! `prompb/io/prometheus/write/v2/types.proto`. The body is protobuf in snappy's block format.

mod messages;

use noroshi_model::{Batch, Kind, Labels, MetricMeta, Sample, Timestamp, Width};
use prost::Message;

use messages::{v1, v2};

/// Largest body in bytes as it comes. Prometheus sends at most about 2,000 samples at once.
pub const BODY_BYTES_MAX: usize = 8 << 20;

/// Largest body in bytes after decompression.
pub const DECODED_BYTES_MAX: usize = 64 << 20;

/// What a remote write says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// Samples and metas.
    pub batch: Batch,
    /// Native histograms that are not kept.
    pub histograms_left_out: usize,
    /// Exemplars that are not kept.
    pub exemplars_left_out: usize,
}

/// Why a body is no remote write.
#[derive(Debug, thiserror::Error)]
pub enum RemoteWriteError {
    /// Answer 415: the sender tries the other version.
    #[error(
        "content type {content_type:?} is no remote write; application/x-protobuf with \
         proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request is"
    )]
    ContentType {
        /// What was sent.
        content_type: String,
    },
    /// Answer 413.
    #[error("a remote write of {bytes} bytes is larger than the {bytes_max} that are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// Answer 400: it is no snappy block.
    #[error("the body is not compressed by snappy")]
    Compression(#[source] snap::Error),
    /// Answer 400: it is no such message.
    #[error("the body is no message of remote write")]
    Message(#[source] prost::DecodeError),
    /// Answer 400: the message contradicts itself.
    #[error("a series of the remote write has {what}")]
    Series {
        /// What it has.
        what: &'static str,
    },
}

/// Reads a remote write of either version; `content_type` tells which.
///
/// Series become what they are called: no label is added. Errors: [`RemoteWriteError`].
pub fn decode(content_type: &str, body: &[u8]) -> Result<Decoded, RemoteWriteError> {
    let is_second = is_second(content_type)?;
    let check = |bytes, bytes_max| {
        if bytes > bytes_max {
            Err(RemoteWriteError::TooLarge { bytes, bytes_max })
        } else {
            Ok(())
        }
    };
    check(body.len(), BODY_BYTES_MAX)?;
    let length = snap::raw::decompress_len(body).map_err(RemoteWriteError::Compression)?;
    check(length, DECODED_BYTES_MAX)?;
    let plain = snap::raw::Decoder::new().decompress_vec(body);
    let plain = plain.map_err(RemoteWriteError::Compression)?;
    if is_second {
        second(v2::Request::decode(plain.as_slice()).map_err(RemoteWriteError::Message)?)
    } else {
        first(v1::WriteRequest::decode(plain.as_slice()).map_err(RemoteWriteError::Message)?)
    }
}

/// Tells whether a content type means version 2; without a `proto` it is version 1.
fn is_second(content_type: &str) -> Result<bool, RemoteWriteError> {
    let refused = || RemoteWriteError::ContentType { content_type: content_type.to_owned() };
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-protobuf")) {
        return Err(refused());
    }
    match parts.find_map(|part| part.strip_prefix("proto=")) {
        None | Some("prometheus.WriteRequest") => Ok(false),
        Some("io.prometheus.write.v2.Request") => Ok(true),
        Some(_) => Err(refused()),
    }
}

fn first(request: v1::WriteRequest) -> Result<Decoded, RemoteWriteError> {
    let mut decoded = Decoded::default();
    for series in request.timeseries {
        let pairs = series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
        let labels = labels(pairs)?;
        decoded.histograms_left_out += series.histograms.len();
        decoded.exemplars_left_out += series.exemplars.len();
        let samples = series.samples.into_iter().map(|s| (s.timestamp, s.value));
        add(&mut decoded, &labels, samples);
    }
    for meta in request.metadata {
        let (unit, help) = (meta.unit, meta.help);
        let name = meta.metric_family_name;
        decoded.batch.metas.push(MetricMeta { kind: kind(meta.r#type, &name), name, unit, help });
    }
    Ok(decoded)
}

fn second(request: v2::Request) -> Result<Decoded, RemoteWriteError> {
    let symbols = request.symbols;
    let symbol = |place: u32| {
        let found = symbols.get(place as usize).map(String::as_str);
        found.ok_or(RemoteWriteError::Series { what: "a reference to a symbol that is not there" })
    };
    let mut decoded = Decoded::default();
    for series in request.timeseries {
        let (places, rest) = series.labels_refs.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(RemoteWriteError::Series { what: "a label without a value" });
        }
        let mut pairs = Vec::with_capacity(places.len());
        for [name, value] in places {
            pairs.push((symbol(*name)?, symbol(*value)?));
        }
        let labels = labels(pairs.into_iter())?;
        decoded.histograms_left_out += series.histograms.len();
        decoded.exemplars_left_out += series.exemplars.len();
        if let Some(meta) = series.metadata {
            let (unit, help) =
                (symbol(meta.unit_ref)?.to_owned(), symbol(meta.help_ref)?.to_owned());
            let name = labels.name().to_owned();
            let kind = kind(meta.r#type, &name);
            let meta = MetricMeta { kind, name, unit, help };
            if decoded.batch.metas.last() != Some(&meta) {
                decoded.batch.metas.push(meta);
            }
        }
        let samples = series.samples.into_iter().map(|s| (s.timestamp, s.value));
        add(&mut decoded, &labels, samples);
    }
    Ok(decoded)
}

fn add(decoded: &mut Decoded, labels: &Labels, samples: impl Iterator<Item = (i64, f64)>) {
    decoded.batch.samples.extend(samples.map(|(at, value)| Sample {
        labels: labels.clone(),
        at: Timestamp::from_millis(at),
        value,
    }));
}

/// Makes labels; refuses what would be another series once it is sorted and cleaned.
fn labels<'a>(
    pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Result<Labels, RemoteWriteError> {
    let labels = Labels::new(pairs.clone());
    if labels.name().is_empty() {
        return Err(RemoteWriteError::Series { what: "no name" });
    }
    let is_odd = pairs.clone().any(|(name, _)| name.is_empty());
    if is_odd || pairs.filter(|(_, value)| !value.is_empty()).count() != labels.len() {
        return Err(RemoteWriteError::Series { what: "a label twice or without a name" });
    }
    Ok(labels)
}

/// The numbers of `MetricMetadata.MetricType`; both versions agree on the first eight.
fn kind(number: i32, name: &str) -> Kind {
    match number {
        1 => Kind::Counter(Width::Float),
        2 | 4 | 6 | 7 => Kind::Gauge,
        3 => Kind::Histogram,
        5 => Kind::Summary,
        _ if name.ends_with("_total") => Kind::Counter(Width::Float),
        _ => Kind::Untyped,
    }
}

#[cfg(test)]
mod tests;
