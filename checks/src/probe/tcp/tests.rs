//! Servers on loopback that say their first words.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

/// Serves one connection after the other: says `first`, and for each line heard the next of
/// `answers`.
async fn serve(first: &'static str, answers: &'static [&'static str]) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(first.as_bytes()).await.unwrap();
            let mut buffer = [0; 256];
            for answer in answers {
                if stream.read(&mut buffer).await.unwrap_or(0) == 0 {
                    break;
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    (port, serving)
}

async fn ask(port: u16, protocol: Protocol) -> Finding {
    let target = format!("127.0.0.1:{port}");
    look(&TcpProbe::new(&target, protocol), &Macros::default(), Timestamp::from_secs(0)).await
}

#[tokio::test]
async fn each_service_must_say_its_first_words() {
    let cases = [
        (Protocol::Ssh, "SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2"),
        (Protocol::Ftp, "220 ready\r\n", "220 ready"),
        (Protocol::Pop3, "+OK hello\r\n", "+OK hello"),
        (Protocol::Imap, "* PREAUTH welcome\r\n", "* PREAUTH welcome"),
        (Protocol::Smtp, "220 mx ESMTP\r\n", "220 mx ESMTP"),
    ];
    for (protocol, first, shown) in cases {
        let (port, serving) = serve(first, &["250-mx\r\n250 OK\r\n"]).await;
        let fine = ask(port, protocol.clone()).await;
        assert_eq!(fine.status, Status::Ok, "{}", fine.output);
        assert!(fine.output.ends_with(shown), "{}", fine.output);
        assert_eq!(fine.perfdata[0].label, "time");
        serving.abort();
        let (port, serving) = serve("554 go away\r\n", &[]).await;
        let wrong = ask(port, protocol).await;
        assert_eq!(wrong.status, Status::Critical);
        assert!(wrong.output.contains("554 go away"), "{}", wrong.output);
        serving.abort();
    }
}

#[tokio::test]
async fn a_mail_server_that_does_not_greet_back_is_critical() {
    let (port, serving) = serve("220 mx\r\n", &["421 too busy\r\n"]).await;
    let busy = ask(port, Protocol::Smtp).await;
    assert_eq!(busy.status, Status::Critical);
    assert!(busy.output.contains("421 too busy"), "{}", busy.output);
    serving.abort();
}

#[tokio::test]
async fn what_is_sent_and_expected_may_hold_line_ends() {
    let (port, serving) = serve("", &["+PONG\r\n"]).await;
    let expect =
        |expect: &str| Protocol::Expect { send: r"PING\r\n".to_owned(), expect: expect.to_owned() };
    let fine = ask(port, expect(r"PONG\r\n")).await;
    assert_eq!(fine.status, Status::Ok, "{}", fine.output);
    let other = ask(port, expect("PANG")).await;
    assert_eq!(other.status, Status::Critical);
    assert!(other.output.contains("+PONG"), "{}", other.output);
    serving.abort();
}

#[tokio::test]
async fn closed_ports_and_wrong_targets_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let closed = ask(port, Protocol::Connect).await;
    assert_eq!(closed.status, Status::Critical);
    assert!(closed.output.contains("Connection refused"), "{}", closed.output);
    let success = closed.measures.iter().find(|m| m.name == "probe_success").unwrap();
    assert_eq!(success.value, 0.0);
    for target in ["web", "web:", "web:99999"] {
        let probe = TcpProbe::new(target, Protocol::Connect);
        let finding = look(&probe, &Macros::default(), Timestamp::from_secs(0)).await;
        assert_eq!(finding.status, Status::Unknown, "{target}");
    }
}
