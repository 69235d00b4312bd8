//! A real mail server: Exim with STARTTLS and a login, which puts what it takes into a folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{PATIENCE, Process, free_port, wait_for};

pub const USER: &str = "noroshi";
pub const PASSWORD: &str = "fire on the tower";

/// The user that Debian's Exim runs as.
const EXIM_USER: &str = "Debian-exim";

/// An Exim that takes mail for anybody from whoever signs in.
pub struct Smtp {
    folder: tempfile::TempDir,
    pub port: u16,
    _process: Process,
}

impl Smtp {
    /// Starts it on a free port, with a certificate of its own.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        make_certificate(folder.path());
        let config = folder.path().join("exim.conf");
        fs::write(&config, exim_config(folder.path(), port)).unwrap();
        for part in ["spool", "mail"] {
            fs::create_dir(folder.path().join(part)).unwrap();
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        run(Command::new("chown").args(["-R", EXIM_USER]).arg(folder.path()));
        run(Command::new("chown").arg("root").arg(&config));
        let mut command = Command::new("/usr/sbin/exim4");
        command.arg("-C").arg(&config).arg("-bdf");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::start("exim4", &mut command);
        wait_for("Exim to listen", PATIENCE, || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { folder, port, _process: process }
    }

    /// Returns the certificate that a client must trust.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Returns the mails that came with this text in their subject, oldest first, as they came.
    pub fn mails(&self, about: &str) -> Vec<String> {
        let Ok(listing) = fs::read_dir(self.folder.path().join("mail/new")) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = listing.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mails = files.iter().map(|file| fs::read_to_string(file).unwrap());
        mails.filter(|mail| subject(mail).contains(about)).collect()
    }

    /// Waits until there are so many mails.
    #[track_caller]
    pub fn wait_for_mails(&self, about: &str, count: usize) -> Vec<String> {
        wait_for(&format!("{count} mails about {about}"), PATIENCE, || {
            let mails = self.mails(about);
            (mails.len() >= count).then_some(mails)
        })
    }
}

/// Returns the subject of a mail.
fn subject(mail: &str) -> &str {
    let mut head = mail.lines().take_while(|line| !line.is_empty());
    head.find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default()
}

/// Makes a key and a certificate for `localhost`.
fn make_certificate(folder: &Path) {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    command.args(["-addext", "subjectAltName=DNS:localhost"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(folder.join("cert.pem"));
    run(command.stderr(Stdio::null()));
}

fn run(command: &mut Command) {
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; tests/run installs what is needed"));
    assert!(status.success(), "{command:?} ended with {status}");
}

fn exim_config(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "primary_hostname = localhost
exim_user = {EXIM_USER}
exim_group = {EXIM_USER}
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
pid_file_path = {folder}/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_certificate = {folder}/cert.pem
tls_privatekey = {folder}/key.pem
tls_advertise_hosts = *
# A login is offered once TLS is on, never before.
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_rcpt = rcpt
acl_smtp_data = data
keep_environment =
begin acl
rcpt:
  accept authenticated = *
  deny message = authentication required
data:
  accept
begin routers
all:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  maildir_format
  directory = {folder}/mail
  create_directory
  user = {EXIM_USER}
  group = {EXIM_USER}
begin retry
* * F,1h,1m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth2
"
    )
}
