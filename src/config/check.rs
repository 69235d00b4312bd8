//! One check's table becomes a [`CheckSpec`].

use std::collections::BTreeMap;
use std::time::Duration;

use noroshi_checks::{
    CheckSpec, Compare, ExpressionProbe, FlappingSpec, Judge, Missing, PassiveProbe, PluginProbe,
    Probe, Threshold, Timing,
};
use noroshi_model::{CheckId, GraphHint, Status};
use serde_spanned::Spanned;

use super::handler::handler;
use super::plugins;
use super::raw::{RawCheck, RawFlapping, RawTiming, Text};
use super::remote::nrpe;
use super::scope::Expressions;
use super::source::{Fault, Sources};
use super::{builtin, depends, probe};

/// Where faults go, and what was read already.
pub(super) struct Faults<'a> {
    pub(super) sources: &'a Sources,
    pub(super) expressions: &'a Expressions,
    pub(super) list: &'a mut Vec<Fault>,
    /// Whether a file or a table of names could not be read: what is named and not there may
    /// stand in it, and is no fault of its own.
    pub(super) is_partial: bool,
}

impl Faults<'_> {
    /// Notes a fault at a text.
    pub(super) fn at(&mut self, span: &std::ops::Range<usize>, what: String, advice: &str) {
        self.list.push(self.sources.fault(span, what, advice.to_owned()));
    }

    /// Notes what the reader of TOML says; `base` is where its text begins among all files.
    pub(super) fn of_reader(&mut self, error: &toml::de::Error, base: usize) {
        let span = error.span().unwrap_or(0..0);
        let mut message = error.message().lines().collect::<Vec<_>>().join(", ");
        let advice = super::advice_for(&message);
        if advice.starts_with("did you mean") {
            // The list of all that is known buries the one that is meant.
            message.truncate(message.find(", expected").unwrap_or(message.len()));
        }
        self.at(&(base + span.start..base + span.end), message, &advice);
    }
}

