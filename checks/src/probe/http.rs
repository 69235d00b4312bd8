//! HTTP and HTTPS: one request, what came back, and where the time went.
//!
//! `http/spec.rs` holds what a check is told, `judge` what it makes of the answer; `plain` a connection
//! without TLS.

mod judge;
mod plain;
mod spec;

use std::net::Ipv6Addr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use hyper::{Method, Request, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use noroshi_model::{Status, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};

use super::Family;
use super::connect::{connect, host_and_port};
use super::finding::Finding;
use super::tcp::measures;
use super::tls::{self, Chain};
use crate::macros::Macros;
use judge::judge;
use plain::Plain;
pub use spec::{HttpProbe, JsonWish};

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
    version: Version,
    location: Option<String>,
    /// What the server said the length is; `None`: nothing.
    length: Option<u64>,
    body: Vec<u8>,
    chain: Option<Chain>,
    is_v6: bool,
    phases: Phases,
    /// How many redirects led here.
    redirects: u8,
}

/// A request ready to be sent.
struct Ask {
    uri: Uri,
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    connect_to: Option<String>,
    family: Family,
}

/// Asks and judges.
pub(crate) async fn look(probe: &HttpProbe, macros: &Macros, now: Timestamp) -> Finding {
    let ask = match Ask::new(probe, macros) {
        Ok(ask) => ask,
        Err(why) => return Finding::unknown(why),
    };
    let begun = Instant::now();
    match ask.send_and_follow(probe.redirects_max, now).await {
        Ok(answer) => judge(probe, &answer, begun.elapsed(), now),
        Err(why) => {
            let mut finding = Finding::new(Status::Critical, why);
            finding.measures.extend(measures(Status::Critical, begun.elapsed()));
            finding
        }
    }
}

/// A request that an event handler makes.
#[derive(Debug)]
pub(crate) struct UrlCall {
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// Makes the call and wants a status of 200 to 299. Texts of errors do not hold the URL, which may
/// hold a secret.
pub(crate) async fn call_url(
    call: UrlCall,
    limit: Duration,
    now: Timestamp,
) -> Result<u16, String> {
    let uri: Uri = call.url.parse().map_err(|error| format!("this is no URL: {error}"))?;
    if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("this is no http or https URL".to_owned());
    }
    let method = call.method.parse().map_err(|_| format!("{:?} is no method", call.method))?;
    let mut headers = Vec::new();
    for (name, value) in &call.headers {
        let pair = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
        let (Ok(name), Ok(value)) = pair else {
            return Err(format!("{name:?} is no header, or its value is none"));
        };
        headers.push((name, value));
    }
    let ask =
        Ask { uri, method, headers, body: call.body.into(), connect_to: None, family: Family::Any };
    let answer = timeout(limit, ask.send(now))
        .await
        .map_err(|_| format!("timed out after {} s", limit.as_secs_f64()))??;
    if let Some(fault) = answer.chain.and_then(|chain| chain.fault) {
        return Err(format!("the certificate does not verify: {fault}"));
    }
    let status = answer.status;
    if status.is_success() { Ok(status.as_u16()) } else { Err(format!("HTTP {status}")) }
}

