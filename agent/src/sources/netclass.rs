//! What network interfaces are: `/sys/class/net`.

use std::path::Path;

use super::files::{Files, SourceError, names_in};
use super::{Metric, Output, Source};

/// Reads the attributes of all interfaces.
pub(super) struct Netclass;

/// Bytes in a second of one Mbit/s.
const BYTES_PER_MEGABIT: f64 = 125_000.0;

const UP: &str = "node_network_up";
const INFO: &str = "node_network_info";
const FLAGS: &str = "node_network_flags";

const METRICS: [Metric; 19] = [
    Metric::gauge("node_network_address_assign_type", "", "How the address was assigned."),
    Metric::gauge("node_network_carrier", "", "Whether there is a link: 1 or 0."),
    Metric::counter("node_network_carrier_changes_total", "", "How often the link came or went."),
    Metric::counter("node_network_carrier_up_changes_total", "", "How often the link came."),
    Metric::counter("node_network_carrier_down_changes_total", "", "How often the link went."),
    Metric::gauge("node_network_device_id", "", "Number of the device."),
    Metric::gauge("node_network_dormant", "", "Whether the link waits for something: 1 or 0."),
    Metric::gauge("node_network_iface_id", "", "Number of the interface."),
    Metric::gauge("node_network_iface_link", "", "Number of the interface it is linked to."),
    Metric::gauge("node_network_iface_link_mode", "", "Mode of the link."),
    Metric::gauge("node_network_mtu_bytes", "bytes", "Largest packet."),
    Metric::gauge("node_network_name_assign_type", "", "How the name was assigned."),
    Metric::gauge("node_network_net_dev_group", "", "Group of the device."),
    Metric::gauge("node_network_protocol_type", "", "Kind of interface (ARPHRD_*)."),
    Metric::gauge("node_network_transmit_queue_length", "", "Longest queue, in packets."),
    Metric::gauge("node_network_speed_bytes", "bytes", "Speed of the link, bytes in a second."),
    Metric::gauge(UP, "", "Whether the interface is up: 1 or 0."),
    Metric::gauge(INFO, "", "1 for each interface, with what it is."),
    Metric::gauge(FLAGS, "", "Flags of the interface (IFF_*)."),
];

/// Attributes that are one number, in the order of the metrics above.
///
/// Source: Linux, `Documentation/ABI/testing/sysfs-class-net`.
const ATTRIBUTES: [&str; 16] = [
    "addr_assign_type",
    "carrier",
    "carrier_changes",
    "carrier_up_count",
    "carrier_down_count",
    "dev_id",
    "dormant",
    "ifindex",
    "iflink",
    "link_mode",
    "mtu",
    "name_assign_type",
    "netdev_group",
    "type",
    "tx_queue_len",
    "speed",
];

impl Source for Netclass {
    fn name(&self) -> &'static str {
        "netclass"
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let folder = files.sys_path("class/net");
        for device in names_in(&folder)? {
            let folder = folder.join(&device);
            // `bonding_masters` is a file among the folders.
            if folder.is_dir() {
                push_interface(&device, &folder, files, out);
            }
        }
        Ok(())
    }
}

fn push_interface(device: &str, folder: &Path, files: &mut Files, out: &mut Output) {
    let by_device = [("device", device)];
    for (metric, attribute) in METRICS.iter().zip(ATTRIBUTES) {
        let line = files.sys_line(&folder.join(attribute));
        let Some(value) = line.and_then(attribute_number) else { continue };
        match attribute {
            // -1: not known.
            "speed" if value < 0.0 => {}
            "speed" => out.push(metric.name, &by_device, value * BYTES_PER_MEGABIT),
            _ => out.push(metric.name, &by_device, value),
        }
    }
    if let Some(value) = files.sys_line(&folder.join("flags")).and_then(attribute_number) {
        out.push(FLAGS, &by_device, value);
    }
    let mut line = |attribute| files.sys_line(&folder.join(attribute)).unwrap_or("").to_owned();
    let state = line("operstate");
    out.push(UP, &by_device, f64::from(u8::from(state == "up")));
    let labels = [
        ("address", line("address")),
        ("broadcast", line("broadcast")),
        ("device", device.to_owned()),
        ("duplex", line("duplex")),
        ("ifalias", line("ifalias")),
        ("operstate", state),
    ];
    out.push(INFO, &labels.each_ref().map(|(name, value)| (*name, value.as_str())), 1.0);
}

/// Reads a number as sysfs writes it: decimal, or hexadecimal after `0x`.
fn attribute_number(line: &str) -> Option<f64> {
    match line.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|number| number as f64),
        None => super::files::number(line),
    }
}
