//! Writes expressions as `PromQL`, such that reading them again gives the same.

use std::fmt::{self, Display, Formatter, Write as _};

use noroshi_model::label::NAME;
use noroshi_model::{Matcher, MatcherOp, Timestamp};

use crate::ast::{
    Aggregate, At, Binary, Expr, Group, Matching, RangeSelector, Selector, Subquery, When,
};
use crate::duration;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(&number_text(*number)),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Selector(selector) => write!(f, "{}{}", Labelled(selector), selector.when),
            Self::Range(RangeSelector { selector, range }) => {
                let range = duration::format(*range);
                write!(f, "{}[{range}]{}", Labelled(selector), selector.when)
            }
            Self::Subquery(Subquery { expr, range, step, when }) => {
                let (range, step) = (duration::format(*range), step.map(duration::format));
                write!(f, "{expr}[{range}:{}]{when}", step.unwrap_or_default())
            }
            Self::Unary { is_minus, expr } => {
                write!(f, "{}{expr}", if *is_minus { "-" } else { "+" })
            }
            Self::Binary(binary) => binary.fmt(f),
            Self::Aggregate(aggregate) => aggregate.fmt(f),
            Self::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                comma_separated(f, &call.arguments)?;
                f.write_str(")")
            }
            Self::Paren(expr) => write!(f, "({expr})"),
        }
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_bool = if self.is_bool { " bool" } else { "" };
        let (op, matching) = (self.op.as_str(), &self.matching);
        write!(f, "{} {op}{is_bool}{matching} {}", self.left, self.right)
    }
}

impl Display for Matching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = if self.is_on { "on" } else { "ignoring" };
        if self.is_on || !self.labels.is_empty() || self.group != Group::None {
            write!(f, " {word} ({})", label_list(&self.labels))?;
        }
        match &self.group {
            Group::None => Ok(()),
            Group::Left(labels) => write!(f, " group_left ({})", label_list(labels)),
            Group::Right(labels) => write!(f, " group_right ({})", label_list(labels)),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.op.as_str())?;
        if self.is_without {
            write!(f, " without ({}) ", label_list(&self.labels))?;
        } else if !self.labels.is_empty() {
            write!(f, " by ({}) ", label_list(&self.labels))?;
        }
        f.write_str("(")?;
        if let Some(parameter) = &self.parameter {
            write!(f, "{parameter}, ")?;
        }
        write!(f, "{})", self.expr)
    }
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(At::Millis(millis)) => write!(f, " @ {}", Timestamp::from_millis(millis))?,
            Some(At::Start) => f.write_str(" @ start()")?,
            Some(At::End) => f.write_str(" @ end()")?,
            None => {}
        }
        match self.offset {
            0 => Ok(()),
            offset => write!(f, " offset {}", duration::format(offset)),
        }
    }
}

impl Display for Selector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Labelled(self), self.when)
    }
}

/// A selector without its modifiers.
struct Labelled<'a>(&'a Selector);

impl Display for Labelled<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let selector = self.0;
        let name = selector.name().filter(|name| is_metric_name(name));
        f.write_str(name.unwrap_or(""))?;
        let is_rest =
            |m: &&Matcher| name.is_none() || m.name() != NAME || m.op() != MatcherOp::Equal;
        let rest: Vec<String> =
            selector.matchers.iter().filter(is_rest).map(matcher_text).collect();
        if rest.is_empty() && name.is_some() {
            return Ok(());
        }
        write!(f, "{{{}}}", rest.join(","))
    }
}

fn matcher_text(matcher: &Matcher) -> String {
    let op = match matcher.op() {
        MatcherOp::Equal => "=",
        MatcherOp::NotEqual => "!=",
        MatcherOp::Match => "=~",
        MatcherOp::NotMatch => "!~",
    };
    if matcher.name() == NAME && matcher.op() == MatcherOp::Equal && !matcher.value().is_empty() {
        return quoted(matcher.value());
    }
    format!("{}{op}{}", label_text(matcher.name()), quoted(matcher.value()))
}

/// Tells whether a name can stand without quotes in front of the braces.
fn is_metric_name(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let is_later = |c: char| is_first(c) || c.is_ascii_digit();
    let reserved = ["bool", "on", "ignoring", "group_left", "group_right", "atan2", "inf", "nan"];
    name.starts_with(is_first)
        && name.chars().all(is_later)
        && !reserved.contains(&&*name.to_ascii_lowercase())
}

/// Writes a label's name, with quotes when it needs them.
fn label_text(name: &str) -> String {
    if is_metric_name(name) && !name.contains(':') { name.to_owned() } else { quoted(name) }
}

fn label_list(labels: &[String]) -> String {
    labels.iter().map(|label| label_text(label)).collect::<Vec<_>>().join(", ")
}

/// Writes a text in double quotes with Go's escapes.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Writing to a string cannot fail.
            c if c.is_control() => write!(out, "\\u{:04x}", c as u32).unwrap_or_default(),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Writes a number as Prometheus does: shortest digits without exponent, `+Inf`, `-Inf`, `NaN`.
pub fn number_text(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        number.to_string()
    }
}

fn comma_separated(f: &mut Formatter<'_>, parts: &[Expr]) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        write!(f, "{}{part}", if index > 0 { ", " } else { "" })?;
    }
    Ok(())
}
