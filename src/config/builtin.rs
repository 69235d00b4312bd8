//! Checks that come with every host that has an agent, and with the server itself.
//!
//! Few, and each says that something will break for somebody: what is only interesting is a graph.
//! What merely hints at a cause (load) warns late and is never critical. A check of the same name
//! in the configuration takes the place of a built-in one.

use std::time::Duration;

use noroshi_checks::{
    CheckSpec, Compare, ExpressionProbe, Judge, Missing, PassiveProbe, Probe, Threshold, Timing,
};
use noroshi_model::CheckId;

/// A built-in check of an expression.
struct Builtin {
    name: &'static str,
    /// `PromQL`; `$selector` stands for the matchers of the host.
    expr: &'static str,
    unit: &'static str,
    name_labels: &'static [&'static str],
    meaning: &'static str,
    /// Where warning begins and where it ends.
    warning: Option<(Compare, f64, f64)>,
    /// Where critical begins and where it ends.
    critical: Option<(Compare, f64, f64)>,
    missing: Missing,
    attempts: u32,
    notes: &'static str,
}

/// File systems that hold what people keep: not images, not memory.
const DISKS: &str = r#"fstype!~"tmpfs|ramfs|squashfs|iso9660|erofs|devtmpfs""#;

/// What every host with an agent gets.
const OF_AN_AGENT: [Builtin; 6] = [
    Builtin {
        name: "file systems",
        expr: "100 * (1 - node_filesystem_avail_bytes{$host, $disks} \
               / (node_filesystem_size_bytes{$host, $disks} > 0))",
        unit: "percent",
        name_labels: &["mountpoint"],
        meaning: "used",
        warning: Some((Compare::Above, 85.0, 83.0)),
        critical: Some((Compare::Above, 95.0, 93.0)),
        missing: Missing::Unknown,
        attempts: 2,
        notes: "Find what grew (`du -xh --max-depth=2 MOUNTPOINT | sort -h | tail`), remove or \
                move it, or enlarge the file system.",
    },
    Builtin {
        name: "file systems filling",
        // How long it lasts at the pace of the last three hours; only of what is more than half
        // full and has been watched for an hour: younger trends are noise.
        expr: "node_filesystem_avail_bytes{$host, $disks} \
               / -(deriv(node_filesystem_avail_bytes{$host, $disks}[3h]) < 0) \
               and node_filesystem_avail_bytes{$host, $disks} \
               / (node_filesystem_size_bytes{$host, $disks} > 0) < 0.5 \
               and node_filesystem_avail_bytes{$host, $disks} offset 1h",
        unit: "seconds",
        name_labels: &["mountpoint"],
        meaning: "until full",
        warning: Some((Compare::Below, 86_400.0, 108_000.0)),
        critical: Some((Compare::Below, 7_200.0, 10_800.0)),
        missing: Missing::Ok,
        attempts: 10,
        notes: "At the pace of the last three hours it will be full by then. Find what grows \
                (`du -xh --max-depth=2 MOUNTPOINT | sort -h | tail`).",
    },
    Builtin {
        name: "inodes",
        expr: "100 * (1 - node_filesystem_files_free{$host, $disks} \
               / (node_filesystem_files{$host, $disks} > 0))",
        unit: "percent",
        name_labels: &["mountpoint"],
        meaning: "of inodes used",
        warning: Some((Compare::Above, 90.0, 88.0)),
        critical: Some((Compare::Above, 97.0, 95.0)),
        missing: Missing::Ok,
        attempts: 2,
        notes: "Many small files: look for spools, sessions and caches.",
    },
    Builtin {
        name: "memory",
        expr: "100 * (1 - node_memory_MemAvailable_bytes{$host} / node_memory_MemTotal_bytes{$host})",
        unit: "percent",
        name_labels: &[],
        meaning: "used",
        warning: Some((Compare::Above, 90.0, 87.0)),
        critical: Some((Compare::Above, 97.0, 94.0)),
        missing: Missing::Unknown,
        attempts: 3,
        notes: "The kernel will soon kill a process: see which one grew (`ps aux --sort=-rss`).",
    },
    Builtin {
        name: "load",
        expr: "node_load5{$host} / scalar(count(count by (cpu) (node_cpu_seconds_total{$host})))",
        unit: "",
        name_labels: &[],
        meaning: "tasks for each core, over five minutes",
        warning: Some((Compare::Above, 4.0, 3.0)),
        critical: None,
        missing: Missing::Unknown,
        attempts: 5,
        notes: "More than four tasks wait for each core, over five minutes: look at CPU, disk \
                utilisation and pressure.",
    },
    Builtin {
        name: "clock",
        expr: "abs(noroshi_agent_clock_offset_seconds{$host})",
        unit: "seconds",
        name_labels: &[],
        meaning: "off the server's clock",
        warning: Some((Compare::Above, 1.0, 0.5)),
        critical: Some((Compare::Above, 30.0, 20.0)),
        missing: Missing::Unknown,
        attempts: 3,
        notes: "The host's clock differs from the server's: is chrony or ntpd running?",
    },
];

