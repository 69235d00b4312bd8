//! Networks of addresses: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses with the same first bits (RFC 4632, section 3.1; RFC 4291, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// How many of its first bits count: 0 to 32, for IPv6 to 128.
    bits: u32,
}

/// What is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It is no address, with or without a length.
    #[error("it is no address such as 192.0.2.7 and no network such as 10.0.0.0/8")]
    NoAddress,
    /// There are not so many bits.
    #[error("an address of this kind has {0} bits")]
    TooLong(u32),
    /// Bits are set that do not count: most likely something else was meant.
    #[error("bits after the first {bits} are set; the network is {first}/{bits}")]
    BitsAfter {
        /// How many bits count.
        bits: u32,
        /// The network's first address.
        first: IpAddr,
    },
}

impl Network {
    /// This machine alone.
    pub const LOOPBACK: [Self; 2] = [
        Self { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), bits: 8 },
        Self { address: IpAddr::V6(Ipv6Addr::LOCALHOST), bits: 128 },
    ];

    /// Returns how many first bits its addresses have in common: 0 to 32, for IPv6 to 128.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Tells whether an address is in it. An IPv4 address in the form of IPv6 is one of IPv4.
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && first(address, self.bits) == self.address
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::NoAddress)?;
        let address = address.to_canonical();
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(bits_max), str::parse).map_err(|_| NetworkError::NoAddress)?;
        if bits > bits_max {
            return Err(NetworkError::TooLong(bits_max));
        }
        let first = first(address, bits);
        if first != address {
            return Err(NetworkError::BitsAfter { bits, first });
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Returns the address with all but its first bits zero.
fn first(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_has_its_first_bits() {
        for (network, address, want) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.4/31", "192.0.2.5", true),
            ("192.0.2.4/31", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.9", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ] {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.holds(address.parse().unwrap()), want, "{network} {address}");
        }
        assert_eq!("10.0.0.0/8".parse().map(|network: Network| network.bits()), Ok(8));
        assert!(Network::LOOPBACK.iter().any(|n| n.holds(Ipv4Addr::new(127, 9, 9, 9).into())));
    }

    #[test]
    fn what_is_no_network_says_why() {
        for (text, want) in [
            ("web1", "it is no address such as 192.0.2.7 and no network such as 10.0.0.0/8"),
            ("10.0.0.0/x", "it is no address such as 192.0.2.7 and no network such as 10.0.0.0/8"),
            ("10.0.0.0/33", "an address of this kind has 32 bits"),
            ("10.1.0.0/8", "bits after the first 8 are set; the network is 10.0.0.0/8"),
            ("2001:db8::1/32", "bits after the first 32 are set; the network is 2001:db8::/32"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap_err().to_string(), want, "{text}");
        }
    }
}
