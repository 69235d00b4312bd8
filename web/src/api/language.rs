//! What an editor of expressions asks: the words of the language, and where a text is wrong.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use noroshi_expr::{aggregations, functions, keywords};
use serde_json::{Value as Document, json};

use crate::arguments::{ArgumentError, Arguments};
use crate::error::ApiError;
use crate::route::{Access, Body, Route, Value};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/language", Access::Viewer, language)
            .summary("The functions, aggregations and keywords of PromQL, for completion")
            .answer(Body::Json("Language")),
        Route::get("/api/v1/parse", Access::Viewer, parse)
            .summary("Tells whether a text is an expression, and where it is none")
            .needs("expr", Value::Text, "PromQL")
            .answer(Body::Json("ParseAnswer")),
    ]
}

async fn language() -> Response {
    let functions = functions().iter().map(|function| {
        json!({
            "name": function.name,
            "signature": function.signature(),
            "doc": function.doc,
            "is_experimental": function.is_experimental,
        })
    });
    let aggregations = aggregations().iter().map(|aggregation| {
        json!({
            "name": aggregation.name,
            "signature": aggregation.signature,
            "doc": aggregation.doc,
        })
    });
    let body = json!({
        "functions": functions.collect::<Vec<Document>>(),
        "aggregations": aggregations.collect::<Vec<Document>>(),
        "keywords": keywords(),
    });
    Json(body).into_response()
}

async fn parse(arguments: Result<Arguments, ArgumentError>) -> Result<Response, ApiError> {
    let arguments = arguments?;
    let body = match noroshi_expr::parse(arguments.needed("expr")?) {
        Ok(expr) => json!({ "type": expr.value_type().as_str(), "error": null }),
        Err(error) => json!({
            "type": null,
            "error": {
                "message": error.message,
                "line": error.position.line,
                "column": error.position.column,
            },
        }),
    };
    Ok(Json(body).into_response())
}
