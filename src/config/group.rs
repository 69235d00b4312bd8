//! `[check.NAME]`: one check for many hosts.

use std::collections::BTreeSet;

use noroshi_checks::{CheckSpec, HostSpec, Probe};
use noroshi_model::CheckId;

use super::check::{Faults, check};
use super::depends;
use super::raw::{RawCheck, RawTiming, Text};
use super::resolve::look_up;
use super::scope::scoped;

/// Stands for all hosts.
const EVERY: &str = "*";

/// A check and the hosts that get it.
#[derive(Debug)]
pub(super) struct GroupCheck {
    hosts: Vec<String>,
    groups: Vec<String>,
    /// As it would be on a host without name.
    template: CheckSpec,
    /// The expression and that of the graph as they were written: each host gets its own.
    expr: Option<String>,
    graph: Option<String>,
}

impl GroupCheck {
    /// Makes it; `None` after a fault.
    pub(super) fn resolve(
        faults: &mut Faults<'_>,
        name: &Text,
        raw: &RawCheck,
        defaults: &RawTiming,
        known_hosts: &BTreeSet<String>,
    ) -> Option<Self> {
        let hosts: Vec<Text> =
            raw.hosts.iter().filter(|host| host.get_ref() != EVERY).cloned().collect();
        look_up(faults, "host", &hosts, known_hosts);
        if raw.hosts.is_empty() && raw.groups.is_empty() {
            faults.at(
                &name.span(),
                format!("check `{}` is for no host", name.get_ref()),
                r#"give it hosts = ["web1"], groups = ["web"], or hosts = ["*"] for all"#,
            );
        }
        let template = check(faults, "", name, raw, defaults)?;
        let texts = |list: &[Text]| list.iter().map(|text| text.get_ref().clone()).collect();
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.get_ref().clone());
        Some(Self {
            hosts: texts(&raw.hosts),
            groups: texts(&raw.groups),
            template,
            expr: text(&raw.expr),
            graph: text(&raw.graph),
        })
    }

    /// Tells whether it needs anything besides its host.
    pub(super) fn has_depends(&self) -> bool {
        !self.template.depends.is_empty()
    }

    /// Returns the check as this host gets it; `None` when it is not for this host.
    pub(super) fn for_host(&self, host: &HostSpec) -> Option<CheckSpec> {
        let is_named = self.hosts.iter().any(|name| name == EVERY || *name == host.name);
        let is_grouped = self.groups.iter().any(|group| host.groups.contains(group));
        if !is_named && !is_grouped {
            return None;
        }
        let mut check = self.template.clone();
        let name = check.id.check.as_deref().unwrap_or_default();
        check.id = CheckId::check(&host.name, name);
        depends::on_host(&mut check.depends, &host.name);
        if let (Probe::Expression(probe), Some(expr)) = (&mut check.probe, &self.expr) {
            probe.expr = scoped(expr, &host.name).ok()?;
        }
        if let (Some(hint), Some(graph)) = (check.graphs.first_mut(), &self.graph) {
            hint.expr = scoped(graph, &host.name).ok()?;
        }
        Some(check)
    }
}
