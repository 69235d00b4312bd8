//! The agents' door: `agent/PROTOCOL.md`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use noroshi_collector::{AgentIdentity, IngestError};
use noroshi_model::frame::BODY_BYTES_MAX;
use serde_json::json;

use crate::app::App;
use crate::auth::Identity;
use crate::error::ApiError;
use crate::route::{Access, Body, Route};

/// When an agent comes again that was told to wait, in seconds. It has a spool.
const WAIT_SECONDS: u64 = 30;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::post("/agent/v1/frames", Access::Agent, frames)
            .summary("Takes an agent's frames; see agent/PROTOCOL.md")
            .request(Body::Other("application/vnd.noroshi.frames"))
            .answer(Body::Json("Receipt"))
            .body_bytes_max(BODY_BYTES_MAX),
    ]
}

async fn frames(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body.map_err(|error| ApiError::TooLarge(error.body_text()))?;
    let looks = headers.get("noroshi-looks").and_then(|version| version.to_str().ok());
    let agent = AgentIdentity {
        token: identity.name,
        address: peer.ip().to_canonical().to_string(),
        looks_version: looks.unwrap_or_default().to_owned(),
    };
    match app.deps.ingest.accept(&agent, &body).await {
        Ok(receipt) => Ok(Json(receipt).into_response()),
        Err(error) => Ok(refused(&agent, &error)),
    }
}

fn refused(agent: &AgentIdentity, error: &IngestError) -> Response {
    let (kind, message) = (error.as_str(), noroshi_model::chain(error));
    tracing::warn!(token = agent.token, address = agent.address, kind, "frames refused: {message}");
    let status = StatusCode::from_u16(error.http_status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({ "error": { "kind": kind, "message": message } });
    let mut response = (status, Json(body)).into_response();
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(WAIT_SECONDS));
    }
    response
}
