//! NSCA: results by the network from Nagios' `send_nsca`.
//!
//! The server sends a random block and the time; the client answers with packets that are
//! encrypted from there, and hears nothing. Whoever does not have the password is found by a wrong
//! checksum. Every wait, and how many there are, has a bound.

mod cipher;
mod packet;
mod rijndael;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use noroshi_model::{CheckId, Origin};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Fate, Network, Road, shortened, status_of};
use crate::action::PassiveResult;
use crate::checks::Checks;
use crate::command::unescape;
use crate::probe::Secret;
pub use cipher::NscaMethod;
use cipher::{Cipher, IV_BYTES};
use packet::{LONG_BYTES, Packet, SHORT_BYTES};

/// How many senders may be connected at once. Each holds about 40 KiB.
const CONNECTIONS_MAX: usize = 256;
/// How long a packet may take from the end of the one before: `send_nsca`'s own time-out.
const PACKET_WAIT: Duration = Duration::from_secs(10);
/// What is read of a connection at a time; the results in it share a commit.
const BUFFER_BYTES: usize = 32 * 1024;
/// How long the listener rests after a connection could not be accepted: no file is left, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often it is logged at most that senders are in no network that may send.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// How results by NSCA are taken in.
#[derive(Clone, Debug, PartialEq)]
pub struct NscaSpec {
    /// Where to listen.
    pub listen: SocketAddr,
    /// How packets are encrypted: as in the senders' `encryption_method`.
    pub method: NscaMethod,
    /// With what; not used without encryption.
    pub password: Secret,
    /// How old a packet may be by the time that the server told its sender: a connection is of no
    /// use for longer.
    pub age_max: Duration,
    /// Whose results are taken; empty: everybody's who has the password.
    pub allow: Vec<Network>,
}

impl NscaSpec {
    /// The port that `send_nsca` expects.
    pub const PORT: u16 = 5667;
    /// How old a packet may be: NSCA's own default.
    pub const AGE_MAX: Duration = Duration::from_secs(30);
}

impl NscaSpec {
    /// Tells whether results of a sender are taken.
    fn is_allowed(&self, peer: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|network| network.holds(peer))
    }
}

/// Those who were sent away because of where they are: logged at a bounded rate.
#[derive(Default)]
struct Refused {
    /// When that was last logged, and how many there were since.
    logged: Option<Instant>,
    since: u64,
}

impl Refused {
    fn note(&mut self, server: &Server, peer: IpAddr) {
        self.since += 1;
        if self.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            tracing::warn!(%peer, senders = self.since, "NSCA: not in the networks of `allow`");
            (self.logged, self.since) = (Some(Instant::now()), 0);
        }
        let what = format!("{peer}: not in the networks of `allow`");
        server.refuse(Fate::NotAllowed, what);
    }
}

/// Takes results in from a listener until `stop`; then ends all connections.
pub async fn serve_nsca(
    listener: TcpListener,
    spec: NscaSpec,
    checks: Arc<Checks>,
    stop: CancellationToken,
) {
    let server = Arc::new(Server { spec, checks });
    let mut connections = JoinSet::new();
    let mut refused = Refused::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a sender of NSCA");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let peer = peer.ip().to_canonical();
        if !server.spec.is_allowed(peer) {
            refused.note(&server, peer);
            continue;
        }
        if connections.len() >= CONNECTIONS_MAX {
            let what = format!("more than {CONNECTIONS_MAX} senders at once");
            server.refuse(Fate::TooMany, what);
            continue;
        }
        let (server, stop) = (Arc::clone(&server), stop.clone());
        connections.spawn(async move {
            let limit = server.spec.age_max + PACKET_WAIT;
            tokio::select! {
                () = stop.cancelled() => {}
                ended = timeout(limit, server.converse(stream, peer)) => match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, %peer, "a sender of NSCA went away"),
                    Err(_) => server.refuse(Fate::TooSlow, format!("{peer}: took too long")),
                },
            }
        });
    }
    while connections.join_next().await.is_some() {}
}

/// What all connections share.
struct Server {
    spec: NscaSpec,
    checks: Arc<Checks>,
}

