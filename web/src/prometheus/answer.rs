//! Answers and errors in Prometheus' form.
//!
//! Source: Prometheus 3, `docs/querying/api.md` ("Format overview", "Expression query result
//! formats") and `web/api/v1/api.go` (`apiError`, `respondError`).

use std::fmt::Write as _;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use noroshi_expr::{EvalError, ParseError, Value};
use noroshi_model::{Labels, SelectError, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::arguments::ArgumentError;
use crate::error::ApiError;

/// What went wrong, by Prometheus' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorType {
    BadData,
    Execution,
    Timeout,
    Internal,
    Unavailable,
    TooLarge,
}

/// An error as Prometheus tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorType,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn bad_data(message: impl Into<String>) -> Self {
        Self { kind: ErrorType::BadData, message: message.into() }
    }

    /// Names the parameter, as Prometheus does.
    pub(crate) fn bad_parameter(name: &str, message: &str) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {message}"))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, name) = match self.kind {
            ErrorType::BadData => (StatusCode::BAD_REQUEST, "bad_data"),
            ErrorType::Execution => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            ErrorType::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            ErrorType::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            ErrorType::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            ErrorType::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "bad_data"),
        };
        let body = Envelope::<()> {
            status: "error",
            data: None,
            error_type: Some(name),
            error: Some(&self.message),
            warnings: &[],
        };
        (status, axum::Json(body)).into_response()
    }
}

impl From<ArgumentError> for Failure {
    fn from(error: ArgumentError) -> Self {
        let message = match &error {
            ArgumentError::Invalid { name, reason } => {
                return Self::bad_parameter(name, reason);
            }
            _ => error.to_string(),
        };
        match error {
            ArgumentError::TooLarge(_) => Self { kind: ErrorType::TooLarge, message },
            _ => Self::bad_data(message),
        }
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Self::bad_parameter("query", &error.to_string())
    }
}

impl From<EvalError> for Failure {
    fn from(error: EvalError) -> Self {
        let message = error.to_string();
        match error {
            EvalError::TimedOut { .. } => Self { kind: ErrorType::Timeout, message },
            EvalError::Select { source, .. } => source.into(),
            _ => Self { kind: ErrorType::Execution, message },
        }
    }
}

impl From<SelectError> for Failure {
    fn from(error: SelectError) -> Self {
        let message = error.to_string();
        match error {
            SelectError::TooManySamples { .. } => Self { kind: ErrorType::Execution, message },
            SelectError::MatchesEverything => Self::bad_data(message),
            SelectError::Read(_) => {
                tracing::error!(error = %noroshi_model::chain(&error), "cannot read series");
                Self { kind: ErrorType::Internal, message }
            }
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let message = error.to_string();
        let kind = match error {
            ApiError::Busy | ApiError::Unavailable(_) => ErrorType::Unavailable,
            ApiError::TimedOut(_) => ErrorType::Timeout,
            ApiError::BadRequest(_) => ErrorType::BadData,
            ApiError::TooLarge(_) => ErrorType::TooLarge,
            _ => ErrorType::Internal,
        };
        Self { kind, message }
    }
}

/// An answer with its fields in Prometheus' order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, T> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

/// Answers with data that serde writes.
pub(crate) fn success(data: impl Serialize, warnings: &[String]) -> Response {
    let (error_type, error) = (None, None);
    let body = Envelope { status: "success", data: Some(data), error_type, error, warnings };
    match serde_json::to_vec(&body) {
        Ok(body) => {
            let mime = HeaderValue::from_static("application/json");
            ([(header::CONTENT_TYPE, mime)], body).into_response()
        }
        Err(error) => ApiError::internal("cannot write an answer", &error).into_response(),
    }
}

/// Answers with the result of a query.
///
/// Written by hand: a range query has a hundred thousand numbers, each of which a tree of JSON
/// values would allocate.
///
/// `at` is the moment of a text, which has none itself.
pub(crate) fn result(
    value: &Value,
    at: Timestamp,
    warnings: &[String],
    stats: Option<&serde_json::Value>,
) -> Response {
    let mut body = String::with_capacity(256);
    body.push_str(r#"{"status":"success","data":"#);
    write_value(&mut body, value, at);
    if let Some(stats) = stats {
        body.pop();
        body.push_str(&format!(r#","stats":{stats}}}"#));
    }
    body.push('}');
    if !warnings.is_empty() {
        body.pop();
        body.push_str(r#","warnings":"#);
        body.push_str(&json!(warnings).to_string());
        body.push('}');
    }
    let mime = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, mime)], body).into_response()
}

/// Writes `{"resultType":...,"result":...}`.
fn write_value(body: &mut String, value: &Value, at: Timestamp) {
    match value {
        Value::Scalar { at, value } => {
            body.push_str(r#"{"resultType":"scalar","result":"#);
            write_point(body, at.as_millis(), *value);
        }
        Value::Text(text) => {
            body.push_str(r#"{"resultType":"string","result":["#);
            write_time(body, at.as_millis());
            body.push(',');
            body.push_str(&json!(text).to_string());
            body.push(']');
        }
        Value::Vector(samples) => {
            body.push_str(r#"{"resultType":"vector","result":["#);
            for (index, sample) in samples.iter().enumerate() {
                body.push_str(if index == 0 { r#"{"metric":"# } else { r#",{"metric":"# });
                write_labels(body, &sample.labels);
                body.push_str(r#","value":"#);
                write_point(body, sample.at.as_millis(), sample.value);
                body.push('}');
            }
            body.push(']');
        }
        Value::Matrix(all) => {
            body.push_str(r#"{"resultType":"matrix","result":["#);
            for (index, series) in all.iter().enumerate() {
                body.push_str(if index == 0 { r#"{"metric":"# } else { r#",{"metric":"# });
                write_labels(body, &series.labels);
                body.push_str(r#","values":["#);
                for (index, (at, value)) in series.at.iter().zip(&series.value).enumerate() {
                    if index > 0 {
                        body.push(',');
                    }
                    write_point(body, *at, *value);
                }
                body.push_str("]}");
            }
            body.push(']');
        }
    }
    body.push('}');
}

fn write_labels(body: &mut String, labels: &Labels) {
    body.push_str(&serde_json::to_string(labels).unwrap_or_else(|_| "{}".to_owned()));
}

/// Writes `[seconds,"value"]`.
fn write_point(body: &mut String, at: i64, value: f64) {
    body.push('[');
    write_time(body, at);
    body.push_str(",\"");
    body.push_str(&number(value));
    body.push_str("\"]");
}

/// Writes a moment in seconds: three decimals, or none (`util/jsonutil/marshal.go`).
fn write_time(body: &mut String, millis: i64) {
    let sign = if millis < 0 { "-" } else { "" };
    let (seconds, rest) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
    // Writing into a string cannot fail.
    let written = match rest {
        0 => write!(body, "{sign}{seconds}"),
        _ => write!(body, "{sign}{seconds}.{rest:03}"),
    };
    written.unwrap_or_default();
}

/// Writes a number as Go's `strconv.FormatFloat(value, 'f', -1, 64)`: shortest, no exponent.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn moments_have_three_decimals_or_none() {
        let write = |millis| {
            let mut body = String::new();
            write_time(&mut body, millis);
            body
        };
        assert_eq!(write(1_435_781_430_781), "1435781430.781");
        assert_eq!(write(1_435_781_430_100), "1435781430.100");
        assert_eq!(write(1_435_781_430_000), "1435781430");
        assert_eq!(write(-1), "-0.001");
    }
}
