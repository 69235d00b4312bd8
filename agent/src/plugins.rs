//! The plug-ins that this host's own config names: run at their intervals, and at once when the
//! server asks for one by its name. The server never sends a command line.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use noroshi_checks::plugin;
use noroshi_model::frame::PluginResult;
use noroshi_model::{Clock, Status};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::sources::{Metric, Output};

/// How many run at once: a host that is slow is not to be made slower by being looked at.
const AT_ONCE: usize = 4;
/// How many results that are not OK, one after the other, are followed by a run after `retry`
/// instead of `interval`: as many as the server wants before it believes them.
const CONFIRMATIONS: u32 = 3;
/// From the first run of one plug-in to the first run of the next, so that not all begin at once.
const SPREAD: Duration = Duration::from_millis(250);

/// The series that tell the server which plug-ins there are.
pub(crate) const PLUGINS: [Metric; 1] = [Metric::gauge(
    "noroshi_agent_plugin_interval_seconds",
    "seconds",
    "How often the plug-in of the agent's config is run.",
)];

/// A plug-in of the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSpec {
    /// Its name: what the server knows of it.
    pub name: String,
    /// Program and arguments; no shell.
    pub argv: Vec<String>,
    /// Environment variables added to `PATH` and `LC_ALL`.
    pub env: BTreeMap<String, String>,
    /// From run to run.
    pub interval: Duration,
    /// From run to run while a problem is new.
    pub retry: Duration,
    /// When a run is given up.
    pub timeout: Duration,
}

/// A result on its way to the server.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) result: PluginResult,
    /// Another status than before, or asked for: it does not wait for the next reading.
    pub(crate) is_news: bool,
}

/// Adds the series that tell which plug-ins there are.
pub(crate) fn describe(specs: &[PluginSpec], out: &mut Output) {
    if !specs.is_empty() {
        out.describe(&PLUGINS);
    }
    for spec in specs {
        out.push(PLUGINS[0].name, &[("plugin", &spec.name)], spec.interval.as_secs_f64());
    }
}

/// Runs a plug-in once.
pub(crate) async fn run_once(spec: &PluginSpec, clock: &dyn Clock) -> PluginResult {
    let ran = plugin::run(&spec.argv, &spec.env, spec.timeout).await;
    let (status, output) = plugin::as_text(&ran.exit, &ran.stdout, &ran.stderr);
    PluginResult {
        name: spec.name.clone(),
        at: clock.now(),
        run_time: ran.run_time,
        status,
        output,
    }
}

/// Runs all until `stop`; `asked` brings the names that the server asks for.
pub(crate) async fn run(
    specs: Vec<PluginSpec>,
    results: mpsc::Sender<Found>,
    mut asked: mpsc::Receiver<Vec<String>>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut bells = HashMap::new();
    let mut runs = JoinSet::new();
    for (index, spec) in (0_u32..).zip(specs) {
        let bell = Arc::new(Notify::new());
        bells.insert(spec.name.clone(), Arc::clone(&bell));
        let (slots, results, clock) = (Arc::clone(&slots), results.clone(), Arc::clone(&clock));
        let first = Instant::now() + SPREAD * index;
        runs.spawn(Repeating { spec, bell, slots, results, clock }.run(first));
    }
    drop(results);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            names = asked.recv() => match names {
                Some(names) => ring(&bells, &names),
                None => break,
            },
        }
    }
    // What runs is ended with its whole process group.
    runs.shutdown().await;
}

fn ring(bells: &HashMap<String, Arc<Notify>>, names: &[String]) {
    for name in names {
        if let Some(bell) = bells.get(name) {
            bell.notify_one();
        } else {
            tracing::warn!(name, "the server asks for a plug-in that the config has not");
        }
    }
}

/// One plug-in, again and again.
struct Repeating {
    spec: PluginSpec,
    bell: Arc<Notify>,
    slots: Arc<Semaphore>,
    results: mpsc::Sender<Found>,
    clock: Arc<dyn Clock>,
}

impl Repeating {
    async fn run(self, first: Instant) {
        let mut due = first;
        let mut before: Option<Status> = None;
        let mut failures = 0;
        loop {
            let is_asked = tokio::select! {
                () = sleep_until(due) => false,
                () = self.bell.notified() => true,
            };
            let Ok(permit) = self.slots.acquire().await else { return };
            let begun = Instant::now();
            let result = run_once(&self.spec, &*self.clock).await;
            drop(permit);
            failures = if result.status == Status::Ok { 0 } else { failures + 1 };
            let is_new = (1..=CONFIRMATIONS).contains(&failures);
            due = begun + if is_new { self.spec.retry } else { self.spec.interval };
            let is_news = is_asked || is_new || before != Some(result.status);
            before = Some(result.status);
            if self.results.send(Found { result, is_news }).await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use noroshi_model::Timestamp;
    use noroshi_model::seam::ManualClock;

    use super::*;

    fn spec(name: &str, script: &str) -> PluginSpec {
        PluginSpec {
            name: name.to_owned(),
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            env: BTreeMap::new(),
            interval: Duration::from_hours(1),
            retry: Duration::from_millis(50),
            timeout: Duration::from_secs(10),
        }
    }

    fn clock() -> Arc<dyn Clock> {
        Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)))
    }

    #[tokio::test]
    async fn a_new_problem_is_looked_at_again_soon_and_then_at_the_interval() {
        let (results, mut found) = mpsc::channel(8);
        let (ask, asked) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let specs = vec![spec("raid", "echo degraded; exit 2")];
        let running = tokio::spawn(run(specs, results, asked, clock(), stop.clone()));
        for _ in 0..4 {
            let found = found.recv().await.unwrap();
            assert_eq!(found.result.status, Status::Critical);
            assert_eq!(found.result.output, "degraded\n");
        }
        // Nothing more for an hour, unless the server asks; by name only.
        ask.send(vec!["rm -rf /".to_owned(), "raid".to_owned()]).await.unwrap();
        assert!(found.recv().await.unwrap().is_news);
        assert!(found.is_empty());
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn only_the_first_of_the_same_results_is_news() {
        let (results, mut found) = mpsc::channel(8);
        let (_ask, asked) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let fine = PluginSpec { interval: Duration::from_millis(30), ..spec("fine", "echo OK") };
        let running = tokio::spawn(run(vec![fine], results, asked, clock(), stop.clone()));
        let news: Vec<bool> = [found.recv().await, found.recv().await, found.recv().await]
            .map(|found| found.unwrap().is_news)
            .to_vec();
        assert_eq!(news, [true, false, false]);
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn the_end_does_not_wait_for_a_plug_in_that_hangs() {
        let (results, _found) = mpsc::channel(8);
        let (_ask, asked) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("runs");
        let script = format!("echo > {}; sleep 600", mark.display());
        let running =
            tokio::spawn(run(vec![spec("slow", &script)], results, asked, clock(), stop.clone()));
        while !mark.exists() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        running.await.unwrap();
    }
}
