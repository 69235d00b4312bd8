//! A site is put in force as a difference to what is there: whatever that was, the board is then as
//! if only the new one had ever been applied, but for what is remembered by name.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use noroshi_model::CheckResult;
use noroshi_model::seam::MemoryRecords;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::reload::{fine, large_site};
use super::*;
use crate::board::{Applied, Board, Wanted};
use crate::class::Room;
use crate::probe::Judging;
use crate::schedule::Steady;
use crate::state::State;
use crate::{CheckCounts, Counts};

const START_MS: i64 = 1_800_000_000_000;
const HOSTS: usize = 500;

/// One host or check as it is drawn: its name, and which of a few specs it has.
type Drawn = BTreeMap<(u8, Option<u8>), (u8, u8)>;

/// Draws hosts 0 to 5 with checks 0 to 4 each; some checks have no host.
fn drawn() -> impl Strategy<Value = Drawn> {
    let id = (0..6u8, proptest::option::weighted(0.8, 0..5u8));
    proptest::collection::btree_map(id, (0..3u8, 0..3u8), 0..30)
}

/// Makes the site; `order` turns it round, because a site may come in any order.
fn site_of(drawn: &Drawn, order: bool) -> Site {
    let mut site = Site::default();
    for ((host, check), (notes, probe)) in drawn {
        let name = format!("h{host}");
        let probe = match probe {
            0 => Probe::Passive(PassiveProbe::default()),
            1 => Probe::Passive(PassiveProbe {
                freshness: Some(Duration::from_hours(1)),
                ..PassiveProbe::default()
            }),
            _ => up("other"),
        };
        let Some(check) = check else {
            let mut host = HostSpec::new(&name, "192.0.2.1");
            host.probe = (*notes == 2).then_some(probe);
            host.notes = format!("notes {notes}");
            host.parents = (*notes == 1).then(|| "h0".to_owned()).into_iter().collect();
            site.hosts.push(host);
            continue;
        };
        let mut spec = CheckSpec::new(CheckId::check(&name, &format!("c{check}")), probe);
        spec.notes = format!("notes {notes}");
        spec.timing.interval = Duration::from_mins(1 + u64::from(*notes));
        spec.depends = (*notes == 1).then(|| CheckId::parse("h1/c0")).into_iter().collect();
        site.checks.push(spec);
    }
    if order {
        site.hosts.reverse();
        site.checks.reverse();
    }
    site
}

/// What a site comes to by the naive way: specs by id, checks without host left out.
fn by_id(site: &Site) -> BTreeMap<CheckId, (HostSpec, Option<CheckSpec>)> {
    let mut specs = BTreeMap::new();
    for host in &site.hosts {
        specs.insert(CheckId::host(&host.name), (host.clone(), None));
        for check in site.checks.iter().filter(|check| *check.id.host == host.name) {
            specs.insert(check.id.clone(), (host.clone(), Some(check.clone())));
        }
    }
    specs
}

fn states(board: &Board) -> BTreeMap<CheckId, State> {
    board.entries.iter().map(|(id, entry)| (id.clone(), entry.state.clone())).collect()
}

/// Counts the board the naive way: hosts, checks, the checks of each host, what has a problem.
fn assert_counted(board: &Board) {
    let mut counts = Counts::default();
    let mut of_hosts: BTreeMap<String, CheckCounts> = BTreeMap::new();
    for entry in board.entries.values() {
        if entry.id.is_host() {
            counts.hosts.add(entry.state.status);
            of_hosts.entry(entry.id.host.to_string()).or_default();
        } else {
            counts.checks.add(entry.state.status);
            of_hosts.entry(entry.id.host.to_string()).or_default().add(entry.state.status);
        }
    }
    assert_eq!(board.counts(), counts);
    let rows = board.hosts().into_iter().map(|row| (row.name, row.counts));
    assert_eq!(rows.collect::<BTreeMap<_, _>>(), of_hosts);
    let problems = board.entries.values().filter(|entry| entry.state.is_problem()).count();
    assert_eq!(board.problems().len(), problems);
}

/// Applies a site and lets some results in, so that there are states to keep.
fn lived_in(site: Site) -> Board {
    let mut board = Board::load(&MemoryRecords::new()).unwrap();
    let now = Timestamp::from_millis(START_MS);
    board.apply(site, now, START_MS);
    let ids: Vec<CheckId> = board.entries.keys().filter(|id| !id.is_host()).cloned().collect();
    for id in ids.iter().step_by(2) {
        board.take_result(&fine(id, now), Judging::default(), now, START_MS);
    }
    for id in ids.iter().step_by(3) {
        let result = CheckResult { status: Status::Critical, ..fine(id, now) };
        board.take_result(&result, Judging::default(), now, START_MS);
    }
    assert_counted(&board);
    board
}

