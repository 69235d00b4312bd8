//! One poll: of what, how it may fail, and what comes out of it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use noroshi_model::{Batch, Clock, Kind, Labels};

use crate::http::{Client, Endpoint};
use crate::reading::Reading;
use crate::registry::Series;
use crate::{apache, memcached, nginx, prometheus};

/// A poll as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct PollSpec {
    /// The host's name: the label `instance`.
    pub instance: String,
    /// What is asked.
    pub target: Target,
    /// From one poll to the next; at least a second.
    pub interval: Duration,
    /// How long a poll may take; cut to the interval.
    pub timeout: Duration,
    /// Labels that every series gets; `instance` and `job` cannot be set here.
    pub labels: BTreeMap<String, String>,
}

/// Shortest interval: below, the asking becomes the load.
pub(crate) const INTERVAL_MIN: Duration = Duration::from_secs(1);

impl PollSpec {
    /// Makes a poll without labels of its own; `timing` is interval and timeout.
    pub fn new(instance: &str, target: Target, timing: (Duration, Duration)) -> Self {
        let (interval, timeout) = (timing.0.max(INTERVAL_MIN), timing.1);
        let labels = BTreeMap::new();
        Self { instance: instance.to_owned(), target, interval, timeout, labels }
    }

    /// Returns what no two polls share: host, kind and job.
    pub(crate) fn key(&self) -> Key {
        let (kind, job) = (self.target.kind(), self.target.job().to_owned());
        Key { instance: self.instance.clone(), kind, job }
    }

    /// Returns the longest that one poll may take: never so long that it meets the next.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.min(self.interval.mul_f64(0.95))
    }
}

/// Names a poll among all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) instance: String,
    pub(crate) kind: &'static str,
    pub(crate) job: String,
}

/// What is asked: one variant a poller, holding its configuration.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// See [`crate::apache`].
    Apache(apache::Config),
    /// See [`crate::memcached`].
    Memcached(memcached::Config),
    /// See [`crate::nginx`].
    Nginx(nginx::Config),
    /// See [`crate::prometheus`].
    Prometheus {
        /// The label `job`.
        job: String,
        /// Where and how.
        config: prometheus::Config,
    },
}

impl Target {
    /// Returns where it is asked: a URL, or `HOST[:PORT]`.
    pub fn address_mut(&mut self) -> &mut String {
        match self {
            Self::Apache(page) | Self::Nginx(page) => &mut page.url,
            Self::Memcached(config) => &mut config.address,
            Self::Prometheus { config, .. } => &mut config.url,
        }
    }

    /// Returns the poller's name.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Apache(_) => apache::KIND,
            Self::Memcached(_) => memcached::KIND,
            Self::Nginx(_) => nginx::KIND,
            Self::Prometheus { .. } => prometheus::KIND,
        }
    }

    /// Returns the value of the label `job`.
    pub fn job(&self) -> &str {
        match self {
            Self::Prometheus { job, .. } => job,
            Self::Apache(_) | Self::Memcached(_) | Self::Nginx(_) => self.kind(),
        }
    }

    /// Tells whether it is any exporter's page, about which Prometheus gives series of its own.
    pub(crate) fn is_scrape(&self) -> bool {
        matches!(self, Self::Prometheus { .. })
    }

    /// Returns the series that says of this kind of target whether it answered, beside `up`.
    pub(crate) fn own_up(&self) -> Option<&'static str> {
        match self {
            Self::Apache(_) => Some(apache::UP),
            Self::Memcached(_) => Some(memcached::UP),
            Self::Nginx(_) => Some(nginx::UP),
            Self::Prometheus { .. } => None,
        }
    }

    /// Returns the gauges that such a target always has, so that they are unknown when it never
    /// answered; none when the target decides.
    pub(crate) fn gauges(&self) -> Vec<Labels> {
        match self {
            Self::Apache(_) => apache::gauges(),
            Self::Memcached(_) => plain_gauges(&memcached::SERIES),
            Self::Nginx(_) => plain_gauges(&nginx::SERIES),
            Self::Prometheus { .. } => Vec::new(),
        }
    }

    /// Returns where it is, for people; without passwords.
    pub fn address(&self) -> &str {
        match self {
            Self::Apache(config) | Self::Nginx(config) => &config.url,
            Self::Memcached(config) => &config.address,
            Self::Prometheus { config, .. } => &config.url,
        }
    }
}

/// Returns the gauges of a table whose series have no labels of their own.
fn plain_gauges(table: &[Series]) -> Vec<Labels> {
    let gauges = table.iter().filter(|(_, kind, ..)| *kind == Kind::Gauge);
    gauges.map(|(name, ..)| Labels::new([("__name__", name)])).collect()
}

/// What stays between the polls of one target: its connection.
#[derive(Default)]
pub(crate) struct Session {
    client: Option<Client>,
}

impl Session {
    /// Asks once. Cancel: the connection is closed, nothing else happens.
    pub(crate) async fn poll(
        &mut self,
        target: &Target,
        timeout: Duration,
    ) -> Result<Reading, PollFailure> {
        match target {
            Target::Apache(config) => apache::poll(config, self.client(&config.endpoint())?).await,
            Target::Memcached(config) => memcached::poll(config).await,
            Target::Nginx(config) => nginx::poll(config, self.client(&config.endpoint())?).await,
            Target::Prometheus { config, .. } => {
                prometheus::poll(config, self.client(&config.endpoint())?, timeout).await
            }
        }
    }

