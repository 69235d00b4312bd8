//! Names of hosts: how probes find addresses without a thread for each question.
//!
//! The C library's `getaddrinfo` blocks a thread for as long as the name servers are silent, and no
//! time-out ends that: during an outage of DNS every thread of the process would be one that waits.
//! So `/etc/hosts` and `/etc/resolv.conf` (servers, search domains, options) are read here, again
//! whenever they change, and asked by `hickory`, which remembers answers for as long as they allow.
//! Where `/etc/nsswitch.conf` names further sources for hosts (mDNS, LDAP, ...), what the first two
//! do not know is asked of the C library, by a few threads.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    LookupIpStrategy, ResolveHosts, ResolverConfig, ServerOrderingStrategy,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::parse_resolv_conf;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// How often the files are looked at for a change.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many threads ask the C library: they may hang for half a minute each, and must leave the
/// others of the process alone.
const THREADS_MAX: usize = 16;
/// How long it is remembered that there is no such name: somebody may be about to add it.
const UNKNOWN_MAX: Duration = Duration::from_secs(30);
/// How many questions are under way at one server; each has its own socket.
const QUESTIONS_MAX: usize = 4096;
/// The files, below `/etc`.
const FILES: [&str; 3] = ["hosts", "resolv.conf", "nsswitch.conf"];

/// Returns the addresses of a name or address with a port, those first that this machine can reach.
///
/// Errors: there is no such name, or nobody could say. Cancel: what is dropped asks no longer, but
/// for a thread of the C library, which ends by itself.
pub(crate) async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| Names::new(Path::new("/etc"), 53)).lookup(host, port).await
}

/// What names stand for, as the files of a folder say.
struct Names {
    folder: PathBuf,
    /// Where the name servers listen.
    port: u16,
    known: Mutex<Option<Known>>,
    threads: Arc<Semaphore>,
}

struct Known {
    looked: Instant,
    versions: [Option<Version>; FILES.len()],
    sources: Arc<Sources>,
}

/// When a file was changed, its number and its length.
type Version = (i64, i64, u64, u64);

/// What the files say.
struct Sources {
    hosts: HashMap<String, Vec<IpAddr>>,
    /// `None`: there is no usable `resolv.conf`.
    resolver: Option<TokioResolver>,
    /// Whether there are sources that only the C library knows.
    has_others: bool,
}

