//! A real memcached: what it counts is what was done.

use std::process::Command;
use std::time::Duration;

use noroshi_collector::{Target, memcached, poll_once};
use noroshi_model::Batch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Service, WallClock, free_port, raw_server, value};

const TIMEOUT: Duration = Duration::from_secs(10);

async fn poll(port: u16) -> Batch {
    let target = Target::Memcached(memcached::Config::new(&format!("127.0.0.1:{port}")));
    poll_once(&target, TIMEOUT, &*WallClock::new()).await.unwrap()
}

#[tokio::test]
async fn a_real_memcached_counts_hits_and_misses() {
    let port = free_port();
    let mut command = Command::new("/usr/bin/memcached");
    let command = command.args(["-l", "127.0.0.1", "-u", "nobody", "-m", "8", "-p"]);
    let _service = Service::start(command.arg(port.to_string()), port, "memcached").await;
    let before = poll(port).await;
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    client.write_all(b"set a 0 0 5\r\nhello\r\nget a\r\nget a\r\nget b\r\nquit\r\n").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer.matches("hello").count(), 2);

    let after = poll(port).await;
    let grown = |series: &str| value(&after, series).unwrap() - value(&before, series).unwrap();
    let gets = |status: &str| {
        format!(r#"memcached_commands_total{{command="get",job="memcached",status="{status}"}}"#)
    };
    assert_eq!((grown(&gets("hit")), grown(&gets("miss"))), (2.0, 1.0));
    assert_eq!(grown(r#"memcached_current_items{job="memcached"}"#), 1.0);
    // 8 MiB by `-m 8`.
    assert_eq!(value(&after, r#"memcached_limit_bytes{job="memcached"}"#), Some(8_388_608.0));
    assert_eq!(value(&after, r#"memcached_up{job="memcached"}"#), Some(1.0));
}

#[tokio::test]
async fn what_is_no_memcached_fails_by_name() {
    let failing = async |bytes: &'static [u8]| {
        let (port, task) = raw_server(move |mut stream| async move {
            let mut request = [0; 64];
            let _read = stream.read(&mut request).await;
            let _written = stream.write_all(bytes).await;
        })
        .await;
        let target = Target::Memcached(memcached::Config::new(&format!("127.0.0.1:{port}")));
        let failure = poll_once(&target, TIMEOUT, &*WallClock::new()).await.unwrap_err();
        task.abort();
        failure.as_str()
    };
    assert_eq!(failing(b"SERVER_ERROR busy\r\n").await, "parse");
    assert_eq!(failing(b"STAT uptime 5\r\n").await, "parse");
    assert_eq!(failing(b"").await, "parse");
    let wrong = Target::Memcached(memcached::Config::new("127.0.0.1:99999"));
    let failure = poll_once(&wrong, TIMEOUT, &*WallClock::new()).await.unwrap_err();
    assert_eq!(failure.as_str(), "config");
}
