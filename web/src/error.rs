//! Errors as the native API tells them: a status, a stable kind, and a sentence.

use std::error::Error;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::people::PeopleError;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Nobody signed in, or the credentials are no good.
    #[error("sign in first")]
    Unauthorized,
    /// The role does not allow it.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The path exists, but not with this method.
    #[error("this path does not answer that method")]
    MethodNotAllowed,
    /// The request cannot be understood.
    #[error("{0}")]
    BadRequest(String),
    /// What was asked for contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// The body is longer than allowed.
    #[error("{0}")]
    TooLarge(String),
    /// Understood, but it cannot be worked out: a query that fails.
    #[error("{0}")]
    Unprocessable(String),
    /// Too many failed sign-ins.
    #[error("too many failed attempts: wait {0} s")]
    Throttled(u64),
    /// Too much work is waiting already.
    #[error("the server is busy: try again in a moment")]
    Busy,
    /// It took longer than allowed.
    #[error("{0}")]
    TimedOut(String),
    /// Nothing can be written now.
    #[error("{0}")]
    Unavailable(String),
    /// Our fault; the log says more.
    #[error("the server failed; its log says why")]
    Internal,
}

impl ApiError {
    /// Returns status and kind.
    pub(crate) fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::Unprocessable(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"),
            Self::Throttled(_) => (StatusCode::TOO_MANY_REQUESTS, "throttled"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::TimedOut(_) => (StatusCode::SERVICE_UNAVAILABLE, "timed_out"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// Logs a failure of ours with its whole chain and returns what the client may know.
    pub(crate) fn internal(what: &str, error: &dyn Error) -> Self {
        tracing::error!(error = %noroshi_model::chain(error), "{what}");
        Self::Internal
    }

    /// Returns how long the client should wait, in seconds; `None` when waiting does not help.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Throttled(seconds) => Some(*seconds),
            Self::Busy => Some(1),
            Self::Unavailable(_) => Some(10),
            _ => None,
        }
    }
}

impl ApiError {
    /// Answers at a path: below `/prometheus/` in the form that Prometheus' clients understand.
    pub(crate) fn answer_at(self, path: &str) -> Response {
        let (_, kind) = self.status();
        let message = self.to_string();
        if path.starts_with("/prometheus/") {
            return self.answer(json!({ "status": "error", "errorType": kind, "error": message }));
        }
        self.into_response()
    }

    fn answer(self, body: serde_json::Value) -> Response {
        let (status, _) = self.status();
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_seconds() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (_, kind) = self.status();
        let body = json!({ "error": { "kind": kind, "message": self.to_string() } });
        self.answer(body)
    }
}

impl From<PeopleError> for ApiError {
    fn from(error: PeopleError) -> Self {
        let text = error.to_string();
        match error {
            PeopleError::NameUnfit { .. }
            | PeopleError::NoSuchRole { .. }
            | PeopleError::PasswordUnfit => Self::BadRequest(text),
            PeopleError::Exists { .. } | PeopleError::LastAdmin { .. } | PeopleError::Full => {
                Self::Conflict(text)
            }
            PeopleError::NotFound { .. } => Self::NotFound(text),
            PeopleError::Hash | PeopleError::Unreadable { .. } | PeopleError::Records(_) => {
                Self::internal("cannot reach the people", &error)
            }
        }
    }
}
