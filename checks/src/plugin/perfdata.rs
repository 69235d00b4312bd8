//! The grammar of performance data: `'label'=value[UOM];[warn];[crit];[min];[max]`.
//!
//! Source: Monitoring Plugins, developer guidelines, "Performance data"; Nagios Plugin API. What
//! cannot be read is left out by itself: one bad item spoils no other. Values, thresholds and
//! bounds are scaled to base units, because some plug-ins change the unit with the size.
//! `KB`, `MB`, ... are powers of 1024: that is what `check_disk` and `check_swap` mean by them
//! (`lib/utils_disk.c`, `mult = 1024 * 1024` for `MB`). Bits and everything else with a decimal
//! prefix are powers of 1000.

use noroshi_model::{Perfdata, Range, Unit};

/// How many items of one output are kept; the rest is left out.
const ITEMS_MAX: usize = 1024;
/// How long a label may be; a longer item is left out.
const LABEL_BYTES_MAX: usize = 256;
/// How long a unit may be.
const UNIT_CHARS_MAX: usize = 16;

/// Reads performance data. Items that are not understood are left out.
pub fn parse_perfdata(text: &str) -> Vec<Perfdata> {
    let mut items = Vec::new();
    let mut rest = unquoted(text.trim());
    while items.len() < ITEMS_MAX {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let (item, after) = match quoted_label(rest) {
            Some((label, after)) => value_of(label, after),
            None => plain(rest),
        };
        rest = after;
        items.extend(item);
    }
    items
}

/// Takes double quotes off that enclose all of it: left over from a shell.
fn unquoted(text: &str) -> &str {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.filter(|inner| !inner.contains('"')).unwrap_or(text)
}

/// Reads `'label'=`; two quotes stand for one. Returns the label and what follows the `=`.
fn quoted_label(text: &str) -> Option<(String, &str)> {
    let mut label = String::new();
    let mut chars = text.strip_prefix('\'')?.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '\'' {
            label.push(c);
            continue;
        }
        if chars.peek().is_some_and(|(_, next)| *next == '\'') {
            chars.next();
            label.push('\'');
            continue;
        }
        // One for the opening quote, one for the closing one.
        let after = text.get(at + 2..)?;
        return after.strip_prefix('=').map(|after| (label, after));
    }
    None
}

/// Reads an item whose label has no quotes: it ends at white space.
fn plain(text: &str) -> (Option<Perfdata>, &str) {
    let (word, after) = first_word(text);
    let item = word.split_once('=').and_then(|(label, value)| value_of(label.to_owned(), value).0);
    (item, after)
}

/// Reads `value[UOM];...` up to white space. Returns what follows.
fn value_of(label: String, text: &str) -> (Option<Perfdata>, &str) {
    let (word, after) = first_word(text);
    (item(label, word), after)
}

fn first_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

fn item(label: String, text: &str) -> Option<Perfdata> {
    if label.is_empty() || label.len() > LABEL_BYTES_MAX {
        return None;
    }
    // A comma at the end divides items in the output of some programs.
    let mut fields = text.trim_end_matches(',').split(';');
    let (value, unit) = value_and_unit(fields.next()?)?;
    let (unit, scale) = base_unit(unit);
    let mut range = || fields.next().and_then(parse_range).map(|range| scaled(range, scale));
    let (warning, critical) = (range(), range());
    let mut bound = || fields.next().and_then(number).map(|bound| scale.apply(bound));
    let (min, max) = (bound(), bound());
    Some(Perfdata {
        label,
        value: value.map(|v| scale.apply(v)),
        unit,
        warning,
        critical,
        min,
        max,
    })
}

/// Reads a value with its unit; `U` is a value that the plug-in could not determine.
fn value_and_unit(text: &str) -> Option<(Option<f64>, &str)> {
    if text == "U" {
        return Some((None, ""));
    }
    let end = number_end(text.as_bytes());
    let (value, unit) = (number(text.get(..end)?)?, text.get(end..)?);
    let is_unit = |c: char| c.is_alphabetic() || matches!(c, '%' | '/' | '°' | '²' | '³');
    let is_fine = unit.chars().count() <= UNIT_CHARS_MAX && unit.chars().all(is_unit);
    is_fine.then_some((Some(value), unit))
}

/// Returns where the number at the start of the text ends.
///
/// An `e` belongs to it only when an exponent follows: `1EWh` is one exawatt hour.
fn number_end(text: &[u8]) -> usize {
    let digits =
        |from: usize| from + text.iter().skip(from).take_while(|b| b.is_ascii_digit()).count();
    let signed = |at: usize| at + usize::from(matches!(text.get(at), Some(b'+' | b'-')));
    let mut end = digits(signed(0));
    if text.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let exponent = signed(end + 1);
        let exponent_end = digits(exponent);
        if exponent_end > exponent {
            end = exponent_end;
        }
    }
    end
}

