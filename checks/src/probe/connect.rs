//! A TCP connection to a name: which address is tried when, and how long the parts took.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::names;

/// How long an address is waited for before the next one is tried beside it.
///
/// Source: RFC 8305, section 8 (Connection Attempt Delay).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Which addresses of a name are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// All of them, in the resolver's order.
    #[default]
    Any,
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
}

impl Family {
    fn holds(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }
}

/// Why a connection could not be made: a small set of names for texts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The name has no address.
    #[error("{host} does not resolve")]
    Resolve {
        host: String,
        #[source]
        source: io::Error,
    },
    /// The name resolves to nothing that may be used.
    #[error("{host} has no address{}", if *.family == Family::Any { "" } else { " of this family" })]
    NoAddress { host: String, family: Family },
    /// No address answers.
    #[error("cannot connect to {target}")]
    Connect {
        target: String,
        #[source]
        source: io::Error,
    },
}

/// A connection, with how long its parts took.
pub(crate) struct Connected {
    pub(crate) stream: TcpStream,
    pub(crate) resolve: Duration,
    pub(crate) connect: Duration,
    /// Whether it goes by IPv6.
    pub(crate) is_v6: bool,
}

/// Connects to `host:port`.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    family: Family,
) -> Result<Connected, ConnectError> {
    let begun = Instant::now();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let resolved = names::lookup(bare, port).await;
    let found =
        resolved.map_err(|source| ConnectError::Resolve { host: host.to_owned(), source })?;
    let found = found.into_iter();
    let addresses: VecDeque<SocketAddr> = found.filter(|found| family.holds(found)).collect();
    let resolve = begun.elapsed();
    let begun = Instant::now();
    if addresses.is_empty() {
        return Err(ConnectError::NoAddress { host: host.to_owned(), family });
    }
    let (stream, is_v6) = first_of(addresses).await?;
    // A probe's requests are small; waiting for more to send with them would be measured.
    drop(stream.set_nodelay(true));
    Ok(Connected { stream, resolve, connect: begun.elapsed(), is_v6 })
}

/// Connects to the first address that answers: each gets a head start over the next, so that one
/// that is silent does not make a working service look slow or dead.
async fn first_of(mut waiting: VecDeque<SocketAddr>) -> Result<(TcpStream, bool), ConnectError> {
    let attempt = |address: SocketAddr| async move {
        let made = TcpStream::connect(address).await;
        made.map(|stream| (stream, address.is_ipv6()))
            .map_err(|source| ConnectError::Connect { target: address.to_string(), source })
    };
    if let ([only], []) = waiting.as_slices() {
        return attempt(*only).await;
    }
    let mut attempts = FuturesUnordered::new();
    let mut last = None;
    loop {
        if let Some(next) = waiting.pop_front() {
            attempts.push(attempt(next));
        }
        tokio::select! {
            made = attempts.next() => match made {
                Some(Ok(made)) => return Ok(made),
                Some(Err(error)) => last = Some(error),
                // Every attempt has failed, so there is a last error.
                None => return last.map_or_else(|| Err(none()), Err),
            },
            () = sleep(NEXT_ADDRESS_AFTER), if !waiting.is_empty() => {}
        }
    }
}

fn none() -> ConnectError {
    ConnectError::NoAddress { host: String::new(), family: Family::Any }
}

/// Reads `host:port`, `[v6]:port`, `port`, or, when the service has a usual port, `host`.
///
/// `own`: the check's host, for a target that is only a port. `None`: there is no port.
pub(crate) fn host_and_port(target: &str, own: &str, usual: Option<u16>) -> Option<(String, u16)> {
    if target.is_empty() {
        return Some((own.to_owned(), usual?));
    }
    if target.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some((own.to_owned(), target.parse().ok()?));
    }
    if target.parse::<Ipv6Addr>().is_ok() || target.ends_with(']') || !target.contains(':') {
        return Some((target.to_owned(), usual?));
    }
    let (host, port) = target.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_host_a_port_or_both() {
        let pair = |host: &str, port| Some((host.to_owned(), port));
        for (target, usual, expected) in [
            ("mail.example:2525", Some(25), pair("mail.example", 2525)),
            ("mail.example", Some(25), pair("mail.example", 25)),
            ("mail.example", None, None),
            ("2525", Some(25), pair("own", 2525)),
            ("", Some(25), pair("own", 25)),
            ("", None, None),
            ("[2001:db8::1]:2525", Some(25), pair("[2001:db8::1]", 2525)),
            ("[2001:db8::1]", Some(25), pair("[2001:db8::1]", 25)),
            ("2001:db8::1", Some(25), pair("2001:db8::1", 25)),
            ("mail.example:smtp", Some(25), None),
            ("70000", None, None),
        ] {
            assert_eq!(host_and_port(target, "own", usual), expected, "{target:?}");
        }
    }

    #[tokio::test]
    async fn an_address_that_refuses_is_followed_by_the_next() {
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refusing = closed.local_addr().unwrap();
        drop(closed);
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answering = open.local_addr().unwrap();
        let (stream, is_v6) = first_of(VecDeque::from([refusing, answering])).await.unwrap();
        assert_eq!((stream.peer_addr().unwrap(), is_v6), (answering, false));
        let none = first_of(VecDeque::from([refusing])).await.unwrap_err();
        assert_eq!(none.to_string(), format!("cannot connect to {refusing}"));
    }

    #[tokio::test]
    async fn only_addresses_of_the_family_are_used() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(connect("127.0.0.1", port, Family::V4).await.is_ok());
        let error = connect("127.0.0.1", port, Family::V6).await.err().unwrap();
        assert_eq!(error.to_string(), "127.0.0.1 has no address of this family");
    }
}
