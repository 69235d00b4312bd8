//! The API of Prometheus, in the shapes of its documentation (`docs/querying/api.md`).

use noroshi_web::people::Role;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::house::{House, NOW};

const API: &str = "/prometheus/api/v1";

async fn fail(house: &House, path: &str) -> (u16, String, String) {
    let answer = house.get(&format!("{API}{path}")).token(&house.token(Role::Viewer)).send().await;
    let body = answer.json();
    assert_eq!(body["status"], "error", "{path}: {body}");
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (answer.status.as_u16(), text("errorType"), text("error"))
}

async fn post(house: &House, path: &str, form: &str) -> Answer {
    house.post(&format!("{API}{path}")).token(&house.token(Role::Viewer)).form(form).send().await
}

#[tokio::test]
async fn an_instant_query_gives_a_vector_a_scalar_a_string_or_a_matrix() {
    let house = House::open().await;
    let query =
        async |text: &str| house.read(&format!("{API}/query?query={text}&time={NOW}")).await;
    // The newest value of web1 is its 361st: 360.
    let vector = query("node_load1%7Binstance%3D%22web1%22%7D").await;
    let metric = json!({ "__name__": "node_load1", "instance": "web1", "job": "node" });
    let expected = json!({
        "status": "success",
        "data": { "resultType": "vector", "result": [{ "metric": metric, "value": [NOW, "360"] }] },
    });
    assert_eq!(vector, expected);
    let scalar = query("1%2F0").await["data"].take();
    assert_eq!(scalar, json!({ "resultType": "scalar", "result": [NOW, "+Inf"] }));
    let string = query("%22x%5C%22y%22").await["data"].take();
    assert_eq!(string, json!({ "resultType": "string", "result": [NOW, "x\"y"] }));
    // (now - 20 s, now]: the last two.
    let matrix = query("node_load1%7Binstance%3D%22web1%22%7D%5B20s%5D").await["data"].take();
    let values = json!([[NOW - 10, "359"], [NOW, "360"]]);
    let result = json!([{ "metric": metric, "values": values }]);
    assert_eq!(matrix, json!({ "resultType": "matrix", "result": result }));
}

#[tokio::test]
async fn a_range_query_gives_a_matrix_by_get_and_by_post() {
    let house = House::open().await;
    let (start, end) = (NOW - 20, NOW);
    let arguments = format!("query=sum(node_load1)&start={start}&end={end}&step=10");
    let by_get = house.read(&format!("{API}/query_range?{arguments}")).await;
    // web1 and web2 together: 11 times 358, 359, 360.
    let values = json!([[NOW - 20, "3938"], [NOW - 10, "3949"], [NOW, "3960"]]);
    let data = json!({ "resultType": "matrix", "result": [{ "metric": {}, "values": values }] });
    assert_eq!(by_get, json!({ "status": "success", "data": data }));
    let by_post = post(&house, "/query_range", &arguments).await;
    assert_eq!(by_post.json(), by_get);
    // As Grafana sends it: part of it in the address, times with fraction.
    let mixed = format!("query=sum(node_load1)&start={start}.000&end={end}.000");
    assert_eq!(post(&house, "/query_range?step=10s", &mixed).await.json(), by_get);
}

