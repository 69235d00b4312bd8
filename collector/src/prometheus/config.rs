//! What an operator writes about one exporter.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::relabel::Relabel;
use crate::config::{INTERVAL, Password, TIMEOUT, interval, timeout};
use crate::http::Endpoint;

/// Largest page in bytes when nothing else is said: 200,000 samples of long labels.
const BODY_BYTES_MAX: usize = 32 << 20;

/// Most samples of one page when nothing else is said.
const SAMPLE_LIMIT: usize = 50_000;

/// How many redirects are followed (Go, `net/http`, `defaultCheckRedirect`: ten).
const REDIRECTS_MAX: usize = 10;

/// `[host.NAME.poll.prometheus.JOB]`
///
/// Names and meanings are those of Prometheus' `scrape_config`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The page: `http://HOST:PORT/metrics` or `https://`.
    pub url: String,
    /// Parameters of the query, such as `module` and `target` of a blackbox exporter.
    #[serde(default)]
    pub params: BTreeMap<String, Values>,
    /// User for basic authentication.
    #[serde(default)]
    pub user: Option<String>,
    /// Its password.
    #[serde(default)]
    pub password: Option<Password>,
    /// A file that holds the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A key that is sent as `Authorization: Bearer`.
    #[serde(default)]
    pub token: Option<Password>,
    /// A file that holds the key; read again after a failure.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted for `https` in the place of the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whether redirects are followed, ten at most; user and token stay with the first server.
    #[serde(default = "yes")]
    pub follow_redirects: bool,
    /// From one poll to the next.
    #[serde(default = "interval", with = "noroshi_model::quantity::humane")]
    pub interval: Duration,
    /// How long a poll may take.
    #[serde(default = "timeout", with = "noroshi_model::quantity::humane")]
    pub timeout: Duration,
    /// Whether labels of the page win over `instance`, `job` and the host's labels. If not, such
    /// a label becomes `exported_NAME`.
    #[serde(default)]
    pub honor_labels: bool,
    /// Whether times on the page are kept.
    #[serde(default = "yes")]
    pub honor_timestamps: bool,
    /// Rules that drop, keep and rewrite series, one after another.
    #[serde(default)]
    pub metric_relabel_configs: Arc<[Relabel]>,
    /// Largest page in bytes, after it is unpacked; a larger one counts as failed.
    #[serde(default = "body_size_limit")]
    pub body_size_limit: usize,
    /// Most samples of one page after the rules; a page with more counts as failed.
    #[serde(default = "sample_limit")]
    pub sample_limit: usize,
    /// Most labels of one series; 0: as many as can be read.
    #[serde(default)]
    pub label_limit: usize,
    /// Longest name of a label, in bytes; 0: as long as can be read.
    #[serde(default)]
    pub label_name_length_limit: usize,
    /// Longest value of a label, in bytes; 0: as long as can be read.
    #[serde(default)]
    pub label_value_length_limit: usize,
}

/// One value of a parameter or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// One.
    One(String),
    /// The parameter is repeated.
    Several(Vec<String>),
}

fn yes() -> bool {
    true
}

fn body_size_limit() -> usize {
    BODY_BYTES_MAX
}

fn sample_limit() -> usize {
    SAMPLE_LIMIT
}

impl Config {
    /// Returns the configuration with nothing but an address.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            params: BTreeMap::new(),
            user: None,
            password: None,
            password_file: None,
            token: None,
            token_file: None,
            ca_file: None,
            follow_redirects: true,
            interval: INTERVAL,
            timeout: TIMEOUT,
            honor_labels: false,
            honor_timestamps: true,
            metric_relabel_configs: Arc::default(),
            body_size_limit: BODY_BYTES_MAX,
            sample_limit: SAMPLE_LIMIT,
            label_limit: 0,
            label_name_length_limit: 0,
            label_value_length_limit: 0,
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint {
            params: self.params(),
            user: self.user.as_deref(),
            password: self.password.as_ref(),
            password_file: self.password_file.as_deref(),
            token: self.token.as_ref(),
            token_file: self.token_file.as_deref(),
            ca_file: self.ca_file.as_deref(),
            redirects_max: if self.follow_redirects { REDIRECTS_MAX } else { 0 },
            ..Endpoint::new(&self.url)
        }
    }

    fn params(&self) -> Vec<(&str, &str)> {
        let mut pairs = Vec::new();
        for (name, values) in &self.params {
            let values = match values {
                Values::One(value) => std::slice::from_ref(value),
                Values::Several(values) => values,
            };
            pairs.extend(values.iter().map(|value| (name.as_str(), value.as_str())));
        }
        pairs
    }
}
