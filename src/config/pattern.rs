//! A check that is said once for many hosts: read as that of a host without name, and given to each
//! with what speaks of that host.

use std::ops::Range;
use std::sync::Arc;

use noroshi_checks::{CheckSpec, Probe};
use noroshi_model::CheckId;

use super::check::{Faults, check, is_changed_builtin};
use super::raw::{RawCheck, RawTiming, Text};
use super::scope::Expressions;
use super::{builtin, depends};

/// A check as it would be on a host without name.
#[derive(Debug)]
pub(super) struct Pattern {
    template: CheckSpec,
    /// The expression and that of the graph as they were written: each host gets its own.
    expr: Option<String>,
    graph: Option<String>,
    /// Whether it changes the built-in check of its name, which looks at each host by itself.
    is_builtin: bool,
    /// Where each of what it depends on is written.
    places_of_depends: Vec<Range<usize>>,
}

impl Pattern {
    /// Makes it of a table; `None` after a fault.
    pub(super) fn resolve(
        faults: &mut Faults<'_>,
        name: &Text,
        raw: &RawCheck,
        defaults: &RawTiming,
    ) -> Option<Self> {
        let template = check(faults, "", name, raw, defaults)?;
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.get_ref().clone());
        let (expr, graph) = (text(&raw.expr), text(&raw.graph));
        let is_builtin = is_changed_builtin(name, raw);
        let places_of_depends = depends::places(raw).collect();
        Some(Self { template, expr, graph, is_builtin, places_of_depends })
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &str {
        self.template.id.check.as_deref().unwrap_or_default()
    }

    /// Tells whether it changes a built-in check.
    pub(super) fn is_builtin(&self) -> bool {
        self.is_builtin
    }

    /// Returns where each of what it depends on is written.
    pub(super) fn places_of_depends(&self) -> impl Iterator<Item = Range<usize>> {
        self.places_of_depends.iter().cloned()
    }

    /// Returns the check as this host gets it; hosts of which nothing in it speaks share it.
    pub(super) fn on_host(&self, host: &Arc<str>, expressions: &Expressions) -> CheckSpec {
        let id = CheckId { host: Arc::clone(host), check: self.template.id.check.clone() };
        let mut check = self.template.on(id);
        if depends::speak_of_host(&self.template.depends) {
            depends::on_host(&mut check.depends, host);
        }
        match &self.template.probe {
            Probe::Cluster(cluster) if depends::speak_of_host(&cluster.members) => {
                if let Probe::Cluster(own) = &mut check.probe {
                    depends::on_host(&mut own.members, host);
                }
            }
            Probe::Expression(said) => {
                let expr = self.expr_on(host, expressions).filter(|expr| *expr != said.expr);
                // Only who has an expression of its own gets a probe of its own.
                if let Some(expr) = expr
                    && let Probe::Expression(own) = &mut check.probe
                {
                    own.expr = expr;
                }
            }
            _ => {}
        }
        // What can be read for a host without name can be read for every host.
        let graph = self.graph.as_ref().and_then(|graph| expressions.scoped(graph, host).ok());
        let said = self.template.graphs.first().map(|hint| &hint.expr);
        if let Some(graph) = graph.filter(|graph| Some(graph) != said)
            && let Some(hint) = check.graphs.first_mut()
        {
            hint.expr = graph;
        }
        check
    }

    fn expr_on(&self, host: &str, expressions: &Expressions) -> Option<String> {
        if self.is_builtin {
            return builtin::expr_of(host, self.name());
        }
        expressions.scoped(self.expr.as_ref()?, host).ok()
    }
}
