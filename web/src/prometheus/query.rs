//! `query`, `query_range`, `query_exemplars`, `format_query`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use noroshi_expr::{EvalError, Evaluated, Value as Answer};
use noroshi_model::Timestamp;
use serde_json::{Value as Document, json};
use tokio::time::Instant;

use super::answer::{Failure, result, success};
use crate::app::App;
use crate::arguments::{ArgumentError, Arguments};
use crate::queries::{self, QueryError, Span, Wishes};
use crate::route::{Access, Body, Route, Value};

pub(super) fn routes() -> Vec<Route> {
    let instant = |route: Route| {
        common(route.summary("Evaluates an expression at one moment").takes(
            "time",
            Value::Time,
            "the moment; now if not given",
        ))
    };
    let range = |route: Route| {
        common(
            route
                .summary("Evaluates an expression over a span")
                .needs("start", Value::Time, "first moment, inclusive")
                .needs("end", Value::Time, "last moment, inclusive")
                .needs("step", Value::Duration, "from one moment to the next"),
        )
    };
    let exemplars = |route: Route| {
        route
            .summary("Exemplars: always none, because none are kept")
            .needs("query", Value::Text, "an expression")
            .takes("start", Value::Time, "not looked at")
            .takes("end", Value::Time, "not looked at")
            .answer(Body::Json("PrometheusAnswer"))
    };
    let format = |route: Route| {
        route
            .summary("Writes an expression as it is usually written")
            .needs("query", Value::Text, "an expression")
            .answer(Body::Json("PrometheusAnswer"))
    };
    const FORMAT: &str = "/prometheus/api/v1/format_query";
    const QUERY: &str = "/prometheus/api/v1/query";
    const RANGE: &str = "/prometheus/api/v1/query_range";
    const EXEMPLARS: &str = "/prometheus/api/v1/query_exemplars";
    vec![
        instant(Route::get(QUERY, Access::Viewer, query)),
        instant(Route::post(QUERY, Access::Viewer, query).request(Body::Form)),
        range(Route::get(RANGE, Access::Viewer, query_range)),
        range(Route::post(RANGE, Access::Viewer, query_range).request(Body::Form)),
        exemplars(Route::get(EXEMPLARS, Access::Viewer, query_exemplars)),
        exemplars(Route::post(EXEMPLARS, Access::Viewer, query_exemplars).request(Body::Form)),
        format(Route::get(FORMAT, Access::Viewer, format_query)),
        format(Route::post(FORMAT, Access::Viewer, format_query).request(Body::Form)),
    ]
}

fn common(route: Route) -> Route {
    route
        .needs("query", Value::Text, "PromQL")
        .takes("timeout", Value::Duration, "give up after this; the server's limit if longer")
        .takes("limit", Value::Integer, "at most this many series; 0: all")
        .takes("stats", Value::Text, "`all`: with what the evaluation took")
        .takes("lookback_delta", Value::Duration, "how old a sample may be; 5 minutes if not given")
        .answer(Body::Json("PrometheusAnswer"))
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Argument(error) => error.into(),
            QueryError::Parse(error) => error.into(),
            QueryError::Server(error) => error.into(),
            // Prometheus looks at the type before it evaluates.
            QueryError::Eval(error @ EvalError::NotForRange { .. }) => {
                Self::bad_parameter("query", &error.to_string())
            }
            QueryError::Eval(error) => error.into(),
        }
    }
}

fn wishes(arguments: &Arguments) -> Result<Wishes, Failure> {
    Ok(Wishes {
        timeout: arguments.duration("timeout")?,
        lookback: arguments.duration("lookback_delta")?,
    })
}

/// Cuts a result to the number of series asked for, with Prometheus' warning.
fn cut(
    value: &mut Answer,
    warnings: &mut Vec<String>,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let limit = match arguments.integer("limit")? {
        None | Some(0) => return Ok(()),
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
    };
    let is_cut = match value {
        Answer::Vector(samples) if samples.len() > limit => {
            samples.truncate(limit);
            true
        }
        Answer::Matrix(series) if series.len() > limit => {
            series.truncate(limit);
            true
        }
        _ => false,
    };
    if is_cut {
        warnings.push("results truncated due to limit".to_owned());
    }
    Ok(())
}

async fn query(
    State(app): State<Arc<App>>,
    arguments: Result<Arguments, ArgumentError>,
) -> Result<Response, Failure> {
    let arguments = arguments?;
    let at = arguments.time("time")?.unwrap_or_else(|| app.deps.clock.now());
    let wishes = wishes(&arguments)?;
    let text = arguments.text("query").unwrap_or_default();
    let began = Instant::now();
    let mut evaluated = queries::instant(&app, text, at, wishes).await?;
    let stats = stats(&arguments, began, &evaluated);
    cut(&mut evaluated.value, &mut evaluated.warnings, &arguments)?;
    Ok(result(&evaluated.value, at, &evaluated.warnings, stats.as_ref()))
}

async fn query_range(
    State(app): State<Arc<App>>,
    arguments: Result<Arguments, ArgumentError>,
) -> Result<Response, Failure> {
    let arguments = arguments?;
    let start: Timestamp = arguments.time_needed("start")?;
    let end = arguments.time_needed("end")?;
    if end < start {
        let message = "end timestamp must not be before start time";
        return Err(Failure::bad_parameter("end", message));
    }
    let missing = || Failure::bad_parameter("step", "cannot parse \"\" to a valid duration");
    let step = arguments.duration("step")?.ok_or_else(missing)?;
    // This one Prometheus tells without the parameter's name.
    let span = Span::new(start, end, step).map_err(|error| match error {
        ArgumentError::Invalid { reason, .. } => Failure::bad_data(reason),
        other => other.into(),
    })?;
    let wishes = wishes(&arguments)?;
    let text = arguments.text("query").unwrap_or_default().to_owned();
    let began = Instant::now();
    let evaluated = queries::range(&app, &[text], span, wishes).await?;
    let Some(mut evaluated) = evaluated.into_iter().next() else {
        return Err(Failure::bad_parameter("query", "it is missing"));
    };
    let stats = stats(&arguments, began, &evaluated);
    cut(&mut evaluated.value, &mut evaluated.warnings, &arguments)?;
    Ok(result(&evaluated.value, end, &evaluated.warnings, stats.as_ref()))
}

/// Returns what a query took, when that is asked for (`util/stats/query_stats.go`).
///
/// The whole time counts as evaluation: waiting for a place is part of it.
fn stats(arguments: &Arguments, began: Instant, evaluated: &Evaluated) -> Option<Document> {
    arguments.text("stats")?;
    let seconds = began.elapsed().as_secs_f64();
    let samples = evaluated.samples_read;
    Some(json!({
        "timings": {
            "evalTotalTime": seconds,
            "resultSortTime": 0,
            "queryPreparationTime": 0,
            "innerEvalTime": seconds,
            "execQueueTime": 0,
            "execTotalTime": seconds,
        },
        "samples": { "totalQueryableSamples": samples, "peakSamples": samples },
    }))
}

async fn format_query(arguments: Result<Arguments, ArgumentError>) -> Result<Response, Failure> {
    let expr = noroshi_expr::parse(arguments?.text("query").unwrap_or_default())?;
    Ok(success(expr.to_string(), &[]))
}

async fn query_exemplars(arguments: Result<Arguments, ArgumentError>) -> Result<Response, Failure> {
    noroshi_expr::parse(arguments?.text("query").unwrap_or_default())?;
    Ok(success(Vec::<()>::new(), &[]))
}
