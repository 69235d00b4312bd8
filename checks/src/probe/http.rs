//! HTTP and HTTPS: one request, what came back, and where the time went.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use noroshi_model::quantity::format_value;
use noroshi_model::{Perfdata, Status, Timestamp, Unit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};

use super::HttpProbe;
use super::finding::{Finding, Measure, judge_time, time_data};
use super::tcp::{connect, host_and_port, measures, precise};
use super::tls::{self, Chain};
use crate::macros::Macros;

/// How much of a body is read: what is looked for must stand in it.
const BODY_BYTES_MAX: usize = 1 << 20;
/// What the server is told who asks.
const AGENT: &str = concat!("noroshi/", env!("CARGO_PKG_VERSION"));

/// Where the time went. The names of the phases are those of `blackbox_exporter`.
#[derive(Clone, Copy, Debug, Default)]
struct Phases {
    resolve: Duration,
    connect: Duration,
    tls: Duration,
    processing: Duration,
    transfer: Duration,
}

impl Phases {
    fn named(self) -> [(&'static str, Duration); 5] {
        [
            ("resolve", self.resolve),
            ("connect", self.connect),
            ("tls", self.tls),
            ("processing", self.processing),
            ("transfer", self.transfer),
        ]
    }

    fn add(&mut self, other: Self) {
        self.resolve += other.resolve;
        self.connect += other.connect;
        self.tls += other.tls;
        self.processing += other.processing;
        self.transfer += other.transfer;
    }
}

/// What came back.
struct Answer {
    status: StatusCode,
    location: Option<String>,
    body: Vec<u8>,
    chain: Option<Chain>,
    phases: Phases,
}

/// A request ready to be sent.
struct Ask {
    uri: Uri,
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    connect_to: Option<String>,
}

/// Asks and judges.
pub(crate) async fn look(probe: &HttpProbe, macros: &Macros, now: Timestamp) -> Finding {
    let mut ask = match Ask::new(probe, macros) {
        Ok(ask) => ask,
        Err(why) => return Finding::unknown(why),
    };
    let begun = Instant::now();
    let mut phases = Phases::default();
    let mut redirects = 0;
    loop {
        let answer = match ask.send(now).await {
            Ok(answer) => answer,
            Err(why) => {
                let mut finding = Finding::new(Status::Critical, why);
                finding.measures.extend(measures(Status::Critical, begun.elapsed()));
                return finding;
            }
        };
        phases.add(answer.phases);
        let next = answer.location.clone().filter(|_| answer.status.is_redirection());
        match next {
            Some(location) if redirects < probe.redirects_max => {
                redirects += 1;
                if let Err(why) = ask.follow(&location) {
                    return Finding::new(Status::Critical, why);
                }
            }
            _ => return judge(probe, &answer, phases, begun.elapsed(), now),
        }
    }
}

/// Sends a POST with JSON and wants a status of 200 to 299: an event handler's call.
pub(crate) async fn post_json(
    url: &str,
    json: String,
    limit: Duration,
    now: Timestamp,
) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|error| format!("{url:?} is no URL: {error}"))?;
    let json_type = HeaderValue::from_static("application/json");
    let ask = Ask {
        uri,
        method: Method::POST,
        headers: vec![(CONTENT_TYPE, json_type)],
        body: json.into(),
        connect_to: None,
    };
    let answer = timeout(limit, ask.send(now)).await.map_err(|_| "timed out".to_owned())??;
    if let Some(fault) = answer.chain.and_then(|chain| chain.fault) {
        return Err(format!("the certificate does not verify: {fault}"));
    }
    if answer.status.is_success() { Ok(()) } else { Err(format!("HTTP {}", answer.status)) }
}

