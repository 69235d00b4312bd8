//! From a name to a connection that speaks HTTP.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::url::Url;
use crate::poll::PollFailure;

/// How long one address may take before the next is tried; the last has what time is left.
///
/// Linux sends its first SYN again after one second, so that a single lost packet is forgiven.
const ADDRESS_TIMEOUT: Duration = Duration::from_millis(1500);

/// How many names are asked of the C library at once. Each takes a thread of those on which records
/// are committed too, and may hang for half a minute.
const LOOKUPS_MAX: usize = 32;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// An open connection; the task that drives it ends with it.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Empty<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Tells whether another request may be sent.
    pub(super) fn is_open(&self) -> bool {
        !self.sender.is_closed() && self.sender.is_ready()
    }

    /// Connects to the first address of the name that takes the connection.
    pub(super) async fn open(url: &Url, tls: Option<&Tls>) -> Result<Self, PollFailure> {
        let stream = open_tcp(&url.host, url.port).await?;
        // Requests are one small packet; waiting for more to send would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        match tls {
            None => Self::speak(TokioIo::new(stream), url).await,
            Some(tls) => {
                let connector = tokio_rustls::TlsConnector::from(Arc::clone(&tls.config));
                let stream = connector.connect(tls.name.clone(), stream).await;
                let failed = |source| PollFailure::Tls { host: url.host.clone(), source };
                Self::speak(TokioIo::new(stream.map_err(failed)?), url).await
            }
        }
    }

    async fn speak<T>(stream: T, url: &Url) -> Result<Self, PollFailure>
    where
        T: Read + Write + Unpin + Send + 'static,
    {
        let failed = |source| PollFailure::Protocol { address: url.authority(), source };
        let (sender, connection) = handshake(stream).await.map_err(failed)?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a polled target ended");
            }
        });
        Ok(Self { sender, driver })
    }
}

/// Connects to the first address of a name that takes the connection.
pub(crate) async fn open_tcp(host: &str, port: u16) -> Result<TcpStream, PollFailure> {
    let resolve = |source| PollFailure::Resolve { host: host.to_owned(), source };
    let addresses = addresses(host, port).await.map_err(|error| resolve(Some(error)))?;
    let last = addresses.len().saturating_sub(1);
    let mut failure = resolve(None);
    for (index, address) in addresses.into_iter().enumerate() {
        let connecting = TcpStream::connect(address);
        let result = if index == last {
            connecting.await
        } else {
            let late = |_| Err(io::ErrorKind::TimedOut.into());
            tokio::time::timeout(ADDRESS_TIMEOUT, connecting).await.unwrap_or_else(late)
        };
        match result {
            Ok(stream) => return Ok(stream),
            Err(source) => {
                failure = PollFailure::Connect { address: address.to_string(), source };
            }
        }
    }
    Err(failure)
}

/// Returns the first addresses of a name.
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    static THREADS: Semaphore = Semaphore::const_new(LOOKUPS_MAX);
    // It is never closed. The place is given back when the thread is free, not when nobody waits
    // for it any longer: a time-out does not end `getaddrinfo`.
    let place = THREADS.acquire().await.ok();
    let host = host.to_owned();
    let look = move || {
        let _place = place;
        Ok((host.as_str(), port).to_socket_addrs()?.take(ADDRESSES_MAX).collect())
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// What TLS needs: whom to trust and which name to ask for.
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// Reads the certificates. Errors: [`PollFailure::Config`].
    pub(super) fn new(host: &str, ca_file: Option<&Path>) -> Result<Self, PollFailure> {
        let wrong = |reason: String| PollFailure::Config { reason };
        let mut roots = RootCertStore::empty();
        match ca_file {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                let unread = |error: &dyn std::error::Error| {
                    wrong(format!("cannot read certificates from {}: {error}", path.display()))
                };
                let certificates =
                    CertificateDer::pem_file_iter(path).map_err(|error| unread(&error))?;
                for certificate in certificates {
                    let certificate = certificate.map_err(|error| unread(&error))?;
                    roots.add(certificate).map_err(|error| unread(&error))?;
                }
                if roots.is_empty() {
                    return Err(wrong(format!("{} holds no certificate", path.display())));
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(format!("TLS cannot be used: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| wrong(format!("{host:?} is no name that a certificate can bear")))?;
        Ok(Self { config: Arc::new(config), name })
    }
}
