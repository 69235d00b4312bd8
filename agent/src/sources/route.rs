//! The ways out of the machine and its own addresses: `/proc/net/route`, `/proc/net/ipv6_route`,
//! `/proc/net/fib_trie`, `/proc/net/if_inet6`. The server finds from them through which host another
//! is reached.
//!
//! Named as `node_exporter`'s `network_route` and `netdev.address-info`, of whose labels the kernel's
//! text files give these. Source of the columns: Linux `net/ipv4/fib_trie.c` (`fib_route_seq_show`,
//! `fib_trie_seq_show`), `net/ipv6/route.c` (`rt6_info_route`), `net/ipv6/addrconf.c`
//! (`if6_seq_show`).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::files::{Files, SourceError};
use super::{Kept, Metric, Output, Source};

/// Reads routes and own addresses.
#[derive(Default)]
pub(super) struct Route {
    kept: Kept,
}

const ROUTE: &str = "node_network_route_info";
const ADDRESS: &str = "node_network_address_info";
const METRICS: [Metric; 2] = [
    Metric::gauge(ROUTE, "", "A route: through which gateway, or, without one, directly."),
    Metric::gauge(ADDRESS, "", "An address that the machine itself has."),
];
/// Most addresses that are told: a node of a cluster has hundreds that nobody reaches it by.
const ADDRESSES_MAX: usize = 32;
/// Most routes that are told, the widest first: a router has thousands.
const ROUTES_MAX: usize = 64;
/// `RTF_GATEWAY` of Linux `include/uapi/linux/route.h`: the route leads through another machine.
const GATEWAY: u32 = 0x2;
/// `RTF_REJECT` of the same: it leads nowhere.
const REJECT: u32 = 0x200;
/// `RTF_LOCAL` of Linux `include/uapi/linux/ipv6_route.h`: it leads to the machine itself.
const LOCAL: u32 = 0x8000_0000;

/// A route; ordered with the widest first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    bits: u32,
    network: IpAddr,
    device: String,
    /// `None`: what is in the network is reached directly.
    gateway: Option<IpAddr>,
}

impl Source for Route {
    fn name(&self) -> &'static str {
        "network_route"
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        self.kept.tell(out, |out| read(files, out))
    }
}

fn read(files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
    let mut ways: BTreeSet<Way> = BTreeSet::new();
    match files.proc("net/route") {
        Ok(text) => ways.extend(text.lines().filter_map(route_v4)),
        // A router of the internet has a million routes: they say nothing of one host's place.
        Err(SourceError::TooLarge { .. }) => {}
        Err(error) => return Err(error),
    }
    // A machine without IPv6 has neither file.
    if let Ok(text) = files.proc("net/ipv6_route") {
        ways.extend(text.lines().filter_map(route_v6));
    }
    for way in ways.into_iter().take(ROUTES_MAX) {
        let dest = match way.bits {
            0 => "default".to_owned(),
            bits => format!("{}/{bits}", way.network),
        };
        let gateway = way.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
        out.push(ROUTE, &[("dest", &dest), ("device", &way.device), ("gw", &gateway)], 1.0);
    }
    let mut addresses: BTreeSet<IpAddr> = BTreeSet::new();
    if let Ok(text) = files.proc("net/fib_trie") {
        addresses.extend(local_v4(text));
    }
    if let Ok(text) = files.proc("net/if_inet6") {
        addresses.extend(text.lines().filter_map(local_v6));
    }
    for address in addresses.into_iter().take(ADDRESSES_MAX) {
        out.push(ADDRESS, &[("address", &address.to_string())], 1.0);
    }
    Ok(())
}

/// Reads `eth0 000200C0 010200C0 0003 0 0 100 00FFFFFF ...`: device, destination, gateway, flags, two
/// counts, metric, mask; addresses as the machine's own number of four bytes, in hexadecimal.
fn route_v4(line: &str) -> Option<Way> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let &[device, destination, gateway, flags, _, _, _, mask, ..] = words.as_slice() else {
        return None;
    };
    let address = |hex: &str| {
        u32::from_str_radix(hex, 16).ok().map(|number| Ipv4Addr::from(number.to_ne_bytes()))
    };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let bits = address(mask)?.to_bits().count_ones();
    way(flags, device, (address(destination)?.into(), bits), address(gateway)?.into())
}

/// Reads destination, its bits, source, its bits, next hop, metric, counts, flags, device.
fn route_v6(line: &str) -> Option<Way> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [destination, bits, _, _, hop, _, _, _, flags, device] = words[..] else { return None };
    let address = |hex: &str| u128::from_str_radix(hex, 16).ok().map(Ipv6Addr::from_bits);
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let bits = u32::from_str_radix(bits, 16).ok()?;
    let network = address(destination)?;
    // What every link has says nothing of the way to others.
    if network.is_unicast_link_local() || network.is_multicast() {
        return None;
    }
    way(flags, device, (network.into(), bits), address(hop)?.into())
}

/// Returns the way of a route that leads to other machines.
fn way(flags: u32, device: &str, network: (IpAddr, u32), hop: IpAddr) -> Option<Way> {
    let has_gateway = flags & GATEWAY != 0 && !hop.is_unspecified();
    let is_inside = flags & (REJECT | LOCAL) != 0 || device == "lo";
    // A default route without gateway (a tunnel) names nobody.
    if is_inside || (network.1 == 0 && !has_gateway) {
        return None;
    }
    let gateway = has_gateway.then_some(hop);
    Some(Way { bits: network.1, network: network.0, device: device.to_owned(), gateway })
}

/// Finds the leaves `|-- 192.0.2.7` that are followed by `/32 host LOCAL`.
fn local_v4(text: &str) -> BTreeSet<IpAddr> {
    let mut found = BTreeSet::new();
    let mut leaf: Option<Ipv4Addr> = None;
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf.filter(|address| !address.is_loopback()).map(IpAddr::from));
        }
    }
    found
}

/// Reads address, index, bits, scope, flags, device; addresses of the whole world only.
fn local_v6(line: &str) -> Option<IpAddr> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [address, _, _, scope, ..] = words[..] else { return None };
    let address = Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?);
    (scope == "00").then_some(address.into())
}
