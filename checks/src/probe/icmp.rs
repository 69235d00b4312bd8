//! ICMP: echo requests, their loss and their round trip.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use noroshi_model::{Perfdata, Range, Status, Unit};
use surge_ping::{
    Client, Config, ICMP, IcmpPacket, PingIdentifier, PingSequence, Pinger, SurgeError,
};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::IcmpProbe;
use super::finding::{Finding, Measure, judge_time, time_data};
use super::names;
use super::tcp::{measures, precise};
use crate::macros::Macros;

/// How many fresh requests are under way at once. With 400 a socket of usual size loses one in ten.
const AT_ONCE: usize = 64;
/// After this time without an answer a request is no longer fresh: those of dead targets must not
/// keep back the others. So 2,133 of them begin a second, and with 2,048 runs under way none waits
/// for longer than a second.
const FRESH: Duration = Duration::from_millis(30);
/// How long one answer is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a request is sent again that met only a remark of a router about the way.
const REMARKS_MAX: usize = 3;
/// How long after such a remark: the router that made it does not repeat it at once.
const AFTER_REMARK: Duration = Duration::from_millis(100);

/// The sockets that echo requests go through, opened when they are first needed.
pub(crate) struct Pingers {
    v4: OnceCell<Client>,
    v6: OnceCell<Client>,
    permits: Semaphore,
    next: AtomicU16,
    /// The kernel's ICMP sockets tell requests of one target apart by nothing else, and several
    /// checks may ask one target.
    sequence: AtomicU16,
}

impl Pingers {
    pub(crate) fn new() -> Self {
        Self {
            v4: OnceCell::new(),
            v6: OnceCell::new(),
            permits: Semaphore::new(AT_ONCE),
            next: AtomicU16::new(1),
            sequence: AtomicU16::new(0),
        }
    }

    async fn client(&self, is_v6: bool) -> Result<Client, String> {
        let (cell, kind) = if is_v6 { (&self.v6, ICMP::V6) } else { (&self.v4, ICMP::V4) };
        let client = cell
            .get_or_try_init(|| async { Client::new(&Config::builder().kind(kind).build()) })
            .await;
        client.cloned().map_err(|error| {
            format!(
                "cannot open an ICMP socket ({error}); allow it by `sysctl -w \
                 net.ipv4.ping_group_range=\"0 2147483647\"` or by `setcap cap_net_raw+ep` on the \
                 program"
            )
        })
    }
}

/// What came back for a request.
#[derive(Debug, PartialEq, Eq)]
enum Reply {
    /// The target's answer.
    Echo,
    /// A router's word that says nothing about the target: there is a better way, or it should be
    /// asked more slowly.
    Remark,
    /// The target cannot be reached, and why.
    Unreachable(String),
}

/// Reads what a packet means for the request that it is about; the library hands out errors of
/// routers as answers when it has a raw socket. Source: RFC 792; RFC 4443, section 2.1.
fn reply(packet: &IcmpPacket) -> Reply {
    let (kind, code, source) = match packet {
        IcmpPacket::V4(packet) => {
            let source = IpAddr::V4(packet.get_source());
            match (packet.get_icmp_type().0, packet.get_icmp_code().0) {
                (0, _) => return Reply::Echo,
                (4 | 5, _) => return Reply::Remark,
                (3, code) => (unreachable_v4(code), code, source),
                (11, code) => ("the way is too long or goes in a circle", code, source),
                (_, code) => ("it refuses the request", code, source),
            }
        }
        IcmpPacket::V6(packet) => {
            let source = IpAddr::V6(packet.get_source());
            match (packet.get_icmpv6_type().0, packet.get_icmpv6_code().0) {
                (129, _) => return Reply::Echo,
                (137, _) => return Reply::Remark,
                (1, code) => (unreachable_v6(code), code, source),
                (2, code) => ("the request is too large for the way", code, source),
                (3, code) => ("the way is too long or goes in a circle", code, source),
                (_, code) => ("it refuses the request", code, source),
            }
        }
    };
    Reply::Unreachable(format!("{source} says: {kind} (code {code})"))
}

/// Source: RFC 792 and RFC 1812, section 5.2.7.1.
fn unreachable_v4(code: u8) -> &'static str {
    match code {
        0 | 6 | 11 => "no way to its network",
        1 | 7 | 8 | 12 => "the host is unreachable",
        4 => "the request is too large for the way",
        9 | 10 | 13 => "forbidden on the way",
        _ => "unreachable",
    }
}

/// Source: RFC 4443, section 3.1.
fn unreachable_v6(code: u8) -> &'static str {
    match code {
        0 => "no way to its network",
        1 | 5 | 6 => "forbidden on the way",
        3 => "the host is unreachable",
        _ => "unreachable",
    }
}

