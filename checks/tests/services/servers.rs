//! The servers: a folder, a configuration, ports that were free, a process that ends with the test.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A certificate for `localhost` and `shop.example`, signed by itself.
pub(crate) struct Certificate {
    pem: String,
    key: String,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let names = vec!["localhost".to_owned(), "shop.example".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        Self { pem: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    fn write(&self, folder: &Path) {
        fs::write(folder.join("cert.pem"), &self.pem).unwrap();
        fs::write(folder.join("key.pem"), &self.key).unwrap();
    }
}

/// A running server; ends when dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    folder: tempfile::TempDir,
    ports: Vec<u16>,
    process: Option<Child>,
}

impl Server {
    /// Makes its folder, open to the user that the server becomes, and takes free ports.
    fn new(name: &'static str, ports: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), open).unwrap();
        let listeners: Vec<TcpListener> =
            (0..ports).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
        Self { name, folder, ports, process: None }
    }

    pub(crate) fn port(&self, index: usize) -> u16 {
        self.ports[index]
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns what a file in its folder holds.
    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Returns what it said.
    pub(crate) fn said(&self) -> String {
        self.log("said")
    }

    /// Writes a file; `@DIR@` and `@PORT0@`, ... are put in.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let mut text = text.replace("@DIR@", self.folder.path().to_str().unwrap());
        for (index, port) in self.ports.iter().enumerate() {
            text = text.replace(&format!("@PORT{index}@"), &port.to_string());
        }
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Makes a folder that `user` owns.
    fn folder_of(&self, name: &str, user: &str) {
        fs::create_dir(self.path(name)).unwrap();
        let given = Command::new("chown").arg(user).arg(self.path(name)).status().unwrap();
        assert!(given.success(), "cannot give {name} to {user}: run this test as root");
    }

    /// Starts it and waits until it takes connections.
    fn start(mut self, package: &str, program: &str, arguments: &[&str]) -> Self {
        assert!(Path::new(program).exists(), "{program} is missing: apt-get install -y {package}");
        let said = fs::File::create(self.path("said")).unwrap();
        let dir = self.folder.path().to_str().unwrap().to_owned();
        let mut command = Command::new(program);
        command.args(arguments.iter().map(|argument| argument.replace("@DIR@", &dir)));
        command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        self.process = Some(command.current_dir(&dir).spawn().unwrap());
        super::wait_for(&self, self.ports[0]);
        self
    }

    /// Waits until it says that it is ready: until then it takes connections and refuses them.
    fn until_it_says(self, words: &str) -> Self {
        for _ in 0..600 {
            if self.said().contains(words) {
                return self;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{} is not ready: {}", self.name, self.said());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // Politely, so that it ends its own children.
        let id = process.id().to_string();
        drop(Command::new("kill").args(["-TERM", &id]).status());
        for _ in 0..100 {
            if process.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        drop(process.kill());
        drop(process.wait());
    }
}

pub(crate) fn exim(certificate: &Certificate) -> Server {
    let server = Server::new("Exim", 1);
    certificate.write(server.folder.path());
    server.folder_of("spool", "Debian-exim");
    server.folder_of("log", "Debian-exim");
    let config = server.write(
        "exim.conf",
        "spool_directory = @DIR@/spool\nlog_file_path = @DIR@/log/%slog\n\
         pid_file_path = @DIR@/exim.pid\nkeep_environment =\nprimary_hostname = localhost\n\
         local_interfaces = <; 127.0.0.1\ndaemon_smtp_ports = @PORT0@\nhost_lookup =\n\
         rfc1413_query_timeout = 0s\ntls_advertise_hosts = *\n\
         tls_certificate = @DIR@/cert.pem\ntls_privatekey = @DIR@/key.pem\nbegin acl\n",
    );
    let config = config.to_str().unwrap().to_owned();
    server.start("exim4-daemon-light", "/usr/sbin/exim4", &["-C", &config, "-bdf"])
}

pub(crate) fn dovecot(certificate: &Certificate) -> Server {
    let server = Server::new("Dovecot", 3);
    certificate.write(server.folder.path());
    for name in ["run", "state"] {
        fs::create_dir(server.path(name)).unwrap();
    }
    server.write(
        "dovecot.conf",
        "base_dir = @DIR@/run\nstate_dir = @DIR@/state\nlog_path = @DIR@/log\nlisten = 127.0.0.1\n\
         protocols = imap pop3\nssl = yes\nssl_cert = <@DIR@/cert.pem\nssl_key = <@DIR@/key.pem\n\
         mail_location = maildir:@DIR@/mail\n\
         service imap-login {\n  inet_listener imap {\n    port = @PORT0@\n  }\n  \
         inet_listener imaps {\n    port = @PORT2@\n    ssl = yes\n  }\n}\n\
         service pop3-login {\n  inet_listener pop3 {\n    port = @PORT1@\n  }\n  \
         inet_listener pop3s {\n    port = 0\n  }\n}\n\
         passdb {\n  driver = passwd-file\n  args = @DIR@/users\n}\n\
         userdb {\n  driver = passwd-file\n  args = @DIR@/users\n}\n",
    );
    server.write("users", "");
    server.start(
        "dovecot-imapd dovecot-pop3d",
        "/usr/sbin/dovecot",
        &["-F", "-c", "@DIR@/dovecot.conf"],
    )
}

pub(crate) fn vsftpd() -> Server {
    let server = Server::new("vsftpd", 1);
    fs::create_dir(server.path("empty")).unwrap();
    server.write(
        "vsftpd.conf",
        "listen=YES\nlisten_address=127.0.0.1\nlisten_port=@PORT0@\nbackground=NO\n\
         anonymous_enable=YES\nsecure_chroot_dir=@DIR@/empty\nseccomp_sandbox=NO\n",
    );
    server.start("vsftpd", "/usr/sbin/vsftpd", &["@DIR@/vsftpd.conf"])
}

pub(crate) fn sshd() -> Server {
    let server = Server::new("sshd", 1);
    let key = server.path("host_key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .expect("ssh-keygen is missing: apt-get install -y openssh-server");
    assert!(made.success());
    // Where it separates privileges; the package's own service would make it.
    fs::create_dir_all("/run/sshd").unwrap();
    server.write(
        "sshd_config",
        "Port @PORT0@\nListenAddress 127.0.0.1\nHostKey @DIR@/host_key\nPidFile none\nUsePAM no\n",
    );
    server.start("openssh-server", "/usr/sbin/sshd", &["-D", "-e", "-f", "@DIR@/sshd_config"])
}

pub(crate) fn slapd(certificate: &Certificate) -> Server {
    let server = Server::new("slapd", 1);
    certificate.write(server.folder.path());
    fs::create_dir(server.path("data")).unwrap();
    server.write(
        "slapd.conf",
        "include /etc/ldap/schema/core.schema\npidfile @DIR@/slapd.pid\n\
         modulepath /usr/lib/ldap\nmoduleload back_mdb\n\
         TLSCertificateFile @DIR@/cert.pem\nTLSCertificateKeyFile @DIR@/key.pem\n\
         database mdb\nsuffix \"dc=example,dc=org\"\ndirectory @DIR@/data\n",
    );
    let url = format!("ldap://127.0.0.1:{}/", server.port(0));
    server.start("slapd", "/usr/sbin/slapd", &["-d", "0", "-f", "@DIR@/slapd.conf", "-h", &url])
}

pub(crate) fn mariadb(certificate: &Certificate) -> Server {
    let server = Server::new("MariaDB", 1);
    certificate.write(server.folder.path());
    let installed = Command::new("mariadb-install-db")
        .args([
            "--no-defaults",
            "--user=root",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ])
        .arg(format!("--datadir={}", server.path("data").display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("mariadb-install-db is missing: apt-get install -y mariadb-server");
    assert!(installed.success());
    server.write(
        "my.cnf",
        "[mariadbd]\nuser=root\nport=@PORT0@\nbind-address=127.0.0.1\ndatadir=@DIR@/data\n\
         socket=@DIR@/socket\npid-file=@DIR@/pid\nmax_connect_errors=10\n\
         skip-networking=0\ninnodb_buffer_pool_size=8M\ninnodb_log_file_size=4M\n\
         ssl-cert=@DIR@/cert.pem\nssl-key=@DIR@/key.pem\n",
    );
    server.start("mariadb-server", "/usr/sbin/mariadbd", &["--defaults-file=@DIR@/my.cnf"])
}

pub(crate) fn postgresql(certificate: &Certificate) -> Server {
    const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
    let server = Server::new("PostgreSQL", 1);
    server.folder_of("data", "postgres");
    let as_postgres = |program: &str, arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        command.arg(format!("{PROGRAMS}/{program}")).args(arguments);
        command.current_dir(server.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("PostgreSQL is missing: apt-get install -y postgresql-15")
    };
    let data = server.path("data");
    let data = data.to_str().unwrap();
    fs::write(server.path("password"), "not this one").unwrap();
    let password = format!("--pwfile={}", server.path("password").display());
    assert!(as_postgres("initdb", &["-D", data, "-A", "scram-sha-256", &password]).success());
    certificate.write(&server.path("data"));
    for name in ["data/cert.pem", "data/key.pem"] {
        fs::set_permissions(server.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        let given = Command::new("chown").arg("postgres").arg(server.path(name)).status().unwrap();
        assert!(given.success());
    }
    let port = server.port(0);
    let program = format!("{PROGRAMS}/postgres");
    let port = format!("port={port}");
    let data = data.to_owned();
    server
        .start(
            "postgresql-15",
            "/usr/bin/setpriv",
            &[
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                &program,
                "-D",
                &data,
                "-c",
                &port,
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
                "-c",
                "ssl=on",
                "-c",
                "ssl_cert_file=cert.pem",
                "-c",
                "ssl_key_file=key.pem",
                "-c",
                "fsync=off",
                "-c",
                "shared_buffers=8MB",
            ],
        )
        .until_it_says("ready to accept connections")
}

pub(crate) fn bind() -> Server {
    let server = Server::new("BIND", 1);
    // 4 KiB: more than fits into a datagram.
    let long = format!("\"{}\" ", "x".repeat(200)).repeat(20);
    server.write(
        "zone",
        &format!(
            "$TTL 300\n@ IN SOA ns.example.org. host.example.org. 1 3600 600 86400 300\n\
             @ IN NS ns.example.org.\n@ IN MX 10 mail.example.org.\nns IN A 127.0.0.1\n\
             mail IN A 192.0.2.25\nweb1 IN A 192.0.2.10\nbig IN TXT ({long} )\n"
        ),
    );
    server.write(
        "named.conf",
        "options { directory \"@DIR@\"; listen-on port @PORT0@ { 127.0.0.1; }; \
         listen-on-v6 { none; }; recursion no; pid-file \"@DIR@/pid\"; \
         session-keyfile \"@DIR@/session.key\"; };\ncontrols { };\n\
         zone \"example.org\" { type primary; file \"@DIR@/zone\"; };\n",
    );
    server.start("bind9", "/usr/sbin/named", &["-g", "-n", "1", "-c", "@DIR@/named.conf"])
}

pub(crate) fn nginx(certificate: &Certificate) -> Server {
    let server = Server::new("nginx", 3);
    certificate.write(server.folder.path());
    fs::write(server.path("large"), vec![b'x'; 3 << 20]).unwrap();
    let other = Certificate::new();
    fs::write(server.path("other.pem"), &other.pem).unwrap();
    fs::write(server.path("other.key"), &other.key).unwrap();
    server.write(
        "nginx.conf",
        "daemon off; master_process off; pid @DIR@/pid; error_log @DIR@/error.log;\nevents {}\n\
         http {\n access_log off;\n client_body_temp_path @DIR@/body; proxy_temp_path @DIR@/proxy;\n \
         fastcgi_temp_path @DIR@/fastcgi; uwsgi_temp_path @DIR@/uwsgi; scgi_temp_path @DIR@/scgi;\n \
         server {\n  listen 127.0.0.1:@PORT0@; listen [::1]:@PORT2@; root @DIR@;\n  \
         location = / { return 200 \"it works\\n\"; }\n  \
         location = /secure { return 302 https://localhost:@PORT1@/; }\n }\n \
         server {\n  listen 127.0.0.1:@PORT1@ ssl default_server;\n  \
         ssl_certificate @DIR@/other.pem; ssl_certificate_key @DIR@/other.key;\n  \
         return 200 \"another\\n\";\n }\n \
         server {\n  listen 127.0.0.1:@PORT1@ ssl; server_name shop.example;\n  \
         ssl_certificate @DIR@/cert.pem; ssl_certificate_key @DIR@/key.pem;\n  \
         return 200 \"the shop\\n\";\n }\n}\n",
    );
    server.start(
        "nginx-light",
        "/usr/sbin/nginx",
        &["-c", "@DIR@/nginx.conf", "-e", "@DIR@/error.log"],
    )
}
