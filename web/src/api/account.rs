//! Who is signed in, and their own password.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tower_sessions::Session;

use super::body::JsonBody;
use crate::app::App;
use crate::auth::{IS_FROM_LINK, Identity, Via};
use crate::error::ApiError;
use crate::people::Role;
use crate::route::{Access, Body, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/session", Access::Viewer, session)
            .summary("Who is signed in")
            .answer(Body::Json("Session")),
        Route::post("/api/v1/account/password", Access::Viewer, password)
            .summary("Sets the own password and ends the other sessions")
            .request(Body::Json("NewPassword")),
    ]
}

/// Who is signed in.
#[derive(Serialize)]
struct SessionView {
    user: String,
    role: Role,
    /// Whether they came by a link and have no password yet.
    must_set_password: bool,
}

async fn session(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
) -> Result<Json<SessionView>, ApiError> {
    let Identity { name, role, via } = identity;
    let must_set_password = match via {
        Via::Token => false,
        Via::Session { .. } | Via::Password => {
            let name = name.clone();
            let user = app.with_people(move |people| Ok(people.user(&name)?)).await?;
            user.is_some_and(|user| !user.has_password)
        }
    };
    Ok(Json(SessionView { user: name, role, must_set_password }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    password: String,
    current: Option<String>,
}

async fn password(
    State(app): State<Arc<App>>,
    Extension(identity): Extension<Identity>,
    session: Session,
    request: axum::extract::Request,
) -> Result<StatusCode, ApiError> {
    let address = crate::auth::address(&request);
    let JsonBody(new): JsonBody<NewPassword> = JsonBody::read(request).await?;
    let name = identity.name;
    let is_known = match identity.via {
        Via::Token => {
            return Err(ApiError::Forbidden("a token has no password".to_owned()));
        }
        Via::Session { is_from_link: true } => true,
        Via::Session { .. } | Via::Password => {
            let current = new.current.unwrap_or_default();
            app.verify_password(&name, &current, address).await?.is_some()
        }
    };
    if !is_known {
        return Err(ApiError::Forbidden("the current password is another one".to_owned()));
    }
    let people = Arc::clone(&app.people);
    let kept = session.id();
    let set = move || {
        people.set_password(&name, &new.password)?;
        Ok::<_, ApiError>(people.end_sessions(&name, kept)?)
    };
    app.gate.hash(set).await??;
    if session.id().is_some() {
        let failed = |error| ApiError::internal("cannot write the session", &error);
        session.insert(IS_FROM_LINK, false).await.map_err(failed)?;
    }
    Ok(StatusCode::NO_CONTENT)
}
