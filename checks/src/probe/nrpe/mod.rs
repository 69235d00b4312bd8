//! NRPE: asks a Nagios Remote Plugin Executor to run a plug-in on its host.
//!
//! `packet` is the bytes; `secure` the ways to the server. One question and one answer a
//! connection. A server that knows only older packets hangs up on newer ones; then the older are
//! tried, and what was understood is remembered for an hour.

mod packet;
mod secure;

use std::collections::HashMap;
use std::time::Duration;

use noroshi_model::Status;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::Family;
use super::NrpeProbe;
use super::connect::{ConnectError, connect};
use super::finding::Finding;
use super::tcp::measures;
use crate::macros::Macros;
use crate::plugin::{Exit, understand};
pub use packet::NrpeVersion;
use packet::{HEAD_BYTES, LONG_HEAD_BYTES, PacketError, SHORT_BYTES, STRAY_BYTES};
pub use secure::NrpeCertificates;
use secure::{Carrier, SecureError};

/// What stands between command and arguments.
const SEPARATOR: char = '!';
/// How long it is remembered which packets a server understands.
const MEMORY: Duration = Duration::from_hours(1);
/// Of how many servers it is remembered; beyond, all are asked anew.
const SERVERS_MAX: usize = 65_536;

/// How the connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NrpeTls {
    /// Not at all: `nrpe -n`.
    Plain,
    /// Encrypted, but by whom is not known: what NRPE does without certificates. Runs `openssl`.
    Anonymous,
    /// By certificates.
    Certificates(NrpeCertificates),
}

/// Which packets servers understand.
#[derive(Debug, Default)]
pub(crate) struct Versions(Mutex<HashMap<(String, u16), (NrpeVersion, Instant)>>);

impl Versions {
    /// Returns the versions to try.
    fn to_try(&self, server: &(String, u16), wanted: Option<NrpeVersion>) -> Vec<NrpeVersion> {
        if let Some(version) = wanted {
            return vec![version];
        }
        match self.0.lock().get(server) {
            Some((version, at)) if at.elapsed() < MEMORY => vec![*version],
            _ => NrpeVersion::ALL.to_vec(),
        }
    }

    fn remember(&self, server: (String, u16), version: NrpeVersion) {
        let mut known = self.0.lock();
        let is_remembered = |(old, at): &(_, Instant)| *old == version && at.elapsed() < MEMORY;
        if known.get(&server).is_some_and(is_remembered) {
            return;
        }
        if known.len() >= SERVERS_MAX {
            known.clear();
        }
        known.insert(server, (version, Instant::now()));
    }

    fn forget(&self, server: &(String, u16)) {
        self.0.lock().remove(server);
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum NrpeError {
    #[error(transparent)]
    Connect(ConnectError),
    #[error(transparent)]
    Secure(SecureError),
    /// Nothing came, not a byte.
    #[error(
        "the server hangs up without an answer: is this machine in allowed_hosts of its nrpe.cfg, \
         and does it take TLS?"
    )]
    Silent,
    #[error("the server hangs up in the middle of its answer")]
    Cut,
    #[error("the connection broke")]
    Broken(#[source] std::io::Error),
    #[error(transparent)]
    Packet(PacketError),
    #[error("command and arguments are too long for version 2 of the protocol")]
    QueryTooLong,
    #[error("no TLS: {complaint}")]
    Carrier { complaint: String },
}

/// An answer: what the plug-in returned and wrote.
#[derive(Debug)]
struct Answer {
    version: NrpeVersion,
    code: i32,
    output: Vec<u8>,
}

/// Asks, and understands the answer as that of a plug-in.
pub(crate) async fn look(probe: &NrpeProbe, macros: &Macros, versions: &Versions) -> Finding {
    let own = if probe.address.is_empty() { "$HOSTADDRESS$" } else { &probe.address };
    let server = (macros.expand(own, &[]), probe.port);
    let command = macros.expand(&probe.command, &[]);
    let arguments: Vec<String> =
        probe.arguments.iter().map(|argument| macros.expand(argument, &[])).collect();
    let query = match query(&command, &arguments) {
        Ok(query) => query,
        Err(why) => return Finding::unknown(why),
    };
    let begun = Instant::now();
    let way = Way { tls: &probe.tls, macros };
    match ask(&way, &server, &query, versions.to_try(&server, probe.version)).await {
        Ok(answer) => {
            versions.remember(server, answer.version);
            let it = understand(&Exit::Code(answer.code), &answer.output, b"");
            let mut finding = Finding::new(it.status, it.output);
            finding.long_output = it.long_output;
            finding.perfdata = it.perfdata;
            finding.measures.extend(measures(it.status, begun.elapsed()));
            finding
        }
        Err(error) => {
            versions.forget(&server);
            let mut text = noroshi_model::chain(&error);
            if matches!(error, NrpeError::Silent) && !arguments.is_empty() {
                text.push_str(
                    " Does it take arguments? It must be built for it, and say dont_blame_nrpe=1",
                );
            }
            let mut finding = Finding::new(Status::Critical, text);
            finding.measures.extend(measures(Status::Critical, begun.elapsed()));
            finding
        }
    }
}

/// Puts command and arguments together; `Err` says why the server would read something else.
fn query(command: &str, arguments: &[String]) -> Result<String, String> {
    let mut query = command.to_owned();
    for (index, text) in
        std::iter::once(command).chain(arguments.iter().map(String::as_str)).enumerate()
    {
        if text.contains([SEPARATOR, '\0']) {
            let what = if index == 0 { "the command".into() } else { format!("argument {index}") };
            return Err(format!("{what} holds `!`, which NRPE takes for the next argument"));
        }
    }
    for argument in arguments {
        query.push(SEPARATOR);
        query.push_str(argument);
    }
    Ok(query)
}

/// How to get to a server.
struct Way<'a> {
    tls: &'a NrpeTls,
    macros: &'a Macros,
}

