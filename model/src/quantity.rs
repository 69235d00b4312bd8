//! Values and durations as people read and write them: `1.5 GiB`, `230 Mbit/s`, `3 min 20 s`.
//!
//! One place, so that a page, a mail, a graph and a check's text show the same value alike.

use std::time::Duration;

use crate::is_unknown;

/// How the values of a unit are written.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// 1024-fold prefixes: `KiB`.
    Binary,
    /// 1000-fold prefixes before a symbol: `kbit/s`, `mV`.
    Metric,
    /// As metric, but a time: above a minute in minutes, hours, days.
    Time,
    /// Never a prefix: `93.1 %`.
    Plain,
    /// A fraction of one, written per cent.
    Ratio,
    /// 1000-fold prefixes right behind the number: `1.2k`.
    Count,
}

/// Units whose symbol is not their name: name in the plural, symbol, style.
///
/// Names are those of Prometheus' base units (`prometheus.io/docs/practices/naming`) and the units
/// of measurement that plug-ins give (Nagios plug-in guidelines, "Performance data").
const UNITS: [(&str, &str, Style); 26] = [
    ("bytes", "B", Style::Binary),
    ("B", "B", Style::Binary),
    ("bits", "bit", Style::Metric),
    ("seconds", "s", Style::Time),
    ("s", "s", Style::Time),
    ("percent", " %", Style::Plain),
    ("%", " %", Style::Plain),
    ("ratio", " %", Style::Ratio),
    ("celsius", " °C", Style::Plain),
    ("volts", "V", Style::Metric),
    ("amperes", "A", Style::Metric),
    ("watts", "W", Style::Metric),
    ("joules", "J", Style::Metric),
    ("hertz", "Hz", Style::Metric),
    ("meters", "m", Style::Metric),
    ("grams", "g", Style::Metric),
    ("ms", " ms", Style::Plain),
    ("us", " µs", Style::Plain),
    ("KB", " KB", Style::Plain),
    ("MB", " MB", Style::Plain),
    ("GB", " GB", Style::Plain),
    ("TB", " TB", Style::Plain),
    ("per second", "/s", Style::Count),
    ("c", "", Style::Count),
    ("count", "", Style::Count),
    ("", "", Style::Count),
];

/// Prefixes of 1024, from 1024^0.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// Prefixes of 1000 from 1000^-3; the fourth is that of 1.
const METRIC: [&str; 10] = ["n", "µ", "m", "", "k", "M", "G", "T", "P", "E"];

/// A prefix and a symbol chosen once, so that the marks of an axis are written alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// What a value is divided by before it is written.
    pub divisor: f64,
    /// What stands behind the number, with its space when it has one.
    pub suffix: String,
}

impl Scale {
    /// Returns the scale in which `magnitude` (in `unit`) is written with one to three digits
    /// before the point, as far as there are prefixes.
    pub fn pick(magnitude: f64, unit: &str) -> Self {
        let (symbol, style) = symbol(unit);
        let size = magnitude.abs();
        let size = if size.is_finite() { size } else { 1.0 };
        match style {
            Style::Plain => Self { divisor: 1.0, suffix: symbol },
            Style::Ratio => Self { divisor: 0.01, suffix: symbol },
            Style::Binary => {
                let power = power(size, 1024.0).clamp(0, 6);
                Self::new(1024f64.powi(power), format!(" {}{symbol}", BINARY[power as usize]))
            }
            Style::Time if size >= 60.0 => Self::of_time(size),
            Style::Metric | Style::Time => {
                let most = if style == Style::Time { 0 } else { 6 };
                let power = if size == 0.0 { 0 } else { power(size, 1000.0).clamp(-3, most) };
                let prefix = METRIC[(power + 3) as usize];
                Self::new(1000f64.powi(power), format!(" {prefix}{symbol}"))
            }
            Style::Count => {
                let power = power(size, 1000.0).clamp(0, 6);
                let prefix = METRIC[(power + 3) as usize];
                Self::new(1000f64.powi(power), format!("{prefix}{symbol}"))
            }
        }
    }

    fn new(divisor: f64, suffix: String) -> Self {
        let suffix = if suffix == " " { String::new() } else { suffix };
        Self { divisor, suffix }
    }

