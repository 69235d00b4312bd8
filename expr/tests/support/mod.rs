//! A small text language for tests of the evaluator. One file holds many cases:
//!
//! ```text
//! # a comment
//! clear                          forget all series
//! load 10s                       series and their values, from 0 on, 10 s apart
//!   name{label="value"} 1 2 _ stale 5+2x3 7x2
//! archive 1m until 10m           what is older becomes rows of 1 m (a name: only that metric)
//! at 5m: expr                    evaluates at one moment ...
//!   {label="value"} 1.5          ... and expects these series, in any order
//! range 0 10m 1m: expr           evaluates at many moments
//!   {label="value"} 1 2 _ 4
//! ```
//!
//! `5+2x3` is 5, 7, 9, 11; `7x2` is 7, 7, 7; `_` is nothing, `_x3` three times nothing. Expected
//! lines other than series: `scalar 5`, `text "..."`, `empty REASON` with the reason of absence,
//! `fail TEXT` and `warn TEXT` (a part of the message), `ordered` (the order of the series counts).

pub(crate) mod rows;

use std::fmt::Write as _;
use std::time::Duration;

use noroshi_expr::{
    Absence, Engine, Evaluated, Expr, MemorySeries, RangeSeries, Selector, Value, parse,
};
use noroshi_model::seam::Segment;
use noroshi_model::{Labels, MatcherOp, SeriesData, Timestamp, UNKNOWN};

/// Runs all cases of one file; returns what was wrong, one text each, and how many cases ran.
pub(crate) fn run(name: &str, text: &str) -> (Vec<String>, usize) {
    let mut runner = Runner { source: MemorySeries::new(), failures: Vec::new(), cases: 0 };
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let line = line.split(" # ").next().unwrap_or("").trim_end();
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut block = Vec::new();
        while let Some((_, next)) = lines.next_if(|(_, next)| next.starts_with([' ', '\t'])) {
            let next = next.split(" # ").next().unwrap_or("").trim();
            if !next.is_empty() && !next.starts_with('#') {
                block.push(next);
            }
        }
        if let Err(problem) = runner.command(line, &block) {
            runner.failures.push(format!("{name}:{}: {line}\n    {problem}", number + 1));
        }
    }
    (runner.failures, runner.cases)
}

struct Runner {
    source: MemorySeries,
    failures: Vec<String>,
    cases: usize,
}

impl Runner {
    fn command(&mut self, line: &str, block: &[&str]) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "clear" => self.source = MemorySeries::new(),
            "load" => {
                let step = millis(rest)?;
                for series in block {
                    let (labels, at, value) = series_line(series, step)?;
                    let samples = at.iter().map(|at| Timestamp::from_millis(*at)).zip(value);
                    self.source.add(&labels, samples);
                }
            }
            "archive" => self.archive(rest)?,
            "at" => {
                self.cases += 1;
                let (at, expr) = rest.split_once(':').ok_or("no colon")?;
                let at = Timestamp::from_millis(millis(at)?);
                self.check(expr, block, |source, expr| {
                    Engine::default().instant(source, expr, at)
                })?;
            }
            "range" => {
                self.cases += 1;
                let (span, expr) = rest.split_once(':').ok_or("no colon")?;
                let span: Vec<i64> = span.split(' ').map(millis).collect::<Result<_, _>>()?;
                let [start, end, step] = span[..] else { return Err("no span".into()) };
                let moments = (Timestamp::from_millis(start), Timestamp::from_millis(end));
                let step = Duration::from_millis(step as u64);
                self.check(expr, block, |source, expr| {
                    Engine::default().range(source, expr, moments, step)
                })?;
            }
            _ => return Err(format!("unknown command {word:?}")),
        }
        Ok(())
    }

    fn check(
        &self,
        expr: &str,
        block: &[&str],
        evaluate: impl Fn(&MemorySeries, &Expr) -> Result<Evaluated, noroshi_expr::EvalError>,
    ) -> Result<(), String> {
        let wanted_failure = block.iter().find_map(|line| line.strip_prefix("fail "));
        let evaluated = parse(expr.trim())
            .map_err(|error| error.to_string())
            .and_then(|expr| evaluate(&self.source, &expr).map_err(|error| error.to_string()));
        match (wanted_failure, evaluated) {
            (Some(part), Err(message)) if message.contains(part) => Ok(()),
            (Some(part), Err(message)) => Err(format!("failed with {message:?}, not {part:?}")),
            (Some(part), Ok(got)) => Err(format!("did not fail with {part:?} but gave {got:?}")),
            (None, Err(message)) => Err(format!("failed: {message}")),
            (None, Ok(evaluated)) => compare(&evaluated, block),
        }
    }

    /// Turns samples into rows, by the naive method: `STEP until MOMENT [NAME]`.
    fn archive(&mut self, rest: &str) -> Result<(), String> {
        let words: Vec<&str> = rest.split(' ').collect();
        let [step, "until", until, names @ ..] = &words[..] else {
            return Err("archive STEP until MOMENT [NAME]".to_owned());
        };
        let (step, until) = (millis(step)?, millis(until)?);
        let mut archived = MemorySeries::new();
        for (labels, segments) in self.source.iter() {
            let is_meant = names.is_empty() || names.contains(&labels.name());
            let segments = match segments {
                [Segment::Raw(raw)] if is_meant => rows::consolidated(raw, step, until),
                other => other.to_vec(),
            };
            archived.insert(SeriesData { labels: labels.clone(), segments });
        }
        self.source = archived;
        Ok(())
    }
}

