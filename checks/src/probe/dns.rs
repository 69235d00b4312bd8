//! DNS: one question to one server, without a cache between.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use noroshi_model::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

use super::DnsProbe;
use super::finding::{Finding, judge_time, time_data};
use super::names;
use super::tcp::{measures, precise};
use crate::macros::Macros;

/// After this time without an answer the question is sent again: a datagram may be lost.
const RESEND_AFTER: Duration = Duration::from_secs(2);
/// How many times a question is sent at most; the check's time-out may come sooner.
const TRIES: usize = 3;
/// How many answers the output names.
const SHOWN_MAX: usize = 5;

/// Asks and judges the answer.
pub(crate) async fn look(probe: &DnsProbe, macros: &Macros) -> Finding {
    let name = macros.expand(&probe.name, &[]);
    let Ok(asked) = Name::from_utf8(&name) else {
        return Finding::unknown(format!("{name:?} is no DNS name"));
    };
    let Some(record) = record_type(&probe.record) else {
        return Finding::unknown(format!("{:?} is no record type", probe.record));
    };
    let own = if probe.server.is_empty() { "$HOSTADDRESS$" } else { &probe.server };
    let server = macros.expand(own, &[]);
    let begun = Instant::now();
    let asked = match address(&server, 53).await {
        Ok(address) => ask(address, asked, record).await,
        Err(why) => Err(why),
    };
    let time = begun.elapsed();
    let answer = match asked {
        Ok(answer) => answer,
        Err(why) => {
            let mut finding = Finding::new(Status::Critical, format!("{server}: {why}"));
            finding.measures.extend(measures(Status::Critical, time));
            return finding;
        }
    };
    let mut finding = judge(probe, &name, &answer);
    finding.worsen(judge_time(time, probe.warning, probe.critical));
    finding.output = format!("{} in {}", finding.output, precise(time));
    finding.perfdata.push(time_data("time", time, probe.warning, probe.critical));
    let status = finding.status;
    finding.measures.extend(measures(status, time));
    finding
}

/// Returns the type of record of a name such as `MX`; `None` when there is none.
pub(crate) fn record_type(name: &str) -> Option<RecordType> {
    name.to_uppercase().parse().ok()
}

/// Resolves `host` or `host:port`, an IPv6 address with or without brackets.
pub(crate) async fn address(text: &str, port: u16) -> Result<SocketAddr, String> {
    if let Ok(ip) = text.parse() {
        return Ok(SocketAddr::new(ip, port));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, digits)) => digits.parse().map_or((text, port), |port| (host, port)),
        None => (text, port),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = names::lookup(bare, port).await;
    let found =
        found.map_err(|error| format!("does not resolve: {}", noroshi_model::chain(&error)))?;
    found.first().copied().ok_or_else(|| "has no address".to_owned())
}

fn judge(probe: &DnsProbe, name: &str, answer: &Message) -> Finding {
    let code = answer.metadata.response_code;
    let record = probe.record.to_uppercase();
    if code != ResponseCode::NoError {
        return Finding::new(Status::Critical, format!("{name} {record}: {code}"));
    }
    let wanted = record_type(&record);
    let found: Vec<String> = answer
        .answers
        .iter()
        .filter(|found| wanted.is_some_and(|wanted| found.record_type() == wanted))
        .map(|found| found.data.to_string())
        .collect();
    let same = |a: &str, b: &str| {
        let plain = |text: &str| text.trim_end_matches('.').trim_matches('"').to_lowercase();
        plain(a) == plain(b)
    };
    let missing: Vec<&str> = probe
        .expect
        .iter()
        .filter(|wanted| !found.iter().any(|found| same(found, wanted)))
        .map(String::as_str)
        .collect();
    let shown = found.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join(", ");
    if found.is_empty() {
        Finding::new(Status::Critical, format!("{name} has no {record}"))
    } else if !missing.is_empty() {
        let missing = missing.join(", ");
        Finding::new(Status::Critical, format!("{name} {record}: {shown}; missing: {missing}"))
    } else if probe.is_authoritative && !answer.metadata.authoritative {
        Finding::new(Status::Critical, format!("{name} {record}: {shown}, without authority"))
    } else {
        Finding::new(Status::Ok, format!("{name} {record}: {shown}"))
    }
}

/// Asks by UDP, and by TCP when the answer does not fit.
async fn ask(server: SocketAddr, name: Name, record: RecordType) -> Result<Message, String> {
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name, record));
    let id = question.metadata.id;
    let bytes = question.to_vec().map_err(|error| error.to_string())?;
    let answer = by_udp(server, &bytes, id).await?;
    if answer.metadata.truncation { by_tcp(server, &bytes).await } else { Ok(answer) }
}

async fn by_udp(server: SocketAddr, question: &[u8], id: u16) -> Result<Message, String> {
    let text = |error: std::io::Error| noroshi_model::chain(&error);
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await.map_err(text)?;
    socket.connect(server).await.map_err(text)?;
    let mut buffer = vec![0; 4096];
    for _ in 0..TRIES {
        socket.send(question).await.map_err(text)?;
        let waited = timeout(RESEND_AFTER, async {
            loop {
                let count = socket.recv(&mut buffer).await.map_err(text)?;
                // What is no answer to this question is not for us.
                match Message::from_vec(&buffer[..count]) {
                    Ok(answer) if answer.metadata.id == id => return Ok(answer),
                    _ => {}
                }
            }
        });
        if let Ok(answer) = waited.await {
            return answer;
        }
    }
    Err("no answer".to_owned())
}

async fn by_tcp(server: SocketAddr, question: &[u8]) -> Result<Message, String> {
    let text = |error: std::io::Error| noroshi_model::chain(&error);
    let mut stream = TcpStream::connect(server).await.map_err(text)?;
    let length = u16::try_from(question.len()).map_err(|error| error.to_string())?;
    stream.write_all(&length.to_be_bytes()).await.map_err(text)?;
    stream.write_all(question).await.map_err(text)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).await.map_err(text)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).await.map_err(text)?;
    Message::from_vec(&answer).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
