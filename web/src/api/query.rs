//! Queries in the form that our own pages want: milliseconds, null for unknown, aligned columns.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use noroshi_expr::{Absence, Evaluated, RangeSeries, Value as Answer};
use noroshi_model::{Timestamp, time};
use serde_json::json;

use crate::app::App;
use crate::arguments::{ArgumentError, Arguments};
use crate::error::ApiError;
use crate::queries::{self, Span, Wishes};
use crate::route::{Access, Body, Route, Value};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/query", Access::Viewer, query)
            .summary("Evaluates an expression at one moment")
            .needs("expr", Value::Text, "PromQL")
            .takes("time", Value::Time, "the moment; now if not given")
            .answer(Body::Json("QueryAnswer")),
        Route::get("/api/v1/query_range", Access::Viewer, query_range)
            .summary("Evaluates expressions over a span, aligned on its moments")
            .needs("expr", Value::Texts, "PromQL; 32 at most")
            .takes("start", Value::Time, "first moment; an hour before the end if not given")
            .takes("end", Value::Time, "last moment; now if not given")
            .takes(
                "step",
                Value::Duration,
                "from one moment to the next; 1/300 of the span if not given",
            )
            .answer(Body::Json("RangeAnswer")),
    ]
}

async fn query(
    State(app): State<Arc<App>>,
    arguments: Result<Arguments, ArgumentError>,
) -> Result<Response, ApiError> {
    let arguments = arguments?;
    let at = arguments.time("time")?.unwrap_or_else(|| app.deps.clock.now());
    let text = arguments.needed("expr")?;
    let Evaluated { value, warnings, absence, .. } =
        queries::instant(&app, text, at, Wishes::default()).await?;
    let (kind, result) = match value {
        Answer::Scalar { at, value } => ("scalar", json!({ "at": at, "value": known(value) })),
        Answer::Text(text) => ("string", json!(text)),
        Answer::Vector(samples) => {
            let one = |sample: &noroshi_expr::InstantSample| json!({ "labels": sample.labels, "at": sample.at, "value": known(sample.value) });
            ("vector", samples.iter().map(one).collect())
        }
        Answer::Matrix(all) => {
            let one = |series: &RangeSeries| {
                let values: Vec<Option<f64>> = series.value.iter().copied().map(known).collect();
                json!({ "labels": series.labels, "at": series.at, "values": values })
            };
            ("matrix", all.iter().map(one).collect())
        }
    };
    let body = json!({
        "type": kind, "result": result, "warnings": warnings, "absence": absence.as_str(),
        "silent_since": match absence {
            Absence::SilentSince(since) => Some(since),
            _ => None,
        },
    });
    Ok(Json(body).into_response())
}

/// Returns a number that JSON can hold; `None` for NaN and the infinities.
fn known(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

async fn query_range(
    State(app): State<Arc<App>>,
    arguments: Result<Arguments, ArgumentError>,
) -> Result<Response, ApiError> {
    let arguments = arguments?;
    let span = Span::read(&arguments, app.deps.clock.now())?;
    let texts: Vec<String> = arguments.all("expr").map(str::to_owned).collect();
    if texts.is_empty() {
        return Err(ArgumentError::Missing("expr").into());
    }
    let all = queries::range(&app, &texts, span, Wishes::default()).await?;
    let body = app.gate.query(move || aligned(&all, span)).await?;
    let mime = HeaderValue::from_static("application/json");
    Ok(([(header::CONTENT_TYPE, mime)], body).into_response())
}

/// Writes the answer of a range query. By hand: it is mostly numbers, and many.
fn aligned(all: &[Evaluated], span: Span) -> String {
    let Span { start, step, .. } = span;
    let step = time::millis(step);
    let mut body = format!(r#"{{"start":{},"step":{step},"series":["#, start.as_millis());
    let mut is_first = true;
    for (index, evaluated) in all.iter().enumerate() {
        let Answer::Matrix(matrix) = &evaluated.value else { continue };
        for series in matrix {
            if !std::mem::take(&mut is_first) {
                body.push(',');
            }
            let labels = serde_json::to_string(&series.labels).unwrap_or_default();
            // Writing into a string cannot fail.
            write!(body, r#"{{"query":{index},"labels":{labels},"values":["#).unwrap_or_default();
            write_column(&mut body, series, start, step, span.moments());
            body.push_str("]}");
        }
    }
    let warnings: Vec<&String> = all.iter().flat_map(|evaluated| &evaluated.warnings).collect();
    write!(body, r#"],"warnings":{}}}"#, json!(warnings)).unwrap_or_default();
    body
}

/// Writes one value for each moment of the span, null where there is none.
fn write_column(
    body: &mut String,
    series: &RangeSeries,
    start: Timestamp,
    step: i64,
    moments: i64,
) {
    let mut points = series.at.iter().zip(&series.value).peekable();
    for index in 0..moments {
        if index > 0 {
            body.push(',');
        }
        let at = start.as_millis() + index * step;
        while points.peek().is_some_and(|(moment, _)| **moment < at) {
            points.next();
        }
        match points.next_if(|(moment, _)| **moment == at) {
            Some((_, value)) if value.is_finite() => {
                write!(body, "{value:?}").unwrap_or_default();
            }
            _ => body.push_str("null"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use noroshi_model::Labels;

    use super::*;

    #[test]
    fn columns_are_aligned_on_the_span_with_null_for_what_is_not_known() {
        let series = RangeSeries {
            labels: Labels::new([("instance", "web\"1")]),
            at: vec![1000, 3000, 4000],
            value: vec![1.5, f64::NAN, 1e300],
        };
        let value = Answer::Matrix(vec![series]);
        let warnings = vec!["about".to_owned()];
        let absence = Absence::None;
        let evaluated = Evaluated { value, warnings, absence, samples_read: 3 };
        let span = Span {
            start: Timestamp::from_millis(1000),
            end: Timestamp::from_millis(5500),
            step: Duration::from_secs(1),
        };
        let body: serde_json::Value = serde_json::from_str(&aligned(&[evaluated], span)).unwrap();
        let expected = json!({
            "start": 1000, "step": 1000, "warnings": ["about"],
            "series": [{
                "query": 0, "labels": { "instance": "web\"1" },
                "values": [1.5, null, null, 1e300, null],
            }],
        });
        assert_eq!(body, expected);
    }
}
