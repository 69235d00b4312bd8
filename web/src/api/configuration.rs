//! The hosts that people add while the server runs, for admins.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as JsonValue, json};

use super::body::{JsonBody, QueryOf};
use crate::app::App;
use crate::auth::Identity;
use crate::configuration::{
    AddedHost, HostChange, HostChoices, HostRefused, RefusedAgent, SuggestedParent,
};
use crate::error::ApiError;
use crate::route::{Access, Body, Route, Value};

/// Most bytes of a host's table: some hundred checks.
const TABLE_BYTES_MAX: usize = 256 << 10;
const TRIAL: &str = "true: say what would be, and change nothing";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/config/hosts", Access::Admin, hosts)
            .summary("The hosts that were added while the server ran, secrets masked")
            .answer(Body::Json("AddedHosts")),
        Route::post("/api/v1/config/hosts", Access::Admin, add)
            .summary("Adds a host, with the keys of [host.NAME], and puts it in force")
            .takes("try", Value::Text, TRIAL)
            .request(Body::Json("NewHost"))
            .status(201)
            .body_bytes_max(TABLE_BYTES_MAX)
            .answer(Body::Json("HostGets")),
        Route::put("/api/v1/config/hosts/{host}", Access::Admin, change)
            .summary("Gives an added host other keys; those left out are gone")
            .needs("host", Value::Text, "the host's name")
            .takes("try", Value::Text, TRIAL)
            .request(Body::Json("HostTable"))
            .body_bytes_max(TABLE_BYTES_MAX)
            .answer(Body::Json("HostGets")),
        Route::delete("/api/v1/config/hosts/{host}", Access::Admin, remove)
            .summary("Removes an added host with its checks; its history stays for a while")
            .needs("host", Value::Text, "the host's name"),
        Route::get("/api/v1/suggestions/parents", Access::Viewer, parents)
            .summary("Parents for hosts that have none, from what their agents tell")
            .takes("host", Value::Text, "only for this host")
            .answer(Body::Json("SuggestedParents")),
        Route::get("/api/v1/agents/refused", Access::Viewer, refused)
            .summary("Machines that report and are no hosts, with the reason")
            .answer(Body::Json("RefusedAgents")),
        Route::get("/api/v1/config/choices", Access::Admin, choices)
            .summary("What a host may name: templates, groups, contacts, periods")
            .answer(Body::Json("HostChoices")),
    ]
}

#[derive(Serialize)]
struct AddedHosts {
    hosts: Vec<AddedHost>,
}

async fn hosts(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    match app.deps.configuration.added().await {
        Ok(hosts) => Ok(Json(AddedHosts { hosts }).into_response()),
        Err(refused) => refused_answer(refused),
    }
}

async fn choices(State(app): State<Arc<App>>) -> Json<HostChoices> {
    Json(app.deps.configuration.choices().await)
}

#[derive(Deserialize)]
struct OfHost {
    host: Option<String>,
}

#[derive(Serialize)]
struct SuggestedParents {
    parents: Vec<SuggestedParent>,
}

async fn parents(
    State(app): State<Arc<App>>,
    QueryOf(OfHost { host }): QueryOf<OfHost>,
) -> Json<SuggestedParents> {
    let mut parents = app.deps.configuration.suggested_parents().await;
    if let Some(host) = host {
        parents.retain(|parent| parent.host == host);
    }
    Json(SuggestedParents { parents })
}

#[derive(Serialize)]
struct RefusedAgents {
    agents: Vec<RefusedAgent>,
}

async fn refused(State(app): State<Arc<App>>) -> Json<RefusedAgents> {
    Json(RefusedAgents { agents: app.deps.configuration.refused_agents().await })
}

#[derive(Deserialize)]
struct Trial {
    #[serde(default)]
    r#try: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewHost {
    name: String,
    #[serde(default)]
    table: Map<String, JsonValue>,
}

async fn add(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    QueryOf(trial): QueryOf<Trial>,
    JsonBody(NewHost { name, table }): JsonBody<NewHost>,
) -> Result<Response, ApiError> {
    let (is_trial, author) = (trial.r#try, identity.name);
    let status = if is_trial { StatusCode::OK } else { StatusCode::CREATED };
    put(&app, HostChange { name, table, is_new: true, is_trial, author }, status).await
}

async fn change(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
    QueryOf(trial): QueryOf<Trial>,
    JsonBody(table): JsonBody<Map<String, JsonValue>>,
) -> Result<Response, ApiError> {
    let (is_trial, author) = (trial.r#try, identity.name);
    put(&app, HostChange { name, table, is_new: false, is_trial, author }, StatusCode::OK).await
}

async fn put(app: &App, change: HostChange, status: StatusCode) -> Result<Response, ApiError> {
    match app.deps.configuration.put(change).await {
        Ok(gets) => Ok((status, Json(gets)).into_response()),
        Err(refused) => refused_answer(refused),
    }
}

async fn remove(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    match app.deps.configuration.remove(&name, &identity.name).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(refused) => refused_answer(refused),
    }
}

/// Answers why it was not done; faults of the table one by one, with their fields.
fn refused_answer(refused: HostRefused) -> Result<Response, ApiError> {
    let text = refused.to_string();
    Err(match refused {
        HostRefused::Faults(faults) => {
            let said = |fault: &crate::configuration::FieldFault| {
                let ends = if fault.advice.is_empty() { "" } else { "; " };
                let field = if fault.field.is_empty() { "" } else { ": " };
                format!("{}{field}{}{ends}{}", fault.field, fault.what, fault.advice)
            };
            let message: Vec<String> = faults.iter().map(said).collect();
            let error = json!({
                "kind": "unprocessable", "message": message.join("\n"), "faults": faults,
            });
            let body = Json(json!({ "error": error }));
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, body).into_response());
        }
        HostRefused::Exists { .. } | HostRefused::IsNamed(_) | HostRefused::FilesHaveFaults(_) => {
            ApiError::Conflict(text)
        }
        HostRefused::NotAdded { .. } => ApiError::NotFound(text),
        HostRefused::File { .. } => ApiError::Unavailable(text),
    })
}
