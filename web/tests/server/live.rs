//! Live changes, and what ends them.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use noroshi_web::ConfigStatus;
use noroshi_web::people::Role;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::house::House;

/// How long a message may take. Far above what it takes, so that only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A page that listens.
struct Page {
    body: Incoming,
    text: String,
}

impl Page {
    async fn open(house: &House, is_return: bool) -> Self {
        let mut ask = house.get("/api/v1/events/stream").token(&house.token(Role::Viewer));
        ask = ask.header("accept-encoding", "gzip");
        if is_return {
            ask = ask.header("last-event-id", "7");
        }
        let response = ask.open().await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(!response.headers().contains_key("content-encoding"));
        Self { body: response.into_body(), text: String::new() }
    }

    /// Returns the next message's name and data; `None` when the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = message.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim().to_owned())
                };
                let (name, data) = (field("event:"), field("data:"));
                let rest = rest.to_owned();
                self.text = rest;
                match (name, data) {
                    (Some(name), Some(data)) => {
                        return Some((name, serde_json::from_str(&data).unwrap()));
                    }
                    _ => continue,
                }
            }
            let frame = timeout(PATIENCE, self.body.frame()).await.unwrap()?;
            let bytes = frame.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Returns the data of the next message of this name.
    async fn next_of(&mut self, wanted: &str) -> Value {
        loop {
            let (name, data) = self.next().await.unwrap();
            if name == wanted {
                return data;
            }
        }
    }
}

async fn submit(house: &House, status: &str) {
    let body = json!({ "host": "web1", "check": "disk /var", "status": status, "output": "x" });
    let token = house.token(Role::Operator);
    let answer = house.post("/api/v1/actions/submit").token(&token).json(&body).send().await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn a_page_hears_of_a_changed_check_and_its_event() {
    let house = House::open().await;
    let mut page = Page::open(&house, false).await;
    submit(&house, "critical").await;
    let check = loop {
        let check = page.next_of("check").await;
        if check["check"] == "disk /var" && check["status"] == "critical" {
            break check;
        }
    };
    assert_eq!(check["state_type"], "hard");
    let event = page.next_of("event").await;
    assert_eq!(event["id"], json!({ "host": "web1", "check": "disk /var" }));
    assert_eq!(event["body"]["status"], "critical");
}

#[tokio::test]
async fn a_page_hears_of_a_config_that_does_not_load() {
    let house = House::open().await;
    let mut page = Page::open(&house, false).await;
    house.status.send_modify(|status| {
        status.config = ConfigStatus {
            errors: vec!["noroshi.toml:3:1: unknown key".to_owned()],
            ..ConfigStatus::default()
        };
    });
    let config = page.next_of("config").await;
    assert_eq!(config["errors"], json!(["noroshi.toml:3:1: unknown key"]));
}

#[tokio::test]
async fn a_page_that_comes_back_is_told_to_read_everything_again() {
    let house = House::open().await;
    let mut page = Page::open(&house, true).await;
    assert_eq!(page.next().await.unwrap().0, "resync");
}

#[tokio::test]
async fn the_stop_ends_streams_and_the_server() {
    let mut house = House::open().await;
    let mut page = Page::open(&house, false).await;
    house.stop.cancel();
    while page.next().await.is_some() {}
    let serving = &mut house.serving;
    timeout(PATIENCE, serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn listeners_are_counted_and_forgotten() {
    let house = House::open().await;
    let count = async || {
        let token = house.token(Role::Viewer);
        let text = house.get("/metrics").token(&token).send().await.text().to_owned();
        let line = text.lines().find_map(|line| line.strip_prefix("noroshi_http_listeners "));
        line.unwrap().parse::<u32>().unwrap()
    };
    let page = Page::open(&house, false).await;
    assert_eq!(count().await, 1);
    drop(page);
    // The server sees the closed connection when it next writes or polls it.
    timeout(PATIENCE, async { while count().await > 0 {} }).await.unwrap();
}
