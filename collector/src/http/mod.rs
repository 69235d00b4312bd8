//! A small HTTP/1.1 client for pages that are asked again and again.
//!
//! One connection a target, kept between the polls; every address of the name is tried; answers
//! have a bound. Time limits are the caller's: dropping the future closes the connection.

mod connect;
mod url;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{Request, Response, StatusCode};

use crate::config::Password;
use crate::poll::PollFailure;
use connect::Connection;
use url::Url;

pub(crate) use connect::open_tcp;
pub(crate) use url::split_address;

/// Where and how a page is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint<'a> {
    pub(crate) url: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a Password>,
    /// Certificates (PEM) that are trusted in the place of the public ones.
    pub(crate) ca_file: Option<&'a Path>,
}

/// An answer of status 200, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Empty when the server says none.
    pub(crate) content_type: String,
    pub(crate) body: Bytes,
}

/// Asks one page.
pub(crate) struct Client {
    url: Url,
    authorization: Option<HeaderValue>,
    tls: Option<connect::Tls>,
    connection: Option<Connection>,
}

impl Client {
    /// Reads the address and the certificates. Errors: [`PollFailure::Config`].
    pub(crate) fn new(endpoint: &Endpoint<'_>) -> Result<Self, PollFailure> {
        let url = Url::parse(endpoint.url)?;
        let tls = url.is_tls.then(|| connect::Tls::new(&url.host, endpoint.ca_file)).transpose()?;
        let authorization = endpoint.user.map(|user| basic(user, endpoint.password)).transpose()?;
        Ok(Self { url, authorization, tls, connection: None })
    }

    /// Returns the address as it was configured.
    pub(crate) fn url(&self) -> &str {
        &self.url.text
    }

    /// Asks the page once.
    ///
    /// A connection that the server closed between two polls is replaced silently; other failures
    /// are the caller's. Errors: [`PollFailure`]. Cancel: the connection is closed.
    pub(crate) async fn fetch(
        &mut self,
        headers: &[(HeaderName, HeaderValue)],
        bytes_max: usize,
    ) -> Result<Answer, PollFailure> {
        if let Some(connection) = self.connection.take().filter(Connection::is_open) {
            match self.ask(connection, headers, bytes_max).await {
                Err(PollFailure::Protocol { .. }) => {}
                result => return result,
            }
        }
        let connection = Connection::open(&self.url, self.tls.as_ref()).await?;
        self.ask(connection, headers, bytes_max).await
    }

    async fn ask(
        &mut self,
        mut connection: Connection,
        headers: &[(HeaderName, HeaderValue)],
        bytes_max: usize,
    ) -> Result<Answer, PollFailure> {
        let request = self.request(headers)?;
        let failed = |source| PollFailure::Protocol { address: self.url.authority(), source };
        let response = connection.sender.send_request(request).await.map_err(failed)?;
        if response.status() != StatusCode::OK {
            return Err(PollFailure::Status { status: response.status().as_u16() });
        }
        let answer = read(response, bytes_max, failed).await?;
        self.connection = Some(connection);
        Ok(answer)
    }

    fn request(
        &self,
        headers: &[(HeaderName, HeaderValue)],
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
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Empty::new()).map_err(|error| PollFailure::Config {
            reason: format!("{:?} is no address to ask: {error}", self.url.text),
        })
    }
}

/// Reads a body of at most `bytes_max`.
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
    let content_type = text(CONTENT_TYPE);
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
    Ok(Answer { content_type, body: body.freeze() })
}

/// Returns the header for basic authentication (RFC 7617).
fn basic(user: &str, password: Option<&Password>) -> Result<HeaderValue, PollFailure> {
    let pair = format!("{user}:{}", password.map_or("", Password::reveal));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|error| PollFailure::Config { reason: format!("user or password: {error}") })?;
    value.set_sensitive(true);
    Ok(value)
}
