//! Rules in, moments out.

use super::*;

/// Tells whether rules hold at a moment written as in RFC 3339.
fn holds(zone: &str, rules: &[&str], at: &str) -> bool {
    let spec = PeriodSpec {
        zone: zone.to_owned(),
        rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
        exclude: Vec::new(),
    };
    assert_eq!(spec.faults(), [""; 0]);
    let periods = Periods::new(&BTreeMap::from([("p".to_owned(), spec)]));
    periods.holds(Some("p"), moment(at))
}

fn moment(at: &str) -> Timestamp {
    let at: jiff::Timestamp = at.parse().unwrap();
    Timestamp::from_millis(at.as_millisecond())
}

#[test]
fn every_form_of_date_is_understood() {
    // 2026-11-21 is a Saturday; November 2026 has its Thursdays on 5, 12, 19, 26.
    let cases = [
        ("saturday 00:00-24:00", "2026-11-21", true),
        ("sunday 00:00-24:00", "2026-11-21", false),
        ("2026-11-21 00:00-24:00", "2026-11-21", true),
        ("2026-11-20 - 2026-11-22 00:00-24:00", "2026-11-22", true),
        ("2026-11-20 - 2026-11-22 00:00-24:00", "2026-11-23", false),
        ("2026-11-01 / 7 00:00-24:00", "2027-11-21", true),
        ("2026-11-01 / 7 00:00-24:00", "2027-11-22", false),
        ("2026-11-01 - 2026-11-30 / 5 00:00-24:00", "2026-11-21", true),
        ("november 21 00:00-24:00", "2031-11-21", true),
        ("february -1 00:00-24:00", "2028-02-29", true),
        ("february 30 00:00-24:00", "2028-03-01", false),
        ("december 24 - 31 00:00-24:00", "2026-12-31", true),
        ("december 24 - january 2 00:00-24:00", "2027-01-01", true),
        ("december 24 - january 2 00:00-24:00", "2026-12-25", true),
        ("december 24 - january 2 00:00-24:00", "2027-01-03", false),
        ("day 21 00:00-24:00", "2026-11-21", true),
        ("day 1 - 15 / 5 00:00-24:00", "2026-11-11", true),
        ("day 1 - 15 / 5 00:00-24:00", "2026-11-12", false),
        ("day -1 00:00-24:00", "2026-11-30", true),
        ("day 25 - 5 00:00-24:00", "2026-11-03", true),
        ("day 25 - 5 00:00-24:00", "2026-11-06", false),
        ("thursday 4 00:00-24:00", "2026-11-26", true),
        ("thursday -1 00:00-24:00", "2026-11-26", true),
        ("thursday -1 november 00:00-24:00", "2026-11-26", true),
        ("thursday -1 november 00:00-24:00", "2026-10-29", false),
        ("monday 5 00:00-24:00", "2026-11-30", true),
        ("Monday 5 November 00:00-24:00", "2026-11-30", true),
    ];
    for (rule, date, want) in cases {
        assert_eq!(holds("", &[rule], &format!("{date}T12:00:00Z")), want, "{rule} on {date}");
    }
}

#[test]
fn spans_begin_with_their_first_minute_and_end_before_their_last() {
    let rules = ["saturday 09:00-17:00,18:30-20:00"];
    for (time, want) in [
        ("08:59:59", false),
        ("09:00:00", true),
        ("16:59:59", true),
        ("17:00:00", false),
        ("18:30:00", true),
        ("20:00:00", false),
    ] {
        assert_eq!(holds("", &rules, &format!("2026-11-21T{time}Z")), want, "{time}");
    }
}

#[test]
fn the_more_exact_rule_decides_for_its_day_alone() {
    let rules = ["thursday 00:00-24:00", "december 24 08:00-10:00", "2026-12-24 09:00-10:00"];
    for (at, want) in [
        ("2026-12-17T12:00:00Z", true),
        ("2026-12-24T12:00:00Z", false),
        ("2026-12-24T08:30:00Z", false),
        ("2026-12-24T09:30:00Z", true),
        // In 2027 the 24th is a Friday, and only the rule for the day of the month is left.
        ("2027-12-24T08:30:00Z", true),
    ] {
        assert_eq!(holds("", &rules, at), want, "{at}");
    }
}

