//! The functions: names, arguments, one line of documentation, and what they do.

use std::fmt::Write as _;

use crate::ast::{AggregateOp, Type};
use crate::eval::{date, math};

mod table;

pub use table::functions;

/// A function of the language.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Names and types of the arguments.
    pub arguments: &'static [(&'static str, Type)],
    /// How many arguments must be given; the others have defaults.
    pub required: usize,
    /// Whether the last argument may be repeated.
    pub is_variadic: bool,
    /// The type of its value.
    pub returns: Type,
    /// What it does, one line.
    pub doc: &'static str,
    /// Whether Prometheus has it only behind a feature flag.
    pub is_experimental: bool,
    /// How it is computed.
    pub(crate) action: Action,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Function {
    /// Returns how it is called: `rate(v range vector) instant vector`.
    pub fn signature(&self) -> String {
        let mut text = format!("{}(", self.name);
        for (index, (name, kind)) in self.arguments.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let is_last = index + 1 == self.arguments.len();
            let mark = match (index >= self.required, self.is_variadic && is_last) {
                (_, true) => "...",
                (true, false) => "?",
                (false, false) => "",
            };
            // Writing to a string cannot fail.
            write!(text, "{comma}{name}{mark} {}", kind.as_str()).ok();
        }
        write!(text, ") {}", self.returns.as_str()).ok();
        text
    }

    /// Tells whether the value depends on the moment even when all arguments are fixed by `@`
    /// (Prometheus, `promql/functions.go`, `AtModifierUnsafeFunctions`).
    pub(crate) fn looks_at_the_moment(&self) -> bool {
        matches!(
            self.action,
            Action::Date(_)
                | Action::Time
                | Action::Timestamp
                | Action::Window(Window::PredictLinear)
        )
    }

    /// Returns the type that argument `index` must have.
    pub(crate) fn argument_type(&self, index: usize) -> Option<Type> {
        let last = self.arguments.last()?;
        self.arguments.get(index).or(self.is_variadic.then_some(last)).map(|(_, kind)| *kind)
    }
}

/// How a function is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// Each value for itself.
    Map(fn(f64) -> f64),
    /// Each value as seconds since 1970.
    Date(fn(i64) -> f64),
    /// Over the samples of a window.
    Window(Window),
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMin,
    ClampMax,
    HistogramFraction,
    HistogramQuantile,
    LabelJoin,
    LabelReplace,
    Pi,
    Round,
    Scalar,
    Sort {
        is_descending: bool,
    },
    SortByLabel {
        is_descending: bool,
    },
    Time,
    Timestamp,
    Vector,
}

/// What is computed of the samples of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    Avg,
    Changes,
    Count,
    Delta,
    Deriv,
    Idelta,
    Increase,
    Irate,
    First,
    Last,
    Mad,
    Max,
    Min,
    PredictLinear,
    Present,
    Quantile,
    Rate,
    Resets,
    Smooth,
    Stddev,
    Stdvar,
    Sum,
}

impl Window {
    /// Tells whether the value can be exact on consolidated rows.
    pub(crate) fn is_exact_on_rows(self) -> bool {
        matches!(
            self,
            Self::Avg
                | Self::Count
                | Self::Increase
                | Self::Last
                | Self::Max
                | Self::Min
                | Self::Present
                | Self::Rate
                | Self::Sum
        )
    }

    /// Tells whether the result keeps the metric's name.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }
}

/// Returns the function of that name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    let functions = functions();
    let index = functions.binary_search_by(|function| function.name.cmp(name)).ok()?;
    functions.get(index)
}

/// An aggregation of the language, for completion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aggregation {
    /// Its name.
    pub name: &'static str,
    /// How it is called.
    pub signature: &'static str,
    /// What it does, one line.
    pub doc: &'static str,
    /// What it computes.
    pub op: AggregateOp,
}

