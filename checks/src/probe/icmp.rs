//! ICMP: echo requests, their loss and their round trip.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use noroshi_model::{Perfdata, Range, Status, Unit};
use surge_ping::{Client, Config, ICMP, PingIdentifier, PingSequence, SurgeError};
use tokio::net::lookup_host;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::sleep;

use super::IcmpProbe;
use super::finding::{Finding, Measure, judge_time, time_data};
use super::tcp::{measures, precise};
use crate::macros::Macros;

/// How many requests are under way at once. With 400 a socket of usual size loses one in ten.
const AT_ONCE: usize = 64;
/// How long one answer is waited for.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The sockets that echo requests go through, opened when they are first needed.
pub(crate) struct Pingers {
    v4: OnceCell<Client>,
    v6: OnceCell<Client>,
    permits: Semaphore,
    next: AtomicU16,
}

impl Pingers {
    pub(crate) fn new() -> Self {
        Self {
            v4: OnceCell::new(),
            v6: OnceCell::new(),
            permits: Semaphore::new(AT_ONCE),
            next: AtomicU16::new(1),
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

/// Sends the requests and judges the answers.
pub(crate) async fn look(probe: &IcmpProbe, macros: &Macros, pingers: &Pingers) -> Finding {
    let own = if probe.address.is_empty() { "$HOSTADDRESS$" } else { &probe.address };
    let host = macros.expand(own, &[]);
    let resolved = lookup_host((host.as_str(), 0)).await.map(|mut found| found.next());
    let address = match resolved {
        Ok(Some(address)) => address.ip(),
        Ok(None) => return Finding::new(Status::Critical, format!("{host} has no address")),
        Err(error) => {
            return Finding::new(Status::Critical, format!("{host} does not resolve: {error}"));
        }
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
    for sequence in 0..count {
        if sequence > 0 {
            sleep(probe.spacing).await;
        }
        // The semaphore is never closed.
        let _permit = pingers.permits.acquire().await.ok();
        match pinger.ping(PingSequence(sequence), &payload).await {
            Ok((_, time)) => times.push(time),
            Err(SurgeError::Timeout { .. }) => {}
            Err(error) => fault = Some(error.to_string()),
        }
    }
    judge(probe, address, &times, count, fault)
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
        (Some(mean), _) => format!("{address} answers in {}, {loss:.0} % lost", precise(mean)),
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
