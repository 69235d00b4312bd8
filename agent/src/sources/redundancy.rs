//! What keeps going when a part fails, and would fail with the next: bonded network interfaces and
//! software RAID.

use super::files::{Files, SourceError, number};
use super::{Metric, Output, Source};

/// Reads bonded interfaces: `/sys/class/net/*/bonding`.
pub(super) struct Bonding;

const BONDING: [Metric; 2] = [
    Metric::gauge("node_bonding_slaves", "", "Interfaces that the bond has."),
    Metric::gauge("node_bonding_active", "", "Interfaces of the bond that have a link."),
];

impl Source for Bonding {
    fn name(&self) -> &'static str {
        "bonding"
    }

    fn metrics(&self) -> &'static [Metric] {
        &BONDING
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        let folder = files.sys_path("class/net");
        let masters = files.read(&folder.join("bonding_masters"))?.to_owned();
        for master in masters.split_ascii_whitespace() {
            let master_folder = folder.join(master);
            let slaves = files.sys_line(&master_folder.join("bonding/slaves"));
            let slaves = slaves.unwrap_or("").to_owned();
            let slaves: Vec<&str> = slaves.split_ascii_whitespace().collect();
            let mut has_link = |slave: &&&str| {
                // The link's name was `slave_eth0` before Linux 3.13.
                ["lower", "slave"].iter().any(|kind| {
                    let path = format!("{kind}_{slave}/bonding_slave/mii_status");
                    files.sys_line(&master_folder.join(path)) == Some("up")
                })
            };
            let active = slaves.iter().filter(|slave| has_link(slave)).count();
            let labels = [("master", master)];
            out.push("node_bonding_slaves", &labels, slaves.len() as f64);
            out.push("node_bonding_active", &labels, active as f64);
        }
        Ok(())
    }
}

/// Reads software RAID: `/proc/mdstat`.
pub(super) struct Mdadm;

const MDADM: [Metric; 5] = [
    Metric::gauge("node_md_state", "", "1 for the state that the array is in, 0 for the others."),
    Metric::gauge("node_md_disks", "", "Disks of the array in each state."),
    Metric::gauge("node_md_disks_required", "", "Disks that the array should have."),
    Metric::gauge("node_md_blocks", "", "Blocks of 1 KiB of the array."),
    Metric::gauge("node_md_blocks_synced", "", "Blocks that are in step with the others."),
];

/// The value of the label `state`, and the word in `/proc/mdstat` while it lasts; the first two
/// are told by the array's own line.
const STATES: [(&str, &str); 5] = [
    ("active", ""),
    ("inactive", ""),
    ("recovering", "recovery"),
    ("resync", "resync"),
    ("check", "check"),
];

/// An array as `/proc/mdstat` shows it.
#[derive(Debug, Default, PartialEq)]
struct Array<'a> {
    device: &'a str,
    state: &'static str,
    active: f64,
    failed: f64,
    spare: f64,
    down: f64,
    required: f64,
    blocks: f64,
    synced: f64,
}

impl Source for Mdadm {
    fn name(&self) -> &'static str {
        "mdadm"
    }

    fn metrics(&self) -> &'static [Metric] {
        &MDADM
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        for array in arrays(files.proc("mdstat")?) {
            let by_device = [("device", array.device)];
            for (state, _) in STATES {
                let is_so = f64::from(u8::from(state == array.state));
                out.push("node_md_state", &[("device", array.device), ("state", state)], is_so);
            }
            for (state, disks) in [
                ("active", array.active),
                ("down", array.down),
                ("failed", array.failed),
                ("spare", array.spare),
            ] {
                out.push("node_md_disks", &[("device", array.device), ("state", state)], disks);
            }
            out.push("node_md_disks_required", &by_device, array.required);
            out.push("node_md_blocks", &by_device, array.blocks);
            out.push("node_md_blocks_synced", &by_device, array.synced);
        }
        Ok(())
    }
}

