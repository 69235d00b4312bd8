//! Who this host is.

use std::fs;
use std::path::Path;

use noroshi_model::frame::HostIdentity;

use crate::sources::{Files, Roots, os_release};

/// Reads who the host is; `name` in the place of what the kernel says. What is missing is empty.
pub(crate) fn read(roots: &Roots, name: Option<&str>) -> HostIdentity {
    let line = |path: &Path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().next().unwrap_or("").trim().to_owned()
    };
    let kernel = |file: &str| line(&roots.proc.join("sys/kernel").join(file));
    let mut name = name.map_or_else(|| kernel("hostname"), str::to_owned);
    if name.is_empty() {
        "unnamed".clone_into(&mut name);
    }
    let release = os_release(&mut Files::new(roots.clone())).unwrap_or_default();
    HostIdentity {
        name,
        machine_id: line(&roots.root.join("etc/machine-id")),
        boot_id: kernel("random/boot_id"),
        os: release.get("PRETTY_NAME").cloned().unwrap_or_else(|| "Linux".to_owned()),
        kernel: kernel("osrelease"),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        address: None,
    }
}
