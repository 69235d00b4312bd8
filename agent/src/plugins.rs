//! The plug-ins that this host's own config names: run at their intervals, and at once when the
//! server asks for one by its name. The server never sends a command line. What it may send is a
//! look: at processes, at ports, and at files in the folders that the config names.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use noroshi_checks::on_host::{Ground, HostLook, LookSpec};
use noroshi_checks::plugin;
use noroshi_model::frame::PluginResult;
use noroshi_model::{Clock, Status};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
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

/// How many looks are taken of the server.
const LOOKS_MAX: usize = 500;
/// Shortest time from look to look.
const LOOK_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// After which time a look counts as hung.
const LOOK_MAX: Duration = Duration::from_secs(20);

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
    /// Environment variables added to `PATH` and `LC_CTYPE`.
    pub env: BTreeMap<String, String>,
    /// From run to run.
    pub interval: Duration,
    /// From run to run while a problem is new.
    pub retry: Duration,
    /// When a run is given up.
    pub timeout: Duration,
}

/// What the server asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A run at once of what is named.
    Run(Vec<String>),
    /// To look at this from now on, and at nothing else that was asked for before.
    Look(Vec<LookSpec>),
}

/// What all that runs shares.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) results: mpsc::Sender<Found>,
    pub(crate) clock: Arc<dyn Clock>,
    /// In which files may be looked at.
    pub(crate) folders: Arc<[PathBuf]>,
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

/// Runs all until `stop`; `asked` brings what the server asks for.
pub(crate) async fn run(
    specs: Vec<PluginSpec>,
    work: Work,
    mut asked: mpsc::Receiver<Asked>,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let begin = |runs: &mut Runs, specs: Vec<Spec>| {
        for (index, spec) in (0_u32..).zip(specs) {
            let bell = Arc::new(Notify::new());
            runs.bells.insert(spec.name.clone(), Arc::clone(&bell));
            let (slots, work) = (Arc::clone(&slots), work.clone());
            let first = Instant::now() + SPREAD * index;
            runs.tasks.spawn(Repeating { spec, bell, slots, work, hung: None }.run(first));
        }
    };
    let (mut plugins, mut looks) = (Runs::default(), Runs::default());
    begin(&mut plugins, specs.into_iter().map(Spec::from).collect());
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            asked = asked.recv() => match asked {
                Some(Asked::Run(names)) => ring(&[&plugins.bells, &looks.bells], &names),
                Some(Asked::Look(list)) => {
                    looks.tasks.shutdown().await;
                    looks = Runs::default();
                    begin(&mut looks, list.into_iter().take(LOOKS_MAX).map(Spec::from).collect());
                }
                None => break,
            },
        }
    }
    // What runs is ended with its whole process group.
    plugins.tasks.shutdown().await;
    looks.tasks.shutdown().await;
}

/// What runs, and how each is asked for a run at once.
#[derive(Default)]
struct Runs {
    bells: Bells,
    tasks: JoinSet<()>,
}

type Bells = HashMap<String, Arc<Notify>>;

fn ring(bells: &[&Bells], names: &[String]) {
    for name in names {
        if let Some(bell) = bells.iter().find_map(|bells| bells.get(name)) {
            bell.notify_one();
        } else {
            tracing::warn!(name, "the server asks for a plug-in that the config has not");
        }
    }
}

/// What is done again and again.
struct Spec {
    name: String,
    interval: Duration,
    retry: Duration,
    kind: Kind,
}

enum Kind {
    Plugin(PluginSpec),
    Look(HostLook),
}

impl From<PluginSpec> for Spec {
    fn from(spec: PluginSpec) -> Self {
        let (interval, retry) = (spec.interval, spec.retry);
        Self { name: spec.name.clone(), interval, retry, kind: Kind::Plugin(spec) }
    }
}

impl From<LookSpec> for Spec {
    /// A server that asks too often is not served so.
    fn from(spec: LookSpec) -> Self {
        let at_least = |ms| Duration::from_millis(ms).max(LOOK_INTERVAL_MIN);
        let (interval, retry) = (at_least(spec.interval_ms), at_least(spec.retry_ms));
        Self { name: spec.name, interval, retry, kind: Kind::Look(spec.look) }
    }
}

/// One plug-in or look, again and again.
struct Repeating {
    spec: Spec,
    bell: Arc<Notify>,
    slots: Arc<Semaphore>,
    work: Work,
    /// A look that has not come back: no other is begun meanwhile.
    hung: Option<oneshot::Receiver<(Status, String)>>,
}