/// Reads all arrays. An array is a line `md0 : active raid1 sdb1[1] sda1[0](F)` and indented lines
/// after it.
///
/// Source: Linux, `drivers/md/md.c`, `md_seq_show`.
fn arrays(text: &str) -> Vec<Array<'_>> {
    let mut arrays: Vec<Array<'_>> = Vec::new();
    for line in text.lines() {
        if line.starts_with(' ') {
            if let Some(array) = arrays.last_mut() {
                read_detail(line, array);
            }
        } else if let Some((device, rest)) = line.split_once(" : ") {
            // `Personalities : [raid1]` has no array's state.
            let is_active = rest.starts_with("active");
            if !is_active && !rest.starts_with("inactive") {
                continue;
            }
            let disks = rest.matches('[').count() as f64;
            let failed = rest.matches("(F)").count() as f64;
            let spare = rest.matches("(S)").count() as f64;
            // Until the next line says otherwise: striped arrays have no count of their disks.
            let active = if is_active { disks - failed - spare } else { 0.0 };
            let state = STATES[usize::from(!is_active)].0;
            let required = active;
            arrays.push(Array {
                device,
                state,
                active,
                failed,
                spare,
                required,
                ..Array::default()
            });
        }
    }
    arrays
}

/// Reads `1048512 blocks super 1.2 [2/1] [U_]` and `recovery = 8.5% (1677/19531) finish=...`.
fn read_detail(line: &str, array: &mut Array<'_>) {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    if let [blocks, "blocks", rest @ ..] = words.as_slice() {
        array.blocks = number(blocks).unwrap_or(0.0);
        array.synced = array.blocks;
        for word in rest {
            let Some(inner) = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) else {
                continue;
            };
            if let Some((required, active)) = inner.split_once('/') {
                array.required = number(required).unwrap_or(array.required);
                array.active = number(active).unwrap_or(array.active);
            } else {
                array.down = inner.matches('_').count() as f64;
            }
        }
        return;
    }
    let working = STATES[2..].iter().find(|(_, word)| words.contains(word));
    let Some((state, _)) = working else { return };
    array.state = state;
    let done = words.iter().find_map(|word| word.strip_prefix('(')?.split_once('/'));
    if let Some(synced) = done.and_then(|(done, _)| number(done)) {
        array.synced = synced;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_read_whole_degraded_rebuilding_and_stopped() {
        let text = "\
Personalities : [raid1] [raid6] [raid5] [raid4] [raid0]
md127 : active raid1 sdb2[1] sda2[0]
      1048512 blocks super 1.2 [2/2] [UU]
      bitmap: 0/1 pages [0KB], 65536KB chunk

md0 : active raid5 sdd1[4](S) sdc1[3](F) sdb1[1] sda1[0]
      390620288 blocks level 5, 64k chunk, algorithm 2 [3/2] [UU_]
      [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec

md1 : active raid0 sdf1[1] sde1[0]
      4190208 blocks super 1.2 512k chunks

md2 : active raid1 sdh1[1] sdg1[0]
      1000 blocks [2/2] [UU]
        resync=PENDING

md3 : inactive sdi1[0](S)
      883 blocks super 1.2

unused devices: <none>
";
        let whole = Array {
            device: "md127",
            state: "active",
            active: 2.0,
            required: 2.0,
            blocks: 1_048_512.0,
            synced: 1_048_512.0,
            ..Array::default()
        };
        let rebuilding = Array {
            device: "md0",
            state: "recovering",
            active: 2.0,
            failed: 1.0,
            spare: 1.0,
            down: 1.0,
            required: 3.0,
            blocks: 390_620_288.0,
            synced: 16_775_552.0,
        };
        let striped =
            Array { device: "md1", blocks: 4_190_208.0, synced: 4_190_208.0, ..two_disks() };
        let pending = Array { device: "md2", blocks: 1000.0, synced: 1000.0, ..two_disks() };
        let stopped = Array {
            device: "md3",
            state: "inactive",
            spare: 1.0,
            blocks: 883.0,
            synced: 883.0,
            ..Array::default()
        };
        assert_eq!(arrays(text), [whole, rebuilding, striped, pending, stopped]);
        assert_eq!(arrays("Personalities : \nunused devices: <none>\n"), []);
        assert_eq!(arrays("      1 blocks [2/2] [UU]\n"), []);
    }

    /// Two disks, both in use.
    fn two_disks() -> Array<'static> {
        Array { active: 2.0, required: 2.0, state: "active", ..Array::default() }
    }
}
