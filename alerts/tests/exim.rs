//! Mail through a mail server as it is deployed: Debian's Exim, STARTTLS with a certificate of
//! its own, login, delivery into a maildir.

#![allow(clippy::unwrap_used)]

mod house;

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use house::{World, config, problem, recovery, web1};
use mail_parser::{MessageParser, MimeHeaders};
use noroshi_alerts::{NotificationState, Secret, Security, Smtp};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const PROGRAM: &str = "/usr/sbin/exim4";
const PASSWORD: &str = "correct horse: battery";

/// How the server is set up: nothing of the machine's own mail configuration is read.
///
/// Source of the options: Exim 4.96, specification, chapters 14 (main), 24 (routers), 26
/// (appendfile) and 34 (plaintext authenticator).
const CONFIG: &str = r"
spool_directory = @DIR@/spool
log_file_path = @DIR@/log/%slog
pid_file_path = @DIR@/exim.pid
keep_environment =
primary_hostname = localhost
qualify_domain = localhost
local_interfaces = <; 127.0.0.1
daemon_smtp_ports = @PORT@
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts = *
tls_certificate = @DIR@/certificate.pem
tls_privatekey = @DIR@/key.pem
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
begin acl
acl_rcpt:
  deny message = sign in first
       !authenticated = *
  deny message = no such user
       local_parts = nobody
  accept
acl_data:
  accept
begin routers
everybody:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  maildir_format
  directory = @DIR@/mail
  create_directory
  user = Debian-exim
  group = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{noroshi}}{eq{$auth3}{@PASSWORD@}}}}
  server_set_id = $auth2
  server_advertise_condition = ${if def:tls_in_cipher}
";

/// A running Exim; ends when dropped.
struct Exim {
    folder: tempfile::TempDir,
    port: u16,
    certificate_pem: String,
    _process: Child,
}

impl Exim {
    async fn start() -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "Exim is missing: apt-get install -y exim4-daemon-light"
        );
        let folder = tempfile::tempdir().unwrap();
        let is_root = folder.path().metadata().unwrap().uid() == 0;
        assert!(is_root, "Exim gives up root for its own user: run this test as root");
        // Exim gives up root before it reads and delivers.
        let open = |path: &Path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        };
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["spool", "log", "mail"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            open(&folder.path().join(name));
        }
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate_pem = key.cert.pem();
        std::fs::write(folder.path().join("certificate.pem"), &certificate_pem).unwrap();
        std::fs::write(folder.path().join("key.pem"), key.signing_key.serialize_pem()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = CONFIG
            .replace("@DIR@", folder.path().to_str().unwrap())
            .replace("@PORT@", &port.to_string())
            .replace("@PASSWORD@", PASSWORD);
        let path = folder.path().join("exim.conf");
        std::fs::write(&path, config).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let process =
            Command::new(PROGRAM).arg("-C").arg(&path).arg("-bdf").kill_on_drop(true).spawn();
        let mut exim = Self { folder, port, certificate_pem, _process: process.unwrap() };
        exim.until_greeting().await;
        exim
    }

    /// Waits until the server greets.
    async fn until_greeting(&mut self) {
        let wait = async {
            loop {
                if let Ok(stream) = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await {
                    let mut line = String::new();
                    let read = BufReader::new(stream).read_line(&mut line).await;
                    if read.is_ok() && line.starts_with("220 ") {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let greeted = tokio::time::timeout(Duration::from_secs(20), wait).await;
        assert!(greeted.is_ok(), "Exim does not greet; its log: {}", self.log());
    }

    fn log(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.path().join("log").join(name));
        let both = [read("mainlog"), read("paniclog")];
        both.into_iter().map(Result::unwrap_or_default).collect()
    }

    fn smtp(&self, password: &str) -> Smtp {
        Smtp {
            host: "localhost".to_owned(),
            port: self.port,
            security: Security::Starttls,
            user: Some("noroshi".to_owned()),
            password: Secret::new(password),
            from: "Noroshi <noroshi@example.net>".to_owned(),
            ca_pem: Some(self.certificate_pem.clone()),
        }
    }

    /// Waits for so many delivered mails, oldest first.
    async fn delivered(&self, count: usize) -> Vec<Vec<u8>> {
        let wait = async {
            loop {
                let found = self.maildir();
                if found.len() >= count {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(20), wait).await;
        found.unwrap_or_else(|_| panic!("not delivered; Exim's log: {}", self.log()))
    }

    fn maildir(&self) -> Vec<Vec<u8>> {
        let new = self.folder.path().join("mail/new");
        let Ok(entries) = std::fs::read_dir(new) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort_by_key(|path| path.metadata().unwrap().modified().unwrap());
        paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
    }
}

#[tokio::test]
async fn exim_takes_and_delivers_problem_and_recovery() {
    let exim = Exim::start().await;
    let world = World::new();
    let life = world.live(config(exim.smtp(PASSWORD)));
    world.happen(&web1(), problem(1));
    let mails = exim.delivered(1).await;
    let mail = MessageParser::default().parse(&mails[0]).unwrap();
    assert_eq!(mail.subject(), Some("[CRITICAL] web1/http: connection refused — 接続拒否"));
    let received = String::from_utf8_lossy(&mails[0]).into_owned();
    assert!(received.contains("with esmtpsa"), "encrypted and signed in: {received}");
    assert!(mail.body_text(0).unwrap().contains("Restart nginx"));
    let image = mail.attachments().next().expect("a graph");
    assert_eq!(image.content_id(), Some("graph@noroshi"));
    assert_eq!(&image.contents()[..8], b"\x89PNG\r\n\x1a\n");

    world.happen(&web1(), recovery(1));
    let mails = exim.delivered(2).await;
    let end = MessageParser::default().parse(&mails[1]).unwrap();
    assert_eq!(end.in_reply_to().as_text(), mail.message_id());
    life.stop().await;
}

#[tokio::test]
async fn exim_s_refusals_are_understood() {
    let exim = Exim::start().await;
    let world = World::new();
    let mut other = config(exim.smtp("wrong"));
    other.contacts[0].email = vec!["nobody@example.net".to_owned()];
    let life = world.live(other.clone());
    world.happen(&web1(), problem(1));
    life.until("a deferred mail", |alerts| alerts.stats().deferred_total == 1).await;
    let shown = life.alerts.notifications(None, 1).unwrap();
    assert_eq!(shown[0].state, NotificationState::Queued);
    assert!(shown[0].error.as_ref().unwrap().starts_with("sign_in: "), "{shown:?}");

    other.smtp = Some(exim.smtp(PASSWORD));
    life.alerts.apply(other).unwrap();
    life.until("a refused mail", |alerts| alerts.stats().failed_total == 1).await;
    let shown = life.alerts.notifications(None, 1).unwrap();
    assert_eq!(shown[0].state, NotificationState::Failed);
    assert!(shown[0].error.as_ref().unwrap().contains("no such user"), "{shown:?}");
    life.stop().await;
}
