//! Prometheus' formats: pages of exporters are scraped, remote writes are read.
//!
//! The world's exporters are our pollers: what `scrape_config` can say of one target, the
//! configuration of this poller says (`docs/configuration`, Prometheus 3).

pub mod exposition;
pub mod remote_write;

use std::path::PathBuf;
use std::time::Duration;

use hyper::header::{ACCEPT, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::config::{INTERVAL, Password, TIMEOUT, interval, timeout};
use crate::http::{Client, Endpoint};
use crate::poll::PollFailure;
use crate::reading::Reading;
use crate::registry::PollerInfo;
use exposition::Format;

/// The poller's name.
pub const KIND: &str = "prometheus";

/// Largest page in bytes: 200,000 samples of long labels.
const BODY_BYTES_MAX: usize = 32 << 20;

/// Most samples of one page when nothing else is said.
const SAMPLE_LIMIT: usize = 50_000;

/// What is asked for, the best first (`scrape/scrape.go`, `acceptHeader`).
const FORMATS: &str = "application/openmetrics-text;version=1.0.0;q=0.5,\
                       application/openmetrics-text;version=0.0.1;q=0.4,\
                       text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

/// `[host.NAME.poll.prometheus.JOB]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The page: `http://HOST:PORT/metrics` or `https://`.
    pub url: String,
    /// User for basic authentication.
    #[serde(default)]
    pub user: Option<String>,
    /// Its password.
    #[serde(default)]
    pub password: Option<Password>,
    /// Certificates (PEM) that are trusted for `https` in the place of the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
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
    /// Most samples of one page; a page with more counts as failed.
    #[serde(default = "sample_limit")]
    pub sample_limit: usize,
}

fn yes() -> bool {
    true
}

fn sample_limit() -> usize {
    SAMPLE_LIMIT
}

impl Config {
    /// Returns the configuration with nothing but an address.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            user: None,
            password: None,
            ca_file: None,
            interval: INTERVAL,
            timeout: TIMEOUT,
            honor_labels: false,
            honor_timestamps: true,
            sample_limit: SAMPLE_LIMIT,
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint {
            url: &self.url,
            user: self.user.as_deref(),
            password: self.password.as_ref(),
            ca_file: self.ca_file.as_deref(),
        }
    }
}

/// The poller in the list of all.
pub(crate) const INFO: PollerInfo = PollerInfo {
    kind: KIND,
    summary: "any exporter that speaks Prometheus' text format or OpenMetrics",
    metas: Vec::new,
    graphs: Vec::new,
    checks: Vec::new,
    sample: include_str!("sample.toml"),
    read: |page| read(&Config::new(""), page, Format::Text),
};

/// Asks once. Errors: [`PollFailure`].
pub(crate) async fn poll(
    config: &Config,
    client: &mut Client,
    timeout: Duration,
) -> Result<Reading, PollFailure> {
    debug_assert_eq!(config.url, client.url(), "a client belongs to its target");
    let timeout_name = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
    let headers = [
        (ACCEPT, HeaderValue::from_static(FORMATS)),
        (timeout_name, HeaderValue::from(timeout.as_secs().max(1))),
    ];
    let answer = client.fetch(&headers, BODY_BYTES_MAX).await?;
    read(config, &answer.body, Format::of(&answer.content_type))
}

/// Turns a page into samples.
fn read(config: &Config, page: &[u8], format: Format) -> Result<Reading, PollFailure> {
    let page = std::str::from_utf8(page)
        .map_err(|error| PollFailure::Parse { reason: format!("it is no UTF-8: {error}") })?;
    let exposition = exposition::parse(page, format)
        .map_err(|error| PollFailure::Parse { reason: error.to_string() })?;
    let (samples, samples_max) = (exposition.samples.len(), config.sample_limit);
    if samples > samples_max {
        return Err(PollFailure::SampleLimit { samples, samples_max });
    }
    let is_timed = config.honor_timestamps;
    let samples = exposition.samples.into_iter();
    let samples = samples.map(|s| (s.labels, s.at.filter(|_| is_timed), s.value)).collect();
    let metas = exposition.metas;
    Ok(Reading { samples, metas, started_at: None, is_honoring_labels: config.honor_labels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_with_too_many_samples_fails_as_a_whole() {
        let config = Config { sample_limit: 2, ..Config::new("http://a/") };
        let failure = read(&config, b"a 1\nb 2\nc 3\n", Format::Text).unwrap_err();
        assert_eq!(failure.as_str(), "sample_limit");
        assert_eq!(read(&config, b"a 1\nb 2\n", Format::Text).unwrap().samples.len(), 2);
    }

    #[test]
    fn times_on_the_page_are_kept_or_not() {
        let mut config = Config::new("http://a/");
        let at = |config: &Config| read(config, b"a 1 5000\n", Format::Text).unwrap().samples[0].1;
        assert_eq!(at(&config), Some(noroshi_model::Timestamp::from_secs(5)));
        config.honor_timestamps = false;
        assert_eq!(at(&config), None);
    }
}