/// A key that says how to look, and whether a table has it.
type Kind = (&'static str, fn(&RawCheck) -> bool);

/// The keys that say how to look, and whether a table has each: a check has exactly one.
pub(super) const PROBE_KINDS: [Kind; 24] = [
    ("command", |raw| raw.command.is_some()),
    ("expr", |raw| raw.expr.is_some()),
    ("http", |raw| raw.http.is_some()),
    ("tcp", |raw| raw.tcp.is_some()),
    ("ping", |raw| raw.ping.is_some()),
    ("passive", |raw| raw.passive.is_some()),
    ("nrpe", |raw| raw.nrpe.is_some()),
    ("dns", |raw| raw.dns.is_some()),
    ("tls", |raw| raw.tls.is_some()),
    ("ntp", |raw| raw.ntp.is_some()),
    ("smtp", |raw| raw.smtp.is_some()),
    ("imap", |raw| raw.imap.is_some()),
    ("pop3", |raw| raw.pop3.is_some()),
    ("ssh", |raw| raw.ssh.is_some()),
    ("ftp", |raw| raw.ftp.is_some()),
    ("ldap", |raw| raw.ldap.is_some()),
    ("mysql", |raw| raw.mysql.is_some()),
    ("postgresql", |raw| raw.postgresql.is_some()),
    ("agent", |raw| raw.agent.is_some()),
    ("process", |raw| raw.process.is_some()),
    ("port", |raw| raw.port.is_some()),
    ("file", |raw| raw.file.is_some()),
    ("cluster", |raw| raw.cluster.is_some()),
    ("heartbeat", |raw| raw.heartbeat.is_some()),
];
/// The keys that say more about one way of looking, and mean nothing for another.
pub(super) const PROBE_OPTIONS: [&str; 7] =
    ["warning", "critical", "status", "unit", "text", "statuses", "arguments"];

/// Makes the check `name` of `host`; `None` after a fault.
pub(super) fn check(
    faults: &mut Faults<'_>,
    host: &str,
    name: &Text,
    raw: &RawCheck,
    defaults: &RawTiming,
) -> Option<CheckSpec> {
    let probe = probe(faults, host, name, raw);
    let flapping = flapping(faults, raw.flapping.as_ref());
    let mut check = CheckSpec::new(CheckId::check(host, name.get_ref()), probe?);
    check.timing = timing(faults, &raw.timing(), defaults);
    if let Some(builtin) = changed_builtin(host, name, raw) {
        let own = raw.timing();
        let keep = |is_said: bool, to: &mut Duration, from| *to = if is_said { *to } else { from };
        let (to, from) = (&mut check.timing, &builtin.timing);
        keep(own.interval.is_some(), &mut to.interval, from.interval);
        keep(own.retry.is_some(), &mut to.retry_interval, from.retry_interval);
        keep(own.timeout.is_some(), &mut to.timeout, from.timeout);
        if !own.says_when_hard() {
            to.attempts_max = from.attempts_max;
        }
        check.notes.clone_from(&builtin.notes);
    }
    check.timing.window = window(faults, raw);
    if !raw.timing().says_when_hard() && probe::is_sure_at_once(&check.probe) {
        check.timing.attempts_max = 1;
    }
    if let Probe::Cluster(cluster) = &mut check.probe {
        cluster.members = depends::named(probe::cluster::said_members(raw), host);
    }
    check.on_change = handler(faults, raw.on_change.as_ref().or(defaults.on_change.as_ref()));
    check.is_volatile = raw.volatile;
    check.depends = depends::named(&raw.depends, host);
    check.contacts = raw.contacts.iter().map(|contact| contact.get_ref().clone()).collect();
    check.is_quiet = raw.notify.map(|is_told| !is_told);
    check.labels = raw.labels.clone();
    check.variables = raw.variables.clone();
    check.flapping = flapping;
    check.maintenance = raw.maintenance.as_ref().map(|period| period.get_ref().clone());
    if !raw.notes.is_empty() {
        check.notes.clone_from(&raw.notes);
    }
    check.notes_url.clone_from(&raw.notes_url);
    if let Some(graph) = &raw.graph {
        check.graphs = vec![GraphHint {
            expr: expression(faults, graph, host)?,
            title: name.get_ref().clone(),
            unit: raw.unit.clone().unwrap_or_default(),
            warning: None,
            critical: None,
        }];
    }
    Some(check)
}

/// Makes the timing of a table over the defaults over the built-in times.
pub(super) fn timing(faults: &mut Faults<'_>, own: &RawTiming, defaults: &RawTiming) -> Timing {
    let mut timing = Timing::default();
    if let Some(interval) = own.interval.as_ref().or(defaults.interval.as_ref()) {
        timing.interval = interval.get_ref().0;
        if timing.interval < Timing::INTERVAL_MIN {
            faults.at(
                &interval.span(),
                "an interval is at least 100 ms".to_owned(),
                "write a longer one",
            );
        }
    }
    timing.retry_interval = match own.retry.as_ref().or(defaults.retry.as_ref()) {
        Some(retry) => retry.get_ref().0,
        None => timing.retry_interval.min(timing.interval),
    };
    // Of an interval that is wrong itself nothing follows.
    let is_judged = own.timeout.is_some() && timing.interval >= Timing::INTERVAL_MIN;
    timing.timeout = match own.timeout.as_ref().or(defaults.timeout.as_ref()) {
        Some(timeout) => {
            if is_judged && timeout.get_ref().0 > timing.interval {
                faults.at(
                    &timeout.span(),
                    "the timeout is longer than the interval".to_owned(),
                    "make the timeout shorter or the interval longer",
                );
            }
            timeout.get_ref().0
        }
        None => timing.timeout.min(timing.interval),
    };
    timing.period =
        own.period.as_ref().or(defaults.period.as_ref()).map(|period| period.get_ref().clone());
    // Who says one of them says what counts: of the other nothing comes from above.
    let said = if own.says_when_hard() { own } else { defaults };
    timing.lasting = said.r#for.as_ref().map(|lasts| lasts.get_ref().0);
    if timing.lasting.is_some() {
        timing.attempts_max = 1;
    }
    if let Some(attempts) = &said.attempts {
        timing.attempts_max = *attempts.get_ref();
        if timing.attempts_max == 0 {
            faults.at(
                &attempts.span(),
                "a problem needs at least one attempt".to_owned(),
                "write 1 or more",
            );
        }
    }
    timing
}

/// Makes the window of `window = 5, fails = 3`.
fn window(faults: &mut Faults<'_>, raw: &RawCheck) -> Option<u32> {
    let (window, fails) = match (&raw.window, &raw.fails) {
        (Some(window), Some(fails)) => (window, fails),
        (None, None) => return None,
        (Some(one), None) | (None, Some(one)) => {
            let what = "`window` and `fails` belong together".to_owned();
            faults.at(&one.span(), what, "write window = 5, fails = 3: three of the last five");
            return None;
        }
    };
    let attempts = raw.attempts.as_ref().map(Spanned::span);
    if let Some(other) = attempts.or(raw.r#for.as_ref().map(Spanned::span)) {
        let what = "`fails` takes the place of `attempts` and `for`".to_owned();
        faults.at(&other, what, "remove one of them");
    }
    let max = Timing::WINDOW_MAX;
    if !(1..=max).contains(window.get_ref()) || window.get_ref() < fails.get_ref() {
        let what = format!("a window is at most {max} results, and at least `fails`");
        faults.at(&window.span(), what, "write a larger window or fewer fails");
    }
    Some(*window.get_ref())
}

/// Makes the flap detection of a check or host.
pub(super) fn flapping(
    faults: &mut Faults<'_>,
    raw: Option<&Spanned<RawFlapping>>,
) -> FlappingSpec {
    let mut spec = FlappingSpec::default();
    let Some(raw) = raw else { return spec };
    match raw.get_ref() {
        RawFlapping::Switch(is_on) => spec.is_enabled = *is_on,
        RawFlapping::Limits(limits) => {
            spec.low = limits.low.unwrap_or(spec.low);
            spec.high = limits.high.unwrap_or(spec.high);
            if !(0.0 <= spec.low && spec.low < spec.high && spec.high <= 100.0) {
                let what =
                    format!("flapping cannot end at {} % and begin at {} %", spec.low, spec.high);
                faults.at(&raw.span(), what, "write low below high, both from 0 to 100");
            }
        }
    }
    spec
}

/// Returns the ways to look that a table names: exactly one is right.
pub(super) fn kinds(raw: &RawCheck) -> Vec<&'static str> {
    let named = PROBE_KINDS.iter().filter(|(_, is_named)| is_named(raw));
    named.map(|(kind, _)| *kind).collect()
}