    /// Returns minutes, hours or days for a time of at least a minute.
    fn of_time(seconds: f64) -> Self {
        let (divisor, suffix) = match seconds {
            s if s >= 2.0 * 86_400.0 => (86_400.0, " d"),
            s if s >= 2.0 * 3_600.0 => (3_600.0, " h"),
            _ => (60.0, " min"),
        };
        Self::new(divisor, suffix.to_owned())
    }

    /// Writes a value with a fixed number of decimals.
    pub fn format(&self, value: f64, decimals: usize) -> String {
        let scaled = value / self.divisor;
        let number = format!("{scaled:.decimals$}");
        let is_zero = number.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
        let number = if is_zero { number.trim_start_matches('-') } else { &number };
        format!("{number}{}", self.suffix)
    }
}

/// Returns the power of `base`, from -3 to 6, that leaves a number of at least 1 and below `base`.
///
/// By steps and not by logarithms: these are off by one at the borders, and the small agent would
/// load the C library's mathematics for nothing else.
fn power(size: f64, base: f64) -> i32 {
    // 999.9 would be written as 1000.
    let limit = if base == 1024.0 { 1023.5 } else { 999.5 };
    (-3..6).find(|&power| size / base.powi(power) < limit).unwrap_or(6)
}

/// Returns symbol and style of a unit; what is not known keeps its own name.
fn symbol(unit: &str) -> (String, Style) {
    let find = |name: &str| UNITS.iter().find(|(known, ..)| *known == name);
    if let Some((_, symbol, style)) = find(unit) {
        return ((*symbol).to_owned(), *style);
    }
    if let Some((base, per)) = unit.split_once('/')
        && let Some((_, symbol, style)) = find(base)
        && !base.is_empty()
        && *style != Style::Ratio
    {
        // A rate of seconds is no time any more.
        let style = if *style == Style::Time { Style::Metric } else { *style };
        return (format!("{symbol}/{per}"), style);
    }
    let space = if unit.starts_with('/') { "" } else { " " };
    (format!("{space}{unit}"), Style::Count)
}

/// Writes a value for people: three significant digits, prefix and unit.
///
/// `unit` is one of those of [`crate::GraphTemplate::unit`], a unit of a plug-in, or any other
/// word, which is written behind the number. [`crate::UNKNOWN`] is `unknown`. A percentage that is
/// not quite 100 is never written as 100; a whole number below 10 000 is written in full.
pub fn format_value(value: f64, unit: &str) -> String {
    if is_unknown(value) {
        return "unknown".to_owned();
    }
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞".to_owned() } else { "-∞".to_owned() };
    }
    let (suffix, style) = symbol(unit);
    match style {
        Style::Time if value.abs() >= 120.0 => {
            let sign = if value < 0.0 { "-" } else { "" };
            let duration = Duration::try_from_secs_f64(value.abs()).unwrap_or(Duration::MAX);
            format!("{sign}{}", format_duration(duration))
        }
        Style::Time => {
            // 60 to 119 seconds read better as seconds.
            let scale = Scale::pick(value.abs().min(59.0), unit);
            format!("{}{}", digits(value / scale.divisor), scale.suffix)
        }
        Style::Plain | Style::Ratio if suffix == " %" => {
            let percent = if style == Style::Ratio { value * 100.0 } else { value };
            format!("{}{suffix}", percent_digits(percent))
        }
        Style::Count if value.fract() == 0.0 && value.abs() < 10_000.0 => {
            format!("{value:.0}{suffix}").replace("-0", "0")
        }
        _ => {
            let scale = Scale::pick(value, unit);
            format!("{}{}", digits(value / scale.divisor), scale.suffix)
        }
    }
}

/// Writes three significant digits without trailing zeros.
fn digits(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e7).contains(&size) {
        return format!("{value:.2e}").replace(".00e", "e");
    }
    // Digits before the point less one: -4 to 6, see above.
    let magnitude = (-4..6).find(|&power| size < 10f64.powi(power + 1)).unwrap_or(6);
    let decimals = (2 - magnitude).clamp(0, 6) as usize;
    trimmed(format!("{value:.decimals$}"))
}

/// Writes a percentage with one decimal, or as many as show that it is not 0 and not 100.
fn percent_digits(percent: f64) -> String {
    let size = percent.abs();
    let rounds_to = |decimals: usize, whole: f64| {
        let unit = 10f64.powi(decimals as i32);
        (size * unit).round() / unit == whole && size != whole
    };
    let enough = (1..=4).find(|&decimals| !rounds_to(decimals, 100.0) && !rounds_to(decimals, 0.0));
    let decimals = enough.unwrap_or(4);
    trimmed(format!("{percent:.decimals$}"))
}