/// Why there are no more packets of a connection.
enum End {
    /// The sender is done.
    Done,
    /// What came is no packet.
    Unreadable,
    /// Nothing more came in time.
    Silent,
}

impl Server {
    /// Speaks with one sender to its end.
    async fn converse(&self, stream: TcpStream, peer: IpAddr) -> io::Result<()> {
        let iv: [u8; IV_BYTES] = rand::random();
        let mut cipher = Cipher::new(self.spec.method, &self.spec.password, iv);
        let mut stream = BufReader::with_capacity(BUFFER_BYTES, stream);
        // Unsigned, as NSCA has it: good until 2106.
        let now = self.seconds() as u32;
        timeout(PACKET_WAIT, stream.write_all(&packet::hello(&iv, now))).await??;
        let mut results = Vec::new();
        let mut count = 0;
        loop {
            let read = timeout(PACKET_WAIT, read_packet(&mut stream, &mut cipher)).await;
            let packet = match read.unwrap_or(Ok(Err(End::Silent))) {
                Ok(Ok(packet)) => packet,
                ended => {
                    self.checks.hand_in(Road::Nsca, results).await;
                    return ended.map(|ended| self.note_end(ended.err().as_ref(), peer, count));
                }
            };
            count += 1;
            let age = (self.seconds() - i64::from(packet.time)).unsigned_abs();
            if age > self.spec.age_max.as_secs() {
                self.refuse(Fate::TooOld, format!("{peer}: a packet was {age} s old"));
                self.checks.hand_in(Road::Nsca, results).await;
                return Ok(());
            }
            match result_of(&packet) {
                Ok(result) => results.push(result),
                Err(what) => self.refuse(Fate::WrongStatus, shortened(&what)),
            }
            // What is there already shares a commit.
            if stream.buffer().len() < SHORT_BYTES {
                self.checks.hand_in(Road::Nsca, std::mem::take(&mut results)).await;
            }
        }
    }

    fn note_end(&self, end: Option<&End>, peer: IpAddr, count: usize) {
        match end {
            Some(End::Unreadable) => {
                let what =
                    format!("{peer}: cannot be read; are encryption and password those of [nsca]?");
                self.refuse(Fate::Unreadable, what);
            }
            Some(End::Silent) if count == 0 => {
                let what = format!("{peer}: silent for {} s", PACKET_WAIT.as_secs());
                self.refuse(Fate::TooSlow, what);
            }
            Some(End::Silent | End::Done) | None => {}
        }
    }

    fn refuse(&self, fate: Fate, what: String) {
        tracing::debug!(fate = fate.as_str(), what, "NSCA");
        self.checks.handed_in().note_refused(Road::Nsca, fate, what, self.checks.now());
    }

    fn seconds(&self) -> i64 {
        self.checks.now().as_secs()
    }
}

/// Reads a packet of either length. A short one is known by its checksum: nothing else tells how
/// long the packets of a sender are.
async fn read_packet(
    stream: &mut BufReader<TcpStream>,
    cipher: &mut Cipher,
) -> io::Result<Result<Packet, End>> {
    let mut bytes = vec![0; LONG_BYTES];
    cipher.begin();
    let mut filled = 0;
    for end in [SHORT_BYTES, LONG_BYTES] {
        while filled < end {
            let count = stream.read(&mut bytes[filled..end]).await?;
            if count == 0 {
                return Ok(Err(if filled == 0 { End::Done } else { End::Unreadable }));
            }
            cipher.decrypt(&mut bytes[filled..filled + count]);
            filled += count;
        }
        if let Some(packet) = packet::parse(&bytes[..end]) {
            return Ok(Ok(packet));
        }
    }
    Ok(Err(End::Unreadable))
}

/// Makes a result of a packet; else says what is wrong with it.
fn result_of(packet: &Packet) -> Result<PassiveResult, String> {
    let is_check = !packet.check.is_empty();
    let id = if is_check {
        CheckId::check(&packet.host, &packet.check)
    } else {
        CheckId::host(&packet.host)
    };
    let status = status_of(is_check, i64::from(packet.code))
        .ok_or_else(|| format!("{id}: {} is no status", packet.code))?;
    let output = unescape(&packet.output);
    Ok(PassiveResult { id, status, output, at: None, origin: Origin::Passive })
}