impl Repeating {
    async fn run(mut self, first: Instant) {
        let mut due = first;
        let mut before: Option<Status> = None;
        let mut failures = 0;
        loop {
            let is_asked = tokio::select! {
                () = sleep_until(due) => false,
                () = self.bell.notified() => true,
            };
            let slots = Arc::clone(&self.slots);
            let Ok(permit) = slots.acquire().await else { return };
            let begun = Instant::now();
            let result = self.run_once().await;
            drop(permit);
            failures = if result.status == Status::Ok { 0 } else { failures + 1 };
            let is_new = (1..=CONFIRMATIONS).contains(&failures);
            due = begun + if is_new { self.spec.retry } else { self.spec.interval };
            let is_news = is_asked || is_new || before != Some(result.status);
            before = Some(result.status);
            if self.work.results.send(Found { result, is_news }).await.is_err() {
                return;
            }
        }
    }

    async fn run_once(&mut self) -> PluginResult {
        let look = match &self.spec.kind {
            Kind::Plugin(spec) => return run_once(spec, &*self.work.clock).await,
            Kind::Look(look) => look.clone(),
        };
        let begun = Instant::now();
        let (status, output) = self.look(look).await;
        PluginResult {
            name: self.spec.name.clone(),
            at: self.work.clock.now(),
            run_time: begun.elapsed(),
            status,
            output,
        }
    }

    /// Looks in a thread of its own: one that hangs must not keep the agent from its end.
    async fn look(&mut self, look: HostLook) -> (Status, String) {
        let unknown = |text: &str| (Status::Unknown, text.to_owned());
        if let Some(hung) = &mut self.hung {
            if matches!(hung.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                return unknown("the look before has not come back: does a file system hang?");
            }
            self.hung = None;
        }
        let ground = Ground::here(Some(self.work.folders.to_vec()), self.work.clock.now());
        let (done, mut seen) = oneshot::channel();
        let thread = std::thread::Builder::new().name("look".to_owned());
        // Whoever waited may have given up.
        let looking = move || drop(done.send(look.look(&ground)));
        if let Err(error) = thread.spawn(looking) {
            return unknown(&format!("cannot start a thread to look: {error}"));
        }
        match tokio::time::timeout(LOOK_MAX, &mut seen).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(_)) => unknown("the look failed by a bug in the agent"),
            Err(_) => {
                self.hung = Some(seen);
                unknown("the look takes too long: does a file system hang?")
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

    fn work(results: mpsc::Sender<Found>) -> Work {
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
        Work { results, clock, folders: Arc::from([]) }
    }

    #[tokio::test]
    async fn the_server_says_what_to_look_at_and_takes_it_back() {
        let (results, mut found) = mpsc::channel(8);
        let (ask, asked) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(Vec::new(), work(results), asked, stop.clone()));
        let look = |name: &str, json: serde_json::Value| LookSpec {
            name: name.to_owned(),
            interval_ms: 3_600_000,
            retry_ms: 3_600_000,
            look: serde_json::from_value(json).unwrap(),
        };
        let file = look("a", serde_json::json!({"file": {"path": "/etc/passwd", "min": 1}}));
        ask.send(Asked::Look(vec![file])).await.unwrap();
        let seen = found.recv().await.unwrap().result;
        assert_eq!((seen.name.as_str(), seen.status), ("a", Status::Unknown));
        assert!(seen.output.contains(r#"its config needs files = ["/etc"]"#), "{}", seen.output);
        // Another list takes the place of the first; a run is asked for by name.
        let process = look("b", serde_json::json!({"process": {"name": "no such", "min": 2}}));
        ask.send(Asked::Look(vec![process])).await.unwrap();
        let seen = found.recv().await.unwrap().result;
        assert_eq!((seen.name.as_str(), seen.status), ("b", Status::Critical));
        assert!(seen.output.starts_with("no process no such; at least 2 expected"));
        ask.send(Asked::Run(vec!["a".to_owned(), "b".to_owned()])).await.unwrap();
        assert_eq!(found.recv().await.unwrap().result.name, "b");
        assert!(found.is_empty());
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn a_new_problem_is_looked_at_again_soon_and_then_at_the_interval() {
        let (results, mut found) = mpsc::channel(8);
        let (ask, asked) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let specs = vec![spec("raid", "echo degraded; exit 2")];
        let running = tokio::spawn(run(specs, work(results), asked, stop.clone()));
        for _ in 0..4 {
            let found = found.recv().await.unwrap();
            assert_eq!(found.result.status, Status::Critical);
            assert_eq!(found.result.output, "degraded\n");
        }
        // Nothing more for an hour, unless the server asks; by name only.
        ask.send(Asked::Run(vec!["rm -rf /".to_owned(), "raid".to_owned()])).await.unwrap();
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
        let running = tokio::spawn(run(vec![fine], work(results), asked, stop.clone()));
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
            tokio::spawn(run(vec![spec("slow", &script)], work(results), asked, stop.clone()));
        while !mark.exists() {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        running.await.unwrap();
    }
}
