//! TLS: the handshake, and what the server's certificates say.
//!
//! The handshake is carried through whether the chain verifies or not, so that an expired or
//! self-signed certificate is named instead of ending in a broken connection. What does not verify
//! is critical unless the check says otherwise.

use std::sync::Arc;

use noroshi_model::{Perfdata, Range, Status, Timestamp, Unit};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::certificate::X509Certificate;

use super::TlsProbe;
use super::connect::{connect, host_and_port};
use super::finding::{Finding, Measure};
use super::tcp::{measures, precise};
use super::trust::{Lenient, provider, roots};
use crate::macros::Macros;

/// The port of a target that names none.
const HTTPS: u16 = 443;
/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// What a handshake told of the server's certificates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    /// Why it does not verify; `None` when it does.
    pub(crate) fault: Option<String>,
    /// When the first of the certificates ends that prove the server, in seconds since 1970.
    pub(crate) ends: Option<i64>,
    /// Whose that one is: the server's, or an authority's that has less time left.
    pub(crate) ending: String,
    /// When the first of all ends that were sent, those that prove nothing included.
    pub(crate) earliest: Option<i64>,
    /// Whose the server's certificate is.
    pub(crate) subject: String,
    /// Who gave it.
    pub(crate) issuer: String,
}

impl Chain {
    /// Returns how many days are left; negative when it has ended.
    pub(crate) fn days_left(&self, now: Timestamp) -> Option<f64> {
        self.ends.map(|ends| (ends as f64 - now.as_secs_f64()) / DAY)
    }

    /// Judges the chain. Returns the status and what to say of it.
    pub(crate) fn judge(
        &self,
        now: Timestamp,
        warning: Option<f64>,
        critical: Option<f64>,
        is_insecure: bool,
    ) -> (Status, String) {
        let Some(days) = self.days_left(now) else {
            return (Status::Critical, "certificate: none that can be read".to_owned());
        };
        let left = if days < 0.0 {
            format!("certificate of {} ended {:.0} days ago", self.ending, -days)
        } else {
            format!("certificate of {} has {days:.0} days left", self.ending)
        };
        let mut status = Status::Ok;
        if warning.is_some_and(|limit| days < limit) {
            status = Status::Warning;
        }
        if days < 0.0 || critical.is_some_and(|limit| days < limit) {
            status = Status::Critical;
        }
        match &self.fault {
            Some(fault) if !is_insecure => (Status::Critical, format!("{left}, but {fault}")),
            Some(fault) => (status, format!("{left} ({fault})")),
            None => (status, left),
        }
    }
}

/// Looks at a server's certificates.
pub(crate) async fn look(probe: &TlsProbe, macros: &Macros, now: Timestamp) -> Finding {
    let target = macros.expand(&probe.target, &[]);
    let own = macros.expand("$HOSTADDRESS$", &[]);
    let Some((host, port)) = host_and_port(&target, &own, Some(HTTPS)) else {
        return Finding::unknown(format!("{target:?} is no host:port"));
    };
    let name = macros.expand(&probe.server_name, &[]);
    let name = if name.is_empty() { host.clone() } else { name };
    let begun = Instant::now();
    let shaken = match connect(&host, port, probe.family).await {
        Ok(connected) => handshake(connected.stream, &name, now, &[]).await,
        Err(error) => Err(noroshi_model::chain(&error)),
    };
    let (chain, protocol) = match shaken {
        Ok((stream, chain)) => {
            let version = stream.get_ref().1.protocol_version();
            (chain, version.and_then(|v| v.as_str()).unwrap_or("TLS").replace('_', "."))
        }
        Err(error) => {
            let mut finding = Finding::new(Status::Critical, error);
            finding.measures.extend(measures(Status::Critical, begun.elapsed()));
            return finding;
        }
    };
    let limits = (Some(probe.days_warning), Some(probe.days_critical));
    let (status, text) = chain.judge(now, limits.0, limits.1, probe.is_insecure);
    let time = precise(begun.elapsed());
    let mut finding = Finding::new(status, format!("{text}, {protocol} in {time}"));
    finding.long_output = format!("subject: {}\nissuer: {}", chain.subject, chain.issuer);
    finding.perfdata.extend(days_data(&chain, now, limits));
    finding.measures.extend(measures(status, begun.elapsed()));
    finding.measures.extend(expiry(&chain));
    finding
}

