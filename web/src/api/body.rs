//! Bodies and queries, with errors in the API's own form.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// A JSON body. The media type must be JSON: a form of another site cannot send that.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> JsonBody<T> {
    pub(crate) async fn read(request: Request) -> Result<Self, ApiError> {
        Self::from_request(request, &()).await
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let parsed: Result<Json<T>, JsonRejection> = Json::from_request(request, state).await;
        parsed.map(|Json(value)| Self(value)).map_err(|error| {
            let text = error.body_text();
            if error.status().as_u16() == 413 {
                return ApiError::TooLarge(text);
            }
            ApiError::BadRequest(text)
        })
    }
}

/// Parameters after the question mark.
pub(crate) struct QueryOf<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for QueryOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let parsed: Result<Query<T>, QueryRejection> =
            Query::from_request_parts(parts, state).await;
        let bad = |error: QueryRejection| ApiError::BadRequest(error.body_text());
        parsed.map(|Query(value)| Self(value)).map_err(bad)
    }
}
