//! Plug-in checks: macros, a run, and what it says.

use std::collections::BTreeMap;
use std::time::Duration;

use super::PluginProbe;
use super::finding::Finding;
use crate::macros::Macros;
use crate::plugin::{Exit, Plugins, understand};

/// Runs the plug-in.
pub(crate) async fn look(
    probe: &PluginProbe,
    macros: &Macros,
    plugins: &Plugins,
    timeout: Duration,
) -> Finding {
    let argv = macros.expand_all(&probe.argv, &probe.arguments);
    let expand = |(name, value): (&String, &String)| (name.clone(), macros.expand(value, &[]));
    let mut env = if plugins.has_environment_macros() {
        macros.environment(&probe.arguments)
    } else {
        BTreeMap::new()
    };
    env.extend(probe.env.iter().map(expand));
    let ran = plugins.run(argv, env, timeout).await;
    let understood = understand(&ran.exit, &ran.stdout, &ran.stderr);
    Finding {
        status: understood.status,
        output: understood.output,
        long_output: understood.long_output,
        perfdata: understood.perfdata,
        measures: Vec::new(),
        over: None,
        is_own_fault: matches!(ran.exit, Exit::CannotStart(_) | Exit::NotRun(_)),
        took: Some(ran.run_time),
    }
}
