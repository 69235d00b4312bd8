//! What must be shown and told, worked out from the truth alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Weekday;
use noroshi_model::{ChangeKind, CheckId, Event, EventBody, StateType, Status, Timestamp};

use super::Random;
use super::world::{Thing, World};
use crate::board::Board;
use crate::{Acknowledge, CheckView, Downtime};

/// How long something must be at rest before what is shown must be true: the longest way is a
/// check's interval, two retries, a problem held for ten seconds, and the same for a root before.
const SETTLE_MS: i64 = 12 * 60_000;
/// How old the cause of what is told may be.
const CAUSE_MS: i64 = 10 * 60_000;
/// How near to an edge of a downtime nothing is asked: the model looks once a minute.
const EDGE_MS: i64 = 90_000;

/// A downtime as it was asked for, and what should have become of it.
struct Planned {
    id: CheckId,
    start: i64,
    end: i64,
    /// For a flexible one.
    duration: Option<i64>,
    began: bool,
    is_over: bool,
}

struct Taken {
    status: Status,
    is_sticky: bool,
    until: Option<i64>,
}

pub(super) struct Model {
    seed: u64,
    pub(super) second: i64,
    /// When the wall clock was last set.
    pub(super) clock_set: Option<i64>,
    /// Whose problem somebody was told of, and not of its end.
    told: BTreeSet<CheckId>,
    last_run: BTreeMap<CheckId, i64>,
    planned: Vec<Planned>,
    taken: BTreeMap<CheckId, Taken>,
    newest: u64,
    /// How often each thing was asked about, so that the day proves something.
    asked: [usize; 4],
    flapped: BTreeSet<CheckId>,
    /// When the monitor was last started.
    pub(super) started: i64,
    /// How many problems were told that had to last.
    lasted: usize,
}

impl Model {
    pub(super) fn new(seed: u64, world: &World) -> Self {
        Self {
            seed,
            second: 0,
            clock_set: None,
            told: BTreeSet::new(),
            last_run: world.things.iter().map(|thing| (thing.id.clone(), 0)).collect(),
            planned: Vec::new(),
            taken: BTreeMap::new(),
            newest: 0,
            asked: [0; 4],
            flapped: BTreeSet::new(),
            started: 0,
            lasted: 0,
        }
    }

    /// Where we are, for messages.
    pub(super) fn at(&self) -> String {
        format!("seed {}, second {}", self.seed, self.second)
    }

    pub(super) fn note_run(&mut self, id: &CheckId, time: i64, started: i64) {
        let before = self.last_run.insert(id.clone(), time).unwrap_or(started);
        let interval = if id.is_host() { 120_000 } else { 300_000 };
        // A run off the grid is followed by one after half an interval at least.
        let since = time - before.max(started);
        assert!(since <= interval * 3 / 2 + 10_000, "{}: {id} rested {since} ms", self.at());
    }

    /// Takes in what was logged, as those do who are told.
    pub(super) fn take_event(&mut self, event: &Event, world: &World, time: i64) {
        assert_eq!(event.sequence, self.newest + 1, "{}: no holes", self.at());
        self.newest = event.sequence;
        let id = &event.id;
        let change = match &event.body {
            EventBody::State(change) => change,
            EventBody::FlappingStarted { .. } => {
                // Less than five changes in three hours are no 30 % of the last twenty.
                let changes = world.changes_since(id, time - 3 * 3_600_000);
                assert!(changes >= 5, "{}: {id} flaps after {changes}", self.at());
                self.flapped.insert(id.clone());
                return;
            }
            _ => return,
        };
        match change.kind {
            ChangeKind::HardProblem if change.blocked_by.is_empty() => {
                let is_cause = world.was_broken(id, time - CAUSE_MS);
                assert!(is_cause, "{}: {id} is told, and is not broken: {change:?}", self.at());
                self.judge_lasting(world.thing(id), time);
                self.told.insert(id.clone());
            }
            ChangeKind::HardRecovery => drop(self.told.remove(id)),
            ChangeKind::SoftRecovery => {
                assert!(!self.told.contains(id), "{}: {id} ends untold", self.at());
            }
            _ => {}
        }
        if let Some(taken) = self.taken.get(id) {
            let is_other = change.status != taken.status && !taken.is_sticky;
            if is_other || !change.status.is_problem() {
                self.taken.remove(id);
            }
        }
        let at = event.at.as_millis();
        for planned in self.planned.iter_mut().filter(|planned| planned.id == *id) {
            if let (Some(duration), ChangeKind::HardProblem) = (planned.duration, change.kind)
                && !planned.began
                && planned.start <= at
                && at < planned.end
            {
                (planned.began, planned.end) = (true, at + duration);
            }
        }
    }

