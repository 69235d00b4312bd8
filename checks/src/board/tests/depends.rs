//! Checks and hosts that depend on others.

use super::*;

/// A database on one host, and a shop on another that cannot work without it.
fn shop(attempts_max: u32) -> Site {
    let mut http = check("web1/http", "http", attempts_max);
    http.depends = vec![CheckId::parse("db1/mysql")];
    Site {
        hosts: vec![host("db1", &[]), host("web1", &[])],
        checks: vec![check("db1/mysql", "mysql", 3), http],
        ..Site::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_depends_on_a_failing_check_is_behind_it_and_the_root_alone_is_told() {
    // Told at its first failure when it stood alone: it must wait for a look at what it needs.
    let house = House::start(shop(1));
    pass(&house, 120, &["db1", "web1", "mysql", "http"], &[]).await;
    pass(&house, 180, &["db1", "web1"], &["mysql", "http"]).await;
    assert_eq!(told(&house), [("db1/mysql".to_owned(), ChangeKind::HardProblem)]);
    let view = house.checks.check(&CheckId::parse("web1/http")).unwrap();
    assert_eq!(view.status, Some(Status::Critical), "what was seen is shown");
    assert_eq!(view.blocked_by, ["db1/mysql"]);

    // The database is back, the shop is not: that is a problem of its own now.
    pass(&house, 180, &["db1", "web1", "mysql"], &["http"]).await;
    let now_told = told(&house);
    let want = [
        ("db1/mysql".to_owned(), ChangeKind::HardProblem),
        ("db1/mysql".to_owned(), ChangeKind::HardRecovery),
        ("web1/http".to_owned(), ChangeKind::HardProblem),
    ];
    assert_eq!(now_told, want);
    assert!(house.checks.check(&CheckId::parse("web1/http")).unwrap().blocked_by.is_empty());
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_root_is_named_last_whatever_the_ways_to_it() {
    // The shop needs the database and the switch; the database's host is behind the switch.
    let mut site = shop(3);
    site.hosts.push(host("switch", &[]));
    site.hosts[0].parents = vec!["switch".to_owned()];
    site.checks[1].depends = vec![CheckId::host("switch"), CheckId::parse("db1/mysql")];
    let house = House::start(site);
    pass(&house, 120, &["db1", "web1", "mysql", "http", "switch"], &[]).await;
    pass(&house, 180, &["web1"], &["db1", "mysql", "http", "switch"]).await;
    assert_eq!(told(&house), [("switch".to_owned(), ChangeKind::HardProblem)]);
    let view = house.checks.check(&CheckId::parse("web1/http")).unwrap();
    assert_eq!(view.blocked_by, ["db1/mysql", "db1", "switch"]);
    // Everything is back: nobody hears of what nobody had heard of.
    pass(&house, 180, &["db1", "web1", "mysql", "http", "switch"], &[]).await;
    let problems: Vec<(String, ChangeKind)> =
        told(&house).into_iter().filter(|(_, kind)| *kind == ChangeKind::HardProblem).collect();
    assert_eq!(problems, [("switch".to_owned(), ChangeKind::HardProblem)]);
    assert!(house.checks.problems().is_empty());
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_depends_on_a_failing_check_is_unreachable_and_a_warning_hinders_nobody() {
    let mut site = shop(3);
    site.hosts[1].depends = vec![CheckId::parse("db1/mysql")];
    site.checks[0] =
        CheckSpec::new(CheckId::parse("db1/mysql"), Probe::Passive(PassiveProbe::default()));
    site.checks[0].timing.attempts_max = 1;
    let house = House::start(site);
    submit(&house, "db1/mysql", Status::Warning).await;
    pass(&house, 150, &["db1"], &["web1", "http"]).await;
    let status = || house.checks.check(&CheckId::host("web1")).unwrap().status;
    assert_eq!(status(), Some(Status::Down));
    submit(&house, "db1/mysql", Status::Critical).await;
    assert_eq!(status(), Some(Status::Unreachable), "at once, without a result of its own");
    house.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_told_and_is_confirmed_anew_ends_for_those_who_were_told() {
    let house = House::start(shop(2));
    pass(&house, 120, &["db1", "web1", "mysql", "http"], &[]).await;
    // The shop fails by itself and is told; then its host is gone for a while.
    pass(&house, 120, &["db1", "web1", "mysql"], &["http"]).await;
    assert_eq!(told(&house).len(), 1);
    pass(&house, 600, &["db1", "mysql"], &["web1"]).await;
    let shop = || house.checks.check(&CheckId::parse("web1/http")).unwrap();
    assert_eq!(shop().status, Some(Status::Unknown), "a change behind its host, told to nobody");
    // The host is back; the shop begins to be confirmed anew, and then is back too.
    while shop().state_type == StateType::Hard {
        pass(&house, 1, &["db1", "web1", "mysql"], &["http"]).await;
    }
    pass(&house, 120, &["db1", "web1", "mysql", "http"], &[]).await;
    let mut of_shop = told(&house);
    of_shop.retain(|(id, _)| id == "web1/http");
    let kinds: Vec<ChangeKind> = of_shop.into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [ChangeKind::HardProblem, ChangeKind::HardRecovery]);
    house.stop().await;
}
