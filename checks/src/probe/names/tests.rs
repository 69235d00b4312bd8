//! A real server of names, which is silent about some of them.

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use tokio::task::JoinHandle;

use super::*;

/// Answers `web1.example.net` with 192.0.2.7, says nothing of what begins with `silent`, and knows
/// nothing else.
async fn serve() -> (u16, JoinHandle<()>) {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        loop {
            let Ok((count, to)) = socket.recv_from(&mut buffer).await else { return };
            let Ok(mut message) = Message::from_vec(&buffer[..count]) else { continue };
            let query = message.queries[0].clone();
            let name = query.name().to_ascii().to_lowercase();
            if name.starts_with("silent") {
                continue;
            }
            message.metadata.message_type = MessageType::Response;
            message.metadata.recursion_available = true;
            if name != "web1.example.net." {
                message.metadata.response_code = ResponseCode::NXDomain;
            } else if query.query_type() == RecordType::A {
                let address = RData::A(A(Ipv4Addr::new(192, 0, 2, 7)));
                message.add_answer(Record::from_rdata(query.name().clone(), 60, address));
            }
            socket.send_to(&message.to_vec().unwrap(), to).await.unwrap();
        }
    });
    (port, serving)
}

fn put(folder: &Path, name: &str, text: &str) {
    // As programs do that care for their readers.
    fs::write(folder.join("new"), text).unwrap();
    fs::rename(folder.join("new"), folder.join(name)).unwrap();
}

async fn found(names: &Names, host: &str) -> Result<String, String> {
    let found = names.lookup(host, 80).await.map_err(|error| error.to_string())?;
    Ok(found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

#[tokio::test]
async fn hosts_search_domains_and_changes_of_the_files_count() {
    let (port, serving) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "hosts", "# local\n192.0.2.1 Db1 db1.example.net # main\n192.0.2.2 db1\n");
    put(folder.path(), "resolv.conf", "nameserver 127.0.0.1\nsearch example.net\n");
    let names = Names::new(folder.path(), port);
    for (host, expected) in [
        ("192.0.2.9", "192.0.2.9:80"),
        ("2001:db8::1", "[2001:db8::1]:80"),
        ("db1", "192.0.2.1:80 192.0.2.2:80"),
        ("DB1.example.net.", "192.0.2.1:80"),
        ("web1", "192.0.2.7:80"),
        ("web1.example.net", "192.0.2.7:80"),
        ("127.1", "127.0.0.1:80"),
    ] {
        assert_eq!(found(&names, host).await.as_deref(), Ok(expected), "{host}");
    }
    let local = found(&names, "localhost").await.unwrap();
    assert!(local.contains("127.0.0.1:80"), "{local}");
    assert_eq!(found(&names, "web2").await, Err("there is no such name".to_owned()));
    put(folder.path(), "hosts", "192.0.2.3 db1 web2\n");
    tokio::time::sleep(LOOK_EVERY).await;
    assert_eq!(found(&names, "db1").await.as_deref(), Ok("192.0.2.3:80"));
    assert_eq!(found(&names, "web2").await.as_deref(), Ok("192.0.2.3:80"));
    put(folder.path(), "resolv.conf", "nameserver 127.0.0.1\nsearch example.org\n");
    tokio::time::sleep(LOOK_EVERY).await;
    assert!(found(&names, "web1").await.is_err());
    serving.abort();
}

/// A thousand names are asked of a server that says nothing, and the threads on which records are
/// committed are free.
#[tokio::test]
async fn silent_servers_hold_no_threads() {
    let (port, serving) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "hosts", "192.0.2.1 db1\n");
    put(folder.path(), "resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n");
    let names = Arc::new(Names::new(folder.path(), port));
    let mut asking = Vec::new();
    for number in 0..1000 {
        let names = Arc::clone(&names);
        asking.push(tokio::spawn(async move {
            names.lookup(&format!("silent{number}.example.net"), 80).await
        }));
        // Questions that the server's socket has no room for would be lost, and asked again late.
        if number % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(asking.iter().all(|asking| !asking.is_finished()));
    let begun = Instant::now();
    tokio::task::spawn_blocking(|| ()).await.unwrap();
    assert_eq!(found(&names, "db1").await.as_deref(), Ok("192.0.2.1:80"));
    assert_eq!(found(&names, "web1.example.net").await.as_deref(), Ok("192.0.2.7:80"));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    asking.iter().for_each(JoinHandle::abort);
    serving.abort();
}

#[test]
fn other_sources_of_names_are_noticed() {
    for (text, expected) in [
        ("", false),
        ("hosts: files dns\n", false),
        ("passwd: ldap\n  hosts:  files dns # mdns\n", false),
        ("hosts: files mdns4_minimal [NOTFOUND=return] dns\n", true),
        ("hosts: files [!UNAVAIL=return] dns\n", false),
        ("hosts: files resolve dns myhostname\n", true),
    ] {
        assert_eq!(has_others(text), expected, "{text}");
    }
}

/// IPv6 comes first where this machine has it, and last where it has not.
#[test]
fn addresses_with_a_way_to_them_come_first() {
    let mut found = ["127.0.0.1:80", "[::1]:80"].map(|text| text.parse().unwrap());
    sort(&mut found);
    let has_v6 = UdpSocket::bind("[::1]:0").is_ok();
    assert_eq!(found[0].to_string(), if has_v6 { "[::1]:80" } else { "127.0.0.1:80" });
}
