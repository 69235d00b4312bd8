//! Who may do what: every route of the description is asked without credentials and by every role.

use noroshi_web::people::Role;
use serde_json::Value;

use crate::house::House;

/// Every method and path of the description, with the role that it says is needed.
async fn routes(house: &House) -> Vec<(String, String, String)> {
    let document = house.read("/api/v1/openapi.json").await;
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let needs = operation["description"].as_str().unwrap();
            let needs = needs.trim_start_matches("Needs ").trim_end_matches('.').to_owned();
            all.push((method.to_uppercase(), path.replace(['{', '}'], ""), needs));
        }
    }
    assert!(all.len() > 20, "{all:?}");
    all
}

#[tokio::test]
async fn nothing_answers_without_credentials_but_the_open_routes() {
    let house = House::open().await;
    let mut open = Vec::new();
    for (method, path, needs) in routes(&house).await {
        let answer = house.ask(&method, &path).send().await;
        if needs == "no role" {
            open.push(format!("{method} {path}"));
            assert_ne!(answer.status, 401, "{method} {path}");
        } else {
            assert_eq!(answer.status, 401, "{method} {path}");
            let body = answer.json();
            // Prometheus' clients look for the error in their own form.
            let is_theirs = path.starts_with("/prometheus/");
            let kind = if is_theirs { &body["errorType"] } else { &body["error"]["kind"] };
            assert_eq!(kind, "unauthorized", "{method} {path}");
            assert!(answer.headers.contains_key("www-authenticate"), "{method} {path}");
        }
    }
    for path in ["/", "/index.html", "/assets/index.js", "/favicon.ico", "/nothing", "/api/v2/x"] {
        assert_eq!(house.get(path).send().await.status, 401, "{path}");
    }
    open.sort();
    assert_eq!(open, ["GET /healthz", "GET /sign-in", "POST /sign-in"]);
}

#[tokio::test]
async fn wrong_credentials_are_no_credentials() {
    let house = House::open().await;
    let revoked = house.people.create_token("old", Role::Admin).unwrap();
    house.people.revoke_token("old").unwrap();
    let wrong = [
        format!("Bearer {revoked}"),
        "Bearer noroshi_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        "Bearer ".to_owned(),
        "Basic AAAA".to_owned(),
        "Digest x".to_owned(),
        "nonsense".to_owned(),
    ];
    for value in wrong {
        let answer = house.get("/api/v1/session").header("authorization", &value).send().await;
        assert_eq!(answer.status, 401, "{value}");
    }
    let cookie = "noroshi_session=AAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(house.get("/api/v1/session").session(cookie).send().await.status, 401);
}

#[tokio::test]
async fn each_role_may_do_what_the_description_says() {
    let house = House::open().await;
    let tokens: Vec<(Role, String)> =
        Role::ALL.into_iter().map(|role| (role, house.token(role))).collect();
    for (method, path, needs) in routes(&house).await {
        let admitted: &[Role] = match needs.as_str() {
            "no role" => &Role::ALL,
            "role viewer" => &[Role::Viewer, Role::Operator, Role::Admin],
            "role operator" => &[Role::Operator, Role::Admin],
            "role admin" => &[Role::Admin],
            "role agent" => &[Role::Agent],
            "role agent or admin" => &[Role::Agent, Role::Admin],
            "role agent or operator" => &[Role::Agent, Role::Operator, Role::Admin],
            other => panic!("{method} {path} needs {other}"),
        };
        for (role, token) in &tokens {
            let answer = house.ask(&method, &path).token(token).open().await;
            let is_refused = answer.status() == 403;
            assert_eq!(is_refused, !admitted.contains(role), "{method} {path} by {role}");
        }
    }
}

#[tokio::test]
async fn an_agent_does_not_get_the_pages() {
    let house = House::open().await;
    let token = house.token(Role::Agent);
    for path in ["/", "/assets/x.js", "/nothing"] {
        assert_eq!(house.get(path).token(&token).send().await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn the_description_is_whole() {
    let house = House::open().await;
    let document = house.read("/api/v1/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(!references.is_empty());
    for reference in &references {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        assert!(schemas.contains_key(name), "{name} is not described");
    }
    for name in schemas.keys() {
        let reference = format!("#/components/schemas/{name}");
        assert!(references.contains(&reference), "{name} is not used");
    }
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let summary = operation["summary"].as_str().unwrap();
            assert!(!summary.is_empty(), "{method} {path} has no summary");
        }
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str().filter(|_| key == "$ref") {
                    Some(reference) => references.push(reference.to_owned()),
                    None => collect(value, references),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}
