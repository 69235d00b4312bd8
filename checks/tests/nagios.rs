//! The same random results for real Nagios Core and for us: the states must be the same.
//!
//! Goal: no unexplained difference in status, state type, attempt and flapping. Method: Nagios 4
//! with active checks off takes passive results through its command file; after each round its
//! status file is read once every service shows the round's number. What differs on purpose is
//! written in `STATES.md` and either set alike by configuration or left out here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use noroshi_checks::{
    Acknowledge, CheckSpec, CheckView, Checks, Deps, Downtime, FlappingSpec, HostSpec,
    PassiveProbe, PassiveResult, Probe, Site,
};
use noroshi_model::seam::{Accepted, BoxFuture, ManualClock, MemoryRecords};
use noroshi_model::{
    Batch, ChangeKind, CheckId, Clock, EventBody, Labels, Matcher, MetricMeta, Origin, Refused,
    Select, SelectError, SeriesData, SeriesSource, Sink, StateType, Status, Timestamp,
};
use tokio_util::sync::CancellationToken;

/// Services, hosts with results of their own, and rounds: 10,200 steps.
const SERVICES: usize = 500;
const HOSTS: usize = 100;
const ROUNDS: usize = 17;
/// Groups of a switch, two hosts behind it, and four services, and rounds: 10,920 steps.
const GROUPS: usize = 120;
const GROUP_ROUNDS: usize = 13;
/// After which rounds downtimes begin and end.
const DOWNTIMES_BEGIN: usize = 3;
const DOWNTIMES_END: usize = 8;
/// Nagios' options for the one test and the other.
const CALM: &str = "enable_notifications=0\nenable_flap_detection=1\n";
const TOLD: &str = "enable_notifications=1\nenable_flap_detection=0\nlog_notifications=1
soft_state_dependencies=1\ntranslate_passive_host_checks=1\n";
/// How long Nagios may take for one round.
const ROUND_TIMEOUT: Duration = Duration::from_secs(20);

/// One host or service and how it is configured.
#[derive(Clone)]
struct Subject {
    id: CheckId,
    /// Of a host: through which it is reached.
    parent: Option<String>,
    /// Of a service: the one of the same host that it depends on.
    master: Option<CheckId>,
    attempts_max: u32,
    is_volatile: bool,
    /// How often its status changes, in per cent: some are calm, some flap.
    restlessness: u64,
}

/// A state as both tell it.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are what Nagios writes")]
struct Shown {
    status: u8,
    is_hard: bool,
    attempt: u32,
    is_flapping: bool,
    /// In hundredths of a per cent, as Nagios writes it.
    flapping: i64,
    is_acknowledged: bool,
    /// Whether a downtime of its own holds.
    is_in_downtime: bool,
    /// Which round's result it shows.
    round: String,
}

/// `SplitMix64`: the same sequence on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_results_give_the_same_states_as_in_nagios() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(20_260_101);
    let subjects = subjects(&mut random);
    let ours = Ours::start(&subjects, true);
    let nagios = Nagios::start(folder.path(), &subjects, CALM);
    let mut codes = vec![0_u8; subjects.len()];
    let mut steps = 0;
    for round in 1..=ROUNDS {
        for (code, subject) in codes.iter_mut().zip(&subjects) {
            if random.next(100) < subject.restlessness {
                let worst = if subject.id.is_host() { 2 } else { 4 };
                *code = u8::try_from(random.next(worst)).unwrap();
            }
        }
        nagios.submit(&subjects, &codes, round);
        ours.submit(&subjects, &codes, round).await;
        let theirs = nagios.wait(&subjects, round);
        for subject in &subjects {
            let id = &subject.id;
            let (mine, mut theirs) = (ours.shown(id), theirs[id].clone());
            // After a soft recovery Nagios shows a host as up and soft until the next result, but
            // a service as OK and hard; with us what is fine is always hard.
            theirs.is_hard |= id.is_host() && theirs.status == 0;
            assert_eq!(mine, theirs, "round {round}: {id}, max {}", subject.attempts_max);
            steps += 1;
        }
    }
    assert_eq!(steps, (SERVICES + HOSTS) * ROUNDS);
    ours.stop().await;
}

