//! Time periods: when a check runs, in the words of Nagios and on the clock of any zone.
//!
//! Source: Nagios Core, "Object Definitions", timeperiod; order of precedence:
//! `xdata/xodtemplate.c` and `base/utils.c` (`check_time_against_period`): a rule for a calendar
//! date counts before one for a day of a month, that before one for a day of any month, that before
//! one for a weekday of a month, that before one for a weekday. The first kind that has a rule for
//! the day decides alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use noroshi_model::Timestamp;

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;
/// How deep periods may exclude each other.
const DEPTH_MAX: usize = 8;
/// How far ahead the begin of a period is looked for: what comes every year comes within it.
const SEARCH_DAYS: u32 = 366;

/// A time period as configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PeriodSpec {
    /// IANA name of the zone whose clock counts, such as `Europe/Berlin`; empty: UTC;
    /// [`PeriodSpec::LOCAL`]: that of this machine, whatever its name.
    pub zone: String,
    /// When it holds, in the words of Nagios: `monday 09:00-17:00`, `2026-12-24 00:00-24:00`,
    /// `day 1 - 15 / 5 00:00-24:00`, `thursday -1 november 00:00-24:00`.
    pub rules: Vec<String>,
    /// Names of periods during which it does not hold.
    pub exclude: Vec<String>,
}

impl PeriodSpec {
    /// The zone of this machine when it has no IANA name: `/etc/localtime` may be a plain file.
    pub const LOCAL: &str = "local";

    /// Tells everything that is wrong with it, one sentence each; empty when nothing is.
    pub fn faults(&self) -> Vec<String> {
        let zone = zone(&self.zone).err();
        zone.into_iter().chain(self.rules.iter().filter_map(|rule| parse(rule).err())).collect()
    }
}

/// All time periods, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Periods(BTreeMap<String, Period>);

#[derive(Debug)]
struct Period {
    zone: TimeZone,
    rules: Vec<Rule>,
    exclude: Vec<String>,
}

/// Days, and the spans of them.
#[derive(Debug, PartialEq)]
struct Rule {
    days: Days,
    /// From and until, in minutes of the day.
    spans: Vec<(u16, u16)>,
}

#[derive(Debug, PartialEq)]
enum Days {
    /// Every week on that day.
    Weekday(Weekday),
    /// From one point to another, every `every` days; no end: for ever.
    Range { start: Point, end: Option<Point>, every: i32 },
}

/// A day, said in one of four ways. A negative number counts from the end of the month.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Point {
    Date(Date),
    MonthDay { month: i8, day: i8 },
    Day(i8),
    Nth { weekday: Weekday, nth: i8, month: Option<i8> },
}

impl Periods {
    /// Makes ready what can be read; rules that cannot were refused with the configuration.
    pub(crate) fn new(specs: &BTreeMap<String, PeriodSpec>) -> Self {
        let period = |spec: &PeriodSpec| Period {
            zone: zone(&spec.zone).unwrap_or(TimeZone::UTC),
            rules: spec.rules.iter().filter_map(|rule| parse(rule).ok()).collect(),
            exclude: spec.exclude.clone(),
        };
        Self(specs.iter().map(|(name, spec)| (name.clone(), period(spec))).collect())
    }

    /// Tells whether a period holds; one without name or that does not exist always does.
    pub(crate) fn holds(&self, name: Option<&str>, now: Timestamp) -> bool {
        let Some(name) = name.filter(|name| self.0.contains_key(*name)) else { return true };
        self.holds_within(name, now, DEPTH_MAX)
    }

    /// Returns when a period that holds now no longer does, to the minute.
    ///
    /// At most `span_max` from now, and so for one that always holds.
    pub(crate) fn end(&self, name: &str, now: Timestamp, span_max: Duration) -> Timestamp {
        let minute = Duration::from_mins(1);
        let last = now + span_max;
        let mut at = now.align_down(minute) + minute;
        while at < last && self.holds(Some(name), at) {
            at = at + minute;
        }
        at.min(last)
    }

    /// Returns the first moment from `now` on at which a period holds: `now` itself when it does.
    ///
    /// `None` when there is no such period, and when it does not hold within [`SEARCH_DAYS`].
    pub(crate) fn next(&self, name: &str, now: Timestamp) -> Option<Timestamp> {
        let mut all = BTreeSet::new();
        self.with_excluded(name, &mut all, DEPTH_MAX);
        if all.is_empty() {
            return None;
        }
        if self.holds(Some(name), now) {
            return Some(now);
        }
        let day = Duration::from_hours(24);
        // A period begins to hold only where a span of it or of what it excludes begins or ends, or
        // where the clock of a zone is set.
        (0..SEARCH_DAYS).find_map(|days| {
            let from = now + day * days;
            let mut turns = BTreeSet::new();
            for period in &all {
                self.0[*period].turns(from, from + day, &mut turns);
            }
            turns.into_iter().find(|at| self.holds(Some(name), *at))
        })
    }

