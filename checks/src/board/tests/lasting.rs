//! A problem that must last: when it is looked at, and what restarts, gaps and jumps of the clock
//! make of the time.

use super::*;

const NEEDED: Duration = Duration::from_secs(130);

/// A host that is always up, and a check whose retries (at 50 and 100 s) do not meet its 130 s.
fn site() -> Site {
    let mut load = check("a/load", "load", 1);
    load.timing.retry_interval = Duration::from_secs(50);
    load.timing.lasting = Some(NEEDED);
    let hosts = vec![HostSpec::new("a", "192.0.2.1")];
    Site { hosts, checks: vec![load], ..Site::default() }
}

/// Returns when its problem was found, and when it was hard.
fn found_and_hard(house: &House) -> (Timestamp, Option<Timestamp>) {
    let events: Vec<Event> = events(house);
    let at = |wanted: ChangeKind| {
        let is_wanted =
            |body: &EventBody| matches!(body, EventBody::State(change) if change.kind == wanted);
        events.iter().find(|event| is_wanted(&event.body)).map(|event| event.at)
    };
    (at(ChangeKind::SoftProblem).unwrap(), at(ChangeKind::HardProblem))
}

#[tokio::test(start_paused = true)]
async fn it_is_looked_at_when_the_time_is_over_and_says_how_long_it_was_bad() {
    let house = House::start(site());
    pass(&house, 90, &["load"], &[]).await;
    let id = CheckId::parse("a/load");
    let lasting = |house: &House| house.checks.check(&id).unwrap().lasting.unwrap();
    assert_eq!((lasting(&house).seen_ms, lasting(&house).needed_ms), (0, 130_000));
    pass(&house, 180, &[], &["load"]).await;
    let (found, hard) = found_and_hard(&house);
    let lasted = hard.unwrap().since(found);
    assert!(lasted >= NEEDED && lasted < NEEDED + Duration::from_secs(1), "{lasted:?}");
    let change = changes(&house).pop().unwrap().1;
    assert_eq!(change.kind, ChangeKind::HardProblem);
    let text = change.lasting.unwrap().to_string();
    assert_eq!(text, "bad for 2 min 10 s");
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_problem_that_ends_before_is_told_to_nobody() {
    let house = House::start(site());
    pass(&house, 90, &["load"], &[]).await;
    for _ in 0..5 {
        pass(&house, 120, &[], &["load"]).await;
        let view = house.checks.check(&CheckId::parse("a/load")).unwrap();
        assert_eq!(view.state_type, StateType::Soft);
        pass(&house, 120, &["load"], &[]).await;
    }
    assert!(told(&house).is_empty(), "{:?}", told(&house));
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_short_restart_costs_nothing_and_a_long_one_begins_anew() {
    for (away, is_anew) in [(Duration::from_mins(1), false), (Duration::from_mins(10), true)] {
        let house = House::start(site());
        pass(&house, 90, &["load"], &[]).await;
        pass(&house, 70, &[], &["load"]).await;
        let (found, hard) = found_and_hard(&house);
        assert_eq!(hard, None);
        let (clock, records, series) = house.kill().await;
        tokio::time::sleep(away).await;
        let back = clock.now();
        let house = House::start_with(site(), clock, records, series);
        pass(&house, 200, &[], &["load"]).await;
        let hard = found_and_hard(&house).1.unwrap();
        let from = if is_anew { back } else { found };
        let lasted = hard.since(from);
        let late = Duration::from_secs(if is_anew { 3 } else { 1 });
        assert!(lasted >= NEEDED && lasted < NEEDED + late, "{away:?}: {lasted:?}");
        house.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_the_clock_is_no_time_that_it_lasted() {
    for seconds in [3600, -3600] {
        let house = House::start(site());
        pass(&house, 90, &["load"], &[]).await;
        pass(&house, 60, &[], &["load"]).await;
        house.clock.jump(seconds);
        let jumped = house.clock.now();
        house.series.0.lock().clear();
        pass(&house, 240, &[], &["load"]).await;
        let hard = found_and_hard(&house).1.unwrap();
        assert!(hard.since(jumped) >= NEEDED, "{seconds}: {:?}", hard.since(jumped));
        house.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_looked_at_when_its_time_is_over() {
    let mut site = one_job();
    site.checks[0].probe = Probe::Passive(PassiveProbe::heartbeat(Duration::from_mins(5)));
    site.checks[0].timing.lasting = Some(Duration::from_mins(7));
    let house = House::start(site);
    submit(&house, "web1/job", Status::Ok).await;
    let called = house.clock.now();
    tokio::time::sleep(Duration::from_mins(14)).await;
    let (silent, hard) = found_and_hard(&house);
    assert_eq!(silent.since(called).as_secs(), 300);
    // Not after two spans, at 15 minutes.
    assert_eq!(hard.unwrap().since(silent).as_secs(), 420);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn results_from_outside_count_when_they_were_found() {
    let mut site = one_job();
    site.checks[0].timing.lasting = Some(Duration::from_mins(2));
    let house = House::start(site);
    tokio::time::sleep(Duration::from_mins(10)).await;
    let id = CheckId::parse("web1/job");
    for (minutes, state_type) in [(3, StateType::Soft), (2, StateType::Soft), (1, StateType::Hard)]
    {
        let result = PassiveResult {
            id: id.clone(),
            status: Status::Critical,
            output: "handed in late".to_owned(),
            at: Some(house.clock.now() - Duration::from_mins(minutes)),
            origin: Origin::Passive,
        };
        house.checks.submit(result).await.unwrap();
        assert_eq!(house.checks.check(&id).unwrap().state_type, state_type, "{minutes}");
    }
    house.stop().await;
}
