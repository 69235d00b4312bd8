//! Users and tokens, for admins.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts as _, Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::body::{JsonBody, QueryOf};
use crate::app::App;
use crate::error::ApiError;
use crate::people::{Role, Token, User};
use crate::route::{Access, Body, Route, Value};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/users", Access::Admin, users)
            .summary("Who may sign in")
            .answer(Body::Json("Users")),
        Route::post("/api/v1/users", Access::Admin, add_user)
            .summary("Adds a user; without a password they come in by the link that is returned")
            .request(Body::Json("NewUser"))
            .status(201)
            .answer(Body::Json("AddedUser")),
        Route::delete("/api/v1/users", Access::Admin, remove_user)
            .summary("Removes a user and ends their sessions")
            .takes("name", Value::Text, "the user's name; or in a JSON body"),
        Route::post("/api/v1/users/role", Access::Admin, set_role)
            .summary("Gives a user another role")
            .request(Body::Json("NewRole"))
            .answer(Body::Json("User")),
        Route::post("/api/v1/users/sign-in-link", Access::Admin, sign_in_link)
            .summary("Makes a link that lets a user in once within a day")
            .request(Body::Json("Named"))
            .answer(Body::Json("SignInLink")),
        Route::get("/api/v1/tokens", Access::Admin, tokens)
            .summary("The tokens, without their secrets")
            .answer(Body::Json("Tokens")),
        Route::post("/api/v1/tokens", Access::Admin, add_token)
            .summary("Makes a token; its secret is shown this once")
            .request(Body::Json("NewToken"))
            .status(201)
            .answer(Body::Json("AddedToken")),
        Route::delete("/api/v1/tokens", Access::Admin, revoke_token)
            .summary("Makes a token useless at once")
            .takes("name", Value::Text, "the token's name; or in a JSON body"),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

/// What is to be removed: named in the address, or in a JSON body. Some proxies drop the body of a
/// DELETE, some programs find it easier.
impl FromRequest<Arc<App>> for Named {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        if parts.uri.query().is_some() {
            let QueryOf(named) = QueryOf::from_request_parts(&mut parts, app).await?;
            return Ok(named);
        }
        let JsonBody(named) = JsonBody::read(Request::from_parts(parts, body)).await?;
        Ok(named)
    }
}

#[derive(Serialize)]
struct Users {
    users: Vec<User>,
}

async fn users(State(app): State<Arc<App>>) -> Result<Json<Users>, ApiError> {
    let users = app.with_people(|people| Ok(people.users()?)).await?;
    Ok(Json(Users { users }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    name: String,
    role: Role,
    password: Option<String>,
}

#[derive(Serialize)]
struct AddedUser {
    user: User,
    /// Path of the page that lets them in; `None` when they were given a password.
    sign_in_path: Option<String>,
}

async fn add_user(
    State(app): State<Arc<App>>,
    JsonBody(new): JsonBody<NewUser>,
) -> Result<(StatusCode, Json<AddedUser>), ApiError> {
    let people = Arc::clone(&app.people);
    let add = move || {
        let user = people.create_user(&new.name, new.role, new.password.as_deref())?;
        let link = if user.has_password { None } else { Some(people.sign_in_link(&user.name)?) };
        Ok::<_, ApiError>(AddedUser { user, sign_in_path: link.map(|link| path_of(&link)) })
    };
    let added = app.gate.hash(add).await??;
    Ok((StatusCode::CREATED, Json(added)))
}

async fn remove_user(
    State(app): State<Arc<App>>,
    Named { name }: Named,
) -> Result<StatusCode, ApiError> {
    app.with_people(move |people| Ok(people.remove_user(&name)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRole {
    name: String,
    role: Role,
}

async fn set_role(
    State(app): State<Arc<App>>,
    JsonBody(NewRole { name, role }): JsonBody<NewRole>,
) -> Result<Json<User>, ApiError> {
    Ok(Json(app.with_people(move |people| Ok(people.set_role(&name, role)?)).await?))
}

#[derive(Serialize)]
struct SignInLink {
    sign_in_path: String,
}

async fn sign_in_link(
    State(app): State<Arc<App>>,
    JsonBody(Named { name }): JsonBody<Named>,
) -> Result<Json<SignInLink>, ApiError> {
    let link = app.with_people(move |people| Ok(people.sign_in_link(&name)?)).await?;
    Ok(Json(SignInLink { sign_in_path: path_of(&link) }))
}

fn path_of(link: &str) -> String {
    format!("/sign-in?token={link}")
}

#[derive(Serialize)]
struct Tokens {
    tokens: Vec<Token>,
}

async fn tokens(State(app): State<Arc<App>>) -> Result<Json<Tokens>, ApiError> {
    let tokens = app.with_people(|people| Ok(people.tokens()?)).await?;
    Ok(Json(Tokens { tokens }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    name: String,
    role: Role,
}

#[derive(Serialize)]
struct AddedToken {
    name: String,
    role: Role,
    /// The secret.
    token: String,
}

async fn add_token(
    State(app): State<Arc<App>>,
    JsonBody(NewToken { name, role }): JsonBody<NewToken>,
) -> Result<(StatusCode, Json<AddedToken>), ApiError> {
    let owned = name.clone();
    let token = app.with_people(move |people| Ok(people.create_token(&owned, role)?)).await?;
    Ok((StatusCode::CREATED, Json(AddedToken { name, role, token })))
}

async fn revoke_token(
    State(app): State<Arc<App>>,
    Named { name }: Named,
) -> Result<StatusCode, ApiError> {
    app.with_people(move |people| Ok(people.revoke_token(&name)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}
