//! Signing in, staying signed in, and being kept out.

use std::time::Duration;

use noroshi_web::people::{LINK_LIFE, Role, SESSION_IDLE_MAX, SESSION_LIFE_MAX};
use serde_json::json;

use crate::client::Answer;
use crate::house::House;

async fn house_with_ada() -> House {
    let house = House::open().await;
    house.people.create_user("ada", Role::Admin, Some("analytical")).unwrap();
    house
}

async fn status_of(house: &House, cookie: &str) -> u16 {
    house.get("/api/v1/session").session(cookie).send().await.status.as_u16()
}

#[tokio::test]
async fn a_user_signs_in_by_password_and_out_again() {
    let house = house_with_ada().await;
    let form = "user=ada&password=analytical&next=%2Fhosts%2Fweb1%3Frange%3D1h";
    let answer = house.post("/sign-in").form(form).send().await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("location"), "/hosts/web1?range=1h");
    let set = answer.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=1209600"] {
        assert!(set.contains(part), "{set}"); // 14 days are 1 209 600 s
    }
    assert!(!set.contains("Secure"), "{set}");

    let cookie = answer.cookie();
    let session = house.get("/api/v1/session").session(&cookie).send().await;
    let expected = json!({ "user": "ada", "role": "admin", "must_set_password": false });
    assert_eq!(session.json(), expected);

    let out = house.post("/sign-out").session(&cookie).send().await;
    assert_eq!((out.status.as_u16(), out.header("location")), (303, "/sign-in"));
    assert_eq!(status_of(&house, &cookie).await, 401);
}

#[tokio::test]
async fn behind_https_the_cookie_is_sent_by_https_only() {
    let house = House::behind_https().await;
    house.people.create_user("ada", Role::Admin, Some("analytical")).unwrap();
    let answer = house.post("/sign-in").form("user=ada&password=analytical").send().await;
    assert!(answer.header("set-cookie").contains("Secure"), "{}", answer.header("set-cookie"));
}

#[tokio::test]
async fn signing_in_never_leads_to_another_site() {
    let house = house_with_ada().await;
    for next in ["https://evil.example/", "//evil.example", "%2F%2Fevil.example", "%2F%5Cevil"] {
        let form = format!("user=ada&password=analytical&next={next}");
        let answer = house.post("/sign-in").form(&form).send().await;
        assert_eq!(answer.header("location"), "/", "{next}");
    }
}

#[tokio::test]
async fn the_same_page_answers_a_person_who_is_not_signed_in() {
    let house = house_with_ada().await;
    let navigation = house.get("/hosts/web1?a=1&b=2").header("accept", "text/html,*/*;q=0.8");
    let answer = navigation.header("sec-fetch-mode", "navigate").send().await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(answer.text().contains("name=\"next\" value=\"/hosts/web1?a=1&amp;b=2\""));
    assert!(answer.text().contains("<form method=\"post\" action=\"/sign-in\">"));
    // Basic would open the browser's own dialog.
    assert!(answer.header("www-authenticate").starts_with("Bearer"));

    let fetch = house.get("/api/v1/overview").header("accept", "*/*");
    let answer = fetch.header("sec-fetch-mode", "cors").send().await;
    assert!(answer.header("content-type").starts_with("application/json"));
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    let curl = house.get("/api/v1/overview").header("accept", "*/*").send().await;
    assert!(curl.header("www-authenticate").starts_with("Basic"));
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect() {
    let house = house_with_ada().await;
    let token = house.token(Role::Viewer);
    let answers: [Answer; 4] = [
        house.get("/sign-in").send().await,
        house.get("/api/v1/session").send().await,
        house.get("/api/v1/session").token(&token).send().await,
        house.get("/").token(&token).send().await,
    ];
    for answer in &answers {
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(policy.starts_with("default-src '"), "{policy}");
        assert!(!policy.contains("unsafe-inline"), "{policy}");
        assert!(!answer.header("cache-control").contains("public"));
        assert!(!answer.header("x-request-id").is_empty());
    }
}

#[tokio::test]
async fn the_sign_in_page_may_use_exactly_its_own_style() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let house = House::open().await;
    let answer = house.get("/sign-in").send().await;
    let html = answer.text();
    let (_, rest) = html.split_once("<style>").unwrap();
    let (style, _) = rest.split_once("</style>").unwrap();
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(style));
    let policy = answer.header("content-security-policy");
    assert!(policy.contains(&format!("style-src 'sha256-{hash}'")), "{policy}");
    assert!(!html.contains("<script"));
    assert!(!html.contains("style=\""));
}

