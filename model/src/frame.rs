//! The frame: how an agent's readings travel, without IO and without compression.
//!
//! What stands where is drawn byte by byte in `agent/PROTOCOL.md`, which changes with this file.
//! A frame is self-contained: it names its host and holds the labels of its series, so that one
//! can be spooled, repeated, reordered or lost without harm to the others. [`encode`] and
//! [`decode_all`] are pure; around them agent and collector compress with zstd, and put
//! [`encode_body`]'s head before the whole.
//!
//! Reading trusts nothing: each count is checked against the bytes that are left before memory is
//! taken, and the sum of all labels has a bound of its own.

mod bytes;
mod result;
mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::hash::TextMap;
use crate::{Batch, Kind, Labels, MetricMeta, Sample, Timestamp, Width};
use bytes::{Reader, Writer};
pub use result::{OUTPUT_BYTES_MAX, PluginResult};

pub use table::{Opened, SeriesTable, open};

/// The first bytes of a frame.
pub const MAGIC: [u8; 4] = *b"NRSF";
/// The first bytes of an HTTP body.
pub const BODY_MAGIC: [u8; 4] = *b"NRSB";
/// The newest version of a frame. All older ones are read for ever. A frame without results is
/// written as version 1, which every server reads.
pub const VERSION: u8 = 2;
/// The version of a frame without results.
const VERSION_WITHOUT_RESULTS: u8 = 1;
/// The version of a body.
const BODY_VERSION: u8 = 1;

/// Largest HTTP body, compressed, in bytes: what a server should accept.
///
/// An hour of readings of a host with 500 series fits twice.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Largest sum of the frames of one body after decompression, in bytes.
pub const DECODED_BYTES_MAX: usize = 32 << 20;
/// Largest frame in bytes: 100,000 series take about 8 MiB.
pub const FRAME_BYTES_MAX: usize = 16 << 20;
/// Longest text (label, help) in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;
/// Most labels of one series.
pub const LABELS_MAX: usize = 64;
/// Largest sum of all labels of a frame, in bytes, once each series has its own.
///
/// In the frame each text stands once; without this bound two bytes could ask for 8 KiB.
pub const LABEL_BYTES_MAX: usize = 32 << 20;

/// Who sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostIdentity {
    /// The host's name: becomes the label `instance`. Never empty in a frame that was decoded.
    pub name: String,
    /// `/etc/machine-id`, empty when the host has none: stays when the name changes.
    pub machine_id: String,
    /// `/proc/sys/kernel/random/boot_id`, empty when unknown: changes with each boot.
    pub boot_id: String,
    /// Name of the operating system for people, as `Debian GNU/Linux 12 (bookworm)`.
    pub os: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Version of the agent.
    pub agent_version: String,
    /// The address under which the host wants to be known; `None`: the one it comes from.
    pub address: Option<String>,
}

/// What an agent sends for one reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// Who sends.
    pub host: HostIdentity,
    /// The agent's start in milliseconds since 1970: names the run that `sequence` belongs to.
    pub run: u64,
    /// 1, 2, 3 within a run. A hole is a frame that the agent had to drop, or that is on its way.
    pub sequence: u64,
    /// The samples, without `instance` and `job`; `started_at` is the host's boot.
    pub batch: Batch,
    /// What the agent's own plug-ins found.
    pub results: Vec<PluginResult>,
}

/// The head of an HTTP body and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body<'a> {
    /// When the agent sent the body, by its clock: tells how far the clock is off.
    pub sent_at: Timestamp,
    /// One or more zstd frames; decompressed one after the other they are what [`decode_all`]
    /// reads.
    pub compressed: &'a [u8],
}

/// Why bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first bytes are not those of a frame or of a body.
    #[error("this is not a frame of a noroshi agent")]
    Magic,
    /// Written by a newer agent.
    #[error("frame has version {found}; this server reads up to {newest}: update the server")]
    Version {
        /// The version found.
        found: u8,
        /// The newest version that is read here.
        newest: u8,
    },
    /// The bytes end too early.
    #[error("frame ends within its {part}")]
    Truncated {
        /// What was being read.
        part: &'static str,
    },
    /// A number or text cannot be what it stands for.
    #[error("frame has a malformed {part}")]
    Malformed {
        /// What was being read.
        part: &'static str,
    },
    /// A bound is exceeded.
    #[error("frame has {found} {part}; at most {max} are read")]
    TooLarge {
        /// What there is too much of.
        part: &'static str,
        /// How much there is.
        found: u64,
        /// The bound.
        max: u64,
    },
}

/// Writes the head of an HTTP body; the compressed frames follow it.
pub fn encode_body(sent_at: Timestamp, compressed: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(13 + compressed.len());
    body.extend_from_slice(&BODY_MAGIC);
    body.push(BODY_VERSION);
    body.extend_from_slice(&sent_at.as_millis().to_le_bytes());
    body.extend_from_slice(compressed);
    body
}