/// Makes the probe: exactly one kind must be named.
pub(super) fn probe(
    faults: &mut Faults<'_>,
    host: &str,
    name: &Text,
    raw: &RawCheck,
) -> Option<Probe> {
    let named: Vec<&str> = kinds(raw);
    if let (true, Some(builtin)) = (named.is_empty(), changed_builtin(host, name, raw)) {
        return with_thresholds(faults, &builtin, raw);
    }
    if named.len() != 1 {
        let what = match named.as_slice() {
            [] => format!("check `{}` does not say how to look", name.get_ref()),
            many => format!("check `{}` has {} at once", name.get_ref(), many.join(" and ")),
        };
        let known: Vec<&str> = PROBE_KINDS.iter().map(|(kind, _)| *kind).collect();
        faults.at(&name.span(), what, &format!("give one of {}", known.join(", ")));
        return None;
    }
    if raw.expr.is_some() {
        return expression_probe(faults, host, raw);
    }
    if let Some(command) = &raw.command {
        let argv = command.get_ref().texts.clone();
        let is_one_text = !command.get_ref().is_list && argv.iter().any(|t| t.contains(' '));
        if argv.is_empty() || is_one_text {
            faults.at(
                &command.span(),
                "a command is a list of program and arguments; there is no shell".to_owned(),
                r#"write ["check_http", "-H", "$HOSTADDRESS$"]; for a shell ["sh", "-c", "..."]"#,
            );
            return None;
        }
        let probe = PluginProbe { argv, arguments: raw.arguments.clone(), env: BTreeMap::new() };
        return Some(Probe::Plugin(probe));
    }
    if let Some(freshness) = &raw.passive {
        let freshness = Some(freshness.get_ref().0);
        return Some(Probe::Passive(PassiveProbe { freshness, ..PassiveProbe::default() }));
    }
    if let Some(raw) = &raw.nrpe {
        return nrpe(faults, raw);
    }
    if let Some(plugin) = &raw.agent {
        return plugins::probe(faults, plugin);
    }
    probe::native(faults, raw)
}

/// Returns the built-in check that a table changes: it has its name and no other way to look.
fn changed_builtin(host: &str, name: &Text, raw: &RawCheck) -> Option<CheckSpec> {
    kinds(raw).is_empty().then(|| builtin::named(host, name.get_ref())).flatten()
}

/// Tells whether a table changes the built-in check of its name.
pub(super) fn is_changed_builtin(name: &Text, raw: &RawCheck) -> bool {
    changed_builtin("", name, raw).is_some()
}

