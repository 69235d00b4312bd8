//! Remote writes: what Prometheus and its kin send to `/prometheus/api/v1/write`.
//!
//! Sources: the Remote-Write 1.0 and 2.0 specifications (`prometheus.io/docs/specs/prw`), the
//! messages of `prometheus/prometheus` `prompb/types.proto`, `prompb/remote.proto` and
//! `prompb/io/prometheus/write/v2/types.proto`. The body is protobuf in snappy's block format.

mod known;
mod messages;
mod walk;

use noroshi_model::{Batch, Kind, Labels, MetricMeta, Sample, Timestamp, Width};
use parking_lot::Mutex;
use prost::Message;

use known::Known;
use messages::{v1, v2};

/// Largest body in bytes as it comes. Prometheus sends at most about 2,000 samples at once.
pub const BODY_BYTES_MAX: usize = 8 << 20;

/// Largest body in bytes after decompression.
pub const DECODED_BYTES_MAX: usize = 64 << 20;

/// Largest sum of the labels of all series of a request, in bytes: in version 2 each text stands
/// once, and without this bound a few bytes could ask for a megabyte.
const LABEL_BYTES_MAX: usize = DECODED_BYTES_MAX;

/// Buffers for decompressed requests that are kept for later ones: as many as are read at once.
const BUFFERS_MAX: usize = 4;

/// Buffers above this size, in bytes, are not kept: usual requests have a tenth of it.
const BUFFER_BYTES_MAX: usize = 4 << 20;

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

/// Reads remote writes, and remembers the series that senders repeat.
#[derive(Debug)]
pub struct Receiver {
    /// Series of version 1 by the bytes of their labels.
    first: Known,
    /// Series of version 2 by their labels as [`Labels::as_packed`] gives them.
    second: Known,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Default for Receiver {
    fn default() -> Self {
        Self { first: Known::new(), second: Known::new(), buffers: Mutex::default() }
    }
}

impl Receiver {
    /// Reads a remote write of either version; `content_type` tells which.
    ///
    /// Series become what they are called: no label is added. Errors: [`RemoteWriteError`].
    pub fn decode(&self, content_type: &str, body: &[u8]) -> Result<Decoded, RemoteWriteError> {
        let is_second = is_second(content_type)?;
        check(body.len(), BODY_BYTES_MAX)?;
        let length = snap::raw::decompress_len(body).map_err(RemoteWriteError::Compression)?;
        check(length, DECODED_BYTES_MAX)?;
        let mut buffer = self.buffers.lock().pop().unwrap_or_default();
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        let unpacked = snap::raw::Decoder::new().decompress(body, &mut buffer);
        let length = unpacked.map_err(RemoteWriteError::Compression)?;
        let plain = &buffer[..length];
        let decoded = if is_second {
            walk::second(plain, &self.second).map_or_else(|| second(plain), Ok)
        } else {
            walk::first(plain, &self.first).map_or_else(|| first(plain), Ok)
        };
        let mut buffers = self.buffers.lock();
        if buffer.len() <= BUFFER_BYTES_MAX && buffers.len() < BUFFERS_MAX {
            buffers.push(buffer);
        }
        decoded
    }
}

fn check(bytes: usize, bytes_max: usize) -> Result<(), RemoteWriteError> {
    if bytes > bytes_max {
        return Err(RemoteWriteError::TooLarge { bytes, bytes_max });
    }
    Ok(())
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

/// Reads a request of version 1 message by message: says what is wrong with it, and is what
/// [`walk::first`] is tested against.
fn first(plain: &[u8]) -> Result<Decoded, RemoteWriteError> {
    let request = v1::WriteRequest::decode(plain).map_err(RemoteWriteError::Message)?;
    let mut decoded = Decoded::default();
    for series in request.timeseries {
        let pairs = series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
        let labels = labels(pairs)?;
        decoded.histograms_left_out += series.histograms.len();
        decoded.exemplars_left_out += series.exemplars.len();
        let samples = series.samples.into_iter().map(|s| (s.timestamp, s.value));
        add(&mut decoded, &labels, samples);
    }
    decoded.batch.metas.extend(request.metadata.into_iter().map(MetricMeta::from));
    Ok(decoded)
}

/// Reads a request of version 2 message by message, as [`first`].
fn second(plain: &[u8]) -> Result<Decoded, RemoteWriteError> {
    let request = v2::Request::decode(plain).map_err(RemoteWriteError::Message)?;
    let symbols = request.symbols;
    let symbol = |place: u32| {
        let found = symbols.get(place as usize).map(String::as_str);
        found.ok_or(RemoteWriteError::Series { what: "a reference to a symbol that is not there" })
    };
    let mut decoded = Decoded::default();
    let mut label_bytes = 0;
    for series in request.timeseries {
        let (places, rest) = series.labels_refs.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(RemoteWriteError::Series { what: "a label without a value" });
        }
        let mut pairs = Vec::with_capacity(places.len());
        for [name, value] in places {
            pairs.push((symbol(*name)?, symbol(*value)?));
        }
        label_bytes +=
            pairs.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
        check(label_bytes, LABEL_BYTES_MAX)?;
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

impl From<v1::MetricMetadata> for MetricMeta {
    fn from(meta: v1::MetricMetadata) -> Self {
        let (name, unit, help) = (meta.metric_family_name, meta.unit, meta.help);
        Self { kind: kind(meta.r#type, &name), name, unit, help }
    }
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