/// Removes zeros behind the point, and the point when nothing is left behind it.
fn trimmed(number: String) -> String {
    if !number.contains('.') {
        return number;
    }
    let short = number.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

// ------------------------------------------------------------------------------------ durations

/// The parts of a duration as they are written for people, largest first: milliseconds, symbol.
const PARTS: [(u128, &str); 4] =
    [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];

/// Writes a duration by its two largest parts: `3 min 20 s`, `2 d 4 h`, `45 ms`, `0 s`.
///
/// Cut off, not rounded, so that a problem of 59.9 seconds is not yet a minute old.
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1_000 {
        return match (millis, duration.as_nanos()) {
            (0, 0) => "0 s".to_owned(),
            (0, nanos) if nanos < 1_000 => format!("{nanos} ns"),
            (0, nanos) => format!("{} µs", nanos / 1_000),
            (millis, _) => format!("{millis} ms"),
        };
    }
    if millis < 10_000 {
        let tenths = millis / 100;
        return format!("{} s", trimmed(format!("{}.{}", tenths / 10, tenths % 10)));
    }
    let first = PARTS.iter().position(|(size, _)| millis >= *size).unwrap_or(PARTS.len() - 1);
    let (size, symbol) = PARTS[first];
    let text = format!("{} {symbol}", millis / size);
    match PARTS.get(first + 1) {
        Some((next_size, next_symbol)) if millis % size >= *next_size => {
            format!("{text} {} {next_symbol}", millis % size / next_size)
        }
        _ => text,
    }
}

/// The units that a written duration may have: symbol, nanoseconds.
const SYMBOLS: [(&str, u64); 10] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// Reads a duration: `10s`, `5m`, `1h30m`, `250ms`, `2d`, `1.5h`, `3 min 20 s`, `0`.
///
/// `y` (365 days, as in Prometheus) is read as well. A number without a unit is refused, because
/// nobody knows what it means; zero is the exception.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let fail = |reason| DurationError { text: text.to_owned(), reason };
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(fail("it is empty"));
    }
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| fail("a number is missing"))?;
        rest = rest[end..].trim_start();
        let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let nanos = match &rest[..end] {
            "" => return Err(fail("a unit is missing")),
            "y" => 365 * 86_400_000_000_000,
            name => SYMBOLS
                .iter()
                .find(|(symbol, _)| *symbol == name)
                .map(|(_, nanos)| *nanos)
                .ok_or_else(|| fail("the unit is not one of ms, s, m, h, d, w, y"))?,
        };
        let part = Duration::try_from_secs_f64(number * nanos as f64 / 1e9)
            .map_err(|_| fail("it is too long"))?;
        sum = sum.checked_add(part).ok_or_else(|| fail("it is too long"))?;
        rest = rest[end..].trim_start();
    }
    Ok(sum)
}

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no duration: {reason}; write for example \"10s\", \"5m\" or \"1h30m\"")]
pub struct DurationError {
    text: String,
    reason: &'static str,
}

