//! One page at one address: its connection, and what it answers.

use std::io::Read as _;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName,
    HeaderValue, LOCATION, USER_AGENT,
};
use hyper::{Request, Response, StatusCode};

use super::Answer;
use super::connect::{Connection, Tls};
use super::url::Url;
use crate::poll::PollFailure;

/// Headers beside those that every request has.
pub(super) type Headers<'a> = &'a [(HeaderName, HeaderValue)];

/// What a page says.
pub(super) enum Reply {
    Answer(Answer),
    /// It is elsewhere.
    Moved {
        status: u16,
        location: String,
    },
}

/// A page with the connection to it.
pub(super) struct Page {
    pub(super) url: Url,
    tls: Option<Tls>,
    connection: Option<Connection>,
}

impl Page {
    /// Reads the certificates. Errors: [`PollFailure::Config`].
    pub(super) fn new(url: Url, ca_file: Option<&Path>) -> Result<Self, PollFailure> {
        let tls = url.is_tls.then(|| Tls::new(&url.host, ca_file)).transpose()?;
        Ok(Self { url, tls, connection: None })
    }

    /// Asks once.
    ///
    /// A connection that the server closed between two polls is replaced silently; other failures
    /// are the caller's. Errors: [`PollFailure`]. Cancel: the connection is closed.
    pub(super) async fn fetch(
        &mut self,
        headers: Headers<'_>,
        authorization: Option<&HeaderValue>,
        bytes_max: usize,
    ) -> Result<Reply, PollFailure> {
        if let Some(connection) = self.connection.take().filter(Connection::is_open) {
            match self.ask(connection, headers, authorization, bytes_max).await {
                Err(PollFailure::Protocol { .. }) => {}
                result => return result,
            }
        }
        let connection = Connection::open(&self.url, self.tls.as_ref()).await?;
        self.ask(connection, headers, authorization, bytes_max).await
    }

    async fn ask(
        &mut self,
        mut connection: Connection,
        headers: Headers<'_>,
        authorization: Option<&HeaderValue>,
        bytes_max: usize,
    ) -> Result<Reply, PollFailure> {
        let request = self.request(headers, authorization)?;
        let failed = |source| PollFailure::Protocol { address: self.url.authority(), source };
        let response = connection.sender.send_request(request).await.map_err(failed)?;
        let status = response.status().as_u16();
        if let Some(location) = moved_to(&response) {
            // Its body is left unread, so the connection cannot be used again.
            return Ok(Reply::Moved { status, location });
        }
        if response.status() != StatusCode::OK {
            return Err(PollFailure::Status { status });
        }
        let answer = read(response, bytes_max, failed).await?;
        self.connection = Some(connection);
        Ok(Reply::Answer(answer))
    }

    fn request(
        &self,
        headers: Headers<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Request<Empty<Bytes>>, PollFailure> {
        let mut request = Request::get(&self.url.path)
            .header(HOST, self.url.host_header())
            .header(USER_AGENT, concat!("noroshi/", env!("CARGO_PKG_VERSION")));
        if !headers.iter().any(|(name, _)| name == ACCEPT) {
            request = request.header(ACCEPT, "*/*");
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Empty::new()).map_err(|error| PollFailure::Config {
            reason: format!("{:?} is no address to ask: {error}", self.url.text),
        })
    }
}

/// Returns where a redirect leads (RFC 9110, 15.4): `None` for other answers.
fn moved_to(response: &Response<Incoming>) -> Option<String> {
    let is_moved = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(LOCATION).filter(|_| is_moved)?;
    location.to_str().ok().map(str::to_owned)
}

/// Reads a body of at most `bytes_max`, counted after it is unpacked.
async fn read(
    response: Response<Incoming>,
    bytes_max: usize,
    failed: impl Fn(hyper::Error) -> PollFailure,
) -> Result<Answer, PollFailure> {
    let text = |name| {
        let value =
            response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        value.unwrap_or("").to_owned()
    };
    let (content_type, encoding) = (text(CONTENT_TYPE), text(CONTENT_ENCODING));
    let declared: usize = text(CONTENT_LENGTH).parse().unwrap_or(0);
    if declared > bytes_max {
        return Err(PollFailure::TooLarge { bytes_max });
    }
    let mut body = BytesMut::with_capacity(declared);
    let mut incoming = response.into_body();
    while let Some(frame) = incoming.frame().await {
        let Ok(chunk) = frame.map_err(&failed)?.into_data() else { continue };
        if body.len() + chunk.len() > bytes_max {
            return Err(PollFailure::TooLarge { bytes_max });
        }
        body.extend_from_slice(&chunk);
    }
    let body = match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => body.freeze(),
        "gzip" | "x-gzip" => unpacked(&body, bytes_max)?,
        other => {
            let reason = format!("it is packed as {other:?}, which was not asked for");
            return Err(PollFailure::Parse { reason });
        }
    };
    Ok(Answer { content_type, body })
}

/// Unpacks gzip to at most `bytes_max`.
fn unpacked(packed: &[u8], bytes_max: usize) -> Result<Bytes, PollFailure> {
    let mut body = Vec::new();
    let mut unpacking = MultiGzDecoder::new(packed).take(bytes_max as u64 + 1);
    unpacking
        .read_to_end(&mut body)
        .map_err(|error| PollFailure::Parse { reason: format!("it is no gzip: {error}") })?;
    if body.len() > bytes_max {
        return Err(PollFailure::TooLarge { bytes_max });
    }
    Ok(body.into())
}