/// Asks in each version until one is answered.
async fn ask(
    way: &Way<'_>,
    server: &(String, u16),
    query: &str,
    versions: Vec<NrpeVersion>,
) -> Result<Answer, NrpeError> {
    let mut first = None;
    for version in versions {
        let Some(packet) = packet::query(version, query) else {
            first.get_or_insert(NrpeError::QueryTooLong);
            continue;
        };
        match ask_once(way, server, &packet).await {
            // Not understood, or not allowed: the older packets tell.
            Err(error @ NrpeError::Silent) => drop(first.get_or_insert(error)),
            other => return other,
        }
    }
    Err(first.unwrap_or(NrpeError::Silent))
}

async fn ask_once(
    way: &Way<'_>,
    (host, port): &(String, u16),
    packet: &[u8],
) -> Result<Answer, NrpeError> {
    if matches!(way.tls, NrpeTls::Anonymous) {
        let mut carrier = Carrier::start(host, *port).map_err(NrpeError::Secure)?;
        let answer = exchange(&mut carrier.stream, packet).await;
        if !matches!(answer, Err(NrpeError::Silent | NrpeError::Broken(_))) {
            return answer;
        }
        let complaint = carrier.complaint().await;
        return if complaint.is_empty() { answer } else { Err(NrpeError::Carrier { complaint }) };
    }
    let mut stream = connect(host, *port, Family::Any).await.map_err(NrpeError::Connect)?.stream;
    match way.tls {
        NrpeTls::Certificates(certificates) => {
            let name = way.macros.expand(&certificates.server_name, &[]);
            let name = if name.is_empty() { host } else { &name };
            let mut stream =
                secure::handshake(certificates, name, stream).await.map_err(NrpeError::Secure)?;
            exchange(&mut stream, packet).await
        }
        NrpeTls::Plain | NrpeTls::Anonymous => exchange(&mut stream, packet).await,
    }
}

/// Sends a question and reads the answer.
async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    packet: &[u8],
) -> Result<Answer, NrpeError> {
    let sent = async {
        stream.write_all(packet).await?;
        stream.flush().await
    };
    // A server that hangs up without reading breaks the pipe: that is silence as well.
    drop(sent.await);
    let mut bytes = Vec::new();
    let is_read = read_to(stream, &mut bytes, HEAD_BYTES).await;
    // A complaint of TLS is shorter than a head.
    if packet::is_tls(&bytes) {
        return Err(NrpeError::Packet(PacketError::Tls));
    }
    is_read?;
    let head = bytes.first_chunk().ok_or(NrpeError::Cut)?;
    let version = packet::version_of(head).map_err(NrpeError::Packet)?;
    if version == NrpeVersion::V2 {
        read_to(stream, &mut bytes, SHORT_BYTES).await?;
    } else {
        read_to(stream, &mut bytes, LONG_HEAD_BYTES).await?;
        let head = bytes.first_chunk().ok_or(NrpeError::Cut)?;
        let length = packet::text_bytes(head).map_err(NrpeError::Packet)?;
        read_to(stream, &mut bytes, LONG_HEAD_BYTES + length).await?;
        // Some servers leave the stray bytes of version 3 out; the checksum tells.
        if version == NrpeVersion::V3 && !packet::is_whole(&bytes) {
            read_to(stream, &mut bytes, LONG_HEAD_BYTES + length + STRAY_BYTES).await?;
        }
    }
    if !packet::is_whole(&bytes) {
        return Err(NrpeError::Packet(PacketError::Checksum));
    }
    let (code, output) = packet::answer(version, &bytes);
    Ok(Answer { version, code, output: output.to_vec() })
}

/// Reads until there are `length` bytes.
async fn read_to(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
    length: usize,
) -> Result<(), NrpeError> {
    let missing = length.saturating_sub(bytes.len()) as u64;
    let read = (&mut *stream).take(missing).read_to_end(bytes).await;
    match read {
        // TLS that ends without saying so is a plain end: NRPE does not say goodbye.
        Ok(_) if bytes.len() >= length => Ok(()),
        _ if bytes.is_empty() => Err(NrpeError::Silent),
        Ok(_) => Err(NrpeError::Cut),
        Err(error) => Err(NrpeError::Broken(error)),
    }
}

#[cfg(test)]
mod tests;
