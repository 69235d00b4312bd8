//! A small HTTP client: one connection a request.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A request in the making.
pub struct Ask {
    address: SocketAddr,
    request: hyper::http::request::Builder,
    body: Vec<u8>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}: {}", self.status, self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The session's cookie as a browser would send it back.
    pub fn cookie(&self) -> String {
        let cookie = self.header("set-cookie").split(';').next().unwrap().to_owned();
        assert!(cookie.starts_with("noroshi_session="), "{:?}", self.headers);
        cookie
    }
}

impl Ask {
    pub fn new(address: SocketAddr, method: Method, path: &str) -> Self {
        let request = Request::builder().method(method).uri(path);
        Self { address, request: request.header("host", address.to_string()), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name.parse::<HeaderName>().unwrap(), value);
        self
    }

    pub fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sends as our own pages do: with the cookie and the browser's word for where it comes from.
    pub fn session(self, cookie: &str) -> Self {
        self.header("cookie", cookie).header("sec-fetch-site", "same-origin")
    }

    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into();
        self.header("content-type", "application/json")
    }

    pub fn form(mut self, body: &str) -> Self {
        self.body = body.into();
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    pub fn bytes(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Sends, and returns the answer with its body unread.
    pub async fn open(self) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let connecting = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = connecting.await.unwrap();
        tokio::spawn(connection);
        let request = self.request.body(Full::new(Bytes::from(self.body))).unwrap();
        sender.send_request(request).await.unwrap()
    }

    pub async fn send(self) -> Answer {
        let (head, body) = self.open().await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }
}
