//! One connection to the server, kept as long as it lasts.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use noroshi_checks::on_host::LookSpec;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::Settings;
use super::counters::FailureKind;
use super::target::{Target, TargetError};

/// Longest time for name, connection and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time for one of a name's addresses: IPv6 without a route must not cost all of it.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest time from the request's first byte to the answer's last.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest answer that is read, in bytes; the server's own have less than 1 KiB.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Longest text of an answer that goes into the log.
const MESSAGE_CHARACTERS_MAX: usize = 200;

/// Largest token file, in bytes.
const TOKEN_BYTES_MAX: usize = 4096;

const USER_AGENT_TEXT: &str = concat!("noroshi-agent/", env!("CARGO_PKG_VERSION"));

/// Sends bodies.
pub(crate) struct Client {
    target: Target,
    token_file: PathBuf,
    authorization: Authorization,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connection: Option<Connection>,
    /// Which list of looks is in force; empty: none.
    looks_version: String,
}

/// Tells the server which list of looks the agent has.
const LOOKS_HEADER: &str = "noroshi-looks";

/// The header with the token; never shown.
struct Authorization(hyper::header::HeaderValue);

struct Connection {
    requests: SendRequest<Full<Bytes>>,
    /// Moves the bytes; ends with the connection or with this.
    _driver: AbortOnDropHandle<()>,
}

/// What the server says it did with the samples of a body.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Receipt {
    pub(crate) accepted: u64,
    pub(crate) too_old: u64,
    pub(crate) in_future: u64,
    pub(crate) over_budget: u64,
    /// Plug-ins of this host's config that somebody wants to be run at once, by name.
    pub(crate) run: Vec<String>,
    /// What the server wants to be looked at, when it is other than what the request told.
    pub(crate) looks: Option<Looks>,
}

/// What the server wants to be looked at on this host.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Looks {
    /// Told with each request, so that the server sees which list is in force.
    pub(crate) version: String,
    pub(crate) list: Vec<LookSpec>,
}

/// Why a client cannot be made: the operator has to change something.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address.
    #[error("the server's address cannot be used")]
    Target(#[source] TargetError),
    /// The name in the address cannot stand in a certificate.
    #[error("{host:?} is neither a host's name nor an address")]
    Name {
        /// The name.
        host: String,
    },
    /// The token cannot be read.
    #[error("cannot read the token in {path}")]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds no token.
    #[error(
        "{path} holds no token; make one on the server: noroshi token create NAME --role agent"
    )]
    NoToken {
        /// The file.
        path: PathBuf,
    },
    /// The further certificate authorities cannot be read.
    #[error("cannot read certificates in {path}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS as a whole.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
}

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("cannot connect to {authority}")]
    Connect {
        authority: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "TLS with {authority} failed; is its certificate signed by an authority known here (--ca)?"
    )]
    Tls {
        authority: String,
        #[source]
        source: io::Error,
    },
    #[error("the connection broke")]
    Broken(#[source] hyper::Error),
    #[error("no answer within {seconds} s")]
    Timeout { seconds: u64 },
    #[error(
        "the server does not accept the token in {path} ({status}); make one there by `noroshi token create NAME --role agent` and put it into that file: it is read again before each attempt, and readings are kept meanwhile"
    )]
    Unauthorized { path: PathBuf, status: StatusCode },
    #[error(
        "the server knows another machine by this host's name: give one of the two another (--host): {text}"
    )]
    Conflict { text: String },
    #[error("the server cannot take readings now ({status}): {text}")]
    Busy { status: StatusCode, after: Option<Duration>, text: String },
    #[error("the server refuses the readings ({status}): {text}")]
    Refused { status: StatusCode, text: String },
    #[error("unexpected answer {status}; is {authority} a noroshi server?")]
    Unexpected { status: StatusCode, authority: String },
}

