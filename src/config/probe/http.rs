//! `http = "URL"` or a table: what is asked, and what the answer must hold.

use hyper::Method;
use hyper::header::HeaderName;
use noroshi_checks::{HttpProbe, JsonWish, Probe, Secret, Threshold};
use serde_spanned::Spanned;

use super::table::RawJson;
use super::{Brief, RawHttp, days, family, needed, table, times};
use crate::config::check::{Faults, threshold};
use crate::config::raw::{RawCheck, Text};

/// Makes the probe.
pub(super) fn http(
    faults: &mut Faults<'_>,
    said: &Spanned<Brief<RawHttp>>,
    check: &RawCheck,
) -> Option<Probe> {
    let put = |table: &mut RawHttp, text: &str| {
        table.url = Some(Spanned::new(said.span(), text.to_owned()));
        !text.is_empty()
    };
    let raw = table(faults, said, put, "write a URL, or { url = \"...\" }")?;
    let url = needed(faults, raw.url.as_ref(), "url", &said.span())?;
    // A URL may begin with a macro whose value is not known here.
    if !["http://", "https://", "$"].iter().any(|scheme| url.starts_with(scheme)) {
        let span = raw.url.as_ref().map_or(said.span(), Spanned::span);
        let what = format!("{url:?} is no address of a page");
        faults.at(&span, what, "begin with http:// or https://");
    }
    let mut probe = HttpProbe::get(&url);
    request(faults, &raw, &mut probe);
    for status in &raw.statuses {
        super::within(faults, status, 100..=599, "as a status");
    }
    probe.statuses = raw.statuses.iter().map(|status| *status.get_ref()).collect();
    // Beside a URL as text, the two that are wanted most stand on the check itself.
    if probe.statuses.is_empty() {
        probe.statuses.clone_from(&check.statuses);
    }
    probe.text = raw.text.or_else(|| check.text.clone());
    probe.not_text = raw.not_text;
    probe.regex = raw.regex.as_ref().map(|pattern| regex(faults, pattern));
    probe.json = raw.json.0.iter().map(|wish| json(faults, wish)).collect();
    let days =
        days(faults, raw.certificate_days_warning.as_ref(), raw.certificate_days_critical.as_ref());
    probe.certificate_days_warning = Some(days.0);
    probe.certificate_days_critical = Some(days.1);
    probe.is_insecure = raw.insecure;
    (probe.warning, probe.critical) = times(faults, raw.warning.as_ref(), raw.critical.as_ref());
    Some(Probe::Http(Box::new(probe)))
}

/// Puts in what is sent, and where.
fn request(faults: &mut Faults<'_>, raw: &RawHttp, probe: &mut HttpProbe) {
    if let Some(method) = &raw.method {
        probe.method.clone_from(method.get_ref());
        let is_method = method.get_ref().parse::<Method>().is_ok();
        if !is_method || method.get_ref().chars().any(char::is_lowercase) {
            let what = format!("{:?} is no method", method.get_ref());
            faults.at(&method.span(), what, "write one such as GET, HEAD or POST");
        }
    }
    for (name, value) in &raw.headers {
        if name.get_ref().parse::<HeaderName>().is_err() {
            let what = format!("{:?} is no name of a header", name.get_ref());
            faults.at(&name.span(), what, "write one such as Accept");
        }
        probe.headers.push((name.get_ref().clone(), value.clone()));
    }
    probe.body.clone_from(&raw.body);
    let basic = raw.basic_auth.as_ref();
    probe.basic_auth = basic.map(|auth| (auth.user.clone(), Secret::new(&auth.password)));
    probe.bearer = raw.bearer.as_deref().map(Secret::new);
    probe.redirects_max = raw.redirects.unwrap_or(0);
    probe.connect_to = raw.connect_to.as_ref().map(|to| to.get_ref().clone());
    probe.family = family(faults, raw.ip.as_ref());
}

fn json(faults: &mut Faults<'_>, raw: &RawJson) -> JsonWish {
    if let Err(why) = JsonWish::check_path(raw.path.get_ref()) {
        let what = format!("{:?} is no JSON path: {why}", raw.path.get_ref());
        faults.at(&raw.path.span(), what, "write one such as \"$.status\" (RFC 9535)");
    }
    JsonWish {
        path: raw.path.get_ref().clone(),
        equals: raw.equals.clone(),
        regex: raw.regex.as_ref().map(|pattern| regex(faults, pattern)),
        warning: raw.warning.as_ref().and_then(|text| limit(faults, text)),
        critical: raw.critical.as_ref().and_then(|text| limit(faults, text)),
        name: raw.name.clone(),
    }
}

/// Reads a threshold of a value that is looked at once: nothing is remembered for hysteresis.
fn limit(faults: &mut Faults<'_>, text: &Text) -> Option<Threshold> {
    let limit = threshold(faults, text)?;
    if limit.leave.is_some() {
        let what = "a value of an answer has no \"until\"".to_owned();
        faults.at(&text.span(), what, "leave it out; attempts keep a problem from flapping");
    }
    Some(limit)
}

fn regex(faults: &mut Faults<'_>, pattern: &Text) -> String {
    if let Err(error) = regex::Regex::new(pattern.get_ref()) {
        let why = error.to_string().lines().last().unwrap_or_default().to_owned();
        let what = format!("{:?} is no regular expression: {why}", pattern.get_ref());
        faults.at(&pattern.span(), what, "correct the expression");
    }
    pattern.get_ref().clone()
}
