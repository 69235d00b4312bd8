//! One conversation with a mail server, and what can go wrong in it.
//!
//! `lettre`'s connection is used without its transport: the transport sends `QUIT` before it
//! returns, which would widen the time between the server's 250 and our commit, and its timeout
//! covers the connect only. Here every step is under a timeout of its own, and a connection on
//! which one ran out is thrown away.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::extension::ClientId;
use noroshi_model::chain;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::config::{ConfigError, Security, Smtp};

/// How long one step may take: connecting with TLS and login, or handing over one mail.
///
/// RFC 5321 section 4.5.3.2 allows minutes, for servers that deliver while the client waits; a
/// submission server that needs half a minute is better asked again.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the goodbye may take; nothing depends on it.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest text of a server's refusal that is kept, in characters.
const REFUSAL_CHARS_MAX: usize = 300;

/// Why a mail could not be handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {text}", kind.as_str())]
pub(crate) struct Failure {
    /// What kind.
    pub(crate) kind: FailureKind,
    /// What the server or the system said.
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        let text: String = text.into();
        let text = text.replace(|c: char| c.is_control(), " ");
        Self { kind, text: text.trim().chars().take(REFUSAL_CHARS_MAX).collect() }
    }
}

/// Kinds of failure; the names are log field, label and page text alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// No connection, or no greeting.
    Connect,
    /// TLS could not be agreed upon, or the certificate is not to be trusted.
    Tls,
    /// The server does not accept user and password.
    SignIn,
    /// No answer in time.
    Timeout,
    /// The connection broke off, or the server spoke something else than SMTP.
    Broken,
    /// The server asks to come again (4xx).
    Deferred,
    /// The server will never take this mail (5xx).
    Refused,
    /// The mail could not be written: an address or header that cannot be.
    Unwritable,
    /// It was tried for as long as it is of use.
    Expired,
}

impl FailureKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::SignIn => "sign_in",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Deferred => "deferred",
            Self::Refused => "refused",
            Self::Unwritable => "unwritable",
            Self::Expired => "expired",
        }
    }

    /// Tells whether trying again is of no use. A wrong password is not of this kind: somebody
    /// mends it, and the mail that waited goes out.
    pub(crate) fn is_permanent(self) -> bool {
        matches!(self, Self::Refused | Self::Unwritable | Self::Expired)
    }

    /// Tells whether it is about the connection, so that the next mail needs another one.
    pub(crate) fn is_of_connection(self) -> bool {
        matches!(self, Self::Connect | Self::Tls | Self::SignIn | Self::Timeout | Self::Broken)
    }
}

/// A mail server as configured, with its certificates read.
#[derive(Clone)]
pub(crate) struct Server {
    smtp: Smtp,
    tls: Option<TlsParameters>,
    from: Mailbox,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("smtp", &self.smtp).finish_non_exhaustive()
    }
}

