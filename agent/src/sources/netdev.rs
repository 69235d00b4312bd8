//! What went through network interfaces: `/proc/net/dev`.

use super::files::{Files, SourceError, number};
use super::{Metric, Output, Source};

/// Reads all interfaces, the loopback included.
pub(super) struct Netdev;

/// In the order of the columns: eight received, eight transmitted.
///
/// Source: Linux, `net/core/net-procfs.c`.
const METRICS: [Metric; 16] = [
    Metric::counter("node_network_receive_bytes_total", "bytes", "Bytes received."),
    Metric::counter("node_network_receive_packets_total", "", "Packets received."),
    Metric::counter("node_network_receive_errs_total", "", "Packets received with an error."),
    Metric::counter("node_network_receive_drop_total", "", "Packets received and dropped."),
    Metric::counter("node_network_receive_fifo_total", "", "Packets lost to a full buffer."),
    Metric::counter("node_network_receive_frame_total", "", "Packets received misaligned."),
    Metric::counter("node_network_receive_compressed_total", "", "Packets received compressed."),
    Metric::counter("node_network_receive_multicast_total", "", "Multicast packets received."),
    Metric::counter("node_network_transmit_bytes_total", "bytes", "Bytes sent."),
    Metric::counter("node_network_transmit_packets_total", "", "Packets sent."),
    Metric::counter("node_network_transmit_errs_total", "", "Packets that could not be sent."),
    Metric::counter("node_network_transmit_drop_total", "", "Packets dropped instead of sent."),
    Metric::counter("node_network_transmit_fifo_total", "", "Packets not sent: buffer empty."),
    Metric::counter("node_network_transmit_colls_total", "", "Collisions while sending."),
    Metric::counter("node_network_transmit_carrier_total", "", "Losses of carrier while sending."),
    Metric::counter("node_network_transmit_compressed_total", "", "Packets sent compressed."),
];

impl Source for Netdev {
    fn name(&self) -> &'static str {
        "netdev"
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        for line in files.proc("net/dev")?.lines() {
            // The two lines of headings have no colon; an alias (`eth0:1`) has one in its name.
            let Some((device, columns)) = line.rsplit_once(':') else { continue };
            let columns: Option<Vec<f64>> = columns.split_ascii_whitespace().map(number).collect();
            let Some(columns) = columns.filter(|columns| columns.len() >= METRICS.len()) else {
                continue;
            };
            for (metric, value) in METRICS.iter().zip(columns) {
                out.push(metric.name, &[("device", device.trim_start())], value);
            }
        }
        Ok(())
    }
}
