//! What is polled, and which agents send.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use noroshi_collector::{AgentView, PollStatus};
use serde::Serialize;

use crate::app::App;
use crate::route::{Access, Body, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/polls", Access::Viewer, polls)
            .summary("What is polled, and how the last poll went")
            .answer(Body::Json("Polls")),
        Route::get("/api/v1/agents", Access::Viewer, agents)
            .summary("Which agents have reported since the server started")
            .answer(Body::Json("Agents")),
    ]
}

#[derive(Serialize)]
struct Polls {
    polls: Vec<PollStatus>,
}

async fn polls(State(app): State<Arc<App>>) -> Json<Polls> {
    Json(Polls { polls: app.deps.collector.status() })
}

#[derive(Serialize)]
struct Agents {
    agents: Vec<AgentView>,
}

async fn agents(State(app): State<Arc<App>>) -> Json<Agents> {
    Json(Agents { agents: app.deps.ingest.agents() })
}
