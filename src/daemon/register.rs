//! Hosts that registered themselves by an agent that reports: remembered over restarts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use noroshi_model::{RecordBatch, Records, Space, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::RegisteredHost;

/// How many hosts are read at start; far above what one server watches.
const HOSTS_MAX: usize = 1_000_000;

/// A registered host on disk, version 1.
#[derive(Debug, Deserialize, Serialize)]
struct HostRecord {
    version: u8,
    address: String,
    first_seen: Timestamp,
    /// Since 0.1.0 without a new version: left out by earlier ones.
    #[serde(default)]
    plugin_intervals_ms: BTreeMap<String, u64>,
    /// What rules match; since 0.1.0 without a new version.
    #[serde(default)]
    facts: BTreeMap<String, String>,
    /// What its agent's config calls it; since 0.1.0 without a new version.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Returns the hosts that registered themselves earlier, by name.
pub(super) fn load(records: &dyn Records) -> anyhow::Result<Vec<RegisteredHost>> {
    let found = records.scan(Space::Hosts, b"", None, HOSTS_MAX).context("cannot read hosts")?;
    let mut hosts = Vec::with_capacity(found.len());
    for (key, value) in found {
        let name = String::from_utf8_lossy(&key).into_owned();
        match serde_json::from_slice::<HostRecord>(&value) {
            Ok(record) if record.version == 1 => {
                let plugins = intervals(record.plugin_intervals_ms);
                let HostRecord { address, facts, labels, .. } = record;
                hosts.push(RegisteredHost { name, address, plugins, facts, labels });
            }
            Ok(record) => {
                tracing::error!(host = name, version = record.version, "host record is too new");
            }
            Err(error) => tracing::error!(host = name, %error, "host record is damaged"),
        }
    }
    Ok(hosts)
}

/// Returns what rules match of a machine that reports.
pub(super) fn facts([os, kernel, version, token]: [&String; 4]) -> BTreeMap<String, String> {
    let facts = [("os", os), ("kernel", kernel), ("version", version), ("token", token)];
    facts.into_iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

/// Makes durations of what agents and records say in milliseconds.
pub(super) fn intervals(millis: BTreeMap<String, u64>) -> BTreeMap<String, Duration> {
    millis.into_iter().map(|(name, millis)| (name, Duration::from_millis(millis))).collect()
}

/// Remembers hosts, all or none. Blocking.
pub(super) fn remember(
    records: &Arc<dyn Records>,
    hosts: &[RegisteredHost],
    now: Timestamp,
) -> anyhow::Result<()> {
    let millis = |interval: &Duration| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    let mut batch = RecordBatch::new();
    for host in hosts {
        let before =
            records.get(Space::Hosts, host.name.as_bytes()).context("cannot read hosts")?;
        let before: Option<HostRecord> = before.and_then(|v| serde_json::from_slice(&v).ok());
        let plugins = host.plugins.iter().map(|(name, interval)| (name.clone(), millis(interval)));
        let record = HostRecord {
            version: 1,
            address: host.address.clone(),
            first_seen: before.map_or(now, |before| before.first_seen),
            plugin_intervals_ms: plugins.collect(),
            facts: host.facts.clone(),
            labels: host.labels.clone(),
        };
        batch.put(Space::Hosts, host.name.as_bytes(), serde_json::to_vec(&record)?);
    }
    records.commit(batch).context("cannot remember hosts that registered themselves")
}

#[cfg(test)]
mod tests {
    use noroshi_model::seam::MemoryRecords;

    use super::*;

    #[test]
    fn a_registered_host_is_known_after_a_restart_and_a_damaged_one_costs_itself_only() {
        let records: Arc<dyn Records> = Arc::new(MemoryRecords::new());
        let host = RegisteredHost {
            name: "web2".to_owned(),
            address: "192.0.2.7".to_owned(),
            plugins: intervals(BTreeMap::from([("raid".to_owned(), 60_000)])),
            facts: BTreeMap::from([("os".to_owned(), "Debian".to_owned())]),
            labels: BTreeMap::from([("role".to_owned(), "web".to_owned())]),
        };
        remember(&records, std::slice::from_ref(&host), Timestamp::from_secs(9)).unwrap();
        let mut batch = RecordBatch::new();
        batch.put(Space::Hosts, "broken", "{");
        records.commit(batch).unwrap();

        let hosts = load(&*records).unwrap();
        assert_eq!(hosts.len(), 1);
        assert_eq!(hosts[0], host);
    }
}
