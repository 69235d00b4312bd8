//! As much of HTTP as a test needs to ask a server on loopback.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}\n{}", self.head, self.text());
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends one request; `None` when nobody listens or the connection breaks.
pub fn send(address: &str, request: &str, token: Option<&str>, body: &str) -> Option<Answer> {
    send_as("application/json", address, request, token, body.as_bytes())
}

/// Posts a form, as [`send`].
pub fn post_form(address: &str, path: &str, token: Option<&str>, form: &str) -> Option<Answer> {
    let request = format!("POST {path}");
    send_as("application/x-www-form-urlencoded", address, &request, token, form.as_bytes())
}

/// As [`send`], with a body of any kind.
pub fn send_as(
    mime: &str,
    address: &str,
    request: &str,
    token: Option<&str>,
    body: &[u8],
) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let authorization =
        token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let text = format!(
        "{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{authorization}\
         content-type: {mime}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[text.as_bytes(), body].concat()).ok()?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).ok()?;
    let end = all.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = all.split_off(end + 4);
    let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    Some(Answer { status, head, body: if is_chunked { unchunked(&body)? } else { body } })
}

/// Joins the chunks of a body (RFC 9112, 7.1).
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// Returns a text for a URL's query.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
