//! What is known of how hosts are connected: routes, and whose an address is. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use noroshi_checks::Network;

/// Most hosts that a way is followed through: a loop of routes ends.
const HOPS_MAX: usize = 16;

/// What is known of how hosts are connected.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Routes by host.
    routes: BTreeMap<String, Vec<Route>>,
    /// Whose an address is; of several hosts when they say the same.
    owners: BTreeMap<IpAddr, BTreeSet<String>>,
}

/// A route as an agent tells it.
#[derive(Debug)]
struct Route {
    /// `None`: the default route, of the gateway's kind of addresses.
    network: Option<Network>,
    /// `None`: directly.
    gateway: Option<IpAddr>,
}

/// How a host reaches an address: by its narrowest routes there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing is known.
    Unknown,
    /// Without anybody between.
    Direct,
    /// Through one of these, by a route of so many bits.
    Through(u32, BTreeSet<IpAddr>),
}

impl Route {
    /// Returns how many bits of an address it fits; `None` when it does not lead there.
    fn fits(&self, address: IpAddr) -> Option<u32> {
        match (self.network, self.gateway) {
            (Some(network), _) => network.holds(address).then_some(network.bits()),
            (None, Some(gateway)) => (gateway.is_ipv4() == address.is_ipv4()).then_some(0),
            (None, None) => None,
        }
    }
}

impl Known {
    /// Notes whose an address is. One that means another machine to everybody is nobody's.
    pub(super) fn own(&mut self, address: &str, host: &str) {
        let address: Option<IpAddr> = address.parse().ok();
        let of_one = address.filter(|address| !address.is_loopback() && !address.is_unspecified());
        if let Some(address) = of_one {
            self.owners.entry(address).or_default().insert(host.to_owned());
        }
    }

    /// Notes a route: `default` or a network as `10.8.0.0/16`, and the gateway, empty when there is
    /// none. What cannot be read is left out.
    pub(super) fn route(&mut self, host: &str, dest: &str, gateway: &str) {
        let network = if dest == "default" { None } else { dest.parse::<Network>().ok() };
        let gateway = gateway.parse().ok();
        if network.is_some() || (dest == "default" && gateway.is_some()) {
            self.routes.entry(host.to_owned()).or_default().push(Route { network, gateway });
        }
    }

    /// Returns the one host that has an address; `None` when nobody has it, or several: an address
    /// that several have (a bridge of containers) names none of them.
    pub(super) fn owner(&self, address: &IpAddr) -> Option<&str> {
        let mut owners = self.owners.get(address)?.iter();
        owners.next().filter(|_| owners.next().is_none()).map(String::as_str)
    }

    /// Returns the addresses that only this host has.
    pub(super) fn addresses(&self, host: &str) -> Vec<IpAddr> {
        let all = self.owners.keys();
        all.filter(|address| self.owner(address) == Some(host)).copied().collect()
    }

    /// Returns how a host reaches any of these addresses: directly if one of them, else by the
    /// narrowest route to one of them.
    pub(super) fn way(&self, host: &str, addresses: &[IpAddr]) -> Way {
        let mut found = Way::Unknown;
        for address in addresses {
            match (self.way_to(host, *address), &mut found) {
                (Way::Direct, _) => return Way::Direct,
                (Way::Through(bits, more), Way::Through(before, all)) if bits == *before => {
                    all.extend(more);
                }
                (Way::Through(bits, _), Way::Through(before, _)) if bits < *before => {}
                (Way::Unknown, _) => {}
                (way, found) => *found = way,
            }
        }
        found
    }

    fn way_to(&self, host: &str, address: IpAddr) -> Way {
        let routes = self.routes.get(host).into_iter().flatten();
        let fitting: Vec<(u32, Option<IpAddr>)> =
            routes.filter_map(|route| Some((route.fits(address)?, route.gateway))).collect();
        let Some(bits) = fitting.iter().map(|(bits, _)| *bits).max() else { return Way::Unknown };
        let narrowest = fitting.into_iter().filter(|(fits, _)| *fits == bits);
        let gateways: Option<BTreeSet<IpAddr>> = narrowest.map(|(_, gateway)| gateway).collect();
        gateways.map_or(Way::Direct, |gateways| Way::Through(bits, gateways))
    }

    /// Returns the gateways of a host's default routes.
    pub(super) fn defaults(&self, host: &str) -> BTreeSet<IpAddr> {
        let routes = self.routes.get(host).into_iter().flatten();
        routes.filter(|route| route.network.is_none()).filter_map(|route| route.gateway).collect()
    }

    /// Follows routes from one host to an address, as far as hosts on the way tell theirs; returns
    /// the last host before it, with the address by which it was found.
    pub(super) fn last_before(&self, from: &str, address: IpAddr) -> Option<(&str, IpAddr)> {
        let (mut at, mut last) = (from, None);
        for _ in 0..HOPS_MAX {
            let Way::Through(_, gateways) = self.way_to(at, address) else { break };
            let mut next = gateways.iter().filter_map(|hop| Some((self.owner(hop)?, *hop)));
            // Of several ways none is the one; a way that leads back leads nowhere.
            let Some((host, hop)) = next.next().filter(|(host, _)| *host != at) else { break };
            if next.next().is_some() || host == from {
                return None;
            }
            (at, last) = (host, Some((host, hop)));
        }
        last.filter(|(host, _)| self.owner(&address) != Some(host))
    }
}