    fn client(&mut self, endpoint: &Endpoint<'_>) -> Result<&mut Client, PollFailure> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::new(endpoint)?,
        };
        Ok(self.client.insert(client))
    }
}

/// Asks once through a session, which starts anew after a failure.
pub(crate) async fn guarded(
    session: &mut Session,
    target: &Target,
    timeout: Duration,
) -> Result<Reading, PollFailure> {
    let result = guard(session.poll(target, timeout), timeout).await;
    if result.is_err() {
        // Whatever is left of the connection is not what the next poll expects.
        *session = Session::default();
    }
    result
}

/// Runs a poll so that it ends in time and that a panic in it is a failure like any other.
async fn guard(
    polling: impl Future<Output = Result<Reading, PollFailure>>,
    timeout: Duration,
) -> Result<Reading, PollFailure> {
    match tokio::time::timeout(timeout, AssertUnwindSafe(polling).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(PollFailure::Panicked),
        Err(_elapsed) => Err(PollFailure::Timeout { timeout }),
    }
}

/// Asks a target once and returns its samples without `instance`, with its `job`.
///
/// For `noroshi poll`. Errors: [`PollFailure`].
pub async fn poll_once(
    target: &Target,
    timeout: Duration,
    clock: &dyn Clock,
) -> Result<Batch, PollFailure> {
    let at = clock.now();
    let reading = guarded(&mut Session::default(), target, timeout).await?;
    reading.into_batch(at, target.job())
}

/// Why a poll gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum PollFailure {
    /// The configuration cannot work: an address that is none, a certificate that is not there.
    #[error("{reason}")]
    Config {
        /// What is wrong and what to do.
        reason: String,
    },
    /// The name has no address.
    #[error("cannot resolve {host}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says; none when the answer was empty.
        source: Option<std::io::Error>,
    },
    /// No address of the target takes connections.
    #[error("cannot connect to {address}")]
    Connect {
        /// The last address tried.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The TLS handshake failed: usually the certificate.
    #[error("no TLS with {host}")]
    Tls {
        /// The name that the certificate must bear.
        host: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The time is over.
    #[error("no answer within {}", noroshi_model::format_duration(*timeout))]
    Timeout {
        /// How long was waited.
        timeout: Duration,
    },
    /// The server answered with something else than 200.
    #[error("the server answers {status}")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// What came is not HTTP, or the connection broke.
    #[error("the connection to {address} failed")]
    Protocol {
        /// Where to.
        address: String,
        /// What was wrong.
        source: hyper::Error,
    },
    /// The connection broke, on a protocol that is not HTTP.
    #[error("the connection to {address} failed")]
    Broken {
        /// Where to.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The answer is longer than a sound one can be.
    #[error("the answer is longer than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// The answer is not what this kind of target says.
    #[error("the answer cannot be read: {reason}")]
    Parse {
        /// Where and why.
        reason: String,
    },
    /// A series of the target has more or longer labels than it may.
    #[error("{name} has {found} {what}; at most {most} are taken")]
    LabelLimit {
        /// The series' metric.
        name: String,
        /// What is too much, and the limit's name.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much there may be.
        most: usize,
    },
    /// The server sends the request elsewhere more often than it is followed.
    #[error("the server redirects more than {redirects_max} times")]
    Redirects {
        /// How many are followed.
        redirects_max: usize,
    },
    /// The target has more samples than it may.
    #[error("the target gives {samples} samples; at most {samples_max} are taken (sample_limit)")]
    SampleLimit {
        /// How many there are.
        samples: usize,
        /// How many there may be.
        samples_max: usize,
    },
    /// A fault in the poller itself.
    #[error("the poller panicked; this is a fault in it")]
    Panicked,
}

impl PollFailure {
    /// Returns the stable name: log field, label and page text.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Config { .. } => "config",
            Self::Resolve { .. } => "resolve",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Timeout { .. } => "timeout",
            Self::Status { .. } => "status",
            Self::Protocol { .. } | Self::Broken { .. } => "protocol",
            Self::TooLarge { .. } => "too_large",
            Self::Parse { .. } => "parse",
            Self::SampleLimit { .. } => "sample_limit",
            Self::LabelLimit { .. } => "label_limit",
            Self::Redirects { .. } => "redirects",
            Self::Panicked => "panicked",
        }
    }

    /// Returns the text with all its causes.
    pub fn to_chain(&self) -> String {
        noroshi_model::chain(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_and_an_endless_poll_are_failures_like_any_other() {
        let second = Duration::from_secs(1);
        let panicking = async { panic!("a fault in a poller") };
        assert_eq!(guard(panicking, second).await.unwrap_err().as_str(), "panicked");
        let endless = std::future::pending();
        assert_eq!(guard(endless, second).await.unwrap_err().to_string(), "no answer within 1 s");
        assert_eq!(
            guard(async { Ok(Reading::default()) }, second).await.unwrap(),
            Reading::default()
        );
    }

    #[test]
    fn a_poll_never_takes_so_long_that_it_meets_the_next() {
        let target = Target::Nginx(nginx::Config::new("http://192.0.2.1/"));
        let timing = (Duration::from_secs(10), Duration::from_mins(1));
        let spec = PollSpec::new("web1", target, timing);
        assert_eq!(spec.timeout(), Duration::from_millis(9500));
    }
}
