//! Series in, words out.

use super::*;
use crate::harness::MemorySeries;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn threshold(op: Compare, value: f64) -> Threshold {
    Threshold { op, value, leave: None }
}

fn probe(expr: &str, judge: Judge) -> ExpressionProbe {
    ExpressionProbe {
        expr: expr.to_owned(),
        judge,
        unit: String::new(),
        name_labels: Vec::new(),
        meaning: String::new(),
        missing: Missing::Unknown,
    }
}

fn disks(values: &[(&str, f64)], age: u64) -> MemorySeries {
    let series = MemorySeries::default();
    for (mountpoint, value) in values {
        let labels = [("__name__", "used"), ("instance", "web1"), ("mountpoint", mountpoint)];
        series.add(&labels, NOW - Duration::from_secs(age), *value);
    }
    series
}

fn look(probe: &ExpressionProbe, series: &MemorySeries) -> Finding {
    look_after(probe, series, &BTreeMap::new())
}

fn look_after(
    probe: &ExpressionProbe,
    series: &MemorySeries,
    before: &BTreeMap<String, Over>,
) -> Finding {
    Judged::new(probe).look(&Engine::default(), series, before, NOW)
}

/// Above 90 warning, above 95 critical, in per cent.
fn full() -> ExpressionProbe {
    let (warning, critical) = (threshold(Compare::Above, 90.0), threshold(Compare::Above, 95.0));
    let judge = Judge::Thresholds { warning: Some(warning), critical: Some(critical) };
    ExpressionProbe { unit: "percent".to_owned(), ..probe("used", judge) }
}

#[test]
fn the_first_line_names_what_is_over_and_the_worst_first() {
    for (values, status, output) in [
        (&[("/var", 71.3)][..], Status::Ok, "71.3 %"),
        (&[("/var", 93.1)][..], Status::Warning, "93.1 % (warning above 90 %)"),
        (
            &[("/", 12.0), ("/var", 71.0), ("/boot", 30.0)][..],
            Status::Ok,
            "all 3 fine, highest: /var 71 %",
        ),
        (
            &[("/", 12.0), ("/var", 93.1), ("/boot", 97.0)][..],
            Status::Critical,
            "/boot 97 % (critical above 95 %), /var 93.1 % (warning above 90 %)",
        ),
        (
            &[("a", 91.0), ("b", 92.0), ("c", 93.0), ("d", 94.0), ("e", 95.0), ("f", 1.0)][..],
            Status::Warning,
            "e 95 % (warning above 90 %), d 94 % (warning above 90 %), c 93 % (warning above \
             90 %), b 92 % (warning above 90 %), and 1 more",
        ),
    ] {
        let finding = look(&full(), &disks(values, 10));
        assert_eq!((finding.status, finding.output.as_str()), (status, output));
        assert_eq!(finding.perfdata.len(), values.len());
        let lines = if values.len() > 1 { values.len() } else { 0 };
        assert_eq!(finding.long_output.lines().count(), lines);
    }
}

#[test]
fn what_is_low_is_bad_when_it_is_compared_so() {
    let judge =
        Judge::Thresholds { warning: Some(threshold(Compare::Below, 20.0)), critical: None };
    let finding = look(&probe("used", judge), &disks(&[("/", 25.0), ("/var", 30.0)], 10));
    assert_eq!((finding.status, finding.output.as_str()), (Status::Ok, "all 2 fine, lowest: / 25"));
}

#[test]
fn an_alert_rule_with_a_comparison_knows_its_value_when_all_is_well() {
    let rule = probe("used > 90", Judge::Firing { status: Status::Critical });
    let fine = look(&rule, &disks(&[("/", 40.0)], 10));
    assert_eq!((fine.status, fine.output.as_str()), (Status::Ok, "40"));
    let full = look(&rule, &disks(&[("/", 91.0)], 10));
    assert_eq!((full.status, full.output.as_str()), (Status::Critical, "91 (critical above 90)"));
    let judged = Judged::new(&rule);
    assert_eq!(judged.text, "used");
    assert_eq!(judged.critical, Some(threshold(Compare::Above, 90.0)));
}

#[test]
fn a_rule_of_another_form_fires_with_each_series_it_returns() {
    let rule = probe("used > 90 and used < 95", Judge::Firing { status: Status::Warning });
    let nothing = look(&rule, &disks(&[("/", 40.0)], 10));
    assert_eq!((nothing.status, nothing.output.as_str()), (Status::Ok, "nothing matches"));
    let firing = look(&rule, &disks(&[("/", 92.0), ("/var", 99.0)], 10));
    assert_eq!((firing.status, firing.output.as_str()), (Status::Warning, "92"));
}

