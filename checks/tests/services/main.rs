//! Native probes against real servers: Exim, Dovecot, OpenSSH, vsftpd, BIND, `OpenLDAP`, `MariaDB`,
//! `PostgreSQL`, nginx, each on a port of its own on loopback, with a configuration made here.
//!
//! Goal: what a probe says of a real server, in plain, by STARTTLS and by TLS, and when the server
//! has gone. Method: the room's own scheduler runs the checks; what it shows is compared. One
//! certificate serves all servers; it is signed by itself, so that both ways to judge it are seen.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod nsca;
mod servers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use noroshi_checks::{
    CheckSpec, CheckView, Checks, Deps, DnsProbe, HostSpec, HttpProbe, Probe, Protocol, Security,
    Site, TcpProbe,
};
use noroshi_model::seam::{Accepted, BoxFuture, ManualClock, MemoryRecords, no_series};
use noroshi_model::{Batch, CheckId, Refused, Sink, Status, Timestamp};
use parking_lot::Mutex;
use servers::{Certificate, Server};
use tokio_util::sync::CancellationToken;

/// How long a server has to start, and a check to be made.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes samples and keeps them.
#[derive(Default)]
struct Kept(Mutex<Vec<(String, f64)>>);

impl Sink for Kept {
    fn submit(&self, batch: Batch) -> BoxFuture<'_, Result<Accepted, Refused>> {
        let samples = batch.samples.iter().map(|s| (s.labels.to_string(), s.value));
        self.0.lock().extend(samples);
        Box::pin(async { Ok(Accepted::default()) })
    }
}

/// Runs one probe once, by the room's own scheduler.
async fn look(probe: Probe) -> (CheckView, Vec<(String, f64)>) {
    let kept = Arc::new(Kept::default());
    let checks = Checks::new(Deps {
        clock: Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000))),
        records: Arc::new(MemoryRecords::new()),
        series: Arc::new(no_series()),
        sink: Arc::clone(&kept) as _,
    })
    .unwrap();
    let id = CheckId::check("server", "probe");
    let mut check = CheckSpec::new(id.clone(), probe);
    check.timing.timeout = Duration::from_secs(20);
    let host = HostSpec::new("server", "127.0.0.1");
    checks.apply(Site { hosts: vec![host], checks: vec![check], ..Site::default() });
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&checks).run(stop.clone()));
    checks.recheck(&id).await.unwrap();
    let begun = Instant::now();
    let view = loop {
        let view = checks.check(&id).unwrap();
        if view.status.is_some() {
            break view;
        }
        assert!(begun.elapsed() < PATIENCE, "the check never ran");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    stop.cancel();
    running.await.unwrap();
    let samples = std::mem::take(&mut *kept.0.lock());
    (view, samples)
}

/// What a probe must find: status, and words of the output.
async fn expect(what: &str, probe: Probe, status: Status, words: &[&str]) {
    let (view, _) = look(probe).await;
    let is_so = view.status == Some(status) && words.iter().all(|w| view.output.contains(w));
    assert!(is_so, "{what}: wanted {status:?} {words:?}, got {:?} {}", view.status, view.output);
}

fn tcp(port: u16, protocol: Protocol, change: impl FnOnce(&mut TcpProbe)) -> Probe {
    let mut probe = TcpProbe::new(&format!("127.0.0.1:{port}"), protocol);
    "localhost".clone_into(&mut probe.server_name);
    change(&mut probe);
    Probe::Tcp(probe)
}

