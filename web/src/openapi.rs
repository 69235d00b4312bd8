//! `/api/v1/openapi.json`: made from the table of routes, with the schemas beside it.

use serde_json::{Map, Value as Json, json};

use crate::route::{Access, Body, Parameter, Route, Value};

/// The schemas of all JSON bodies: `OpenAPI` 3.1, that is JSON Schema 2020-12.
const SCHEMAS: &str = include_str!("../openapi/schemas.json");

/// Returns the document.
///
/// Panics when the schemas that are compiled in are no JSON, which a test would have shown.
pub(crate) fn document(routes: &[Route]) -> Json {
    let schemas: Json = serde_json::from_str(SCHEMAS).expect("a test parses the schemas");
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Noroshi",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Times are milliseconds since 1970 unless said otherwise; unknown \
                numbers are null. Without credentials every path answers 401 but those with an \
                empty list of security.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": { "type": "apiKey", "in": "cookie", "name": "noroshi_session" },
                "token": { "type": "http", "scheme": "bearer" },
                "basic": { "type": "http", "scheme": "basic" },
            },
        },
    })
}

fn operation(route: &Route) -> Json {
    let mut operation = json!({
        "summary": route.summary,
        "description": format!("Needs {}.", route.access.needs()),
        "responses": responses(route),
        "security": security(route.access),
    });
    let is_form = route.request == Body::Form;
    let in_path = |parameter: &&Parameter| route.path.contains(&format!("{{{}}}", parameter.name));
    let listed: Vec<Json> = route
        .parameters
        .iter()
        .filter(|parameter| !is_form || in_path(parameter))
        .map(|parameter| described(parameter, in_path(&parameter)))
        .collect();
    if !listed.is_empty() {
        operation["parameters"] = listed.into();
    }
    if let Some(content) = content(route.request, &route.parameters) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn responses(route: &Route) -> Json {
    let error = json!({ "application/json": { "schema": reference(error_schema(route)) } });
    let mut responses = json!({
        "default": { "description": "It was not done, and why", "content": error },
    });
    let content = content(route.answer, &[]);
    let status = route.status.unwrap_or(if content.is_some() { 200 } else { 204 }).to_string();
    responses[&status] = json!({ "description": "Done" });
    if let Some(content) = content {
        responses[&status]["content"] = content;
    }
    responses
}

fn error_schema(route: &Route) -> &'static str {
    if route.path.starts_with("/prometheus/") { "PrometheusError" } else { "Error" }
}

fn content(body: Body, parameters: &[Parameter]) -> Option<Json> {
    match body {
        Body::Empty => None,
        Body::Json(schema) => Some(json!({ "application/json": { "schema": reference(schema) } })),
        Body::Other(mime) => Some(json!({ mime: { "schema": { "type": "string" } } })),
        Body::Form => {
            let mut properties = Map::new();
            for parameter in parameters {
                properties.insert(parameter.name.to_owned(), schema(parameter.value));
            }
            let schema = json!({ "type": "object", "properties": properties });
            Some(json!({ "application/x-www-form-urlencoded": { "schema": schema } }))
        }
    }
}

fn reference(schema: &str) -> Json {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn security(access: Access) -> Json {
    match access {
        Access::Open => json!([]),
        Access::Agent => json!([{ "token": [] }]),
        Access::Heartbeat => json!([{ "token": [] }, { "basic": [] }]),
        _ => json!([{ "session": [] }, { "token": [] }, { "basic": [] }]),
    }
}

fn described(parameter: &Parameter, is_in_path: bool) -> Json {
    json!({
        "name": parameter.name,
        "in": if is_in_path { "path" } else { "query" },
        "required": parameter.is_required || is_in_path,
        "description": parameter.help,
        "schema": schema(parameter.value),
    })
}

fn schema(value: Value) -> Json {
    match value {
        Value::Text => json!({ "type": "string" }),
        Value::Integer => json!({ "type": "integer" }),
        Value::Time | Value::Duration => json!({ "type": ["number", "string"] }),
        Value::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Value::Numbers => json!({ "type": "array", "items": { "type": "number" } }),
    }
}
