//! Parts of a date in UTC, from seconds since 1970.
//!
//! The calendar is the proleptic Gregorian one; days become dates as in Howard Hinnant,
//! "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.

const DAY_SECONDS: i64 = 86_400;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

/// Days of 400 years.
const ERA_DAYS: i64 = 146_097;

struct Date {
    year: i64,
    /// 1 to 12.
    month: i64,
    /// 1 to 31.
    day: i64,
}

fn date(seconds: i64) -> Date {
    let days = seconds.div_euclid(DAY_SECONDS) + EPOCH_DAYS;
    let (era, of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    // The year starts in March here, so that the leap day is its last.
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    Date {
        year: year_of_era + era * 400 + i64::from(month <= 2),
        month,
        day: of_year - (153 * from_march + 2) / 5 + 1,
    }
}

fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

pub(crate) fn minute(seconds: i64) -> f64 {
    seconds.div_euclid(60).rem_euclid(60) as f64
}

pub(crate) fn hour(seconds: i64) -> f64 {
    seconds.div_euclid(3600).rem_euclid(24) as f64
}

/// 0 is Sunday; 1970 began with a Thursday.
pub(crate) fn day_of_week(seconds: i64) -> f64 {
    (seconds.div_euclid(DAY_SECONDS) + 4).rem_euclid(7) as f64
}

pub(crate) fn day_of_month(seconds: i64) -> f64 {
    date(seconds).day as f64
}

pub(crate) fn day_of_year(seconds: i64) -> f64 {
    let date = date(seconds);
    let before: i64 = (1..date.month).map(|month| month_days(date.year, month)).sum();
    (before + date.day) as f64
}

pub(crate) fn days_in_month(seconds: i64) -> f64 {
    let date = date(seconds);
    month_days(date.year, date.month) as f64
}

pub(crate) fn month(seconds: i64) -> f64 {
    date(seconds).month as f64
}

pub(crate) fn year(seconds: i64) -> f64 {
    date(seconds).year as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_have_their_dates() {
        // Computed with `date -u -d @SECONDS '+%Y %m %d %j %w %H %M'`.
        let cases = [
            (0, [1970, 1, 1, 1, 4, 0, 0, 31]),
            (-1, [1969, 12, 31, 365, 3, 23, 59, 31]),
            (951_782_400, [2000, 2, 29, 60, 2, 0, 0, 29]),
            (1_709_210_096, [2024, 2, 29, 60, 4, 12, 34, 29]),
            (1_735_689_599, [2024, 12, 31, 366, 2, 23, 59, 31]),
            (4_107_542_400, [2100, 3, 1, 60, 1, 0, 0, 31]),
            (-62_135_596_800, [1, 1, 1, 1, 1, 0, 0, 31]),
        ];
        for (seconds, expected) in cases {
            let parts = [
                year(seconds),
                month(seconds),
                day_of_month(seconds),
                day_of_year(seconds),
                day_of_week(seconds),
                hour(seconds),
                minute(seconds),
                days_in_month(seconds),
            ];
            assert_eq!(parts.map(|part| part as i64), expected, "{seconds}");
        }
    }
}
