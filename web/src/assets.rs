//! The browser program's files, compiled in.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

/// One file.
pub(crate) struct Asset {
    /// Path in the address, with a leading slash.
    path: &'static str,
    mime: &'static str,
    /// Strong validator: quoted start of the content's SHA-256.
    etag: &'static str,
    bytes: &'static [u8],
    /// The same, compressed; `None` when that would not make it smaller.
    gzip: Option<&'static [u8]>,
}

static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Folder of the files whose name changes with their content (vite's default).
const HASHED: &str = "/assets/";

/// Shown in place of a browser program that was not built.
const MISSING: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<title>Noroshi</title><h1>The server runs. Its pages were not built.</h1>\
<p>This server was built with <code>SKIP_UI_BUILD</code>, or without the sources of the browser \
program. Everything else works: the API is described by \
<a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>.</p>\
<p>To get the pages, install Node.js 20.19 or newer and build again without \
<code>SKIP_UI_BUILD</code>.</p></html>";

/// Answers with the file at a path; `None` when there is none.
pub(crate) fn file(path: &str, headers: &HeaderMap) -> Option<Response> {
    ASSETS.iter().find(|asset| asset.path == path).map(|asset| asset.answer(headers))
}

/// Answers with the page that starts the browser program.
pub(crate) fn page(headers: &HeaderMap) -> Response {
    file("/index.html", headers).unwrap_or_else(|| {
        let mut response = Html(MISSING).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    })
}

impl Asset {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let cache = if self.path.starts_with(HASHED) {
            "private, max-age=31536000, immutable"
        } else {
            "private, no-cache"
        };
        let is_known = list_has(headers, &header::IF_NONE_MATCH, |tag| {
            tag == "*" || tag.trim_start_matches("W/") == self.etag
        });
        let gzip = self.gzip.filter(|_| accepts_gzip(headers));
        let mut response = match (is_known, gzip) {
            (true, _) => StatusCode::NOT_MODIFIED.into_response(),
            (false, Some(bytes)) => Body::from(bytes).into_response(),
            (false, None) => Body::from(self.bytes).into_response(),
        };
        let answer = response.headers_mut();
        answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        answer.insert(header::ETAG, HeaderValue::from_static(self.etag));
        answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if !is_known {
            answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.mime));
            if gzip.is_some() {
                answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
        }
        response
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    list_has(headers, &header::ACCEPT_ENCODING, |coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "gzip" && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

fn list_has(headers: &HeaderMap, name: &header::HeaderName, is_it: impl Fn(&str) -> bool) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| is_it(part.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: Asset = Asset {
        path: "/assets/index-1a2b.js",
        mime: "text/javascript; charset=utf-8",
        etag: "\"0123456789abcdef\"",
        bytes: b"plain",
        gzip: Some(b"shrunk"),
    };

    fn ask(pairs: &[(header::HeaderName, &'static str)]) -> Response {
        let headers = pairs.iter().cloned();
        SCRIPT.answer(&headers.map(|(n, v)| (n, HeaderValue::from_static(v))).collect())
    }

    #[test]
    fn a_file_is_sent_compressed_to_who_accepts_it() {
        let cases = [
            ("gzip, deflate, br", true),
            ("br;q=1, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("identity", false),
        ];
        for (accepted, is_compressed) in cases {
            let response = ask(&[(header::ACCEPT_ENCODING, accepted)]);
            let coding = response.headers().get(header::CONTENT_ENCODING);
            assert_eq!(coding.is_some(), is_compressed, "{accepted}");
        }
    }

    #[test]
    fn a_known_file_is_not_sent_again() {
        let fresh = ask(&[(header::IF_NONE_MATCH, "\"other\", W/\"0123456789abcdef\"")]);
        assert_eq!(fresh.status(), StatusCode::NOT_MODIFIED);
        let stale = ask(&[(header::IF_NONE_MATCH, "\"other\"")]);
        assert_eq!(stale.status(), StatusCode::OK);
        assert_eq!(stale.headers()[header::CONTENT_TYPE], SCRIPT.mime);
        assert!(stale.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    }
}