#[test]
fn the_clock_is_that_of_the_zone_also_when_it_is_put_back() {
    let rules = ["sunday 02:00-03:00"];
    // In Berlin 02:00 to 03:00 comes twice on 2026-10-25 and not at all on 2026-03-29.
    for (at, want) in [
        ("2026-10-24T23:59:00Z", false),
        ("2026-10-25T00:30:00Z", true),
        ("2026-10-25T01:30:00Z", true),
        ("2026-10-25T02:00:00Z", false),
        ("2026-03-29T00:30:00Z", false),
        ("2026-03-29T01:00:00Z", false),
        ("2026-03-22T01:30:00Z", true),
    ] {
        assert_eq!(holds("Europe/Berlin", &rules, at), want, "{at}");
    }
    assert!(holds("Asia/Tokyo", &["sunday 00:00-01:00"], "2026-11-21T15:30:00Z"));
}

#[test]
fn other_periods_are_left_out() {
    let always = PeriodSpec {
        rules: vec!["saturday 00:00-24:00".to_owned()],
        exclude: vec!["holiday".to_owned(), "always".to_owned(), "none".to_owned()],
        ..PeriodSpec::default()
    };
    let holiday = PeriodSpec {
        rules: vec!["2026-11-21 00:00-12:00".to_owned()],
        exclude: vec!["always".to_owned()],
        ..PeriodSpec::default()
    };
    let periods = Periods::new(&BTreeMap::from([
        ("always".to_owned(), always),
        ("holiday".to_owned(), holiday),
    ]));
    assert!(periods.holds(Some("always"), moment("2026-11-21T13:00:00Z")));
    assert!(periods.holds(None, moment("2026-11-22T13:00:00Z")));
    assert!(periods.holds(Some("no such"), moment("2026-11-22T13:00:00Z")));
    assert!(!periods.holds(Some("always"), moment("2026-11-22T13:00:00Z")));
}

#[test]
fn what_is_no_rule_is_told() {
    for rule in [
        "monday",
        "monday 9-17",
        "monday 17:00-09:00",
        "monday 09:00-25:00",
        "moonday 09:00-10:00",
        "day 0 09:00-10:00",
        "monday 6 09:00-10:00",
        "day 1 / 0 09:00-10:00",
        "2026-02-30 09:00-10:00",
        "",
        "monday 3 4 09:00-10:00",
    ] {
        let spec = PeriodSpec { rules: vec![rule.to_owned()], ..PeriodSpec::default() };
        assert_eq!(spec.faults().len(), 1, "{rule:?}");
    }
    let spec = PeriodSpec { zone: "Mars/Olympus".to_owned(), ..PeriodSpec::default() };
    assert_eq!(spec.faults(), ["there is no time zone \"Mars/Olympus\""]);
}

/// Returns when a period holds next, as in RFC 3339; empty: it does not.
fn next(zone: &str, rules: &[&str], exclude: &[&str], from: &str) -> String {
    let periods = two_periods(zone, rules, exclude);
    let next = periods.next("p", moment(from));
    next.map(|at| jiff::Timestamp::from_millisecond(at.as_millis()).unwrap().to_string())
        .unwrap_or_default()
}

/// Makes `p` of rules, without the times of `exclude`, which are of UTC.
fn two_periods(zone: &str, rules: &[&str], exclude: &[&str]) -> Periods {
    let owned = |rules: &[&str]| rules.iter().map(|rule| (*rule).to_owned()).collect();
    let excluded = PeriodSpec { rules: owned(exclude), ..PeriodSpec::default() };
    let spec =
        PeriodSpec { zone: zone.to_owned(), rules: owned(rules), exclude: vec!["x".to_owned()] };
    Periods::new(&BTreeMap::from([("p".to_owned(), spec), ("x".to_owned(), excluded)]))
}

