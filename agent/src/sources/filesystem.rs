//! How full file systems are: the mounts of `/proc/1/mountinfo`, each asked by `statvfs`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::files::{Files, SourceError};
use super::statvfs::{Asker, Space};
use super::{Metric, Output, Source};

/// Longest time for all file systems together.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time for one; a network file system that takes longer is as good as dead.
const ONE_TIMEOUT: Duration = Duration::from_secs(1);

/// Most file systems that are reported.
const FILE_SYSTEMS_MAX: usize = 1000;

const METRICS: [Metric; 7] = [
    Metric::gauge("node_filesystem_avail_bytes", "bytes", "Space free for everybody."),
    Metric::gauge("node_filesystem_free_bytes", "bytes", "Space free, what is kept for root too."),
    Metric::gauge("node_filesystem_size_bytes", "bytes", "Space in all."),
    Metric::gauge("node_filesystem_files", "", "Files (inodes) that there can be."),
    Metric::gauge("node_filesystem_files_free", "", "Files (inodes) that can be added."),
    Metric::gauge("node_filesystem_readonly", "", "Whether it is mounted read-only: 1 or 0."),
    Metric::gauge(
        "node_filesystem_device_error",
        "",
        "Whether it could not be asked, or did not answer in a second: 1 or 0.",
    ),
];

/// Types that hold no files of anybody's, are full by nature, or are shown elsewhere.
///
/// `overlay` is a container's view of a file system that is shown as itself; only as the root, in
/// a container, it is all there is.
const SKIPPED_TYPES: [&str; 29] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// Folders below which nothing is reported, themselves included.
const SKIPPED_TREES: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Folders below which nothing is reported: what container engines mount for themselves.
const SKIPPED_BELOW: [&str; 3] =
    ["/run/credentials/", "/var/lib/docker/", "/var/lib/containers/storage/"];

/// Reads mounts and asks each file system once.
#[derive(Default)]
pub(super) struct Filesystem {
    asker: Asker,
}

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    /// Major and minor number of the file system.
    number: String,
    /// The folder of the file system that is mounted.
    folder: String,
    mountpoint: String,
    fstype: String,
    device: String,
    is_readonly: bool,
}

impl Source for Filesystem {
    fn name(&self) -> &'static str {
        "filesystem"
    }

    fn metrics(&self) -> &'static [Metric] {
        &METRICS
    }

    fn read(&mut self, files: &mut Files, out: &mut Output) -> Result<(), SourceError> {
        // Those of the first process are the machine's; our own may be a service's private view.
        // Reading them takes a right that an agent without privileges does not have.
        let mounts = match files.proc("1/mountinfo") {
            Ok(text) if !text.is_empty() => wanted(text),
            _ => wanted(files.proc("self/mountinfo")?),
        };
        let begin = Instant::now();
        for mount in mounts {
            let left = TIMEOUT.saturating_sub(begin.elapsed());
            let path = files.root_path(&mount.mountpoint);
            let space = self.asker.ask(&path, left.min(ONE_TIMEOUT)).ok();
            // A file system without any space is none for our purpose.
            if space.is_none_or(|space| space.size_bytes > 0) {
                push(&mount, space, out);
            }
        }
        Ok(())
    }
}

fn push(mount: &Mount, space: Option<Space>, out: &mut Output) {
    let labels = [
        ("device", mount.device.as_str()),
        ("fstype", mount.fstype.as_str()),
        ("mountpoint", mount.mountpoint.as_str()),
    ];
    let flag = |is_set: bool| f64::from(u8::from(is_set));
    out.push("node_filesystem_device_error", &labels, flag(space.is_none()));
    let Some(space) = space else { return };
    out.push("node_filesystem_readonly", &labels, flag(mount.is_readonly));
    for (name, value) in [
        ("node_filesystem_avail_bytes", space.available_bytes),
        ("node_filesystem_free_bytes", space.free_bytes),
        ("node_filesystem_size_bytes", space.size_bytes),
        ("node_filesystem_files", space.files),
        ("node_filesystem_files_free", space.files_free),
    ] {
        out.push(name, &labels, value as f64);
    }
}

/// Returns the mounts to report, sorted by mount point: no pseudo file systems, of several mounts
/// at one place the last, of several places of one file system the shortest.
fn wanted(text: &str) -> Vec<Mount> {
    let mut by_place: BTreeMap<String, Mount> = BTreeMap::new();
    for mount in text.lines().filter_map(parse) {
        by_place.insert(mount.mountpoint.clone(), mount);
    }
    let mut places: Vec<Mount> = by_place.into_values().filter(is_wanted).collect();
    places.sort_by_key(|mount| mount.mountpoint.len());
    let mut seen: Vec<(String, String)> = Vec::new();
    places.retain(|mount| {
        // Subvolumes of btrfs share a number and may have quotas of their own.
        let folder = if mount.fstype == "btrfs" { mount.folder.as_str() } else { "" };
        let identity = (mount.number.clone(), folder.to_owned());
        let is_new = !seen.contains(&identity);
        seen.push(identity);
        is_new
    });
    places.truncate(FILE_SYSTEMS_MAX);
    places.sort_by(|a, b| a.mountpoint.cmp(&b.mountpoint));
    places
}

