//! The doors for samples: agents' frames and remote write.

use std::time::Duration;

use noroshi_model::frame::{Frame, HostIdentity, encode, encode_body};
use noroshi_model::{Batch, Labels, Sample, Timestamp};
use noroshi_web::people::Role;
use serde_json::json;

use crate::house::{House, NOW};
use crate::remote_write;

const WRITE: &str = "/prometheus/api/v1/write";

/// A frame's body as an agent sends it: one sample of `node_load1` at `at` seconds.
fn body(host: &str, at: i64, value: f64) -> Vec<u8> {
    let labels = Labels::new([("__name__", "node_load1")]);
    let sample = Sample { labels, at: Timestamp::from_secs(at), value };
    let interval = Some(Duration::from_secs(10));
    let batch = Batch { samples: vec![sample], interval, ..Batch::default() };
    let host = HostIdentity { name: host.to_owned(), ..HostIdentity::default() };
    let frame = Frame { host, run: 1, sequence: 1, batch, results: Vec::new() };
    let packed = zstd::encode_all(encode(&frame).as_slice(), 3).unwrap();
    encode_body(Timestamp::from_secs(NOW), &packed)
}

#[tokio::test]
async fn an_agent_brings_its_frames_and_appears() {
    let house = House::open().await;
    let token = house.token(Role::Agent);
    let ask = house.post("/agent/v1/frames").token(&token).bytes(body("web3", NOW, 0.5));
    let answer = ask.send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let receipt = json!({ "accepted": 1, "too_old": 0, "in_future": 0, "over_budget": 0 });
    let accepted = answer.json()["accepted"].as_u64().unwrap();
    assert!(accepted >= 1, "{}", answer.text());
    let mut rest = answer.json();
    rest["accepted"] = json!(1);
    assert_eq!(rest, receipt);
    let samples = house.basket.0.lock()[0].samples.clone();
    let labels = [("__name__", "node_load1"), ("instance", "web3"), ("job", "node")];
    assert!(samples.iter().any(|sample| sample.labels == Labels::new(labels)), "{samples:?}");

    let agents = house.read("/api/v1/agents").await["agents"].take();
    assert_eq!((&agents[0]["host"], &agents[0]["address"]), (&json!("web3"), &json!("127.0.0.1")));
    let description = house.read("/api/v1/openapi.json").await;
    crate::schema::check(&description, "#/components/schemas/Agent", &agents[0], "agent");
}

#[tokio::test]
async fn frames_that_are_none_are_refused() {
    let house = House::open().await;
    let token = house.token(Role::Agent);
    let send = async |body: Vec<u8>| {
        let answer = house.post("/agent/v1/frames").token(&token).bytes(body).send().await;
        (answer.status.as_u16(), answer.json()["error"]["kind"].as_str().unwrap().to_owned())
    };
    assert_eq!(send(b"nonsense".to_vec()).await, (400, "frame".to_owned()));
    assert_eq!(send(body("a/b", NOW, 1.0)).await, (422, "host_name".to_owned()));
    let long = vec![0; noroshi_model::frame::BODY_BYTES_MAX + 1];
    assert_eq!(send(long).await, (413, "too_large".to_owned()));
}

/// A remote write request with one series `up{job="x"}` and its samples.
fn request(samples: &[(i64, f64)]) -> Vec<u8> {
    let mut request = remote_write::Request::default();
    let labels = remote_write::labels([("__name__", "up"), ("job", "x")]);
    request.put(&labels, samples.iter().copied());
    snap::raw::Encoder::new().compress_vec(request.plain()).unwrap()
}

async fn write(house: &House, mime: &str, body: Vec<u8>) -> crate::client::Answer {
    let ask = house.post(WRITE).token(&house.token(Role::Agent)).header("content-type", mime);
    ask.header("content-encoding", "snappy").bytes(body).send().await
}

#[tokio::test]
async fn what_is_written_remotely_is_read_back_by_queries() {
    let house = House::over_store().await;
    let samples = [((NOW - 20) * 1000, 1.0), ((NOW - 10) * 1000, 0.0), (NOW * 1000, 1.0)];
    let answer = write(&house, "application/x-protobuf", request(&samples)).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), "3");
    let (start, end) = (NOW - 20, NOW);
    let query = format!("/prometheus/api/v1/query_range?query=up&start={start}&end={end}&step=10");
    let result = house.read(&query).await["data"]["result"].take();
    let values = json!([[NOW - 20, "1"], [NOW - 10, "0"], [NOW, "1"]]);
    let metric = json!({ "__name__": "up", "job": "x" });
    assert_eq!(result, json!([{ "metric": metric, "values": values }]));
    // Sent again because the answer was lost: no harm.
    let again = write(&house, "application/x-protobuf", request(&samples)).await;
    assert_eq!(again.status, 204, "{}", again.text());
}

#[tokio::test]
async fn remote_writes_that_cannot_be_taken_are_answered_as_the_specification_says() {
    let house = House::over_store().await;
    let mime = "application/x-protobuf";
    let good = || request(&[(NOW * 1000, 1.0)]);
    assert_eq!(write(&house, "application/json", good()).await.status, 415);
    assert_eq!(write(&house, &format!("{mime};proto=other.Request"), good()).await.status, 415);
    let garbage = write(&house, mime, b"nonsense".to_vec()).await;
    assert_eq!((garbage.status.as_u16(), &garbage.json()["errorType"]), (400, &json!("bad_data")));
    // Two samples: one fits, one is a year ahead. The first is stored, the second is told.
    let ahead = (NOW + 365 * 86_400) * 1000;
    let partly = write(&house, mime, request(&[(NOW * 1000, 1.0), (ahead, 1.0)])).await;
    assert_eq!(partly.status, 400);
    assert!(partly.text().contains("1 samples are too far in the future"), "{}", partly.text());
    assert_eq!(partly.header("x-prometheus-remote-write-samples-written"), "1");
    house.store.close();
    assert_eq!(write(&house, mime, good()).await.status, 503);
}
