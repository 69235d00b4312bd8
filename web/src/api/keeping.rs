//! Copies of the store: whole, into a folder on the server's own machine, and as lines of JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body as Content, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use noroshi_expr::{Expr, When};
use noroshi_model::{Labels, Matcher, Timestamp};
use noroshi_store::{BackupError, RrdError, TransferError, TransferReport};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::body::JsonBody;
use crate::app::App;
use crate::arguments::{ArgumentError, Arguments};
use crate::error::ApiError;
use crate::route::{Access, Body, Route, Value};

/// Bytes of a piece of an export: large against the cost of sending it.
const PIECE_BYTES: usize = 64 << 10;
/// Longest dump, and most lines at once: four data sources with a hundred thousand rows are 10 MB
/// of XML.
const DUMP_BYTES_MAX: usize = 256 << 20;
/// Pieces that are made before a slow reader has taken the first: a megabyte a reader.
const PIECES_MAX: usize = 16;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/backup", Access::Admin, backup)
            .summary("Copies the running store into a new or empty folder on the server's machine")
            .request(Body::Json("BackupTarget"))
            .answer(Body::Json("BackupDone"))
            .stream(),
        Route::get("/api/v1/export", Access::Admin, export)
            .summary(
                "Series as lines of JSON, as they are stored; `noroshi import samples` reads them",
            )
            .takes("match", Value::Text, "only series that this selector matches")
            .takes("start", Value::Time, "only what came at or after this moment")
            .takes("end", Value::Time, "only what came at or before this moment")
            .answer(Body::Other("application/x-ndjson"))
            .stream(),
        Route::post("/api/v1/import/rrd", Access::Admin, import_rrd)
            .summary(
                "Takes in what `rrdtool dump` prints of one file: the rows of all its archives",
            )
            .request(Body::Json("RrdDump"))
            .answer(Body::Json("RrdTaken"))
            .body_bytes_max(DUMP_BYTES_MAX)
            .stream(),
        Route::post("/api/v1/import/samples", Access::Admin, import_samples)
            .summary("Takes in lines of JSON as `/api/v1/export` writes them; what is there stays")
            .request(Body::Other("application/x-ndjson"))
            .answer(Body::Json("LinesTaken"))
            .body_bytes_max(DUMP_BYTES_MAX)
            .stream(),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackupTarget {
    path: PathBuf,
}

#[derive(Serialize)]
struct BackupDone {
    files: u64,
    bytes: u64,
}