proptest! {
    #[test]
    fn what_was_there_makes_no_difference_but_for_what_is_remembered(
        first in drawn(), second in drawn(), turned in any::<bool>(),
    ) {
        let (a, b) = (site_of(&first, false), site_of(&second, turned));
        let (specs_a, specs_b) = (by_id(&a), by_id(&b));
        let mut board = lived_in(a);
        let (kept, due) = (states(&board), |board: &Board| -> BTreeMap<CheckId, Option<i64>> {
            board.entries.iter().map(|(id, entry)| (id.clone(), entry.due)).collect()
        });
        let due_before = due(&board);
        let later = START_MS + 30_000;
        let applied = board.apply(b, Timestamp::from_millis(later), later);

        let added = specs_b.keys().filter(|id| !specs_a.contains_key(id)).count();
        let removed = specs_a.keys().filter(|id| !specs_b.contains_key(id)).count();
        let is_changed = |id: &&CheckId| specs_a.get(id).is_some_and(|old| *old != specs_b[*id]);
        let changed = specs_b.keys().filter(is_changed).count();
        prop_assert_eq!(applied, Applied { added, changed, removed });

        assert_counted(&board);

        // The reference: a board that only ever had the second site.
        let mut fresh = Board::load(&MemoryRecords::new()).unwrap();
        fresh.apply(site_of(&second, false), Timestamp::from_millis(later), later);
        prop_assert!(board.entries.keys().eq(fresh.entries.keys()));
        for (id, entry) in &board.entries {
            let other = &fresh.entries[id];
            prop_assert_eq!(&entry.host, &other.host);
            prop_assert_eq!(&entry.check, &other.check);
            prop_assert!(entry.ready.timing == other.ready.timing);
            let state = kept.get(id).unwrap_or(&other.state);
            prop_assert!(entry.state.finished == state.finished, "the state of {}", id);
            if specs_a.get(id) == specs_b.get(id) {
                prop_assert_eq!(entry.due, due_before[id], "the phase of {}", id);
            }
            // Nothing that has a due time is forgotten by the queue.
            prop_assert_eq!(entry.due.is_some(), other.due.is_some(), "{} is planned", id);
        }
        for (id, due) in due(&board) {
            let Some(due) = due else { continue };
            let is_queued = board.queue.holds(due, &id);
            prop_assert!(is_queued, "{} is due and in no queue", id);
        }
        for id in specs_b.keys() {
            prop_assert_eq!(board.behind(id), fresh.behind(id));
        }
    }
}

/// While another thread takes what is due and hands in results, a site of 5,000 checks is applied
/// again and again with changes: nobody waits for the board longer than a slice takes.
#[test]
fn checks_go_on_while_a_site_is_put_in_force() {
    let board = Mutex::new(Board::load(&MemoryRecords::new()).unwrap());
    let at = Timestamp::from_millis;
    let steady = Steady::start(at(START_MS));
    Wanted::new(large_site(0..HOSTS)).apply(&board, at(START_MS), steady);
    let is_over = AtomicBool::new(false);
    let (longest, whole) = std::thread::scope(|scope| {
        let runner = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !is_over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let mut board = board.lock();
                longest = longest.max(begun.elapsed());
                for job in board.take_due(Room([16; 3]), at(START_MS), steady.now()) {
                    board.take_result(
                        &fine(&job.id, at(START_MS)),
                        Judging::default(),
                        at(START_MS),
                        START_MS,
                    );
                }
                board.out = crate::board::Out::default();
                drop(board);
                std::thread::yield_now();
            }
            longest
        });
        let mut whole = Duration::ZERO;
        for turn in 1..=4u32 {
            let mut site = large_site(0..HOSTS);
            for check in &mut site.checks {
                check.notes = format!("turn {turn}");
            }
            let begun = Instant::now();
            let applied = Wanted::new(site).apply(&board, at(START_MS), steady);
            whole = whole.max(begun.elapsed());
            assert_eq!(applied, Applied { changed: HOSTS * 10, ..Applied::default() });
        }
        is_over.store(true, Ordering::Relaxed);
        (runner.join().unwrap(), whole)
    });
    // In one go a wait is as long as the whole; a slice is a tenth of it. Other programs may
    // take the processor, so that the bound is wide.
    assert!(longest < whole / 2, "waited {longest:?} of {whole:?}");
}
