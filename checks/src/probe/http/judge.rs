//! What an HTTP check makes of the answer: status, text, JSON, certificate and time.

use std::time::Duration;

use hyper::Version;
use noroshi_model::quantity::format_value;
use noroshi_model::{Perfdata, Range, Status, Timestamp, Unit};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::{Answer, HttpProbe, JsonWish};
use crate::probe::finding::{Finding, Measure, judge_time, time_data};
use crate::probe::pattern::compiled;
use crate::probe::tcp::{measures, precise};
use crate::probe::{Compare, Threshold, tls};

/// How many values one path may find: what is found becomes performance data.
const VALUES_MAX: usize = 50;
/// How much of a value is shown.
const SHOWN_CHARS_MAX: usize = 80;

/// Judges all of it; the first line tells the worst first.
pub(super) fn judge(probe: &HttpProbe, answer: &Answer, time: Duration, now: Timestamp) -> Finding {
    let mut finding = Finding::new(Status::Ok, "");
    let (mut faults, mut told) = (Vec::new(), Vec::new());
    let body = String::from_utf8_lossy(&answer.body);
    let is_status_fine = judge_status(probe, answer, &mut faults);
    let is_text_fine = !is_status_fine || judge_text(probe, &body, &mut faults);
    if !is_status_fine || !is_text_fine {
        finding.worsen(Status::Critical);
    }
    if is_status_fine {
        judge_json(&probe.json, &body, &mut finding, &mut faults);
    }
    if let Some(chain) = &answer.chain {
        let limits = (probe.certificate_days_warning, probe.certificate_days_critical);
        let (status, text) = chain.judge(now, limits.0, limits.1, probe.is_insecure);
        finding.worsen(status);
        finding.perfdata.extend(tls::days_data(chain, now, limits));
        finding.measures.extend(tls::expiry(chain));
        if status.is_problem() { faults.push(text) } else { told.push(text) }
    }
    finding.worsen(judge_time(time, probe.warning, probe.critical));
    let size = format_value(answer.body.len() as f64, "bytes");
    let reason = answer.status.canonical_reason().unwrap_or("");
    let line = format!("HTTP {} {reason}, {size} in {}", answer.status.as_u16(), precise(time));
    faults.push(line);
    faults.extend(told);
    finding.output = faults.join(", ");
    let phases = answer.phases.named().map(|(phase, time)| format!("{phase} {}", precise(time)));
    finding.long_output = phases.join(", ");
    finding.perfdata.insert(0, time_data("time", time, probe.warning, probe.critical));
    finding.perfdata.insert(1, size_data(answer.body.len()));
    add_measures(&mut finding, answer, time, !is_text_fine);
    finding
}

fn judge_status(probe: &HttpProbe, answer: &Answer, faults: &mut Vec<String>) -> bool {
    let code = answer.status.as_u16();
    let is_fine = match &probe.statuses[..] {
        [] => (200..400).contains(&code),
        statuses => statuses.contains(&code),
    };
    if !is_fine {
        faults.push(format!("status {code} is not wanted"));
    }
    is_fine
}

fn judge_text(probe: &HttpProbe, body: &str, faults: &mut Vec<String>) -> bool {
    let before = faults.len();
    if let Some(text) = probe.text.as_ref().filter(|text| !body.contains(text.as_str())) {
        faults.push(format!("the body does not hold {text:?}"));
    }
    if let Some(text) = probe.not_text.as_ref().filter(|text| body.contains(text.as_str())) {
        faults.push(format!("the body holds {text:?}"));
    }
    if let Some(pattern) = &probe.regex {
        match compiled(pattern) {
            Ok(regex) if regex.is_match(body) => {}
            Ok(_) => faults.push(format!("the body does not match {pattern:?}")),
            Err(error) => faults.push(format!("{pattern:?}: {error}")),
        }
    }
    faults.len() == before
}

/// Judges what the paths find; numbers become performance data.
fn judge_json(wishes: &[JsonWish], body: &str, finding: &mut Finding, faults: &mut Vec<String>) {
    if wishes.is_empty() {
        return;
    }
    let root: Value = match serde_json::from_str(body) {
        Ok(root) => root,
        Err(error) => {
            finding.worsen(Status::Critical);
            faults.push(format!("the body is no JSON: {error}"));
            return;
        }
    };
    for wish in wishes {
        let found = match JsonPath::parse(&wish.path) {
            Ok(path) => path.query_located(&root).all(),
            Err(error) => {
                finding.worsen(Status::Unknown);
                faults.push(format!("{:?} is no JSON path: {error}", wish.path));
                continue;
            }
        };
        if found.is_empty() {
            finding.worsen(Status::Critical);
            faults.push(format!("the body has no {}", wish.path));
        }
        let is_one = found.len() == 1;
        for node in found.iter().take(VALUES_MAX) {
            let place = node.location().to_string();
            let name = match (wish.name.is_empty(), is_one) {
                (true, true) => wish.path.clone(),
                (true, false) => place.clone(),
                (false, true) => wish.name.clone(),
                (false, false) => format!("{} {place}", wish.name),
            };
            judge_value(wish, &name, node.node(), finding, faults);
        }
    }
}

