//! Expression checks: values of stored series against thresholds, with hysteresis.
//!
//! Three answers are kept apart: fine, a problem, and unknown. Missing data is never fine: neither
//! when the whole expression has none, nor when one series that was over a threshold falls silent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use noroshi_expr::{Absence, BinaryOp, Engine, Expr, Value, parse};
use noroshi_model::quantity::{format_duration, format_value};
use noroshi_model::{Labels, Perfdata, Range, SeriesSource, Status, Timestamp, Unit};

use super::finding::Finding;
use super::{Compare, ExpressionProbe, Judge, Missing, Threshold};
use crate::state::Over;

/// How many series the first line names.
const NAMED_MAX: usize = 4;
/// How many series the further lines list, and have performance data.
const LISTED_MAX: usize = 200;
/// How long a series that was over a threshold and fell silent keeps the check unknown. After that
/// it is taken to be gone for good (a file system that was unmounted).
const SILENCE_MAX: Duration = Duration::from_hours(1);
/// Labels that name no series unless the series differ in them.
const COMMON_LABELS: [&str; 3] = ["__name__", "instance", "job"];

/// An expression check made ready: parsed, with its thresholds.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    /// The expression whose values are judged, as text.
    pub(crate) text: String,
    expr: Result<Expr, String>,
    pub(crate) warning: Option<Threshold>,
    pub(crate) critical: Option<Threshold>,
    /// Every series is a problem of this status.
    firing: Option<Status>,
    unit: String,
    name_labels: Vec<String>,
    meaning: String,
    missing: Missing,
}

impl Judged {
    /// Parses the expression and finds its thresholds.
    pub(crate) fn new(probe: &ExpressionProbe) -> Self {
        let parsed = parse(&probe.expr).map_err(|error| error.to_string());
        let mut judged = Self {
            text: probe.expr.clone(),
            expr: parsed,
            warning: None,
            critical: None,
            firing: None,
            unit: probe.unit.clone(),
            name_labels: probe.name_labels.clone(),
            meaning: probe.meaning.clone(),
            missing: probe.missing,
        };
        match &probe.judge {
            Judge::Thresholds { warning, critical } => {
                (judged.warning, judged.critical) = (*warning, *critical);
            }
            Judge::Firing { status } => judged.split(*status),
        }
        judged
    }

    /// Makes a threshold of a comparison at the top, so that the value is known in any case.
    fn split(&mut self, status: Status) {
        let split = self.expr.as_ref().ok().and_then(Expr::split_comparison);
        let Some((left, op, value)) = split else {
            self.firing = Some(status);
            return;
        };
        let op = match op {
            BinaryOp::Greater => Compare::Above,
            BinaryOp::GreaterEqual => Compare::AtLeast,
            BinaryOp::Less => Compare::Below,
            BinaryOp::LessEqual => Compare::AtMost,
            BinaryOp::NotEqual => Compare::NotEqual,
            _ => Compare::Equal,
        };
        let threshold = Some(Threshold { op, value, leave: None });
        match status {
            Status::Warning => self.warning = threshold,
            _ => self.critical = threshold,
        }
        self.text = left.to_string();
        self.expr = Ok(left);
    }

    /// Evaluates and judges. Blocking: it reads stored series.
    ///
    /// `before`: which series were over a threshold, from the finding before this one.
    pub(crate) fn look(
        &self,
        engine: &Engine,
        source: &dyn SeriesSource,
        before: &BTreeMap<String, Over>,
        now: Timestamp,
    ) -> Finding {
        let expr = match &self.expr {
            Ok(expr) => expr,
            Err(error) => return Finding::own_fault(format!("the expression is wrong: {error}")),
        };
        let evaluated = match engine.instant(source, expr, now) {
            Ok(evaluated) => evaluated,
            Err(error) => {
                let mut finding = Finding::own_fault(format!(
                    "cannot evaluate: {}",
                    noroshi_model::chain(&error)
                ));
                finding.over = Some(before.clone());
                return finding;
            }
        };
        let values: Vec<(Labels, f64)> = match evaluated.value {
            Value::Scalar { value, .. } => vec![(Labels::empty(), value)],
            Value::Vector(samples) => samples.into_iter().map(|s| (s.labels, s.value)).collect(),
            Value::Text(_) | Value::Matrix(_) => {
                return Finding::unknown("the expression gives no numbers to judge");
            }
        };
        if values.is_empty() && evaluated.absence != Absence::EmptyByComparison {
            return self.absent(evaluated.absence, before, now);
        }
        self.judge(&values, before, now)
    }