impl Ask {
    fn new(probe: &HttpProbe, macros: &Macros) -> Result<Self, String> {
        let url = macros.expand(&probe.url, &[]);
        let uri: Uri = url.parse().map_err(|error| format!("{url:?} is no URL: {error}"))?;
        if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(format!("{url:?} is no http or https URL"));
        }
        let method = probe.method.parse();
        let method = method.map_err(|_| format!("{:?} is no method", probe.method))?;
        let mut headers = Vec::new();
        for (name, value) in &probe.headers {
            let value = macros.expand(value, &[]);
            let pair = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
            let (Ok(name), Ok(value)) = pair else {
                return Err(format!("{name:?} is no header, or its value is none"));
            };
            headers.push((name, value));
        }
        if let Some((user, password)) = &probe.basic_auth {
            let plain = format!("{}:{}", macros.expand(user, &[]), macros.expand(password, &[]));
            let value = format!("Basic {}", BASE64.encode(plain));
            let mut value = value.parse::<HeaderValue>().map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            headers.push((AUTHORIZATION, value));
        }
        let body = Bytes::from(macros.expand(&probe.body, &[]));
        let connect_to = probe.connect_to.as_ref().map(|text| macros.expand(text, &[]));
        Ok(Self { uri, method, headers, body, connect_to })
    }

    fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Returns the host of the URL.
    fn host(&self) -> &str {
        self.uri.host().unwrap_or("")
    }

    /// Returns where to connect.
    fn address(&self) -> (String, u16) {
        let default = if self.is_https() { 443 } else { 80 };
        let port = self.uri.port_u16().unwrap_or(default);
        match &self.connect_to {
            Some(to) => match host_and_port(to, self.host()) {
                Some((host, port)) if to.contains(':') => (host, port),
                _ => (to.clone(), port),
            },
            None => (self.host().to_owned(), port),
        }
    }

    /// Goes where a redirect points. Passwords stay with the host that they are for.
    fn follow(&mut self, location: &str) -> Result<(), String> {
        let wrong = || format!("redirected to {location:?}, which is no http or https URL");
        let next: Uri = if location.starts_with('/') && !location.starts_with("//") {
            let mut parts = self.uri.clone().into_parts();
            parts.path_and_query = location.parse().ok();
            Uri::from_parts(parts).map_err(|_| wrong())?
        } else {
            location.parse().map_err(|_| wrong())?
        };
        if next.host().is_none() || !matches!(next.scheme_str(), Some("http" | "https")) {
            return Err(wrong());
        }
        if next.authority() != self.uri.authority() || next.scheme() != self.uri.scheme() {
            self.headers.retain(|(name, _)| *name != AUTHORIZATION);
            self.connect_to = None;
        }
        if self.method != Method::HEAD {
            self.method = Method::GET;
            self.body = Bytes::new();
        }
        self.uri = next;
        Ok(())
    }

    /// Connects, asks, and reads the answer.
    async fn send(&self, now: Timestamp) -> Result<Answer, String> {
        let (host, port) = self.address();
        let connected = connect(&host, port).await.map_err(|error| noroshi_model::chain(&error))?;
        let mut phases =
            Phases { resolve: connected.resolve, connect: connected.connect, ..Phases::default() };
        if !self.is_https() {
            return self.exchange(connected.stream, None, phases).await;
        }
        let begun = Instant::now();
        let (stream, chain) =
            tls::handshake(connected.stream, self.host(), now, &[b"http/1.1"]).await?;
        phases.tls = begun.elapsed();
        self.exchange(stream, Some(chain), phases).await
    }

    /// Sends the request over a connection and reads the answer.
    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        chain: Option<Chain>,
        mut phases: Phases,
    ) -> Result<Answer, String> {
        let begun = Instant::now();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("no HTTP: {}", noroshi_model::chain(&error)))?;
        let request = self.request()?;
        let mut asking = std::pin::pin!(async {
            let response = sender.send_request(request).await;
            let response =
                response.map_err(|error| format!("no answer: {}", noroshi_model::chain(&error)))?;
            let first = begun.elapsed();
            let (status, location) = (response.status(), location(&response));
            Ok::<_, String>((status, location, first, read(response.into_body()).await?))
        });
        let mut connection = std::pin::pin!(connection);
        let mut is_open = true;
        let (status, location, first, body) = loop {
            tokio::select! {
                answer = &mut asking => break answer?,
                // The answer may still be on its way through the channel.
                _ = &mut connection, if is_open => is_open = false,
            }
        };
        phases.processing = first;
        phases.transfer = begun.elapsed().saturating_sub(first);
        Ok(Answer { status, location, body, chain, phases })
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, String> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        // What stands before an `@` is for the client, not for the server.
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let mut request = Request::builder().method(&self.method).uri(path);
        let has = |name: &HeaderName| self.headers.iter().any(|(n, _)| n == name);
        if !has(&HOST) {
            request = request.header(HOST, host);
        }
        if !has(&USER_AGENT) {
            request = request.header(USER_AGENT, AGENT);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body.clone())).map_err(|error| error.to_string())
    }
}