/// Gives a built-in check the thresholds of a table; what it does not say stays.
fn with_thresholds(faults: &mut Faults<'_>, check: &CheckSpec, raw: &RawCheck) -> Option<Probe> {
    let Probe::Expression(mut probe) = check.probe.clone() else { return None };
    if let Judge::Thresholds { warning, critical } = &mut probe.judge {
        for (said, limit) in [(&raw.warning, warning), (&raw.critical, critical)] {
            if let Some(text) = said {
                *limit = Some(threshold(faults, text)?);
            }
        }
    }
    Some(Probe::Expression(probe))
}

/// Makes a check of an expression.
fn expression_probe(faults: &mut Faults<'_>, host: &str, raw: &RawCheck) -> Option<Probe> {
    let text = raw.expr.as_ref()?;
    let expr = expression(faults, text, host)?;
    let warning = raw.warning.as_ref().map(|text| threshold(faults, text));
    let critical = raw.critical.as_ref().map(|text| threshold(faults, text));
    let judge = if warning.is_some() || critical.is_some() {
        Judge::Thresholds { warning: warning.flatten(), critical: critical.flatten() }
    } else {
        let status = match raw.status.as_ref() {
            None => Status::Critical,
            Some(text) => {
                let read = text.get_ref().parse();
                let Ok(status @ (Status::Warning | Status::Critical)) = read else {
                    let what = format!("a true expression cannot be {:?}", text.get_ref());
                    faults.at(&text.span(), what, "write warning or critical");
                    return None;
                };
                status
            }
        };
        Judge::Firing { status }
    };
    Some(Probe::Expression(ExpressionProbe {
        expr,
        judge,
        unit: raw.unit.clone().unwrap_or_default(),
        name_labels: Vec::new(),
        meaning: String::new(),
        missing: Missing::Unknown,
    }))
}

/// Reads an expression and lets it speak of its host.
fn expression(faults: &mut Faults<'_>, text: &Text, host: &str) -> Option<String> {
    match faults.expressions.scoped(text.get_ref(), host) {
        Ok(expr) => Some(expr),
        Err(error) => {
            // The quote before the text stands between the span's start and its first character.
            let start = text.span().start + 1 + error.offset;
            faults.at(&(start..start + 1), error.message, "correct the expression");
            None
        }
    }
}

/// Reads a threshold: `> 90`, or `> 90 until 85` with hysteresis; a bare number is `> number`.
pub(super) fn threshold(faults: &mut Faults<'_>, text: &Text) -> Option<Threshold> {
    let parsed = parse_threshold(text.get_ref());
    if parsed.is_none() {
        faults.at(
            &text.span(),
            format!("{:?} is no threshold", text.get_ref()),
            "write a comparison with a number such as \"> 90\" or \"> 90 until 85\"",
        );
    }
    parsed
}

/// Reads the text of a threshold.
pub(super) fn parse_threshold(text: &str) -> Option<Threshold> {
    let text = text.trim();
    let operators = [
        (">=", Compare::AtLeast),
        ("<=", Compare::AtMost),
        ("==", Compare::Equal),
        ("!=", Compare::NotEqual),
        (">", Compare::Above),
        ("<", Compare::Below),
        ("", Compare::Above),
    ];
    let (rest, op) =
        operators.iter().find_map(|(sign, op)| Some((text.strip_prefix(sign)?, *op)))?;
    let (enter, leave) = match rest.split_once("until") {
        Some((enter, leave)) => (enter, Some(leave.trim().parse().ok()?)),
        None => (rest, None),
    };
    let value: f64 = enter.trim().parse().ok()?;
    (value.is_finite()).then_some(Threshold { op, value, leave })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_read_with_and_without_hysteresis() {
        let threshold = |op, value, leave| Some(Threshold { op, value, leave });
        let cases = [
            ("> 90", threshold(Compare::Above, 90.0, None)),
            (">=90.5", threshold(Compare::AtLeast, 90.5, None)),
            ("< 10 until 20", threshold(Compare::Below, 10.0, Some(20.0))),
            ("5", threshold(Compare::Above, 5.0, None)),
            ("!= 1", threshold(Compare::NotEqual, 1.0, None)),
            ("> much", None),
            ("> inf", None),
            ("", None),
            ("> 90 until", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_threshold(text), expected, "{text:?}");
        }
    }
}
