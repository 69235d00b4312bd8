//! The usual remote write, read where it lies: no text is copied, nothing is taken for a sample.
//!
//! What is unusual (fields out of order, damage, labels that are refused) is left to the plain
//! reading by messages, which knows the reason; so [`first`] and [`second`] have no errors of
//! their own, and what they return is what the plain reading would, but for metrics that are
//! described twice.

use std::collections::HashSet;

use noroshi_model::label::NAME;
use noroshi_model::{Labels, MetricMeta, Sample, Timestamp};
use prost::Message;
use prost::encoding::decode_varint;

use super::known::{Known, Lookup};
use super::messages::{v1, v2};
use super::{Decoded, LABEL_BYTES_MAX, kind, labels};

/// Samples that room is made for before they are counted.
const RESERVED_SAMPLES_MAX: usize = 100_000;

// Keys of fields: number << 3 | wire type ("Protocol Buffers Encoding"), 2 for what has a length.
const SERIES: u8 = 1 << 3 | 2;
const METADATA: u8 = 3 << 3 | 2;
const LABEL: u8 = 1 << 3 | 2;
const SAMPLE: u8 = 2 << 3 | 2;
const EXEMPLAR: u8 = 3 << 3 | 2;
const HISTOGRAM: u8 = 4 << 3 | 2;
const SAMPLE_VALUE: u8 = 1 << 3 | 1;
const SAMPLE_TIME: u8 = 2 << 3;
const SYMBOL_2: u8 = 4 << 3 | 2;
const SERIES_2: u8 = 5 << 3 | 2;
const LABEL_REFS_2: u8 = 1 << 3 | 2;
const HISTOGRAM_2: u8 = 3 << 3 | 2;
const EXEMPLAR_2: u8 = 4 << 3 | 2;
const METADATA_2: u8 = 5 << 3 | 2;

/// Takes the key of the next field, if that is one byte long.
fn key(input: &mut &[u8]) -> Option<u8> {
    let (&key, rest) = input.split_first()?;
    *input = rest;
    Some(key)
}

/// Takes a field that has a length.
fn field<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = match **input {
        [length, ..] if length < 0x80 => {
            *input = &input[1..];
            usize::from(length)
        }
        _ => usize::try_from(decode_varint(input).ok()?).ok()?,
    };
    let (field, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(field)
}

/// What both walks collect.
struct Walk<'a> {
    decoded: Decoded,
    lookup: Lookup<'a>,
}

impl<'a> Walk<'a> {
    fn new(known: &'a Known) -> Self {
        Self { decoded: Decoded::default(), lookup: known.lookup() }
    }

    /// Keeps the labels of series that were not known, and returns what was read.
    fn finish(self, known: &Known, fresh: Vec<(&[u8], Labels)>) -> Decoded {
        let Self { decoded, lookup } = self;
        // The lock is taken again for writing.
        drop(lookup);
        known.keep(fresh);
        known.tidy();
        decoded
    }

    /// Makes room for all samples when the first series of a request has `length` bytes.
    fn reserve(&mut self, length: usize, rest: usize) {
        let samples = &mut self.decoded.batch.samples;
        if samples.capacity() == 0 {
            samples.reserve((rest / (length + 1) + 1).min(RESERVED_SAMPLES_MAX));
        }
    }

    fn sample(&mut self, labels: &Labels, message: &[u8]) -> Option<()> {
        let (at, value) = sample(message)?;
        let at = Timestamp::from_millis(at);
        self.decoded.batch.samples.push(Sample { labels: labels.clone(), at, value });
        Some(())
    }
}

/// Reads a sample: `(milliseconds, value)`.
fn sample(message: &[u8]) -> Option<(i64, f64)> {
    if let Some((&SAMPLE_VALUE, rest)) = message.split_first()
        && let Some((value, rest)) = rest.split_first_chunk::<8>()
        && let Some((&SAMPLE_TIME, mut rest)) = rest.split_first()
    {
        let at = decode_varint(&mut rest).ok()? as i64;
        if rest.is_empty() {
            return Some((at, f64::from_le_bytes(*value)));
        }
    }
    // A value or a time of zero is left out, and newer senders may say more.
    let sample = v1::Sample::decode(message).ok()?;
    Some((sample.timestamp, sample.value))
}

/// Reads a request of version 1; `None` when the plain reading must look at it.
pub(super) fn first(mut plain: &[u8], known: &Known) -> Option<Decoded> {
    let mut walk = Walk::new(known);
    let mut fresh = Vec::new();
    while !plain.is_empty() {
        match key(&mut plain)? {
            SERIES => {
                let message = field(&mut plain)?;
                walk.reserve(message.len(), plain.len());
                first_series(message, &mut walk, &mut fresh)?;
            }
            METADATA => {
                let meta = v1::MetricMetadata::decode(field(&mut plain)?).ok()?;
                walk.decoded.batch.metas.push(meta.into());
            }
            _ => return None,
        }
    }
    Some(walk.finish(known, fresh))
}

