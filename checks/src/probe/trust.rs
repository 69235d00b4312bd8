//! Whom probes trust: the roots, and a verifier of certificates that lets the handshake go on.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use noroshi_model::Timestamp;
use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Where Debian, Red Hat and SUSE keep the certificates that the machine trusts: a site's own
/// authority is there and not among Mozilla's.
const SYSTEM_ROOTS: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// Returns the ciphers that all probes use; made once.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let make = || Arc::new(rustls::crypto::ring::default_provider());
    Arc::clone(PROVIDER.get_or_init(make))
}

/// Returns whom this machine trusts; read once.
pub(crate) fn roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    Arc::clone(ROOTS.get_or_init(|| Arc::new(read_roots())))
}

/// Reads the roots: Mozilla's and the machine's own.
fn read_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for path in SYSTEM_ROOTS {
        let Ok(certificates) = CertificateDer::pem_file_iter(path) else { continue };
        roots.add_parsable_certificates(certificates.flatten());
        break;
    }
    roots
}

/// Returns what verifies by [`roots`]; made once, because it holds the names of all of them.
fn verifier() -> Result<Arc<WebPkiServerVerifier>, String> {
    static VERIFIER: OnceLock<Result<Arc<WebPkiServerVerifier>, String>> = OnceLock::new();
    let make = || {
        let builder = WebPkiServerVerifier::builder_with_provider(roots(), provider());
        builder.build().map_err(|error| error.to_string())
    };
    VERIFIER.get_or_init(make).clone()
}

/// Accepts every certificate; that the server has its key is still verified.
pub(crate) struct Lenient {
    /// Verifies as usual at this time, so that the fault can be told; `None`: nobody asks.
    verifier: Option<(Arc<WebPkiServerVerifier>, UnixTime)>,
    fault: Mutex<Option<String>>,
}

impl Lenient {
    /// Accepts, and notes what does not verify.
    ///
    /// Errors: there are no roots to verify by.
    pub(crate) fn verifying(now: Timestamp) -> Result<Self, String> {
        let seconds = u64::try_from(now.as_secs()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        Ok(Self { verifier: Some((verifier()?, now)), fault: Mutex::default() })
    }

    /// Accepts without a look.
    pub(crate) fn accepting() -> Self {
        Self { verifier: None, fault: Mutex::default() }
    }

    /// Returns why the certificates do not verify; `None` when they do, or nobody asked.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }
}

impl fmt::Debug for Lenient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lenient").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some((verifier, now)) = &self.verifier
            && let Err(error) = verifier.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                *now,
            )
        {
            *self.fault.lock() = Some(error.to_string());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
