//! Asks a running server over its HTTP API.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use super::ServerArgs;
use crate::daemon::LocalAccess;

/// The server that is asked when nothing names one.
const SERVER: &str = "http://127.0.0.1:8420";
/// Longest that a command waits for an answer.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Longest that a command waits for work that takes as long as the disk takes.
const TIMEOUT_OF_WORK: Duration = Duration::from_hours(12);
/// Largest answer that is read: far above a page of a large site.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A server and the key for it.
pub(super) struct Client {
    authority: String,
    is_tls: bool,
    token: Option<String>,
}

/// What is sent.
struct Content {
    mime: &'static str,
    text: String,
}

impl Content {
    fn json(body: &Value) -> Self {
        Self { mime: "application/json", text: body.to_string() }
    }
}

/// What a server answered.
pub(super) struct Answer {
    /// The status of HTTP.
    pub(super) status: StatusCode,
    /// The body.
    pub(super) body: Bytes,
}

impl Client {
    /// Finds the server and the key that the arguments name, or those that a server left in the
    /// data folder. The folder's key goes to the folder's server only.
    pub(super) fn new(args: &ServerArgs) -> anyhow::Result<Self> {
        let local = LocalAccess::read(&args.data.data);
        match (&args.server, local) {
            (Some(server), Some(local)) if *server == local.url => {
                Self::to(server, args.token.clone().or(Some(local.token)))
            }
            (Some(server), _) => Self::to(server, args.token.clone()),
            (None, Some(local)) => Self::to(&local.url, args.token.clone().or(Some(local.token))),
            (None, None) => Self::to(SERVER, args.token.clone()),
        }
    }

