//! Why an evaluation failed.

use std::time::Duration;

use noroshi_model::{Labels, SelectError};

/// Why an expression could not be evaluated. The texts are Prometheus' where it has one.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// The query needs more samples than the limit.
    #[error(
        "query processing would load too many samples into memory (more than {samples_max}); ask for a shorter span, a longer step or fewer series"
    )]
    TooManySamples {
        /// The limit.
        samples_max: usize,
    },
    /// The query took longer than the limit.
    #[error("query timed out after {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The source could not answer.
    #[error("cannot read the series of {selector}")]
    Select {
        /// The selector.
        selector: String,
        /// Why.
        #[source]
        source: SelectError,
    },
    /// The span or the step of a range query makes no sense.
    #[error("the end must not be before the start, and the step must be at least 1 ms")]
    BadSpan,
    /// The expression has a type that a range query cannot show.
    #[error("invalid expression type {kind:?} for range query, must be Scalar or instant Vector")]
    NotForRange {
        /// The type.
        kind: &'static str,
    },
    /// Two series of a result have the same labels.
    #[error("vector cannot contain metrics with the same labelset")]
    SameLabels,
    /// The side that must be unique has two series for one match group.
    #[error(
        "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
    )]
    ManyToMany {
        /// The labels that match.
        group: Labels,
        /// `left` or `right`.
        side: &'static str,
        /// One series.
        first: Labels,
        /// The other.
        second: Labels,
    },
    /// Several series of one side match one of the other, and that was not asked for.
    #[error(
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
    )]
    ImplicitManyToOne,
    /// Several results of a grouped match have the same labels.
    #[error("multiple matches for labels: grouping labels must ensure unique matches")]
    AmbiguousGroup,
    /// A function or aggregation cannot work with an argument.
    #[error("{0}")]
    BadArgument(String),
}