#[tokio::test]
async fn errors_have_prometheus_types_codes_and_texts() {
    let house = House::open().await;
    let bad = |text: &str| (400, "bad_data".to_owned(), text.to_owned());
    let range = "/query_range?query=up&start=1&end=2&step=1";
    assert_eq!(
        fail(&house, "/query_range?query=up&end=2&step=1").await,
        bad(r#"invalid parameter "start": cannot parse "" to a valid timestamp"#)
    );
    assert_eq!(
        fail(&house, "/query_range?query=up&start=x&end=2&step=1").await,
        bad(r#"invalid parameter "start": cannot parse "x" to a valid timestamp"#)
    );
    assert_eq!(
        fail(&house, &range.replace("end=2", "end=0")).await,
        bad(r#"invalid parameter "end": end timestamp must not be before start time"#)
    );
    assert_eq!(
        fail(&house, &range.replace("step=1", "step=0")).await,
        bad("invalid parameter \"step\": zero or negative query resolution step widths are not \
             accepted. Try a positive integer")
    );
    assert_eq!(
        fail(&house, &range.replace("end=2", "end=11001")).await,
        bad(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query \
             resolution (?step=XX)"
        )
    );
    let (status, kind, text) = fail(&house, "/query?query=sum(").await;
    assert_eq!((status, kind.as_str()), (400, "bad_data"));
    assert!(text.starts_with(r#"invalid parameter "query": 1:"#), "{text}");
    let (status, kind, text) = fail(&house, &range.replace("up", "up%5B5m%5D")).await;
    assert_eq!((status, kind.as_str()), (400, "bad_data"));
    assert!(text.contains("for range query, must be Scalar or instant Vector"), "{text}");
    // Two series for one group on both sides.
    let query = "/query?query=node_load1%20%2B%20on(job)%20node_load1";
    let (status, kind, _) = fail(&house, &format!("{query}&time={NOW}")).await;
    assert_eq!((status, kind.as_str()), (422, "execution"));
}

#[tokio::test]
async fn series_labels_and_values_are_found() {
    let house = House::open().await;
    let data = async |path: &str| house.read(&format!("{API}{path}")).await["data"].take();
    let load = |host: &str| json!({ "__name__": "node_load1", "instance": host, "job": "node" });
    assert_eq!(data("/series?match[]=node_load1").await, json!([load("web1"), load("web2")]));
    let both = "/series?match%5B%5D=node_load1%7Binstance%3D%22web2%22%7D&match[]=node_load1";
    assert_eq!(data(both).await, json!([load("web1"), load("web2")]));
    let past = format!("/series?match[]=node_load1&end={}", NOW - 3601);
    assert_eq!(data(&past).await, json!([]));
    let edge = format!("/series?match[]=node_load1&start={NOW}");
    assert_eq!(data(&edge).await.as_array().unwrap().len(), 2);

    assert_eq!(data("/labels").await, json!(["__name__", "instance", "job"]));
    let span = format!("/labels?match[]=node_load1&start={}&end={NOW}", NOW - 60);
    assert_eq!(data(&span).await, json!(["__name__", "instance", "job"]));
    let names = json!(["node_load1", "node_network_receive_bytes_total"]);
    assert_eq!(data("/label/__name__/values").await, names);
    assert_eq!(data("/label/U__instance/values").await, json!(["web1", "web2"]));
    let matched = "/label/instance/values?match[]=%7Binstance%3D~%22web%5B%5E1%5D%22%7D";
    assert_eq!(data(matched).await, json!(["web2"]));
    assert_eq!(data("/label/nothing/values").await, json!([]));
    let by_post = post(&house, "/series", "match[]=node_load1").await.json();
    assert_eq!(by_post["data"].as_array().unwrap().len(), 2);

    let limited = house.read(&format!("{API}/series?match[]=node_load1&limit=1")).await;
    assert_eq!(limited["data"], json!([load("web1")]));
    assert_eq!(limited["warnings"], json!(["results truncated due to limit"]));

    let (status, kind, text) = fail(&house, "/series").await;
    assert_eq!((status, kind.as_str()), (400, "bad_data"));
    assert_eq!(text, "no match[] parameter provided");
    assert_eq!(fail(&house, "/series?match[]=rate(x[5m])").await.0, 400);
    assert_eq!(fail(&house, "/labels?match[]=node_load1%20offset%205m").await.0, 400);
}

#[tokio::test]
async fn metadata_buildinfo_and_exemplars_are_there() {
    let house = House::open().await;
    let data = async |path: &str| house.read(&format!("{API}{path}")).await["data"].take();
    let known = json!({ "type": "gauge", "help": "1m load average.", "unit": "" });
    assert_eq!(data("/metadata").await, json!({ "node_load1": [known] }));
    assert_eq!(data("/metadata?metric=other").await, json!({}));
    let Value::Object(build) = data("/status/buildinfo").await else { panic!("no object") };
    let names: Vec<&String> = build.keys().collect();
    assert_eq!(names, ["branch", "buildDate", "buildUser", "goVersion", "revision", "version"]);
    assert!(build["version"].as_str().unwrap().starts_with("3."));
    assert_eq!(data("/query_exemplars?query=up").await, json!([]));
}
