//! TCP: a connection, and a first word with the usual services.
//!
//! `tcp/spec.rs` holds what a check is told; `talk` the bytes, in plain and by TLS; `mail`, `ldap`
//! and `sql` what is said to whom.

mod ldap;
mod mail;
mod spec;
mod sql;
mod talk;

use std::time::Duration;

use noroshi_model::quantity::format_duration;
use noroshi_model::{Status, Timestamp};
use tokio::time::{Instant, timeout};

use super::connect::{connect, host_and_port};
use super::finding::{Finding, Measure, judge_time, time_data};
use super::tls;
use crate::macros::Macros;
pub use spec::{Protocol, Security, TcpProbe};
use talk::Talk;

/// How much of a greeting is shown.
const SHOWN_CHARS_MAX: usize = 120;
/// How long a service has to say goodbye; nothing is judged by that.
const GOODBYE_MAX: Duration = Duration::from_millis(200);

/// What a service said, and what is said to it last.
struct Said {
    text: String,
    goodbye: &'static [u8],
}

impl Said {
    fn new(text: String, goodbye: &'static str) -> Self {
        Self { text, goodbye: goodbye.as_bytes() }
    }
}

/// Connects and talks.
pub(crate) async fn look(probe: &TcpProbe, macros: &Macros, now: Timestamp) -> Finding {
    let target = macros.expand(&probe.target, &[]);
    let own = macros.expand("$HOSTADDRESS$", &[]);
    let usual = probe.protocol.port(probe.security);
    let Some((host, port)) = host_and_port(&target, &own, usual) else {
        return Finding::unknown(format!("{target:?} is no host:port"));
    };
    let name = macros.expand(&probe.server_name, &[]);
    let name = if name.is_empty() { &host } else { &name };
    let begun = Instant::now();
    let connected = match connect(&host, port, probe.family).await {
        Ok(connected) => connected,
        Err(error) => return failed(noroshi_model::chain(&error), begun.elapsed()),
    };
    let mut lookup = vec![Measure::of("probe_dns_lookup_time_seconds", connected.resolve)];
    lookup.push(Measure::new("probe_ip_protocol", if connected.is_v6 { 6.0 } else { 4.0 }));
    let talk = Talk::new(connected.stream, name, now);
    let (mut talk, said) = match converse(talk, probe, macros).await {
        Ok(talked) => talked,
        Err(error) => return failed(format!("{host}:{port}: {error}"), begun.elapsed()),
    };
    let time = begun.elapsed();
    let mut finding = judge(probe, &talk, &said, now);
    finding.worsen(judge_time(time, probe.warning, probe.critical));
    let told = std::mem::take(&mut finding.output);
    finding.output = format!("{host}:{port} answers in {}{told}", precise(time));
    finding.perfdata.insert(0, time_data("time", time, probe.warning, probe.critical));
    finding.measures.extend(measures(finding.status, time));
    finding.measures.extend(lookup);
    leave(&mut talk, said.goodbye).await;
    finding
}

/// Judges what was said and the certificate; the output is what follows the time.
fn judge(probe: &TcpProbe, talk: &Talk, said: &Said, now: Timestamp) -> Finding {
    let mut finding = Finding::new(Status::Ok, "");
    let shown = shown(&said.text);
    if !shown.is_empty() {
        finding.output = format!(": {shown}");
    }
    if !said.text.contains(&probe.greeting) {
        finding.worsen(Status::Critical);
        finding.output = format!(": {shown:?} does not hold {:?}", probe.greeting);
    }
    if let Some(chain) = &talk.chain {
        let limits = (probe.certificate_days_warning, probe.certificate_days_critical);
        let (status, text) = chain.judge(now, limits.0, limits.1, probe.is_insecure);
        finding.worsen(status);
        finding.output = format!("{}, {text}", finding.output);
        finding.perfdata.extend(tls::days_data(chain, now, limits));
        finding.measures.extend(tls::expiry(chain));
    }
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
        Measure::new("probe_success", f64::from(u8::from(is_fine))),
        Measure::of("probe_duration_seconds", time),
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
async fn converse(
    mut talk: Talk,
    probe: &TcpProbe,
    macros: &Macros,
) -> Result<(Talk, Said), String> {
    let security = probe.security;
    if security == Security::Tls {
        talk = talk.start_tls().await?;
    }
    let expand = |text: &String| macros.expand(text, &[]);
    match &probe.protocol {
        Protocol::Connect => Ok((talk, Said::new(String::new(), ""))),
        Protocol::Smtp => mail::smtp(talk, security).await,
        Protocol::Imap => mail::imap(talk, security).await,
        Protocol::Pop3 => mail::pop3(talk, security).await,
        Protocol::Ftp => mail::ftp(talk, security).await,
        Protocol::Ssh => mail::ssh(talk).await,
        Protocol::Ldap { base } => ldap::ldap(talk, security, &expand(base)).await,
        Protocol::Mysql { user } => sql::mysql(talk, security, &expand(user)).await,
        Protocol::Postgresql { user, database } => {
            sql::postgresql(talk, security, &expand(user), &expand(database)).await
        }
        Protocol::Expect { send, expect } => {
            talk.say(unescape(&expand(send))).await?;
            let wanted = unescape(&expand(expect));
            if wanted.is_empty() {
                return Ok((talk, Said::new(String::new(), "")));
            }
            let said = talk.until(&wanted).await?;
            if said.contains(&wanted) {
                return Ok((talk, Said::new(said, "")));
            }
            Err(format!("expected {wanted:?}, got {:?}", shown(&said)))
        }
    }
}

/// Says goodbye and waits a moment for the answer, so that the service has nothing to complain of.
async fn leave(talk: &mut Talk, goodbye: &[u8]) {
    if !goodbye.is_empty() {
        let leaving = async {
            talk.say(goodbye).await?;
            talk.more().await
        };
        drop(timeout(GOODBYE_MAX, leaving).await);
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
