//! Every row of `STATES.md` is tried; further tests are about what no table shows.

use std::time::Duration;

use noroshi_model::{CheckId, Origin};
use proptest::prelude::*;

use super::*;
use crate::state::{Acknowledgement, Held};

const TABLES: &str = include_str!("../../STATES.md");
const BEGUN: Timestamp = Timestamp::from_secs(1000);
const NOW: Timestamp = Timestamp::from_secs(2000);

fn result(status: Status, at: Timestamp) -> CheckResult {
    CheckResult {
        id: CheckId::check("h", "c"),
        status,
        output: "said".to_owned(),
        long_output: String::new(),
        perfdata: Vec::new(),
        started: at,
        finished: at,
        latency: Duration::ZERO,
        origin: Origin::Active,
    }
}

/// Reads `3`, `host 3` or `volatile 1`.
fn rules(text: &str) -> Rules {
    let (kind, attempts) = text.split_once(' ').unwrap_or(("", text));
    Rules {
        is_host: kind == "host",
        attempts_max: attempts.parse().unwrap(),
        window: None,
        lasting: None,
        gap_max: Duration::from_mins(3),
        is_volatile: kind == "volatile",
        flapping: FlappingSpec { is_enabled: false, ..FlappingSpec::default() },
    }
}

/// Reads `critical soft 2 acked`.
fn state(text: &str) -> State {
    let mut state = State::pending();
    let words: Vec<&str> = text.split(' ').collect();
    if text == "pending" {
        return state;
    }
    let status: Status = words[0].parse().unwrap();
    (state.status, state.since) = (Some(status), Some(BEGUN));
    if !status.is_problem() {
        return state;
    }
    state.state_type = if words[1] == "soft" { StateType::Soft } else { StateType::Hard };
    state.attempt = words[2].parse().unwrap();
    let is = |word: &str| words[3..].contains(&word);
    let was_confirmed = is("confirmed") || (words[1] == "hard" && !is("held"));
    state.problem = Some(Problem { sequence: 7, since: BEGUN, was_confirmed });
    state.is_blocked = is("blocked");
    if is("acked") || is("sticky") {
        state.acknowledgement = Some(Acknowledgement {
            author: "ann".to_owned(),
            comment: String::new(),
            at: BEGUN,
            until: None,
            is_sticky: is("sticky"),
        });
    }
    if is("held") {
        let change = StateStep {
            kind: ChangeKind::HardProblem,
            previous: Status::Ok,
            status,
            state_type: StateType::Hard,
            attempt: state.attempt,
            tried: state.attempt,
            problem: Problem { sequence: 7, since: BEGUN, was_confirmed: false },
        };
        state.held = Some(Held { change, at: BEGUN, deadline: NOW });
    }
    state
}

/// Writes a state as [`state`] reads it.
fn written(state: &State) -> String {
    let Some(status) = state.status else { return "pending".to_owned() };
    if !status.is_problem() {
        assert_eq!((state.state_type, state.attempt), (StateType::Hard, 1));
        assert!(state.problem.is_none() && state.acknowledgement.is_none());
        assert!(!state.is_blocked && state.held.is_none());
        return status.to_string();
    }
    let kind = if state.state_type == StateType::Soft { "soft" } else { "hard" };
    let mut text = format!("{status} {kind} {}", state.attempt);
    let given = state.acknowledgement.as_ref();
    let is_soft = state.state_type == StateType::Soft;
    for (is_so, word) in [
        (is_soft && state.problem.unwrap().was_confirmed, " confirmed"),
        (state.is_blocked, " blocked"),
        (state.held.is_some(), " held"),
        (given.is_some_and(|given| !given.is_sticky), " acked"),
        (given.is_some_and(|given| given.is_sticky), " sticky"),
    ] {
        text.push_str(if is_so { word } else { "" });
    }
    text
}

