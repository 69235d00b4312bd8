//! Drawn graphs, the browser program's files, figures about the server, and limits.

use noroshi_model::{Batch, Labels, Sample, Sink as _, Timestamp};
use noroshi_web::people::Role;
use serde_json::json;

use crate::house::{House, NOW};

#[tokio::test]
async fn a_graph_is_drawn_as_png_and_as_svg() {
    let house = House::open().await;
    let token = house.token(Role::Viewer);
    let query = "expr=node_load1&title=Load&threshold=100&theme=dark&width=640&height=240";
    let png = house.get(&format!("/graph.png?{query}")).token(&token).send().await;
    assert_eq!(png.status, 200, "{:?}", png.body);
    assert_eq!(png.header("content-type"), "image/png");
    assert_eq!(&png.body[..8], b"\x89PNG\r\n\x1a\n");
    // Width and height stand in the first chunk, IHDR, after its length and name.
    assert_eq!(png.body[16..24], [0, 0, 2, 128, 0, 0, 0, 240]);
    // An hour on 640 pixels: a moment every 3600 / 320 = 11 s, so it holds for 5 s.
    assert_eq!(png.header("cache-control"), "private, max-age=5");

    let svg = house.get(&format!("/graph.svg?{query}")).token(&token).send().await;
    assert_eq!(svg.header("content-type"), "image/svg+xml");
    assert!(svg.text().contains("<svg") && svg.text().contains("web1"), "{}", svg.text());
    assert!(svg.header("content-security-policy").contains("sandbox"));

    let (start, end) = (NOW - 7200, NOW - 3600);
    let past = format!("/graph.png?expr=node_load1&start={start}&end={end}");
    let past = house.get(&past).token(&token).send().await;
    assert_eq!(past.header("cache-control"), "private, max-age=300");
}

#[tokio::test]
async fn a_graph_shows_when_the_machine_was_booted() {
    let house = House::over_store().await;
    let token = house.token(Role::Viewer);
    let labels = [("__name__", "node_load1"), ("instance", "web1"), ("job", "node")];
    let labels = Labels::new(labels);
    // Half an hour ago the machine began anew; its load is another from then on.
    for (started_at, from, to) in [(NOW - 9000, 3600, 1800), (NOW - 1805, 1800, 0)] {
        let sample = |back: i64| Sample {
            labels: labels.clone(),
            at: Timestamp::from_secs(NOW - back),
            value: (back % 700) as f64 / 100.0,
        };
        let batch = Batch {
            samples: (to..from).rev().step_by(10).map(sample).collect(),
            started_at: Some(Timestamp::from_secs(started_at)),
            ..Batch::new()
        };
        house.store.submit(batch).await.unwrap();
    }
    let svg = house.get("/graph.svg?expr=node_load1").token(&token).send().await;
    assert_eq!(svg.text().lines().filter(|line| *line == "booted").count(), 1, "{}", svg.text());
    let png = house.get("/graph.png?expr=avg(node_load1)").token(&token).send().await;
    assert_eq!(png.status, 200);
    // Before it there is nothing to mark.
    let (start, end) = (NOW - 3600, NOW - 2000);
    let before = format!("/graph.svg?expr=node_load1&start={start}&end={end}");
    let before = house.get(&before).token(&token).send().await;
    assert!(!before.text().contains("booted"), "{}", before.text());
}

#[tokio::test]
async fn a_graph_that_cannot_be_drawn_is_refused_with_a_reason() {
    let house = House::open().await;
    let token = house.token(Role::Viewer);
    let cases = [
        ("", "\"expr\" is missing"),
        ("expr=sum(", "parse error"),
        ("expr=1&width=10", "invalid parameter \"width\""),
        ("expr=1&width=100000", "invalid parameter \"width\""),
        ("expr=1&height=-5", "invalid parameter \"height\""),
        ("expr=1&theme=pink", "invalid parameter \"theme\""),
        ("expr=1&threshold=NaN", "invalid parameter \"threshold\""),
        ("expr=1&zone=Mars/Phobos", "invalid parameter \"zone\""),
        ("expr=1&start=5&end=5", "invalid parameter \"end\""),
        ("expr=1&start=x", "invalid parameter \"start\""),
    ];
    for (query, reason) in cases {
        let answer = house.get(&format!("/graph.png?{query}")).token(&token).send().await;
        assert_eq!(answer.status, 400, "{query}");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(reason), "{query}: {message}");
    }
}

