//! The real `nrpe` of the distribution, and servers that misbehave.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Longest wait for a server to listen.
const PATIENCE: Duration = Duration::from_secs(20);

fn probe(port: u16, command: &str, tls: NrpeTls) -> NrpeProbe {
    NrpeProbe {
        address: "127.0.0.1".to_owned(),
        port,
        command: command.to_owned(),
        arguments: Vec::new(),
        tls,
        version: None,
    }
}

async fn found(probe: &NrpeProbe) -> (Status, String) {
    let finding = look(probe, &Macros::default(), &Versions::default()).await;
    (finding.status, finding.output)
}

/// An NRPE server that ends when it is dropped.
struct Nrpe {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Nrpe {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Nrpe {
    /// Starts one with lines of configuration and options of the command line.
    async fn start(lines: &str, options: &[&str], folder: tempfile::TempDir) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let path = folder.path().join("nrpe.cfg");
        let user = user();
        let config = format!(
            "server_address=127.0.0.1\nserver_port={port}\nnrpe_user={user}\nnrpe_group={}\n\
             pid_file={}/pid\ncommand_timeout=5\n\
             command[fine]=/bin/echo 'OK - fine | load=0.5;1;2'\n\
             command[broken]=/bin/sh -c 'echo two; exit 2'\n\
             command[long]=/usr/bin/seq -s , 1 2000\n\
             command[slow]=/bin/sleep 4\n{lines}\n",
            group(&user),
            folder.path().display()
        );
        std::fs::write(&path, config).unwrap();
        let child = Command::new("/usr/sbin/nrpe")
            .args(options)
            .arg("-f")
            .arg("-c")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nrpe must be there: apt-get install -y nagios-nrpe-server");
        let server = Self { child, port, _folder: folder };
        let waiting = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("nrpe does not listen");
        server
    }

