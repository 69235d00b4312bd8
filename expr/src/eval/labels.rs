//! What happens to labels: names dropped, labels replaced and joined, series told apart.

use std::collections::{HashMap, HashSet};

use noroshi_model::label::NAME;
use noroshi_model::{Labels, MatcherOp, is_unknown};
use regex::Regex;

use super::{Column, Vector};
use crate::ast::Expr;
use crate::engine::EvalError;

/// Returns the labels whose names `keep` accepts.
pub(crate) fn kept(labels: &Labels, keep: impl Fn(&str) -> bool) -> Labels {
    let mut packed = String::with_capacity(labels.as_packed().len());
    for (name, value) in labels.iter().filter(|(name, _)| keep(name)) {
        for part in [name, "\0", value, "\0"] {
            packed.push_str(part);
        }
    }
    // A part of sorted labels is sorted labels.
    Labels::from_packed(&packed).unwrap_or_else(Labels::empty)
}

/// Returns the labels without the metric's name.
pub(crate) fn without_name(labels: &Labels) -> Labels {
    kept(labels, |name| name != NAME)
}

/// Computes each value and drops the metrics' names.
pub(crate) fn map_values(
    mut vector: Vector,
    map: impl Fn(f64) -> f64,
) -> Result<Vector, EvalError> {
    for column in &mut vector.columns {
        column.labels = without_name(&column.labels);
        for value in column.values.iter_mut().filter(|value| !is_unknown(**value)) {
            *value = map(*value);
        }
    }
    merged(vector)
}

/// Lays series with the same labels on top of each other; two values at one moment are an error.
pub(crate) fn merged(vector: Vector) -> Result<Vector, EvalError> {
    if is_unique(&vector.columns) {
        return Ok(Vector::new(vector.columns, vector.absence));
    }
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut columns: Vec<Column> = Vec::new();
    for column in vector.columns {
        let place = *places.entry(column.labels.clone()).or_insert(columns.len());
        match columns.get_mut(place) {
            None => columns.push(column),
            Some(below) => lay_over(below, &column)?,
        }
    }
    Ok(Vector::new(columns, vector.absence))
}

fn lay_over(below: &mut Column, above: &Column) -> Result<(), EvalError> {
    for (value, other) in below.values.iter_mut().zip(&above.values) {
        if is_unknown(*other) {
            continue;
        }
        if !is_unknown(*value) {
            return Err(EvalError::SameLabels);
        }
        *value = *other;
    }
    Ok(())
}

fn is_unique(columns: &[Column]) -> bool {
    let mut seen = HashSet::with_capacity(columns.len());
    columns.len() < 2 || columns.iter().all(|column| seen.insert(&column.labels))
}

/// Fails when two series have the same labels, at whatever moments they have values.
pub(crate) fn check_unique(columns: &[Column]) -> Result<(), EvalError> {
    if is_unique(columns) { Ok(()) } else { Err(EvalError::SameLabels) }
}

/// Returns the labels of the series that `absent` makes: those that the selector demands by
/// equality, each once.
pub(crate) fn of_absent(expr: &Expr) -> Labels {
    let selector = match expr.unwrapped() {
        Expr::Selector(selector) => selector,
        Expr::Range(range) => &range.selector,
        _ => return Labels::empty(),
    };
    let mut builder = Labels::empty().to_builder();
    let mut seen = HashSet::new();
    for matcher in selector.matchers.iter().filter(|matcher| matcher.name() != NAME) {
        let is_first = seen.insert(matcher.name());
        if is_first && matcher.op() == MatcherOp::Equal {
            builder.set(matcher.name(), matcher.value());
        } else {
            builder.remove(matcher.name());
        }
    }
    builder.build()
}

/// Evaluates `label_replace` with dst, replacement, src, regex.
pub(crate) fn replace(mut vector: Vector, texts: &[String]) -> Result<Vector, EvalError> {
    let [destination, replacement, source, pattern] = texts else {
        return Err(EvalError::BadArgument("label_replace() takes four strings".to_owned()));
    };
    let regex = Regex::new(&format!("^(?s:{pattern})$")).map_err(|error| {
        let cause = error.to_string();
        let reason = cause.lines().last().unwrap_or("").trim_start_matches("error: ");
        EvalError::BadArgument(format!(
            "invalid regular expression in label_replace(): {pattern:?}: {reason}"
        ))
    })?;
    check_label(destination, "label_replace")?;
    let mut value = String::new();
    for column in &mut vector.columns {
        let Some(found) = regex.captures(column.labels.get(source).unwrap_or("")) else {
            continue;
        };
        value.clear();
        found.expand(replacement, &mut value);
        column.labels = column.labels.to_builder().set(destination, &value).build();
    }
    merged(vector)
}

/// Evaluates `label_join` with dst, separator, src...
pub(crate) fn join(mut vector: Vector, texts: &[String]) -> Result<Vector, EvalError> {
    let [destination, separator, sources @ ..] = texts else {
        return Err(EvalError::BadArgument("label_join() takes at least two strings".to_owned()));
    };
    check_label(destination, "label_join")?;
    if sources.iter().any(String::is_empty) {
        return Err(EvalError::BadArgument(
            "invalid source label name in label_join(): ".to_owned(),
        ));
    }
    for column in &mut vector.columns {
        let values: Vec<&str> =
            sources.iter().map(|source| column.labels.get(source).unwrap_or("")).collect();
        let value = values.join(separator);
        column.labels = column.labels.to_builder().set(destination, &value).build();
    }
    merged(vector)
}

fn check_label(name: &str, function: &str) -> Result<(), EvalError> {
    if name.is_empty() {
        let message = format!("invalid destination label name in {function}(): {name}");
        return Err(EvalError::BadArgument(message));
    }
    Ok(())
}
