//! Heartbeats: what must call in every so often, such as the last line of a nightly job.
//!
//! The body is plain text or nothing, and a GET does as well as a POST: whatever can fetch a page
//! can call. For that reason a browser's session does not: a link on another site must not be one.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use noroshi_checks::Heartbeat;
use noroshi_model::{CheckId, Status};
use serde::Deserialize;

use crate::app::App;
use crate::auth::{Identity, Via};
use crate::error::ApiError;
use crate::route::{Access, Body, Route, Value};

const PATH: &str = "/api/v1/heartbeat/{host}/{check}";

pub(super) fn routes() -> Vec<Route> {
    let described = |route: Route| {
        route
            .needs("host", Value::Text, "the host's name")
            .needs("check", Value::Text, "the check's name")
            .takes("status", Value::Text, "ok, warning, critical, unknown, or an exit code")
            .takes("state", Value::Text, "`start` when the work begins; the next call ends it")
    };
    let get = Route::get(PATH, Access::Heartbeat, call).summary("Calls in: a heartbeat");
    let post = Route::post(PATH, Access::Heartbeat, call)
        .summary("Calls in: a heartbeat, with what the job said")
        .request(Body::Other("text/plain"));
    vec![described(get), described(post)]
}

#[derive(Deserialize)]
struct How {
    status: Option<String>,
    state: Option<String>,
}

async fn call(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    Path((host, check)): Path<(String, String)>,
    Query(how): Query<How>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    if matches!(identity.via, Via::Session { .. }) {
        return Err(ApiError::Forbidden("a heartbeat is called with a token".to_owned()));
    }
    let call = match how.state.as_deref() {
        Some("start") => Heartbeat::Begun,
        None | Some("finish") => {
            let output = String::from_utf8_lossy(&body).into_owned();
            Heartbeat::Done { status: status(how.status.as_deref())?, output }
        }
        Some(other) => {
            return Err(ApiError::BadRequest(format!(
                "there is no state {other:?}; write start or finish"
            )));
        }
    };
    app.deps.checks.heartbeat(&CheckId::check(&host, &check), call).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads a status or an exit code; one that no plug-in has is a failure.
fn status(said: Option<&str>) -> Result<Status, ApiError> {
    let Some(said) = said else { return Ok(Status::Ok) };
    if let Ok(code) = said.parse::<i32>() {
        return Ok(match code {
            0 => Status::Ok,
            1 => Status::Warning,
            3 => Status::Unknown,
            _ => Status::Critical,
        });
    }
    match said.to_lowercase().parse() {
        Ok(status @ (Status::Ok | Status::Warning | Status::Critical | Status::Unknown)) => {
            Ok(status)
        }
        _ => Err(ApiError::BadRequest(format!(
            "there is no status {said:?}; write ok, warning, critical, unknown or an exit code"
        ))),
    }
}