fn logged(changes: &[Change]) -> String {
    let word = |change: &Change| match change {
        Change::State(step) => {
            serde_json::to_string(&step.kind).unwrap().trim_matches('"').to_owned()
        }
        Change::Attempt => "attempt".to_owned(),
        Change::AcknowledgementEnded { .. } => "unacked".to_owned(),
        Change::FlappingStarted { .. } | Change::FlappingStopped { .. } => "flapping".to_owned(),
    };
    let words: Vec<String> = changes.iter().map(word).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

#[test]
fn every_row_of_the_tables_is_true() {
    let mut rows = 0;
    for line in TABLES.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let is_row = cells.len() == 5 && cells[0].ends_with(|c: char| c.is_ascii_digit());
        if !is_row {
            continue;
        }
        let (found, path) = match cells[2].split_once(' ') {
            Some((found, "behind")) => (found, Path::Behind),
            Some((found, "cut off")) => (found, Path::CutOff),
            _ => (cells[2], Path::Clear),
        };
        let found = result(found.parse().unwrap(), NOW);
        let before = state(cells[1]);
        let (next, changes) = step(&rules(cells[0]), &before, &found, path, NOW);
        assert_eq!(written(&next), cells[3], "{line}");
        assert_eq!(logged(&changes), cells[4], "{line}");
        let is_same = before.status.is_some() && before.status == next.status;
        assert_eq!(next.since, Some(if is_same { BEGUN } else { NOW }), "{line}");
        rows += 1;
    }
    assert!(rows > 60, "only {rows} rows were found");
}

#[test]
fn every_window_of_the_tables_is_judged_so() {
    let mut rows = 0;
    for line in TABLES.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [rule, results, states, told] = cells[..] else { continue };
        let Some((fails, window)) = rule.split_once(" of ") else { continue };
        let mut rules = rules(fails);
        rules.window = Some(window.parse().unwrap());
        let mut now = State::pending();
        let (mut shown, mut changes) = (Vec::new(), Vec::new());
        for letter in results.split(' ') {
            let (letter, path) = match letter.strip_suffix('b') {
                Some(letter) => (letter, Path::Behind),
                None => (letter, Path::Clear),
            };
            let status = if letter == "x" { Status::Critical } else { Status::Ok };
            let (next, new) = step(&rules, &now, &result(status, NOW), path, NOW);
            shown.push(written(&next).replace("critical ", "").replace(" confirmed", ""));
            changes.extend(new);
            now = next;
        }
        assert_eq!(shown.join(", "), states, "{line}");
        changes.retain(|change| *change != Change::Attempt);
        assert_eq!(logged(&changes), told, "{line}");
        rows += 1;
    }
    assert!(rows >= 5, "only {rows} rows were found");
}

/// Reads `x@60b`: what was found, when and how it was reached.
fn timed(text: &str) -> (CheckResult, Path) {
    let (letter, at) = text.split_once('@').unwrap();
    let (at, path) = match (at.strip_suffix('b'), at.strip_suffix('c')) {
        (Some(at), _) => (at, Path::Behind),
        (_, Some(at)) => (at, Path::CutOff),
        _ => (at, Path::Clear),
    };
    let status = match letter {
        "x" => Status::Critical,
        "w" => Status::Warning,
        "u" => Status::Unknown,
        _ => Status::Ok,
    };
    (result(status, Timestamp::from_secs(at.parse().unwrap())), path)
}

#[test]
fn every_duration_of_the_tables_is_judged_so() {
    let mut rows = 0;
    for line in TABLES.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [rule, results, states, told] = cells[..] else { continue };
        let Some((rule, seconds)) = rule.split_once("for ") else { continue };
        let mut rules = rules(if rule.is_empty() { "1" } else { rule.trim() });
        rules.lasting = Some(Duration::from_secs(seconds.parse().unwrap()));
        let mut now = State::pending();
        let (mut shown, mut changes) = (Vec::new(), Vec::new());
        for text in results.split(' ') {
            let (found, path) = timed(text);
            let at = found.finished;
            let (next, new) = step(&rules, &now, &found, path, at);
            shown.push(written(&next).replace("critical ", "").replace(" confirmed", ""));
            changes.extend(new);
            now = next;
        }
        assert_eq!(shown.join(", "), states, "{line}");
        assert_eq!(logged(&changes), told, "{line}");
        rows += 1;
    }
    assert!(rows >= 20, "only {rows} rows were found");
}