impl Server {
    /// Reads sender and certificates. Errors: [`ConfigError::From`],
    /// [`ConfigError::Certificates`].
    pub(crate) fn new(smtp: Smtp) -> Result<Self, ConfigError> {
        let from = smtp.from.parse::<Mailbox>();
        let from = from.map_err(|source| ConfigError::From { from: smtp.from.clone(), source })?;
        let is_near = matches!(smtp.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if smtp.security == Security::None && smtp.user.is_some() && !is_near {
            tracing::warn!(
                host = smtp.host,
                "the mail server's password goes over the network readable; set security to starttls or tls"
            );
        }
        let tls = if smtp.security == Security::None { None } else { Some(parameters(&smtp)?) };
        Ok(Self { smtp, tls, from })
    }

    /// Returns the sender.
    pub(crate) fn from(&self) -> &Mailbox {
        &self.from
    }

    /// Returns the sender's domain, for `Message-ID`s.
    pub(crate) fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// Connects, protects the connection, signs in.
    pub(crate) async fn connect(&self) -> Result<Session, Failure> {
        limited(STEP_TIMEOUT, self.connect_unlimited()).await
    }

    async fn connect_unlimited(&self) -> Result<Session, Failure> {
        let name = own_name();
        let at_once = if self.smtp.security == Security::Tls { self.tls.clone() } else { None };
        let kind = if at_once.is_some() { FailureKind::Tls } else { FailureKind::Connect };
        let address = (self.smtp.host.as_str(), self.smtp.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, None, &name, at_once, None)
                .await
                .map_err(|error| of_connection(&error, kind))?;
        if self.smtp.security == Security::Starttls
            && let Some(tls) = self.tls.clone()
        {
            if !connection.can_starttls() {
                connection.abort().await;
                return Err(Failure::new(FailureKind::Tls, "the server does not offer STARTTLS"));
            }
            let upgraded = connection.starttls(tls, &name).await;
            upgraded.map_err(|error| of_connection(&error, FailureKind::Tls))?;
        }
        if let Some(user) = &self.smtp.user {
            let password = self.smtp.password.reveal().to_owned();
            let credentials = Credentials::new(user.clone(), password);
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            if let Err(error) = connection.auth(&mechanisms, &credentials).await {
                connection.abort().await;
                return Err(of_connection(&error, FailureKind::SignIn));
            }
        }
        Ok(Session { connection })
    }
}

/// A connection that is ready for mail.
pub(crate) struct Session {
    connection: AsyncSmtpConnection,
}

impl Session {
    /// Hands one mail over; on `Ok` the server has taken responsibility for it.
    ///
    /// Cancel: the server may have taken the mail or not; the session must not be used again.
    pub(crate) async fn send(&mut self, envelope: &Envelope, mail: &[u8]) -> Result<(), Failure> {
        limited(STEP_TIMEOUT, async {
            match self.connection.send(envelope, mail).await {
                Ok(_) => Ok(()),
                Err(error) => Err(of_mail(&error)),
            }
        })
        .await
    }

    /// Says goodbye, without waiting long for the answer.
    pub(crate) async fn close(mut self) {
        // The mails are handed over: whether the server hears the goodbye changes nothing.
        drop(tokio::time::timeout(QUIT_TIMEOUT, self.connection.abort()).await);
    }
}

/// Reads the certificates of [`Smtp::ca_pem`].
pub(crate) fn certificates(smtp: &Smtp) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let Some(pem) = &smtp.ca_pem else { return Ok(Vec::new()) };
    let error = |source| ConfigError::Certificates { host: smtp.host.clone(), source };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|source| error(Some(source)))?;
    if found.is_empty() { Err(error(None)) } else { Ok(found) }
}

fn parameters(smtp: &Smtp) -> Result<TlsParameters, ConfigError> {
    let error = || ConfigError::Certificates { host: smtp.host.clone(), source: None };
    let mut builder = TlsParameters::builder(smtp.host.clone());
    if smtp.ca_pem.is_some() {
        builder = builder.certificate_store(CertificateStore::None);
        for certificate in certificates(smtp)? {
            let certificate = Certificate::from_der(certificate.to_vec()).map_err(|_| error())?;
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build_rustls().map_err(|_| error())
}

/// Returns the name to greet with (RFC 5321 section 4.1.1.1); filters distrust those who say
/// `[127.0.0.1]`, which is `lettre`'s default.
fn own_name() -> ClientId {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if name.is_empty() || !name.chars().all(is_name) {
        return ClientId::default();
    }
    ClientId::Domain(name.to_owned())
}

/// Runs a step under a limit of time.
async fn limited<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(limit, step).await.unwrap_or_else(|_| {
        let text = format!("no answer from the server in {} s", limit.as_secs());
        Err(Failure::new(FailureKind::Timeout, text))
    })
}

/// Judges an error before any mail was offered: never permanent for a mail.
fn of_connection(error: &lettre::transport::smtp::Error, kind: FailureKind) -> Failure {
    let kind = if error.is_tls() { FailureKind::Tls } else { kind };
    Failure::new(kind, chain(error))
}

/// Judges an error while a mail was offered.
fn of_mail(error: &lettre::transport::smtp::Error) -> Failure {
    let code = error.status().map(u16::from);
    let kind = match code {
        // RFC 4954 section 6: the server wants a login, a better one, or encryption. That is the
        // config's fault, not the mail's.
        Some(530 | 534 | 535 | 538) => FailureKind::SignIn,
        Some(500..=599) => FailureKind::Refused,
        Some(_) => FailureKind::Deferred,
        None if error.is_client() => FailureKind::Unwritable,
        None => FailureKind::Broken,
    };
    Failure::new(kind, chain(error))
}