/// Reads the head of an HTTP body. Errors: magic, version or length.
pub fn decode_body(body: &[u8]) -> Result<Body<'_>, FrameError> {
    let mut reader = Reader::new(body);
    if reader.take(4, "magic")? != BODY_MAGIC {
        return Err(FrameError::Magic);
    }
    check_version(reader.byte("version")?, BODY_VERSION)?;
    let sent_at = Timestamp::from_millis(i64::from_le_bytes(reader.array("send time")?));
    Ok(Body { sent_at, compressed: reader.rest() })
}

/// Writes one frame.
///
/// Texts longer than [`TEXT_BYTES_MAX`] are cut at a character; samples beyond the other bounds
/// are an agent's mistake and are refused by whoever reads. NaN keeps its bits.
pub fn encode(frame: &Frame) -> Vec<u8> {
    let mut body = Writer::default();
    encode_identity(&mut body, frame);
    encode_metas(&mut body, &frame.batch.metas);
    let places = encode_series(&mut body, &frame.batch.samples);
    encode_samples(&mut body, &frame.batch.samples, &places);
    let version = if frame.results.is_empty() {
        VERSION_WITHOUT_RESULTS
    } else {
        result::encode(&mut body, &frame.results);
        VERSION
    };

    let mut bytes = Vec::with_capacity(body.bytes.len() + 9);
    bytes.extend_from_slice(&MAGIC);
    bytes.push(version);
    bytes.extend_from_slice(&(body.bytes.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&body.bytes);
    bytes
}

/// Reads frames that stand one after the other, to the end. Errors: the first frame that is
/// damaged spoils all.
pub fn decode_all(mut bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (frame, rest) = decode(bytes)?;
        frames.push(frame);
        bytes = rest;
    }
    Ok(frames)
}

/// Reads one frame and returns it with the bytes after it.
pub fn decode(bytes: &[u8]) -> Result<(Frame, &[u8]), FrameError> {
    let (opened, rest) = open(bytes)?;
    let (frame, _) = opened.read(None, &[])?;
    Ok((frame, rest))
}

fn check_version(found: u8, newest: u8) -> Result<u8, FrameError> {
    match found {
        0 => Err(FrameError::Malformed { part: "version" }),
        found if found <= newest => Ok(found),
        _ => Err(FrameError::Version { found, newest }),
    }
}

fn limit(part: &'static str, found: usize, max: usize) -> Result<(), FrameError> {
    if found <= max {
        Ok(())
    } else {
        Err(FrameError::TooLarge { part, found: found as u64, max: max as u64 })
    }
}

// ------------------------------------------------------------------------------------- identity

fn encode_identity(out: &mut Writer, frame: &Frame) {
    let host = &frame.host;
    let address = host.address.as_deref().unwrap_or("");
    let texts = [&host.name, &host.machine_id, &host.boot_id, &host.os, &host.kernel];
    for text in texts {
        out.text(text);
    }
    out.text(&host.agent_version);
    out.text(address);
    out.varint(frame.run);
    out.varint(frame.sequence);
    match frame.batch.started_at {
        None => out.byte(0),
        Some(at) => {
            out.byte(1);
            out.signed(at.as_millis());
        }
    }
    let interval = frame.batch.interval.map_or(0, |interval| interval.as_millis());
    out.varint(u64::try_from(interval).unwrap_or(u64::MAX));
}

fn decode_identity(reader: &mut Reader<'_>) -> Result<Frame, FrameError> {
    let mut text = |part| reader.text(part).map(str::to_owned);
    let host = HostIdentity {
        name: text("host name")?,
        machine_id: text("machine id")?,
        boot_id: text("boot id")?,
        os: text("operating system")?,
        kernel: text("kernel")?,
        agent_version: text("agent version")?,
        address: Some(text("address")?).filter(|address| !address.is_empty()),
    };
    if host.name.is_empty() {
        return Err(FrameError::Malformed { part: "host name" });
    }
    let run = reader.varint("run")?;
    let sequence = reader.varint("sequence")?;
    let started_at = match reader.byte("boot time")? {
        0 => None,
        1 => Some(Timestamp::from_millis(reader.signed("boot time")?)),
        _ => return Err(FrameError::Malformed { part: "boot time" }),
    };
    let interval = match reader.varint("interval")? {
        0 => None,
        millis => Some(Duration::from_millis(millis)),
    };
    let batch = Batch { started_at, interval, ..Batch::default() };
    Ok(Frame { host, run, sequence, batch, results: Vec::new() })
}

// ---------------------------------------------------------------------------------------- metas

/// The numbers of the kinds on the wire; a number is never used again for something else.
const KINDS: [Kind; 8] = [
    Kind::Untyped,
    Kind::Gauge,
    Kind::Counter(Width::Float),
    Kind::Counter(Width::U32),
    Kind::Counter(Width::U64),
    Kind::Absolute,
    Kind::Histogram,
    Kind::Summary,
];