impl SendError {
    pub(crate) fn kind(&self) -> FailureKind {
        match self {
            Self::Connect { .. } | Self::Broken(_) => FailureKind::Connect,
            Self::Tls { .. } => FailureKind::Tls,
            Self::Timeout { .. } => FailureKind::Timeout,
            Self::Unauthorized { .. } => FailureKind::Unauthorized,
            Self::Conflict { .. } => FailureKind::Conflict,
            Self::Busy { .. } => FailureKind::Busy,
            Self::Refused { .. } => FailureKind::Refused,
            Self::Unexpected { .. } => FailureKind::Unexpected,
        }
    }

    /// Returns how long the server asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if let Self::Busy { after, .. } = self { *after } else { None }
    }
}

impl Client {
    /// Prepares everything but the connection: address, token, certificates.
    pub(crate) fn new(settings: &Settings) -> Result<Self, ClientError> {
        let target = Target::parse(&settings.server).map_err(ClientError::Target)?;
        let authorization = read_token(&settings.token_file)?;
        let tls = if target.is_tls {
            let name = ServerName::try_from(target.host.clone())
                .map_err(|_| ClientError::Name { host: target.host.clone() })?;
            Some((connector(settings.ca.as_deref())?, name))
        } else {
            None
        };
        let token_file = settings.token_file.clone();
        let looks_version = String::new();
        Ok(Self { target, token_file, authorization, tls, connection: None, looks_version })
    }

    /// Takes note of the list of looks that is in force: each request tells it.
    pub(crate) fn has_looks(&mut self, version: String) {
        self.looks_version = version;
    }

    /// Sends a body and returns the receipt.
    ///
    /// Cancel: the body may have been taken or not; it can be sent again without harm.
    pub(crate) async fn send(&mut self, body: Bytes) -> Result<Receipt, SendError> {
        // A kept connection may have been closed at the other end since: then once more.
        if let Some(connection) = self.connection.take() {
            match self.send_over(connection, body.clone()).await {
                Err(SendError::Broken(error)) => {
                    tracing::debug!(%error, "kept connection was closed");
                }
                result => return result,
            }
        }
        let seconds = CONNECT_TIMEOUT.as_secs();
        let connection = timeout(CONNECT_TIMEOUT, self.connect())
            .await
            .map_err(|_| SendError::Timeout { seconds })??;
        self.send_over(connection, body).await
    }

    async fn send_over(
        &mut self,
        mut connection: Connection,
        body: Bytes,
    ) -> Result<Receipt, SendError> {
        let exchange = async {
            connection.requests.ready().await.map_err(SendError::Broken)?;
            let answer = connection.requests.send_request(self.request(body)).await;
            read(answer.map_err(SendError::Broken)?).await
        };
        let seconds = REQUEST_TIMEOUT.as_secs();
        let (status, after, text) = timeout(REQUEST_TIMEOUT, exchange)
            .await
            .map_err(|_| SendError::Timeout { seconds })??;
        if !connection.requests.is_closed() {
            self.connection = Some(connection);
        }
        self.judge(status, after, &text)
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        // The path is part of a URI that was parsed.
        *request.uri_mut() = self.target.path.parse().unwrap_or_default();
        let headers = request.headers_mut();
        if let Ok(host) = self.target.authority.parse() {
            headers.insert(HOST, host);
        }
        let text = hyper::header::HeaderValue::from_static;
        headers.insert(USER_AGENT, text(USER_AGENT_TEXT));
        headers.insert(CONTENT_TYPE, text("application/vnd.noroshi.frames"));
        headers.insert(AUTHORIZATION, self.authorization.0.clone());
        if let Ok(version) = self.looks_version.parse() {
            headers.insert(LOOKS_HEADER, version);
        }
        request
    }

    /// Decides what an answer means.
    fn judge(
        &mut self,
        status: StatusCode,
        after: Option<Duration>,
        text: &str,
    ) -> Result<Receipt, SendError> {
        match status.as_u16() {
            200..=299 => Ok(serde_json::from_str(text).unwrap_or_default()),
            401 | 403 => {
                let path = self.token_file.clone();
                // The operator may have put a new one there; the next attempt takes it.
                if let Ok(authorization) = read_token(&path) {
                    self.authorization = authorization;
                }
                Err(SendError::Unauthorized { path, status })
            }
            400 | 413 | 415 | 422 => Err(SendError::Refused { status, text: message(text) }),
            409 => Err(SendError::Conflict { text: message(text) }),
            429 | 502..=504 => Err(SendError::Busy { status, after, text: message(text) }),
            _ => {
                let authority = self.target.authority.clone();
                Err(SendError::Unexpected { status, authority })
            }
        }
    }

