//! A day of a large site in seconds: the board, the state machine, the schedule, the records and
//! the event log as they are, driven by a simulated clock; and a naive model that judges them.
//!
//! Two hundred hosts in a tree, some with two parents, four hundred checks, some that depend on
//! another host's check. At random, switches and servers and single checks fail, flap and blink,
//! the monitor is stopped or killed and comes back after a while, the wall clock is set, people
//! plan downtimes and acknowledge. The day is one on which the clocks of Europe are changed.
//!
//! The model knows only what is true of the world and when that last changed. It demands, each
//! minute, that whatever has been at rest for longer than it takes to confirm and verify is shown
//! and told as it is; and at every moment that nothing is told of what is not itself broken, that
//! no check runs twice at once or is left out, and that nothing comes in a flood.
//!
//! `NOROSHI_SIMULATION_SEEDS=50` tries more days than the build does.

mod model;
mod world;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::seam::MemoryRecords;
use noroshi_model::{CheckId, CheckResult, Origin, Records, Status, Timestamp};

use self::model::Model;
use self::world::World;
use crate::board::{Board, Job};
use crate::class::Room;
use crate::log;
use crate::probe::Judging;

/// Days that every build tries, one of each change of the clocks; each takes about seven seconds.
const SEEDS: u64 = 2;
/// How long a day is simulated, in seconds: the night of the change and the day after it.
const DAY: i64 = 24 * 3600;
/// The evenings before the clocks of Europe are put back (2026-10-25) and forward (2027-03-28), at
/// 20:00 UTC.
const EVENINGS: [i64; 2] = [1_792_872_000, 1_806_177_600];
/// How long a run takes that finds an answer, and one that waits for none, in milliseconds.
const RUN_MS: (i64, i64) = (80, 3_000);
/// How many runs may begin in one second. The schedule spreads 600 checks over minutes; after an
/// outage of the monitor a hundred a second are caught up with, and what is behind a root that
/// came back is verified at 200 a second.
const BEGUN_PER_SECOND_MAX: usize = 320;

/// `SplitMix64`: the same day on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        least + self.below((most - least + 1) as usize) as i64
    }
}

/// The monitor: what the tasks around the board do, on one simulated clock.
struct Monitor {
    records: Arc<MemoryRecords>,
    /// `None` while it is stopped.
    board: Option<Board>,
    /// Time that passed, in milliseconds since the beginning of the day.
    time: i64,
    /// The wall clock at `time` 0; the clock is set by changing it.
    wall_origin: i64,
    /// The steady clock's distance from `time`.
    steady_origin: i64,
    /// Runs under way: when each ends, and of what.
    runs: BinaryHeap<Reverse<(i64, CheckId)>>,
    jobs: BTreeMap<CheckId, (i64, i64)>,
    /// When the monitor was last started.
    started: i64,
    /// The newest event that the model has seen.
    seen: u64,
    /// When it will be stopped or killed next.
    ends: i64,
}

