//! A real nginx with a status page.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{PATIENCE, Process, free_port, http, wait_for};

/// An nginx that serves a page and its `stub_status`.
pub struct Nginx {
    folder: tempfile::TempDir,
    pub port: u16,
    process: Option<Process>,
}

impl Nginx {
    /// Starts it on a free port.
    pub fn start() -> Self {
        let mut nginx =
            Self { folder: tempfile::tempdir().unwrap(), port: free_port(), process: None };
        nginx.begin();
        nginx
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("nginx.conf")
    }

    /// Starts it, again on the same port.
    pub fn begin(&mut self) {
        let folder = self.folder.path().display();
        let port = self.port;
        fs::write(
            self.config(),
            format!(
                "daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n\
                 events {{}}\n\
                 http {{\n access_log off;\n client_body_temp_path {folder}/body;\n \
                 proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;\n \
                 uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n \
                 server {{ listen 127.0.0.1:{port};\n  \
                 location / {{ return 200 \"it works\\n\"; }}\n  \
                 location = /status {{ stub_status; }}\n }}\n}}\n"
            ),
        )
        .unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(self.config()).arg("-e").arg(self.folder.path().join("error.log"));
        self.process = Some(Process::start("nginx", command.stderr(Stdio::null())));
        let address = self.address();
        wait_for("nginx to answer", PATIENCE, || http::send(&address, "GET /", None, ""));
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Stops it: nobody listens any more.
    pub fn stop(&mut self) {
        self.process = None;
    }
}
