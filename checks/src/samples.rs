//! The series that checks write: what a result becomes in the store.

use noroshi_model::{CheckResult, Kind, Labels, MetricMeta, Origin, Sample, Status, UNKNOWN};

use crate::probe::Measure;

/// What a probe's own series carry besides host and check: dashboards for `blackbox_exporter` ask
/// for a job, and this is what it is called everywhere.
pub(crate) const JOB: &str = "blackbox";

/// Adds the samples of one result: its performance data, its times, and the status that it made.
///
/// `status`: after the judging, because only that knows unreachable from down; `None` when the
/// result decided nothing.
pub(crate) fn add(
    samples: &mut Vec<Sample>,
    result: &CheckResult,
    measures: &[Measure],
    status: Option<Status>,
) {
    let check = result.id.check.as_deref().unwrap_or("");
    let instance = &*result.id.host;
    let mut add = |name: &str, further: &[(&str, &str)], value: f64| {
        let own = [("__name__", name), ("check", check), ("instance", instance)];
        let labels = Labels::new(own.iter().chain(further).copied());
        samples.push(Sample { labels, at: result.finished, value });
    };
    if let Some(status) = status {
        add("noroshi_check_status", &[], f64::from(status.code()));
    }
    if result.origin == Origin::Active {
        let run_time = result.finished.since(result.started);
        add("noroshi_check_run_seconds", &[], run_time.as_secs_f64());
        add("noroshi_check_latency_seconds", &[], result.latency.as_secs_f64());
    }
    for item in &result.perfdata {
        let value = item.value.unwrap_or(UNKNOWN);
        add("noroshi_perfdata", &[("label", &item.label), ("unit", item.unit.as_str())], value);
    }
    for measure in measures {
        match measure.label {
            Some(label) => add(measure.name, &[("job", JOB), label], measure.value),
            None => add(measure.name, &[("job", JOB)], measure.value),
        }
    }
}

/// Describes the series that checks write.
pub(crate) fn metas() -> Vec<MetricMeta> {
    let meta = |name: &str, unit: &str, help: &str| MetricMeta {
        name: name.to_owned(),
        kind: Kind::Gauge,
        unit: unit.to_owned(),
        help: help.to_owned(),
    };
    vec![
        meta(
            "noroshi_check_status",
            "",
            "0 OK, 1 warning, 2 critical, 3 unknown; of a host 0 up, 1 down, 2 unreachable.",
        ),
        meta("noroshi_check_run_seconds", "seconds", "How long the run of a check took."),
        meta("noroshi_check_latency_seconds", "seconds", "How late the run of a check began."),
        meta(
            "noroshi_perfdata",
            "",
            "Performance data of a check, in the base unit of label unit.",
        ),
        meta("probe_success", "", "Whether a probe found what it should: 1 or 0."),
        meta("probe_duration_seconds", "seconds", "How long a probe took."),
        meta("probe_dns_lookup_time_seconds", "seconds", "How long the name took to resolve."),
        meta("probe_ip_protocol", "", "4 or 6: by which IP a probe went."),
        meta("probe_http_duration_seconds", "seconds", "How long a phase of an HTTP probe took."),
        meta("probe_http_status_code", "", "Status code of the last answer."),
        meta("probe_http_version", "", "HTTP version of the last answer."),
        meta("probe_http_ssl", "", "Whether the last answer came by TLS: 1 or 0."),
        meta("probe_http_redirects", "", "How many redirects were followed."),
        meta("probe_http_content_length", "bytes", "What the server says the length is, or -1."),
        meta("probe_http_uncompressed_body_length", "bytes", "How much of the body was read."),
        meta("probe_failed_due_to_regex", "", "Whether the body had not the text wanted: 1 or 0."),
        meta(
            "probe_ssl_earliest_cert_expiry",
            "seconds",
            "When the first certificate of the chain ends, since 1970.",
        ),
        meta("probe_icmp_duration_seconds", "seconds", "How long a phase of a ping took."),
    ]
}
