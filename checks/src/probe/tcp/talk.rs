//! A conversation: bytes out, lines or packets in, bounded, and TLS when it is asked for.

use std::io;

use noroshi_model::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::probe::tls::{self, Chain};

/// How much of one answer is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What the bytes go over.
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }
}

/// A conversation with a service.
pub(super) struct Talk {
    wire: Wire,
    /// What was read and not yet used.
    ahead: Vec<u8>,
    /// The name that a certificate must be for.
    name: String,
    now: Timestamp,
    /// What the certificates said, once there is TLS.
    pub(super) chain: Option<Chain>,
}

impl Talk {
    /// Begins in plain.
    pub(super) fn new(stream: TcpStream, name: &str, now: Timestamp) -> Self {
        let wire = Wire::Plain(stream);
        Self { wire, ahead: Vec::new(), name: name.to_owned(), now, chain: None }
    }

    /// Goes on by TLS.
    pub(super) async fn start_tls(mut self) -> Result<Self, String> {
        if !self.ahead.is_empty() {
            // What was sent in plain must not count as said in secret.
            return Err("the server went on in plain after agreeing to TLS".to_owned());
        }
        let Wire::Plain(stream) = self.wire else { return Ok(self) };
        let (stream, chain) = tls::handshake(stream, &self.name, self.now, &[]).await?;
        self.wire = Wire::Tls(Box::new(stream));
        self.chain = Some(chain);
        Ok(self)
    }

    /// Sends.
    pub(super) async fn say(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), String> {
        self.wire.write(bytes.as_ref()).await.map_err(|error| broken(&error))
    }

    /// Reads more; false at the end of the stream.
    pub(super) async fn more(&mut self) -> Result<bool, String> {
        let mut buffer = [0; 4096];
        let count = self.wire.read(&mut buffer).await.map_err(|error| broken(&error))?;
        self.ahead.extend_from_slice(&buffer[..count]);
        Ok(count > 0)
    }

    /// Reads a line, without its end. What is there counts as one when the stream ends.
    pub(super) async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.ahead.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.ahead.len() >= ANSWER_BYTES_MAX {
                return Err("the server sent a line without end".to_owned());
            }
            if !self.more().await? {
                let rest = std::mem::take(&mut self.ahead);
                if rest.is_empty() {
                    return Err("the server closed the connection".to_owned());
                }
                return Ok(String::from_utf8_lossy(&rest).trim_end().to_owned());
            }
        }
    }

    /// Reads `count` bytes.
    pub(super) async fn exactly(&mut self, count: usize) -> Result<Vec<u8>, String> {
        if count > ANSWER_BYTES_MAX {
            return Err(format!("the server announced {count} bytes, which is no such answer"));
        }
        while self.ahead.len() < count {
            if !self.more().await? {
                return Err("the server closed the connection".to_owned());
            }
        }
        Ok(self.ahead.drain(..count).collect())
    }

    /// Reads until `wanted` was said, the end of the stream, or the bound; returns all of it.
    pub(super) async fn until(&mut self, wanted: &str) -> Result<String, String> {
        loop {
            let said = String::from_utf8_lossy(&self.ahead).into_owned();
            let is_enough = said.contains(wanted) || self.ahead.len() >= ANSWER_BYTES_MAX;
            if is_enough || !self.more().await? {
                return Ok(said);
            }
        }
    }
}

fn broken(error: &io::Error) -> String {
    format!("the connection broke: {}", noroshi_model::chain(error))
}
