//! `[plugins]`: how plug-ins and event handlers are run.

use std::process::Command;

use noroshi_checks::plugin::{Limits, PluginSpec, SpawnerSpec};
use serde::Deserialize;
use serde_spanned::Spanned;

use super::check::Faults;
use super::raw::Text;
use super::storage::parse_bytes;

/// `[plugins]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawPlugins {
    /// How many run at once.
    at_once: Option<Spanned<u32>>,
    /// Memory of one process.
    memory_max: Option<Text>,
    /// Processes of their user.
    processes_max: Option<Spanned<u32>>,
    /// Whom they run as.
    user: Option<Text>,
    /// Whether macros go into their environment.
    environment_macros: Option<bool>,
}

/// The server's own program, even when the file was replaced meanwhile: both ends are one version.
const SPAWNER: [&str; 2] = ["/proc/self/exe", "spawner"];
/// What a process may use unless the configuration says otherwise: far more than a plug-in needs,
/// little enough that one that runs wild is ended before the machine is slow.
const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// The least memory: the spawner itself lives within the limit too.
const MEMORY_BYTES_MIN: u64 = 64 << 20;
/// How many processes the user of plug-ins may have: ten for each of two hundred at once.
const PROCESSES_MAX: u64 = 2000;
/// The least: the spawner's own threads count, and a shell's pipeline has a few processes.
const PROCESSES_MIN: u32 = 16;
/// Event handlers run beside the plug-ins.
const HANDLERS_AT_ONCE: u64 = 16;
/// The most that may run at once: each needs files and processes.
const AT_ONCE_MAX: u32 = 10_000;

/// Returns how plug-ins are run when the configuration says nothing.
pub(super) fn usual() -> PluginSpec {
    let usual = PluginSpec::default();
    let limits = Limits {
        memory_bytes_max: Some(MEMORY_BYTES_MAX),
        processes_max: Some(PROCESSES_MAX),
        runs_at_once: usual.at_once as u64 + HANDLERS_AT_ONCE,
    };
    let spawner = SpawnerSpec { argv: SPAWNER.map(str::to_owned).to_vec(), limits, user: None };
    PluginSpec { spawner: Some(spawner), ..usual }
}

/// Resolves `[plugins]` over what other files said.
pub(super) fn resolve(faults: &mut Faults<'_>, raw: &RawPlugins, spec: &mut PluginSpec) {
    if let Some(has) = raw.environment_macros {
        spec.has_environment_macros = has;
    }
    let Some(spawner) = &mut spec.spawner else { return };
    if let Some(at_once) = &raw.at_once {
        let count = *at_once.get_ref();
        if !(1..=AT_ONCE_MAX).contains(&count) {
            let what = format!("{count} plug-ins cannot run at once");
            faults.at(&at_once.span(), what, "write a number from 1 to 10000");
        }
        spec.at_once = count as usize;
        spawner.limits.runs_at_once = u64::from(count) + HANDLERS_AT_ONCE;
    }
    if let Some(memory) = &raw.memory_max {
        match parse_bytes(memory.get_ref()) {
            Some(bytes) if bytes >= MEMORY_BYTES_MIN => {
                spawner.limits.memory_bytes_max = Some(bytes);
            }
            Some(_) => faults.at(
                &memory.span(),
                "plug-ins need at least 64 MiB".to_owned(),
                "write \"64 MiB\" or more",
            ),
            None => faults.at(
                &memory.span(),
                format!("{:?} is no size", memory.get_ref()),
                "write it with its unit, such as \"512 MiB\"",
            ),
        }
    }
    if let Some(count) = &raw.processes_max {
        if *count.get_ref() < PROCESSES_MIN {
            let what = "the spawner alone has ten threads, which count".to_owned();
            faults.at(&count.span(), what, "write 16 or more");
        }
        spawner.limits.processes_max = Some(u64::from(*count.get_ref()));
    }
    if let Some(user) = &raw.user {
        spawner.user = find_user(user.get_ref());
        if spawner.user.is_none() {
            note_unknown(faults, user);
        }
    }
}

fn note_unknown(faults: &mut Faults<'_>, user: &Text) {
    faults.at(
        &user.span(),
        format!("there is no user {:?} on this machine", user.get_ref()),
        "name one that `getent passwd` lists, or make it by `useradd --system`",
    );
}

/// Returns number and group of a user, wherever the machine keeps them (files, LDAP): `getent` asks
/// as every program does.
fn find_user(name: &str) -> Option<(u32, u32)> {
    let found = Command::new("getent").args(["passwd", "--", name]).output().ok()?;
    // passwd(5): name, password, user, group.
    let line = String::from_utf8(found.stdout).ok()?;
    let mut numbers = line.trim_end().split(':').skip(2);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
