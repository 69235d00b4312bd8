//! Temperatures, fans and voltages: `/sys/class/hwmon`, `/sys/class/thermal`.
//!
//! Source: Linux, `Documentation/hwmon/sysfs-interface.rst`.

use std::fs;
use std::path::Path;

use super::files::{Files, SourceError, names_in};
use super::{Metric, Output, Source};

/// Reads the sensors of all chips.
pub(super) struct Hwmon;

const METRICS: [Metric; 11] = [
    Metric::gauge("node_hwmon_temp_celsius", "celsius", "Temperature."),
    Metric::gauge("node_hwmon_temp_max_celsius", "celsius", "Temperature that is high."),
    Metric::gauge("node_hwmon_temp_crit_celsius", "celsius", "Temperature that is critical."),
    Metric::gauge("node_hwmon_temp_crit_alarm_celsius", "", "Whether it is critical: 1 or 0."),
    Metric::gauge("node_hwmon_fan_rpm", "", "Turns of the fan in a minute."),
    Metric::gauge("node_hwmon_fan_min_rpm", "", "Turns in a minute that are too few."),
    Metric::gauge("node_hwmon_in_volts", "volts", "Voltage."),
    Metric::gauge("node_hwmon_power_average_watt", "watts", "Power, averaged."),
    Metric::gauge("node_hwmon_power_watt", "watts", "Power."),
    Metric::gauge("node_hwmon_sensor_label", "", "1 for each sensor, with the chip's name for it."),
    Metric::gauge("node_hwmon_chip_names", "", "1 for each chip, with the driver's name for it."),
];

/// What the attribute's name is made of, the metric, and by what the number is divided.
const ATTRIBUTES: [(&str, &str, &str, f64); 9] = [
    ("temp", "input", "node_hwmon_temp_celsius", 1000.0),
    ("temp", "max", "node_hwmon_temp_max_celsius", 1000.0),
    ("temp", "crit", "node_hwmon_temp_crit_celsius", 1000.0),
    ("temp", "crit_alarm", "node_hwmon_temp_crit_alarm_celsius", 1.0),
    ("fan", "input", "node_hwmon_fan_rpm", 1.0),
    ("fan", "min", "node_hwmon_fan_min_rpm", 1.0),
    ("in", "input", "node_hwmon_in_volts", 1000.0),
    ("power", "average", "node_hwmon_power_average_watt", 1e6),
    ("power", "input", "node_hwmon_power_watt", 1e6),
];

impl Source for Hwmon {
    fn name(&self) -> &'static str {
        "hwmon"
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let folder = files.sys_path("class/hwmon");
        for entry in names_in(&folder)? {
            push_chip(&folder.join(&entry), &entry, files, out);
        }
        Ok(())
    }
}

fn push_chip(folder: &Path, entry: &str, files: &mut Files, out: &mut Output) {
    let name = files.sys_line(&folder.join("name")).map(str::to_owned);
    let chip = chip_label(folder)
        .or_else(|| name.as_deref().map(clean))
        .unwrap_or_else(|| entry.to_owned());
    if let Some(name) = name {
        out.push("node_hwmon_chip_names", &[("chip", &chip), ("chip_name", &name)], 1.0);
    }
    // Old drivers have their attributes in the device's own folder.
    for folder in [folder.to_owned(), folder.join("device")] {
        for file in names_in(&folder).unwrap_or_default() {
            push_attribute(&folder, &file, &chip, files, out);
        }
    }
}

/// Reads one attribute, as `temp1_input`.
fn push_attribute(folder: &Path, file: &str, chip: &str, files: &mut Files, out: &mut Output) {
    let Some((sensor, attribute)) = file.split_once('_') else { return };
    let kind = sensor.trim_end_matches(|character: char| character.is_ascii_digit());
    let labels = [("chip", chip), ("sensor", sensor)];
    if attribute == "label" {
        if let Some(label) = files.sys_line(&folder.join(file)) {
            let labels = [("chip", chip), ("label", label), ("sensor", sensor)];
            out.push("node_hwmon_sensor_label", &labels, 1.0);
        }
        return;
    }
    let wanted = ATTRIBUTES.iter().find(|known| (known.0, known.1) == (kind, attribute));
    let Some((_, _, metric, divisor)) = wanted else { return };
    // A sensor without a probe refuses to be read.
    if let Some(value) = files.sys_number(&folder.join(file)) {
        out.push(metric, &labels, value / divisor);
    }
}

/// Names a chip by where it sits, which stays when drivers load in another order: the last two
/// folders of its device (`platform_coretemp_0`).
fn chip_label(folder: &Path) -> Option<String> {
    let device = fs::canonicalize(folder.join("device")).ok()?;
    let name = clean(device.file_name()?.to_str()?);
    let kind = clean(device.parent()?.file_name()?.to_str()?);
    let parts: Vec<String> = [kind, name].into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join("_"))
}

/// Keeps small letters, digits, colon and underscore.
fn clean(text: &str) -> String {
    let keep = |character: char| match character {
        'a'..='z' | '0'..='9' | ':' | '_' => character,
        _ => '_',
    };
    let text: String = text.to_lowercase().chars().map(keep).collect();
    text.trim_matches('_').to_owned()
}

/// Reads the temperatures that the kernel itself watches.
pub(super) struct ThermalZone;

const THERMAL: [Metric; 1] =
    [Metric::gauge("node_thermal_zone_temp", "celsius", "Temperature of the zone.")];

impl Source for ThermalZone {
    fn name(&self) -> &'static str {
        "thermal_zone"
    }

    fn metrics(&self) -> &'static [Metric] {
        &THERMAL
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let folder = files.sys_path("class/thermal");
        for entry in names_in(&folder)? {
            let Some(zone) = entry.strip_prefix("thermal_zone") else { continue };
            let folder = folder.join(&entry);
            let kind = files.sys_line(&folder.join("type")).unwrap_or("").to_owned();
            if let Some(millidegrees) = files.sys_number(&folder.join("temp")) {
                let labels = [("type", kind.as_str()), ("zone", zone)];
                out.push("node_thermal_zone_temp", &labels, millidegrees / 1000.0);
            }
        }
        Ok(())
    }
}
