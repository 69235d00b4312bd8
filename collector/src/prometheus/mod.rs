//! Prometheus' formats: pages of exporters are scraped, remote writes are read.
//!
//! The world's exporters are our pollers: what `scrape_config` can say of one target, the
//! configuration of this poller says (`docs/configuration`, Prometheus 3).

mod config;
pub mod exposition;
pub(crate) mod relabel;
pub mod remote_write;

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName, HeaderValue};

use crate::http::Client;
use crate::poll::PollFailure;
use crate::reading::{Limits, Reading, Treatment};
use crate::registry::PollerInfo;
pub use config::Config;
use exposition::Format;
pub use relabel::Relabel;

/// The poller's name.
pub const KIND: &str = "prometheus";

/// What is asked for, the best first (`scrape/scrape.go`, `acceptHeader`).
const FORMATS: &str = "application/openmetrics-text;version=1.0.0;q=0.5,\
                       application/openmetrics-text;version=0.0.1;q=0.4,\
                       text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

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
        (ACCEPT_ENCODING, HeaderValue::from_static("gzip")),
        (timeout_name, seconds(timeout)),
    ];
    let answer = client.fetch(&headers, config.body_size_limit).await?;
    read(config, &answer.body, Format::of(&answer.content_type))
}

/// Writes a duration in seconds with a fraction (`scrape/scrape.go`, `FormatFloat`).
fn seconds(duration: Duration) -> HeaderValue {
    let text = duration.as_secs_f64().to_string();
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from(duration.as_secs()))
}

/// Turns a page into samples.
fn read(config: &Config, page: &[u8], format: Format) -> Result<Reading, PollFailure> {
    let page = std::str::from_utf8(page)
        .map_err(|error| PollFailure::Parse { reason: format!("it is no UTF-8: {error}") })?;
    let exposition = exposition::parse(page, format)
        .map_err(|error| PollFailure::Parse { reason: error.to_string() })?;
    let is_timed = config.honor_timestamps;
    let samples = exposition.samples.into_iter();
    let samples = samples.map(|s| (s.labels, s.at.filter(|_| is_timed), s.value)).collect();
    let metas = exposition.metas;
    let set = |limit: usize| (limit > 0).then_some(limit);
    let treatment = Treatment {
        is_honoring_labels: config.honor_labels,
        relabel: Arc::clone(&config.metric_relabel_configs),
        limits: Limits {
            samples: set(config.sample_limit),
            labels: set(config.label_limit),
            name_bytes: set(config.label_name_length_limit),
            value_bytes: set(config.label_value_length_limit),
        },
    };
    Ok(Reading { samples, metas, started_at: None, treatment })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Labelled;

    /// Reads a page under the label `job="x"`.
    fn labelled(config: &Config, page: &str) -> Result<Labelled, PollFailure> {
        let ours = [("job".to_owned(), "x".to_owned())].into();
        read(config, page.as_bytes(), Format::Text)?.labelled(&ours)
    }

    fn config(text: &str) -> Config {
        toml::from_str(&format!("url = 'http://a/'\n{text}")).unwrap()
    }

    #[test]
    fn a_page_with_too_many_samples_fails_as_a_whole() {
        let config = config("sample_limit = 2");
        let failure = labelled(&config, "a 1\nb 2\nc 3\n").unwrap_err();
        assert_eq!(failure.as_str(), "sample_limit");
        assert_eq!(labelled(&config, "a 1\nb 2\n").unwrap().samples.len(), 2);
    }

    #[test]
    fn rules_come_before_the_limits_and_see_our_labels() {
        let config = config(
            "sample_limit = 1
[[metric_relabel_configs]]
source_labels = ['__name__', 'job']
regex = 'go_.*;x'
action = 'drop'
[[metric_relabel_configs]]
source_labels = ['__name__']
regex = '(a)'
target_label = '__name__'
replacement = 'my_$1'
",
        );
        let page = "# TYPE go_a gauge\ngo_a 1\ngo_b 2\na{le=\"5\"} 3\n";
        let left = labelled(&config, page).unwrap();
        assert_eq!(left.samples[0].0.to_string(), r#"my_a{job="x",le="5"}"#);
        assert_eq!((left.samples.len(), left.scraped, left.metas.len()), (1, 3, 0));
    }

    #[test]
    fn labels_beyond_the_limits_fail_the_page() {
        // `job` and the name count, as in Prometheus.
        let page = "a{disk=\"sda\",zone=\"tokyo\"} 1\n";
        let cases = [
            ("label_limit = 4", None),
            ("label_limit = 3", Some("a has 4 labels (label_limit); at most 3 are taken")),
            ("label_name_length_limit = 8", None),
            ("label_name_length_limit = 7", Some("a has 8 bytes in a label's name")),
            ("label_value_length_limit = 5", None),
            ("label_value_length_limit = 4", Some("a has 5 bytes in a label's value")),
        ];
        for (text, expected) in cases {
            let failure = labelled(&config(text), page).err();
            let failure = failure.map(|failure| (failure.as_str(), failure.to_string()));
            match (expected, failure) {
                (None, None) => {}
                (Some(expected), Some(("label_limit", failure))) => {
                    assert!(failure.starts_with(expected), "{failure}");
                }
                (_, failure) => panic!("{text} gives {failure:?}"),
            }
        }
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
