//! What network interfaces are: `/sys/class/net`.
//!
//! Each attribute is a file, some twenty for an interface, and a host with containers has hundreds
//! of interfaces. What seldom changes is therefore read once in a while, and at once when the
//! interface is another one or its link came or went.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use noroshi_model::Timestamp;

use super::files::{Files, SourceError, names_in, number};
use super::kept::is_known;
use super::{Metric, Output, Source};

/// Bytes in a second of one Mbit/s.
const BYTES_PER_MEGABIT: f64 = 125_000.0;

const UP: &str = "node_network_up";
const INFO: &str = "node_network_info";

const METRICS: [Metric; 19] = [
    Metric::gauge("node_network_carrier", "", "Whether there is a link: 1 or 0."),
    Metric::counter("node_network_carrier_changes_total", "", "How often the link came or went."),
    Metric::gauge("node_network_flags", "", "Flags of the interface (IFF_*)."),
    Metric::gauge("node_network_iface_id", "", "Number of the interface."),
    Metric::gauge("node_network_address_assign_type", "", "How the address was assigned."),
    Metric::counter("node_network_carrier_up_changes_total", "", "How often the link came."),
    Metric::counter("node_network_carrier_down_changes_total", "", "How often the link went."),
    Metric::gauge("node_network_device_id", "", "Number of the device."),
    Metric::gauge("node_network_dormant", "", "Whether the link waits for something: 1 or 0."),
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
];

/// Attributes that are one number, in the order of the metrics above.
///
/// Source: Linux, `Documentation/ABI/testing/sysfs-class-net`.
const ATTRIBUTES: [&str; 17] = [
    "carrier",
    "carrier_changes",
    "flags",
    "ifindex",
    "addr_assign_type",
    "carrier_up_count",
    "carrier_down_count",
    "dev_id",
    "dormant",
    "iflink",
    "link_mode",
    "mtu",
    "name_assign_type",
    "netdev_group",
    "type",
    "tx_queue_len",
    "speed",
];

/// So many of the attributes are read each time; when they change, the others are read as well.
const READ_ALWAYS: usize = 4;

/// Attributes that are text, read with those that seldom change: labels of [`INFO`].
const TEXTS: [&str; 4] = ["address", "broadcast", "duplex", "ifalias"];

/// Reads the attributes of all interfaces.
#[derive(Default)]
pub(super) struct Netclass {
    known: BTreeMap<String, Interface>,
}

/// What is known of an interface.
struct Interface {
    /// When what seldom changes was read.
    read_at: Timestamp,
    state: String,
    numbers: [Option<f64>; ATTRIBUTES.len()],
    texts: [String; TEXTS.len()],
}

impl Source for Netclass {
    fn name(&self) -> &'static str {
        "netclass"
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let folder = files.sys_path("class/net");
        let devices = names_in(&folder)?;
        self.known.retain(|device, _| devices.binary_search(device).is_ok());
        for device in devices {
            let before = self.known.remove(&device);
            // `bonding_masters` is a file among the folders.
            if let Some(interface) = read(before, &folder.join(&device), files, out.at()) {
                push(&device, &interface, out);
                self.known.insert(device, interface);
            }
        }
        Ok(())
    }
}

/// Reads an interface; `None` when there is none.
fn read(
    before: Option<Interface>,
    folder: &Path,
    files: &mut Files,
    now: Timestamp,
) -> Option<Interface> {
    let mut path = PathBuf::new();
    let mut line = |attribute: &str| {
        path.clear();
        path.push(folder);
        path.push(attribute);
        files.sys_line(&path).map(str::to_owned)
    };
    let state = line("operstate")?;
    let mut numbers = [None; ATTRIBUTES.len()];
    let (always, seldom) = numbers.split_at_mut(READ_ALWAYS);
    for (value, attribute) in always.iter_mut().zip(ATTRIBUTES) {
        *value = line(attribute).as_deref().and_then(attribute_number);
    }
    let is_same = |before: &Interface| {
        is_known(before.read_at, now)
            && before.state == state
            && before.numbers[..READ_ALWAYS] == *always
    };
    if let Some(before) = before.filter(is_same) {
        return Some(before);
    }
    for (value, attribute) in seldom.iter_mut().zip(&ATTRIBUTES[READ_ALWAYS..]) {
        *value = line(attribute).as_deref().and_then(attribute_number);
    }
    let texts = TEXTS.map(|attribute| line(attribute).unwrap_or_default());
    Some(Interface { read_at: now, state, numbers, texts })
}

fn push(device: &str, interface: &Interface, out: &mut Output) {
    let by_device = [("device", device)];
    for ((metric, attribute), value) in METRICS.iter().zip(ATTRIBUTES).zip(interface.numbers) {
        match (attribute, value) {
            (_, None) => {}
            // -1: not known.
            ("speed", Some(megabits)) if megabits < 0.0 => {}
            ("speed", Some(megabits)) => {
                out.push(metric.name, &by_device, megabits * BYTES_PER_MEGABIT);
            }
            (_, Some(value)) => out.push(metric.name, &by_device, value),
        }
    }
    let state = interface.state.as_str();
    out.push(UP, &by_device, f64::from(u8::from(state == "up")));
    let [address, broadcast, duplex, ifalias] = interface.texts.each_ref().map(String::as_str);
    let labels = [
        ("address", address),
        ("broadcast", broadcast),
        ("device", device),
        ("duplex", duplex),
        ("ifalias", ifalias),
        ("operstate", state),
    ];
    out.push(INFO, &labels, 1.0);
}

/// Reads a number as sysfs writes it: decimal, or hexadecimal after `0x`.
fn attribute_number(line: &str) -> Option<f64> {
    match line.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|number| number as f64),
        None => number(line),
    }
}