/// Parents, dependencies, acknowledgements and downtimes; and who is told.
///
/// What Nagios does otherwise on purpose begins where something is back that was in the way:
/// with us its dependents are then confirmed anew. So at that moment they are fine here.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_behind_something_is_as_in_nagios_and_the_same_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random(20_260_202);
    let subjects = groups(&mut random);
    let ours = Ours::start(&subjects, false);
    let nagios = Nagios::start(folder.path(), &subjects, TOLD);
    let mut before: HashMap<CheckId, u8> = HashMap::new();
    let mut steps = 0;
    let mut differences: Vec<String> = Vec::new();
    for round in 1..=GROUP_ROUNDS {
        let mut now: HashMap<CheckId, u8> = HashMap::new();
        for subject in &subjects {
            let code = next_code(subject, &before, &now, &mut random);
            now.insert(subject.id.clone(), code);
        }
        let codes: Vec<u8> = subjects.iter().map(|subject| now[&subject.id]).collect();
        nagios.submit(&subjects, &codes, round);
        ours.submit(&subjects, &codes, round).await;
        let theirs = nagios.wait(&subjects, round);
        for subject in &subjects {
            let id = &subject.id;
            let (mut mine, mut theirs) = (ours.shown(id), theirs[id].clone());
            theirs.is_hard |= id.is_host() && theirs.status == 0;
            (mine.is_flapping, mine.flapping) = (theirs.is_flapping, theirs.flapping);
            if !id.is_host() && now[&CheckId::host(&id.host)] > 0 {
                // Made hard at once: Nagios then shows the last attempt, we how many there were.
                mine.attempt = theirs.attempt;
            }
            if mine != theirs {
                let max = subject.attempts_max;
                differences.push(format!("{id}, max {max}:\n  {mine:?}\n  {theirs:?}"));
            }
            steps += 1;
        }
        assert!(differences.is_empty(), "round {round}:\n{}", differences.join("\n"));
        before = now;
        disturb(&ours, &nagios, &subjects, round, &mut random).await;
    }
    assert_eq!(steps, GROUPS * 7 * GROUP_ROUNDS);
    let told = nagios.told();
    for subject in &subjects {
        let theirs = told.get(&subject.id).copied().unwrap_or(0);
        let (mine, had_downtime) = ours.told(&subject.id);
        // What became hard in a downtime is told after it.
        let late = usize::from(had_downtime);
        if !(mine..=mine + late).contains(&theirs) {
            differences.push(format!("{} is told {mine} times, by Nagios {theirs}", subject.id));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let all = told.values().sum::<usize>();
    assert!(all > 250, "only {all} were told");
    ours.stop().await;
}

/// Acknowledges problems, and begins and ends downtimes.
async fn disturb(
    ours: &Ours,
    nagios: &Nagios,
    subjects: &[Subject],
    round: usize,
    random: &mut Random,
) {
    let mut commands = String::new();
    for subject in subjects {
        let id = &subject.id;
        let view = ours.checks.check(id).unwrap();
        let (kind, name) = match &id.check {
            Some(check) => ("SVC", format!("{};{check}", id.host)),
            None => ("HOST", id.host.to_string()),
        };
        if view.problem.is_some() && !view.is_acknowledged && random.next(100) < 15 {
            let is_sticky = random.next(2) == 0;
            let asked = Acknowledge {
                author: "ann".to_owned(),
                comment: "on it".to_owned(),
                is_sticky,
                until: None,
            };
            ours.checks.acknowledge(id, asked).await.unwrap();
            let sticky = if is_sticky { 2 } else { 1 };
            writeln!(commands, "[1] ACKNOWLEDGE_{kind}_PROBLEM;{name};{sticky};0;0;ann;on it")
                .unwrap();
        }
        if round == DOWNTIMES_BEGIN && random.next(100) < 20 {
            let now = ours.clock.now();
            let end = now + Duration::from_hours(1);
            ours.checks
                .downtime(Downtime::fixed(id.clone(), now, end, "ann", "work"))
                .await
                .unwrap();
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
            let span = format!("{};{};1;0;3600", now - 1, now + 3600);
            writeln!(commands, "[1] SCHEDULE_{kind}_DOWNTIME;{name};{span};ann;work").unwrap();
        }
        if let (DOWNTIMES_END, Some(downtime)) =
            (round, view.downtimes.iter().find(|d| !d.is_of_host))
        {
            ours.checks.cancel_downtime(downtime.id, "ann").await.unwrap();
            writeln!(commands, "[1] DEL_DOWNTIME_BY_HOST_NAME;{name}").unwrap();
        }
    }
    nagios.command(&commands);
    // Downtimes begin by Nagios' own clock.
    if round == DOWNTIMES_BEGIN {
        nagios.wait_for(|shown| shown.values().filter(|shown| shown.is_in_downtime).count() > 50);
    }
    if round == DOWNTIMES_END {
        let is_over = |(id, shown): (&CheckId, &Shown)| id.is_host() || !shown.is_in_downtime;
        nagios.wait_for(|shown| shown.iter().all(is_over));
    }
}

/// Returns what is found of a subject, after those above it.
fn next_code(
    subject: &Subject,
    before: &HashMap<CheckId, u8>,
    now: &HashMap<CheckId, u8>,
    random: &mut Random,
) -> u8 {
    let id = &subject.id;
    let host = (!id.is_host()).then(|| CheckId::host(&id.host));
    let parent = subject.parent.as_ref().map(|parent| CheckId::host(parent));
    let hinders = |id: &CheckId, codes: &HashMap<CheckId, u8>| {
        codes.get(id).is_some_and(|code| if id.is_host() { *code > 0 } else { *code > 1 })
    };
    let above = host.iter().chain(&parent).chain(&subject.master);
    let is_back = above.into_iter().any(|id| hinders(id, before) && !hinders(id, now));
    if is_back {
        return 0;
    }
    if random.next(100) < subject.restlessness {
        let worst = if id.is_host() { 2 } else { 4 };
        return u8::try_from(random.next(worst)).unwrap();
    }
    before.get(id).copied().unwrap_or(0)
}

fn groups(random: &mut Random) -> Vec<Subject> {
    let mut subjects = Vec::new();
    let mut add = |id: CheckId, parent: Option<String>, master: Option<CheckId>| {
        subjects.push(Subject {
            id,
            parent,
            master,
            attempts_max: u32::try_from(1 + random.next(4)).unwrap(),
            is_volatile: false,
            restlessness: [20, 40, 60][usize::try_from(random.next(3)).unwrap()],
        });
    };
    for group in 0..GROUPS {
        let switch = format!("switch{group}");
        add(CheckId::host(&switch), None, None);
        for side in ["a", "b"] {
            let host = format!("host{group}{side}");
            add(CheckId::host(&host), Some(switch.clone()), None);
            let master = CheckId::check(&host, "db");
            add(master.clone(), None, None);
            add(CheckId::check(&host, "shop"), None, Some(master));
        }
    }
    subjects
}

fn subjects(random: &mut Random) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for index in 0..HOSTS {
        subjects.push((CheckId::host(&format!("host{index}")), false));
    }
    for index in 0..SERVICES {
        subjects.push((CheckId::check("calm", &format!("service{index}")), index % 7 == 0));
    }
    let mut subject = |(id, is_volatile)| Subject {
        id,
        parent: None,
        master: None,
        is_volatile,
        attempts_max: u32::try_from(1 + random.next(5)).unwrap(),
        restlessness: [5, 20, 50, 90][usize::try_from(random.next(4)).unwrap()],
    };
    subjects.into_iter().map(&mut subject).collect()
}

