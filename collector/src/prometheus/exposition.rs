//! Pages of exporters: Prometheus' text format and `OpenMetrics`.
//!
//! Sources: `prometheus.io/docs/instrumenting/exposition_formats` (text 0.0.4), the `OpenMetrics`
//! 1.0 specification (`text format`), and for names in quotes Prometheus' `model/textparse`.

mod line;

use std::collections::HashMap;

use noroshi_model::{Kind, Labels, MetricMeta, Timestamp, Width};

use line::{Cursor, LineError};

/// Which of the two formats a page is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own: times in milliseconds.
    Text,
    /// `OpenMetrics`: times in seconds, `# EOF` at the end, units and exemplars.
    OpenMetrics,
}

impl Format {
    /// Tells the format from the header `Content-Type`; what is not `OpenMetrics` is text.
    pub fn of(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or("").trim();
        let is_open = kind.eq_ignore_ascii_case("application/openmetrics-text");
        if is_open { Self::OpenMetrics } else { Self::Text }
    }
}

/// One sample of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct PageSample {
    /// The series, `__name__` included.
    pub labels: Labels,
    /// When it was measured, if the page says so.
    pub at: Option<Timestamp>,
    /// The value; may be any NaN.
    pub value: f64,
}

/// What a page says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition {
    /// Its samples in their order.
    pub samples: Vec<PageSample>,
    /// What is known about the metrics, by the names of the samples and ordered by them: a
    /// histogram `h` gives three, `h_bucket`, `h_count` and `h_sum`.
    pub metas: Vec<MetricMeta>,
}