fn location(response: &Response<Incoming>) -> Option<String> {
    let location = response.headers().get(LOCATION)?;
    Some(location.to_str().ok()?.to_owned())
}

/// Reads a body up to its bound; the rest stays with the server.
async fn read(mut body: Incoming) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| format!("the answer broke off: {}", noroshi_model::chain(&error)))?;
        if let Some(data) = frame.data_ref() {
            let room = BODY_BYTES_MAX - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(room)]);
            if bytes.len() == BODY_BYTES_MAX {
                break;
            }
        }
    }
    Ok(bytes)
}

/// Judges status, content, certificate and time; the first line tells the worst first.
fn judge(
    probe: &HttpProbe,
    answer: &Answer,
    phases: Phases,
    time: Duration,
    now: Timestamp,
) -> Finding {
    let mut faults = Vec::new();
    let mut finding = Finding::new(Status::Ok, "");
    if let Err(fault) = judge_answer(probe, answer) {
        finding.worsen(Status::Critical);
        faults.push(fault);
    }
    let mut told = Vec::new();
    if let Some(chain) = &answer.chain {
        let limits = (probe.certificate_days_warning, probe.certificate_days_critical);
        let (status, text) = chain.judge(now, limits.0, limits.1, probe.is_insecure);
        finding.worsen(status);
        finding.perfdata.extend(tls::days_data(chain, now, limits));
        finding.measures.extend(tls::expiry(chain));
        if status.is_problem() { faults.push(text) } else { told.push(text) }
    }
    let status = judge_time(time, probe.warning, probe.critical);
    finding.worsen(status);
    let size = format_value(answer.body.len() as f64, "bytes");
    let reason = answer.status.canonical_reason().unwrap_or("");
    let line = format!("HTTP {} {reason}, {size} in {}", answer.status.as_u16(), precise(time));
    faults.push(line);
    faults.extend(told);
    finding.output = faults.join(", ");
    for (phase, time) in phases.named() {
        let text = format!("{phase} {}", precise(time));
        finding.long_output.push_str(if finding.long_output.is_empty() { "" } else { ", " });
        finding.long_output.push_str(&text);
    }
    finding.perfdata.insert(0, time_data("time", time, probe.warning, probe.critical));
    finding.perfdata.insert(1, size_data(answer.body.len()));
    add_measures(&mut finding, answer, phases, time);
    finding
}

fn judge_answer(probe: &HttpProbe, answer: &Answer) -> Result<(), String> {
    let code = answer.status.as_u16();
    let is_fine = match &probe.statuses[..] {
        [] => (200..400).contains(&code),
        statuses => statuses.contains(&code),
    };
    if !is_fine {
        return Err(format!("status {code} is not wanted"));
    }
    let body = String::from_utf8_lossy(&answer.body);
    if let Some(text) = probe.text.as_ref().filter(|text| !body.contains(text.as_str())) {
        return Err(format!("the body does not hold {text:?}"));
    }
    if let Some(pattern) = &probe.regex {
        let regex = regex::Regex::new(pattern).map_err(|error| format!("{pattern:?}: {error}"))?;
        if !regex.is_match(&body) {
            return Err(format!("the body does not match {pattern:?}"));
        }
    }
    Ok(())
}

fn size_data(bytes: usize) -> Perfdata {
    Perfdata {
        label: "size".to_owned(),
        value: Some(bytes as f64),
        unit: Unit::Bytes,
        warning: None,
        critical: None,
        min: Some(0.0),
        max: None,
    }
}

fn add_measures(finding: &mut Finding, answer: &Answer, phases: Phases, time: Duration) {
    let status = finding.status;
    finding.measures.extend(measures(status, time));
    let code = f64::from(answer.status.as_u16());
    finding.measures.push(Measure { name: "probe_http_status_code", label: None, value: code });
    for (phase, time) in phases.named() {
        finding.measures.push(Measure {
            name: "probe_http_duration_seconds",
            label: Some(("phase", phase)),
            value: time.as_secs_f64(),
        });
    }
}

#[cfg(test)]
mod tests;
