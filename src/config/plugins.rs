//! Checks by the plug-ins that a host's agent runs: those that the configuration ties to one, and
//! those that appear because the agent has them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use noroshi_checks::{AgentProbe, CheckSpec, Probe, Timing};
use noroshi_model::CheckId;

use super::check::Faults;
use super::raw::Text;
use super::site::RegisteredHost;

/// After so many intervals without a result a check is unknown: two may be lost on the way.
const INTERVALS: u32 = 3;
/// But not before: a result goes with the next reading, and a plug-in may take its time.
const FRESHNESS_MIN: Duration = Duration::from_mins(2);

/// Makes the probe of `agent = "..."`. How old a result may be is known with the agent's interval.
pub(super) fn probe(faults: &mut Faults<'_>, plugin: &Text) -> Option<Probe> {
    if plugin.get_ref().starts_with(LOOK) {
        let what = format!("{:?} cannot be a plug-in: `{LOOK}` is reserved", plugin.get_ref());
        let advice = "write process, port or file for a look, or the name of a plug-in in the \
                      agent's config";
        faults.at(&plugin.span(), what, advice);
        return None;
    }
    let (plugin, freshness) = (plugin.get_ref().clone(), freshness(Timing::default().interval));
    Some(Probe::Agent(AgentProbe { plugin, freshness, look: None }))
}

/// How results of looks are named, before the name of the check: no plug-in is named so.
const LOOK: &str = "noroshi:";

/// Lets a host's agent look at what stands on the host.
pub(super) fn let_agent_look(check: &mut CheckSpec) {
    let Probe::OnHost(look) = &check.probe else { return };
    let name = check.id.check.as_deref().unwrap_or_default();
    let (plugin, freshness) = (format!("{LOOK}{name}"), freshness(check.timing.interval));
    check.probe = Probe::Agent(AgentProbe { plugin, freshness, look: Some(look.clone()) });
}

fn freshness(interval: Duration) -> Duration {
    (interval * INTERVALS).max(FRESHNESS_MIN)
}

/// Gives the checks of a host the intervals of its agent, and adds those that the agent has and
/// the configuration does not name.
pub(super) fn tie(
    checks: &mut BTreeMap<String, CheckSpec>,
    agent: &RegisteredHost,
    may_appear: bool,
) {
    let mut tied = BTreeSet::new();
    for check in checks.values_mut() {
        // What is only looked at stays shared.
        let Probe::Agent(AgentProbe { plugin, look: None, .. }) = &check.probe else { continue };
        tied.insert(plugin.clone());
        // The check's own interval counts until the agent has told.
        let interval = agent.plugins.get(plugin).copied().unwrap_or(check.timing.interval);
        check.timing.interval = interval;
        if let Probe::Agent(probe) = &mut check.probe {
            probe.freshness = freshness(interval);
        }
    }
    if !may_appear {
        return;
    }
    for (plugin, interval) in &agent.plugins {
        // An agent that is older than that rule, or another program, may send such a name.
        if tied.contains(plugin) || checks.contains_key(plugin) || plugin.starts_with(LOOK) {
            continue;
        }
        let freshness = freshness(*interval);
        let probe = Probe::Agent(AgentProbe { plugin: plugin.clone(), freshness, look: None });
        let mut check = CheckSpec::new(CheckId::check(&agent.name, plugin), probe);
        check.timing.interval = *interval;
        checks.insert(plugin.clone(), check);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, load};

    fn config(text: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("noroshi.toml");
        std::fs::write(&path, text).unwrap();
        load(Some(&path)).unwrap()
    }

    /// Returns name, plug-in and freshness in seconds of the checks by `web1`'s agent.
    fn by_agent(text: &str, plugins: &[(&str, u64)]) -> Vec<(String, String, u64)> {
        let plugins = plugins
            .iter()
            .map(|(name, seconds)| ((*name).to_owned(), Duration::from_secs(*seconds)));
        let plugins = plugins.collect();
        let host = RegisteredHost { name: "web1".to_owned(), plugins, ..RegisteredHost::default() };
        let site = config(text).site(&[host], true);
        let of_web1 = site.checks.checks.into_iter().filter(|check| &*check.id.host == "web1");
        let found = of_web1.filter_map(|check| match &check.probe {
            Probe::Agent(probe) => {
                let name = check.id.check.as_deref().unwrap_or_default().to_owned();
                Some((name, probe.plugin.clone(), probe.freshness.as_secs()))
            }
            _ => None,
        });
        found.collect()
    }

    #[test]
    fn what_the_agent_runs_appears_unless_the_configuration_ties_it_or_says_no() {
        let check = |name: &str, plugin: &str, seconds| (name.into(), plugin.into(), seconds);
        let has = [("raid", 300), ("mail queue", 10)];
        assert_eq!(
            by_agent("", &has),
            [check("mail queue", "mail queue", 120), check("raid", "raid", 900)]
        );
        let tied = "[host.web1.check.disks]\nagent = \"raid\"\n";
        assert_eq!(
            by_agent(tied, &has),
            [check("disks", "raid", 900), check("mail queue", "mail queue", 120)]
        );
        let no = format!("{tied}[agents]\nplugins = false\n");
        assert_eq!(by_agent(&no, &has), [check("disks", "raid", 900)]);
        // One that the agent does not have goes by its own interval until it has.
        let other = "[host.web1.check.x]\nagent = \"y\"\ninterval = \"1h\"\n";
        assert_eq!(by_agent(other, &[]), [check("x", "y", 10_800)]);
        // A check of the same name that looks otherwise takes the place.
        let same = "[host.web1.check.raid]\ntcp = \"22\"\n";
        assert_eq!(by_agent(same, &has), [check("mail queue", "mail queue", 120)]);
        assert_eq!(by_agent("", &[("noroshi:raid", 60)]), [], "the server's own names");
        let all = "[check.r]\nhosts = [\"*\"]\nagent = \"raid\"\n";
        assert_eq!(by_agent(all, &has[..1]), [check("r", "raid", 900)]);
    }
}