    /// Says that there is no data, and since when.
    fn absent(&self, absence: Absence, before: &BTreeMap<String, Over>, now: Timestamp) -> Finding {
        let (status, text) = match (self.missing, absence) {
            (Missing::Ok, _) => (Status::Ok, "nothing to report".to_owned()),
            (Missing::Unknown, Absence::SilentSince(since)) => {
                (Status::Unknown, format!("no data {}", since_text(since, now)))
            }
            (Missing::Unknown, _) => {
                (Status::Unknown, "no data: no such series was ever received".to_owned())
            }
        };
        let mut finding = Finding::new(status, text);
        finding.over = Some(before.clone());
        finding
    }

    /// Judges each series and words what was found.
    fn judge(
        &self,
        values: &[(Labels, f64)],
        before: &BTreeMap<String, Over>,
        now: Timestamp,
    ) -> Finding {
        let names = names(values, &self.name_labels);
        let mut over = BTreeMap::new();
        let mut judged: Vec<Series<'_>> = Vec::with_capacity(values.len());
        for ((labels, value), name) in values.iter().zip(&names) {
            let key = labels.to_string();
            let was = before.get(&key).map(|over| over.status);
            let status = self.status_of(*value, was);
            if status.is_problem() {
                // What is unknown for once has not left the side of the problem.
                let status = was.filter(|_| value.is_nan()).unwrap_or(status);
                over.insert(key, Over { status, seen: now });
            }
            judged.push(Series { name, value: *value, status });
        }
        let known: BTreeSet<String> = values.iter().map(|(l, _)| l.to_string()).collect();
        let silent = before
            .iter()
            .filter(|(key, over)| !known.contains(*key) && now.since(over.seen) < SILENCE_MAX);
        let silent: Vec<(String, Over)> = silent.map(|(k, o)| (k.clone(), *o)).collect();
        let mut finding = self.word(judged);
        for (key, was) in silent {
            finding.worsen(Status::Unknown);
            let note = format!("{key}: no data {}", since_text(was.seen, now));
            if finding.status == Status::Unknown {
                finding.output.clone_from(&note);
            }
            push_line(&mut finding.long_output, &note);
            over.insert(key, was);
        }
        finding.over = Some(over);
        finding
    }

    /// Judges one value. A series that was over stays so until it leaves the problem's side.
    fn status_of(&self, value: f64, was: Option<Status>) -> Status {
        if value.is_nan() {
            return Status::Unknown;
        }
        if let Some(status) = self.firing {
            return status;
        }
        let is_over = |threshold: Option<Threshold>, was_over: bool| {
            threshold.is_some_and(|t| {
                let leave = t.leave.filter(|_| was_over).unwrap_or(t.value);
                t.op.holds(value, t.value) || t.op.holds(value, leave)
            })
        };
        if is_over(self.critical, was == Some(Status::Critical)) {
            Status::Critical
        } else if is_over(self.warning, was.is_some_and(|s| s != Status::Unknown)) {
            Status::Warning
        } else {
            Status::Ok
        }
    }

    /// Words what was found: the first line names what is over, or the series nearest to it.
    fn word(&self, mut judged: Vec<Series<'_>>) -> Finding {
        if judged.is_empty() {
            return Finding::new(Status::Ok, "nothing matches");
        }
        let op = self.critical.or(self.warning).map(|threshold| threshold.op);
        let is_low_bad = matches!(op, Some(Compare::Below | Compare::AtMost));
        judged.sort_by(|a, b| {
            let (x, y) = if is_low_bad { (a, b) } else { (b, a) };
            let by_value = x.value.total_cmp(&y.value);
            b.status.severity().cmp(&a.status.severity()).then(by_value)
        });
        let worst = judged[0].status;
        let problems = judged.iter().filter(|series| series.status.is_problem()).count();
        let mut parts: Vec<String> = Vec::new();
        let shown = if problems == 0 { 1 } else { problems.min(NAMED_MAX) };
        for series in &judged[..shown] {
            parts.push(format!("{}{}", self.plain(series), self.limit_text(series.status)));
        }
        if problems > NAMED_MAX {
            parts.push(format!("and {} more", problems - NAMED_MAX));
        }
        let mut output = parts.join(", ");
        if problems == 0 && judged.len() > 1 {
            let end = if is_low_bad { "lowest" } else { "highest" };
            output = format!("all {} fine, {end}: {output}", judged.len());
        }
        let mut finding = Finding::new(worst, output);
        if judged.len() > 1 {
            for series in judged.iter().take(LISTED_MAX) {
                let line = format!("{} {}", series.status, self.plain(series));
                push_line(&mut finding.long_output, &line);
            }
        }
        finding.perfdata =
            judged.iter().take(LISTED_MAX).map(|series| self.perfdata(series)).collect();
        finding
    }

