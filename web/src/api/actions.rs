//! What operators do to hosts and checks. The author is whoever is signed in.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use noroshi_checks::{Acknowledge, ActionError, Downtime, PassiveResult};
use noroshi_model::{CheckId, Origin, Status, Timestamp};
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use crate::app::App;
use crate::auth::Identity;
use crate::error::ApiError;
use crate::route::{Access, Body, Route};

/// Longest downtime: a year. A longer one is a check that should be removed.
const DOWNTIME_MAX: Duration = Duration::from_hours(366 * 24);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/actions/acknowledge", Access::Operator, acknowledge)
            .summary("Takes a problem on")
            .request(Body::Json("NewAcknowledge")),
        Route::post("/api/v1/actions/unacknowledge", Access::Operator, unacknowledge)
            .summary("Gives a problem back")
            .request(Body::Json("NamedCheck")),
        Route::post("/api/v1/actions/downtime", Access::Operator, downtime)
            .summary("Plans a downtime, from now if no start is given")
            .request(Body::Json("NewDowntime"))
            .status(201)
            .answer(Body::Json("AddedDowntime")),
        Route::post("/api/v1/actions/cancel_downtime", Access::Operator, cancel_downtime)
            .summary("Ends a downtime, or does away with a planned one")
            .request(Body::Json("CancelDowntime")),
        Route::post("/api/v1/actions/comment", Access::Operator, comment)
            .summary("Says something about a host or check")
            .request(Body::Json("NewComment")),
        Route::post("/api/v1/actions/recheck", Access::Operator, recheck)
            .summary("Runs a check now")
            .request(Body::Json("NamedCheck")),
        Route::post("/api/v1/actions/submit", Access::Operator, submit)
            .summary("Hands in a result")
            .request(Body::Json("Submit")),
        Route::post("/api/v1/actions/test_message", Access::Admin, test_message)
            .summary("Sends a test message to a contact")
            .request(Body::Json("TestMessage"))
            .answer(Body::Json("TestMessages")),
        Route::post("/api/v1/reload", Access::Admin, reload).summary(
            "Asks for the config to be read again; /api/v1/overview shows what came of it",
        ),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAcknowledge {
    host: String,
    check: Option<String>,
    comment: String,
    #[serde(default)]
    sticky: bool,
    until: Option<Timestamp>,
}

async fn acknowledge(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    JsonBody(new): JsonBody<NewAcknowledge>,
) -> Result<StatusCode, ApiError> {
    let id = id(&new.host, new.check.as_deref());
    let acknowledge = Acknowledge {
        author: identity.name,
        comment: new.comment,
        is_sticky: new.sticky,
        until: new.until,
    };
    app.deps.checks.acknowledge(&id, acknowledge).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    host: String,
    check: Option<String>,
}