/// Serde's face of durations: `#[serde(with = "noroshi_model::quantity::humane")]`.
pub mod humane {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes a duration so that [`deserialize`] reads it back: whole milliseconds at least.
    pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        let millis = duration.as_millis();
        match millis % 1_000 {
            0 => to.serialize_str(&format!("{}s", millis / 1_000)),
            _ => to.serialize_str(&format!("{millis}ms")),
        }
    }

    /// Reads a duration from a text such as `10s`.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        super::parse_duration(&text).map_err(D::Error::custom)
    }

    /// The same for an `Option<Duration>`; use it together with `#[serde(default)]`.
    pub mod option {
        use super::{Deserializer, Duration, Serializer};

        /// Writes a duration or nothing.
        pub fn serialize<S: Serializer>(
            duration: &Option<Duration>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => super::serialize(duration, to),
                None => to.serialize_none(),
            }
        }

        /// Reads a duration that is there.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Duration>, D::Error> {
            super::deserialize(from).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UNKNOWN;

    #[test]
    fn values_are_written_as_people_read_them() {
        let gib = 1024.0 * 1024.0 * 1024.0;
        let cases = [
            (1.5 * gib, "bytes", "1.5 GiB"),
            (512.0, "bytes", "512 B"),
            (1023.0 * 1024.0, "bytes", "1023 KiB"),
            (1023.9 * 1024.0, "bytes", "1 MiB"),
            (0.0, "bytes", "0 B"),
            (-2048.0, "bytes", "-2 KiB"),
            (1_572_864.0, "bytes/s", "1.5 MiB/s"),
            (230e6, "bits/s", "230 Mbit/s"),
            (999_999.0, "bits/s", "1 Mbit/s"),
            (0.045, "seconds", "45 ms"),
            (0.000_002_5, "seconds", "2.5 µs"),
            (1.25, "seconds", "1.25 s"),
            (75.0, "seconds", "75 s"),
            (200.0, "seconds", "3 min 20 s"),
            (-200.0, "seconds", "-3 min 20 s"),
            (93.1, "percent", "93.1 %"),
            (0.931, "ratio", "93.1 %"),
            (1.0, "ratio", "100 %"),
            (0.99996, "ratio", "99.996 %"),
            (0.0001, "ratio", "0.01 %"),
            (0.0, "percent", "0 %"),
            (42.0, "", "42"),
            (1234.0, "", "1234"),
            (12_345.0, "", "12.3k"),
            (0.25, "", "0.25"),
            (3.456_789, "", "3.46"),
            (2.5e6, "", "2.5M"),
            (0.000_012, "", "1.20e-5"),
            (12.5, "per second", "12.5/s"),
            (1500.4, "per second", "1.5k/s"),
            (3.0, "connections", "3 connections"),
            (20_000.0, "packets/s", "20k packets/s"),
            (41.5, "celsius", "41.5 °C"),
            (0.012, "volts", "12 mV"),
            (UNKNOWN, "bytes", "unknown"),
            (f64::NAN, "bytes", "NaN"),
            (f64::NEG_INFINITY, "", "-∞"),
        ];
        for (value, unit, text) in cases {
            assert_eq!(format_value(value, unit), text, "{value} {unit}");
        }
    }

    #[test]
    fn the_marks_of_an_axis_share_one_prefix() {
        let scale = Scale::pick(2.0 * 1024.0 * 1024.0, "bytes");
        assert_eq!(scale.format(524_288.0, 1), "0.5 MiB");
        assert_eq!(scale.format(2_097_152.0, 1), "2.0 MiB");
        assert_eq!(Scale::pick(1500.0, "per second").format(500.0, 1), "0.5k/s");
        assert_eq!(Scale::pick(0.8, "ratio").format(0.8, 0), "80 %");
        assert_eq!(Scale::pick(7200.0, "seconds").format(1800.0, 1), "0.5 h");
        assert_eq!(Scale::pick(3.0, "").format(-0.01, 1), "0.0");
    }

    #[test]
    fn durations_are_written_by_their_two_largest_parts() {
        let cases = [
            (0, "0 s"),
            (45, "45 ms"),
            (1_000, "1 s"),
            (1_590, "1.5 s"),
            (59_999, "59 s"),
            (200_000, "3 min 20 s"),
            (3_600_000, "1 h"),
            (3_659_000, "1 h"),
            (187_200_000, "2 d 4 h"),
        ];
        for (millis, text) in cases {
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(format_duration(Duration::from_nanos(1_500)), "1 µs");
    }

    #[test]
    fn durations_are_read_with_units_only() {
        let cases = [
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("2d", 172_800_000),
            ("1.5h", 5_400_000),
            (" 3 min 20 s ", 200_000),
            ("1w", 604_800_000),
            ("0", 0),
        ];
        for (text, millis) in cases {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "10", "s", "10x", "-5s", "1..5s", "5s3", "9999999999999999y"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        let error = parse_duration("10").unwrap_err().to_string();
        assert!(error.starts_with(r#""10" is no duration: a unit is missing; write"#), "{error}");
    }

    #[test]
    fn durations_in_a_config_are_texts() {
        #[derive(serde::Deserialize, serde::Serialize)]
        struct Timing {
            #[serde(with = "humane")]
            interval: Duration,
            #[serde(default, with = "humane::option")]
            timeout: Option<Duration>,
        }
        let timing: Timing = serde_json::from_str(r#"{"interval":"1m30s"}"#).unwrap();
        assert_eq!((timing.interval.as_secs(), timing.timeout), (90, None));
        assert_eq!(serde_json::to_string(&timing).unwrap(), r#"{"interval":"90s","timeout":null}"#);
        assert!(serde_json::from_str::<Timing>(r#"{"interval":"90"}"#).is_err());
    }
}
