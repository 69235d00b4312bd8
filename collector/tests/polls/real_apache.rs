//! A real Apache: what it counts is what was done.

use std::process::Command;
use std::time::Duration;

use noroshi_collector::{Target, apache, poll_once};
use noroshi_model::Batch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{PATIENCE, Service, WallClock, free_port, value};

const TIMEOUT: Duration = Duration::from_secs(10);

async fn poll(port: u16) -> Batch {
    let url = format!("http://127.0.0.1:{port}/server-status?auto");
    let target = Target::Apache(apache::Config::new(&url));
    poll_once(&target, TIMEOUT, &*WallClock::new()).await.unwrap()
}

#[tokio::test]
async fn a_real_apache_counts_requests_and_workers() {
    let folder = tempfile::tempdir().unwrap();
    let (name, port) = (folder.path().display(), free_port());
    // One process (`-X`) with four threads, so that the numbers are known and nothing is left.
    let config = format!(
        "ServerRoot /usr/lib/apache2\nServerName localhost\nListen 127.0.0.1:{port}\n\
         PidFile {name}/pid\nErrorLog {name}/errors\nDefaultRuntimeDir {name}\n\
         LoadModule mpm_event_module modules/mod_mpm_event.so\n\
         LoadModule authz_core_module modules/mod_authz_core.so\n\
         LoadModule status_module modules/mod_status.so\n\
         User www-data\nGroup www-data\nExtendedStatus On\n\
         StartServers 1\nServerLimit 1\nThreadsPerChild 4\nThreadLimit 4\nMaxRequestWorkers 4\n\
         MinSpareThreads 1\nMaxSpareThreads 4\n\
         <Location /server-status>\nSetHandler server-status\n</Location>\n"
    );
    let file = folder.path().join("apache.conf");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("/usr/sbin/apache2");
    let command = command.arg("-f").arg(&file).arg("-X");
    let _service = Service::start(command, port, "apache2").await;

    let requests = r#"apache_accesses_total{job="apache"}"#;
    let before = value(&poll(port).await, requests).unwrap();
    for _ in 0..5 {
        let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        client.write_all(b"GET /nothing HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 404"),
            "{answer}"
        );
    }
    // Apache counts a request when it has logged it, a moment after its answer: the polls
    // themselves come one later.
    let mut polls = 0.0;
    let counted = async {
        loop {
            let after = poll(port).await;
            polls += 1.0;
            if value(&after, requests).unwrap() - before == 5.0 + polls {
                return after;
            }
        }
    };
    let after =
        tokio::time::timeout(PATIENCE, counted).await.expect("five visits were not counted");
    let state = |name: &str, state: &str| {
        value(&after, &format!(r#"apache_{name}{{job="apache",state="{state}"}}"#)).unwrap()
    };
    assert_eq!(state("workers", "busy") + state("workers", "idle"), 4.0);
    assert_eq!(state("scoreboard", "reply"), 1.0);
    assert_eq!(state("scoreboard", "open_slot"), 0.0);
    assert_eq!(value(&after, r#"apache_up{job="apache"}"#), Some(1.0));
}
