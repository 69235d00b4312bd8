//! Whoever waits for a place keeps nobody waiting who needs none.

use super::*;
use crate::harness::House;
use crate::plugin::PluginSpec;
use crate::{CheckSpec, HostSpec, PluginProbe, Protocol, Site, TcpProbe};
use noroshi_model::{CheckId, Status};

/// More plug-ins than runs may be under way are due at once, one has a place, and it hangs: what
/// connects is looked at as if they were not there, and so is an expression.
#[tokio::test(flavor = "multi_thread")]
async fn plugins_that_wait_for_a_place_take_no_room_of_probes() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let accepting = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let mut checks = Vec::new();
    for index in 0..RUNS_MAX + 500 {
        let argv = ["/bin/sleep", "30"].map(str::to_owned).to_vec();
        let probe = Probe::Plugin(PluginProbe { argv, ..PluginProbe::default() });
        let mut check = CheckSpec::new(CheckId::check("web1", &format!("hangs{index}")), probe);
        // All are due in the first two seconds.
        check.timing.interval = Duration::from_secs(1);
        check.timing.timeout = Duration::from_mins(1);
        checks.push(check);
    }
    let probe = Probe::Tcp(TcpProbe::new(&target, Protocol::Connect));
    let mut check = CheckSpec::new(CheckId::check("web1", "port"), probe);
    check.timing.interval = Duration::from_millis(500);
    checks.push(check);
    let plugins = PluginSpec { at_once: 1, ..PluginSpec::default() };
    let hosts = vec![HostSpec::new("web1", "127.0.0.1")];
    let house = House::start(Site { hosts, checks, plugins, ..Site::default() });
    house.wait("web1/port", |view| view.status == Some(Status::Ok)).await;
    let all_due = Instant::now() + Duration::from_secs(3);
    sleep_until(all_due).await;
    let looked = house.checks.check(&CheckId::parse("web1/port")).unwrap().last_check;
    house.wait("web1/port", |view| view.last_check > looked && view.latency_ms < 1000.0).await;
    let under_way = house.checks.stats().runs_under_way;
    assert!(under_way < RUNS_MAX as u64, "{under_way} runs are under way");
    house.stop().await;
    accepting.abort();
}

/// What was put off is begun in the order in which it was due, once there is room.
#[test]
fn what_had_no_room_begins_in_the_order_in_which_it_was_due() {
    let mut queue = crate::schedule::Queue::default();
    let id = |name: &str| CheckId::check("web1", name);
    for (due, name) in [(1, "a"), (2, "b"), (3, "c"), (9, "later")] {
        queue.push(due, id(name));
    }
    let (full, one) = (Room([1, 0, 1]), Room([0, 1, 0]));
    for (due, name) in [(1, "a"), (2, "b"), (3, "c")] {
        assert_eq!(queue.pop_due(5, &full), Some((due, id(name))));
        queue.put_off(Class::Plugin, due, id(name));
    }
    assert_eq!((queue.pop_due(5, &full), queue.waits()), (None, [false, true, false]));
    assert_eq!(queue.earliest(), Some(9));
    for (due, name) in [(1, "a"), (2, "b"), (3, "c")] {
        assert_eq!(queue.pop_due(5, &one), Some((due, id(name))));
    }
    assert_eq!((queue.pop_due(5, &one), queue.waits()), (None, [false; 3]));
}