/// Judges one value.
fn judge_value(
    wish: &JsonWish,
    name: &str,
    value: &Value,
    finding: &mut Finding,
    faults: &mut Vec<String>,
) {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let mut fault = |status: Status, text: String| {
        finding.worsen(status);
        faults.push(text);
    };
    if let Some(wanted) = wish.equals.as_ref().filter(|wanted| !is_same(wanted, value)) {
        fault(Status::Critical, format!("{name} is {shown}, not {wanted}"));
    }
    if let Some(pattern) = &wish.regex {
        let is_match = compiled(pattern).is_ok_and(|regex| regex.is_match(&text));
        if !is_match {
            fault(Status::Critical, format!("{name} is {shown}, which does not match {pattern:?}"));
        }
    }
    let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let is_over = |limit: Option<Threshold>| {
        limit.is_some_and(|t| number.is_some_and(|number| t.op.holds(number, t.value)))
    };
    if number.is_none() && (wish.warning.is_some() || wish.critical.is_some()) {
        fault(Status::Critical, format!("{name} is {shown}, which is no number"));
    } else if is_over(wish.critical) {
        fault(Status::Critical, format!("{name} is {shown}"));
    } else if is_over(wish.warning) {
        fault(Status::Warning, format!("{name} is {shown}"));
    }
    if let Some(number) = number {
        finding.perfdata.push(Perfdata {
            label: name.to_owned(),
            value: Some(number),
            unit: Unit::None,
            warning: wish.warning.map(range),
            critical: wish.critical.map(range),
            min: None,
            max: None,
        });
    }
}

/// Compares two values; of numbers what they are worth counts, so that 1 is 1.0.
fn is_same(wanted: &Value, value: &Value) -> bool {
    match (wanted.as_f64(), value.as_f64()) {
        (Some(wanted), Some(value)) => wanted == value,
        _ => wanted == value,
    }
}

/// Writes a threshold as the range of the plug-in guidelines that is nearest to it.
fn range(threshold: Threshold) -> Range {
    let value = threshold.value;
    let (start, end, is_inside) = match threshold.op {
        Compare::Above => (f64::NEG_INFINITY, value, false),
        Compare::Below => (value, f64::INFINITY, false),
        Compare::AtLeast => (value, f64::INFINITY, true),
        Compare::AtMost => (f64::NEG_INFINITY, value, true),
        Compare::Equal => (value, value, true),
        Compare::NotEqual => (value, value, false),
    };
    Range { start, end, is_inside }
}

fn size_data(bytes: usize) -> Perfdata {
    Perfdata {
        label: "size".to_owned(),
        value: Some(bytes as f64),
        unit: Unit::Bytes,
        warning: None,
        critical: None,
        min: Some(0.0),
        max: None,
    }
}

/// Adds the series, named as `blackbox_exporter` (`prober/http.go`) names them.
fn add_measures(finding: &mut Finding, answer: &Answer, time: Duration, is_wrong_text: bool) {
    let version = match answer.version {
        Version::HTTP_10 => 1.0,
        Version::HTTP_2 => 2.0,
        _ => 1.1,
    };
    let flag = |is: bool| f64::from(u8::from(is));
    finding.measures.extend(measures(finding.status, time));
    finding.measures.extend([
        Measure::of("probe_dns_lookup_time_seconds", answer.phases.resolve),
        Measure::new("probe_ip_protocol", if answer.is_v6 { 6.0 } else { 4.0 }),
        Measure::new("probe_http_status_code", f64::from(answer.status.as_u16())),
        Measure::new("probe_http_version", version),
        Measure::new("probe_http_ssl", flag(answer.chain.is_some())),
        Measure::new("probe_http_redirects", f64::from(answer.redirects)),
        Measure::new(
            "probe_http_content_length",
            answer.length.map_or(-1.0, |length| length as f64),
        ),
        Measure::new("probe_http_uncompressed_body_length", answer.body.len() as f64),
        Measure::new("probe_failed_due_to_regex", flag(is_wrong_text)),
    ]);
    for (phase, time) in answer.phases.named() {
        finding.measures.push(Measure {
            name: "probe_http_duration_seconds",
            label: Some(("phase", phase)),
            value: time.as_secs_f64(),
        });
    }
}
