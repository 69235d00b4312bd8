//! A reload is a difference: what stays is not late, not lost and not bunched.

use std::collections::BTreeMap;

use noroshi_model::CheckResult;
use noroshi_model::seam::MemoryRecords;

use super::*;
use crate::board::{Applied, Board};
use crate::class::Room;
use crate::probe::Judging;
use crate::{Protocol, TcpProbe};

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_states_and_phases_and_counts_what_changed() {
    let site = || Site {
        hosts: vec![host("a", &[])],
        checks: (0..50).map(|i| check(&format!("a/c{i}"), "a", 3)).collect(),
        ..Site::default()
    };
    let house = House::start(site());
    pass(&house, 120, &["a"], &[]).await;
    let due = |house: &House| -> Vec<Option<Timestamp>> {
        house.checks.checks_of("a").iter().map(|view| view.next_check).collect()
    };
    let before = due(&house);
    let mut next = site();
    next.checks.truncate(49);
    next.checks[0].notes = "call ann".to_owned();
    next.checks.push(check("a/new", "a", 3));
    let gone = house.checks.checks_of("a").iter().position(|v| v.check.as_deref() == Some("c49"));
    let applied = house.checks.apply(next);
    assert_eq!((applied.added, applied.changed, applied.removed), (1, 1, 1));
    let mut kept = before;
    kept.remove(gone.unwrap());
    let mut after = due(&house);
    // "new" sorts last.
    assert!(after.pop().unwrap().is_some());
    assert_eq!(after, kept);
    assert!(house.checks.checks_of("a").iter().take(49).all(|v| v.status == Some(Status::Ok)));
    house.stop().await;
}

const HOSTS: usize = 1_000;
const CHECKS_A_HOST: usize = 10;
const MINUTE_MS: i64 = 60_000;
/// How often the scheduler of this test looks.
const STEP_MS: i64 = 500;

/// Ten checks a minute on each of many hosts.
pub(super) fn large_site(hosts: std::ops::Range<usize>) -> Site {
    let mut site = Site::default();
    for host in hosts {
        let name = format!("h{host}");
        site.hosts.push(HostSpec::new(&name, "192.0.2.1"));
        for check in 0..CHECKS_A_HOST {
            let id = CheckId::check(&name, &format!("c{check}"));
            let probe = Probe::Tcp(TcpProbe::new("80", Protocol::Connect));
            let mut spec = CheckSpec::new(id, probe);
            spec.timing = timing(1);
            site.checks.push(spec);
        }
    }
    site
}

pub(super) fn fine(id: &CheckId, at: Timestamp) -> CheckResult {
    CheckResult {
        id: id.clone(),
        status: Status::Ok,
        output: "fine".to_owned(),
        long_output: String::new(),
        perfdata: Vec::new(),
        started: at,
        finished: at,
        latency: Duration::ZERO,
        origin: Origin::Active,
    }
}

/// Lets a minute pass, from `start`; each run ends at once but for those of `h0`, which never do.
/// Returns when each run was due, and asserts that none began late or had begun already.
fn minute(board: &mut Board, start: i64) -> BTreeMap<String, Vec<i64>> {
    let mut dues: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for moment in (start..start + MINUTE_MS).step_by(STEP_MS as usize) {
        let now = Timestamp::from_millis(moment);
        for job in board.take_due(Room::ALL, now, moment) {
            assert!(moment - job.due <= STEP_MS, "{} is {} ms late", job.id, moment - job.due);
            dues.entry(job.id.to_string()).or_default().push(job.due);
            if &*job.id.host != "h0" {
                board.take_result(&fine(&job.id, now), Judging::default(), now, moment);
            }
        }
        board.out = crate::board::Out::default();
    }
    dues
}

/// Asserts that no second has more than twice its share.
fn assert_spread(dues: &BTreeMap<String, Vec<i64>>) {
    let mut seconds = BTreeMap::<i64, usize>::new();
    for due in dues.values().flatten() {
        *seconds.entry(due / 1000).or_default() += 1;
    }
    let (most, all) = (*seconds.values().max().unwrap(), seconds.values().sum::<usize>());
    assert!(most <= 2 * all / 60, "{most} of {all} runs are due in one second");
}

/// The whole of `bench/config.sh` at a tenth of its size, without the clock: a site that has run
/// for a while is applied again with one host changed, one gone and a tenth more.
#[test]
fn a_reload_of_a_large_site_makes_no_check_late_lost_or_bunched() {
    let mut board = Board::load(&MemoryRecords::new()).unwrap();
    let start = 1_800_000_000_000;
    let at = Timestamp::from_millis;
    board.apply(large_site(0..HOSTS), at(start), start);
    // First runs, after which a check may leave out a slot that is near; then each has its slot.
    minute(&mut board, start);
    minute(&mut board, start + MINUTE_MS);
    let before = minute(&mut board, start + 2 * MINUTE_MS);
    assert_eq!(before.len(), (HOSTS - 1) * CHECKS_A_HOST, "those of h0 are still under way");
    assert!(before.values().all(|dues| dues.len() == 1));
    assert_spread(&before);

    let mut site = large_site(0..HOSTS + HOSTS / 10);
    site.hosts.retain(|host| host.name != "h7");
    site.checks.retain(|check| &*check.id.host != "h7");
    site.checks[25].notes = "changed".to_owned();
    let reload = start + 3 * MINUTE_MS;
    let applied = board.apply(site, at(reload), reload);
    let of_hosts = |hosts: usize| hosts * (CHECKS_A_HOST + 1);
    let expected = Applied { added: of_hosts(HOSTS / 10), changed: 1, removed: of_hosts(1) };
    assert_eq!(applied, expected);

    let after = minute(&mut board, reload);
    for (id, dues) in &before {
        let expected = (!id.starts_with("h7/")).then(|| vec![dues[0] + MINUTE_MS]);
        assert_eq!(after.get(id), expected.as_ref(), "the slot of {id}");
    }
    assert_spread(&after);
    let all = HOSTS - 2 + HOSTS / 10;
    assert_eq!(after.len(), all * CHECKS_A_HOST, "what is new runs within its first minute");
}
