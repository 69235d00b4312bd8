//! The time axis: marks at the midnights and full hours of a time zone.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

/// A mark on the time axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeMark {
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// Its label.
    pub(crate) label: String,
    /// Whether something larger than its neighbours begins here: a day, a year.
    pub(crate) is_major: bool,
}

/// What lies between two marks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Up to an hour: counted in real time, so that the hour that winter time repeats has marks.
    Seconds(i64),
    /// Counted on the clock's face from midnight, so that a day of 23 hours keeps its noon.
    Hours(i64),
    Days(i64),
    /// From Monday.
    Weeks,
    Months(i64),
    Years(i64),
}

/// Steps that people count in, shortest first.
const STEPS: [Step; 26] = [
    Step::Seconds(1),
    Step::Seconds(5),
    Step::Seconds(10),
    Step::Seconds(15),
    Step::Seconds(30),
    Step::Seconds(60),
    Step::Seconds(120),
    Step::Seconds(300),
    Step::Seconds(600),
    Step::Seconds(900),
    Step::Seconds(1800),
    Step::Seconds(3600),
    Step::Hours(2),
    Step::Hours(3),
    Step::Hours(6),
    Step::Hours(12),
    Step::Days(1),
    Step::Days(2),
    Step::Weeks,
    Step::Months(1),
    Step::Months(2),
    Step::Months(3),
    Step::Months(6),
    Step::Years(1),
    Step::Years(2),
    Step::Years(10),
];

impl Step {
    /// Returns about how long it is, in seconds.
    fn seconds(self) -> i64 {
        const DAY: i64 = 86_400;
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Hours(hours) => hours * 3600,
            Self::Days(days) => days * DAY,
            Self::Weeks => 7 * DAY,
            Self::Months(months) => months * 30 * DAY,
            Self::Years(years) => years * 365 * DAY,
        }
    }

    /// Returns how many pixels a label needs, with air on both sides.
    fn room(self) -> f32 {
        match self {
            Self::Seconds(seconds) if seconds < 60 => 78.0,
            Self::Months(_) | Self::Years(_) => 50.0,
            _ => 58.0,
        }
    }
}

/// Most marks of an axis: far more than fit on the widest picture.
const MARKS_MAX: usize = 400;

/// Returns the marks from `start` to `end` (milliseconds since 1970) on `width` pixels.
///
/// None when the span is outside the years that can be written.
pub(crate) fn time_marks(start: i64, end: i64, width: f32, zone: &TimeZone) -> Vec<TimeMark> {
    let span_seconds = (end - start) as f32 / 1000.0;
    let fits = |step: &Step| step.seconds() as f32 / span_seconds * width >= step.room();
    let step = STEPS.into_iter().find(fits).unwrap_or(Step::Years(10));
    let Some(first) = zoned(start, zone).and_then(|zoned| floor(&zoned, step)) else {
        return Vec::new();
    };
    let mut marks: Vec<TimeMark> = Vec::new();
    let mut next = Some(first);
    while let Some(current) = next {
        let at = current.timestamp().as_millisecond();
        if at > end || marks.len() >= MARKS_MAX {
            break;
        }
        if at >= start && marks.last().is_none_or(|last| last.at < at) {
            marks.push(mark(&current, step));
        }
        next = after(&current, step);
    }
    marks
}

/// Returns a moment in a zone; `None` outside the years -9999 to 9999.
pub(crate) fn zoned(millis: i64, zone: &TimeZone) -> Option<Zoned> {
    Some(jiff::Timestamp::from_millisecond(millis).ok()?.to_zoned(zone.clone()))
}