// ----------------------------------------------------------------------------------------- ours

struct Ours {
    checks: Arc<Checks>,
    clock: Arc<ManualClock>,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

impl Ours {
    fn start(subjects: &[Subject], is_flapping_found: bool) -> Self {
        let passive = || Probe::Passive(PassiveProbe::default());
        let mut site = Site { hosts: vec![HostSpec::new("calm", "127.0.0.1")], ..Site::default() };
        let flapping = FlappingSpec { is_enabled: is_flapping_found, low: 20.0, high: 30.0 };
        for subject in subjects {
            if subject.id.is_host() {
                let mut host = HostSpec::new(&subject.id.host, "127.0.0.1");
                host.probe = Some(passive());
                host.timing.attempts_max = subject.attempts_max;
                host.flapping = flapping;
                host.parents.extend(subject.parent.clone());
                site.hosts.push(host);
            } else {
                let mut check = CheckSpec::new(subject.id.clone(), passive());
                check.timing.attempts_max = subject.attempts_max;
                check.is_volatile = subject.is_volatile;
                check.flapping = flapping;
                check.depends.extend(subject.master.clone());
                site.checks.push(check);
            }
        }
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_800_000_000)));
        let checks = Checks::new(Deps {
            clock: Arc::clone(&clock) as _,
            records: Arc::new(MemoryRecords::new()),
            series: Arc::new(Nothing),
            sink: Arc::new(Nothing),
        })
        .unwrap();
        checks.apply(site);
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&checks).run(stop.clone()));
        Self { checks, clock, stop, running }
    }

    async fn submit(&self, subjects: &[Subject], codes: &[u8], round: usize) {
        for (subject, code) in subjects.iter().zip(codes) {
            let statuses = if subject.id.is_host() {
                [Status::Up, Status::Down, Status::Down, Status::Down]
            } else {
                [Status::Ok, Status::Warning, Status::Critical, Status::Unknown]
            };
            let result = PassiveResult {
                id: subject.id.clone(),
                status: statuses[usize::from(*code)],
                output: format!("round {round}"),
                at: None,
                origin: Origin::Passive,
            };
            self.clock.advance(Duration::from_millis(1));
            self.checks.submit(result).await.unwrap();
        }
    }

    /// Returns how many problems were told: confirmed, with nothing in their way; and whether there
    /// was a downtime.
    fn told(&self, id: &CheckId) -> (usize, bool) {
        let (mut told, mut had_downtime) = (0, false);
        for event in self.checks.events(Some(id), None, 1000) {
            had_downtime |= matches!(event.body, EventBody::DowntimeStarted { .. });
            let EventBody::State(change) = event.body else { continue };
            let is_problem =
                matches!(change.kind, ChangeKind::HardProblem | ChangeKind::HardRepeat);
            let is_marked = change.is_in_downtime || change.is_acknowledged;
            told += usize::from(is_problem && change.blocked_by.is_empty() && !is_marked);
        }
        (told, had_downtime)
    }

    fn shown(&self, id: &CheckId) -> Shown {
        let view: CheckView = self.checks.check(id).unwrap();
        Shown {
            status: view.status.unwrap().code(),
            is_hard: view.state_type == StateType::Hard,
            attempt: view.attempt,
            is_flapping: view.is_flapping,
            flapping: (view.flapping_percent * 100.0).round() as i64,
            is_acknowledged: view.is_acknowledged,
            is_in_downtime: view
                .downtimes
                .iter()
                .any(|d| d.is_active && d.is_of_host == id.is_host()),
            round: view.output,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// No series: every result comes from outside.
struct Nothing;

impl SeriesSource for Nothing {
    fn select(&self, _: &Select) -> Result<Vec<SeriesData>, SelectError> {
        Ok(Vec::new())
    }

    fn series(
        &self,
        _: &[Matcher],
        _: Timestamp,
        _: Timestamp,
        _: usize,
    ) -> Result<Vec<Labels>, SelectError> {
        Ok(Vec::new())
    }

    fn label_names(&self, _: &[Matcher], _: usize) -> Result<Vec<String>, SelectError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: usize) -> Result<Vec<String>, SelectError> {
        Ok(Vec::new())
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<MetricMeta>, SelectError> {
        Ok(Vec::new())
    }

    fn last_seen(&self, _: &[Matcher]) -> Result<Option<Timestamp>, SelectError> {
        Ok(None)
    }
}

impl Sink for Nothing {
    fn submit(&self, batch: Batch) -> BoxFuture<'_, Result<Accepted, Refused>> {
        let stored = batch.samples.len();
        Box::pin(async move { Ok(Accepted { stored, ..Accepted::default() }) })
    }
}

// --------------------------------------------------------------------------------------- Nagios

struct Nagios {
    child: Child,
    folder: PathBuf,
}

impl Nagios {
    fn start(folder: &Path, subjects: &[Subject], options: &str) -> Self {
        let program = Path::new("/usr/sbin/nagios4");
        assert!(program.exists(), "apt-get install nagios4-core");
        fs::create_dir(folder.join("results")).unwrap();
        fs::write(folder.join("objects.cfg"), objects(subjects)).unwrap();
        fs::write(folder.join("nagios.cfg"), main_config(folder, options)).unwrap();
        fs::write(folder.join("resource.cfg"), "").unwrap();
        let output = fs::File::create(folder.join("output")).unwrap();
        let child = Command::new(program)
            .arg(folder.join("nagios.cfg"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut nagios = Self { child, folder: folder.to_owned() };
        let begun = Instant::now();
        while !folder.join("nagios.cmd").exists() || !folder.join("status.dat").exists() {
            let has_ended = nagios.child.try_wait().unwrap().is_some();
            let output = fs::read_to_string(folder.join("output")).unwrap();
            assert!(!has_ended && begun.elapsed() < ROUND_TIMEOUT, "Nagios does not run: {output}");
            std::thread::sleep(Duration::from_millis(50));
        }
        nagios
    }

    fn submit(&self, subjects: &[Subject], codes: &[u8], round: usize) {
        let mut commands = String::new();
        for (subject, code) in subjects.iter().zip(codes) {
            let host = &subject.id.host;
            match &subject.id.check {
                Some(check) => writeln!(
                    commands,
                    "[1] PROCESS_SERVICE_CHECK_RESULT;{host};{check};{code};round {round}"
                ),
                None => {
                    writeln!(commands, "[1] PROCESS_HOST_CHECK_RESULT;{host};{code};round {round}")
                }
            }
            .unwrap();
        }
        self.command(&commands);
    }

    fn command(&self, commands: &str) {
        let mut pipe =
            fs::OpenOptions::new().write(true).open(self.folder.join("nagios.cmd")).unwrap();
        pipe.write_all(commands.as_bytes()).unwrap();
    }

    /// Waits until what is shown is as wanted.
    fn wait_for(&self, is_so: impl Fn(&HashMap<CheckId, Shown>) -> bool) {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(self.folder.join("status.dat")).unwrap_or_default();
            if is_so(&read_status(&text)) {
                return;
            }
            assert!(begun.elapsed() < ROUND_TIMEOUT, "it never came about");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Returns how often each was told of, by Nagios' own log.
    fn told(&self) -> HashMap<CheckId, usize> {
        let log = fs::read_to_string(self.folder.join("nagios.log")).unwrap();
        let mut told = HashMap::new();
        for line in log.lines() {
            let id = if let Some((_, rest)) = line.split_once("SERVICE NOTIFICATION: ann;") {
                let mut parts = rest.split(';');
                CheckId::check(parts.next().unwrap(), parts.next().unwrap())
            } else if let Some((_, rest)) = line.split_once("HOST NOTIFICATION: ann;") {
                CheckId::host(rest.split(';').next().unwrap())
            } else {
                continue;
            };
            *told.entry(id).or_insert(0) += 1;
        }
        told
    }

    /// Waits until everything shows the round, and returns what is shown.
    fn wait(&self, subjects: &[Subject], round: usize) -> HashMap<CheckId, Shown> {
        let begun = Instant::now();
        let wanted = format!("round {round}");
        loop {
            let text = fs::read_to_string(self.folder.join("status.dat")).unwrap_or_default();
            let shown = read_status(&text);
            let is_there = |s: &Subject| shown.get(&s.id).is_some_and(|s| s.round == wanted);
            if subjects.iter().all(is_there) {
                return shown;
            }
            let log = fs::read_to_string(self.folder.join("nagios.log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(5).collect();
            assert!(begun.elapsed() < ROUND_TIMEOUT, "round {round} never came: {tail:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Nagios {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

fn main_config(folder: &Path, options: &str) -> String {
    let user = Command::new("id").arg("-un").output().unwrap().stdout;
    let user = String::from_utf8(user).unwrap();
    let (folder, user) = (folder.display(), user.trim());
    format!(
        "log_file={folder}/nagios.log
cfg_file={folder}/objects.cfg
resource_file={folder}/resource.cfg
object_cache_file={folder}/objects.cache
precached_object_file={folder}/objects.precache
status_file={folder}/status.dat
status_update_interval=1
nagios_user={user}
nagios_group={user}
check_external_commands=1
command_file={folder}/nagios.cmd
lock_file={folder}/nagios.lock
temp_file={folder}/nagios.tmp
temp_path={folder}
check_result_path={folder}/results
query_socket={folder}/nagios.qh
use_syslog=0
log_passive_checks=0
interval_length=1
check_result_reaper_frequency=1
execute_service_checks=0
execute_host_checks=0
accept_passive_service_checks=1
accept_passive_host_checks=1
passive_host_checks_are_soft=1
enable_event_handlers=0
low_service_flap_threshold=20.0
high_service_flap_threshold=30.0
low_host_flap_threshold=20.0
high_host_flap_threshold=30.0
enable_predictive_host_dependency_checks=0
enable_predictive_service_dependency_checks=0
retain_state_information=0
check_for_updates=0
max_concurrent_checks=0
event_broker_options=0
date_format=iso8601
debug_level=0
{options}"
    )
}

fn objects(subjects: &[Subject]) -> String {
    let mut text = String::from(
        "define command {\n command_name none\n command_line /bin/true\n}
define timeperiod {\n timeperiod_name always\n alias always
 sunday 00:00-24:00\n monday 00:00-24:00\n tuesday 00:00-24:00\n wednesday 00:00-24:00
 thursday 00:00-24:00\n friday 00:00-24:00\n saturday 00:00-24:00\n}
define contact {\n contact_name ann\n host_notifications_enabled 1
 service_notifications_enabled 1\n host_notification_period always
 service_notification_period always\n host_notification_options d
 service_notification_options w,u,c\n host_notification_commands none
 service_notification_commands none\n}
define host {\n host_name calm\n address 127.0.0.1\n max_check_attempts 1
 active_checks_enabled 0\n contacts ann\n notification_period always\n}\n",
    );
    for subject in subjects {
        let (host, max) = (&subject.id.host, subject.attempts_max);
        let common = format!(
            " host_name {host}\n max_check_attempts {max}\n check_interval 1000
 retry_interval 1000\n active_checks_enabled 0\n passive_checks_enabled 1
 flap_detection_enabled 1\n contacts ann\n notification_period always
 notification_interval 0\n"
        );
        if let Some(check) = &subject.id.check {
            write!(
                text,
                "define service {{\n service_description {check}\n check_command none
 is_volatile {}\n{common}}}\n",
                u8::from(subject.is_volatile)
            )
        } else {
            let parents = subject.parent.iter().map(|parent| format!(" parents {parent}\n"));
            let parents = parents.collect::<String>();
            write!(text, "define host {{\n address 127.0.0.1\n{parents}{common}}}\n")
        }
        .unwrap();
        if let (Some(check), Some(master)) = (&subject.id.check, &subject.master) {
            let master = master.check.as_deref().unwrap();
            write!(
                text,
                "define servicedependency {{\n host_name {host}\n service_description {master}
 dependent_host_name {host}\n dependent_service_description {check}
 notification_failure_criteria u,c\n}}\n"
            )
            .unwrap();
        }
    }
    text
}

/// Reads Nagios' status file: blocks of `key=value`.
fn read_status(text: &str) -> HashMap<CheckId, Shown> {
    let mut shown = HashMap::new();
    let mut fields: HashMap<&str, &str> = HashMap::new();
    let mut is_wanted = false;
    for line in text.lines().map(str::trim) {
        if line.ends_with('{') {
            is_wanted = matches!(line, "hoststatus {" | "servicestatus {");
            fields.clear();
        } else if line == "}" && is_wanted {
            let field = |name: &str| fields.get(name).copied().unwrap_or_default();
            let host = field("host_name");
            let id = match field("service_description") {
                "" => CheckId::host(host),
                check => CheckId::check(host, check),
            };
            let percent: f64 = field("percent_state_change").parse().unwrap_or(-1.0);
            let state = Shown {
                status: field("current_state").parse().unwrap_or(9),
                is_hard: field("state_type") == "1",
                attempt: field("current_attempt").parse().unwrap_or(0),
                is_flapping: field("is_flapping") == "1",
                flapping: (percent * 100.0).round() as i64,
                is_acknowledged: field("problem_has_been_acknowledged") == "1",
                is_in_downtime: field("scheduled_downtime_depth") != "0",
                round: field("plugin_output").to_owned(),
            };
            shown.insert(id, state);
        } else if let Some((key, value)) = line.split_once('=') {
            fields.insert(key, value);
        }
    }
    shown
}