#[tokio::test]
async fn a_link_lets_in_once_and_its_owner_sets_a_password_without_knowing_one() {
    let house = House::open().await;
    house.people.create_user("admin", Role::Admin, None).unwrap();
    let link = house.people.sign_in_link("admin").unwrap();

    let page = house.get(&format!("/sign-in?token={link}")).send().await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("Sign in as admin"));
    // Looking at it (a mail scanner does) does not use it up.
    let answer = house.post("/sign-in").form(&format!("token={link}")).send().await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/"));
    let cookie = answer.cookie();
    let session = house.get("/api/v1/session").session(&cookie).send().await.json();
    assert_eq!(session["must_set_password"], true);

    let again = house.post("/sign-in").form(&format!("token={link}")).send().await;
    assert_eq!(again.status, 401);
    assert!(again.text().contains("used already"));

    let password = json!({ "password": "correct horse" });
    let set = house.post("/api/v1/account/password").session(&cookie).json(&password);
    assert_eq!(set.send().await.status, 204);
    let session = house.get("/api/v1/session").session(&cookie).send().await.json();
    assert_eq!(session["must_set_password"], false);
    house.sign_in("admin", "correct+horse").await;
    // Now it takes the current one.
    let other = json!({ "password": "battery staple" });
    let set = house.post("/api/v1/account/password").session(&cookie).json(&other);
    assert_eq!(set.send().await.status, 403);
}

#[tokio::test]
async fn an_old_link_lets_nobody_in() {
    let house = house_with_ada().await;
    let link = house.people.sign_in_link("ada").unwrap();
    house.clock.advance(LINK_LIFE);
    assert_eq!(house.get(&format!("/sign-in?token={link}")).send().await.status, 401);
    assert_eq!(house.post("/sign-in").form(&format!("token={link}")).send().await.status, 401);
}

#[tokio::test]
async fn a_session_ends_after_two_weeks_without_use_and_after_ninety_days_in_all() {
    let house = house_with_ada().await;
    let cookie = house.sign_in("ada", "analytical").await;
    house.clock.advance(SESSION_IDLE_MAX.saturating_sub(Duration::from_secs(1)));
    assert_eq!(status_of(&house, &cookie).await, 200);
    house.clock.advance(SESSION_IDLE_MAX);
    assert_eq!(status_of(&house, &cookie).await, 401);

    let cookie = house.sign_in("ada", "analytical").await;
    let days = SESSION_LIFE_MAX.as_secs() / 86_400;
    for _ in 1..days {
        house.clock.advance(Duration::from_hours(24));
        assert_eq!(status_of(&house, &cookie).await, 200);
    }
    house.clock.advance(Duration::from_hours(24));
    assert_eq!(status_of(&house, &cookie).await, 401);
}

#[tokio::test]
async fn removing_a_user_or_lowering_their_role_holds_at_once() {
    let house = house_with_ada().await;
    house.people.create_user("bob", Role::Admin, Some("difference")).unwrap();
    let cookie = house.sign_in("bob", "difference").await;
    let users = async || house.get("/api/v1/users").session(&cookie).send().await.status.as_u16();
    assert_eq!(users().await, 200);
    house.people.set_role("bob", Role::Viewer).unwrap();
    assert_eq!(users().await, 403);
    house.people.remove_user("bob").unwrap();
    assert_eq!(users().await, 401);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let house = house_with_ada().await;
    let here = house.sign_in("ada", "analytical").await;
    let elsewhere = house.sign_in("ada", "analytical").await;
    let new = json!({ "password": "difference", "current": "analytical" });
    let set = house.post("/api/v1/account/password").session(&here).json(&new).send().await;
    assert_eq!(set.status, 204);
    assert_eq!(status_of(&house, &here).await, 200);
    assert_eq!(status_of(&house, &elsewhere).await, 401);
}

#[tokio::test]
async fn guessing_is_slowed_down_per_account_and_the_owner_elsewhere_is_not() {
    let house = house_with_ada().await;
    let guess = async |address: &str| {
        let ask = house.post("/sign-in").header("x-forwarded-for", address);
        ask.form("user=ada&password=wrong-guess").send().await
    };
    for _ in 0..5 {
        assert_eq!(guess("198.51.100.7").await.status, 401);
    }
    let slowed = guess("198.51.100.7").await;
    assert_eq!(slowed.status, 429);
    assert!(slowed.text().contains("Too many failed attempts"));
    let wait: u64 = slowed.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");

    assert_eq!(guess("192.0.2.1").await.status, 401);
    house.clock.advance(Duration::from_secs(wait));
    assert_eq!(guess("198.51.100.7").await.status, 401);

    // Basic is the same door.
    let basic = house.get("/api/v1/session").header("x-forwarded-for", "198.51.100.7");
    let basic = basic.header("authorization", "Basic YWRhOndyb25n").send().await; // ada:wrong
    assert_eq!(basic.status, 429);
}

#[tokio::test]
async fn programs_use_basic_with_a_password_or_a_token() {
    use base64::Engine as _;
    let house = house_with_ada().await;
    let token = house.token(Role::Operator);
    let ask = async |user: &str, password: &str| {
        let encoded =
            base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let ask = house.get("/api/v1/session").header("authorization", &format!("Basic {encoded}"));
        let answer = ask.send().await;
        if answer.status == 200 { answer.json()["role"].to_string() } else { String::new() }
    };
    assert_eq!(ask("ada", "analytical").await, "\"admin\"");
    assert_eq!(ask("ada", "analytical").await, "\"admin\"");
    assert_eq!(ask("ada", "difference").await, "");
    assert_eq!(ask("anything", &token).await, "\"operator\"");
    // The password that was remembered is forgotten with the change.
    house.people.set_password("ada", "difference").unwrap();
    assert_eq!(ask("ada", "analytical").await, "");
    assert_eq!(ask("ada", "difference").await, "\"admin\"");
}