    async fn connect(&self) -> Result<Connection, SendError> {
        let authority = || self.target.authority.clone();
        let stream = self
            .connect_tcp()
            .await
            .map_err(|source| SendError::Connect { authority: authority(), source })?;
        match &self.tls {
            None => handshake(stream).await,
            Some((connector, name)) => {
                let stream = connector
                    .connect(name.clone(), stream)
                    .await
                    .map_err(|source| SendError::Tls { authority: authority(), source })?;
                handshake(stream).await
            }
        }
    }

    /// Tries the name's addresses in turn.
    async fn connect_tcp(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in tokio::net::lookup_host((&*self.target.host, self.target.port)).await? {
            match timeout(ADDRESS_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(last)
    }
}

async fn handshake<S>(stream: S) -> Result<Connection, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (requests, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(SendError::Broken)?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection ended");
        }
    });
    Ok(Connection { requests, _driver: AbortOnDropHandle::new(driver) })
}

/// Reads status, `Retry-After` and at most [`ANSWER_BYTES_MAX`] of text; a longer one is dropped.
async fn read(
    answer: Response<Incoming>,
) -> Result<(StatusCode, Option<Duration>, String), SendError> {
    let status = answer.status();
    let after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let text = match Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => return Err(SendError::Broken(*error)),
            Err(_) => String::new(),
        },
    };
    Ok((status, after, text))
}

/// Returns what an answer says to people: `error.message` of the JSON, or the text; one short line.
fn message(text: &str) -> String {
    let json = serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    let message = json["error"]["message"].as_str().unwrap_or(text);
    message.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARACTERS_MAX).collect()
}

fn read_token(path: &Path) -> Result<Authorization, ClientError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ClientError::Token { path: path.into(), source })?;
    let token = text.lines().next().unwrap_or("").trim();
    let no_token = || ClientError::NoToken { path: path.into() };
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
        return Err(no_token());
    }
    let value = hyper::header::HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| no_token())?;
    value.set_sensitive(true);
    Ok(Authorization(value))
}

/// Trusts the public authorities and those of the file.
fn connector(ca: Option<&Path>) -> Result<TlsConnector, ClientError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca {
        let error = |source: Box<dyn std::error::Error + Send + Sync>| ClientError::Authorities {
            path: path.into(),
            source,
        };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|e| error(e.into()))?;
        let mut added = 0;
        for certificate in certificates {
            let certificate = certificate.map_err(|e| error(e.into()))?;
            roots.add(certificate).map_err(|e| error(e.into()))?;
            added += 1;
        }
        if added == 0 {
            return Err(error("it holds no certificate in PEM form".into()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_in_one_short_line() {
        for (text, expected) in [
            (r#"{"error":{"kind":"frame","message":"it is\nbroken"}}"#, "it isbroken"),
            (r#"{"error":"other"}"#, r#"{"error":"other"}"#),
            ("<html>\n<b>Bad</b>", "<html><b>Bad</b>"),
            ("", ""),
        ] {
            assert_eq!(message(text), expected);
        }
        assert_eq!(message(&"x".repeat(1000)).len(), MESSAGE_CHARACTERS_MAX);
    }

    #[test]
    fn a_token_is_the_first_line_of_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            read_token(file.path()).map(|token| token.0.to_str().unwrap().to_owned())
        };
        assert_eq!(read("nrs_1\n").unwrap(), "Bearer nrs_1");
        assert_eq!(read("  nrs_1  \r\nsecond line").unwrap(), "Bearer nrs_1");
        for bad in ["", "\nnrs_1", "a\u{7}b", &"x".repeat(5000)] {
            assert!(matches!(read(bad), Err(ClientError::NoToken { .. })), "{bad:?}");
        }
    }
}
