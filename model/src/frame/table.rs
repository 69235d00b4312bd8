//! Reading a frame when the one before it of the same host is at hand: an agent repeats its series
//! byte for byte, so their labels are made once.

use std::sync::Arc;

use super::bytes::Reader;
use super::{
    FRAME_BYTES_MAX, Frame, FrameError, MAGIC, VERSION, VERSION_WITHOUT_RESULTS, check_version,
    decode_identity, decode_metas, decode_samples, decode_series, limit, result,
};
use crate::Labels;

/// The series of a frame, and the bytes that they were read from.
#[derive(Debug)]
pub struct SeriesTable {
    bytes: Box<[u8]>,
    series: Box<[Labels]>,
}

impl SeriesTable {
    /// Returns how many series there are.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

/// A frame whose series and samples are not read yet.
pub struct Opened<'a> {
    version: u8,
    frame: Frame,
    reader: Reader<'a>,
}

/// Reads a frame up to its series and returns it with the bytes after it.
pub fn open(bytes: &[u8]) -> Result<(Opened<'_>, &[u8]), FrameError> {
    let mut head = Reader::new(bytes);
    if head.take(4, "magic")? != MAGIC {
        return Err(FrameError::Magic);
    }
    let version = check_version(head.byte("version")?, VERSION)?;
    let length = u32::from_le_bytes(head.array("length")?) as usize;
    limit("bytes", length, FRAME_BYTES_MAX)?;
    let mut reader = Reader::new(head.take(length, "content")?);
    let mut frame = decode_identity(&mut reader)?;
    frame.batch.metas = decode_metas(&mut reader)?;
    Ok((Opened { version, frame, reader }, head.rest()))
}

impl Opened<'_> {
    /// Returns the host's name.
    pub fn host(&self) -> &str {
        &self.frame.host.name
    }

    /// Reads the rest; each series gets the labels `own`, whatever the frame says of them.
    ///
    /// `known` is what an earlier frame returned that was read with the same `own`; when the bytes
    /// of the series are the same, so are the labels.
    pub fn read(
        self,
        known: Option<Arc<SeriesTable>>,
        own: &[(&str, &str)],
    ) -> Result<(Frame, Arc<SeriesTable>), FrameError> {
        let Self { version, mut frame, mut reader } = self;
        let bytes = reader.rest();
        // Where a table ends is said by its own bytes, so one cannot be the beginning of another.
        let table = if let Some(known) = known.filter(|known| bytes.starts_with(&known.bytes)) {
            reader.take(known.bytes.len(), "series")?;
            known
        } else {
            let sent = decode_series(&mut reader)?;
            let series = sent.iter().map(|labels| with(labels, own)).collect();
            let length = bytes.len() - reader.rest().len();
            Arc::new(SeriesTable { bytes: bytes[..length].into(), series })
        };
        frame.batch.samples = decode_samples(&mut reader, &table.series)?;
        if version > VERSION_WITHOUT_RESULTS {
            frame.results = result::decode(&mut reader)?;
        }
        if reader.rest().is_empty() {
            Ok((frame, table))
        } else {
            Err(FrameError::Malformed { part: "end" })
        }
    }
}

fn with(labels: &Labels, own: &[(&str, &str)]) -> Labels {
    if own.is_empty() {
        return labels.clone();
    }
    let mut builder = labels.to_builder();
    for (name, value) in own {
        builder.set(name, value);
    }
    builder.build()
}
