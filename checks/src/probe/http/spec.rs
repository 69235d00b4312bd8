//! What an HTTP check is told: the request, and what is wanted of the answer.

use std::time::Duration;

use serde_json_path::JsonPath;

use crate::probe::{Family, Secret, Threshold};

/// An HTTP request and what is wanted of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpProbe {
    /// Where to; macros are expanded. `http` or `https`.
    pub url: String,
    /// `GET`, `HEAD`, `POST`, ...
    pub method: String,
    /// Headers to send; macros are expanded in the values.
    pub headers: Vec<(String, String)>,
    /// Body to send.
    pub body: String,
    /// User and password for basic authentication; macros are expanded.
    pub basic_auth: Option<(String, Secret)>,
    /// Token for `Authorization: Bearer`; macros are expanded.
    pub bearer: Option<Secret>,
    /// Statuses that are fine; empty: 200 to 399.
    pub statuses: Vec<u16>,
    /// Text that the body must hold.
    pub text: Option<String>,
    /// Regular expression that the body must match.
    pub regex: Option<String>,
    /// Text that the body must not hold.
    pub not_text: Option<String>,
    /// What the body as JSON must hold.
    pub json: Vec<JsonWish>,
    /// How many redirects are followed; 0: a redirect is an answer like any other.
    pub redirects_max: u8,
    /// Connect here (`address` or `address:port`) instead of to the name in the URL.
    pub connect_to: Option<String>,
    /// Which addresses of the name are used.
    pub family: Family,
    /// Whether a certificate that does not verify is only told, not critical.
    pub is_insecure: bool,
    /// Warn when the certificate has fewer days left.
    pub certificate_days_warning: Option<f64>,
    /// Critical when the certificate has fewer days left.
    pub certificate_days_critical: Option<f64>,
    /// Warn when the whole takes longer.
    pub warning: Option<Duration>,
    /// Critical when the whole takes longer.
    pub critical: Option<Duration>,
}

impl HttpProbe {
    /// Makes a GET that wants a status of 200 to 399 and follows no redirect.
    pub fn get(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: String::new(),
            basic_auth: None,
            bearer: None,
            statuses: Vec::new(),
            text: None,
            regex: None,
            not_text: None,
            json: Vec::new(),
            redirects_max: 0,
            connect_to: None,
            family: Family::Any,
            is_insecure: false,
            certificate_days_warning: Some(21.0),
            certificate_days_critical: Some(7.0),
            warning: None,
            critical: None,
        }
    }

    /// Returns the texts in which macros are expanded.
    pub(in crate::probe) fn texts(&self) -> Vec<&str> {
        let mut texts = vec![self.url.as_str(), &self.body];
        texts.extend(self.headers.iter().map(|(_, value)| value.as_str()));
        texts.extend(self.connect_to.as_deref());
        texts.extend(self.bearer.as_ref().map(super::super::Secret::reveal));
        if let Some((user, password)) = &self.basic_auth {
            texts.extend([user.as_str(), password.reveal()]);
        }
        texts
    }
}

/// What must be found in a JSON answer.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonWish {
    /// A JSON path (RFC 9535), such as `$.queue.length`. What it finds is judged, each value by
    /// itself; finding nothing is critical.
    pub path: String,
    /// The value that each must have, written as JSON (`"ok"`, `3`, `true`).
    pub equals: Option<serde_json::Value>,
    /// Regular expression that each must match; of what is no text, its JSON.
    pub regex: Option<String>,
    /// When to warn. The value must be a number, or a text that is one.
    pub warning: Option<Threshold>,
    /// When it is critical.
    pub critical: Option<Threshold>,
    /// What a number is called in performance data; empty: the path.
    pub name: String,
}

impl JsonWish {
    /// Tells what is wrong with a JSON path, in the library's words.
    pub fn check_path(path: &str) -> Result<(), String> {
        JsonPath::parse(path).map(drop).map_err(|error| error.to_string())
    }
}
