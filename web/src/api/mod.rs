//! The native API: `/api/v1`.

mod account;
mod actions;
mod availability;
mod board;
mod body;
mod collection;
mod configuration;
mod heartbeat;
mod keeping;
mod language;
mod people;
mod query;
mod telling;

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::route::{Access, Body, Route};

/// Returns the routes below `/api/v1`.
pub(crate) fn routes() -> Vec<Route> {
    let own = vec![
        Route::get("/api/v1/openapi.json", Access::Viewer, document)
            .summary("This description")
            .answer(Body::Json("OpenApi")),
    ];
    [
        account::routes(),
        board::routes(),
        availability::routes(),
        query::routes(),
        language::routes(),
        actions::routes(),
        telling::routes(),
        heartbeat::routes(),
        collection::routes(),
        people::routes(),
        configuration::routes(),
        keeping::routes(),
        own,
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn document(State(app): State<Arc<App>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.openapi.clone()).into_response()
}
