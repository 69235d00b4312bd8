//! The list of the pollers: what each gives, shows and checks.

use noroshi_model::{Batch, GraphTemplate, Kind, MetricMeta, Timestamp};

use crate::poll::PollFailure;
use crate::reading::Reading;
use crate::{apache, memcached, nginx, prometheus};

/// A poller as the rest of the house sees it.
#[derive(Debug)]
pub struct PollerInfo {
    /// Its name: in the configuration and, unless the target names another, the label `job`.
    pub kind: &'static str,
    /// What it is, one line.
    pub summary: &'static str,
    /// What it gives; empty when the target decides.
    pub metas: fn() -> Vec<MetricMeta>,
    /// The graphs that a host with such a target gets.
    pub graphs: fn() -> Vec<GraphTemplate>,
    /// The checks that a host with such a target gets unless they are switched off.
    pub checks: fn() -> Vec<DefaultCheck>,
    /// An example of the configuration, as TOML.
    pub sample: &'static str,
    /// Reads what such a target answers, as the poller does.
    pub(crate) read: fn(&[u8]) -> Result<Reading, PollFailure>,
}

impl PollerInfo {
    /// Reads an answer that was kept (a page saved by hand) as a poll at `at` would.
    ///
    /// Errors: [`PollFailure::Parse`] and [`PollFailure::SampleLimit`].
    pub fn read_answer(&self, answer: &[u8], at: Timestamp) -> Result<Batch, PollFailure> {
        (self.read)(answer)?.into_batch(at, self.kind)
    }
}

/// A check that comes with a poller.
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultCheck {
    /// Its name on the host.
    pub name: String,
    /// The value that is judged, in `PromQL`; `$instance` stands for the host's name.
    pub expr: String,
    /// Warning when it is greater than this.
    pub warning: Option<f64>,
    /// Critical when it is greater than this.
    pub critical: Option<f64>,
    /// Unit of the value, as in [`GraphTemplate::unit`].
    pub unit: String,
    /// What to do, for whoever is woken by it.
    pub notes: String,
}

/// Returns all pollers.
pub fn registry() -> &'static [PollerInfo] {
    const POLLERS: [PollerInfo; 4] = [apache::INFO, memcached::INFO, nginx::INFO, prometheus::INFO];
    &POLLERS
}

/// One line of a poller's table of series.
pub(crate) type Series = (&'static str, Kind, &'static str, &'static str);

/// Returns a poller's table of series as values of the model.
pub(crate) fn table_metas(table: &[Series]) -> Vec<MetricMeta> {
    let meta = |(name, kind, unit, help): &Series| MetricMeta {
        name: (*name).to_owned(),
        kind: *kind,
        unit: (*unit).to_owned(),
        help: (*help).to_owned(),
    };
    table.iter().map(meta).collect()
}

#[cfg(test)]
mod tests;