/// Clock of the machine that the server runs on: there is no second clock to compare with, but
/// when it is set, the moment of the boot (now less the uptime) moves along.
const CLOCK_OF_THE_SERVER: Builtin = Builtin {
    name: "clock",
    expr: "max_over_time(node_boot_time_seconds{$host}[10m]) \
           - min_over_time(node_boot_time_seconds{$host}[10m])",
    unit: "seconds",
    name_labels: &[],
    meaning: "set within ten minutes",
    warning: Some((Compare::Above, 2.0, 1.0)),
    critical: None,
    missing: Missing::Unknown,
    attempts: 2,
    notes: "The clock was set by so much within ten minutes, instead of being slewed: is chrony or \
            ntpd running?",
};

/// The server's own health: of what it could not take in or could not do in time.
const OF_THE_SERVER: [Builtin; 3] = [
    Builtin {
        name: "noroshi checks",
        expr: "noroshi_check_latency_seconds{$host, of=\"max\"}",
        unit: "seconds",
        name_labels: &[],
        meaning: "late at most",
        warning: Some((Compare::Above, 5.0, 2.0)),
        critical: Some((Compare::Above, 60.0, 30.0)),
        missing: Missing::Unknown,
        attempts: 3,
        notes: "Checks begin later than they should: too many at once for this machine.",
    },
    Builtin {
        name: "noroshi handlers",
        expr: "sum(increase(noroshi_event_handlers_total{$host, result!=\"ok\"}[10m])) \
               + clamp_min(sum(increase(noroshi_plugin_spawner_starts_total{$host}[10m])) - 1, 0)",
        unit: "",
        name_labels: &[],
        meaning: "event handlers failed, or spawner ended, in ten minutes",
        warning: Some((Compare::Above, 0.0, 0.0)),
        critical: None,
        missing: Missing::Unknown,
        attempts: 1,
        notes: "The history of the check whose handler failed, and the server's log, say why. See \
                docs/event-handlers.md.",
    },
    Builtin {
        name: "noroshi alerts",
        expr: "noroshi_notifications_oldest_waiting_seconds{$host}",
        unit: "seconds",
        name_labels: &[],
        meaning: "that the oldest message waits",
        warning: Some((Compare::Above, 120.0, 30.0)),
        critical: Some((Compare::Above, 600.0, 30.0)),
        missing: Missing::Unknown,
        attempts: 1,
        notes: "A message waits to be sent: does the mail server answer? See Notifications.",
    },
];

/// Tells whether the configuration on the disk is the one in force: handed in by the daemon.
pub(crate) const CONFIGURATION_CHECK: &str = "configuration";

/// Tells whether the store takes everything in: handed in by the daemon.
pub(crate) const STORE_CHECK: &str = "noroshi store";

/// Tells whether results came in that could not be taken: handed in by the daemon.
pub(crate) const HANDED_IN_CHECK: &str = "noroshi results";

/// How often built-in checks look.
const INTERVAL: Duration = Duration::from_secs(30);
/// How often they look while a problem is being confirmed.
const RETRY: Duration = Duration::from_secs(10);

/// Returns the names of all built-in checks: which of them a host gets is seen when it reports.
pub(super) fn names() -> Vec<&'static str> {
    let own = [CONFIGURATION_CHECK, STORE_CHECK, HANDED_IN_CHECK];
    let of_hosts = OF_AN_AGENT.iter().chain([&CLOCK_OF_THE_SERVER]).chain(&OF_THE_SERVER);
    of_hosts.map(|builtin| builtin.name).chain(own).collect()
}

/// Returns the built-in check of a name, for a table that changes some of it; `None`: none such, or
/// one whose results are handed in.
pub(super) fn named(host: &str, name: &str) -> Option<CheckSpec> {
    let mut all = OF_AN_AGENT.iter().chain(&OF_THE_SERVER);
    all.find(|builtin| builtin.name == name).map(|builtin| builtin.spec(host))
}

/// Returns the expression of the built-in check of a name.
pub(super) fn expr_of(host: &str, name: &str) -> Option<String> {
    match &named(host, name)?.probe {
        Probe::Expression(probe) => Some(probe.expr.clone()),
        _ => None,
    }
}

