//! A real server on loopback, in plain and with TLS.

use std::sync::Arc;

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::probe::{Compare, Secret, Threshold};

/// Answers every request by its path, over TLS when there is a certificate.
async fn serve(certificate: Option<rcgen::CertifiedKey<rcgen::KeyPair>>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = certificate.map(|certified| {
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    });
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            match acceptor.clone() {
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        answer(stream).await;
                    }
                }
                None => answer(stream).await,
            }
        }
    });
    (port, serving)
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = vec![0; 4096];
    let count = stream.read(&mut request).await.unwrap();
    let request = String::from_utf8_lossy(&request[..count]).into_owned();
    let path = request.split(' ').nth(1).unwrap_or("").to_owned();
    let is_known = request.to_lowercase().contains("authorization: basic yw5uonnly3jlda==");
    let text = match path.as_str() {
        "/round" => "HTTP/1.1 302 Found\r\nLocation: round?\r\nContent-Length: 0\r\n\r\n",
        "/round?" => "HTTP/1.1 302 Found\r\nLocation: round\r\nContent-Length: 0\r\n\r\n",
        "/keys" if !request.contains("authorization: Bearer t0ken") => {
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        }
        "/api" => {
            "HTTP/1.1 200 OK\r\nContent-Length: 56\r\n\r\n\
             {\"state\":\"ok\",\"n\":3,\"pools\":[{\"free\":\"5\"},{\"free\":50}]}\n"
        }
        "/moved" => "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        "/private" if !is_known => "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        "/broken" => "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
        "/half" => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        _ => "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\nthe pool has 7 up\n",
    };
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

/// A moment at which certificates made by a test are valid (they are from 1975 to 4096).
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

async fn ask(port: u16, path: &str, change: impl FnOnce(&mut HttpProbe)) -> Finding {
    let mut probe = HttpProbe::get(&format!("http://127.0.0.1:{port}{path}"));
    change(&mut probe);
    look(&probe, &Macros::default(), NOW).await
}

#[tokio::test]
async fn status_text_redirect_and_password_are_judged() {
    let (port, serving) = serve(None).await;
    let fine = ask(port, "/", |_| {}).await;
    assert_eq!(fine.status, Status::Ok, "{}", fine.output);
    assert!(fine.output.starts_with("HTTP 200 OK, 18 B in "), "{}", fine.output);
    let phases: Vec<&str> =
        fine.measures.iter().filter_map(|m| m.label.map(|(_, phase)| phase)).collect();
    assert_eq!(phases, ["resolve", "connect", "tls", "processing", "transfer"]);

    let broken = ask(port, "/broken", |_| {}).await;
    assert_eq!(broken.status, Status::Critical);
    assert!(broken.output.starts_with("status 500 is not wanted"), "{}", broken.output);
    assert_eq!(ask(port, "/broken", |probe| probe.statuses = vec![500]).await.status, Status::Ok);

    let moved = ask(port, "/moved", |_| {}).await;
    assert!(moved.output.starts_with("HTTP 302"), "{}", moved.output);
    let followed = ask(port, "/moved", |probe| probe.redirects_max = 1).await;
    assert!(followed.output.starts_with("HTTP 200"), "{}", followed.output);

    let text = |text: &str| Some(text.to_owned());
    assert_eq!(ask(port, "/", |probe| probe.text = text("7 up")).await.status, Status::Ok);
    let missing = ask(port, "/", |probe| probe.text = text("8 up")).await;
    assert_eq!(missing.status, Status::Critical, "{}", missing.output);
    assert_eq!(ask(port, "/", |probe| probe.regex = text(r"\d up")).await.status, Status::Ok);
    assert_eq!(
        ask(port, "/", |probe| probe.regex = text(r"\d down")).await.status,
        Status::Critical
    );

    assert_eq!(ask(port, "/private", |_| {}).await.status, Status::Critical);
    let auth = Some(("ann".to_owned(), Secret::new("secret")));
    assert_eq!(ask(port, "/private", |probe| probe.basic_auth = auth).await.status, Status::Ok);

    let half = ask(port, "/half", |_| {}).await;
    assert_eq!(half.status, Status::Critical, "{}", half.output);
    assert!(half.output.contains("broke off"), "{}", half.output);
    let slow = ask(port, "/", |probe| probe.critical = Some(Duration::ZERO)).await;
    assert_eq!(slow.status, Status::Critical, "{}", slow.output);
    serving.abort();
}

