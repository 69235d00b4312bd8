//! Ports that something listens at, without connecting.
//!
//! Source: proc(5), `/proc/net/tcp` and its kin; Linux `net/ipv4/tcp_ipv4.c` (`get_openreq4`) for
//! the form of an address: 32-bit words in the byte order of the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use noroshi_model::Status;
use serde::{Deserialize, Serialize};

use super::{Ground, Verdict, read};

/// `TCP_LISTEN` of Linux `include/net/tcp_states.h`.
const LISTEN: &str = "0A";
/// `TCP_CLOSE`: of UDP, a socket that is bound and not connected.
const UNCONNECTED: &str = "07";

/// TCP or UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortProtocol {
    /// A socket that listens.
    #[default]
    Tcp,
    /// A socket that is bound.
    Udp,
}

/// Where something must listen, or must not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortLook {
    /// The number.
    pub port: u16,
    /// TCP or UDP.
    #[serde(default)]
    pub protocol: PortProtocol,
    /// At this address, or at all addresses; `None`: at any.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// Whether something must listen.
    pub is_listening: bool,
}

impl PortLook {
    pub(super) fn look(&self, ground: &Ground) -> Result<(Status, String), String> {
        let (names, state, protocol) = match self.protocol {
            PortProtocol::Tcp => (["tcp", "tcp6"], LISTEN, "TCP"),
            PortProtocol::Udp => (["udp", "udp6"], UNCONNECTED, "UDP"),
        };
        let folder = ground.proc.join("net");
        let mut addresses = addresses(&read(&folder.join(names[0]))?, self.port, state);
        // Without IPv6 the second is not there.
        let second = read(&folder.join(names[1])).unwrap_or_default();
        addresses.extend(self::addresses(&second, self.port, state));
        addresses.sort_unstable();
        addresses.dedup();
        Ok(self.judge(&addresses, protocol))
    }

    fn judge(&self, addresses: &[IpAddr], protocol: &str) -> (Status, String) {
        let fits = |address: &&IpAddr| {
            self.address.is_none_or(|wanted| {
                // `::` takes IPv4 as well unless it was told not to, which is seen nowhere.
                **address == wanted
                    || **address == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
                    || wanted.is_ipv4() && **address == IpAddr::V4(Ipv4Addr::UNSPECIFIED)
            })
        };
        let count = addresses.iter().filter(fits).count();
        let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let port = format!("{protocol} port {}", self.port);
        let mut verdict = Verdict::default();
        verdict.measure("listeners", &count.to_string(), (None, None));
        let is_there = format!("{port} is listened to at {}", list.join(", "));
        let is_not = match self.address {
            _ if list.is_empty() => format!("nothing listens at {port}"),
            Some(wanted) if count == 0 => format!("{is_there}, not at {wanted}"),
            _ => String::new(),
        };
        let fine = if count > 0 { is_there } else { is_not };
        if (count > 0) != self.is_listening {
            verdict.worsen(Status::Critical, fine.clone());
        }
        verdict.print(fine)
    }
}

/// Returns the addresses at which sockets of a state are bound to a port.
fn addresses(table: &str, port: u16, state: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in table.lines().skip(1) {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (Some(local), Some(_), Some(of)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let Some((address, number)) = local.split_once(':') else { continue };
        if of == state && u16::from_str_radix(number, 16) == Ok(port) {
            found.extend(address_of(address));
        }
    }
    found
}

fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    if hex.len() == 8 {
        return Some(IpAddr::V4(word(0)?.into()));
    }
    let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    Some(IpAddr::V6(bytes.into()))
}