impl Names {
    fn new(folder: &Path, port: u16) -> Self {
        let threads = Arc::new(Semaphore::new(THREADS_MAX));
        Self { folder: folder.to_owned(), port, known: Mutex::default(), threads }
    }

    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let name = host.to_ascii_lowercase();
        let bare = name.trim_end_matches('.');
        let sources = self.sources();
        let is_local = bare == "localhost" || bare.ends_with(".localhost");
        let found: Vec<IpAddr> = if let Some(found) = sources.hosts.get(bare) {
            found.clone()
        } else if is_local {
            // RFC 6761, section 6.3.
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        } else if let (false, Some(resolver)) = (is_of_the_library(bare), &sources.resolver) {
            match resolver.lookup_ip(name.as_str()).await {
                Ok(found) => found.iter().collect(),
                Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                    if sources.has_others {
                        return self.ask_library(host, port).await;
                    }
                    Vec::new()
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        } else {
            return self.ask_library(host, port).await;
        };
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such name"));
        }
        let mut found: Vec<_> =
            found.iter().map(|address| SocketAddr::new(*address, port)).collect();
        sort(&mut found);
        Ok(found)
    }

    /// Returns what the files say, read anew when one of them has changed.
    fn sources(&self) -> Arc<Sources> {
        let mut known = self.known.lock();
        let now = Instant::now();
        if let Some(known) = &*known
            && now < known.looked + LOOK_EVERY
        {
            return Arc::clone(&known.sources);
        }
        let versions = FILES.map(|name| version(&self.folder.join(name)));
        let same = known.take().filter(|known| known.versions == versions);
        let sources = same.map_or_else(|| Arc::new(self.read()), |known| known.sources);
        *known = Some(Known { looked: now, versions, sources: Arc::clone(&sources) });
        sources
    }

    fn read(&self) -> Sources {
        let text = |name| fs::read(self.folder.join(name)).unwrap_or_default();
        let [hosts, servers, switch] = FILES.map(text);
        let resolver = resolver(&servers, self.port).inspect_err(|error| {
            tracing::warn!(%error, "names are asked of the C library: resolv.conf is of no use");
        });
        Sources {
            hosts: read_hosts(&String::from_utf8_lossy(&hosts)),
            resolver: resolver.ok(),
            has_others: has_others(&String::from_utf8_lossy(&switch)),
        }
    }

    async fn ask_library(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        // It is never closed. The place is given back when the thread is free, not when nobody
        // waits for it any longer.
        let place = Arc::clone(&self.threads).acquire_owned().await.ok();
        let host = host.to_owned();
        let ask = move || {
            let _place = place;
            Ok((host.as_str(), port).to_socket_addrs()?.collect())
        };
        tokio::task::spawn_blocking(ask).await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

fn version(path: &Path) -> Option<Version> {
    let data = fs::metadata(path).ok()?;
    Some((data.mtime(), data.mtime_nsec(), data.ino(), data.len()))
}

/// Tells whether only the C library reads a name: numbers such as `127.1`, zones as in `fe80::1%eth0`.
fn is_of_the_library(name: &str) -> bool {
    name.contains(['%', ':']) || name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Reads addresses by names in small letters. Source: hosts(5).
fn read_hosts(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else { continue };
        for name in words {
            let of_name = hosts.entry(name.to_ascii_lowercase()).or_default();
            if !of_name.contains(&address) {
                of_name.push(address);
            }
        }
    }
    hosts
}

/// Tells whether hosts have other sources than files and DNS. Source: nsswitch.conf(5); without a
/// line they have these two.
fn has_others(text: &str) -> bool {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("hosts:"));
    let line = line.unwrap_or_default().split('#').next().unwrap_or_default();
    line.split_whitespace()
        .filter(|word| !word.starts_with(['[', '!']) && !word.ends_with(']'))
        .any(|word| word != "files" && word != "dns")
}

/// Makes what asks the servers, as glibc does: one after the other, in their order.
fn resolver(text: &[u8], port: u16) -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let (config, mut options) = parse_resolv_conf(text)?;
    let (domain, search, mut servers) = config.into_parts();
    for connection in servers.iter_mut().flat_map(|server| &mut server.connections) {
        connection.port = port;
    }
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.use_hosts_file = ResolveHosts::Never;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options.num_concurrent_reqs = 1;
    options.max_active_requests = QUESTIONS_MAX;
    options.negative_max_ttl = Some(UNKNOWN_MAX);
    let config = ResolverConfig::from_parts(domain, search, servers);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
}

/// Puts those first that this machine has a way to, of these those of its own kind, of these IPv6.
///
/// Source: RFC 6724, section 6, rules 1, 2 and 6; within a family the servers' order stays.
fn sort(addresses: &mut [SocketAddr]) {
    let is_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    if addresses.iter().any(|address| address.is_ipv4() != is_v4) {
        addresses.sort_by_cached_key(|address| rank(address.ip()));
    }
}

fn rank(to: IpAddr) -> (bool, bool, bool) {
    let any: IpAddr = match to {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Connecting sends nothing; it asks the kernel for the way and the own address on it.
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((to, 9))?;
        socket.local_addr()
    });
    let is_unlike = match (&from, to) {
        (Ok(SocketAddr::V6(from)), IpAddr::V6(to)) => kind(*from.ip()) != kind(to),
        _ => false,
    };
    (from.is_err(), is_unlike, to.is_ipv4())
}

/// Returns how far an address reaches: itself, its link, its site, all.
fn kind(address: Ipv6Addr) -> u8 {
    match address {
        own if own.is_loopback() => 0,
        link if link.is_unicast_link_local() => 1,
        site if site.is_unique_local() => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests;