    async fn plain() -> Self {
        Self::start("allowed_hosts=127.0.0.1", &["-n"], folder()).await
    }
}

/// As whom NRPE runs: it refuses to be root.
fn user() -> String {
    let run = Command::new("id").arg("-un").output().unwrap();
    let name = String::from_utf8(run.stdout).unwrap().trim().to_owned();
    if name == "root" { "nobody".to_owned() } else { name }
}

/// Returns the group of that name's user.
fn group(user: &str) -> String {
    let run = Command::new("id").arg("-gn").arg(user).output().unwrap();
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

/// Makes a folder whose files that user may read.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), mode).unwrap();
    folder
}

#[tokio::test]
async fn both_versions_of_nrpe_4_bring_status_text_and_performance_data() {
    let server = Nrpe::plain().await;
    // NRPE 4 no longer answers version 3, whatever its own client says.
    for version in [None, Some(NrpeVersion::V2), Some(NrpeVersion::V4)] {
        let probe = NrpeProbe { version, ..probe(server.port, "fine", NrpeTls::Plain) };
        let finding = look(&probe, &Macros::default(), &Versions::default()).await;
        assert_eq!((finding.status, finding.output.as_str()), (Status::Ok, "OK - fine"));
        assert_eq!(finding.perfdata[0].value, Some(0.5));
        let probe = NrpeProbe { version, ..self::probe(server.port, "broken", NrpeTls::Plain) };
        assert_eq!(found(&probe).await, (Status::Critical, "two".to_owned()));
    }
}

#[tokio::test]
async fn long_output_is_cut_by_version_2_only() {
    let server = Nrpe::plain().await;
    // 1 to 9 and a comma each, 10 to 99, 100 to 999, 1000 to 2000: 18 + 270 + 3600 + 5005 bytes,
    // less the last comma.
    let whole = 18 + 270 + 3600 + 5005 - 1;
    for (version, length) in [(NrpeVersion::V2, 1023), (NrpeVersion::V4, whole)] {
        let probe =
            NrpeProbe { version: Some(version), ..probe(server.port, "long", NrpeTls::Plain) };
        assert_eq!(found(&probe).await.1.len(), length, "{version:?}");
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_told_with_what_to_do() {
    let server = Nrpe::plain().await;
    let (status, text) = found(&probe(server.port, "nothing", NrpeTls::Plain)).await;
    assert_eq!((status, text.as_str()), (Status::Unknown, "NRPE: Command 'nothing' not defined"));

    // Debian builds NRPE without arguments.
    let arguments = vec!["80".to_owned(), "90".to_owned()];
    let asked = NrpeProbe { arguments, ..probe(server.port, "fine", NrpeTls::Plain) };
    let (status, text) = found(&asked).await;
    assert!(status == Status::Critical && text.contains("dont_blame_nrpe"), "{text}");

    let other = Nrpe::start("allowed_hosts=192.0.2.1", &["-n"], folder()).await;
    let (status, text) = found(&probe(other.port, "fine", NrpeTls::Plain)).await;
    assert!(status == Status::Critical && text.contains("allowed_hosts"), "{text}");

    let (status, text) = found(&probe(1, "fine", NrpeTls::Plain)).await;
    assert!(status == Status::Critical && text.contains("cannot connect"), "{text}");
}

#[tokio::test]
async fn a_server_without_certificate_is_reached_anonymously_only() {
    let server = Nrpe::start("allowed_hosts=127.0.0.1", &[], folder()).await;
    let finding = found(&probe(server.port, "fine", NrpeTls::Anonymous)).await;
    assert_eq!(finding, (Status::Ok, "OK - fine".to_owned()));
    let long = found(&probe(server.port, "long", NrpeTls::Anonymous)).await.1;
    assert!(long.ends_with(",1999,2000"), "{}", long.len());

    let certificates = NrpeTls::Certificates(NrpeCertificates::default());
    let (status, text) = found(&probe(server.port, "fine", certificates)).await;
    assert!(status == Status::Critical && text.contains("tls = \"anonymous\""), "{text}");
    let (status, text) = found(&probe(server.port, "fine", NrpeTls::Plain)).await;
    assert!(status == Status::Critical && text.contains("TLS"), "{text}");

    let (status, text) = found(&probe(1, "fine", NrpeTls::Anonymous)).await;
    assert!(status == Status::Critical && text.contains("refused"), "{text}");
    let plain = Nrpe::plain().await;
    let (status, text) = found(&probe(plain.port, "fine", NrpeTls::Anonymous)).await;
    assert!(status == Status::Critical && text.contains("allowed_hosts"), "{text}");
}

/// Writes an authority, a server's certificate for `web1.example` and a client's.
fn certificates(folder: &Path) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).unwrap();
    write("ca.pem", authority.pem());
    for (name, of) in [("server", "web1.example"), ("client", "noroshi.example")] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![of.to_owned()]).unwrap();
        // With the authority's own name OpenSSL takes it for signed by itself.
        params.distinguished_name.push(DnType::CommonName, of);
        write(&format!("{name}.pem"), params.signed_by(&key, &authority).unwrap().pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}

#[tokio::test]
async fn certificates_prove_who_both_are() {
    let folder = folder();
    certificates(folder.path());
    let at = folder.path().to_owned();
    let lines = format!(
        "allowed_hosts=127.0.0.1\nssl_version=TLSv1.2+\nssl_client_certs=2\nssl_use_adh=0\n\
         ssl_cacert_file={0}/ca.pem\nssl_cert_file={0}/server.pem\nssl_privatekey_file={0}/server.key",
        at.display()
    );
    let server = Nrpe::start(&lines, &[], folder).await;
    let whole = NrpeCertificates {
        ca_file: Some(at.join("ca.pem")),
        server_name: "web1.example".to_owned(),
        own: Some((at.join("client.pem"), at.join("client.key"))),
        is_insecure: false,
    };
    let with = |certificates| probe(server.port, "fine", NrpeTls::Certificates(certificates));
    assert_eq!(found(&with(whole.clone())).await, (Status::Ok, "OK - fine".to_owned()));
    let any = NrpeCertificates { ca_file: None, is_insecure: true, ..whole.clone() };
    assert_eq!(found(&with(any)).await.0, Status::Ok);

    let other = "db1.example".to_owned();
    for (certificates, words) in [
        (NrpeCertificates { ca_file: None, ..whole.clone() }, "UnknownIssuer"),
        (NrpeCertificates { server_name: other, ..whole.clone() }, "not valid for name"),
        (NrpeCertificates { own: None, ..whole.clone() }, ""),
        (NrpeCertificates { ca_file: Some(at.join("none.pem")), ..whole }, "none.pem"),
    ] {
        let (status, text) = found(&with(certificates)).await;
        assert!(status == Status::Critical && text.contains(words), "{text}");
    }
}

/// Serves one answer to each connection, and returns the port.
async fn answering(answers: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = vec![0; SHORT_BYTES];
            if stream.read_exact(&mut asked).await.is_ok() {
                stream.write_all(&answers(&asked)).await.unwrap();
            }
        }
    });
    port
}

