//! Through which host another may be reached: suggested from the default gateways that agents tell.
//! A seam for more: what else knows neighbours (SNMP's tables) adds ways and addresses to [`Known`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use noroshi_checks::HostRow;
use noroshi_model::{Labels, Matcher, SeriesSource as _};
use noroshi_web::configuration::SuggestedParent;

use super::Daemon;

/// An older reading says nothing of how the machine is connected now.
const AGE_MAX: Duration = Duration::from_mins(15);
/// A host has few ways and addresses; this bounds what a site of them loads.
const SERIES_MAX: usize = 200_000;
const ROUTE: &str = "node_network_route_info";
const ADDRESS: &str = "node_network_address_info";

/// What is known of how hosts are connected.
#[derive(Debug, Default)]
struct Known {
    /// The next hops on the way out, by host.
    ways: BTreeMap<String, BTreeSet<IpAddr>>,
    /// Whose an address is; of several hosts when they say the same.
    owners: BTreeMap<IpAddr, BTreeSet<String>>,
}

impl Daemon {
    /// Returns parents for hosts that have none, by host. Blocking: it reads series.
    pub(super) fn suggested_parents(&self) -> Vec<SuggestedParent> {
        let hosts = self.checks.hosts();
        let mut known = Known::default();
        for host in &hosts {
            known.own(&host.address, &host.name);
        }
        for labels in self.newest(ADDRESS) {
            if let (Some(host), Some(address)) = (labels.get("instance"), labels.get("address")) {
                known.own(address, host);
            }
        }
        for labels in self.newest(ROUTE) {
            if let (Some(host), Some(gateway)) = (labels.get("instance"), labels.get("gw"))
                && let Ok(gateway) = gateway.parse()
            {
                known.ways.entry(host.to_owned()).or_default().insert(gateway);
            }
        }
        suggest(&hosts, &known)
    }

    /// Returns the series of a metric that were told lately.
    fn newest(&self, metric: &str) -> Vec<Labels> {
        let now = self.clock.now();
        let matchers = [Matcher::equal("__name__", metric)];
        let found = self.store.series(&matchers, now - AGE_MAX, now, SERIES_MAX);
        found.unwrap_or_else(|error| {
            tracing::error!(%error, metric, "cannot read how hosts are connected");
            Vec::new()
        })
    }
}

impl Known {
    /// Notes whose an address is. One that means another machine to everybody is nobody's.
    fn own(&mut self, address: &str, host: &str) {
        let address: Option<IpAddr> = address.parse().ok();
        let of_one = address.filter(|address| !address.is_loopback() && !address.is_unspecified());
        if let Some(address) = of_one {
            self.owners.entry(address).or_default().insert(host.to_owned());
        }
    }
}

/// Suggests for each host without parents the one host that has the address of its gateway.
fn suggest(hosts: &[HostRow], known: &Known) -> Vec<SuggestedParent> {
    let parents: BTreeMap<&str, &[String]> =
        hosts.iter().map(|host| (host.name.as_str(), &host.parents[..])).collect();
    let mut suggested = Vec::new();
    for host in hosts.iter().filter(|host| host.parents.is_empty()) {
        for gateway in known.ways.get(&host.name).into_iter().flatten() {
            let owners = known.owners.get(gateway).into_iter().flatten();
            let owners: Vec<&String> = owners.collect();
            // An address that several have (a bridge of containers) names none of them.
            let [owner] = owners[..] else { continue };
            let is_known = parents.contains_key(owner.as_str());
            if *owner == host.name || !is_known || is_above(&parents, &host.name, owner) {
                continue;
            }
            let reason = format!("its default gateway {gateway} is an address of {owner}");
            let (host, parent) = (host.name.clone(), owner.clone());
            suggested.push(SuggestedParent { host, parent, reason });
        }
    }
    suggested.dedup_by(|a, b| a.host == b.host && a.parent == b.parent);
    suggested
}

/// Tells whether one host is among those through which another is reached.
fn is_above(parents: &BTreeMap<&str, &[String]>, above: &str, host: &str) -> bool {
    let (mut waiting, mut seen) = (vec![host], BTreeSet::new());
    while let Some(name) = waiting.pop() {
        if name == above {
            return true;
        }
        if seen.insert(name) {
            let next = parents.get(name).copied().unwrap_or_default();
            waiting.extend(next.iter().map(String::as_str));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use noroshi_checks::{Checks, Deps, HostSpec, Site};
    use noroshi_model::Timestamp;
    use noroshi_model::seam::{ManualClock, MemoryRecords};
    use noroshi_store::{Store, StoreConfig};
    use std::sync::Arc;

    use super::*;

    /// Hosts as `name address parent`.
    fn hosts(said: &[(&str, &str, &str)]) -> Vec<HostRow> {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1)));
        let (store, _) = Store::open(folder.path(), StoreConfig::default(), clock.clone()).unwrap();
        let records = Arc::new(MemoryRecords::new());
        let (series, sink) = (store.clone(), store.clone());
        let checks = Checks::new(Deps { clock, records, series, sink }).unwrap();
        let spec = |(name, address, parent): &(&str, &str, &str)| {
            let parents = if parent.is_empty() { vec![] } else { vec![(*parent).to_owned()] };
            HostSpec { parents, ..HostSpec::new(name, address) }
        };
        checks.apply(Site { hosts: said.iter().map(spec).collect(), ..Site::default() });
        let hosts = checks.hosts();
        store.close();
        hosts
    }

    #[test]
    fn the_one_host_with_the_gateways_address_is_suggested() {
        let hosts = hosts(&[
            ("docker1", "192.0.2.21", ""),
            ("docker2", "192.0.2.22", ""),
            ("gw", "192.0.2.1", ""),
            ("has", "192.0.2.8", "gw"),
            ("up", "192.0.2.30", "gw"),
            ("web1", "192.0.2.7", ""),
            ("lost", "192.0.2.9", ""),
        ]);
        let mut known = Known::default();
        for host in &hosts {
            known.own(&host.address, &host.name);
        }
        known.own("10.0.0.1", "gw");
        known.own("172.17.0.1", "docker1");
        known.own("172.17.0.1", "docker2");
        known.own("127.0.0.1", "gw");
        let ways = [
            ("web1", "10.0.0.1"),
            ("has", "192.0.2.1"),
            ("gw", "192.0.2.30"),
            ("lost", "172.17.0.1"),
            ("docker1", "198.51.100.1"),
            ("docker2", "192.0.2.22"),
        ];
        for (host, gateway) in ways {
            let ways = known.ways.entry(host.to_owned()).or_default();
            ways.insert(gateway.parse().unwrap());
        }
        let found = suggest(&hosts, &known);
        let expected = SuggestedParent {
            host: "web1".to_owned(),
            parent: "gw".to_owned(),
            reason: "its default gateway 10.0.0.1 is an address of gw".to_owned(),
        };
        // `gw` is reached through `up` by its route, but `up` already through `gw`.
        assert_eq!(found, [expected]);
    }
}
