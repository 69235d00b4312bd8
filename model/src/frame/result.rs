//! What plug-ins that the agent ran found, in a frame.

use std::time::Duration;

use super::bytes::{Reader, Writer};
use super::{FrameError, limit};
use crate::{Status, Timestamp};

/// Longest output of a plug-in in bytes: as much as is kept of it.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// What one run of a plug-in found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginResult {
    /// Its name in the agent's config. Never empty in a frame that was decoded.
    pub name: String,
    /// When the run ended.
    pub at: Timestamp,
    /// How long it took.
    pub run_time: Duration,
    /// OK, warning, critical or unknown; anything else is written as unknown.
    pub status: Status,
    /// Output as a plug-in writes it: lines, and performance data after `|`.
    pub output: String,
}

/// The numbers of the statuses: the exit codes of plug-ins.
const STATUSES: [Status; 4] = [Status::Ok, Status::Warning, Status::Critical, Status::Unknown];

pub(super) fn encode(out: &mut Writer, results: &[PluginResult]) {
    out.varint(results.len() as u64);
    for result in results {
        let code = STATUSES.iter().position(|status| *status == result.status).unwrap_or(3);
        out.text(&result.name);
        out.signed(result.at.as_millis());
        out.varint(u64::try_from(result.run_time.as_millis()).unwrap_or(u64::MAX));
        out.byte(code as u8);
        out.long_text(&result.output, OUTPUT_BYTES_MAX);
    }
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Vec<PluginResult>, FrameError> {
    // A result takes at least 6 bytes: a name of one, two times, a status, a length.
    let count = reader.count("results", 6)?;
    let mut results = Vec::with_capacity(count);
    for _ in 0..count {
        let name = reader.text("plug-in name")?.to_owned();
        if name.is_empty() || name.contains(char::is_control) {
            return Err(FrameError::Malformed { part: "plug-in name" });
        }
        let at = Timestamp::from_millis(reader.signed("result time")?);
        let run_time = Duration::from_millis(reader.varint("run time")?);
        let code = usize::from(reader.byte("status")?);
        let status = *STATUSES.get(code).ok_or(FrameError::Malformed { part: "status" })?;
        let length = reader.varint("output")?;
        limit("bytes of output", usize::try_from(length).unwrap_or(usize::MAX), OUTPUT_BYTES_MAX)?;
        let bytes = reader.take(length as usize, "output")?;
        let output = std::str::from_utf8(bytes)
            .map_err(|_| FrameError::Malformed { part: "output" })?
            .to_owned();
        results.push(PluginResult { name, at, run_time, status, output });
    }
    Ok(results)
}
