//! What the journal holds: samples, series, metrics, records. Drawn in `FORMAT.md`.

use noroshi_model::{MetricMeta, RecordBatch, Space};

use crate::codec::{Point, Reader, put_varint, put_zigzag};

/// A batch of samples of known series.
const SAMPLES: u8 = 1;
/// New series.
const SERIES: u8 = 2;
/// Changes of records.
const RECORDS: u8 = 3;
/// What is known about metrics, as JSON.
const METAS: u8 = 4;
/// Series that are gone.
const REMOVED: u8 = 5;

/// The value is a varint: a whole number.
const WHOLE: u64 = 0;
/// The value is a varint: a hundredfold.
const HUNDREDTHS: u64 = 1;
/// The value is eight bytes.
const FLOAT: u64 = 3;
/// Set when the sample has the moment of the sample before it.
const SAME_MOMENT: u64 = 4;

/// One entry, read back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// Samples, and what the batch says of its source.
    Samples(SourceFacts, Vec<(u32, Point)>),
    /// A series with its packed labels.
    Series(u32, String),
    /// Changes that belong together.
    Records(RecordBatch),
    /// Metrics.
    Metas(Vec<MetricMeta>),
    /// Series that were removed.
    Removed(Vec<u32>),
}

/// What a batch says of its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceFacts {
    /// Since when its counters count, milliseconds since 1970.
    pub(crate) started_at: Option<i64>,
    /// How often it means to send, milliseconds.
    pub(crate) interval: Option<u32>,
}

/// Writes an entry of samples piece by piece.
pub(crate) struct SamplesWriter<'a> {
    out: &'a mut Vec<u8>,
    previous_series: u32,
    previous_at: i64,
}

impl<'a> SamplesWriter<'a> {
    /// Begins an entry.
    pub(crate) fn new(out: &'a mut Vec<u8>, facts: SourceFacts) -> Self {
        out.push(SAMPLES);
        match facts.started_at {
            Some(started_at) => {
                out.push(1);
                put_zigzag(out, started_at);
            }
            None => out.push(0),
        }
        put_varint(out, facts.interval.map_or(0, u64::from));
        Self { out, previous_series: 0, previous_at: 0 }
    }

    /// Adds a sample.
    pub(crate) fn put(&mut self, series: u32, at: i64, value: f64) {
        let step = i64::from(series) - i64::from(self.previous_series);
        let step = ((step << 1) ^ (step >> 63)) as u64;
        let is_same = at == self.previous_at;
        let same = if is_same { SAME_MOMENT } else { 0 };
        let whole = value as i64;
        let hundredths = (value * 100.0 + 0.5_f64.copysign(value)) as i64;
        let (tag, number) = if (whole as f64).to_bits() == value.to_bits() {
            (WHOLE, whole)
        } else if (hundredths as f64 / 100.0).to_bits() == value.to_bits() {
            (HUNDREDTHS, hundredths)
        } else {
            (FLOAT, 0)
        };
        put_varint(self.out, step << 3 | same | tag);
        if !is_same {
            put_zigzag(self.out, at.wrapping_sub(self.previous_at));
        }
        if tag == FLOAT {
            self.out.extend_from_slice(&value.to_bits().to_le_bytes());
        } else {
            put_zigzag(self.out, number);
        }
        (self.previous_series, self.previous_at) = (series, at);
    }
}

/// Writes an entry that names a new series.
pub(crate) fn put_series(out: &mut Vec<u8>, series: u32, packed_labels: &str) {
    out.push(SERIES);
    put_varint(out, u64::from(series));
    out.extend_from_slice(packed_labels.as_bytes());
}

/// Writes an entry that names series that are gone.
pub(crate) fn put_removed(out: &mut Vec<u8>, series: &[u32]) {
    out.push(REMOVED);
    for id in series {
        put_varint(out, u64::from(*id));
    }
}

/// Writes an entry of changed records.
pub(crate) fn put_records(out: &mut Vec<u8>, batch: &RecordBatch) {
    out.push(RECORDS);
    for (space, key, value) in &batch.changes {
        out.push(*space as u8);
        put_varint(out, key.len() as u64);
        out.extend_from_slice(key);
        match value {
            Some(value) => {
                put_varint(out, value.len() as u64 + 1);
                out.extend_from_slice(value);
            }
            None => put_varint(out, 0),
        }
    }
}

/// Writes an entry about metrics.
pub(crate) fn put_metas(out: &mut Vec<u8>, metas: &[MetricMeta]) {
    out.push(METAS);
    // Plain strings and enums always have a JSON form.
    let json = serde_json::to_vec(metas).unwrap_or_default();
    out.extend_from_slice(&json);
}