/// Lets a changed built-in check look at what the server's own machine has in the place of what an
/// agent tells.
pub(super) fn on_the_server(check: &mut CheckSpec) {
    if check.id.check.as_deref() != Some(CLOCK_OF_THE_SERVER.name) {
        return;
    }
    let theirs = named(&check.id.host, CLOCK_OF_THE_SERVER.name).map(|check| check.probe.clone());
    let ours = CLOCK_OF_THE_SERVER.spec(&check.id.host).probe.clone();
    let (Some(Probe::Expression(theirs)), Probe::Expression(ours)) = (theirs, ours) else { return };
    if let Probe::Expression(probe) = &mut check.probe
        && probe.expr == theirs.expr
    {
        (probe.expr, probe.meaning) = (ours.expr, ours.meaning);
        if let (
            Judge::Thresholds { warning, critical },
            Judge::Thresholds { warning: their_warning, critical: their_critical },
            Judge::Thresholds { warning: our_warning, critical: our_critical },
        ) = (&mut probe.judge, theirs.judge, ours.judge)
        {
            // What the table did not say.
            let keep = |is_theirs: bool, to: &mut Option<Threshold>, our| {
                *to = if is_theirs { our } else { *to };
            };
            keep(*warning == their_warning, warning, our_warning);
            keep(*critical == their_critical, critical, our_critical);
        }
    }
}

/// Returns the checks of a host with an agent.
pub(super) fn of_an_agent(host: &str) -> Vec<CheckSpec> {
    OF_AN_AGENT.iter().map(|builtin| builtin.spec(host)).collect()
}

/// Returns the checks of the machine that the server runs on.
pub(super) fn of_the_machine(host: &str) -> Vec<CheckSpec> {
    OF_AN_AGENT
        .iter()
        .filter(|builtin| builtin.name != CLOCK_OF_THE_SERVER.name)
        .chain([&CLOCK_OF_THE_SERVER])
        .map(|builtin| builtin.spec(host))
        .chain([configuration(host), store(host)])
        .collect()
}

/// Returns the checks of the server itself.
pub(super) fn of_the_server(host: &str) -> Vec<CheckSpec> {
    OF_THE_SERVER.iter().map(|builtin| builtin.spec(host)).collect()
}

/// Returns the check of the configuration.
fn configuration(host: &str) -> CheckSpec {
    told(host, CONFIGURATION_CHECK, "`noroshi check-config` tells what is wrong and what to do.")
}

/// Returns the check of the store.
fn store(host: &str) -> CheckSpec {
    let notes = "docs/keeping-data.md tells what the store needs and what to do when the disk is \
                 full.";
    told(host, STORE_CHECK, notes)
}

/// Returns the check of results whose senders hear no answer.
pub(super) fn handed_in(host: &str) -> CheckSpec {
    let notes = "Add the check with `passive = \"25h\"`, correct the name where it is sent, or stop \
                 the sender. docs/plugins.md, \"Results that are handed in\".";
    told(host, HANDED_IN_CHECK, notes)
}

/// Returns a check whose results the daemon hands in: one is enough.
fn told(host: &str, name: &str, notes: &str) -> CheckSpec {
    let id = CheckId::check(host, name);
    let mut check = CheckSpec::new(id, Probe::Passive(PassiveProbe::default()));
    check.timing.attempts_max = 1;
    notes.clone_into(&mut check.notes);
    check
}

/// Returns how it is seen that a host's agent still reports: the seconds since its last sample.
pub(super) fn agent_reports(host: &str, silence: Duration) -> (Probe, Timing) {
    let host = format!("instance={host:?}");
    let age = format!("time() - max(timestamp(node_boot_time_seconds{{{host}, job=\"node\"}}))");
    let probe = ExpressionProbe {
        expr: age,
        judge: Judge::Thresholds {
            warning: None,
            critical: Some(Threshold {
                op: Compare::Above,
                value: silence.as_secs_f64(),
                leave: None,
            }),
        },
        unit: "seconds".to_owned(),
        name_labels: Vec::new(),
        meaning: "since the last report".to_owned(),
        missing: Missing::Unknown,
    };
    let timing = Timing {
        interval: Duration::from_secs(10),
        retry_interval: Duration::from_secs(5),
        timeout: Duration::from_secs(5),
        attempts_max: 2,
        ..Timing::default()
    };
    (Probe::Expression(probe), timing)
}

impl Builtin {
    fn spec(&self, host: &str) -> CheckSpec {
        let expr =
            self.expr.replace("$host", &format!("instance={host:?}")).replace("$disks", DISKS);
        let threshold = |(op, value, leave)| Threshold { op, value, leave: Some(leave) };
        let probe = Probe::Expression(ExpressionProbe {
            expr,
            judge: Judge::Thresholds {
                warning: self.warning.map(threshold),
                critical: self.critical.map(threshold),
            },
            unit: self.unit.to_owned(),
            name_labels: self.name_labels.iter().map(|&label| label.to_owned()).collect(),
            meaning: self.meaning.to_owned(),
            missing: self.missing,
        });
        let mut check = CheckSpec::new(CheckId::check(host, self.name), probe);
        self.notes.clone_into(&mut check.notes);
        check.timing = Timing {
            interval: INTERVAL,
            retry_interval: RETRY,
            timeout: RETRY,
            attempts_max: self.attempts,
            ..Timing::default()
        };
        check
    }
}
