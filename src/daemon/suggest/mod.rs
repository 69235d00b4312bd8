//! Through which host another may be reached: suggested from the routes and addresses that agents
//! tell. A seam for more: what else knows neighbours (SNMP's tables) adds routes and addresses to
//! [`Known`]. Tables of neighbours (ARP) add nothing to it: who is in one is reached directly, which
//! the routes without gateway say as well.

mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use noroshi_checks::HostRow;
use noroshi_model::{Labels, Matcher, SeriesSource as _};
use noroshi_web::configuration::SuggestedParent;

use super::Daemon;
use ways::{Known, Way};

/// An older reading says nothing of how the machine is connected now.
const AGE_MAX: Duration = Duration::from_mins(15);
/// A host has few ways and addresses; this bounds what a site of them loads.
const SERIES_MAX: usize = 200_000;
const ROUTE: &str = "node_network_route_info";
const ADDRESS: &str = "node_network_address_info";

impl Daemon {
    /// Returns parents for hosts that have none, by host; `server` is the name of the machine that
    /// this runs on. Blocking: it reads series.
    pub(super) fn suggested_parents(&self, server: &str) -> Vec<SuggestedParent> {
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
            if let (Some(host), Some(dest)) = (labels.get("instance"), labels.get("dest")) {
                known.route(host, dest, labels.get("gw").unwrap_or_default());
            }
        }
        suggest(&hosts, &known, server)
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

/// Suggests parents for each host without any: the one host that has the address of the gateway by
/// which it reaches this server; for one that does not tell its routes, the last known host on the
/// server's way to it. What is in the server's own network has none.
fn suggest(hosts: &[HostRow], known: &Known, server: &str) -> Vec<SuggestedParent> {
    let parents: BTreeMap<&str, &[String]> =
        hosts.iter().map(|host| (host.name.as_str(), &host.parents[..])).collect();
    let here = known.addresses(server);
    let mut suggested = Vec::new();
    for host in hosts.iter().filter(|host| host.parents.is_empty() && host.name != server) {
        let name = host.name.as_str();
        let mut of_host: Vec<(&str, String)> = Vec::new();
        let way = known.way(name, &here);
        if way == Way::Direct {
            continue;
        }
        for (gateway, what) in gateways_of(known, name, way) {
            if let Some(owner) = known.owner(&gateway) {
                of_host.push((owner, format!("its {what} {gateway} is an address of {owner}")));
            }
        }
        if of_host.is_empty() {
            of_host.extend(on_the_way(known, server, name));
        }
        of_host.retain(|(owner, _)| {
            *owner != name && parents.contains_key(owner) && !is_above(&parents, name, owner)
        });
        of_host.dedup_by(|a, b| a.0 == b.0);
        let host = |(parent, reason): (&str, String)| SuggestedParent {
            host: name.to_owned(),
            parent: parent.to_owned(),
            reason,
        };
        suggested.extend(of_host.into_iter().map(host));
    }
    suggested
}

/// Returns the gateways by which a host reaches this server, and what they are to it; its default
/// gateways when it is not known which addresses this server has.
fn gateways_of(known: &Known, host: &str, way: Way) -> Vec<(IpAddr, &'static str)> {
    let (gateways, what): (BTreeSet<IpAddr>, _) = match way {
        Way::Through(0, gateways) => (gateways, "default gateway"),
        Way::Through(_, gateways) => (gateways, "gateway to this server"),
        Way::Direct | Way::Unknown => (known.defaults(host), "default gateway"),
    };
    gateways.into_iter().map(|gateway| (gateway, what)).collect()
}

/// Returns the last known host on this server's way to another.
fn on_the_way<'a>(known: &'a Known, server: &str, host: &str) -> Option<(&'a str, String)> {
    let addresses = known.addresses(host);
    if known.way(server, &addresses) == Way::Direct {
        return None;
    }
    addresses.into_iter().find_map(|address| {
        let (owner, hop) = known.last_before(server, address)?;
        let reason = format!(
            "the way from this server to {address} leads through {hop}, an address of {owner}"
        );
        Some((owner, reason))
    })
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

    fn knowing(hosts: &[HostRow]) -> Known {
        let mut known = Known::default();
        for host in hosts {
            known.own(&host.address, &host.name);
        }
        known
    }

    fn suggested(hosts: &[HostRow], known: &Known) -> Vec<String> {
        let line = |s: SuggestedParent| format!("{} <- {}: {}", s.host, s.parent, s.reason);
        suggest(hosts, known, "server").into_iter().map(line).collect()
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
        let mut known = knowing(&hosts);
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
            known.route(host, "default", gateway);
        }
        // `gw` is reached through `up` by its route, but `up` already through `gw`.
        let expected = ["web1 <- gw: its default gateway 10.0.0.1 is an address of gw"];
        assert_eq!(suggested(&hosts, &known), expected);
    }

    /// Goal: the way between a host and this server counts, not the default gateway as such.
    /// Method: a server with two networks, a router to a third one and a further router behind it.
    #[test]
    fn routes_tell_who_stands_between_a_host_and_this_server() {
        let hosts = hosts(&[
            ("server", "", ""),
            ("near", "192.0.2.7", ""),
            ("gw", "192.0.2.1", ""),
            ("vpn", "192.0.2.5", ""),
            ("far", "10.8.1.7", ""),
            ("switch", "10.8.1.9", ""),
            ("hv", "10.8.1.1", ""),
            ("guest", "10.9.0.2", ""),
            ("printer", "10.9.0.3", ""),
            ("outside", "198.51.100.7", ""),
        ]);
        let mut known = knowing(&hosts);
        known.own("192.0.2.2", "server");
        known.own("10.8.1.5", "vpn");
        for (host, dest, gateway) in [
            ("server", "default", "192.0.2.1"),
            ("server", "192.0.2.0/24", ""),
            ("server", "10.8.0.0/14", "192.0.2.5"),
            // In the server's own network: nobody between, whatever the default gateway is.
            ("near", "default", "192.0.2.1"),
            ("near", "192.0.2.0/24", ""),
            ("gw", "192.0.2.0/24", ""),
            ("vpn", "192.0.2.0/24", ""),
            ("vpn", "10.8.0.0/16", ""),
            ("vpn", "10.9.0.0/16", "10.8.1.1"),
            // Its default gateway leads elsewhere; to the server it goes by a route of its own.
            ("far", "default", "10.8.1.254"),
            ("far", "192.0.2.0/24", "10.8.1.5"),
            ("guest", "default", "10.8.1.1"),
            // `switch`, `printer` and `outside` have no agent.
        ] {
            known.route(host, dest, gateway);
        }
        let expected = [
            "far <- vpn: its gateway to this server 10.8.1.5 is an address of vpn",
            "guest <- hv: its default gateway 10.8.1.1 is an address of hv",
            "hv <- vpn: the way from this server to 10.8.1.1 leads through 192.0.2.5, an address of vpn",
            "outside <- gw: the way from this server to 198.51.100.7 leads through 192.0.2.1, an address of gw",
            // Not `vpn`: it tells that it hands on to `hv`.
            "printer <- hv: the way from this server to 10.9.0.3 leads through 10.8.1.1, an address of hv",
            "switch <- vpn: the way from this server to 10.8.1.9 leads through 192.0.2.5, an address of vpn",
        ];
        assert_eq!(suggested(&hosts, &known), expected);
    }

    #[test]
    fn routes_in_a_circle_suggest_nothing_and_end() {
        let hosts = hosts(&[
            ("server", "192.0.2.2", ""),
            ("a", "192.0.2.3", ""),
            ("b", "192.0.2.4", ""),
            ("lost", "10.0.0.1", ""),
        ]);
        let mut known = knowing(&hosts);
        for (host, gateway) in [("server", "192.0.2.3"), ("a", "192.0.2.4"), ("b", "192.0.2.2")] {
            known.route(host, "10.0.0.0/8", gateway);
            known.route(host, "192.0.2.0/24", "");
        }
        assert_eq!(suggested(&hosts, &known), [""; 0]);
    }
}