#[tokio::test]
async fn requests_that_other_sites_make_are_refused() {
    let house = house_with_ada().await;
    let cookie = house.sign_in("ada", "analytical").await;
    let body = json!({ "name": "grafana", "role": "viewer" });
    let ask = || house.post("/api/v1/tokens").header("cookie", &cookie).json(&body);
    let own = format!("http://{}", house.address);

    assert_eq!(ask().send().await.status, 403);
    assert_eq!(ask().header("sec-fetch-site", "cross-site").send().await.status, 403);
    assert_eq!(ask().header("sec-fetch-site", "same-site").send().await.status, 403);
    assert_eq!(ask().header("origin", "https://evil.example").send().await.status, 403);
    assert_eq!(ask().header("origin", "null").send().await.status, 403);
    assert_eq!(house.people.tokens().unwrap(), []);
    assert_eq!(ask().header("origin", &own).send().await.status, 201);

    // Signing somebody in as somebody else is an attack too.
    let form = "user=ada&password=analytical";
    let foreign = house.post("/sign-in").header("origin", "https://evil.example").form(form);
    assert_eq!(foreign.send().await.status, 403);
}

#[tokio::test]
async fn what_is_made_is_described_with_its_status() {
    let house = house_with_ada().await;
    let token = house.token(Role::Admin);
    let description = house.read("/api/v1/openapi.json").await;
    let cases = [
        ("/api/v1/users", json!({ "name": "bob", "role": "viewer" })),
        ("/api/v1/tokens", json!({ "name": "grafana", "role": "viewer" })),
        ("/api/v1/users/role", json!({ "name": "bob", "role": "operator" })),
        ("/api/v1/users/sign-in-link", json!({ "name": "bob" })),
        (
            "/api/v1/actions/downtime",
            json!({ "host": "web1", "duration_seconds": 60, "comment": "x" }),
        ),
        ("/api/v1/actions/comment", json!({ "host": "web1", "comment": "x" })),
    ];
    for (path, body) in cases {
        let answer = house.post(path).token(&token).json(&body).send().await;
        let described = &description["paths"][path]["post"]["responses"][answer.status.as_str()];
        assert!(described.is_object(), "{path} answers {}: {}", answer.status, answer.text());
        let schema = &described["content"]["application/json"]["schema"]["$ref"];
        match schema.as_str() {
            Some(schema) => crate::schema::check(&description, schema, &answer.json(), path),
            None => assert!(answer.body.is_empty(), "{path}: {}", answer.text()),
        }
    }
}

#[tokio::test]
async fn an_admin_manages_users_and_tokens() {
    let house = house_with_ada().await;
    let cookie = house.sign_in("ada", "analytical").await;
    let post = async |path: &str, body: serde_json::Value| {
        house.post(path).session(&cookie).json(&body).send().await
    };
    let added = post("/api/v1/users", json!({ "name": "bob", "role": "viewer" })).await;
    assert_eq!(added.status, 201);
    let path = added.json()["sign_in_path"].as_str().unwrap().to_owned();
    assert!(house.get(&path).send().await.text().contains("Sign in as bob"));
    assert_eq!(post("/api/v1/users", json!({ "name": "bob", "role": "viewer" })).await.status, 409);
    assert_eq!(post("/api/v1/users", json!({ "name": "b b", "role": "viewer" })).await.status, 400);
    assert_eq!(post("/api/v1/users", json!({ "name": "eve", "role": "root" })).await.status, 400);
    let short = json!({ "name": "eve", "role": "viewer", "password": "short" });
    assert_eq!(post("/api/v1/users", short).await.status, 400);

    let made = post("/api/v1/tokens", json!({ "name": "grafana", "role": "viewer" })).await;
    let secret = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(house.get("/api/v1/session").token(&secret).send().await.status, 200);
    let listed = house.get("/api/v1/tokens").session(&cookie).send().await;
    assert_eq!(listed.json()["tokens"][0]["name"], "grafana");
    assert!(!listed.text().contains(&secret));

    let delete = async |path: &str| house.ask("DELETE", path).session(&cookie).send().await.status;
    assert_eq!(delete("/api/v1/tokens?name=grafana").await, 204);
    assert_eq!(house.get("/api/v1/session").token(&secret).send().await.status, 401);
    assert_eq!(delete("/api/v1/users?name=bob").await, 204);
    assert_eq!(delete("/api/v1/users?name=ada").await, 409);
    let body = json!({ "name": "nobody" });
    let by_body = house.ask("DELETE", "/api/v1/users").session(&cookie).json(&body).send().await;
    assert_eq!(by_body.status, 404);
}
