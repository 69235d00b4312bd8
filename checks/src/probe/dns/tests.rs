//! A server on loopback that knows two names.

use hickory_resolver::proto::op::MessageType;
use hickory_resolver::proto::rr::rdata::{A, TXT};
use hickory_resolver::proto::rr::{RData, Record};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;

/// Answers for `web.example` (two addresses) and `big.example` (only by TCP).
fn answer(question: &[u8], is_tcp: bool) -> Vec<u8> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let mut answer = question.clone();
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.authoritative = true;
    let name = query.name().clone();
    let mut add = |data: RData| {
        answer.add_answer(Record::from_rdata(name.clone(), 60, data));
    };
    match (query.name().to_string().as_str(), query.query_type()) {
        ("web.example.", RecordType::A) => {
            add(RData::A(A::new(192, 0, 2, 1)));
            add(RData::A(A::new(192, 0, 2, 2)));
        }
        ("big.example.", RecordType::TXT) if is_tcp => {
            add(RData::TXT(TXT::new(vec!["v=spf1 -all".to_owned()])));
        }
        ("big.example.", _) => answer.metadata.truncation = true,
        ("web.example.", _) => {}
        _ => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer.to_vec().unwrap()
}

async fn serve() -> (SocketAddr, JoinHandle<()>) {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).await.unwrap();
    let serving = tokio::spawn(async move {
        let mut buffer = [0; 1024];
        loop {
            tokio::select! {
                received = udp.recv_from(&mut buffer) => {
                    let (count, from) = received.unwrap();
                    // Something else first: an answer to a question that nobody asked.
                    udp.send_to(b"noise", from).await.unwrap();
                    udp.send_to(&answer(&buffer[..count], false), from).await.unwrap();
                }
                accepted = tcp.accept() => {
                    let (mut stream, _) = accepted.unwrap();
                    let length = stream.read_u16().await.unwrap();
                    let mut question = vec![0; usize::from(length)];
                    stream.read_exact(&mut question).await.unwrap();
                    let answer = answer(&question, true);
                    stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                    stream.write_all(&answer).await.unwrap();
                }
            }
        }
    });
    (address, serving)
}

async fn ask(server: SocketAddr, name: &str, record: &str, expect: &[&str]) -> Finding {
    let probe = DnsProbe {
        server: server.to_string(),
        name: name.to_owned(),
        record: record.to_owned(),
        expect: expect.iter().map(|text| (*text).to_owned()).collect(),
        is_authoritative: true,
        warning: None,
        critical: None,
    };
    look(&probe, &Macros::default()).await
}

#[tokio::test]
async fn answers_are_compared_with_what_is_expected() {
    let (server, serving) = serve().await;
    let fine = ask(server, "web.example", "a", &["192.0.2.2"]).await;
    assert_eq!(fine.status, Status::Ok, "{}", fine.output);
    assert!(fine.output.starts_with("web.example A: 192.0.2.1, 192.0.2.2 in "), "{}", fine.output);
    for (name, record, expect, words) in [
        ("web.example", "A", &["192.0.2.9"][..], "missing: 192.0.2.9"),
        ("web.example", "AAAA", &[][..], "has no AAAA"),
        ("no.example", "A", &[][..], "Non-Existent Domain"),
    ] {
        let wrong = ask(server, name, record, expect).await;
        assert_eq!(wrong.status, Status::Critical, "{}", wrong.output);
        assert!(wrong.output.contains(words), "{}", wrong.output);
    }
    let nonsense = ask(server, "web.example", "NONSENSE", &[]).await;
    assert_eq!(nonsense.status, Status::Unknown, "{}", nonsense.output);
    serving.abort();
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_fetched_by_tcp() {
    let (server, serving) = serve().await;
    let big = ask(server, "big.example", "TXT", &["v=spf1 -all"]).await;
    assert_eq!(big.status, Status::Ok, "{}", big.output);
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_is_asked_again_and_then_critical() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let finding = ask(silent.local_addr().unwrap(), "web.example", "A", &[]).await;
    assert_eq!(finding.status, Status::Critical);
    assert!(finding.output.contains("no answer"), "{}", finding.output);
    let mut buffer = [0; 1024];
    for _ in 0..TRIES {
        silent.try_recv(&mut buffer).unwrap();
    }
    assert!(silent.try_recv(&mut buffer).is_err(), "no more than {TRIES} times");
}
