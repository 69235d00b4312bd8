//! What an operator writes about polls: `[host.NAME.poll.KIND]`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::http::Endpoint;
use crate::poll::{PollSpec, Target};
use crate::{apache, memcached, nginx, prometheus};

/// How often a target is asked when nothing else is said.
///
/// As often as an agent reports, so that graphs of one host have one resolution.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// How long a poll may take when nothing else is said: a page that takes longer is no use.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn interval() -> Duration {
    INTERVAL
}

pub(crate) fn timeout() -> Duration {
    TIMEOUT
}

/// The polls of one host: a field a poller.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PollTargets {
    /// An Apache's `server-status` page.
    pub apache: Option<apache::Config>,
    /// A memcached's `stats`.
    pub memcached: Option<memcached::Config>,
    /// An nginx' `stub_status` page.
    pub nginx: Option<nginx::Config>,
    /// Pages in Prometheus' formats; the key becomes the label `job`.
    pub prometheus: BTreeMap<String, prometheus::Config>,
}

impl PollTargets {
    /// Returns the polls for a host.
    pub fn specs(&self, instance: &str) -> Vec<PollSpec> {
        let mut specs = Vec::new();
        if let Some(config) = &self.apache {
            let timing = (config.interval, config.timeout);
            specs.push(PollSpec::new(instance, Target::Apache(config.clone()), timing));
        }
        if let Some(config) = &self.memcached {
            let timing = (config.interval, config.timeout);
            specs.push(PollSpec::new(instance, Target::Memcached(config.clone()), timing));
        }
        if let Some(config) = &self.nginx {
            let timing = (config.interval, config.timeout);
            specs.push(PollSpec::new(instance, Target::Nginx(config.clone()), timing));
        }
        for (job, config) in &self.prometheus {
            let timing = (config.interval, config.timeout);
            let target = Target::Prometheus { job: job.clone(), config: config.clone() };
            specs.push(PollSpec::new(instance, target, timing));
        }
        specs
    }
}

/// A page of one service, asked by HTTP.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusPage {
    /// `http://HOST[:PORT]/PATH` or `https://`.
    pub url: String,
    /// User for basic authentication.
    #[serde(default)]
    pub user: Option<String>,
    /// Its password.
    #[serde(default)]
    pub password: Option<Password>,
    /// A file that holds the password; read again after a failure.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted for `https` in the place of the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// From one poll to the next.
    #[serde(default = "interval", with = "noroshi_model::quantity::humane")]
    pub interval: Duration,
    /// How long a poll may take.
    #[serde(default = "timeout", with = "noroshi_model::quantity::humane")]
    pub timeout: Duration,
}

impl StatusPage {
    /// Returns the configuration with nothing but an address.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            user: None,
            password: None,
            password_file: None,
            ca_file: None,
            interval: INTERVAL,
            timeout: TIMEOUT,
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint {
            user: self.user.as_deref(),
            password: self.password.as_ref(),
            password_file: self.password_file.as_deref(),
            ca_file: self.ca_file.as_deref(),
            ..Endpoint::new(&self.url)
        }
    }
}

/// A password; never printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// Wraps a password.
    pub fn new(password: &str) -> Self {
        Self(password.to_owned())
    }

    /// Returns it for the one place that sends it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_printed() {
        let targets = PollTargets {
            nginx: Some(nginx::Config {
                password: Some(Password::new("hunter2")),
                ..nginx::Config::new("http://127.0.0.1/status")
            }),
            ..PollTargets::default()
        };
        assert!(!format!("{targets:?} {:?}", targets.specs("web1")).contains("hunter2"));
    }

    #[test]
    fn unknown_fields_are_refused() {
        let error =
            serde_json::from_str::<PollTargets>(r#"{"nginx":{"url":"http://a/","step":"5s"}}"#);
        assert!(error.unwrap_err().to_string().contains("unknown field `step`"));
    }
}