/// Returns the series of when the first certificate ends, of all that were sent, as the blackbox
/// exporter has it.
pub(crate) fn expiry(chain: &Chain) -> Option<Measure> {
    let name = "probe_ssl_earliest_cert_expiry";
    chain.earliest.map(|ends| Measure::new(name, ends as f64))
}

/// Makes the performance data of the days left.
pub(crate) fn days_data(
    chain: &Chain,
    now: Timestamp,
    (warning, critical): (Option<f64>, Option<f64>),
) -> Option<Perfdata> {
    let at_least = |limit: Option<f64>| {
        limit.map(|start| Range { start, end: f64::INFINITY, is_inside: false })
    };
    Some(Perfdata {
        label: "certificate_days".to_owned(),
        value: Some(chain.days_left(now)?),
        unit: Unit::None,
        warning: at_least(warning),
        critical: at_least(critical),
        min: None,
        max: None,
    })
}

/// Shakes hands. `Err` says why there is no TLS at all.
pub(crate) async fn handshake(
    stream: TcpStream,
    name: &str,
    now: Timestamp,
    alpn: &[&[u8]],
) -> Result<(TlsStream<TcpStream>, Chain), String> {
    let bare = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    let server = ServerName::try_from(bare).map_err(|_| format!("{name:?} is no server name"))?;
    let recorder = Arc::new(Lenient::verifying(now)?);
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = config
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&recorder) as _)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let connector = TlsConnector::from(Arc::new(config));
    let shaken = connector.connect(server, stream).await;
    let stream = shaken.map_err(|error| format!("no TLS: {}", noroshi_model::chain(&error)))?;
    let sent = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let chain = Chain { fault: recorder.fault(), ..read(sent, &roots()) };
    Ok((stream, chain))
}

/// Reads the certificates that a server sent, the server's own first.
fn read(sent: &[CertificateDer<'_>], roots: &RootCertStore) -> Chain {
    let parsed = sent.iter().map(|der| Some(x509_parser::parse_x509_certificate(der).ok()?.1));
    let parsed: Vec<X509Certificate<'_>> = parsed.collect::<Option<_>>().unwrap_or_default();
    let ends = |certificate: &&X509Certificate<'_>| certificate.validity().not_after.timestamp();
    let Some(own) = parsed.first() else { return Chain::default() };
    let first = path(own, &parsed, roots).into_iter().min_by_key(ends).unwrap_or(own);
    Chain {
        fault: None,
        ends: Some(ends(&first)),
        ending: common_name(first.subject()),
        earliest: parsed.iter().map(|certificate| ends(&certificate)).min(),
        subject: common_name(own.subject()),
        issuer: common_name(own.issuer()),
    }
}

/// Returns the certificates from the server's own to the last before one that is trusted. What else
/// was sent, such as an old way to another root, proves nothing and may have ended.
fn path<'a>(
    own: &'a X509Certificate<'a>,
    sent: &'a [X509Certificate<'a>],
    roots: &RootCertStore,
) -> Vec<&'a X509Certificate<'a>> {
    // A root's subject is kept without the head of its sequence, which has two to five bytes.
    let is_root = |name: &[u8]| {
        roots.roots.iter().any(|root| {
            name.strip_suffix(root.subject.as_ref()).is_some_and(|head| head.len() <= 5)
        })
    };
    let mut path = vec![own];
    while let Some(last) = path.last() {
        let issuer = last.issuer().as_raw();
        if is_root(issuer) {
            break;
        }
        let next = sent.iter().find(|other| {
            other.subject().as_raw() == issuer
                && !path.iter().any(|known| std::ptr::eq(*known, *other))
        });
        match next {
            Some(next) => path.push(next),
            None => break,
        }
    }
    path
}