async fn backup(
    State(app): State<Arc<App>>,
    JsonBody(BackupTarget { path }): JsonBody<BackupTarget>,
) -> Result<Json<BackupDone>, ApiError> {
    if !path.is_absolute() {
        return Err(ApiError::BadRequest("path must begin with /".to_owned()));
    }
    let deps = (Arc::clone(&app.deps.store), Arc::clone(&app.deps.configuration));
    let copy = tokio::task::spawn_blocking(move || {
        let (store, configuration) = deps;
        let mut report = store.backup(&path)?;
        let kept = configuration.back_up(&path);
        let (files, bytes) = kept.map_err(|source| BackupError::Io { path, source })?;
        (report.files, report.bytes) = (report.files + files, report.bytes + bytes);
        Ok(report)
    });
    let report = copy.await.map_err(|error| ApiError::internal("a backup panicked", &error))?;
    let report = report.map_err(|error| match &error {
        BackupError::NotEmpty { .. } => ApiError::Conflict(error.to_string()),
        // An admin may know what the disk says, and can mend it.
        BackupError::Io { source, .. } => ApiError::Unprocessable(format!("{error}: {source}")),
        BackupError::Foreign { .. } => ApiError::internal("cannot back up the store", &error),
    })?;
    Ok(Json(BackupDone { files: report.files, bytes: report.bytes }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RrdDump {
    labels: BTreeMap<String, String>,
    dump: String,
}

#[derive(Serialize)]
struct RrdTaken {
    rows: u64,
    refused: u64,
}

async fn import_rrd(
    State(app): State<Arc<App>>,
    JsonBody(RrdDump { labels, dump }): JsonBody<RrdDump>,
) -> Result<Json<RrdTaken>, ApiError> {
    let store = Arc::clone(&app.deps.store);
    let taken = tokio::task::spawn_blocking(move || {
        let taken = store.import_rrd(&dump, &Labels::new(labels))?;
        Ok((taken, store.checkpoint()))
    });
    let taken = taken.await.map_err(|error| ApiError::internal("an import panicked", &error))?;
    let (taken, is_durable) =
        taken.map_err(|error: RrdError| ApiError::Unprocessable(error.to_string()))?;
    if !is_durable {
        let what = "the rows are not on the disk; the server's log says why";
        return Err(ApiError::Unavailable(what.to_owned()));
    }
    Ok(Json(RrdTaken { rows: taken.rows, refused: taken.refused }))
}

#[derive(Serialize)]
struct LinesTaken {
    lines: u64,
    samples: u64,
    rows: u64,
    refused: u64,
}

async fn import_samples(
    State(app): State<Arc<App>>,
    lines: Bytes,
) -> Result<Json<LinesTaken>, ApiError> {
    let store = Arc::clone(&app.deps.store);
    let taken = tokio::task::spawn_blocking(move || store.import(&mut lines.as_ref())).await;
    let taken = taken.map_err(|error| ApiError::internal("an import panicked", &error))?;
    let report = taken.map_err(|error| match &error {
        TransferError::Refused { source, .. } => {
            ApiError::Unavailable(format!("{error}: {source}"))
        }
        TransferError::NotDurable => ApiError::Unavailable(error.to_string()),
        _ => ApiError::Unprocessable(error.to_string()),
    })?;
    let TransferReport { lines, samples, rows, refused } = report;
    Ok(Json(LinesTaken { lines, samples, rows, refused }))
}

async fn export(
    State(app): State<Arc<App>>,
    arguments: Result<Arguments, ArgumentError>,
) -> Result<Response, ApiError> {
    let arguments = arguments?;
    let matchers = arguments.text("match").map_or(Ok(Vec::new()), selector)?;
    // The start is inclusive here, and exclusive in the store.
    let after =
        arguments.time("start")?.map_or(Timestamp::MIN, |start| start - Duration::from_millis(1));
    let until = arguments.time("end")?.unwrap_or(Timestamp::MAX);
    let store = Arc::clone(&app.deps.store);
    let (pieces, taken) = mpsc::channel(PIECES_MAX);
    tokio::task::spawn_blocking(move || {
        let mut out = Pieces { pieces, piece: Vec::with_capacity(PIECE_BYTES) };
        let done = store.export(&matchers, after, until, &mut out);
        let done = done.map_err(io::Error::other).and_then(|_| out.flush());
        if let Err(error) = done {
            // The reader sees that the answer is not whole; it may be the reader who left.
            tracing::warn!(%error, "an export ended early");
            drop(out.pieces.blocking_send(Err(error)));
        }
    });
    let body = stream::unfold(taken, async |mut taken| Some((taken.recv().await?, taken)));
    let mime = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((mime, Content::from_stream(body)).into_response())
}

/// Reads matchers of labels: `{site="tokyo"}`.
pub(super) fn selector(text: &str) -> Result<Vec<Matcher>, ArgumentError> {
    let bad = |reason: String| ArgumentError::invalid("match", reason);
    match noroshi_expr::parse(text).map_err(|error| bad(error.to_string()))? {
        Expr::Selector(selector) if selector.when == When::default() => Ok(selector.matchers),
        _ => Err(bad("only a selector without offset and @ is allowed here".to_owned())),
    }
}

/// Hands on what is written, in pieces; waits while the reader is behind.
struct Pieces {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        let sent = self.pieces.blocking_send(Ok(piece.into()));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the reader has left"))
    }
}