#[test]
fn a_run_that_takes_long_proves_nothing_of_its_own_time() {
    // Two runs of 50 s that end in nothing: 10 s are seen, from the end of one to the next.
    let mut rules = rules("1");
    let mut now = State::pending();
    for (needed, want) in [(11, StateType::Soft), (10, StateType::Hard)] {
        rules.lasting = Some(Duration::from_secs(needed));
        now = State::pending();
        for begun in [0, 60] {
            let mut found = result(Status::Critical, Timestamp::from_secs(begun));
            found.finished = found.started + Duration::from_secs(50);
            now = step(&rules, &now, &found, Path::Clear, found.finished).0;
        }
        assert_eq!(now.state_type, want, "{needed}");
    }
    assert_eq!(now.streak.unwrap().lasted(), Duration::from_secs(10));
}

#[test]
fn a_problem_keeps_its_number_and_its_beginning_to_its_recovery() {
    let rules = rules("2");
    let mut now = State::pending();
    let mut told = Vec::new();
    for (second, status) in
        [(1, Status::Ok), (2, Status::Warning), (3, Status::Critical), (4, Status::Ok)]
    {
        let at = Timestamp::from_secs(second);
        let (next, changes) = step(&rules, &now, &result(status, at), Path::Clear, at);
        for change in changes {
            if let Change::State(step) = change {
                told.push((step.kind, step.previous, step.problem.since.as_secs()));
            }
        }
        now = next;
    }
    let want = [
        (ChangeKind::SoftProblem, Status::Ok, 2),
        (ChangeKind::HardProblem, Status::Warning, 2),
        (ChangeKind::HardRecovery, Status::Critical, 2),
    ];
    assert_eq!(told, want);
}

#[test]
fn flapping_starts_at_the_high_and_stops_at_the_low_threshold() {
    let mut rules = rules("1");
    rules.flapping = FlappingSpec { is_enabled: true, low: 20.0, high: 30.0 };
    let mut now = State::pending();
    let mut told = Vec::new();
    // Five changes in a row weigh 1.25 to 1.145: 5.99 of 20 = 29.9 %; six: 7.105, 35.5 %.
    for (turn, letter) in "cococcccccccccccccccccc".chars().enumerate() {
        let status = if letter == 'c' { Status::Critical } else { Status::Ok };
        let (next, changes) = step(&rules, &now, &result(status, NOW), Path::Clear, NOW);
        for change in changes {
            match change {
                Change::FlappingStarted { percent } => told.push((turn, true, percent)),
                Change::FlappingStopped { percent } => told.push((turn, false, percent)),
                _ => {}
            }
        }
        now = next;
    }
    assert_eq!(told.len(), 0, "five changes are 29.9 %: {told:?}");
    let mut now = State::pending();
    for letter in "cococo".chars() {
        let status = if letter == 'c' { Status::Critical } else { Status::Ok };
        now = step(&rules, &now, &result(status, NOW), Path::Clear, NOW).0;
    }
    assert!(now.is_flapping && (now.history.percent() - 35.5).abs() < 0.1);
    let mut turns = 0;
    while now.is_flapping {
        now = step(&rules, &now, &result(Status::Ok, NOW), Path::Clear, NOW).0;
        turns += 1;
    }
    // The six changes leave the window one after the other: with 3 left it is below 20 %.
    assert!((15..=19).contains(&turns) && now.history.percent() <= 20.0, "{turns}");
}