/// Returns the last moment not after `zoned` at which a step begins.
fn floor(zoned: &Zoned, step: Step) -> Option<Zoned> {
    let civil = zoned.datetime();
    let date = civil.date();
    let civil = match step {
        Step::Seconds(step) => {
            let seconds = i64::from(civil.minute()) * 60 + i64::from(civil.second());
            let back = (seconds % step).seconds();
            return zoned
                .checked_sub(back)
                .and_then(|z| z.with().subsec_nanosecond(0).build())
                .ok();
        }
        Step::Hours(step) => {
            let hour = i64::from(civil.hour()) / step * step;
            date.at(hour as i8, 0, 0, 0)
        }
        Step::Days(step) => {
            let days = i64::from((date.day() - 1) % step as i8);
            date.checked_sub(days.days()).ok()?.at(0, 0, 0, 0)
        }
        Step::Weeks => {
            let days = i64::from(date.weekday().to_monday_zero_offset());
            date.checked_sub(days.days()).ok()?.at(0, 0, 0, 0)
        }
        Step::Months(step) => {
            let month = (date.month() - 1) / step as i8 * step as i8 + 1;
            Date::new(date.year(), month, 1).ok()?.at(0, 0, 0, 0)
        }
        Step::Years(step) => {
            let year = date.year().div_euclid(step as i16) * step as i16;
            Date::new(year, 1, 1).ok()?.at(0, 0, 0, 0)
        }
    };
    in_zone(civil, zoned)
}

/// Returns the moment at which the next step begins.
fn after(zoned: &Zoned, step: Step) -> Option<Zoned> {
    let civil = zoned.datetime();
    let next = match step {
        Step::Seconds(step) => return zoned.checked_add(step.seconds()).ok(),
        // A civil hour that the change to summer time skips moves the mark; go on from the whole.
        Step::Hours(step) => {
            let hour = i64::from(civil.hour()) / step * step + step;
            let midnight = civil.date().at(0, 0, 0, 0);
            midnight.checked_add(hour.hours()).ok()?
        }
        // The days 2 apart start anew each month, as `floor` counts them.
        Step::Days(step) => {
            let next = civil.date().checked_add(step.days()).ok()?;
            let is_same = next.month() == civil.date().month();
            if is_same { next } else { next.first_of_month() }.at(0, 0, 0, 0)
        }
        Step::Weeks => civil.date().checked_add(7.days()).ok()?.at(0, 0, 0, 0),
        Step::Months(step) => civil.date().checked_add(step.months()).ok()?.at(0, 0, 0, 0),
        Step::Years(step) => civil.date().checked_add(step.years()).ok()?.at(0, 0, 0, 0),
    };
    in_zone(next, zoned)
}

fn in_zone(civil: DateTime, like: &Zoned) -> Option<Zoned> {
    civil.to_zoned(like.time_zone().clone()).ok()
}

fn mark(zoned: &Zoned, step: Step) -> TimeMark {
    let civil = zoned.datetime();
    let is_midnight = civil.time() == jiff::civil::Time::midnight();
    let is_new_year = civil.date().day_of_year() == 1;
    let (format, is_major) = match step {
        Step::Seconds(_) | Step::Hours(_) if is_midnight => ("%-d %b", true),
        Step::Seconds(seconds) if seconds < 60 => ("%H:%M:%S", false),
        Step::Seconds(_) | Step::Hours(_) => ("%H:%M", false),
        Step::Days(_) | Step::Weeks => ("%-d %b", false),
        Step::Months(_) if is_new_year => ("%Y", true),
        Step::Months(_) => ("%b", false),
        Step::Years(_) => ("%Y", false),
    };
    let label = zoned.strftime(format).to_string();
    TimeMark { at: zoned.timestamp().as_millisecond(), label, is_major }
}

