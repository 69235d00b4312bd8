//! Maintenance periods: a downtime again and again.

use super::*;

/// A job on a host in maintenance each Friday morning; tests begin on Friday, 2027-01-15, 08:00 UTC.
fn weekly(times: &str) -> Site {
    let rules = vec![format!("friday {times}")];
    let period = PeriodSpec { rules, ..PeriodSpec::default() };
    let mut site = one_job();
    site.hosts[0].maintenance = Some("weekly".to_owned());
    site.periods = [("weekly".to_owned(), period)].into();
    site
}

fn is_in(house: &House) -> bool {
    house.checks.check(&CheckId::parse("web1/job")).unwrap().is_in_downtime
}

async fn pass_minutes(minutes: u64) {
    tokio::time::sleep(Duration::from_mins(minutes)).await;
}

fn number_of(house: &House) -> u64 {
    house.checks.check(&CheckId::host("web1")).unwrap().downtimes[0].id
}

#[tokio::test(start_paused = true)]
async fn a_maintenance_period_is_a_downtime_again_and_again() {
    let house = House::start(weekly("09:00-09:30,10:30-11:00"));
    tokio::time::sleep(Duration::from_mins(5)).await;
    let mut held = Vec::new();
    for _ in 0..14 {
        tokio::time::sleep(Duration::from_mins(15)).await;
        let job = house.checks.check(&CheckId::parse("web1/job")).unwrap();
        held.push(if job.is_in_downtime { 'd' } else { '-' });
    }
    // Looked at each quarter of an hour from 08:20 on.
    let held: String = held.into_iter().collect();
    assert_eq!(held, "---dd----dd---");
    let bodies: Vec<EventBody> = events(&house).into_iter().map(|event| event.body).collect();
    assert_eq!(bodies.len(), 4, "{bodies:#?}");
    assert!(
        matches!(&bodies[0], EventBody::DowntimeStarted { comment, .. } if comment == "weekly")
    );
    assert!(matches!(bodies[1], EventBody::DowntimeEnded { is_cancelled: false, .. }));
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_somebody_ended_does_not_begin_again_until_the_next() {
    let site = || weekly("09:00-10:00,11:00-12:00");
    let house = House::start(site());
    pass_minutes(70).await;
    assert!(is_in(&house));
    house.checks.cancel_downtime(number_of(&house), "ann").await.unwrap();
    pass_minutes(10).await;
    assert!(!is_in(&house), "it stays ended");
    assert!(house.checks.check(&CheckId::host("web1")).unwrap().downtimes.is_empty());
    // After a restart too, and after a reload.
    let (clock, records, series) = house.stop().await;
    let house = House::start_with(site(), clock, records, series);
    house.checks.apply(site());
    pass_minutes(10).await;
    assert!(!is_in(&house));
    pass_minutes(120).await;
    assert!(is_in(&house), "the next one is another");
    let cancelled = events(&house)
        .into_iter()
        .filter(|event| matches!(event.body, EventBody::DowntimeEnded { is_cancelled: true, .. }));
    assert_eq!(cancelled.count(), 1);
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_no_longer_configured_ends_and_one_that_is_moved_moves() {
    let house = House::start(weekly("09:00-12:00"));
    pass_minutes(70).await;
    assert!(is_in(&house));
    let end = |house: &House| {
        let view = house.checks.check(&CheckId::host("web1")).unwrap();
        view.downtimes[0].end.as_secs() - 1_800_000_000
    };
    assert_eq!(end(&house), 4 * 3600);
    house.checks.apply(weekly("09:00-10:00"));
    assert_eq!(end(&house), 2 * 3600);
    house.checks.apply(weekly("09:00-11:00"));
    assert_eq!(end(&house), 3 * 3600);
    house.checks.apply(one_job());
    assert!(!is_in(&house));
    pass_minutes(1).await;
    let last = events(&house).pop().unwrap().body;
    assert!(matches!(last, EventBody::DowntimeEnded { is_cancelled: true, .. }), "{last:?}");
    house.stop().await;
}