#[test]
fn a_host_becomes_unreachable_when_something_above_it_fails_after_it() {
    let rules = rules("host 3");
    for (before, after, told) in [
        ("down hard 3", "unreachable hard 3 blocked", "hard_problem"),
        ("down soft 1", "unreachable soft 1 blocked", "soft_problem"),
        ("down hard 3 acked", "unreachable hard 3 blocked", "unacked hard_problem"),
        ("down hard 3 sticky", "unreachable hard 3 blocked sticky", "hard_problem"),
        ("up", "up", "-"),
        ("unreachable hard 3 blocked", "unreachable hard 3 blocked", "-"),
    ] {
        let (next, changes) = cut_off(&rules, &state(before), NOW);
        assert_eq!((written(&next).as_str(), logged(&changes).as_str()), (after, told));
    }
}

proptest! {
    /// Whatever comes, the machine stays within its rules.
    #[test]
    fn invariants_hold_for_any_sequence(
        max in 1_u32..5,
        is_host: bool,
        is_volatile: bool,
        has_window: bool,
        lasting in prop::option::of(1_u64..100),
        turns in prop::collection::vec((0_u8..4, 0_u8..3, 0_i64..40), 1..60),
    ) {
        let flapping = FlappingSpec::default();
        let window = has_window.then_some(max + 2);
        let lasting = lasting.filter(|_| !has_window).map(Duration::from_secs);
        let gap_max = Duration::from_secs(30);
        let rules = Rules {
            is_host, attempts_max: max, window, lasting, gap_max, is_volatile, flapping,
        };
        let mut now = State::pending();
        let mut is_told = false;
        // The naive judge of a duration: the results that were not fine, without a gap.
        let (mut bad, mut second) = (Vec::<i64>::new(), 0);
        for (code, path, pause) in turns {
            second += pause;
            let at = Timestamp::from_secs(second);
            let path = [Path::Clear, Path::Behind, Path::CutOff][usize::from(path)];
            let status = [Status::Ok, Status::Warning, Status::Critical, Status::Unknown];
            let found = result(status[usize::from(code)], at);
            let (next, changes) = step(&rules, &now, &found, path, at);
            let is_anew = !now.is_problem() || (now.is_blocked && path == Path::Clear);
            if is_anew || bad.last().is_some_and(|last| second - last > 30) {
                bad.clear();
            }
            bad.push(second);
            let has_lasted = lasting.is_none_or(|needed| second - bad[0] >= needed.as_secs() as i64);
            let was_hard = now.is_problem() && !is_anew && now.state_type == StateType::Hard;
            let is_sure = was_hard || (path == Path::CutOff && !is_host);
            prop_assert!(!next.is_problem() || is_sure || has_lasted
                || next.state_type == StateType::Soft);
            prop_assert_eq!(next.is_problem(), next.problem.is_some());
            prop_assert!((1..=max).contains(&next.attempt));
            prop_assert!(next.is_problem() || next.attempt == 1);
            let is_soft = next.state_type == StateType::Soft;
            prop_assert!(!is_soft || next.attempt < max || !has_lasted);
            prop_assert!(next.status.is_some_and(|status| status.is_host() == is_host));
            for change in changes {
                let Change::State(step) = change else { continue };
                match step.kind {
                    ChangeKind::HardProblem => is_told = true,
                    // Never a recovery of what was never told, never a silent end of what was,
                    // also when it was being confirmed anew.
                    ChangeKind::HardRecovery => {
                        prop_assert!(is_told);
                        is_told = false;
                    }
                    ChangeKind::SoftRecovery => prop_assert!(!is_told),
                    ChangeKind::SoftProblem | ChangeKind::HardRepeat => {}
                }
            }
            now = next;
        }
    }
}

#[test]
fn long_outputs_are_cut_between_two_characters() {
    let rules = rules("1");
    let mut found = result(Status::Critical, NOW);
    found.output = "é".repeat(OUTPUT_BYTES_MAX);
    found.long_output = format!("x{}", "é".repeat(LONG_OUTPUT_BYTES_MAX));
    let (next, _) = step(&rules, &State::pending(), &found, Path::Clear, NOW);
    assert_eq!(next.output.len(), OUTPUT_BYTES_MAX);
    assert_eq!(next.long_output.len(), LONG_OUTPUT_BYTES_MAX - 1);
}
