//! `write`: takes in what a Prometheus, or anything that speaks remote write, sends.
//!
//! Sources: Prometheus Remote-Write Specifications 1.0 and 2.0. A sender repeats on 5xx and gives
//! up on 4xx; so what can be stored is stored, and the rest is told as 400, never to be sent again.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use noroshi_collector::prometheus::remote_write::{BODY_BYTES_MAX, Decoded, RemoteWriteError};
use noroshi_model::Refused;
use noroshi_model::seam::Accepted;

use super::answer::{ErrorType, Failure};
use crate::app::App;
use crate::route::{Access, Body, Route};

/// The media type of both versions; version 2 has a parameter `proto`.
const MIME: &str = "application/x-protobuf";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/prometheus/api/v1/write", Access::Samples, write)
            .summary("Remote write 1.0 and 2.0: protobuf in Snappy's block format")
            .request(Body::Other(MIME))
            .body_bytes_max(BODY_BYTES_MAX),
    ]
}

async fn write(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Failure> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let coding = text(header::CONTENT_ENCODING).unwrap_or("snappy");
    if coding != "snappy" {
        let message = format!("remote write is compressed by snappy, not by {coding}");
        return Ok((StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response());
    }
    // Early senders of version 1 leave the type out.
    let mime = text(header::CONTENT_TYPE).unwrap_or(MIME).to_owned();
    let body =
        body.map_err(|error| Failure { kind: ErrorType::TooLarge, message: error.body_text() })?;
    let receiver = Arc::clone(&app.remote_writes);
    let decoded = match app.gate.query(move || receiver.decode(&mime, &body)).await? {
        Ok(decoded) => decoded,
        Err(error @ RemoteWriteError::ContentType { .. }) => {
            // The sender tries the other version.
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Ok((status, error.to_string()).into_response());
        }
        Err(error) => return Err(unread(&error)),
    };
    let Decoded { batch, histograms_left_out, .. } = decoded;
    let accepted = match app.deps.sink.submit(batch).await {
        Ok(accepted) => accepted,
        Err(refused) => return Ok(not_now(refused)),
    };
    let reasons = reasons(accepted, histograms_left_out);
    let mut response = if reasons.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let message = format!("not everything was stored: {}", reasons.join("; "));
        Failure::bad_data(message).into_response()
    };
    // Remote-Write 2.0, "Required Written Response Headers".
    let written = [
        ("x-prometheus-remote-write-samples-written", accepted.stored),
        ("x-prometheus-remote-write-histograms-written", 0),
        ("x-prometheus-remote-write-exemplars-written", 0),
    ];
    for (name, count) in written {
        response.headers_mut().insert(name, HeaderValue::from(count));
    }
    Ok(response)
}

fn unread(error: &RemoteWriteError) -> Failure {
    let kind = match error {
        RemoteWriteError::TooLarge { .. } => ErrorType::TooLarge,
        _ => ErrorType::BadData,
    };
    Failure { kind, message: noroshi_model::chain(error) }
}

/// Tells the sender to come again.
fn not_now(refused: Refused) -> Response {
    let status = match refused {
        Refused::DiskFull | Refused::Closing => StatusCode::SERVICE_UNAVAILABLE,
        Refused::Broken => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = (status, refused.to_string()).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    response
}

/// Says what was not stored.
fn reasons(accepted: Accepted, histograms: usize) -> Vec<String> {
    let counted = [
        (accepted.too_old, "samples are older than the archive reaches"),
        (accepted.in_future, "samples are too far in the future"),
        (accepted.over_budget, "samples are of new series for which the disk budget has no room"),
        (histograms, "native histograms are not kept"),
    ];
    let told = counted.into_iter().filter(|(count, _)| *count > 0);
    told.map(|(count, what)| format!("{count} {what}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_stored_is_told() {
        assert!(reasons(Accepted { stored: 5, ..Accepted::default() }, 0).is_empty());
        let accepted = Accepted { stored: 1, too_old: 2, in_future: 3, over_budget: 0 };
        assert_eq!(
            reasons(accepted, 4).join("; "),
            "2 samples are older than the archive reaches; 3 samples are too far in the future; \
             4 native histograms are not kept"
        );
    }
}