fn encode_metas(out: &mut Writer, metas: &[MetricMeta]) {
    out.varint(metas.len() as u64);
    for meta in metas {
        let kind = KINDS.iter().position(|kind| *kind == meta.kind).unwrap_or(0);
        out.text(&meta.name);
        out.byte(kind as u8);
        out.text(&meta.unit);
        out.text(&meta.help);
    }
}

fn decode_metas(reader: &mut Reader<'_>) -> Result<Vec<MetricMeta>, FrameError> {
    // A meta takes at least 4 bytes: three lengths and a kind.
    let count = reader.count("metrics", 4)?;
    let mut metas = Vec::with_capacity(count);
    for _ in 0..count {
        let name = reader.text("metric name")?.to_owned();
        // A kind that a newer agent knows is not a reason to lose its samples.
        let kind = KINDS.get(usize::from(reader.byte("kind")?)).copied().unwrap_or_default();
        let unit = reader.text("unit")?.to_owned();
        let help = reader.text("help")?.to_owned();
        metas.push(MetricMeta { name, kind, unit, help });
    }
    Ok(metas)
}

// --------------------------------------------------------------------------------------- series

/// Writes the dictionary of texts and the series, and returns the place of each series.
fn encode_series<'a>(out: &mut Writer, samples: &'a [Sample]) -> TextMap<&'a Labels, u64> {
    let mut texts: Vec<&str> = Vec::new();
    let mut text_places: TextMap<&str, u64> = TextMap::default();
    let mut series_places: TextMap<&Labels, u64> =
        TextMap::with_capacity_and_hasher(samples.len(), <_>::default());
    let mut series = Writer::default();
    for sample in samples {
        let place = series_places.len() as u64;
        if *series_places.entry(&sample.labels).or_insert(place) != place {
            continue;
        }
        series.varint(sample.labels.len() as u64);
        for text in sample.labels.iter().flat_map(|(name, value)| [name, value]) {
            let next = texts.len() as u64;
            let place = *text_places.entry(text).or_insert(next);
            if place == next {
                texts.push(text);
            }
            series.varint(place);
        }
    }
    out.varint(texts.len() as u64);
    for text in texts {
        out.text(text);
    }
    out.varint(series_places.len() as u64);
    out.bytes.append(&mut series.bytes);
    series_places
}

fn decode_series(reader: &mut Reader<'_>) -> Result<Vec<Labels>, FrameError> {
    let count = reader.count("texts", 1)?;
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        let text = reader.text("text")?;
        if text.contains('\0') {
            return Err(FrameError::Malformed { part: "text" });
        }
        texts.push(text);
    }
    let count = reader.count("series", 1)?;
    let mut series = Vec::with_capacity(count);
    let mut bytes = 0;
    let mut packed = String::new();
    for _ in 0..count {
        let labels = reader.count("labels", 2)?;
        limit("labels", labels, LABELS_MAX)?;
        packed.clear();
        for _ in 0..2 * labels {
            let place = usize::try_from(reader.varint("label")?).unwrap_or(usize::MAX);
            let text = texts.get(place).ok_or(FrameError::Malformed { part: "label" })?;
            packed.push_str(text);
            packed.push('\0');
        }
        bytes += packed.len();
        limit("bytes of labels", bytes, LABEL_BYTES_MAX)?;
        series.push(Labels::from_packed(&packed).ok_or(FrameError::Malformed { part: "label" })?);
    }
    Ok(series)
}

// -------------------------------------------------------------------------------------- samples

/// Writes the samples in runs of one moment, each run in two columns: series, then values.
fn encode_samples(out: &mut Writer, samples: &[Sample], places: &TextMap<&Labels, u64>) {
    let runs = || samples.chunk_by(|a, b| a.at == b.at);
    out.varint(runs().count() as u64);
    let mut at_before = 0;
    for run in runs() {
        let at = run[0].at.as_millis();
        out.signed(at.wrapping_sub(at_before));
        at_before = at;
        out.varint(run.len() as u64);
        let mut expected = 0;
        for sample in run {
            let place = places[&sample.labels] as i64;
            out.signed(place - expected);
            expected = place + 1;
        }
        for sample in run {
            out.value(sample.value);
        }
    }
}

fn decode_samples(reader: &mut Reader<'_>, series: &[Labels]) -> Result<Vec<Sample>, FrameError> {
    let runs = reader.count("runs", 4)?;
    let mut samples: Vec<Sample> = Vec::new();
    let mut at = 0_i64;
    for _ in 0..runs {
        at = at.wrapping_add(reader.signed("time")?);
        let count = reader.count("samples", 2)?;
        let first = samples.len();
        samples.reserve(count);
        let mut expected = 0_i64;
        for _ in 0..count {
            let place = expected.wrapping_add(reader.signed("series")?);
            let labels = usize::try_from(place).ok().and_then(|place| series.get(place));
            let labels = labels.ok_or(FrameError::Malformed { part: "series" })?.clone();
            samples.push(Sample { labels, at: Timestamp::from_millis(at), value: 0.0 });
            expected = place + 1;
        }
        for sample in &mut samples[first..] {
            sample.value = reader.value("value")?;
        }
    }
    Ok(samples)
}
