//! The named pipe: lines in, whoever writes them.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, chmod, mknodat};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use super::Command;
use crate::checks::Checks;
use crate::handed::{Fate, Road};

/// How long a line may be: a result with 64 KiB of output, and some more.
const LINE_BYTES_MAX: usize = 72 * 1024;

/// Reads commands from a named pipe until `stop`; makes the pipe if it is not there.
///
/// A line that is no command is logged and left out. Errors: the pipe cannot be made or opened, or
/// there is a file of that name that is no pipe.
pub async fn serve_commands(
    path: &Path,
    checks: Arc<Checks>,
    stop: CancellationToken,
) -> io::Result<()> {
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP;
    match mknodat(CWD, path, FileType::Fifo, mode, 0) {
        // The mask of the process may have taken the group's rights.
        Ok(()) => chmod(path, mode)?,
        Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    // Open for writing too, so that the pipe does not end with its last writer.
    let pipe = pipe::OpenOptions::new().read_write(true).open_receiver(path)?;
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        tokio::select! {
            read = read_line(&mut reader, &mut line) => read?,
            () = stop.cancelled() => return Ok(()),
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        line.clear();
        if text.trim().is_empty() {
            continue;
        }
        match Command::parse(&text) {
            Ok(command) => {
                let is_result = matches!(command, Command::Submit(_));
                let done = checks.execute(command).await;
                if is_result {
                    checks.note_handed(Road::CommandFile, &done);
                }
                if let Err(error) = done {
                    let error = noroshi_model::chain(&error);
                    tracing::warn!(command = text.trim_end(), error, "command not done");
                }
            }
            Err(error) => {
                tracing::warn!(command = text.trim_end(), %error, "no command");
                let handed = checks.handed_in();
                handed.note_refused(
                    Road::CommandFile,
                    Fate::Unreadable,
                    error.to_string(),
                    checks.now(),
                );
            }
        }
    }
}

/// Reads up to the end of a line; of a longer one than is taken the rest is left out.
///
/// Cancel: what was read so far stays in `line`.
async fn read_line(
    reader: &mut (impl AsyncBufReadExt + Unpin),
    line: &mut Vec<u8>,
) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf().await?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(buffer.len(), |end| end + 1);
        let room = LINE_BYTES_MAX.saturating_sub(line.len());
        line.extend_from_slice(&buffer[..count.min(room)]);
        reader.consume(count);
        if end.is_some() || count == 0 {
            return Ok(());
        }
    }
}