#[tokio::test]
async fn a_port_that_is_closed_is_critical_and_a_url_that_is_none_unknown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let closed = ask(port, "/", |_| {}).await;
    assert_eq!(closed.status, Status::Critical, "{}", closed.output);
    assert!(closed.output.contains("cannot connect to 127.0.0.1"), "{}", closed.output);
    let wrong = look(&HttpProbe::get("ftp://x/"), &Macros::default(), NOW).await;
    assert_eq!(wrong.status, Status::Unknown, "{}", wrong.output);
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_is_critical_unless_that_is_wanted() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (port, serving) = serve(Some(certified)).await;
    let url = format!("https://localhost:{port}/");
    let mut probe = HttpProbe::get(&url);
    probe.connect_to = Some("127.0.0.1".to_owned());
    let strict = look(&probe, &Macros::default(), NOW).await;
    assert_eq!(strict.status, Status::Critical, "{}", strict.output);
    assert!(strict.output.contains("days left, but "), "{}", strict.output);
    probe.is_insecure = true;
    let lax = look(&probe, &Macros::default(), NOW).await;
    assert_eq!(lax.status, Status::Ok, "{}", lax.output);
    assert!(lax.perfdata.iter().any(|data| data.label == "certificate_days"));

    // In the year 5000 the certificate has ended, and that is told whether it verifies or not.
    let late = Timestamp::from_secs(95_617_584_000);
    let ended = look(&probe, &Macros::default(), late).await;
    assert_eq!(ended.status, Status::Critical, "{}", ended.output);
    assert!(ended.output.contains("days ago"), "{}", ended.output);
    serving.abort();
}

#[tokio::test]
async fn values_of_a_json_answer_are_judged_and_numbers_become_performance_data() {
    let (port, serving) = serve(None).await;
    let wish = |path: &str| JsonWish {
        path: path.to_owned(),
        equals: None,
        regex: None,
        warning: None,
        critical: None,
        name: String::new(),
    };
    let above = |value| Some(Threshold { op: Compare::Above, value, leave: None });
    let equals =
        |path: &str, value: serde_json::Value| vec![JsonWish { equals: Some(value), ..wish(path) }];
    let limits = vec![JsonWish {
        warning: above(2.0),
        critical: above(10.0),
        name: "queue".to_owned(),
        ..wish("$.n")
    }];
    let pools = vec![JsonWish { critical: above(20.0), ..wish("$.pools[*].free") }];
    let regex = vec![JsonWish { regex: Some("^o.$".to_owned()), ..wish("$.state") }];
    for (json, status, words) in [
        (equals("$.state", "ok".into()), Status::Ok, "HTTP 200"),
        (equals("$.state", "bad".into()), Status::Critical, "$.state is ok, not \"bad\", HTTP 200"),
        (equals("$.n", 3.0.into()), Status::Ok, "HTTP 200"),
        (regex, Status::Ok, "HTTP 200"),
        (limits, Status::Warning, "queue is 3, HTTP 200"),
        (pools.clone(), Status::Critical, "$['pools'][1]['free'] is 50, HTTP 200"),
        (vec![wish("$.gone")], Status::Critical, "the body has no $.gone, HTTP 200"),
    ] {
        let finding = ask(port, "/api", |probe| probe.json = json).await;
        assert_eq!(finding.status, status, "{}", finding.output);
        assert!(finding.output.starts_with(words), "{}", finding.output);
    }
    let finding = ask(port, "/api", |probe| probe.json = pools).await;
    let found: Vec<_> =
        finding.perfdata[2..].iter().map(|data| (data.label.as_str(), data.value)).collect();
    let free = |i: usize| format!("$['pools'][{i}]['free']");
    assert_eq!(found, [(free(0).as_str(), Some(5.0)), (free(1).as_str(), Some(50.0))]);
    let plain = ask(port, "/", |probe| probe.json = vec![wish("$.n")]).await;
    assert!(plain.output.starts_with("the body is no JSON"), "{}", plain.output);
    serving.abort();
}

#[tokio::test]
async fn redirects_end_somewhere_and_words_that_must_not_be_there_are_told() {
    let (port, serving) = serve(None).await;
    let round = ask(port, "/round", |probe| probe.redirects_max = 4).await;
    assert_eq!(round.status, Status::Critical);
    assert_eq!(round.output, "more than 4 redirects");
    let text = Some("7 up".to_owned());
    let told = ask(port, "/", |probe| probe.not_text = text).await;
    assert!(told.output.starts_with("the body holds \"7 up\""), "{}", told.output);
    let failed = told.measures.iter().find(|m| m.name == "probe_failed_due_to_regex").unwrap();
    assert_eq!(failed.value, 1.0);
    let token = Some(Secret::new("t0ken"));
    assert_eq!(ask(port, "/keys", |probe| probe.bearer = token).await.status, Status::Ok);
    serving.abort();
}

#[test]
fn a_location_is_seen_from_where_it_was_said() {
    let from: Uri = "http://a.example:8080/x/y?z".parse().unwrap();
    for (location, expected) in [
        ("/b", Some("http://a.example:8080/b")),
        ("b#c", Some("http://a.example:8080/x/b")),
        ("?q=1", Some("http://a.example:8080/x/y?q=1")),
        ("//b.example/c", Some("http://b.example/c")),
        ("https://b.example/", Some("https://b.example/")),
        ("ftp://b.example/", None),
        ("mailto:ann@b.example", None),
    ] {
        let found = resolved(&from, location).map(|uri| uri.to_string());
        assert_eq!(found.as_deref(), expected, "{location}");
    }
}

#[test]
fn an_address_of_ipv6_stands_in_brackets() {
    let host = crate::HostSpec::new("a", "2001:db8::7");
    let macros = Macros { host: Arc::new(host), ..Macros::default() };
    let ask = Ask::new(&HttpProbe::get("http://$HOSTADDRESS$:8080/x"), &macros).unwrap();
    assert_eq!(ask.address(), ("[2001:db8::7]".to_owned(), 8080));
}