#[test]
fn missing_data_is_unknown_and_says_since_when() {
    let never = look(&full(), &MemorySeries::default());
    assert_eq!(never.status, Status::Unknown);
    assert_eq!(never.output, "no data: no such series was ever received");
    // 1,800,000,000 - 600 s is 07:50:00.
    let silent = look(&full(), &disks(&[("/", 99.0)], 600));
    assert_eq!(silent.status, Status::Unknown);
    assert_eq!(silent.output, "no data since 2027-01-15 07:50:00 UTC (10 min)");
    let wished = ExpressionProbe { missing: Missing::Ok, ..full() };
    assert_eq!(look(&wished, &MemorySeries::default()).status, Status::Ok);
}

#[test]
fn a_series_that_was_over_and_falls_silent_is_unknown_and_not_over() {
    let first = look(&full(), &disks(&[("/", 12.0), ("/var", 97.0)], 10));
    assert_eq!(first.status, Status::Critical);
    let before = first.over.unwrap();
    assert_eq!(before.len(), 1);

    // Only / is left. The check must not recover.
    let second = look_after(&full(), &disks(&[("/", 12.0)], 10), &before);
    assert_eq!(second.status, Status::Unknown);
    assert!(second.output.contains("mountpoint=\"/var\"") && second.output.contains("no data"));
    assert_eq!(second.over.as_ref(), Some(&before));

    // Something else is critical: that is what the first line is about.
    let third = look_after(&full(), &disks(&[("/", 99.0)], 10), &before);
    assert_eq!(third.status, Status::Critical);
    assert!(third.output.starts_with("99 %"), "{}", third.output);

    // An hour later the file system is taken to be gone.
    let old = Over { status: Status::Critical, seen: NOW - SILENCE_MAX };
    let before = before.keys().map(|key| (key.clone(), old)).collect();
    let last = look_after(&full(), &disks(&[("/", 12.0)], 10), &before);
    assert_eq!((last.status, last.over.unwrap().len()), (Status::Ok, 0));

    // While the whole expression has no data, nothing is forgotten.
    let before = look(&full(), &disks(&[("/var", 97.0)], 10)).over.unwrap();
    let silent = look_after(&full(), &disks(&[("/var", 97.0)], 600), &before);
    assert_eq!(silent.over, Some(before));
}

#[test]
fn a_value_that_is_no_number_is_unknown() {
    let finding = look(&full(), &disks(&[("/", f64::NAN)], 10));
    assert_eq!(finding.status, Status::Unknown, "{}", finding.output);
    assert_eq!(finding.perfdata[0].value, None);
}

#[test]
fn an_expression_that_is_wrong_says_where() {
    let wrong = probe("rate(used[5m", Judge::Firing { status: Status::Critical });
    let finding = look(&wrong, &MemorySeries::default());
    assert_eq!(finding.status, Status::Unknown);
    assert!(finding.output.starts_with("the expression is wrong: 1:"), "{}", finding.output);
    let text = probe("\"text\"", Judge::Firing { status: Status::Critical });
    assert_eq!(look(&text, &MemorySeries::default()).status, Status::Unknown);
}

#[test]
fn hysteresis_holds_each_level_until_it_is_left() {
    let leave = |op, value, leave| Some(Threshold { op, value, leave: Some(leave) });
    let judge = Judge::Thresholds {
        warning: leave(Compare::Above, 90.0, 85.0),
        critical: leave(Compare::Above, 95.0, 92.0),
    };
    let probe = probe("used", judge);
    let mut before = BTreeMap::new();
    for (value, status) in [
        (96.0, Status::Critical),
        (93.0, Status::Critical),
        (91.0, Status::Warning),
        (93.0, Status::Warning),
        (86.0, Status::Warning),
        (84.0, Status::Ok),
        (86.0, Status::Ok),
    ] {
        let finding = look_after(&probe, &disks(&[("/", value)], 10), &before);
        assert_eq!(finding.status, status, "{value}");
        before = finding.over.unwrap();
    }
}

#[test]
fn a_value_that_is_unknown_once_does_not_leave_the_problem() {
    let critical = Threshold { leave: Some(85.0), ..threshold(Compare::Above, 95.0) };
    let judge = Judge::Thresholds { warning: None, critical: Some(critical) };
    let probe = probe("used", judge);
    let mut before = BTreeMap::new();
    for (value, status) in [
        (96.0, Status::Critical),
        (f64::NAN, Status::Unknown),
        (f64::NAN, Status::Unknown),
        (90.0, Status::Critical),
        (84.0, Status::Ok),
        (f64::NAN, Status::Unknown),
        (90.0, Status::Ok),
    ] {
        let values = [(Labels::empty(), value)];
        let finding = Judged::new(&probe).judge(&values, &before, NOW);
        assert_eq!(finding.status, status, "{value}");
        before = finding.over.unwrap();
    }
}