    /// Adds a period and those that it excludes, and what they do.
    fn with_excluded<'a>(&'a self, name: &'a str, all: &mut BTreeSet<&'a str>, depth: usize) {
        let Some(period) = self.0.get(name) else { return };
        if all.insert(name) && depth > 0 {
            period.exclude.iter().for_each(|other| self.with_excluded(other, all, depth - 1));
        }
    }

    /// Tells whether there is a period of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn holds_within(&self, name: &str, now: Timestamp, depth: usize) -> bool {
        let Some(period) = self.0.get(name) else { return false };
        let Ok(moment) = jiff::Timestamp::from_millisecond(now.as_millis()) else { return true };
        let local = moment.to_zoned(period.zone.clone());
        let minute = u16::try_from(i16::from(local.hour()) * 60 + i16::from(local.minute()));
        let is_in = period.holds(local.date(), minute.unwrap_or(0));
        let is_excluded =
            |other: &String| depth > 0 && other != name && self.holds_within(other, now, depth - 1);
        is_in && !period.exclude.iter().any(is_excluded)
    }
}

impl Period {
    /// Adds the moments after `from`, until `until`, at which it may begin or cease to hold.
    fn turns(&self, from: Timestamp, until: Timestamp, turns: &mut BTreeSet<Timestamp>) {
        let moment = |at: Timestamp| jiff::Timestamp::from_millisecond(at.as_millis());
        let (Ok(first), Ok(last)) = (moment(from), moment(until)) else { return };
        let mut add = |at: jiff::Timestamp| {
            if first < at && at <= last {
                turns.insert(Timestamp::from_millis(at.as_millisecond()));
            }
        };
        let set = self.zone.following(first).map(|set| set.timestamp());
        set.take_while(|at| *at <= last).for_each(&mut add);
        let day_of = |at: jiff::Timestamp| at.to_zoned(self.zone.clone()).date();
        for date in day_of(first).series(1.day()).take_while(|date| *date <= day_of(last)) {
            let of_day = self.rules.iter().filter(|rule| rule.days.holds(date));
            for (begin, end) in of_day.flat_map(|rule| &rule.spans) {
                for minute in [*begin, *end] {
                    let Ok(local) = date.at(0, 0, 0, 0).checked_add(i64::from(minute).minutes())
                    else {
                        continue;
                    };
                    // An hour that comes twice begins what it begins twice.
                    let twice = self.zone.to_ambiguous_zoned(local);
                    for at in [twice.clone().earlier(), twice.later()].into_iter().flatten() {
                        add(at.timestamp());
                    }
                }
            }
        }
    }

    /// Tells whether it holds at a minute of a day, on the clock of its zone.
    fn holds(&self, date: Date, minute: u16) -> bool {
        let of_day = || self.rules.iter().filter(|rule| rule.days.holds(date));
        let Some(first) = of_day().map(|rule| rule.days.precedence()).min() else { return false };
        of_day()
            .filter(|rule| rule.days.precedence() == first)
            .flat_map(|rule| &rule.spans)
            .any(|(from, until)| *from <= minute && minute < *until)
    }
}

impl Days {
    /// Returns which rules count before which: the least first.
    fn precedence(&self) -> u8 {
        match self {
            Self::Range { start: Point::Date(_), .. } => 0,
            Self::Range { start: Point::MonthDay { .. }, .. } => 1,
            Self::Range { start: Point::Day(_), .. } => 2,
            Self::Range { start: Point::Nth { .. }, .. } => 3,
            Self::Weekday(_) => 4,
        }
    }

    fn holds(&self, date: Date) -> bool {
        let (start, end, every) = match self {
            Self::Weekday(weekday) => return date.weekday() == *weekday,
            Self::Range { start, end, every } => (start, end, *every),
        };
        // What has no year or no month may have begun in the one before and run over its end.
        let before = match start {
            Point::Date(_) => 0.days(),
            Point::MonthDay { .. } | Point::Nth { month: Some(_), .. } => 1.year(),
            Point::Day(_) | Point::Nth { .. } => 1.month(),
        };
        [date, earlier(date, before)].into_iter().any(|near| {
            let Some(first) = start.resolve(near) else { return false };
            let last = match end {
                None => Date::MAX,
                Some(end) => match end.resolve(near) {
                    Some(last) if last >= first => last,
                    _ => match end.resolve(later(near, before)) {
                        Some(last) => last,
                        None => return false,
                    },
                },
            };
            let days = (date - first).get_days();
            first <= date && date <= last && days % every == 0
        })
    }
}

impl Point {
    /// Returns the day that is meant, seen from the year and month of `near`.
    ///
    /// `None` when there is no such day (30 February, a fifth Monday).
    fn resolve(self, near: Date) -> Option<Date> {
        match self {
            Self::Date(date) => Some(date),
            Self::MonthDay { month, day } => day_of_month(near.year(), month, day),
            Self::Day(day) => day_of_month(near.year(), near.month(), day),
            Self::Nth { weekday, nth, month } => {
                let first = Date::new(near.year(), month.unwrap_or(near.month()), 1).ok()?;
                first.nth_weekday_of_month(nth, weekday).ok()
            }
        }
    }
}

