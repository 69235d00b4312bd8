//! Queries as all doors ask them: one engine, one set of limits, in the gate's lane.

use std::sync::Arc;
use std::time::Duration;

use noroshi_expr::{Engine, EngineLimits, EvalError, Evaluated, Expr, ParseError, parse};
use noroshi_model::Timestamp;

use crate::app::App;
use crate::arguments::{ArgumentError, Arguments};
use crate::error::ApiError;

/// Samples and row values that one query may load: 160 MB of them. A month of a thousand series
/// at a step of five minutes is 9 million.
const SAMPLES_MAX: usize = 10_000_000;
/// How long one query may take. Below the limit of an answer, so that the client learns why.
const QUERY_MAX: Duration = Duration::from_secs(30);
/// Most moments of a range query (Prometheus, `web/api/v1/api.go`: 11,000).
const MOMENTS_MAX: i64 = 11_000;
/// Most expressions in one request.
pub(crate) const EXPRESSIONS_MAX: usize = 32;

/// The moments of a range query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) step: Duration,
}

impl Span {
    /// Makes a span. Errors: it goes backwards, or has too many moments.
    pub(crate) fn new(
        start: Timestamp,
        end: Timestamp,
        step: Duration,
    ) -> Result<Self, ArgumentError> {
        if end < start {
            let reason = "end timestamp must not be before start time";
            return Err(ArgumentError::invalid("end", reason));
        }
        let span = Self { start, end, step };
        if span.moments() > MOMENTS_MAX {
            let reason = "exceeded maximum resolution of 11,000 points per timeseries. Try \
                          decreasing the query resolution (?step=XX)";
            return Err(ArgumentError::invalid("step", reason));
        }
        Ok(span)
    }

    /// Reads `start`, `end` and `step`: the last hour, and about 300 moments, if not given.
    pub(crate) fn read(arguments: &Arguments, now: Timestamp) -> Result<Self, ArgumentError> {
        let end = arguments.time("end")?.unwrap_or(now);
        let start = arguments.time("start")?.unwrap_or(end - Duration::from_hours(1));
        let usual = Duration::from_secs((end.since(start).as_secs() / 300).max(1));
        let step = arguments.duration("step")?.unwrap_or(usual);
        Self::new(start, end, step)
    }

    /// Returns how many moments there are.
    pub(crate) fn moments(&self) -> i64 {
        let length = self.end.as_millis().saturating_sub(self.start.as_millis());
        length / noroshi_model::time::millis(self.step).max(1) + 1
    }
}

/// Why a query has no answer.
#[derive(Debug)]
pub(crate) enum QueryError {
    Argument(ArgumentError),
    Parse(ParseError),
    Eval(EvalError),
    /// The server could not work on it.
    Server(ApiError),
}

impl From<ArgumentError> for QueryError {
    fn from(error: ArgumentError) -> Self {
        Self::Argument(error)
    }
}

impl From<ParseError> for QueryError {
    fn from(error: ParseError) -> Self {
        Self::Parse(error)
    }
}

impl From<ApiError> for QueryError {
    fn from(error: ApiError) -> Self {
        Self::Server(error)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Argument(error) => error.into(),
            QueryError::Parse(error) => Self::BadRequest(error.to_string()),
            QueryError::Server(error) => error,
            QueryError::Eval(error) => match &error {
                EvalError::TimedOut { .. } => Self::TimedOut(error.to_string()),
                EvalError::Select { source: noroshi_model::SelectError::Read(_), .. } => {
                    Self::internal("a query failed", &error)
                }
                _ => Self::Unprocessable(noroshi_model::chain(&error)),
            },
        }
    }
}

/// Limits that a request may lower, or in the case of the lookback choose.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) timeout: Option<Duration>,
    pub(crate) lookback: Option<Duration>,
}

fn engine(wishes: Wishes) -> Engine {
    let usual = EngineLimits::default();
    Engine::new(EngineLimits {
        samples_max: SAMPLES_MAX,
        duration_max: wishes.timeout.unwrap_or(QUERY_MAX).min(QUERY_MAX),
        lookback: wishes.lookback.unwrap_or(usual.lookback),
    })
}

/// Evaluates an expression at one moment.
pub(crate) async fn instant(
    app: &Arc<App>,
    text: &str,
    at: Timestamp,
    wishes: Wishes,
) -> Result<Evaluated, QueryError> {
    let expr = parse(text)?;
    let source = Arc::clone(&app.deps.series);
    let work = move || engine(wishes).instant(source.as_ref(), &expr, at);
    app.gate.query(work).await?.map_err(QueryError::Eval)
}

/// Evaluates expressions over a span, one after another.
pub(crate) async fn range(
    app: &Arc<App>,
    texts: &[String],
    span: Span,
    wishes: Wishes,
) -> Result<Vec<Evaluated>, QueryError> {
    if texts.len() > EXPRESSIONS_MAX {
        let reason = format!("at most {EXPRESSIONS_MAX} expressions can be asked for at once");
        return Err(ArgumentError::invalid("expr", reason).into());
    }
    let exprs = texts.iter().map(|text| parse(text)).collect::<Result<Vec<Expr>, ParseError>>()?;
    let source = Arc::clone(&app.deps.series);
    let work = move || {
        let engine = engine(wishes);
        let ends = (span.start, span.end);
        exprs
            .iter()
            .map(|expr| engine.range(source.as_ref(), expr, ends, span.step))
            .collect::<Result<Vec<Evaluated>, EvalError>>()
    };
    app.gate.query(work).await?.map_err(QueryError::Eval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_at_most_eleven_thousand_moments() {
        let at = Timestamp::from_secs;
        let second = Duration::from_secs(1);
        assert_eq!(Span::new(at(0), at(0), second).unwrap().moments(), 1);
        assert_eq!(Span::new(at(0), at(10_999), second).unwrap().moments(), 11_000);
        assert!(Span::new(at(0), at(11_000), second).is_err());
        assert!(Span::new(at(1), at(0), second).is_err());
        assert!(Span::new(Timestamp::MIN, Timestamp::MAX, second).is_err());
    }
}