    /// Nothing that must last is told before it did. What happened while the monitor was off, or
    /// while its clock was set, nobody can know.
    fn judge_lasting(&mut self, thing: &Thing, time: i64) {
        let Some(must_last) = thing.must_last else { return };
        let disturbed = self.clock_set.into_iter().chain([self.started]).max().unwrap_or(0);
        if time - disturbed <= must_last + SETTLE_MS {
            return;
        }
        // The longest retry and the time of a run.
        let lasted = time - thing.silent_since(time, 70_000);
        assert!(lasted >= must_last, "{}: {} is told after {lasted} ms", self.at(), thing.id);
        self.lasted += 1;
    }

    /// Plans a downtime of something that is well.
    pub(super) fn plan_downtime(
        &mut self,
        board: &mut Board,
        world: &World,
        random: &mut Random,
        wall: Timestamp,
    ) {
        let thing = &world.things[random.below(world.things.len())];
        let is_well = board.view(&thing.id).is_some_and(|view| view.problem.is_none());
        if !is_well {
            return;
        }
        let start = wall.as_millis() + random.between(0, 1200) * 1000;
        let end = start + random.between(600, 5400) * 1000;
        let duration = random.once_in(3).then(|| random.between(300, 3600) * 1000);
        let moment = Timestamp::from_millis;
        let mut asked =
            Downtime::fixed(thing.id.clone(), moment(start), moment(end), "ann", "work");
        asked.duration = duration.map(|ms| std::time::Duration::from_millis(ms as u64));
        board.plan_downtime(&asked, wall).unwrap();
        let id = thing.id.clone();
        self.planned.push(Planned { id, start, end, duration, began: false, is_over: false });
    }

    /// Takes a problem on.
    pub(super) fn acknowledge(
        &mut self,
        board: &mut Board,
        world: &World,
        random: &mut Random,
        wall: Timestamp,
    ) {
        let thing = &world.things[random.below(world.things.len())];
        let Some(view) = board.view(&thing.id).filter(|view| view.problem.is_some()) else {
            return;
        };
        let is_sticky = random.once_in(2);
        let until = random.once_in(2).then(|| wall.as_millis() + random.between(120, 3600) * 1000);
        let asked = Acknowledge {
            author: "ann".to_owned(),
            comment: String::new(),
            is_sticky,
            until: until.map(Timestamp::from_millis),
        };
        board.acknowledge(&thing.id, asked, wall).unwrap();
        let status = view.status.unwrap();
        self.taken.insert(thing.id.clone(), Taken { status, is_sticky, until });
    }

    /// Holds what is shown against what is true.
    pub(super) fn judge(
        &mut self,
        board: &Board,
        world: &World,
        (time, wall, started): (i64, Timestamp, i64),
    ) {
        let now = wall.as_millis();
        self.move_marks(now);
        let is_at_rest = |thing: &Thing| time - world.moved(thing).max(started) >= SETTLE_MS;
        // A fifth of all each minute, or most of the time would go into looking.
        let turn = (self.second / 60) as usize % 5;
        for thing in world.things.iter().skip(turn).step_by(5) {
            let view = board.view(&thing.id).unwrap();
            for which in self.judge_marks(thing, world, &view, (time, now)) {
                self.asked[which] += 1;
            }
            let interval = if thing.id.is_host() { 120_000 } else { 300_000 };
            let since = time - self.last_run[&thing.id].max(started);
            assert!(since <= interval * 3 / 2 + 10_000, "{}: {} rests", self.at(), thing.id);
            if is_at_rest(thing) {
                let which = self.judge_state(thing, world, &view);
                self.asked[which] += 1;
            }
        }
        let quiet = board.view(&CheckId::check("core", "quiet")).unwrap();
        assert_eq!(quiet.status, None, "{}", self.at());
    }