fn day_of_month(year: i16, month: i8, day: i8) -> Option<Date> {
    if day > 0 {
        return Date::new(year, month, day).ok();
    }
    let last = Date::new(year, month, 1).ok()?.last_of_month();
    Date::new(year, month, last.day() + day + 1).ok()
}

fn earlier(date: Date, by: Span) -> Date {
    // The first of the month is there in every month.
    date.first_of_month().checked_sub(by).unwrap_or(date)
}

fn later(date: Date, by: Span) -> Date {
    date.first_of_month().checked_add(by).unwrap_or(date)
}

fn zone(name: &str) -> Result<TimeZone, String> {
    if name.is_empty() {
        return Ok(TimeZone::UTC);
    }
    if name == PeriodSpec::LOCAL {
        return Ok(TimeZone::system());
    }
    TimeZone::get(name).map_err(|_| format!("there is no time zone {name:?}"))
}

/// Reads one rule: days, then spans.
fn parse(text: &str) -> Result<Rule, String> {
    let wrong = || {
        format!(
            "{text:?} is no rule of a time period; write days and times, such as \
             \"monday 09:00-17:00\" or \"2026-12-24 00:00-24:00\""
        )
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let times = words.iter().position(|word| word.contains(':')).ok_or_else(wrong)?;
    let spans = words[times..].concat();
    let spans: Option<Vec<(u16, u16)>> = spans.split(',').map(span).collect();
    let days = days(&words[..times]).ok_or_else(wrong)?;
    Ok(Rule { days, spans: spans.ok_or_else(wrong)? })
}

/// Reads `09:00-17:30`.
fn span(text: &str) -> Option<(u16, u16)> {
    let minute = |text: &str| {
        let (hours, minutes) = text.split_once(':')?;
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        let minute = hours.checked_mul(60)?.checked_add(minutes)?;
        (minutes < 60 && minute <= DAY_MINUTES).then_some(minute)
    };
    let (from, until) = text.split_once('-')?;
    let (from, until) = (minute(from)?, minute(until)?);
    (from < until).then_some((from, until))
}

/// Reads `monday`, `day 1 - 15 / 5`, `thursday -1 november`, `2026-12-24 - 2027-01-02`.
fn days(words: &[&str]) -> Option<Days> {
    if let [word] = words
        && let Some(weekday) = weekday(word)
    {
        return Some(Days::Weekday(weekday));
    }
    let (words, every) = match words.iter().position(|word| *word == "/") {
        Some(at) => match &words[at + 1..] {
            [every] => (&words[..at], every.parse().ok().filter(|every| *every > 0)?),
            _ => return None,
        },
        None => (words, 1),
    };
    let Some(dash) = words.iter().position(|word| *word == "-") else {
        let start = point(words, None)?;
        // A date with a step and no end goes on for ever, as in Nagios.
        let is_endless = every > 1 && matches!(start, Point::Date(_));
        return Some(Days::Range { start, end: (!is_endless).then_some(start), every });
    };
    let start = point(&words[..dash], None)?;
    let end = point(&words[dash + 1..], Some(start))?;
    Some(Days::Range { start, end: Some(end), every })
}

/// Reads a day. After a dash a number alone is a day as the one before it.
fn point(words: &[&str], before: Option<Point>) -> Option<Point> {
    let number = |word: &str| word.parse::<i8>().ok().filter(|n| *n != 0 && n.abs() <= 31);
    match words {
        [word] => match (number(word), before) {
            (Some(day), Some(Point::MonthDay { month, .. })) => {
                Some(Point::MonthDay { month, day })
            }
            (Some(day), Some(Point::Day(_))) => Some(Point::Day(day)),
            _ => word.parse().ok().map(Point::Date),
        },
        ["day", day] => Some(Point::Day(number(day)?)),
        [word, day] => match (month(word), weekday(word)) {
            (Some(month), _) => Some(Point::MonthDay { month, day: number(day)? }),
            (_, Some(weekday)) => Some(Point::Nth { weekday, nth: nth(day)?, month: None }),
            _ => None,
        },
        [word, n, of] => {
            let month = Some(month(of)?);
            Some(Point::Nth { weekday: weekday(word)?, nth: nth(n)?, month })
        }
        _ => None,
    }
}

fn nth(word: &str) -> Option<i8> {
    word.parse::<i8>().ok().filter(|n| *n != 0 && n.abs() <= 5)
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word.to_lowercase().as_str() {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

fn month(word: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let index = MONTHS.iter().position(|month| *month == word.to_lowercase())?;
    i8::try_from(index + 1).ok()
}

#[cfg(test)]
mod tests;
