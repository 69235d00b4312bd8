//! What the network protocols counted: `/proc/net/snmp`, `/proc/net/netstat`, `/proc/net/snmp6`.

use noroshi_model::{Kind, MetricMeta};

use super::files::{Files, SourceError, number};
use super::output::COUNTER;
use super::{Metric, Output, Source};

/// Reads what `node_exporter` takes by default of some hundred counters.
pub(super) struct Netstat;

impl Source for Netstat {
    fn name(&self) -> &'static str {
        "netstat"
    }

    fn metrics(&self) -> &'static [Metric] {
        &[]
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        push_tables(files.proc("net/snmp")?, out);
        push_tables(files.proc("net/netstat")?, out);
        match files.proc("net/snmp6") {
            Ok(text) => push_list(text, out),
            // A kernel without IPv6.
            Err(SourceError::Absent { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Reads pairs of lines: `Tcp: InSegs OutSegs`, then `Tcp: 1 2`.
fn push_tables(text: &str, out: &mut Output) {
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let Some((protocol, names)) = names.split_once(':') else { continue };
        let Some((of, values)) = values.split_once(':') else { continue };
        if protocol != of {
            continue;
        }
        let pairs = names.split_ascii_whitespace().zip(values.split_ascii_whitespace());
        for (name, value) in pairs {
            push(protocol, name, value, out);
        }
    }
}

/// Reads lines of name and value: `Udp6InDatagrams  3`.
fn push_list(text: &str, out: &mut Output) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next()) else { continue };
        if let Some(end) = name.find('6') {
            let (protocol, name) = name.split_at(end + 1);
            push(protocol, name, value, out);
        }
    }
}

fn push(protocol: &str, name: &str, value: &str, out: &mut Output) {
    if !is_wanted(protocol, name) {
        return;
    }
    let Some(value) = number(value) else { return };
    let metric = format!("node_netstat_{protocol}_{name}");
    out.describe_with(&metric, || MetricMeta {
        name: metric.clone(),
        kind: if matches!(name, "CurrEstab" | "Forwarding") { Kind::Gauge } else { COUNTER },
        unit: if name.ends_with("Octets") { "bytes".into() } else { String::new() },
        help: format!("{name} of {protocol} (RFC 4022, 4113, 4293, or Linux' own)."),
    });
    out.push(&metric, &[], value);
}

fn is_wanted(protocol: &str, name: &str) -> bool {
    match (protocol, name) {
        (_, "InErrors" | "InErrs") | ("Ip", "Forwarding") => true,
        ("Ip6" | "IpExt", _) => matches!(name, "InOctets" | "OutOctets"),
        ("Icmp" | "Icmp6", _) => matches!(name, "InMsgs" | "OutMsgs"),
        ("TcpExt", _) => {
            name.starts_with("Listen")
                || name.starts_with("Syncookies")
                || matches!(name, "TCPSynRetrans" | "TCPTimeouts" | "TCPOFOQueue" | "TCPRcvQDrop")
        }
        ("Tcp", _) => matches!(
            name,
            "ActiveOpens"
                | "InSegs"
                | "OutSegs"
                | "OutRsts"
                | "PassiveOpens"
                | "RetransSegs"
                | "CurrEstab"
        ),
        ("Udp" | "Udp6", _) => matches!(
            name,
            "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors"
        ),
        _ => false,
    }
}