async fn unacknowledge(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    JsonBody(named): JsonBody<Named>,
) -> Result<StatusCode, ApiError> {
    let id = id(&named.host, named.check.as_deref());
    app.deps.checks.unacknowledge(&id, &identity.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDowntime {
    host: String,
    check: Option<String>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    /// Instead of `end`.
    duration_seconds: Option<f64>,
    comment: String,
}

#[derive(Serialize)]
struct AddedDowntime {
    downtime: u64,
}

async fn downtime(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    JsonBody(new): JsonBody<NewDowntime>,
) -> Result<(StatusCode, Json<AddedDowntime>), ApiError> {
    let start = new.start.unwrap_or_else(|| app.deps.clock.now());
    let end = match (new.end, new.duration_seconds) {
        (Some(end), None) => end,
        (None, Some(seconds)) => {
            let duration = Duration::try_from_secs_f64(seconds);
            start + duration.map_err(|_| ApiError::BadRequest(DURATION_UNFIT.to_owned()))?
        }
        _ => return Err(ApiError::BadRequest(DURATION_UNFIT.to_owned())),
    };
    if end.since(start) > DOWNTIME_MAX {
        return Err(ApiError::BadRequest("a downtime lasts a year at most".to_owned()));
    }
    let id = id(&new.host, new.check.as_deref());
    let downtime = Downtime::fixed(id, start, end, &identity.name, &new.comment);
    let downtime = app.deps.checks.downtime(downtime).await?;
    Ok((StatusCode::CREATED, Json(AddedDowntime { downtime })))
}

const DURATION_UNFIT: &str = "give either `end` or `duration_seconds`, which is not negative";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelDowntime {
    downtime: u64,
}

async fn cancel_downtime(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    JsonBody(CancelDowntime { downtime }): JsonBody<CancelDowntime>,
) -> Result<StatusCode, ApiError> {
    app.deps.checks.cancel_downtime(downtime, &identity.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewComment {
    host: String,
    check: Option<String>,
    comment: String,
}

async fn comment(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    JsonBody(new): JsonBody<NewComment>,
) -> Result<StatusCode, ApiError> {
    let id = id(&new.host, new.check.as_deref());
    app.deps.checks.comment(&id, &identity.name, &new.comment).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn recheck(
    State(app): State<Arc<App>>,
    JsonBody(named): JsonBody<Named>,
) -> Result<StatusCode, ApiError> {
    app.deps.checks.recheck(&id(&named.host, named.check.as_deref())).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Submit {
    host: String,
    check: Option<String>,
    status: Status,
    output: String,
    at: Option<Timestamp>,
}

async fn submit(
    State(app): State<Arc<App>>,
    JsonBody(new): JsonBody<Submit>,
) -> Result<StatusCode, ApiError> {
    let id = id(&new.host, new.check.as_deref());
    let Submit { status, output, at, .. } = new;
    let result = PassiveResult { id, status, output, at, origin: Origin::Passive };
    app.deps.checks.submit(result).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestMessage {
    contact: String,
}

#[derive(Serialize)]
struct TestMessages {
    notifications: Vec<u64>,
}

async fn test_message(
    State(app): State<Arc<App>>,
    JsonBody(TestMessage { contact }): JsonBody<TestMessage>,
) -> Result<Json<TestMessages>, ApiError> {
    use noroshi_alerts::TestError;
    let queued = app.deps.alerts.test_message(&contact).await;
    let notifications = queued.map_err(|error| match &error {
        TestError::NoSuchContact { .. } => ApiError::NotFound(error.to_string()),
        TestError::NoAddress { .. } | TestError::NoServer => ApiError::Conflict(error.to_string()),
        TestError::State(_) => ApiError::internal("cannot queue a test message", &error),
    })?;
    Ok(Json(TestMessages { notifications }))
}

async fn reload(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    use tokio::sync::mpsc::error::TrySendError;
    match app.deps.reload.try_send(()) {
        // A full queue: one is about to happen anyway.
        Ok(()) | Err(TrySendError::Full(())) => Ok(StatusCode::NO_CONTENT),
        Err(TrySendError::Closed(())) => {
            Err(ApiError::Unavailable("the server is stopping".to_owned()))
        }
    }
}

fn id(host: &str, check: Option<&str>) -> CheckId {
    match check {
        None | Some("") => CheckId::host(host),
        Some(check) => CheckId::check(host, check),
    }
}

impl From<ActionError> for ApiError {
    fn from(error: ActionError) -> Self {
        let text = error.to_string();
        match error {
            ActionError::NoSuchCheck { .. }
            | ActionError::NoSuchGroup { .. }
            | ActionError::NoSuchDowntime { .. } => Self::NotFound(text),
            ActionError::NoProblem { .. }
            | ActionError::NotAcknowledged { .. }
            | ActionError::NotAHeartbeat { .. } => Self::Conflict(text),
            ActionError::DowntimeIsEmpty
            | ActionError::WrongStatus { .. }
            | ActionError::TextTooLong => Self::BadRequest(text),
            ActionError::Stopping => Self::Unavailable(text),
        }
    }
}