/// Reads `5m` or a number of seconds.
fn millis(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    match parse(digits) {
        Ok(Expr::Number(seconds)) => Ok(sign * (seconds * 1000.0).round() as i64),
        _ => Err(format!("{text:?} is no duration")),
    }
}

/// Reads `name{label="value"} VALUES`; values are `step` apart, from 0 on.
fn series_line(line: &str, step: i64) -> Result<(Labels, Vec<i64>, Vec<f64>), String> {
    let (labels, values) = labels_and_rest(line)?;
    let (mut at, mut value) = (Vec::new(), Vec::new());
    for (index, known) in values_of(values)?.into_iter().enumerate() {
        if let Some(known) = known {
            at.push(index as i64 * step);
            value.push(known);
        }
    }
    Ok((labels, at, value))
}

/// Splits a line behind the series.
fn labels_and_rest(line: &str) -> Result<(Labels, &str), String> {
    let mut is_quoted = false;
    let mut depth = 0;
    let end = line
        .char_indices()
        .find(|(_, c)| {
            match c {
                '"' => is_quoted = !is_quoted,
                '{' if !is_quoted => depth += 1,
                '}' if !is_quoted => depth -= 1,
                _ => {}
            }
            *c == ' ' && depth == 0 && !is_quoted
        })
        .map_or(line.len(), |(at, _)| at);
    let (series, rest) = line.split_at(end);
    if series == "{}" {
        return Ok((Labels::empty(), rest));
    }
    let Ok(Expr::Selector(Selector { matchers, .. })) = parse(series) else {
        return Err(format!("{series:?} is no series"));
    };
    if matchers.iter().any(|matcher| matcher.op() != MatcherOp::Equal) {
        return Err(format!("{series:?} is no series"));
    }
    Ok((Labels::new(matchers.iter().map(|m| (m.name(), m.value()))), rest))
}

