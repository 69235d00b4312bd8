//! Plug-in checks: macros, a run, and what it says.

use std::collections::BTreeMap;
use std::time::Duration;

use super::PluginProbe;
use super::finding::Finding;
use crate::macros::Macros;
use crate::plugin::{run, understand};

/// Runs the plug-in.
pub(crate) async fn look(probe: &PluginProbe, macros: &Macros, timeout: Duration) -> Finding {
    let argv = macros.expand_all(&probe.argv, &probe.arguments);
    let expand = |(name, value): (&String, &String)| (name.clone(), macros.expand(value, &[]));
    let env: BTreeMap<String, String> = probe.env.iter().map(expand).collect();
    let ran = run(&argv, &env, timeout).await;
    let understood = understand(&ran.exit, &ran.stdout, &ran.stderr);
    Finding {
        status: understood.status,
        output: understood.output,
        long_output: understood.long_output,
        perfdata: understood.perfdata,
        measures: Vec::new(),
        over: None,
    }
}