impl Monitor {
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.wall_origin + self.time)
    }

    fn steady(&self) -> i64 {
        self.steady_origin + self.time
    }

    fn start(&mut self, world: &World) {
        let mut board = Board::load(&*self.records).unwrap();
        self.steady_origin = self.wall().as_millis() - self.time;
        board.apply(world.site(), self.wall(), self.steady());
        self.started = self.time;
        self.board = Some(board);
    }

    /// Ends it: in order, with all that it knows written; or as `kill -9` does.
    fn end(&mut self, is_killed: bool) {
        let Some(mut board) = self.board.take() else { return };
        if !is_killed {
            assert!(board.write_dirty(usize::MAX));
        }
        self.records.commit(std::mem::take(&mut board.out).batch).unwrap();
        self.runs.clear();
        self.jobs.clear();
    }

    /// Writes what is behind on disk, as is done within a minute: here only before an end, or most
    /// of the time would go into writing.
    fn flush(&mut self) {
        if let Some(board) = &mut self.board {
            board.write_dirty(usize::MAX);
        }
    }

    /// Lets a second pass.
    fn second(&mut self, world: &World, model: &mut Model) {
        let Some(mut board) = self.board.take() else {
            self.time += 1000;
            return;
        };
        let until = self.time + 1000;
        while let Some(Reverse((end, _))) = self.runs.peek()
            && *end <= until
        {
            self.time = *end;
            self.take_result(&mut board, world, model);
        }
        self.time = until;
        board.tick(self.wall());
        board.release_held(self.wall(), self.steady());
        let jobs = board.take_due(Room::ALL, self.wall(), self.steady());
        assert!(jobs.len() <= BEGUN_PER_SECOND_MAX, "{}: {} runs at once", model.at(), jobs.len());
        for job in jobs {
            self.begin(&job, world, model);
        }
        self.records.commit(std::mem::take(&mut board.out).batch).unwrap();
        let newest = board.log.newest();
        let sequences: Vec<u64> = (self.seen + 1..=newest).collect();
        for event in log::read(&*self.records, &sequences) {
            model.take_event(&event, world, self.time);
        }
        self.seen = newest;
        self.board = Some(board);
    }

    fn begin(&mut self, job: &Job, world: &World, model: &mut Model) {
        let takes = if world.answers(&job.id) { RUN_MS.0 } else { RUN_MS.1 };
        self.runs.push(Reverse((self.time + takes, job.id.clone())));
        let latency = self.steady() - job.due;
        assert!(latency <= 2_000, "{}: {} begins {latency} ms late", model.at(), job.id);
        let before = self.jobs.insert(job.id.clone(), (self.time, latency));
        assert!(before.is_none(), "{}: {} runs twice at once", model.at(), job.id);
        model.note_run(&job.id, self.time, self.started);
    }

    fn take_result(&mut self, board: &mut Board, world: &World, model: &Model) {
        let Some(Reverse((end, id))) = self.runs.pop() else { return };
        let (begun, latency) = self.jobs.remove(&id).unwrap();
        let is_fine = world.answered(&id, begun);
        let finished = self.wall();
        let result = CheckResult {
            status: if is_fine { Status::Ok } else { Status::Critical },
            output: if is_fine { "answers" } else { "no answer" }.to_owned(),
            long_output: String::new(),
            perfdata: Vec::new(),
            started: Timestamp::from_millis(finished.as_millis() - (end - begun)),
            finished,
            latency: Duration::from_millis(latency.max(0) as u64),
            origin: Origin::Active,
            id,
        };
        let shown = board.take_result(&result, Judging::default(), finished, self.steady());
        assert!(shown.is_some(), "{}: {} has no state", model.at(), result.id);
    }
}

fn simulate(seed: u64) {
    let mut random = Random(seed);
    let evening = EVENINGS[(seed % 2) as usize] * 1000;
    let mut world = World::new(&mut random);
    let mut model = Model::new(seed, &world);
    let mut monitor = Monitor {
        records: Arc::new(MemoryRecords::new()),
        board: None,
        time: 0,
        wall_origin: evening,
        steady_origin: 0,
        runs: BinaryHeap::new(),
        jobs: BTreeMap::new(),
        started: 0,
        seen: 0,
        ends: random.between(300, 6 * 3600),
    };
    monitor.start(&world);
    let mut away_until = 0;
    for second in 1..=DAY {
        model.second = second;
        model.started = monitor.started;
        // The last hour is calm, so that at its end all is over.
        let is_calm = second > DAY - 3600;
        world.second(second * 1000, is_calm, &mut random);
        monitor.second(&world, &mut model);
        if monitor.board.is_none() {
            if second >= away_until {
                monitor.start(&world);
            }
            continue;
        }
        if second % 60 == 0 {
            if let Some(board) = &monitor.board {
                model.judge(board, &world, (monitor.time, monitor.wall(), monitor.started));
            }
            disturb(&mut monitor, &mut model, &world, &mut random, is_calm);
        }
        if second == monitor.ends - 15 {
            monitor.flush();
        }
        if second == monitor.ends {
            monitor.end(random.once_in(2));
            away_until = second + random.between(0, 1800);
            monitor.ends = away_until + random.between(300, 6 * 3600);
            if monitor.ends > DAY - 3600 {
                monitor.ends = i64::MAX;
            }
        }
    }
    let board = monitor.board.as_ref().unwrap();
    model.judge_end(board, &world);
}

/// What people do, and who sets the clock.
fn disturb(
    monitor: &mut Monitor,
    model: &mut Model,
    world: &World,
    random: &mut Random,
    is_calm: bool,
) {
    let (wall, time) = (monitor.wall(), monitor.time);
    let Some(board) = &mut monitor.board else { return };
    if random.once_in(30) {
        model.plan_downtime(board, world, random, wall);
    }
    if random.once_in(10) {
        model.acknowledge(board, world, random, wall);
    }
    if random.once_in(120) {
        board.apply(world.site(), wall, monitor.steady_origin + time);
    }
    if !is_calm && random.once_in(240) {
        let step = [-3_600_000, -20_000, 20_000, 3_600_000][random.below(4)];
        monitor.wall_origin += step;
        model.clock_set = Some(time);
    }
}

#[test]
fn a_day_with_failures_restarts_and_changes_of_the_clock_shows_no_wrong_state() {
    let seeds = std::env::var("NOROSHI_SIMULATION_SEEDS").ok().and_then(|text| text.parse().ok());
    for seed in 1..=seeds.unwrap_or(SEEDS) {
        simulate(seed);
    }
}
