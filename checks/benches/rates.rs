//! How many checks a second: plug-ins against a bare spawn, native TCP and HTTP probes, and a
//! reload of a hundred thousand services.
//!
//! `cargo bench -p noroshi-checks`. Each rate is that of whole checks: scheduled, run, judged, and
//! committed to records in memory. The servers asked are on loopback, in the same process.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints and may panic")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use noroshi_checks::plugin::run;
use noroshi_checks::{
    CheckSpec, Checks, Deps, HostSpec, HttpProbe, PluginProbe, Probe, Protocol, Site, TcpProbe,
};
use noroshi_model::seam::{Accepted, BoxFuture, MemoryRecords, no_series};
use noroshi_model::{Batch, CheckId, Clock, Refused, Sink, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long each rate is measured.
const SPAN: Duration = Duration::from_secs(8);

struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "a bench is a program of its own")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
    }
}

/// Counts the results by their status samples and forgets them.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Sink for Counter {
    fn submit(&self, batch: Batch) -> BoxFuture<'_, Result<Accepted, Refused>> {
        let is_result = |name: &str| name == "noroshi_check_status";
        let results = batch.samples.iter().filter(|s| is_result(s.labels.name())).count();
        self.0.fetch_add(results, Ordering::Relaxed);
        Box::pin(async { Ok(Accepted::default()) })
    }
}

fn checks(counter: &Arc<Counter>) -> Arc<Checks> {
    Checks::new(Deps {
        clock: Arc::new(WallClock),
        records: Arc::new(MemoryRecords::new()),
        series: Arc::new(no_series()),
        sink: Arc::clone(counter) as _,
    })
    .unwrap()
}

fn site(count: usize, interval: Duration, probe: &Probe) -> Site {
    let mut site = Site::default();
    for index in 0..count {
        let host = format!("host{}", index / 10);
        if index % 10 == 0 {
            site.hosts.push(HostSpec::new(&host, "127.0.0.1"));
        }
        let id = CheckId::check(&host, &format!("check{}", index % 10));
        let mut check = CheckSpec::new(id, probe.clone());
        check.timing.interval = interval;
        check.timing.retry_interval = interval;
        check.timing.timeout = Duration::from_secs(5);
        site.checks.push(check);
    }
    site
}

/// Runs checks, each once a second, and tells how many of them were done.
async fn rate(name: &str, count: usize, probe: Probe) {
    let counter = Arc::new(Counter::default());
    let checks = checks(&counter);
    checks.apply(site(count, Duration::from_secs(1), &probe));
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&checks).run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, begun) = (counter.0.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(SPAN).await;
    let done = counter.0.load(Ordering::Relaxed) - before;
    let per_second = done as f64 / begun.elapsed().as_secs_f64();
    let counts = checks.counts().checks;
    println!(
        "{name}: {per_second:.0} of {count} checks/s ({} ok, {} critical, {} not yet run)",
        counts.ok, counts.critical, counts.pending
    );
    stop.cancel();
    running.await.unwrap();
}

/// Returns how many times a second a program can be started at all, eight at once.
async fn bare_spawns() {
    let (begun, done) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let done = Arc::clone(&done);
        tasks.spawn(async move {
            let argv = ["/bin/true".to_owned()];
            while begun.elapsed() < SPAN {
                run(&argv, &BTreeMap::new(), Duration::from_secs(5)).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let per_second = done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    println!("runner alone, /bin/true, 8 at once: {per_second:.0} runs/s");
}

/// Serves a short page on loopback.
async fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut tasks = JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                let mut request = [0; 1024];
                if stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    drop(stream.write_all(answer).await);
                }
            });
        }
    });
    port
}

/// Applies a hundred thousand services, and again with one changed.
fn reload() {
    let counter = Arc::new(Counter::default());
    let checks = checks(&counter);
    let probe =
        Probe::Plugin(PluginProbe { argv: vec!["/bin/true".to_owned()], ..PluginProbe::default() });
    let site = site(100_000, Duration::from_mins(1), &probe);
    let mut changed = site.clone();
    changed.checks[7].notes.push_str("other");
    let begun = Instant::now();
    checks.apply(site);
    let first = begun.elapsed();
    let begun = Instant::now();
    let applied = checks.apply(changed);
    println!(
        "100,000 services: applied in {first:?}, again with one changed in {:?}",
        begun.elapsed()
    );
    assert_eq!((applied.added, applied.changed, applied.removed), (0, 1, 0));
    let begun = Instant::now();
    let counts = checks.counts();
    println!("counts in {:?}, hosts in {:?}", begun.elapsed(), {
        let begun = Instant::now();
        assert_eq!(checks.hosts().len(), 10_000);
        begun.elapsed()
    });
    assert_eq!(counts.checks.pending, 100_000);
}

#[tokio::main]
async fn main() {
    reload();
    bare_spawns().await;
    let argv = vec!["/bin/true".to_owned()];
    rate("plug-in /bin/true", 4_000, Probe::Plugin(PluginProbe { argv, ..PluginProbe::default() }))
        .await;
    let port = serve().await;
    let tcp = TcpProbe::new(&format!("127.0.0.1:{port}"), Protocol::Connect);
    rate("TCP connect", 12_000, Probe::Tcp(tcp)).await;
    let url = format!("http://127.0.0.1:{port}/");
    rate("HTTP GET", 12_000, Probe::Http(Box::new(HttpProbe::get(&url)))).await;
}