/// Makes an answer of a query's bytes: another type, another text.
fn answer_with(version: NrpeVersion, text: &str) -> Vec<u8> {
    let mut packet = packet::query(version, text).unwrap();
    packet[3] = 2;
    sum_up(&mut packet);
    packet
}

fn sum_up(packet: &mut [u8]) {
    packet[4..8].fill(0);
    let crc = crc32fast::hash(packet);
    packet[4..8].copy_from_slice(&crc.to_be_bytes());
}

#[tokio::test]
async fn an_old_server_is_asked_in_its_own_version_and_remembered() {
    let (asked, mut versions_asked) = tokio::sync::mpsc::channel(8);
    let port = answering(move |query| {
        asked.try_send(query[1]).unwrap();
        // Version 2 hangs up on what it does not know.
        if query[1] == 2 { answer_with(NrpeVersion::V2, "old") } else { Vec::new() }
    })
    .await;
    let versions = Versions::default();
    let probe = probe(port, "fine", NrpeTls::Plain);
    for _ in 0..2 {
        let finding = look(&probe, &Macros::default(), &versions).await;
        assert_eq!((finding.status, finding.output.as_str()), (Status::Ok, "old"));
    }
    let mut all = Vec::new();
    while let Ok(version) = versions_asked.try_recv() {
        all.push(version);
    }
    assert_eq!(all, [4, 3, 2, 2]);
}

#[tokio::test]
async fn arguments_are_divided_by_exclamation_marks() {
    let port = answering(|query| {
        let text = String::from_utf8_lossy(&query[16..]).trim_end_matches('\0').to_owned();
        answer_with(NrpeVersion::V4, &text)
    })
    .await;
    let arguments = vec!["-w 80%".to_owned(), String::new(), "é".to_owned()];
    let asked = NrpeProbe { arguments, ..probe(port, "check_x", NrpeTls::Plain) };
    assert_eq!(found(&asked).await, (Status::Ok, "check_x!-w 80%!!é".to_owned()));
    let arguments = vec!["wow!".to_owned()];
    let (status, text) = found(&NrpeProbe { arguments, ..asked }).await;
    assert!(status == Status::Unknown && text.starts_with("argument 1 holds"), "{text}");
}

#[tokio::test]
async fn damaged_short_and_foreign_answers_are_critical() {
    let damaged = |place: usize| {
        let mut answer = answer_with(NrpeVersion::V4, "fine");
        answer[place] ^= 1;
        answer
    };
    let mut endless = answer_with(NrpeVersion::V4, "fine");
    endless[12] = 0x7f;
    let whole = answer_with(NrpeVersion::V4, "fine");
    for (answer, words) in [
        (damaged(20), "checksum"),
        (damaged(5), "checksum"),
        (whole[..500].to_vec(), "in the middle"),
        (whole[..7].to_vec(), "in the middle"),
        (endless, "at most"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n".to_vec(), "not answer as NRPE"),
        (vec![21, 3, 3, 0, 2, 2, 40], "speaks TLS"),
    ] {
        let port = answering(move |_| answer.clone()).await;
        let (status, text) = found(&probe(port, "fine", NrpeTls::Plain)).await;
        assert!(status == Status::Critical && text.contains(words), "{words}: {text}");
    }
}

#[tokio::test]
async fn version_3_is_understood_with_and_without_its_stray_bytes() {
    let with = answer_with(NrpeVersion::V3, "three");
    let mut without = with[..with.len() - STRAY_BYTES].to_vec();
    sum_up(&mut without);
    for answer in [with, without] {
        let port = answering(move |_| answer.clone()).await;
        let probe =
            NrpeProbe { version: Some(NrpeVersion::V3), ..probe(port, "fine", NrpeTls::Plain) };
        assert_eq!(found(&probe).await, (Status::Ok, "three".to_owned()));
    }
}
