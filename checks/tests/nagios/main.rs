//! The same random results for real Nagios Core and for us: the states must be the same.
//!
//! Goal: no unexplained difference in status, state type, attempt and flapping. Method: Nagios 4
//! with active checks off takes passive results through its command file; after each round its
//! status file is read once every service shows the round's number. What differs on purpose is
//! written in `STATES.md` and either set alike by configuration or left out here.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ours;
mod theirs;

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
use noroshi_model::seam::{Accepted, BoxFuture, ManualClock, MemoryRecords, no_series};
use noroshi_model::{
    Batch, ChangeKind, CheckId, Clock, EventBody, Origin, Refused, Sink, StateType, Status,
    Timestamp,
};
use tokio_util::sync::CancellationToken;

use ours::Ours;
use theirs::Nagios;

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