/// Why a page cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ExpositionError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What a page says about a family of metrics.
#[derive(Clone, Debug, Default)]
struct Family {
    kind: FamilyKind,
    help: String,
    unit: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum FamilyKind {
    #[default]
    Unknown,
    Gauge,
    Counter,
    Histogram,
    Summary,
}

/// Most labels of one sample; Prometheus has no bound of its own.
const LABELS_MAX: usize = 64;
/// Longest name and longest value of a label, in bytes.
const LABEL_BYTES_MAX: usize = 4096;

/// Reads a page. Errors: the first line that cannot be read spoils all.
pub fn parse(page: &str, format: Format) -> Result<Exposition, ExpositionError> {
    let mut families: HashMap<String, Family> = HashMap::new();
    let mut exposition = Exposition::default();
    let mut is_ended = false;
    for (index, text) in page.lines().enumerate() {
        let fail = |reason| ExpositionError { line: index + 1, reason };
        if is_ended {
            return Err(fail("there is more after # EOF"));
        }
        if let Some(comment) = text.trim_start_matches([' ', '\t']).strip_prefix('#') {
            is_ended = format == Format::OpenMetrics && comment == " EOF";
            read_comment(comment, &mut families).map_err(|error| fail(error.0))?;
        } else if !text.trim_ascii().is_empty() {
            let sample = read_sample(text, format).map_err(|error| fail(error.0))?;
            exposition.samples.push(sample);
        }
    }
    if format == Format::OpenMetrics && !is_ended {
        let line = page.lines().count();
        return Err(ExpositionError { line, reason: "# EOF is missing: the page was cut off" });
    }
    exposition.metas = metas(&exposition.samples, &families);
    Ok(exposition)
}

/// Reads what follows `#`: `HELP`, `TYPE` and `UNIT`; anything else is a comment.
fn read_comment(comment: &str, families: &mut HashMap<String, Family>) -> Result<(), LineError> {
    let mut cursor = Cursor::new(comment);
    cursor.skip_blanks();
    let word = cursor.word();
    if !matches!(word, "HELP" | "TYPE" | "UNIT") {
        return Ok(());
    }
    cursor.skip_blanks();
    let name = cursor.name()?;
    cursor.skip_blanks();
    let rest = cursor.rest();
    let family = families.entry(name).or_default();
    match word {
        "HELP" => family.help = line::unescaped(rest),
        "UNIT" => rest.trim().clone_into(&mut family.unit),
        _ => {
            family.kind = match rest.trim() {
                "gauge" | "info" | "stateset" | "gaugehistogram" => FamilyKind::Gauge,
                "counter" => FamilyKind::Counter,
                "histogram" => FamilyKind::Histogram,
                "summary" => FamilyKind::Summary,
                _ => FamilyKind::Unknown,
            }
        }
    }
    Ok(())
}

/// Reads `name{label="value",...} value [time] [# exemplar]`.
fn read_sample(text: &str, format: Format) -> Result<PageSample, LineError> {
    let mut cursor = Cursor::new(text);
    cursor.skip_blanks();
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !cursor.is_at('{') {
        pairs.push(("__name__".to_owned(), cursor.name()?));
        cursor.skip_blanks();
    }
    if cursor.take('{') {
        read_labels(&mut cursor, &mut pairs)?;
        cursor.skip_blanks();
    }
    if !pairs.iter().any(|(name, _)| name == "__name__") {
        return Err(LineError("the metric has no name"));
    }
    let value = line::number(cursor.word())?;
    cursor.skip_blanks();
    let at = match cursor.word() {
        "" => None,
        word if is_exemplar(word, format) => return sample(&pairs, None, value),
        word => Some(time(word, format)?),
    };
    cursor.skip_blanks();
    match cursor.word() {
        "" => sample(&pairs, at, value),
        word if is_exemplar(word, format) => sample(&pairs, at, value),
        _ => Err(LineError("there is more after the value and its time")),
    }
}

/// Tells whether an exemplar begins, which is an example of what was counted and not kept.
fn is_exemplar(word: &str, format: Format) -> bool {
    format == Format::OpenMetrics && word.starts_with('#')
}

fn sample(
    pairs: &[(String, String)],
    at: Option<Timestamp>,
    value: f64,
) -> Result<PageSample, LineError> {
    let labels = Labels::new(pairs.iter().map(|(name, value)| (name, value)));
    let kept = pairs.iter().filter(|(_, value)| !value.is_empty()).count();
    if labels.len() != kept {
        return Err(LineError("a label is there twice"));
    }
    Ok(PageSample { labels, at, value })
}

/// Reads labels up to `}`; a quoted text alone is the metric's name.
fn read_labels(
    cursor: &mut Cursor<'_>,
    pairs: &mut Vec<(String, String)>,
) -> Result<(), LineError> {
    loop {
        cursor.skip_blanks();
        if cursor.take('}') {
            return Ok(());
        }
        let is_quoted = cursor.is_at('"');
        let name = cursor.name()?;
        cursor.skip_blanks();
        if cursor.take('=') {
            cursor.skip_blanks();
            let value = cursor.quoted()?;
            pairs.push((name, value));
        } else if is_quoted && !pairs.iter().any(|(name, _)| name == "__name__") {
            pairs.push(("__name__".to_owned(), name));
        } else {
            return Err(LineError("a label has no value"));
        }
        let is_bounded = pairs.len() <= LABELS_MAX
            && pairs.last().is_some_and(|(n, v)| n.len().max(v.len()) <= LABEL_BYTES_MAX);
        if !is_bounded {
            return Err(LineError("there are too many labels, or one is too long"));
        }
        cursor.skip_blanks();
        if !cursor.take(',') && !cursor.is_at('}') {
            return Err(LineError("the labels are not closed by }"));
        }
    }
}

/// Reads a time: milliseconds in text, seconds with a fraction in `OpenMetrics`.
fn time(word: &str, format: Format) -> Result<Timestamp, LineError> {
    let wrong = LineError("the time is no number");
    match format {
        Format::Text => word.parse().map(Timestamp::from_millis).map_err(|_| wrong),
        Format::OpenMetrics => {
            let seconds: f64 = word.parse().map_err(|_| wrong.clone())?;
            seconds.is_finite().then(|| Timestamp::from_secs_f64(seconds)).ok_or(wrong)
        }
    }
}

// ----------------------------------------------------------------------------------------- metas

/// Returns what is known of each name that samples have.
fn metas(samples: &[PageSample], families: &HashMap<String, Family>) -> Vec<MetricMeta> {
    let mut names: Vec<&str> = samples.iter().map(|sample| sample.labels.name()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().filter_map(|name| meta(name, families)).collect()
}

/// The endings that samples of a family have behind the family's name, and what they are.
const PARTS: [(&str, FamilyKind, Kind); 8] = [
    ("_bucket", FamilyKind::Histogram, Kind::Histogram),
    ("_count", FamilyKind::Histogram, Kind::Histogram),
    ("_sum", FamilyKind::Histogram, Kind::Histogram),
    ("_count", FamilyKind::Summary, Kind::Counter(Width::Float)),
    ("_sum", FamilyKind::Summary, Kind::Counter(Width::Float)),
    ("_total", FamilyKind::Counter, Kind::Counter(Width::Float)),
    ("_bucket", FamilyKind::Gauge, Kind::Gauge),
    ("_info", FamilyKind::Gauge, Kind::Gauge),
];

fn meta(name: &str, families: &HashMap<String, Family>) -> Option<MetricMeta> {
    let whole = families.get(name).map(|family| (family, whole_kind(name, family.kind)));
    let part = || {
        PARTS.iter().find_map(|(ending, of, kind)| {
            let family = families.get(name.strip_suffix(ending)?)?;
            (family.kind == *of).then_some((family, *kind))
        })
    };
    let (family, kind) = whole.or_else(part)?;
    let (unit, help) = (family.unit.clone(), family.help.clone());
    Some(MetricMeta { name: name.to_owned(), kind, unit: with_unit(unit, name), help })
}

fn whole_kind(name: &str, kind: FamilyKind) -> Kind {
    match kind {
        FamilyKind::Gauge => Kind::Gauge,
        FamilyKind::Counter => Kind::Counter(Width::Float),
        FamilyKind::Histogram => Kind::Histogram,
        FamilyKind::Summary => Kind::Summary,
        // Who says nothing but ends the name so means a counter.
        FamilyKind::Unknown if name.ends_with("_total") => Kind::Counter(Width::Float),
        FamilyKind::Unknown => Kind::Untyped,
    }
}

/// Returns the unit that is said, or the base unit that the name ends with.
fn with_unit(unit: String, name: &str) -> String {
    const BASE: [&str; 7] = ["seconds", "bytes", "ratio", "celsius", "volts", "amperes", "joules"];
    let stem = name.trim_end_matches("_total");
    let ending = BASE.iter().find(|base| stem.ends_with(*base) && unit.is_empty());
    ending.map_or(unit, |base| (*base).to_owned())
}

#[cfg(test)]
mod tests;
