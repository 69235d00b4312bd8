//! The graphs that a host shows of its native probes.

use noroshi_model::{GraphLine, GraphTemplate, LineStyle};

use crate::samples::JOB;

/// Returns the graphs, the most important first.
///
/// `$instance` and `$window` are filled in by whoever draws.
pub fn graphs() -> Vec<GraphTemplate> {
    let line = |expr: &str, legend: &str| GraphLine {
        expr: expr.to_owned(),
        legend: legend.to_owned(),
        style: LineStyle::Line,
    };
    let graph = |id: &str, title: &str, unit: &str, lines| GraphTemplate {
        job: JOB.to_owned(),
        id: id.to_owned(),
        title: title.to_owned(),
        unit: unit.to_owned(),
        is_stacked: false,
        min: Some(0.0),
        max: None,
        lines,
    };
    let of_checks =
        r#"avg_over_time(probe_duration_seconds{instance="$instance",check!=""}[$window])"#;
    let of_host =
        r#"avg_over_time(probe_duration_seconds{instance="$instance",check=""}[$window])"#;
    vec![graph(
        "probe-duration",
        "Response time",
        "seconds",
        vec![line(of_checks, "{{check}}"), line(of_host, "host check")],
    )]
}
