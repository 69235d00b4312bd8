//! From a compressed body to frames with the labels of the server.

use std::collections::HashMap;
use std::io;
use std::io::Read as _;
use std::sync::Arc;

use noroshi_model::frame::{self, Frame, SeriesTable};
use parking_lot::Mutex;
use zstd::zstd_safe::{DCtx, ResetDirective, get_error_name};

use super::IngestError;

/// Largest window of a compressed frame: 2^23 bytes, the least that RFC 8878 (3.1.1.1.2) wants
/// every decoder to support. Level 3, which agents use, has windows of at most 2 MiB; more is an
/// attack on memory.
const WINDOW_LOG_MAX: u32 = 23;
/// Series of all hosts whose labels are kept for their next frame, some 50 bytes each besides the
/// labels, which the store has as well. When there are more, all are forgotten and read anew.
const KEPT_SERIES_MAX: usize = 2_000_000;
/// Benches that are kept for later bodies: as many as are unpacked at once by a usual machine.
const BENCHES_MAX: usize = 8;
/// Benches whose buffer is larger than this, in bytes, are not kept.
const BENCH_BYTES_MAX: usize = 1 << 20;

/// A frame as it was read.
pub(super) struct Read {
    /// The frame; its series have the labels that only the server may set.
    pub(super) frame: Frame,
    /// How many series it lists.
    pub(super) series: usize,
}

/// Unpacks bodies; remembers each host's series, which are the same from frame to frame.
pub(super) struct Unpacker {
    decoded_bytes_max: usize,
    tables: Mutex<Tables>,
    benches: Mutex<Vec<Bench>>,
}

#[derive(Default)]
struct Tables {
    by_host: HashMap<String, Arc<SeriesTable>>,
    series: usize,
}

/// What unpacking needs and need not be made each time.
struct Bench {
    context: DCtx<'static>,
    plain: Vec<u8>,
}

impl Unpacker {
    pub(super) fn new(decoded_bytes_max: usize) -> Self {
        Self { decoded_bytes_max, tables: Mutex::default(), benches: Mutex::default() }
    }

    /// Decompresses and reads frames; series get `instance` (the frame's host) and `job="node"`.
    pub(super) fn unpack(&self, compressed: &[u8]) -> Result<Vec<Read>, IngestError> {
        let kept = self.benches.lock().pop();
        let mut bench =
            kept.unwrap_or_else(|| Bench { context: DCtx::create(), plain: Vec::new() });
        self.decompress(compressed, &mut bench)?;
        let frames = self.read(&bench.plain);
        let mut benches = self.benches.lock();
        if bench.plain.capacity() <= BENCH_BYTES_MAX && benches.len() < BENCHES_MAX {
            benches.push(bench);
        }
        frames
    }

    /// Decompresses; stops at the bound before memory is taken for more.
    fn decompress(&self, compressed: &[u8], bench: &mut Bench) -> Result<(), IngestError> {
        let Bench { context, plain } = bench;
        let reset = context.reset(ResetDirective::SessionOnly);
        let refused = |code| io::Error::other(get_error_name(code));
        reset.map_err(refused).map_err(IngestError::Compression)?;
        let mut decoder = zstd::stream::read::Decoder::with_context(compressed, context);
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(IngestError::Compression)?;
        plain.clear();
        let bytes_max = self.decoded_bytes_max;
        let mut bounded = decoder.take(bytes_max as u64 + 1);
        bounded.read_to_end(plain).map_err(IngestError::Compression)?;
        if plain.len() > bytes_max {
            return Err(IngestError::TooLarge { bytes: plain.len(), bytes_max });
        }
        Ok(())
    }

    fn read(&self, mut plain: &[u8]) -> Result<Vec<Read>, IngestError> {
        let mut frames = Vec::new();
        while !plain.is_empty() {
            let (opened, rest) = frame::open(plain).map_err(IngestError::Frame)?;
            plain = rest;
            let host = opened.host().to_owned();
            let known = self.tables.lock().by_host.get(&host).cloned();
            let before = known.as_ref().map(Arc::as_ptr);
            let own = [("instance", host.as_str()), ("job", "node")];
            let (frame, table) = opened.read(known, &own).map_err(IngestError::Frame)?;
            frames.push(Read { frame, series: table.len() });
            // A frame of results alone has no series, and says nothing of the next reading's.
            if !table.is_empty() && before != Some(Arc::as_ptr(&table)) {
                self.tables.lock().keep(host, table);
            }
        }
        Ok(frames)
    }
}

impl Tables {
    fn keep(&mut self, host: String, table: Arc<SeriesTable>) {
        // A table without series takes room as well.
        let weight = |table: &Arc<SeriesTable>| table.len() + 1;
        if self.series + weight(&table) > KEPT_SERIES_MAX {
            *self = Self::default();
        }
        self.series += weight(&table);
        if let Some(before) = self.by_host.insert(host, table) {
            self.series -= weight(&before);
        }
    }
}
