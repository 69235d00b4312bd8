//! Pages behind TLS: whose certificate is trusted, and whose is not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{WallClock, raw_server, value};
use noroshi_collector::{PollFailure, Target, poll_once, prometheus};
use noroshi_model::Batch;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

/// An authority of our own, kept as a file, and a server on a free port with a certificate by it
/// for `localhost`.
struct Stage {
    port: u16,
    ca_file: PathBuf,
    _folder: tempfile::TempDir,
    _task: tokio::task::JoinHandle<()>,
}

async fn stage() -> Stage {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, authority.pem()).unwrap();

    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (port, task) = raw_server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let mut request = [0; 4096];
            let _read = stream.read(&mut request).await;
            let _written =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na 1\n").await;
            let _read = stream.read(&mut request).await;
        }
    })
    .await;
    Stage { port, ca_file, _folder: folder, _task: task }
}

impl Stage {
    async fn poll(&self, host: &str, ca_file: Option<PathBuf>) -> Result<Batch, PollFailure> {
        let url = format!("https://{host}:{}/metrics", self.port);
        let config = prometheus::Config { ca_file, ..prometheus::Config::new(&url) };
        let target = Target::Prometheus { job: "x".to_owned(), config };
        poll_once(&target, Duration::from_secs(10), &*WallClock::new()).await
    }
}

#[tokio::test]
async fn a_certificate_of_the_own_authority_is_trusted_and_no_other() {
    let stage = stage().await;
    let batch = stage.poll("localhost", Some(stage.ca_file.clone())).await.unwrap();
    assert_eq!(value(&batch, r#"a{job="x"}"#), Some(1.0));

    let unknown = stage.poll("localhost", None).await.unwrap_err();
    assert_eq!(unknown.as_str(), "tls");
    assert!(unknown.to_chain().contains("UnknownIssuer"), "{}", unknown.to_chain());

    let other_name = stage.poll("127.0.0.1", Some(stage.ca_file.clone())).await.unwrap_err();
    assert_eq!(other_name.as_str(), "tls");
    assert!(other_name.to_chain().contains("not valid for"), "{}", other_name.to_chain());
}

#[tokio::test]
async fn a_file_without_certificates_is_a_fault_of_the_configuration() {
    let stage = stage().await;
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem");
    let failure = stage.poll("localhost", Some(missing)).await.unwrap_err();
    assert_eq!(failure.as_str(), "config");
    assert!(failure.to_string().contains("cannot read certificates from"), "{failure}");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let failure = stage.poll("localhost", Some(empty)).await.unwrap_err();
    assert!(failure.to_string().contains("holds no certificate"), "{failure}");
}