/// Reads values; `None` where there is none.
fn values_of(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut values = Vec::new();
    for word in text.split_whitespace() {
        let (value, times) = match word.rsplit_once('x') {
            Some((value, times)) => {
                (value, Some(times.parse::<usize>().map_err(|_| format!("bad value {word:?}"))?))
            }
            None => (word, None),
        };
        if value == "_" {
            values.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        let signs = value
            .char_indices()
            .skip(1)
            .filter(|(at, c)| matches!(c, '+' | '-') && !value[..*at].ends_with(['e', 'E']));
        let (first, step) = match signs.map(|(at, _)| at).next() {
            Some(at) => (number(&value[..at])?, number(&value[at..])?),
            None => (number(value)?, 0.0),
        };
        for index in 0..=times.unwrap_or(0) {
            let value = if step == 0.0 { first } else { first + step * index as f64 };
            values.push(Some(value));
        }
    }
    Ok(values)
}

fn number(text: &str) -> Result<f64, String> {
    match text {
        "stale" => Ok(UNKNOWN),
        _ => text.parse().map_err(|_| format!("bad value {text:?}")),
    }
}

/// Compares a result with the expected lines.
fn compare(got: &Evaluated, block: &[&str]) -> Result<(), String> {
    let mut expected: Vec<(Labels, Vec<Option<f64>>)> = Vec::new();
    let (mut is_ordered, mut absence, mut warnings) = (false, None, Vec::new());
    for line in block {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "ordered" => is_ordered = true,
            "empty" => absence = Some(rest),
            "warn" => warnings.push(rest),
            "scalar" => expected.push((Labels::empty(), values_of(rest)?)),
            "text" => {
                return match &got.value {
                    Value::Text(text) if format!("{text:?}") == rest => Ok(()),
                    other => Err(format!("got {other:?}, expected {rest}")),
                };
            }
            _ => {
                let (labels, rest) = labels_and_rest(line)?;
                expected.push((labels, values_of(rest)?));
            }
        }
    }
    check_warnings(&got.warnings, &warnings)?;
    let is_scalar = matches!(got.value, Value::Scalar { .. });
    if is_scalar != block.iter().any(|line| line.starts_with("scalar")) && !is_range(got) {
        return Err(format!("got {:?}", got.value));
    }
    if let Value::Vector(samples) = &got.value {
        let reason = reason(got.absence);
        if samples.is_empty() != (got.absence != Absence::None) {
            return Err(format!("{} series and absence {reason:?}", samples.len()));
        }
        if absence.is_some_and(|wanted| !wanted.is_empty() && wanted != reason) {
            return Err(format!("empty for another reason: {reason}"));
        }
    }
    compare_series(rows_of(&got.value), expected, is_ordered)
}

fn is_range(got: &Evaluated) -> bool {
    matches!(got.value, Value::Matrix(_))
}

fn reason(absence: Absence) -> String {
    match absence {
        Absence::SilentSince(at) => format!("silent since {}", at.as_secs_f64()),
        other => other.as_str().to_owned(),
    }
}

fn check_warnings(got: &[String], wanted: &[&str]) -> Result<(), String> {
    let is_met = |part: &&str| got.iter().any(|warning| warning.contains(*part));
    if !wanted.iter().all(is_met) || got.len() > wanted.len() {
        return Err(format!("got the warnings {got:?}"));
    }
    Ok(())
}

/// Returns each series with its values; moments without a value are left out of both sides.
fn rows_of(value: &Value) -> Vec<(Labels, Vec<f64>)> {
    let of_range = |series: &RangeSeries| (series.labels.clone(), series.value.clone());
    match value {
        Value::Scalar { value, .. } => vec![(Labels::empty(), vec![*value])],
        Value::Text(_) => Vec::new(),
        Value::Vector(samples) => {
            samples.iter().map(|sample| (sample.labels.clone(), vec![sample.value])).collect()
        }
        Value::Matrix(series) => series.iter().map(of_range).collect(),
    }
}

fn compare_series(
    mut got: Vec<(Labels, Vec<f64>)>,
    expected: Vec<(Labels, Vec<Option<f64>>)>,
    is_ordered: bool,
) -> Result<(), String> {
    let mut expected: Vec<(Labels, Vec<f64>)> = expected
        .into_iter()
        .map(|(labels, values)| (labels, values.into_iter().flatten().collect()))
        .collect();
    if !is_ordered {
        got.sort_by(|a, b| a.0.cmp(&b.0));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
    }
    let is_same = got.len() == expected.len()
        && got.iter().zip(&expected).all(|(got, expected)| {
            got.0 == expected.0
                && got.1.len() == expected.1.len()
                && got.1.iter().zip(&expected.1).all(|(a, b)| is_near(*a, *b))
        });
    if is_same {
        return Ok(());
    }
    let mut text = String::from("got");
    for (labels, values) in got {
        let values: Vec<String> = values.iter().map(f64::to_string).collect();
        write!(text, "\n        {labels} {}", values.join(" ")).map_err(|e| e.to_string())?;
    }
    Err(text)
}

/// Tells whether two numbers are equal but for rounding.
pub(crate) fn is_near(a: f64, b: f64) -> bool {
    a == b
        || (a.is_nan() && b.is_nan())
        || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
        || (a - b).abs() < 1e-12
}
