//! The ways to an NRPE server: plain, TLS with certificates, TLS without any.
//!
//! NRPE as it is installed has no certificate and uses anonymous Diffie-Hellman, which encrypts and
//! proves nothing: whoever stands between can read and write. rustls rightly does not have it, and
//! OpenSSL's library would have to be there to build this program; so the `openssl` program carries
//! the bytes of those who ask for it by `tls = "anonymous"`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::plugin::resolve;
use crate::probe::trust::{Lenient, provider, roots};

/// How much of what `openssl` complains of is read.
const COMPLAINT_BYTES_MAX: u64 = 4096;

/// Whom to trust and who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NrpeCertificates {
    /// The authorities to trust, PEM; `None`: the public ones and the machine's own.
    pub ca_file: Option<PathBuf>,
    /// The name that the certificate must be for; empty: the address. Macros are expanded.
    pub server_name: String,
    /// Our own certificate and its key, PEM, for servers that want one (`ssl_client_certs`).
    pub own: Option<(PathBuf, PathBuf)>,
    /// Whether any certificate will do.
    pub is_insecure: bool,
}

/// Why there is no encrypted connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecureError {
    /// A file of certificates or a key cannot be used.
    #[error("cannot use {path}")]
    File {
        path: PathBuf,
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// The certificates do not fit, or the name is none.
    #[error("cannot prepare TLS")]
    Prepare(#[source] rustls::Error),
    /// The name to verify is no name.
    #[error("{name:?} is no name of a server")]
    Name { name: String },
    /// The server has no certificate, as NRPE is installed.
    #[error(
        "the server offers no certificate: give it one (ssl_cert_file and ssl_privatekey_file in \
         its nrpe.cfg), or write tls = \"anonymous\" to encrypt without proof of who it is"
    )]
    Anonymous,
    /// The server ends the connection.
    #[error(
        "the server hangs up before TLS begins: is this machine in allowed_hosts of its nrpe.cfg?"
    )]
    HungUp,
    /// The handshake fails.
    #[error("no TLS")]
    Handshake(#[source] std::io::Error),
    /// There is no `openssl`.
    #[error("tls = \"anonymous\" needs the program openssl, which is not installed")]
    NoProgram,
    /// `openssl` cannot be started.
    #[error("cannot start openssl")]
    Start(#[source] std::io::Error),
}

/// Shakes hands with certificates.
pub(super) async fn handshake(
    certificates: &NrpeCertificates,
    server_name: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, SecureError> {
    let bare = server_name.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(bare)
        .map_err(|_| SecureError::Name { name: server_name.to_owned() })?;
    let connector = TlsConnector::from(Arc::new(client_config(certificates)?));
    connector.connect(name, stream).await.map_err(|error| {
        let tls = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        match tls {
            // What OpenSSL answers when no cipher of the other side needs no certificate.
            Some(rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure)) => {
                SecureError::Anonymous
            }
            None if is_end(&error) => SecureError::HungUp,
            _ => SecureError::Handshake(error),
        }
    })
}

fn is_end(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}

fn client_config(certificates: &NrpeCertificates) -> Result<ClientConfig, SecureError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(SecureError::Prepare)?;
    let builder = if certificates.is_insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Lenient::accepting()))
    } else {
        builder.with_root_certificates(trusted(certificates.ca_file.as_deref())?)
    };
    let Some((certificate, key)) = &certificates.own else {
        return Ok(builder.with_no_client_auth());
    };
    let own: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(std::iter::Iterator::collect);
    let own = own.map_err(|source| SecureError::File { path: certificate.clone(), source })?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|source| SecureError::File { path: key.clone(), source })?;
    builder.with_client_auth_cert(own, secret).map_err(SecureError::Prepare)
}

fn trusted(ca_file: Option<&Path>) -> Result<Arc<RootCertStore>, SecureError> {
    let Some(path) = ca_file else { return Ok(roots()) };
    let failed = |source| SecureError::File { path: path.to_owned(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(failed)? {
        roots.add(certificate.map_err(failed)?).map_err(SecureError::Prepare)?;
    }
    Ok(Arc::new(roots))
}

/// An `openssl` that carries bytes. It is killed when this is dropped.
pub(super) struct Carrier {
    /// What is written to the server goes here, what it answers comes from here.
    pub(super) stream: tokio::io::Join<ChildStdout, ChildStdin>,
    stderr: ChildStderr,
    _child: Child,
}

impl Carrier {
    /// Starts `openssl` to connect to `host:port`, with any cipher and any certificate or none.
    pub(super) fn start(host: &str, port: u16) -> Result<Self, SecureError> {
        let program = resolve("openssl").ok_or(SecureError::NoProgram)?;
        let mut child = Command::new(program)
            // `-quiet` also switches off that lines beginning with Q or R are orders.
            .args(["s_client", "-quiet", "-connect"])
            .arg(host_and_port(host, port))
            // NRPE 2 on an old OpenSSL has TLS 1.0 and a Diffie-Hellman group of 512 bits.
            .args(["-cipher", "ALL:aNULL:@SECLEVEL=0", "-min_protocol", "TLSv1"])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(SecureError::Start)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(SecureError::Start(std::io::Error::other("no pipes")));
        };
        Ok(Self { stream: tokio::io::join(stdout, stdin), stderr, _child: child })
    }

    /// Returns what `openssl` complained of; empty when of nothing. Waits for its end.
    pub(super) async fn complaint(self) -> String {
        drop(self.stream);
        let mut bytes = Vec::new();
        // What could be read counts.
        drop(self.stderr.take(COMPLAINT_BYTES_MAX).read_to_end(&mut bytes).await);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_complaint = |line: &&str| line.contains("error:") || line.contains("connect:");
        text.lines().find(is_complaint).map(reason).unwrap_or_default()
    }
}

/// Writes where to connect to; the colons of an IPv6 address stand in brackets.
fn host_and_port(host: &str, port: u16) -> String {
    let is_bare_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
    if is_bare_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Takes from `402C...:error:0A000410:SSL routines:...:sslv3 alert handshake failure:...` the words
/// for people: the field after the name of the function.
fn reason(line: &str) -> String {
    match line.split_once("error:") {
        Some((_, rest)) => rest.split(':').nth(3).unwrap_or(rest).to_owned(),
        None => line.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_of_an_address_are_told_from_that_of_the_port() {
        for (host, written) in [
            ("2001:db8::1", "[2001:db8::1]:5666"),
            ("[2001:db8::1]", "[2001:db8::1]:5666"),
            ("192.0.2.1", "192.0.2.1:5666"),
            ("web1.example", "web1.example:5666"),
        ] {
            assert_eq!(host_and_port(host, 5666), written);
        }
    }
}