/// Reads an entry; `None` when it is none of the above.
pub(crate) fn read_entry(bytes: &[u8]) -> Option<Entry> {
    let mut input = Reader::new(bytes);
    match input.byte()? {
        SAMPLES => read_samples(&mut input),
        SERIES => {
            let series = u32::try_from(input.varint()?).ok()?;
            let labels = std::str::from_utf8(input.bytes(input.len())?).ok()?;
            Some(Entry::Series(series, labels.to_owned()))
        }
        RECORDS => read_records(&mut input),
        METAS => serde_json::from_slice(input.bytes(input.len())?).ok().map(Entry::Metas),
        REMOVED => {
            let mut removed = Vec::new();
            while !input.is_empty() {
                removed.push(u32::try_from(input.varint()?).ok()?);
            }
            Some(Entry::Removed(removed))
        }
        _ => None,
    }
}

fn read_samples(input: &mut Reader<'_>) -> Option<Entry> {
    let started_at = match input.byte()? {
        0 => None,
        1 => Some(input.zigzag()?),
        _ => return None,
    };
    let interval = u32::try_from(input.varint()?).ok()?;
    let facts = SourceFacts { started_at, interval: (interval > 0).then_some(interval) };
    let (mut series, mut at) = (0_u32, 0_i64);
    // A sample takes at least two bytes.
    let mut samples = Vec::with_capacity(input.len() / 2);
    while !input.is_empty() {
        let head = input.varint()?;
        let step = head >> 3;
        let step = ((step >> 1) as i64) ^ -((step & 1) as i64);
        series = u32::try_from(i64::from(series).checked_add(step)?).ok()?;
        if head & SAME_MOMENT == 0 {
            at = at.wrapping_add(input.zigzag()?);
        }
        let value = match head & 3 {
            WHOLE => input.zigzag()? as f64,
            HUNDREDTHS => input.zigzag()? as f64 / 100.0,
            FLOAT => input.f64()?,
            _ => return None,
        };
        samples.push((series, Point { at, value }));
    }
    Some(Entry::Samples(facts, samples))
}

fn read_records(input: &mut Reader<'_>) -> Option<Entry> {
    let mut batch = RecordBatch::new();
    while !input.is_empty() {
        let number = input.byte()?;
        let space = Space::ALL.into_iter().find(|space| *space as u8 == number)?;
        let key_length = usize::try_from(input.varint()?).ok()?;
        let key = input.bytes(key_length)?.to_vec();
        match usize::try_from(input.varint()?).ok()?.checked_sub(1) {
            Some(length) => batch.put(space, key, input.bytes(length)?),
            None => batch.remove(space, key),
        }
    }
    Some(Entry::Records(batch))
}

#[cfg(test)]
mod tests {
    use noroshi_model::{Kind, UNKNOWN};

    use super::*;

    fn round(write: impl Fn(&mut Vec<u8>)) -> Entry {
        let mut out = Vec::new();
        write(&mut out);
        for cut in 1..out.len() {
            // Whatever is cut off: no panic; most cuts show.
            read_entry(&out[..cut]);
        }
        read_entry(&out).unwrap()
    }

    #[test]
    fn samples_come_back_with_their_bits() {
        let values = [1.0, -0.0, 0.0, 37.45, 1e300, UNKNOWN, f64::NAN, -7.0, 123_456_789_012.0];
        let facts = SourceFacts { started_at: Some(-5), interval: Some(10_000) };
        let samples: Vec<(u32, Point)> = values
            .iter()
            .enumerate()
            .map(|(i, &value)| {
                (i as u32 * 3 % 7, Point { at: 1_790_000_000_000 + (i as i64 / 3), value })
            })
            .collect();
        let entry = round(|out| {
            let mut writer = SamplesWriter::new(out, facts);
            for (series, point) in &samples {
                writer.put(*series, point.at, point.value);
            }
        });
        let Entry::Samples(back_facts, back) = entry else { panic!("{entry:?}") };
        assert_eq!(back_facts, facts);
        let bits = |all: &[(u32, Point)]| -> Vec<(u32, i64, u64)> {
            all.iter().map(|(s, p)| (*s, p.at, p.value.to_bits())).collect()
        };
        assert_eq!(bits(&back), bits(&samples));
    }

    #[test]
    fn the_other_entries_come_back() {
        assert_eq!(
            round(|out| put_series(out, 70_000, "a\x001\0")),
            Entry::Series(70_000, "a\x001\0".to_owned())
        );
        assert_eq!(round(|out| put_removed(out, &[1, 300])), Entry::Removed(vec![1, 300]));
        let mut batch = RecordBatch::new();
        batch.put(Space::Events, "k", "");
        batch.put(Space::States, "", "value");
        batch.remove(Space::Values, "gone");
        assert_eq!(round(|out| put_records(out, &batch)), Entry::Records(batch.clone()));
        let metas = vec![MetricMeta {
            name: "up".to_owned(),
            kind: Kind::Gauge,
            unit: String::new(),
            help: "1 when it answered".to_owned(),
        }];
        assert_eq!(round(|out| put_metas(out, &metas)), Entry::Metas(metas.clone()));
    }
}
