//! One check's table becomes a [`CheckSpec`].

use std::collections::BTreeMap;

use noroshi_checks::{
    CheckSpec, Compare, ExpressionProbe, HttpProbe, IcmpProbe, Judge, Missing, PassiveProbe,
    PluginProbe, Probe, Protocol, TcpProbe, Threshold, Timing,
};
use noroshi_model::{CheckId, GraphHint, Status};

use super::depends;
use super::raw::{RawCheck, RawTiming, Text};
use super::remote::nrpe;
use super::scope::scoped;
use super::source::{Fault, SourceFile};

/// Where faults of one table go.
pub(super) struct Faults<'a> {
    pub(super) file: &'a SourceFile,
    pub(super) list: &'a mut Vec<Fault>,
}

impl Faults<'_> {
    /// Notes a fault at a text.
    pub(super) fn at(&mut self, span: &std::ops::Range<usize>, what: String, advice: &str) {
        self.list.push(self.file.fault(span, what, advice.to_owned()));
    }
}

/// Makes the check `name` of `host`; `None` after a fault.
pub(super) fn check(
    faults: &mut Faults<'_>,
    host: &str,
    name: &Text,
    raw: &RawCheck,
    defaults: &RawTiming,
) -> Option<CheckSpec> {
    let probe = probe(faults, host, name, raw)?;
    let mut check = CheckSpec::new(CheckId::check(host, name.get_ref()), probe);
    let own = RawTiming {
        interval: raw.interval.clone(),
        retry: raw.retry.clone(),
        timeout: raw.timeout.clone(),
        attempts: raw.attempts.clone().or_else(|| raw.r#for.clone()),
    };
    check.timing = timing(faults, &own, defaults);
    check.is_volatile = raw.volatile;
    check.depends = depends::named(&raw.depends, host);
    check.contacts = raw.contacts.iter().map(|contact| contact.get_ref().clone()).collect();
    check.labels = raw.labels.clone();
    check.notes.clone_from(&raw.notes);
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
    let pick = |own: &Option<_>, default: &Option<_>| own.clone().or_else(|| default.clone());
    if let Some(interval) = pick(&own.interval, &defaults.interval) {
        timing.interval = interval.get_ref().0;
        if timing.interval < Timing::INTERVAL_MIN {
            faults.at(
                &interval.span(),
                "an interval is at least 100 ms".to_owned(),
                "write a longer one",
            );
        }
    }
    timing.retry_interval = match pick(&own.retry, &defaults.retry) {
        Some(retry) => retry.get_ref().0,
        None => timing.retry_interval.min(timing.interval),
    };
    timing.timeout = match pick(&own.timeout, &defaults.timeout) {
        Some(timeout) => {
            if own.timeout.is_some() && timeout.get_ref().0 > timing.interval {
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
    let attempts = own.attempts.as_ref().or(defaults.attempts.as_ref());
    if let Some(attempts) = attempts {
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

/// Makes the probe: exactly one kind must be named.
fn probe(faults: &mut Faults<'_>, host: &str, name: &Text, raw: &RawCheck) -> Option<Probe> {
    let kinds = [
        ("command", raw.command.is_some()),
        ("expr", raw.expr.is_some()),
        ("http", raw.http.is_some()),
        ("tcp", raw.tcp.is_some()),
        ("ping", raw.ping.is_some()),
        ("passive", raw.passive.is_some()),
        ("nrpe", raw.nrpe.is_some()),
    ];
    let named: Vec<&str> = kinds.iter().filter(|(_, is)| *is).map(|(kind, _)| *kind).collect();
    if named.len() != 1 {
        let what = match named.as_slice() {
            [] => format!("check `{}` does not say how to look", name.get_ref()),
            many => format!("check `{}` has {} at once", name.get_ref(), many.join(" and ")),
        };
        faults.at(&name.span(), what, "give one of command, expr, http, tcp, ping, passive, nrpe");
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
        let probe = PluginProbe { argv, arguments: Vec::new(), env: BTreeMap::new() };
        return Some(Probe::Plugin(probe));
    }
    if let Some(url) = &raw.http {
        let mut http = HttpProbe::get(url.get_ref());
        http.text.clone_from(&raw.text);
        http.statuses.clone_from(&raw.statuses);
        if !url.get_ref().starts_with("http://") && !url.get_ref().starts_with("https://") {
            faults.at(
                &url.span(),
                format!("{:?} is no address of a page", url.get_ref()),
                "begin with http:// or https://",
            );
        }
        return Some(Probe::Http(Box::new(http)));
    }
    if let Some(target) = &raw.tcp {
        return Some(Probe::Tcp(TcpProbe {
            target: target.get_ref().clone(),
            protocol: Protocol::Connect,
            warning: None,
            critical: None,
        }));
    }
    if let Some(freshness) = &raw.passive {
        let freshness = Some(freshness.get_ref().0);
        return Some(Probe::Passive(PassiveProbe { freshness, stale: None }));
    }
    if let Some(raw) = &raw.nrpe {
        return nrpe(faults, raw);
    }
    Some(Probe::Icmp(IcmpProbe::default()))
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
    match scoped(text.get_ref(), host) {
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
fn threshold(faults: &mut Faults<'_>, text: &Text) -> Option<Threshold> {
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