#[test]
fn a_period_that_does_not_hold_says_when_it_will() {
    // 2026-11-21 is a Saturday.
    let at = "2026-11-21T12:00:30Z";
    let weekdays = ["saturday 09:00-17:00", "monday 08:30-12:00"];
    for (rules, exclude, want) in [
        (&weekdays[..], &[][..], "2026-11-21T12:00:30Z"),
        (&weekdays[1..], &[], "2026-11-23T08:30:00Z"),
        (&["saturday 09:00-12:00"], &[], "2026-11-28T09:00:00Z"),
        (&["saturday 09:00-12:00,12:01-13:00"], &[], "2026-11-21T12:01:00Z"),
        // What is excluded holds it back to its end, also over midnight.
        (&weekdays, &["saturday 00:00-13:15"], "2026-11-21T13:15:00Z"),
        (
            &["saturday 00:00-24:00", "sunday 00:00-24:00"],
            &["saturday 00:00-24:00"],
            "2026-11-22T00:00:00Z",
        ),
        (&["february 1 00:00-24:00"], &[], "2027-02-01T00:00:00Z"),
        (&["november 21 06:00-07:00"], &[], "2027-11-21T06:00:00Z"),
        // Later than a year, gone by, and never.
        (&["2027-12-24 00:00-24:00"], &[], ""),
        (&["2026-11-20 00:00-24:00"], &[], ""),
        (&["saturday 09:00-17:00"], &["saturday 00:00-24:00"], ""),
    ] {
        assert_eq!(next("", rules, exclude, at), want, "{rules:?} without {exclude:?}");
    }
    assert_eq!(Periods::default().next("p", moment(at)), None);
}

#[test]
fn the_next_moment_is_that_of_the_zones_clock_also_when_it_is_set() {
    let berlin = |rule: &str, from: &str| next("Europe/Berlin", &[rule], &[], from);
    // At 01:00 UTC of 2026-03-29 its clock goes from 02:00 to 03:00, of 2026-10-25 from 03:00 to
    // 02:00.
    let march = "2026-03-28T23:30:00Z";
    assert_eq!(berlin("sunday 02:30-04:00", march), "2026-03-29T01:00:00Z");
    assert_eq!(berlin("sunday 02:00-03:00", march), "2026-04-05T00:00:00Z");
    let october = |at: &str| berlin("sunday 02:15-02:45", &format!("2026-10-25T{at}Z"));
    assert_eq!(october("00:00:00"), "2026-10-25T00:15:00Z");
    assert_eq!(october("00:50:00"), "2026-10-25T01:15:00Z");
    assert_eq!(october("01:45:00"), "2026-11-01T01:15:00Z");
}

#[test]
fn the_next_moment_is_what_a_walk_over_the_minutes_finds() {
    let rules = [
        "day 3 - 20 / 4 05:10-06:20,22:00-24:00",
        "friday 00:00-01:30",
        "thursday 2 13:00-13:01",
        "sunday 02:20-03:10",
    ];
    let exclude = ["friday 00:30-23:00", "day 7 05:00-06:00", "wednesday 22:30-24:00"];
    for zone in ["Europe/Berlin", "Pacific/Kiritimati", "America/St_Johns", "Australia/Lord_Howe"] {
        let periods = two_periods(zone, &rules, &exclude);
        // From before the clocks are set in March to after they are set in April.
        let (begin, minutes) = (moment("2026-03-06T00:00:00Z"), 32 * 24 * 60);
        let mut walked = None;
        for minute in (0..minutes).rev() {
            let at = begin + Duration::from_mins(minute);
            if periods.holds(Some("p"), at) {
                walked = Some(at);
            }
            // Not each: the search is slow without optimisation.
            if minute % 97 == 7 && walked.is_some() {
                assert_eq!(periods.next("p", at), walked, "{zone}, minute {minute}");
            }
        }
        assert!(walked.is_some(), "{zone}");
    }
}