    /// Names a server and a key.
    pub(super) fn to(server: &str, token: Option<String>) -> anyhow::Result<Self> {
        let (is_tls, rest) = match server.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => bail!("--server {server} must begin with http:// or https://"),
        };
        let mut authority = rest.trim_end_matches('/').to_owned();
        if authority.is_empty() || authority.contains('/') {
            bail!("--server {server} must be like http://noc.example.org:8420");
        }
        if !authority.rsplit(']').next().unwrap_or_default().contains(':') {
            authority.push_str(if is_tls { ":443" } else { ":80" });
        }
        Ok(Self { authority, is_tls, token })
    }

    /// Reads a JSON document.
    pub(super) fn read(&self, path: &str) -> anyhow::Result<Value> {
        self.json(&self.send(Method::GET, path, None)?)
    }

    /// Reads a JSON document that may not be there.
    pub(super) fn find(&self, path: &str) -> anyhow::Result<Option<Value>> {
        let answer = self.send(Method::GET, path, None)?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.json(&answer).map(Some)
    }

    /// Sends a JSON document and reads the answer.
    pub(super) fn write(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.json(&self.send(Method::POST, path, Some(Content::json(body)))?)
    }

    /// Puts a JSON document in the place of what is there and reads the answer.
    pub(super) fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.json(&self.send(Method::PUT, path, Some(Content::json(body)))?)
    }

    /// Sends a JSON document that sets long work going, and waits for its end.
    pub(super) fn write_patiently(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = Content::json(body);
        self.json(&self.send_within(TIMEOUT_OF_WORK, Method::POST, path, Some(body))?)
    }

    /// Sends lines of JSON that set long work going, and waits for its end.
    pub(super) fn write_lines(&self, path: &str, lines: String) -> anyhow::Result<Value> {
        let lines = Content { mime: "application/x-ndjson", text: lines };
        self.json(&self.send_within(TIMEOUT_OF_WORK, Method::POST, path, Some(lines))?)
    }

    /// Removes something.
    pub(super) fn delete(&self, path: &str) -> anyhow::Result<Value> {
        self.json(&self.send(Method::DELETE, path, None)?)
    }

    /// Tells whether a server answers at all.
    pub(super) fn answers(&self) -> bool {
        self.send(Method::GET, "/healthz", None).is_ok()
    }

    /// Returns the server's address as a URL, without slash at the end.
    pub(super) fn url(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.authority)
    }

    /// Reads any document.
    pub(super) fn fetch(&self, path: &str) -> anyhow::Result<Bytes> {
        let answer = self.send(Method::GET, path, None)?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        bail!("{}", self.refusal(&answer))
    }

    fn json(&self, answer: &Answer) -> anyhow::Result<Value> {
        if !answer.status.is_success() {
            bail!("{}", self.refusal(answer));
        }
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).context("the server's answer is not JSON")
    }

    /// Returns what a refusal means and what to do.
    fn refusal(&self, answer: &Answer) -> String {
        if answer.status == StatusCode::UNAUTHORIZED {
            return match self.token {
                None => "the server wants a key; pass --token or set NOROSHI_TOKEN".to_owned(),
                Some(_) => "the server does not know this key; make one with `noroshi token \
                            create NAME --role operator`"
                    .to_owned(),
            };
        }
        let told = serde_json::from_slice::<Value>(&answer.body).ok();
        let message = told
            .as_ref()
            .and_then(|body| body["error"]["message"].as_str().or_else(|| body["error"].as_str()));
        match message {
            Some(message) => message.to_owned(),
            None => format!("the server answered {}", answer.status),
        }
    }

    /// Reads a document of any length, piece by piece.
    ///
    /// An answer that breaks off is an error; what came before it has been written.
    pub(super) fn stream(&self, path: &str, out: &mut dyn Write) -> anyhow::Result<()> {
        runtime()?.block_on(async {
            let (answer, _connection) = self.begin(Method::GET, path, None).await?;
            let (parts, mut body) = answer.into_parts();
            if !parts.status.is_success() {
                let body = read_whole(body).await?;
                bail!("{}", self.refusal(&Answer { status: parts.status, body }));
            }
            while let Some(frame) = body.frame().await {
                let frame = frame.context("the server's answer broke off; its log says why")?;
                if let Some(piece) = frame.data_ref() {
                    out.write_all(piece).context("cannot write what the server sent")?;
                }
            }
            Ok(())
        })
    }

    fn send(&self, method: Method, path: &str, body: Option<Content>) -> anyhow::Result<Answer> {
        self.send_within(TIMEOUT, method, path, body)
    }

    fn send_within(
        &self,
        patience: Duration,
        method: Method,
        path: &str,
        body: Option<Content>,
    ) -> anyhow::Result<Answer> {
        runtime()?.block_on(async {
            let exchange = async {
                let (answer, _connection) = self.begin(method, path, body).await?;
                let status = answer.status();
                Ok(Answer { status, body: read_whole(answer.into_body()).await? })
            };
            tokio::time::timeout(patience, exchange)
                .await
                .with_context(|| format!("{} did not answer in time", self.authority))?
        })
    }

    /// Sends a request and returns the answer's head, its body still to come.
    async fn begin(
        &self,
        method: Method,
        path: &str,
        body: Option<Content>,
    ) -> anyhow::Result<(Response<Incoming>, Connection)> {
        let stream = tokio::net::TcpStream::connect(&self.authority).await.with_context(|| {
            format!("cannot reach the server at {}; is `noroshi` running?", self.authority)
        })?;
        if self.is_tls {
            let stream = self.secure(stream).await?;
            return self.begin_over(stream, method, path, body).await;
        }
        self.begin_over(stream, method, path, body).await
    }

    /// Begins TLS with the roots that browsers trust.
    async fn secure(
        &self,
        stream: tokio::net::TcpStream,
    ) -> anyhow::Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let config =
            rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let host = self.authority.rsplit_once(':').map_or("", |(host, _)| host);
        let name = rustls_pki_types::ServerName::try_from(host.to_owned())
            .with_context(|| format!("{host} is no name that a certificate can hold"))?;
        tokio_rustls::TlsConnector::from(std::sync::Arc::new(config))
            .connect(name, stream)
            .await
            .with_context(|| format!("no TLS with {}", self.authority))
    }

    async fn begin_over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        method: Method,
        path: &str,
        body: Option<Content>,
    ) -> anyhow::Result<(Response<Incoming>, Connection)> {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.authority)
            .header("user-agent", concat!("noroshi/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(body) = &body {
            request = request.header("content-type", body.mime);
        }
        let text = body.map(|body| body.text).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(text)))?;
        let answer = sender.send_request(request).await?;
        Ok((answer, Connection { _sender: sender, driver }))
    }
}

/// A connection; it ends with the value.
struct Connection {
    /// The connection closes when nobody can send any more.
    _sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<Result<(), hyper::Error>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn read_whole(body: Incoming) -> anyhow::Result<Bytes> {
    let read = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let read = read.map_err(|error| anyhow::anyhow!("cannot read the server's answer: {error}"))?;
    Ok(read.to_bytes())
}

/// Returns a text as part of a URL's query or path (RFC 3986, unreserved characters stay).
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