fn common_name(name: &x509_parser::x509::X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|name| name.as_str().ok());
    common.map_or_else(|| name.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa,
        KeyPair, date_time_ymd,
    };

    use super::*;
    use crate::probe::Family;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn chain(days: i64, fault: Option<&str>) -> Chain {
        Chain {
            fault: fault.map(str::to_owned),
            ends: Some(NOW.as_secs() + days * 86_400),
            ending: "web1".to_owned(),
            earliest: None,
            subject: "web1".to_owned(),
            issuer: "a root".to_owned(),
        }
    }

    #[test]
    fn days_left_and_faults_are_judged_the_worse_counts() {
        let unknown = Some("invalid peer certificate: UnknownIssuer");
        for (chain, is_insecure, status, words) in [
            (chain(90, None), false, Status::Ok, "certificate of web1 has 90 days left"),
            (chain(20, None), false, Status::Warning, "certificate of web1 has 20 days left"),
            (chain(6, None), false, Status::Critical, "certificate of web1 has 6 days left"),
            (chain(-3, None), false, Status::Critical, "certificate of web1 ended 3 days ago"),
            (chain(-3, None), true, Status::Critical, "certificate of web1 ended 3 days ago"),
            (
                chain(90, unknown),
                false,
                Status::Critical,
                "certificate of web1 has 90 days left, but invalid peer certificate: UnknownIssuer",
            ),
            (
                chain(20, unknown),
                true,
                Status::Warning,
                "certificate of web1 has 20 days left (invalid peer certificate: UnknownIssuer)",
            ),
            (Chain::default(), true, Status::Critical, "certificate: none that can be read"),
        ] {
            let judged = chain.judge(NOW, Some(21.0), Some(7.0), is_insecure);
            assert_eq!(judged, (status, words.to_owned()));
        }
    }

    /// Makes a certificate of `name` that ends on a day, signed by `issuer`.
    fn certificate(
        name: &str,
        (year, month, day): (i32, u8, u8),
        issuer: Option<&CertifiedIssuer<'static, KeyPair>>,
    ) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().unwrap();
        let made = match issuer {
            Some(issuer) => CertifiedIssuer::signed_by(params, key, issuer),
            None => CertifiedIssuer::self_signed(params, key),
        };
        made.unwrap()
    }

    /// A server still sends the old way to another root, which has ended: it is not needed.
    #[test]
    fn what_proves_nothing_is_not_judged_and_what_ends_is_named() {
        // It is 2027-01-15, 08:00.
        let old_root = certificate("old root", (2030, 1, 1), None);
        let root = certificate("new root", (2030, 1, 1), None);
        let crossed = certificate("new root", (2026, 12, 16), Some(&old_root));
        let middle = certificate("middle", (2027, 1, 20), Some(&root));
        let own = certificate("web1", (2027, 3, 15), Some(&middle));
        let mut trusted = RootCertStore::empty();
        trusted.add(root.der().clone()).unwrap();
        let sent = [&own, &middle, &crossed].map(|made| made.der().clone());
        let chain = read(&sent, &trusted);
        let (status, text) = chain.judge(NOW, Some(21.0), Some(1.0), false);
        assert_eq!((status, &*text), (Status::Warning, "certificate of middle has 5 days left"));
        assert_eq!((chain.subject.as_str(), chain.issuer.as_str()), ("web1", "middle"));
        assert_eq!(chain.earliest, Some(NOW.as_secs() - (30 * 24 + 8) * 3600));
        // For whom trusts the old root only, the ended one is needed.
        let chain = read(&sent, &RootCertStore::empty());
        let (status, text) = chain.judge(NOW, Some(21.0), Some(1.0), false);
        assert_eq!(
            (status, &*text),
            (Status::Critical, "certificate of new root ended 30 days ago")
        );
    }

    #[tokio::test]
    async fn a_server_without_tls_is_critical_and_says_so() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = listener.local_addr().unwrap().to_string();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 plain\r\n").await.unwrap();
            // Held open: the handshake must fail by what was said, not by the end of it.
            tokio::time::sleep(Duration::from_secs(5)).await;
        });
        let probe = TlsProbe {
            target,
            server_name: "web1.example".to_owned(),
            days_warning: 21.0,
            days_critical: 7.0,
            is_insecure: false,
            family: Family::Any,
        };
        let finding = look(&probe, &Macros::default(), NOW).await;
        assert_eq!(finding.status, Status::Critical);
        assert!(finding.output.starts_with("no TLS: "), "{}", finding.output);
        serving.abort();
    }
}