    /// Returns which of `asked` it was.
    fn judge_state(&self, thing: &Thing, world: &World, view: &CheckView) -> usize {
        let at = || format!("{}: {} {view:#?}", self.at(), thing.id);
        let is_hindered = world.is_hindered(thing);
        let want = match (thing.id.is_host(), thing.is_answering()) {
            (true, true) => Status::Up,
            (false, true) => Status::Ok,
            (true, false) if is_hindered => Status::Unreachable,
            (true, false) => Status::Down,
            (false, false) => Status::Critical,
        };
        assert_eq!(view.status, Some(want), "{}", at());
        assert_eq!(view.state_type, StateType::Hard, "{}", at());
        assert_eq!(view.problem.is_some(), want.is_problem(), "{}", at());
        if is_hindered {
            let root = view.blocked_by.last().unwrap_or_else(|| panic!("no root: {}", at()));
            assert!(world.roots(thing).contains(root), "{root} is no root: {}", at());
        } else {
            assert!(view.blocked_by.is_empty(), "{}", at());
            assert_eq!(self.told.contains(&thing.id), thing.is_broken(), "told? {}", at());
        }
        usize::from(is_hindered)
    }

    /// Lets what people planned begin and end.
    fn move_marks(&mut self, now: i64) {
        for planned in &mut self.planned {
            planned.is_over |= planned.end <= now;
            planned.began |= planned.duration.is_none() && planned.start <= now;
        }
        self.taken.retain(|_, taken| taken.until.is_none_or(|until| until > now));
    }

    /// Returns which of `asked` could be asked.
    fn judge_marks(
        &self,
        thing: &Thing,
        world: &World,
        view: &CheckView,
        (time, now): (i64, i64),
    ) -> Vec<usize> {
        let mut asked = Vec::new();
        let at = || format!("{}: {} {view:#?}", self.at(), thing.id);
        let is_near = |edge: i64| (now - edge).abs() < EDGE_MS;
        let taken = self.taken.get(&thing.id);
        if !taken.and_then(|taken| taken.until).is_some_and(is_near) {
            assert_eq!(view.is_acknowledged, taken.is_some(), "acknowledged? {}", at());
            asked.push(2);
        }
        let concerns = |planned: &&Planned| {
            planned.id == thing.id || (planned.id.is_host() && planned.id.host == thing.id.host)
        };
        let own: Vec<&Planned> = self.planned.iter().filter(concerns).collect();
        let is_maintained = thing.is_maintained(world);
        let was_set = self.clock_set.is_some_and(|set| time - set < 3 * 3_600_000);
        let is_edge = own.iter().any(|planned| is_near(planned.start) || is_near(planned.end))
            || (is_maintained && (was_set || is_night(now - EDGE_MS) != is_night(now + EDGE_MS)));
        if !is_edge {
            let want = own.iter().any(|planned| planned.began && !planned.is_over)
                || (is_maintained && is_night(now));
            assert_eq!(view.is_in_downtime, want, "in downtime? {}", at());
            asked.push(3);
        }
        asked
    }

    /// Everything was mended an hour ago.
    pub(super) fn judge_end(&self, board: &Board, world: &World) {
        assert!(board.problems().is_empty(), "{}: {:#?}", self.at(), board.problems());
        assert!(self.told.is_empty(), "{}: {:?}", self.at(), self.told);
        assert!(self.taken.is_empty(), "{}", self.at());
        for thing in world.things.iter().filter(|thing| thing.is_flapper()) {
            assert!(self.flapped.contains(&thing.id), "{}: {} never flapped", self.at(), thing.id);
        }
        assert!(self.lasted >= 5, "{}: only {} lasted", self.at(), self.lasted);
        assert!(self.asked.iter().all(|asked| *asked > 1_000), "{}: {:?}", self.at(), self.asked);
    }
}

/// Tells whether the wall shows 02:15 to 03:30 in Berlin, on a Saturday or Sunday.
fn is_night(now: i64) -> bool {
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let wall = jiff::Timestamp::from_millisecond(now).unwrap().to_zoned(berlin);
    let minute = i32::from(wall.hour()) * 60 + i32::from(wall.minute());
    let is_day = matches!(wall.weekday(), Weekday::Saturday | Weekday::Sunday);
    is_day && (135..210).contains(&minute)
}