    /// Writes a series with its value: `/var 93.1 % used`.
    fn plain(&self, series: &Series<'_>) -> String {
        let value = format_value(series.value, &self.unit);
        let words = [series.name.as_str(), &value, &self.meaning];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.join(" ")
    }

    /// Writes the threshold that was crossed: ` (warning above 90 %)`.
    fn limit_text(&self, status: Status) -> String {
        let threshold = match status {
            Status::Warning => self.warning,
            Status::Critical => self.critical,
            _ => None,
        };
        let Some(threshold) = threshold else { return String::new() };
        let words = match threshold.op {
            Compare::Above => "above",
            Compare::AtLeast => "from",
            Compare::Below => "below",
            Compare::AtMost => "up to",
            Compare::Equal => "at",
            Compare::NotEqual => "at other than",
        };
        format!(" ({status} {words} {})", format_value(threshold.value, &self.unit))
    }

    fn perfdata(&self, series: &Series<'_>) -> Perfdata {
        let unit = match self.unit.as_str() {
            "" | "ratio" => Unit::None,
            "seconds" => Unit::Seconds,
            "bytes" => Unit::Bytes,
            "bits" => Unit::Bits,
            "percent" => Unit::Percent,
            other => Unit::Other(other.to_owned()),
        };
        Perfdata {
            label: if series.name.is_empty() { "value".to_owned() } else { series.name.clone() },
            value: Some(series.value).filter(|value| value.is_finite()),
            unit,
            warning: self.warning.and_then(range),
            critical: self.critical.and_then(range),
            min: None,
            max: None,
        }
    }
}

/// One judged series.
struct Series<'a> {
    name: &'a String,
    value: f64,
    status: Status,
}

/// Writes a threshold as a range of the plug-in guidelines; `None` for those that have none.
fn range(threshold: Threshold) -> Option<Range> {
    let value = threshold.value;
    let (start, end) = match threshold.op {
        Compare::Above | Compare::AtLeast => (f64::NEG_INFINITY, value),
        Compare::Below | Compare::AtMost => (value, f64::INFINITY),
        Compare::Equal | Compare::NotEqual => return None,
    };
    Some(Range { start, end, is_inside: false })
}

/// Names each series by the labels asked for, or by those in which the series differ.
fn names(values: &[(Labels, f64)], wanted: &[String]) -> Vec<String> {
    let differing: Vec<String> =
        if wanted.is_empty() { differing(values) } else { wanted.to_vec() };
    let name = |labels: &Labels| {
        let parts: Vec<&str> = differing.iter().filter_map(|name| labels.get(name)).collect();
        parts.join(" ")
    };
    values.iter().map(|(labels, _)| name(labels)).collect()
}

fn differing(values: &[(Labels, f64)]) -> Vec<String> {
    let all: BTreeSet<&str> =
        values.iter().flat_map(|(labels, _)| labels.iter().map(|(name, _)| name)).collect();
    let differs = |name: &&str| {
        let mut seen = values.iter().map(|(labels, _)| labels.get(name));
        let first = seen.next().flatten();
        seen.any(|value| value != first)
    };
    let (common, own): (Vec<&str>, Vec<&str>) =
        all.into_iter().filter(differs).partition(|name| COMMON_LABELS.contains(name));
    let chosen = if own.is_empty() { common } else { own };
    chosen.into_iter().map(str::to_owned).collect()
}

/// Writes since when, as a moment in UTC and as a span.
fn since_text(since: Timestamp, now: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(since.as_millis())
        .map_or_else(|_| since.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    format!("since {moment} ({})", format_duration(now.since(since)))
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

#[cfg(test)]
mod tests;
