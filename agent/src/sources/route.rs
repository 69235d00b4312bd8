//! The way out of the machine and its own addresses: `/proc/net/route`, `/proc/net/ipv6_route`,
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
use super::{Metric, Output, Source};

/// Reads default routes and own addresses.
pub(super) struct Route;

const ROUTE: &str = "node_network_route_info";
const ADDRESS: &str = "node_network_address_info";
const METRICS: [Metric; 2] = [
    Metric::gauge(ROUTE, "", "A default route: through which gateway the machine reaches others."),
    Metric::gauge(ADDRESS, "", "An address that the machine itself has."),
];
/// Most addresses that are told: a node of a cluster has hundreds that nobody reaches it by.
const ADDRESSES_MAX: usize = 32;
/// `RTF_GATEWAY` of Linux `include/uapi/linux/route.h`: the route leads through another machine.
const GATEWAY: u32 = 2;

impl Source for Route {
    fn name(&self) -> &'static str {
        "network_route"
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let mut routes: BTreeSet<(String, IpAddr)> = BTreeSet::new();
        routes.extend(files.proc("net/route")?.lines().filter_map(route_v4));
        // A machine without IPv6 has neither file.
        if let Ok(text) = files.proc("net/ipv6_route") {
            routes.extend(text.lines().filter_map(route_v6));
        }
        for (device, gateway) in routes {
            let gateway = gateway.to_string();
            out.push(ROUTE, &[("dest", "default"), ("device", &device), ("gw", &gateway)], 1.0);
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
}

/// Reads `eth0 00000000 010200C0 0003 ...`: device, destination, gateway, flags; addresses as the
/// machine's own number of four bytes, in hexadecimal.
fn route_v4(line: &str) -> Option<(String, IpAddr)> {
    let mut words = line.split_ascii_whitespace();
    let (device, destination, gateway) = (words.next()?, words.next()?, words.next()?);
    let flags = u32::from_str_radix(words.next()?, 16).ok()?;
    let gateway = u32::from_str_radix(gateway, 16).ok()?;
    let is_default = destination == "00000000" && flags & GATEWAY != 0 && gateway != 0;
    let gateway = Ipv4Addr::from(gateway.to_ne_bytes());
    is_default.then(|| (device.to_owned(), gateway.into()))
}

/// Reads destination, its bits, source, its bits, next hop, metric, counts, flags, device.
fn route_v6(line: &str) -> Option<(String, IpAddr)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [destination, bits, _, _, hop, _, _, _, flags, device] = words[..] else { return None };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let hop = u128::from_str_radix(hop, 16).ok()?;
    let is_default = bits == "00" && destination.bytes().all(|byte| byte == b'0');
    let is_way = is_default && flags & GATEWAY != 0 && hop != 0;
    is_way.then(|| (device.to_owned(), Ipv6Addr::from(hop).into()))
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