fn first_series<'a>(
    message: &'a [u8],
    walk: &mut Walk<'_>,
    fresh: &mut Vec<(&'a [u8], Labels)>,
) -> Option<()> {
    let mut rest = message;
    while rest.first() == Some(&LABEL) {
        rest = &rest[1..];
        field(&mut rest)?;
    }
    let text = &message[..message.len() - rest.len()];
    let labels = if let Some(labels) = walk.lookup.find(text) {
        labels.clone()
    } else {
        let labels = first_labels(text)?;
        fresh.push((text, labels.clone()));
        labels
    };
    while !rest.is_empty() {
        match key(&mut rest)? {
            SAMPLE => walk.sample(&labels, field(&mut rest)?)?,
            EXEMPLAR => {
                v1::Unread::decode(field(&mut rest)?).ok()?;
                walk.decoded.exemplars_left_out += 1;
            }
            HISTOGRAM => {
                v1::Unread::decode(field(&mut rest)?).ok()?;
                walk.decoded.histograms_left_out += 1;
            }
            _ => return None,
        }
    }
    Some(())
}

/// Reads the labels of a series that is not known; `None` also when they are refused.
fn first_labels(mut text: &[u8]) -> Option<Labels> {
    let mut all = Vec::new();
    while !text.is_empty() {
        key(&mut text)?;
        all.push(v1::Label::decode(field(&mut text)?).ok()?);
    }
    labels(all.iter().map(|label| (label.name.as_str(), label.value.as_str()))).ok()
}

/// What version 2 says of a metric: its name, and type, help and unit as they are sent.
type Said<'a> = (&'a str, v2::Metadata);

/// The walk over a request of version 2.
struct Second<'a> {
    walk: Walk<'a>,
    symbols: Vec<&'a str>,
    /// The labels of the series that is read, as [`Labels`] would pack them: what it is known by.
    packed: String,
    /// Bytes of all labels so far.
    label_bytes: usize,
    /// Labels of series that were not known.
    fresh: Vec<Labels>,
    said: HashSet<Said<'a>>,
}

/// Reads a request of version 2; `None` when the plain reading must look at it.
pub(super) fn second(mut plain: &[u8], known: &Known) -> Option<Decoded> {
    let mut second = Second {
        walk: Walk::new(known),
        symbols: Vec::new(),
        packed: String::new(),
        label_bytes: 0,
        fresh: Vec::new(),
        said: HashSet::new(),
    };
    while !plain.is_empty() {
        match key(&mut plain)? {
            SYMBOL_2 => second.symbol(field(&mut plain)?)?,
            SERIES_2 => {
                let message = field(&mut plain)?;
                second.walk.reserve(message.len(), plain.len());
                second.series(message)?;
            }
            _ => return None,
        }
    }
    let Second { walk, fresh, .. } = second;
    let keys = fresh.iter().map(|labels| (labels.as_packed().as_bytes(), labels.clone()));
    Some(walk.finish(known, keys.collect()))
}

impl<'a> Second<'a> {
    fn symbol(&mut self, text: &'a [u8]) -> Option<()> {
        let symbol = std::str::from_utf8(text).ok()?;
        // NUL would make one packed text of two sets of labels.
        (!symbol.contains('\0')).then(|| self.symbols.push(symbol))
    }

    fn series(&mut self, mut message: &'a [u8]) -> Option<()> {
        if key(&mut message)? != LABEL_REFS_2 {
            return None;
        }
        let name = self.pack(field(&mut message)?)?;
        let labels = match self.walk.lookup.find(self.packed.as_bytes()) {
            Some(labels) => labels.clone(),
            None => self.labels()?,
        };
        while !message.is_empty() {
            match key(&mut message)? {
                SAMPLE => self.walk.sample(&labels, field(&mut message)?)?,
                EXEMPLAR_2 => {
                    v1::Unread::decode(field(&mut message)?).ok()?;
                    self.walk.decoded.exemplars_left_out += 1;
                }
                HISTOGRAM_2 => {
                    v1::Unread::decode(field(&mut message)?).ok()?;
                    self.walk.decoded.histograms_left_out += 1;
                }
                METADATA_2 => {
                    let said = v2::Metadata::decode(field(&mut message)?).ok()?;
                    self.metadata(name, said)?;
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// Packs the labels that numbers of symbols name, and returns the metric's name.
    fn pack(&mut self, mut places: &[u8]) -> Option<&'a str> {
        self.packed.clear();
        let mut name = "";
        while !places.is_empty() {
            let [label, value] =
                [symbol(&mut places, &self.symbols)?, symbol(&mut places, &self.symbols)?];
            if label == NAME {
                name = value;
            }
            for text in [label, value] {
                self.packed.push_str(text);
                self.packed.push('\0');
            }
        }
        self.label_bytes += self.packed.len();
        (self.label_bytes <= LABEL_BYTES_MAX).then_some(name)
    }

    /// Reads the labels of a series that is not known; `None` also when they are refused.
    fn labels(&mut self) -> Option<Labels> {
        // Senders sort; what is not sorted is not known by its packed text.
        let labels = Labels::from_packed(&self.packed)?;
        self.fresh.push(labels.clone());
        (!labels.name().is_empty()).then_some(labels)
    }

    fn metadata(&mut self, name: &'a str, said: v2::Metadata) -> Option<()> {
        if !self.said.insert((name, said)) {
            return Some(());
        }
        let text = |place: u32| Some((*self.symbols.get(place as usize)?).to_owned());
        let (unit, help) = (text(said.unit_ref)?, text(said.help_ref)?);
        let meta = MetricMeta { kind: kind(said.r#type, name), name: name.to_owned(), unit, help };
        self.walk.decoded.batch.metas.push(meta);
        Some(())
    }
}

fn symbol<'a>(places: &mut &[u8], symbols: &[&'a str]) -> Option<&'a str> {
    let place = decode_varint(places).ok()?;
    symbols.get(usize::try_from(place).ok()?).copied()
}