/// In plain, by STARTTLS with a certificate that nobody signed, and with that allowed.
async fn expect_service(name: &str, port: u16, protocol: &Protocol, words: &str) {
    let plain = tcp(port, protocol.clone(), |_| {});
    expect(&format!("{name} in plain"), plain, Status::Ok, &["answers in", words]).await;
    let strict = tcp(port, protocol.clone(), |probe| probe.security = Security::StartTls);
    let why = ["certificate of rcgen self signed cert has", "but invalid peer certificate"];
    expect(&format!("{name} by STARTTLS"), strict, Status::Critical, &why).await;
    let lax = tcp(port, protocol.clone(), |probe| {
        (probe.security, probe.is_insecure) = (Security::StartTls, true);
    });
    let told = [words, "days left (invalid peer certificate"];
    expect(&format!("{name} by STARTTLS, insecure"), lax, Status::Ok, &told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_servers_greet_and_show_their_certificates_after_starttls() {
    let certificate = Certificate::new();
    let exim = servers::exim(&certificate);
    expect_service("smtp", exim.port(0), &Protocol::Smtp, "220 localhost ESMTP Exim").await;
    let log = exim.log("log/mainlog");
    assert!(!log.contains("unexpected disconnection"), "Exim complains: {log}");

    let dovecot = servers::dovecot(&certificate);
    expect_service("imap", dovecot.port(0), &Protocol::Imap, "* OK").await;
    expect_service("pop3", dovecot.port(1), &Protocol::Pop3, "+OK").await;
    let imaps = tcp(dovecot.port(2), Protocol::Imap, |probe| {
        (probe.security, probe.is_insecure) = (Security::Tls, true);
    });
    expect("imaps", imaps, Status::Ok, &["* OK", "days left"]).await;
    let wrong = tcp(dovecot.port(0), Protocol::Smtp, |_| {});
    expect("smtp to imap", wrong, Status::Critical, &["expected \"220\" first, got \"* OK"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_offers_no_tls_is_told_apart_from_one_that_is_gone() {
    let vsftpd = servers::vsftpd();
    let plain = tcp(vsftpd.port(0), Protocol::Ftp, |_| {});
    expect("ftp", plain, Status::Ok, &["220 (vsFTPd"]).await;
    let tls = tcp(vsftpd.port(0), Protocol::Ftp, |probe| probe.security = Security::StartTls);
    expect("ftp by TLS", tls, Status::Critical, &["expected \"234\" first"]).await;
    let greeting = tcp(vsftpd.port(0), Protocol::Ftp, |probe| {
        "ProFTPD".clone_into(&mut probe.greeting);
    });
    expect("another ftp", greeting, Status::Critical, &["does not hold \"ProFTPD\""]).await;

    let sshd = servers::sshd();
    let ssh = tcp(sshd.port(0), Protocol::Ssh, |_| {});
    expect("ssh", ssh, Status::Ok, &["SSH-2.0-OpenSSH"]).await;
    let port = sshd.port(0);
    drop(sshd);
    let gone = tcp(port, Protocol::Ssh, |_| {});
    expect("ssh that is gone", gone, Status::Critical, &["cannot connect to", "refused"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_bound_to_and_read() {
    let certificate = Certificate::new();
    let slapd = servers::slapd(&certificate);
    let root = Protocol::Ldap { base: String::new() };
    expect_service("ldap", slapd.port(0), &root, "naming contexts dc=example,dc=org").await;
    let missing = Protocol::Ldap { base: "dc=nobody".to_owned() };
    let missing = tcp(slapd.port(0), missing, |_| {});
    expect("an entry that is not there", missing, Status::Critical, &["failed with result 32"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_answer_a_client_that_nobody_knows() {
    let certificate = Certificate::new();
    let user = "noroshi".to_owned();
    let mysql = Protocol::Mysql { user: user.clone() };
    let mariadb = servers::mariadb(&certificate);
    expect_service("mysql", mariadb.port(0), &mysql, "MariaDB").await;
    for _ in 0..20 {
        // More than the server's limit of broken handshakes (10, see `servers`).
        let again = tcp(mariadb.port(0), mysql.clone(), |_| {});
        expect("mysql again", again, Status::Ok, &["MariaDB"]).await;
    }
    let postgres = servers::postgresql(&certificate);
    let protocol = Protocol::Postgresql { user, database: "shop".to_owned() };
    expect_service("postgresql", postgres.port(0), &protocol, "PostgreSQL asks for a password")
        .await;
    let crossed = tcp(
        mariadb.port(0),
        Protocol::Postgresql { user: "noroshi".to_owned(), database: String::new() },
        |_| {},
    );
    expect("postgresql to mysql", crossed, Status::Critical, &["does not speak PostgreSQL"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_with_authority_and_without_is_told_apart() {
    let bind = servers::bind();
    let ask = |name: &str, record: &str, expect: &[&str], is_authoritative| {
        Probe::Dns(DnsProbe {
            server: format!("127.0.0.1:{}", bind.port(0)),
            name: name.to_owned(),
            record: record.to_owned(),
            expect: expect.iter().map(|text| (*text).to_owned()).collect(),
            is_authoritative,
            warning: None,
            critical: None,
        })
    };
    let ours = ask("web1.example.org", "A", &["192.0.2.10"], true);
    expect("a name", ours, Status::Ok, &["web1.example.org A: 192.0.2.10"]).await;
    let mail = ask("example.org", "MX", &["10 mail.example.org."], true);
    expect("mail", mail, Status::Ok, &["10 mail.example.org"]).await;
    let text = ask("big.example.org", "TXT", &[], true);
    expect("an answer that wants TCP", text, Status::Ok, &["big.example.org TXT"]).await;
    let wrong = ask("web1.example.org", "A", &["192.0.2.11"], false);
    expect("another address", wrong, Status::Critical, &["missing: 192.0.2.11"]).await;
    let none = ask("web9.example.org", "A", &[], false);
    expect("no such name", none, Status::Critical, &["Non-Existent Domain"]).await;
    // Not its zone: it refuses.
    let other = ask("example.com", "A", &[], false);
    expect("another zone", other, Status::Critical, &["example.com A: "]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_asked_for_as_the_check_says_and_its_times_are_kept() {
    let certificate = Certificate::new();
    let nginx = servers::nginx(&certificate);
    let page = |path: &str, change: &dyn Fn(&mut HttpProbe)| {
        let mut probe = HttpProbe::get(&format!("http://127.0.0.1:{}{path}", nginx.port(0)));
        change(&mut probe);
        Probe::Http(Box::new(probe))
    };
    expect("a page", page("/", &|_| {}), Status::Ok, &["HTTP 200 OK, 9 B"]).await;
    expect("a missing page", page("/gone", &|_| {}), Status::Critical, &["status 404"]).await;
    let follow: &dyn Fn(&mut HttpProbe) = &|probe| probe.redirects_max = 2;
    expect("a redirect to TLS", page("/secure", follow), Status::Critical, &["but invalid"]).await;
    let large = page("/large", &|_| {});
    expect("a body beyond the bound", large, Status::Ok, &["HTTP 200 OK, 1 MiB"]).await;
    let v6 = page("/", &|probe| {
        probe.url = format!("http://[::1]:{}/", nginx.port(2));
    });
    expect("by IPv6", v6, Status::Ok, &["HTTP 200"]).await;

    // By name, so that the certificate of that name is shown (SNI), at an address given apart.
    let tls = page("/", &|probe| {
        probe.url = "https://shop.example/".to_owned();
        probe.connect_to = Some(format!("127.0.0.1:{}", nginx.port(1)));
        probe.is_insecure = true;
    });
    let (view, samples) = look(tls).await;
    assert_eq!(view.status, Some(Status::Ok), "{}", view.output);
    assert!(view.output.contains("shop.example") || view.output.contains("days left"));
    let value = |name: &str| {
        let found = samples.iter().find(|(labels, _)| labels.contains(name));
        found.unwrap_or_else(|| panic!("no {name} in {samples:#?}")).1
    };
    for phase in ["resolve", "connect", "tls", "processing", "transfer"] {
        assert!(value(&format!("phase=\"{phase}\"")) < 10.0);
    }
    assert!(value("phase=\"tls\"") > 0.0);
    assert!(value("probe_duration_seconds") >= value("phase=\"tls\""));
    assert_eq!((value("probe_success"), value("probe_http_status_code")), (1.0, 200.0));
    assert_eq!((value("probe_http_ssl"), value("probe_http_version")), (1.0, 1.1));
    assert!(value("probe_ssl_earliest_cert_expiry") > 1_800_000_000.0);
    assert!(samples.iter().filter(|(labels, _)| labels.contains("probe_")).all(|(labels, _)| {
        labels.contains("instance=\"server\"") && labels.contains("job=\"blackbox\"")
    }));
}

/// Tells which server has not started, with what it said.
fn wait_for(server: &Server, port: u16) {
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < PATIENCE, "{} did not start: {}", server.name, server.said());
        std::thread::sleep(Duration::from_millis(20));
    }
}