/// Writes a span for the head of a graph: `20 Nov 14:00 – 21 Nov 14:00 CET`.
pub(crate) fn span_text(start: i64, end: i64, zone: &TimeZone) -> String {
    let (Some(start), Some(end)) = (zoned(start, zone), zoned(end, zone)) else {
        return String::new();
    };
    let is_long = end.duration_since(&start).as_hours() >= 24 * 40;
    let is_short = end.duration_since(&start).as_mins() < 10;
    let (first, second) = match (start.date() == end.date(), is_long, is_short) {
        (_, true, _) => ("%-d %b %Y", "%-d %b %Y"),
        (true, _, true) => ("%-d %b %H:%M:%S", "%H:%M:%S %Z"),
        (true, ..) => ("%-d %b %H:%M", "%H:%M %Z"),
        (false, _, true) => ("%-d %b %H:%M:%S", "%-d %b %H:%M:%S %Z"),
        (false, ..) => ("%-d %b %H:%M", "%-d %b %H:%M %Z"),
    };
    format!("{} – {}", start.strftime(first), end.strftime(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        // POSIX rules of central Europe, so that the test needs no database of time zones.
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn at(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    fn labels(start: &str, end: &str, width: f32) -> String {
        let marks = time_marks(at(start), at(end), width, &berlin());
        let label =
            |m: &TimeMark| if m.is_major { format!("[{}]", m.label) } else { m.label.clone() };
        marks.iter().map(label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn marks_lie_on_local_hours_and_midnights() {
        let cases = [
            (
                "2026-11-20T14:10:00Z",
                "2026-11-21T14:10:00Z",
                740.0,
                "16:00 18:00 20:00 22:00 [21 Nov] 02:00 04:00 06:00 08:00 10:00 12:00 14:00",
            ),
            (
                "2026-11-20T12:01:00Z",
                "2026-11-20T13:01:00Z",
                740.0,
                "13:05 13:10 13:15 13:20 13:25 13:30 13:35 13:40 13:45 13:50 13:55 14:00",
            ),
            (
                "2026-11-20T12:00:00Z",
                "2026-11-20T12:01:00Z",
                400.0,
                "13:00:00 13:00:15 13:00:30 13:00:45 13:01:00",
            ),
            (
                "2026-11-10T12:00:00Z",
                "2026-11-20T12:00:00Z",
                400.0,
                "11 Nov 13 Nov 15 Nov 17 Nov 19 Nov",
            ),
            ("2026-10-25T12:00:00Z", "2026-11-20T12:00:00Z", 400.0, "26 Oct 2 Nov 9 Nov 16 Nov"),
            ("2025-11-10T12:00:00Z", "2026-11-10T12:00:00Z", 400.0, "[2026] Mar May Jul Sep Nov"),
            (
                "2020-11-10T12:00:00Z",
                "2026-11-10T12:00:00Z",
                400.0,
                "2021 2022 2023 2024 2025 2026",
            ),
        ];
        for (start, end, width, text) in cases {
            assert_eq!(labels(start, end, width), text, "{start} {end}");
        }
    }

    #[test]
    fn days_of_23_and_25_hours_keep_their_midnights_and_noons() {
        // 2026-03-29 02:00 to 03:00 does not exist; 2026-10-25 02:00 to 03:00 is there twice.
        let spring = labels("2026-03-28T20:00:00Z", "2026-03-29T20:00:00Z", 500.0);
        assert_eq!(spring, "21:00 [29 Mar] 03:00 06:00 09:00 12:00 15:00 18:00 21:00");
        let autumn = labels("2026-10-24T22:00:00Z", "2026-10-25T04:00:00Z", 400.0);
        assert_eq!(autumn, "[25 Oct] 01:00 02:00 02:00 03:00 04:00 05:00");
    }

    #[test]
    fn the_span_is_written_no_longer_than_it_must_be() {
        let text = |start, end| span_text(at(start), at(end), &berlin());
        assert_eq!(
            text("2026-11-20T12:00:00Z", "2026-11-20T13:00:00Z"),
            "20 Nov 13:00 – 14:00 CET"
        );
        assert_eq!(
            text("2026-11-20T12:00:00Z", "2026-11-21T12:00:00Z"),
            "20 Nov 13:00 – 21 Nov 13:00 CET"
        );
        assert_eq!(
            text("2025-11-20T12:00:00Z", "2026-11-21T12:00:00Z"),
            "20 Nov 2025 – 21 Nov 2026"
        );
    }

    #[test]
    fn absurd_spans_have_no_marks() {
        assert_eq!(time_marks(i64::MAX - 10, i64::MAX, 400.0, &berlin()), []);
    }
}