/// Sends the requests and judges the answers, for no longer than `limit`; waiting for its turn
/// among others that ask does not count.
pub(crate) async fn look(
    probe: &IcmpProbe,
    macros: &Macros,
    pingers: &Pingers,
    limit: Duration,
) -> Finding {
    let own = if probe.address.is_empty() { "$HOSTADDRESS$" } else { &probe.address };
    let host = macros.expand(own, &[]);
    let mut end = Instant::now() + limit;
    let resolved = timeout_at(end, names::lookup(&host, 0)).await;
    let address = match resolved.map(|found| found.map(|found| found.first().copied())) {
        Ok(Ok(Some(address))) => address.ip(),
        Ok(Ok(None)) => return Finding::new(Status::Critical, format!("{host} has no address")),
        Ok(Err(error)) => {
            return Finding::new(Status::Critical, format!("{host} does not resolve: {error}"));
        }
        Err(_) => return Finding::timed_out(limit),
    };
    let client = match pingers.client(address.is_ipv6()).await {
        Ok(client) => client,
        Err(why) => return Finding::unknown(why),
    };
    let mut times = Vec::new();
    let mut fault = None;
    let count = probe.count.clamp(1, 100);
    let ident = PingIdentifier(pingers.next.fetch_add(1, Ordering::Relaxed));
    let mut pinger = client.pinger(address, ident).await;
    pinger.timeout(ANSWER_TIMEOUT);
    let payload = vec![0x6e; usize::from(probe.payload_bytes)];
    for request in 0..count {
        if request > 0 {
            sleep(probe.spacing).await;
        }
        match ask(pingers, &mut pinger, &payload, &mut end).await {
            Ok(Ok(time)) => times.extend(time),
            Ok(Err(why)) => fault = Some(why),
            Err(_) => return Finding::timed_out(limit),
        }
    }
    judge(probe, address, &times, count, fault)
}

/// Makes one request: its round trip, `None` when nothing came back, or why there is none.
///
/// `end` is put off by the time that it waited for its turn. Errors: when the end came first.
async fn ask(
    pingers: &Pingers,
    pinger: &mut Pinger,
    payload: &[u8],
    end: &mut Instant,
) -> Result<Result<Option<Duration>, String>, Elapsed> {
    for _ in 0..=REMARKS_MAX {
        let asked = Instant::now();
        // The semaphore is never closed.
        let permit = pingers.permits.acquire().await.ok();
        *end += asked.elapsed();
        let sequence = PingSequence(pingers.sequence.fetch_add(1, Ordering::Relaxed));
        let answer = held_while_fresh(permit, pinger.ping(sequence, payload));
        match timeout_at(*end, answer).await? {
            Ok((packet, time)) => match reply(&packet) {
                Reply::Echo => return Ok(Ok(Some(time))),
                Reply::Remark => sleep(AFTER_REMARK).await,
                Reply::Unreachable(why) => return Ok(Err(why)),
            },
            Err(SurgeError::Timeout { .. }) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    Ok(Err("routers tell of other ways, and it does not answer".to_owned()))
}

/// Waits for an answer, and lets go of the place when it has not come soon.
async fn held_while_fresh<T>(
    place: Option<SemaphorePermit<'_>>,
    answer: impl Future<Output = T>,
) -> T {
    let mut answer = pin!(answer);
    let soon = timeout(FRESH, &mut answer).await;
    drop(place);
    match soon {
        Ok(answer) => answer,
        Err(_) => answer.await,
    }
}

fn judge(
    probe: &IcmpProbe,
    address: IpAddr,
    times: &[Duration],
    count: u16,
    fault: Option<String>,
) -> Finding {
    let lost = usize::from(count) - times.len();
    let loss = lost as f64 / f64::from(count) * 100.0;
    let mean = if times.is_empty() {
        None
    } else {
        Some(times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap_or(1))
    };
    let mut status = match loss {
        loss if loss > probe.loss_critical => Status::Critical,
        loss if loss > probe.loss_warning => Status::Warning,
        _ => Status::Ok,
    };
    if let Some(mean) = mean {
        let by_time = judge_time(mean, probe.rtt_warning, probe.rtt_critical);
        if by_time.severity() > status.severity() {
            status = by_time;
        }
    }
    let output = match (mean, fault) {
        (Some(mean), fault) => {
            let why = fault.map(|why| format!(": {why}")).unwrap_or_default();
            format!("{address} answers in {}, {loss:.0} % lost{why}", precise(mean))
        }
        (None, Some(fault)) => format!("{address} does not answer: {fault}"),
        (None, None) => format!("{address} does not answer: {count} of {count} lost"),
    };
    let mut finding = Finding::new(status, output);
    if let Some(mean) = mean {
        finding.perfdata.push(time_data("rta", mean, probe.rtt_warning, probe.rtt_critical));
    }
    let range = |end: f64| Some(Range { start: 0.0, end, is_inside: false });
    finding.perfdata.push(Perfdata {
        label: "pl".to_owned(),
        value: Some(loss),
        unit: Unit::Percent,
        warning: range(probe.loss_warning),
        critical: range(probe.loss_critical),
        min: Some(0.0),
        max: Some(100.0),
    });
    let [success, _] = measures(status, Duration::ZERO);
    finding.measures.push(success);
    if let Some(mean) = mean {
        let (label, value) = (Some(("phase", "rtt")), mean.as_secs_f64());
        finding.measures.push(Measure::of("probe_duration_seconds", mean));
        finding.measures.push(Measure { name: "probe_icmp_duration_seconds", label, value });
    }
    finding
}

#[cfg(test)]
mod tests;
