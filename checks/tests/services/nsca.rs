//! The NSCA listener and the real `send_nsca`, by every method that both have.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use noroshi_checks::{
    CheckSpec, Checks, Deps, Fate, HostSpec, Network, NscaMethod, NscaSpec, PassiveProbe, Probe,
    Road, Secret, Site, serve_nsca,
};
use noroshi_model::seam::{ManualClock, MemoryRecords, no_series};
use noroshi_model::{CheckId, Status, Timestamp};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Kept, PATIENCE};

const SEND_NSCA: &str = "/usr/sbin/send_nsca";
const PASSWORD: &str = "correct horse battery staple, longer than a key of any method has room for";
const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A listener with two checks, and what drives them.
struct House {
    checks: Arc<Checks>,
    clock: Arc<ManualClock>,
    address: SocketAddr,
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl House {
    async fn start(method: NscaMethod) -> Self {
        Self::start_for(method, Vec::new()).await
    }

    async fn start_for(method: NscaMethod, allow: Vec<Network>) -> Self {
        assert!(std::path::Path::new(SEND_NSCA).exists(), "apt-get install nsca-client");
        let kept = Arc::new(Kept::default());
        let clock = Arc::new(ManualClock::new(START));
        let checks = Checks::new(Deps {
            clock: Arc::clone(&clock) as _,
            records: Arc::new(MemoryRecords::new()),
            series: Arc::new(no_series()),
            sink: kept,
        })
        .unwrap();
        let passive = || Probe::Passive(PassiveProbe::default());
        let names = (0..100).map(|number| format!("s{number}")).chain(["disk".to_owned()]);
        let specs = names.map(|name| CheckSpec::new(CheckId::check("web1", &name), passive()));
        checks.apply(Site {
            hosts: vec![HostSpec { probe: Some(passive()), ..HostSpec::new("web1", "") }],
            checks: specs.collect(),
            ..Site::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let spec = NscaSpec {
            listen: address,
            method,
            password: Secret::new(PASSWORD),
            age_max: NscaSpec::AGE_MAX,
            allow,
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&checks).run(stop.clone()));
        let serving = serve_nsca(listener, spec, Arc::clone(&checks), stop.clone());
        let tasks = vec![running, tokio::spawn(serving)];
        Self { checks, clock, address, stop, tasks }
    }

    /// Lets `send_nsca` send results, separated by ETB, with further lines of its configuration.
    async fn send(&self, config: &str, results: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("send_nsca.cfg");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(SEND_NSCA);
        command.args(["-H", "127.0.0.1", "-p", &self.address.port().to_string(), "-c"]).arg(path);
        let results = results.to_owned();
        let sent = tokio::task::spawn_blocking(move || {
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(results.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        });
        let sent = sent.await.unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stdout));
    }

    /// Waits until so many met a fate.
    async fn wait(&self, fate: Fate, count: u64) {
        let begun = Instant::now();
        while self.count(fate) < count {
            let counts: Vec<_> = self.checks.handed_in().counts().collect();
            let complaints = self.checks.handed_in().complaints(START);
            assert!(begun.elapsed() < PATIENCE, "{fate:?}: {counts:?} {complaints:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.count(fate), count);
    }

    fn count(&self, fate: Fate) -> u64 {
        let mut counts = self.checks.handed_in().counts();
        counts.find(|(road, of, _)| (*road, *of) == (Road::Nsca, fate)).unwrap().2
    }

    fn complaints(&self) -> Vec<String> {
        let complaints = self.checks.handed_in().complaints(START);
        complaints.into_iter().map(|complaint| complaint.what).collect()
    }

    /// Connects as a client that is none of Nagios'.
    fn connect(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read_exact(&mut [0; 132]).unwrap();
        stream
    }

    async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

fn config(number: u8) -> String {
    format!("password={PASSWORD}\nencryption_method={number}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn send_nsca_is_understood_by_every_method_and_in_both_lengths() {
    for (method, number, name) in NscaMethod::ALL {
        let house = House::start(method).await;
        let password = if number == 0 { String::new() } else { format!("password={PASSWORD}\n") };
        let config = format!("{password}encryption_method={number}\n");
        // Several packets in one connection: of a check, of the host, and an output of two lines.
        let results = "web1\tdisk\t1\tfilling | used=91%;90;95\n\x17web1\t2\tno answer\n\
                       \x17web1\ts1\t0\tone\ntwo\n\x17web1\ts2\t0\tone\\ntwo\n";
        house.send(&config, results).await;
        house.wait(Fate::Taken, 4).await;
        let view = |id: &CheckId| house.checks.check(id).unwrap();
        let disk = view(&CheckId::check("web1", "disk"));
        assert_eq!((disk.status, &*disk.output), (Some(Status::Warning), "filling"), "{name}");
        assert_eq!(disk.perfdata[0].value, Some(91.0), "{name}");
        let host = view(&CheckId::host("web1"));
        assert_eq!((host.status, &*host.output), (Some(Status::Down), "no answer"), "{name}");
        for check in ["s1", "s2"] {
            let lines = view(&CheckId::check("web1", check));
            assert_eq!((&*lines.output, &*lines.long_output), ("one", "two"), "{name} {check}");
        }

        let short = format!("{config}legacy_2_7_mode=true\n");
        house.send(&short, "web1\tdisk\t0\tbetter\x17web1\ts1\t2\tworse\n").await;
        house.wait(Fate::Taken, 6).await;
        assert_eq!(view(&CheckId::check("web1", "disk")).output, "better", "{name}");
        assert_eq!(view(&CheckId::check("web1", "s1")).output, "worse", "{name}");
        assert_eq!(house.complaints(), Vec::<String>::new(), "{name}");
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_counted_and_named() {
    let house = House::start(NscaMethod::TripleDes).await;
    house.send(&config(3), "web9\tdisk\t0\tfine\x17web1\tnone\t0\tfine\x17web8\t0\tup\n").await;
    house.wait(Fate::NoSuchCheck, 3).await;
    house.send(&config(3), "web1\tdisk\t7\tseven\n").await;
    house.wait(Fate::WrongStatus, 1).await;
    // Another password, another method.
    house.send("password=another\nencryption_method=3\n", "web1\tdisk\t0\tx\n").await;
    house.wait(Fate::Unreadable, 1).await;
    house.send(&config(14), "web1\tdisk\t0\tx\n").await;
    house.wait(Fate::Unreadable, 2).await;
    // Garbage, and a packet that ends in the middle.
    house.connect().write_all(&[0x55; 5000]).unwrap();
    house.wait(Fate::Unreadable, 3).await;
    house.connect().write_all(&[0x55; 100]).unwrap();
    house.wait(Fate::Unreadable, 4).await;
    let mut complaints = house.complaints();
    complaints.sort();
    assert_eq!(
        complaints,
        [
            "127.0.0.1: cannot be read; are encryption and password those of [nsca]?",
            "there is no check web1/none",
            "there is no check web8",
            "there is no check web9/disk",
            "web1/disk: 7 is no status",
        ]
    );
    assert_eq!(house.count(Fate::Taken), 0);
    // Somebody who only looks whether the port is open is no fault.
    drop(house.connect());
    house.send(&config(3), "web1\tdisk\t0\tfine\n").await;
    house.wait(Fate::Taken, 1).await;
    assert_eq!(house.count(Fate::Unreadable) + house.count(Fate::TooSlow), 4);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_is_older_than_it_may_be_is_refused() {
    let house = House::start(NscaMethod::Xor).await;
    let mut recorded = vec![0; 132];
    let mut stream = TcpStream::connect(house.address).unwrap();
    stream.read_exact(&mut recorded).unwrap();
    // What the client would send now, sent 31 seconds later.
    let mut packet = vec![0; 720];
    packet[..2].copy_from_slice(&3_u16.to_be_bytes());
    packet[8..12].copy_from_slice(&recorded[128..]);
    packet[14..18].copy_from_slice(b"web1");
    packet[78..82].copy_from_slice(b"disk");
    let crc = crc32fast::hash(&packet);
    packet[4..8].copy_from_slice(&crc.to_be_bytes());
    let password = PASSWORD.as_bytes();
    for (at, byte) in packet.iter_mut().enumerate() {
        *byte ^= recorded[at % 128] ^ password[at % password.len()];
    }
    stream.write_all(&packet).unwrap();
    house.wait(Fate::Taken, 1).await;
    house.clock.advance(Duration::from_secs(31));
    stream.write_all(&packet).unwrap();
    house.wait(Fate::TooOld, 1).await;
    assert_eq!(house.complaints(), ["127.0.0.1: a packet was 31 s old"]);
    // The same bytes in another connection are noise.
    house.connect().write_all(&packet).unwrap();
    house.wait(Fate::Unreadable, 1).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_have_bounds() {
    let house = House::start(NscaMethod::Rijndael128).await;
    // Two hundred results in one call.
    let line = |number: usize| format!("web1\ts{}\t0\tresult {number}\n\x17", number % 100);
    house.send(&config(14), &(0..200).map(line).collect::<String>()).await;
    house.wait(Fate::Taken, 200).await;
    let last = house.checks.check(&CheckId::check("web1", "s99")).unwrap();
    assert_eq!(last.output, "result 199");
    // As many as may be that say nothing; the next one is sent away, and hears nothing.
    let silent: Vec<TcpStream> = (0..256).map(|_| house.connect()).collect();
    let mut one_more = TcpStream::connect(house.address).unwrap();
    one_more.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(one_more.read(&mut [0; 132]).unwrap_or(0), 0);
    house.wait(Fate::TooMany, 1).await;
    // They are given up, and the next sender is heard.
    house.wait(Fate::TooSlow, 256).await;
    drop(silent);
    house.send(&config(14), "web1\tdisk\t0\tfine\n").await;
    house.wait(Fate::Taken, 201).await;
    house.stop().await;
}

#[tokio::test]
async fn senders_outside_of_the_networks_are_sent_away_and_counted() {
    let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let away = House::start_for(NscaMethod::Xor, networks(&["10.0.0.0/8", "::1"])).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("send_nsca.cfg");
    std::fs::write(&path, config(1)).unwrap();
    let port = away.address.port().to_string();
    for _ in 0..3 {
        let mut command = Command::new(SEND_NSCA);
        command.args(["-H", "127.0.0.1", "-p", &port, "-to", "5", "-c"]).arg(&path);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let sent = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(!sent.status.success(), "{}", String::from_utf8_lossy(&sent.stdout));
    }
    away.wait(Fate::NotAllowed, 3).await;
    assert_eq!(away.complaints(), ["127.0.0.1: not in the networks of `allow`"]);
    assert_eq!(away.count(Fate::Taken), 0);
    away.stop().await;

    let house = House::start_for(NscaMethod::Xor, networks(&["127.0.0.0/8"])).await;
    house.send(&config(1), "web1\tdisk\t2\tfull\x17").await;
    house.wait(Fate::Taken, 1).await;
    assert_eq!(house.count(Fate::NotAllowed), 0);
    house.stop().await;
}
