//! TCP: a connection, and a first word with the usual services.

use std::time::Duration;

use noroshi_model::Status;
use noroshi_model::quantity::format_duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::Instant;

use super::finding::{Finding, Measure, judge_time, time_data};
use super::{Protocol, TcpProbe};
use crate::macros::Macros;

/// How much of a greeting is read.
const GREETING_BYTES_MAX: usize = 4096;
/// How much of a greeting is shown.
const SHOWN_CHARS_MAX: usize = 120;

/// Why a connection could not be made: a small set of names for texts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The name has no address.
    #[error("{host} does not resolve")]
    Resolve {
        host: String,
        #[source]
        source: std::io::Error,
    },
    /// The name resolves to nothing.
    #[error("{host} has no address")]
    NoAddress { host: String },
    /// No address answers.
    #[error("cannot connect to {target}")]
    Connect {
        target: String,
        #[source]
        source: std::io::Error,
    },
}

/// A connection, with how long its parts took.
pub(crate) struct Connected {
    pub(crate) stream: TcpStream,
    pub(crate) resolve: Duration,
    pub(crate) connect: Duration,
}

/// Connects to `host:port`, trying each address of the name in turn.
pub(crate) async fn connect(host: &str, port: u16) -> Result<Connected, ConnectError> {
    let begun = Instant::now();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let resolved = lookup_host((bare, port)).await;
    let addresses =
        resolved.map_err(|source| ConnectError::Resolve { host: host.to_owned(), source })?;
    let resolve = begun.elapsed();
    let begun = Instant::now();
    let mut last = ConnectError::NoAddress { host: host.to_owned() };
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(Connected { stream, resolve, connect: begun.elapsed() }),
            Err(source) => last = ConnectError::Connect { target: address.to_string(), source },
        }
    }
    Err(last)
}

/// Divides `host:port`; without a colon it is the port, and the host is the check's own.
pub(crate) fn host_and_port(target: &str, own: &str) -> Option<(String, u16)> {
    match target.rsplit_once(':') {
        Some((host, port)) => Some((host.to_owned(), port.parse().ok()?)),
        None => Some((own.to_owned(), target.parse().ok()?)),
    }
}

/// Connects and talks.
pub(crate) async fn look(probe: &TcpProbe, macros: &Macros) -> Finding {
    let target = macros.expand(&probe.target, &[]);
    let own = macros.expand("$HOSTADDRESS$", &[]);
    let Some((host, port)) = host_and_port(&target, &own) else {
        return Finding::unknown(format!("{target:?} is no host:port"));
    };
    let begun = Instant::now();
    let mut connected = match connect(&host, port).await {
        Ok(connected) => connected,
        Err(error) => return failed(noroshi_model::chain(&error), begun.elapsed()),
    };
    let said = match talk(&mut connected.stream, &probe.protocol).await {
        Ok(said) => said,
        Err(error) => return failed(error, begun.elapsed()),
    };
    let time = begun.elapsed();
    let status = judge_time(time, probe.warning, probe.critical);
    let mut output = format!("{host}:{port} answers in {}", precise(time));
    if !said.is_empty() {
        output = format!("{output}: {said}");
    }
    let mut finding = Finding::new(status, output);
    finding.perfdata.push(time_data("time", time, probe.warning, probe.critical));
    finding.measures.extend(measures(status, time));
    finding
}

fn failed(text: String, time: Duration) -> Finding {
    let mut finding = Finding::new(Status::Critical, text);
    finding.measures.extend(measures(Status::Critical, time));
    finding
}

/// Returns the series that every probe writes, named as `blackbox_exporter` names them.
pub(crate) fn measures(status: Status, time: Duration) -> [Measure; 2] {
    let is_fine = !matches!(status, Status::Critical | Status::Unknown);
    [
        Measure { name: "probe_success", label: None, value: f64::from(u8::from(is_fine)) },
        Measure { name: "probe_duration_seconds", label: None, value: time.as_secs_f64() },
    ]
}

/// Writes a duration of a probe: below a second in milliseconds.
pub(crate) fn precise(time: Duration) -> String {
    match time {
        time if time < Duration::from_secs(1) => {
            format!("{:.1} ms", time.as_secs_f64() * 1000.0)
        }
        time if time < Duration::from_mins(1) => format!("{:.2} s", time.as_secs_f64()),
        time => format_duration(time),
    }
}

/// Talks the protocol; returns what the server said first, or why that is not right.
async fn talk(stream: &mut TcpStream, protocol: &Protocol) -> Result<String, String> {
    match protocol {
        Protocol::Connect => Ok(String::new()),
        Protocol::Ssh => greeting(stream, &["SSH-"], "").await,
        Protocol::Ftp => greeting(stream, &["220"], "QUIT\r\n").await,
        Protocol::Pop3 => greeting(stream, &["+OK"], "QUIT\r\n").await,
        Protocol::Imap => greeting(stream, &["* OK", "* PREAUTH"], "a LOGOUT\r\n").await,
        Protocol::Smtp => {
            let said = greeting(stream, &["220"], "EHLO noroshi.invalid\r\n").await?;
            greeting(stream, &["250"], "QUIT\r\n").await?;
            Ok(said)
        }
        Protocol::Expect { send, expect } => {
            write(stream, &unescape(send)).await?;
            if expect.is_empty() {
                return Ok(String::new());
            }
            let wanted = unescape(expect);
            let said = read_until(stream, |said| said.contains(&wanted)).await?;
            if said.contains(&wanted) {
                return Ok(shown(&said));
            }
            Err(format!("expected {wanted:?}, got {:?}", shown(&said)))
        }
    }
}

/// Reads a line, which must begin with one of `prefixes`, and answers.
async fn greeting(
    stream: &mut TcpStream,
    prefixes: &[&str],
    answer: &str,
) -> Result<String, String> {
    let said = read_until(stream, |said| said.contains('\n')).await?;
    if !prefixes.iter().any(|prefix| said.starts_with(prefix)) {
        return Err(format!("expected {:?} first, got {:?}", prefixes[0], shown(&said)));
    }
    write(stream, answer).await?;
    Ok(shown(&said))
}

async fn write(stream: &mut TcpStream, text: &str) -> Result<(), String> {
    let written = stream.write_all(text.as_bytes()).await;
    written.map_err(|error| format!("the connection broke: {}", noroshi_model::chain(&error)))
}

/// Reads until `is_enough`, the end of the stream, or the bound.
async fn read_until(
    stream: &mut TcpStream,
    is_enough: impl Fn(&str) -> bool,
) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 512];
    loop {
        let read = stream.read(&mut buffer).await;
        let count = read
            .map_err(|error| format!("the connection broke: {}", noroshi_model::chain(&error)))?;
        bytes.extend_from_slice(&buffer[..count]);
        let said = String::from_utf8_lossy(&bytes);
        if count == 0 || is_enough(&said) || bytes.len() >= GREETING_BYTES_MAX {
            return Ok(said.into_owned());
        }
    }
}

/// Returns the first line, cut to what is shown.
fn shown(said: &str) -> String {
    let line = said.lines().next().unwrap_or("").trim();
    line.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect()
}

/// Understands `\r`, `\n`, `\t` and `\\`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some(other)) => out.push(other),
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
