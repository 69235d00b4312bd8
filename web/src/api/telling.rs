//! Who was told what, and why.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use noroshi_alerts::{NotificationView, StateError, Trace};
use noroshi_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::board::Named;
use super::body::QueryOf;
use crate::app::App;
use crate::error::ApiError;
use crate::route::{Access, Body, Route, Value};

/// Notifications returned when no number is asked for.
const NOTIFICATIONS_USUAL: usize = 100;
/// Most notifications in one answer.
const NOTIFICATIONS_MAX: usize = 1000;
/// Decisions in one answer.
const TRACES_MAX: usize = 50;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/notifications", Access::Viewer, notifications)
            .summary("Who was told what, newest first")
            .takes("before", Value::Integer, "only notifications with a smaller number")
            .takes("limit", Value::Integer, "at most this many, 1 to 1000; 100 if not given")
            .answer(Body::Json("Notifications")),
        Route::get("/api/v1/why", Access::Viewer, why)
            .summary(
                "The decisions about a host or check, newest first, each stage with its reason",
            )
            .needs("host", Value::Text, "the host's name")
            .takes("check", Value::Text, "the check's name")
            .takes("at", Value::Integer, "only up to this moment, in milliseconds since 1970")
            .answer(Body::Json("Why")),
    ]
}

#[derive(Deserialize)]
struct NotificationsQuery {
    before: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Notifications {
    notifications: Vec<NotificationView>,
}

async fn notifications(
    State(app): State<Arc<App>>,
    QueryOf(query): QueryOf<NotificationsQuery>,
) -> Result<Json<Notifications>, ApiError> {
    let limit = query.limit.unwrap_or(NOTIFICATIONS_USUAL).clamp(1, NOTIFICATIONS_MAX);
    let alerts = Arc::clone(&app.deps.alerts);
    let found = app.gate.query(move || alerts.notifications(query.before, limit)).await?;
    Ok(Json(Notifications { notifications: found.map_err(|error| unreadable(&error))? }))
}

#[derive(Deserialize)]
struct WhyQuery {
    host: String,
    check: Option<String>,
    at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Why {
    traces: Vec<Trace>,
}

async fn why(
    State(app): State<Arc<App>>,
    QueryOf(WhyQuery { host, check, at }): QueryOf<WhyQuery>,
) -> Result<Json<Why>, ApiError> {
    let alerts = Arc::clone(&app.deps.alerts);
    let id = Named { host, check }.id();
    let found = app.gate.query(move || alerts.why(&id, at, TRACES_MAX)).await?;
    Ok(Json(Why { traces: found.map_err(|error| unreadable(&error))? }))
}

fn unreadable(error: &StateError) -> ApiError {
    ApiError::internal("cannot read what was told", error)
}