impl Ask {
    fn new(probe: &HttpProbe, macros: &Macros) -> Result<Self, String> {
        let url = macros.expand(&bracketed(&probe.url, macros), &[]);
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
            let password = macros.expand(password.reveal(), &[]);
            let plain = format!("{}:{password}", macros.expand(user, &[]));
            headers.push(authorization(&format!("Basic {}", BASE64.encode(plain)))?);
        }
        if let Some(token) = &probe.bearer {
            let token = macros.expand(token.reveal(), &[]);
            headers.push(authorization(&format!("Bearer {token}"))?);
        }
        let body = Bytes::from(macros.expand(&probe.body, &[]));
        let connect_to = probe.connect_to.as_ref().map(|text| macros.expand(text, &[]));
        Ok(Self { uri, method, headers, body, connect_to, family: probe.family })
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
            Some(to) => {
                host_and_port(to, self.host(), Some(port)).unwrap_or_else(|| (to.clone(), port))
            }
            None => (self.host().to_owned(), port),
        }
    }

    /// Asks, and asks where a redirect points, at most `redirects_max` times.
    async fn send_and_follow(
        mut self,
        redirects_max: u8,
        now: Timestamp,
    ) -> Result<Answer, String> {
        let mut phases = Phases::default();
        let mut redirects = 0;
        loop {
            let mut answer = self.send(now).await?;
            phases.add(answer.phases);
            let next = answer.location.take().filter(|_| answer.status.is_redirection());
            match next {
                Some(_) if redirects_max > 0 && redirects == redirects_max => {
                    return Err(format!("more than {redirects_max} redirects"));
                }
                Some(location) if redirects < redirects_max => {
                    redirects += 1;
                    self.follow(&location, answer.status)?;
                }
                _ => return Ok(Answer { phases, redirects, ..answer }),
            }
        }
    }

    /// Goes where a redirect points. Passwords stay with the host that they are for.
    fn follow(&mut self, location: &str, status: StatusCode) -> Result<(), String> {
        let next = resolved(&self.uri, location)
            .ok_or_else(|| format!("redirected to {location:?}, which is no http or https URL"))?;
        if next.authority() != self.uri.authority() || next.scheme() != self.uri.scheme() {
            self.headers.retain(|(name, _)| *name != AUTHORIZATION && *name != HOST);
            self.connect_to = None;
        }
        let is_kept = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT];
        if self.method != Method::HEAD && !is_kept.contains(&status) {
            self.method = Method::GET;
            self.body = Bytes::new();
        }
        self.uri = next;
        Ok(())
    }

    /// Connects, asks, and reads the answer.
    async fn send(&self, now: Timestamp) -> Result<Answer, String> {
        let (host, port) = self.address();
        let connected = connect(&host, port, self.family).await;
        let connected = connected.map_err(|error| noroshi_model::chain(&error))?;
        let mut phases =
            Phases { resolve: connected.resolve, connect: connected.connect, ..Phases::default() };
        let mut answer = if self.is_https() {
            let begun = Instant::now();
            let (stream, chain) =
                tls::handshake(connected.stream, self.host(), now, &[b"http/1.1"]).await?;
            phases.tls = begun.elapsed();
            Answer { chain: Some(chain), ..self.exchange(stream, phases).await? }
        } else {
            self.exchange(Plain(connected.stream), phases).await?
        };
        answer.is_v6 = connected.is_v6;
        Ok(answer)
    }

    /// Sends the request over a connection and reads the answer.
    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
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
            let (head, body) = response.into_parts();
            Ok::<_, String>((head, first, read(body).await?))
        });
        let mut connection = std::pin::pin!(connection);
        let mut is_open = true;
        let (head, first, body) = loop {
            tokio::select! {
                answer = &mut asking => break answer?,
                // The answer may still be on its way through the channel.
                _ = &mut connection, if is_open => is_open = false,
            }
        };
        phases.processing = first;
        phases.transfer = begun.elapsed().saturating_sub(first);
        let text = |name: HeaderName| head.headers.get(name)?.to_str().ok();
        Ok(Answer {
            status: head.status,
            version: head.version,
            location: text(LOCATION).map(str::to_owned),
            length: text(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            body,
            chain: None,
            is_v6: false,
            phases,
            redirects: 0,
        })
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
        if !has(&CONNECTION) {
            // Nothing more is asked on this connection.
            request = request.header(CONNECTION, "close");
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

/// Makes a header that is never shown.
fn authorization(value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let value = value.parse::<HeaderValue>();
    let mut value = value.map_err(|_| "the password or token cannot be sent".to_owned())?;
    value.set_sensitive(true);
    Ok((AUTHORIZATION, value))
}

/// Puts brackets around the host's address where a URL wants them: around one of IPv6.
fn bracketed(url: &str, macros: &Macros) -> String {
    let is_named = url.contains("//$HOSTADDRESS$");
    let is_v6 = is_named && macros.expand("$HOSTADDRESS$", &[]).parse::<Ipv6Addr>().is_ok();
    if is_v6 { url.replace("//$HOSTADDRESS$", "//[$HOSTADDRESS$]") } else { url.to_owned() }
}

/// Returns where `location` points, seen from `from`; `None` when it is no http or https URL.
///
/// Source: RFC 3986, section 5.2; fragments are the client's own.
fn resolved(from: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next()?;
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let head = location.split(['/', '?']).next()?;
    if head.contains(':') && !location.contains("://") {
        return None;
    }
    let text = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", from.path())
    } else {
        let folder = &from.path()[..from.path().rfind('/').map_or(0, |slash| slash + 1)];
        format!("{scheme}://{authority}{folder}{location}")
    };
    let next: Uri = text.parse().ok()?;
    let is_page = next.host().is_some() && matches!(next.scheme_str(), Some("http" | "https"));
    is_page.then_some(next)
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

#[cfg(test)]
mod tests;