/// Reads a number; only finite ones with at least one digit.
fn number(text: &str) -> Option<f64> {
    let is_number = !text.is_empty() && number_end(text.as_bytes()) == text.len();
    let has_digit = text.bytes().any(|b| b.is_ascii_digit());
    let value: f64 = (is_number && has_digit).then(|| text.parse().ok())??;
    value.is_finite().then_some(value)
}

/// Reads a threshold range: `[@][start:]end`; `None` when it is empty or no range.
///
/// Source: Monitoring Plugins, developer guidelines, "Threshold and Ranges".
pub fn parse_range(text: &str) -> Option<Range> {
    let (is_inside, text) = match text.strip_prefix('@') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (start, end) = match text.split_once(':') {
        None => (0.0, number(text)?),
        Some((start, end)) => {
            if start.is_empty() && end.is_empty() {
                return None;
            }
            let start = match start {
                "~" => f64::NEG_INFINITY,
                "" => 0.0,
                start => number(start)?,
            };
            (start, if end.is_empty() { f64::INFINITY } else { number(end)? })
        }
    };
    (start <= end).then_some(Range { start, end, is_inside })
}

fn scaled(range: Range, scale: Scale) -> Range {
    Range { start: scale.apply(range.start), end: scale.apply(range.end), ..range }
}

/// How a value is brought to its base unit. Dividing by 1000 is exact to the last digit where
/// multiplying by 0.001 is not.
#[derive(Clone, Copy)]
enum Scale {
    Times(f64),
    By(f64),
}

impl Scale {
    fn apply(self, value: f64) -> f64 {
        match self {
            Self::Times(factor) => value * factor,
            Self::By(divisor) => value / divisor,
        }
    }
}

/// Returns the base unit and how a value is brought to it.
fn base_unit(unit: &str) -> (Unit, Scale) {
    let same = Scale::Times(1.0);
    let seconds = |factor| (Unit::Seconds, Scale::Times(factor));
    let parts = |divisor| (Unit::Seconds, Scale::By(divisor));
    match unit {
        "" => return (Unit::None, same),
        "%" => return (Unit::Percent, same),
        "c" => return (Unit::Counter, same),
        "s" => return (Unit::Seconds, same),
        "ms" => return parts(1e3),
        "us" | "µs" | "μs" => return parts(1e6),
        "ns" => return parts(1e9),
        // As Icinga 2 reads them (`lib/base/perfdatavalue.cpp`).
        "m" => return seconds(60.0),
        "h" => return seconds(3600.0),
        "d" => return seconds(86_400.0),
        _ => {}
    }
    if let Some(found) = physical(unit) {
        return found;
    }
    let last = unit.char_indices().next_back().map_or(0, |(at, _)| at);
    let (prefix, base) = unit.split_at(last);
    let (is_binary, prefix) = match prefix.strip_suffix('i') {
        Some(prefix) if !prefix.is_empty() => (true, prefix),
        _ => (false, prefix),
    };
    let power = match prefix {
        "" if !is_binary => Some(0),
        "k" | "K" => Some(1),
        "M" => Some(2),
        "G" => Some(3),
        "T" => Some(4),
        "P" => Some(5),
        "E" => Some(6),
        _ => None,
    };
    match (base, power) {
        ("B", Some(power)) => (Unit::Bytes, Scale::Times(1024_f64.powi(power))),
        ("b", Some(power)) if is_binary => (Unit::Bits, Scale::Times(1024_f64.powi(power))),
        ("b", Some(power)) => (Unit::Bits, Scale::Times(1000_f64.powi(power))),
        _ => (Unit::Other(unit.to_owned()), same),
    }
}

/// Units of what is measured, whose prefixes are powers of 1000.
///
/// Source: Icinga 2 `lib/base/perfdatavalue.cpp`: ampere, ohm, volt, watt, watt hours, ampere
/// seconds, grams, litres. There they count in any case; here `mW` and `MW` are told apart.
const PHYSICAL: [&str; 8] = ["Wh", "As", "A", "O", "V", "W", "g", "l"];

/// Returns the base unit of a physical unit and how a value is brought to it.
fn physical(unit: &str) -> Option<(Unit, Scale)> {
    let base = PHYSICAL.into_iter().find(|base| unit.ends_with(base))?;
    let scale = match unit.strip_suffix(base)? {
        "" => Scale::Times(1.0),
        "n" => Scale::By(1e9),
        "u" | "µ" | "μ" => Scale::By(1e6),
        "m" => Scale::By(1e3),
        "h" if base == "l" => Scale::Times(100.0),
        "k" | "K" => Scale::Times(1e3),
        "M" => Scale::Times(1e6),
        "G" => Scale::Times(1e9),
        "T" => Scale::Times(1e12),
        "P" => Scale::Times(1e15),
        "E" => Scale::Times(1e18),
        _ => return None,
    };
    Some((Unit::Other(base.to_owned()), scale))
}

#[cfg(test)]
mod tests;