impl AggregateOp {
    /// Returns how it is written.
    pub fn as_str(self) -> &'static str {
        AGGREGATIONS.iter().find(|a| a.op == self).map_or("", |a| a.name)
    }

    /// Returns the type of its parameter; `None` when it has none.
    pub(crate) fn parameter(self) -> Option<Type> {
        match self {
            Self::Topk | Self::Bottomk | Self::Quantile | Self::Limitk => Some(Type::Scalar),
            Self::CountValues => Some(Type::Text),
            _ => None,
        }
    }
}

/// Returns all aggregations, sorted by name.
pub fn aggregations() -> &'static [Aggregation] {
    &AGGREGATIONS
}

/// Returns the words with a meaning of their own, for completion.
pub fn keywords() -> &'static [&'static str] {
    &KEYWORDS
}

const KEYWORDS: [&str; 15] = [
    "and",
    "atan2",
    "bool",
    "by",
    "end()",
    "group_left",
    "group_right",
    "ignoring",
    "offset",
    "on",
    "or",
    "start()",
    "unless",
    "without",
    "@",
];

const fn aggregation(
    op: AggregateOp,
    name: &'static str,
    signature: &'static str,
    doc: &'static str,
) -> Aggregation {
    Aggregation { name, signature, doc, op }
}

const AGGREGATIONS: [Aggregation; 13] = [
    aggregation(AggregateOp::Avg, "avg", "avg by (labels) (v)", "Arithmetic mean of each group."),
    aggregation(
        AggregateOp::Bottomk,
        "bottomk",
        "bottomk by (labels) (k, v)",
        "The k series with the smallest values of each group.",
    ),
    aggregation(AggregateOp::Count, "count", "count by (labels) (v)", "How many series."),
    aggregation(
        AggregateOp::CountValues,
        "count_values",
        "count_values by (labels) (\"label\", v)",
        "How many series have each value; the value becomes a label.",
    ),
    aggregation(AggregateOp::Group, "group", "group by (labels) (v)", "1 for each group."),
    aggregation(
        AggregateOp::Limitk,
        "limitk",
        "limitk by (labels) (k, v)",
        "Any k series of each group, always the same ones.",
    ),
    aggregation(AggregateOp::Max, "max", "max by (labels) (v)", "Greatest value of each group."),
    aggregation(AggregateOp::Min, "min", "min by (labels) (v)", "Least value of each group."),
    aggregation(
        AggregateOp::Quantile,
        "quantile",
        "quantile by (labels) (q, v)",
        "Quantile q (0 to 1) of the values of each group.",
    ),
    aggregation(
        AggregateOp::Stddev,
        "stddev",
        "stddev by (labels) (v)",
        "Standard deviation (of the whole population) of each group.",
    ),
    aggregation(
        AggregateOp::Stdvar,
        "stdvar",
        "stdvar by (labels) (v)",
        "Variance (of the whole population) of each group.",
    ),
    aggregation(AggregateOp::Sum, "sum", "sum by (labels) (v)", "Sum of each group."),
    aggregation(
        AggregateOp::Topk,
        "topk",
        "topk by (labels) (k, v)",
        "The k series with the greatest values of each group.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_so_that_they_can_be_found() {
        assert!(functions().is_sorted_by(|a, b| a.name < b.name));
        assert!(aggregations().is_sorted_by(|a, b| a.name < b.name));
        for function in functions() {
            assert_eq!(find(function.name), Some(function));
            assert!(function.doc.ends_with('.'), "{}", function.name);
        }
        assert_eq!(find("nothing"), None);
    }

    #[test]
    fn signatures_tell_what_may_be_left_out() {
        let signature = |name| find(name).unwrap().signature();
        assert_eq!(signature("rate"), "rate(v range vector) instant vector");
        assert_eq!(
            signature("round"),
            "round(v instant vector, to_nearest? scalar) instant vector"
        );
        assert_eq!(signature("time"), "time() scalar");
        assert_eq!(
            signature("label_join"),
            "label_join(v instant vector, dst string, separator string, src... string) instant vector"
        );
    }
}