fn is_wanted(mount: &Mount) -> bool {
    let place = mount.mountpoint.as_str();
    let is_in = |tree: &str| {
        place.strip_prefix(tree).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_skipped_type = SKIPPED_TYPES.contains(&mount.fstype.as_str());
    // What nobody can write to and memory holds: a folder that somebody wants to look empty.
    let is_cover = mount.fstype == "tmpfs" && mount.is_readonly;
    let is_container_root = mount.fstype == "overlay" && place == "/";
    (!is_skipped_type || is_container_root)
        && !is_cover
        && !SKIPPED_TREES.iter().any(|tree| is_in(tree))
        && !SKIPPED_BELOW.iter().any(|below| place.starts_with(below))
}

/// Reads one line.
///
/// Source: `proc(5)`, `/proc/pid/mountinfo`: `36 35 98:0 /folder /place rw,noatime master:1 -
/// ext3 /dev/root rw,errors=continue`, the optional fields ended by a lone dash.
fn parse(line: &str) -> Option<Mount> {
    let (mount, system) = line.split_once(" - ")?;
    let mount: Vec<&str> = mount.split(' ').collect();
    let &[_, _, number, folder, mountpoint, options, ..] = mount.as_slice() else { return None };
    let system: Vec<&str> = system.split(' ').collect();
    let &[fstype, device, system_options, ..] = system.as_slice() else { return None };
    let is_readonly = options.split(',').chain(system_options.split(',')).any(|o| o == "ro");
    Some(Mount {
        number: number.to_owned(),
        folder: unescape(folder),
        mountpoint: unescape(mountpoint),
        fstype: fstype.to_owned(),
        device: unescape(device),
        is_readonly,
    })
}

/// Reads `\040` and its like: a backslash and three octal digits.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or("").as_bytes().to_vec();
    for part in parts {
        let digits = part.as_bytes().first_chunk::<3>();
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = byte {
            bytes.push(byte);
            bytes.extend_from_slice(&part.as_bytes()[3..]);
        } else {
            bytes.push(b'\\');
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_written_in_octal_where_they_hold_spaces() {
        for (text, plain) in [
            (r"/mnt/a\040b", "/mnt/a b"),
            (r"\011\012\134\043", "\t\n\\#"),
            (r"/odd\9", r"/odd\9"),
            (r"/é\040", "/é "),
            (r"/\é12", r"/\é12"),
            ("", ""),
        ] {
            assert_eq!(unescape(text), plain, "{text}");
        }
    }

    /// Returns the mount points that remain of lines `number folder mountpoint fstype`.
    fn places(lines: &[&str]) -> Vec<String> {
        let full = |line: &&str| {
            let words: Vec<&str> = line.split(' ').collect();
            let [number, folder, place, fstype] = words[..] else { panic!("{line}") };
            format!("9 1 {number} {folder} {place} rw shared:1 - {fstype} /dev/x rw\n")
        };
        let text: String = lines.iter().map(full).collect();
        wanted(&text).into_iter().map(|mount| mount.mountpoint).collect()
    }

    #[test]
    fn each_file_system_is_reported_once_and_pseudo_ones_are_not() {
        let ordinary = ["8:1 / / ext4", "8:2 / /srv ext4", "0:4 / /proc proc", "0:9 / /run tmpfs"];
        assert_eq!(places(&ordinary), ["/", "/run", "/srv"]);
        let bind = ["8:1 /a /long/place ext4", "8:1 / /data ext4", "8:1 /b /datb ext4"];
        assert_eq!(places(&bind), ["/data"]);
        let container = ["0:50 / / overlay", "0:51 / /var/x overlay", "8:1 /h /etc/hosts ext4"];
        assert_eq!(places(&container), ["/", "/etc/hosts"]);
        let over = ["8:1 / / ext4", "8:2 / /mnt ext4", "8:3 / /mnt xfs", "0:2 / /dev/shm tmpfs"];
        assert_eq!(places(&over), ["/", "/mnt"]);
        let subvolumes = ["0:30 /@ / btrfs", "0:30 /@home /home btrfs"];
        assert_eq!(places(&subvolumes), ["/", "/home"]);
        let names = ["8:1 / /devices ext4", "8:2 / /var/lib/docker/x ext4", "8:3 / /var ext4"];
        assert_eq!(places(&names), ["/devices", "/var"]);
        let covered = "9 1 0:7 / /cover ro - tmpfs none ro\n9 1 0:8 / /run rw - tmpfs none rw\n";
        assert_eq!(wanted(covered).len(), 1);
        assert_eq!(places(&[]), [""; 0]);
        assert_eq!(wanted("garbage\n1 2 3 - x\n").len(), 0);
    }
}