#[tokio::test]
async fn pages_get_the_browser_program_and_the_api_its_own_errors() {
    let house = House::open().await;
    let token = house.token(Role::Viewer);
    for path in ["/", "/hosts/web1", "/problems"] {
        let page = house.get(path).token(&token).header("accept", "text/html").send().await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        assert!(page.text().contains("Noroshi"), "{path}");
    }
    let theirs = house.get("/prometheus/api/v1/nothing").token(&token).send().await;
    assert_eq!((theirs.status.as_u16(), &theirs.json()["errorType"]), (404, &json!("not_found")));
    for path in ["/api/v1/nothing", "/assets/nothing.js"] {
        let answer = house.get(path).token(&token).send().await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["error"]["kind"], "not_found", "{path}");
    }
    let answer = house.post("/api/v1/overview").token(&token).send().await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.json()["error"]["kind"], "method_not_allowed");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let house = House::open().await;
    let token = house.token(Role::Operator);
    let comment = "x".repeat(70_000);
    let body = json!({ "host": "web1", "comment": comment });
    let answer = house.post("/api/v1/actions/comment").token(&token).json(&body).send().await;
    assert_eq!(answer.status, 413);
    let form = format!("query={comment}");
    let answer = house.post("/prometheus/api/v1/query").token(&token).form(&form).send().await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn a_form_is_not_taken_for_json() {
    let house = House::open().await;
    let token = house.token(Role::Operator);
    let body = r#"{"host":"web1","comment":"x"}"#;
    let answer = house.post("/api/v1/actions/comment").token(&token).form(body).send().await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn the_server_measures_itself() {
    let house = House::open().await;
    let token = house.token(Role::Viewer);
    assert_eq!(house.get("/healthz").send().await.text(), "ok\n");
    assert_eq!(house.get("/readyz").token(&token).send().await.text(), "ready\n");
    house.read("/api/v1/hosts/web1").await;
    let answer = house.get("/metrics").token(&token).send().await;
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    let text = answer.text();
    let requests =
        r#"noroshi_http_requests_total{method="GET",route="/api/v1/hosts/{host}",code="200"} 1"#;
    for line in [requests, r#"noroshi_hosts{status="up"} 2"#, "noroshi_notifications_queued 0"] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    // Each metric has its type once, before its samples.
    let mut typed = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().unwrap();
            assert!(!typed.contains(&name), "{name} twice");
            typed.push(name);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            // The parts of a histogram are samples of one metric.
            let parts = ["_bucket", "_sum", "_count"];
            let metric = parts.iter().find_map(|part| name.strip_suffix(part));
            let is_part = metric.is_some() && typed.last().copied() == metric;
            assert!(is_part || typed.last() == Some(&name), "{line}");
        }
    }
}

#[tokio::test]
async fn a_query_that_panics_fails_alone() {
    let house = House::open().await;
    let token = house.token(Role::Viewer);
    for path in ["/api/v1/query?expr=broken", "/graph.png?expr=broken"] {
        let answer = house.get(path).token(&token).send().await;
        assert_eq!(answer.status, 500, "{path}");
        assert_eq!(answer.json()["error"]["kind"], "internal", "{path}");
    }
    let answer = house.get("/prometheus/api/v1/query?query=broken").token(&token).send().await;
    assert_eq!((answer.status.as_u16(), &answer.json()["errorType"]), (500, &json!("internal")));
    house.read("/api/v1/query?expr=1").await;
}

#[tokio::test]
async fn answers_are_compressed_for_who_wants_it() {
    let house = House::open().await;
    let token = house.token(Role::Viewer);
    let ask = house.get("/api/v1/openapi.json").token(&token).header("accept-encoding", "gzip");
    let answer = ask.send().await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(answer.body[..2], [0x1f, 0x8b]); // RFC 1952, section 2.3.1
}
