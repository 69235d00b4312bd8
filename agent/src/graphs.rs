//! The graphs that every host with an agent gets.
//!
//! One for each question that an operator has of a machine, in the order in which one asks them.
//! `$instance` and `$window` are filled in by whoever draws.

use noroshi_model::{GraphLine, GraphTemplate, LineStyle};

/// The label `job` of all series of [`crate::sources`].
pub const JOB: &str = "node";

/// Returns the graphs, the most important first.
pub fn graphs() -> Vec<GraphTemplate> {
    [processor(), memory(), disks(), network(), kernel()].concat()
}

/// Makes a graph of lines; the title's id is its place in links and never changes.
fn graph(id: &str, title: &str, unit: &str, lines: Vec<GraphLine>) -> GraphTemplate {
    GraphTemplate {
        job: JOB.to_owned(),
        id: id.to_owned(),
        title: title.to_owned(),
        unit: unit.to_owned(),
        is_stacked: false,
        min: Some(0.0),
        max: None,
        lines,
    }
}

/// Makes a graph whose lines below zero are what goes out.
fn graph_in_and_out(id: &str, title: &str, unit: &str, lines: Vec<GraphLine>) -> GraphTemplate {
    GraphTemplate { min: None, ..graph(id, title, unit, lines) }
}

fn line(expr: &str, legend: &str) -> GraphLine {
    styled(expr, legend, LineStyle::Line)
}

fn area(expr: &str, legend: &str) -> GraphLine {
    styled(expr, legend, LineStyle::Area)
}

fn negative(expr: &str, legend: &str) -> GraphLine {
    styled(expr, legend, LineStyle::Negative)
}

/// Makes a line; in `expr` a metric's labels are written `{}` and its range `[]`.
///
/// `node_load1{}` becomes `node_load1{instance="$instance"}`, `{mode="idle"}` gets the instance
/// before the mode, `[]` becomes `[$window]`.
fn styled(expr: &str, legend: &str, style: LineStyle) -> GraphLine {
    let expr = expr
        .replace('{', r#"{instance="$instance","#)
        .replace(r#"$instance",}"#, r#"$instance"}"#)
        .replace("[]", "[$window]");
    GraphLine { expr, legend: legend.to_owned(), style }
}

fn processor() -> Vec<GraphTemplate> {
    // Lowest in the stack what the programs themselves do; idle is what is left up to 100.
    let mode = |mode: &str, legend: &str| {
        let expr = format!(
            r#"100 * sum(rate(node_cpu_seconds_total{{mode="{mode}"}}[])) / count(node_cpu_seconds_total{{mode="idle"}})"#
        );
        area(&expr, legend)
    };
    let modes = ["user", "system", "nice", "iowait", "irq", "softirq", "steal"];
    let cpu = GraphTemplate {
        is_stacked: true,
        max: Some(100.0),
        ..graph("cpu", "Processor", "percent", modes.map(|name| mode(name, name)).to_vec())
    };
    let load = graph(
        "load",
        "Load",
        "",
        vec![
            line("node_load1{}", "1 minute"),
            line("node_load5{}", "5 minutes"),
            line("node_load15{}", "15 minutes"),
            line(r#"count(node_cpu_seconds_total{mode="idle"})"#, "processors"),
        ],
    );
    vec![cpu, load]
}

fn memory() -> Vec<GraphTemplate> {
    // The four parts sum up to all of it, as `free` counts them.
    let cached = "node_memory_Cached_bytes{} + node_memory_SReclaimable_bytes{}";
    let used = "node_memory_MemTotal_bytes{} - node_memory_MemFree_bytes{} - node_memory_Buffers_bytes{} - node_memory_Cached_bytes{} - node_memory_SReclaimable_bytes{}".to_string();
    let memory = GraphTemplate {
        is_stacked: true,
        ..graph(
            "memory",
            "Memory",
            "bytes",
            vec![
                area(&used, "used"),
                area("node_memory_Buffers_bytes{}", "buffers"),
                area(cached, "cached"),
                area("node_memory_MemFree_bytes{}", "free"),
            ],
        )
    };
    let swap = graph(
        "swap",
        "Swap",
        "bytes",
        vec![
            area("node_memory_SwapTotal_bytes{} - node_memory_SwapFree_bytes{}", "used"),
            line("node_memory_SwapTotal_bytes{}", "total"),
        ],
    );
    vec![memory, swap]
}

fn disks() -> Vec<GraphTemplate> {
    let used = "100 * (1 - node_filesystem_avail_bytes{} / node_filesystem_size_bytes{})";
    let inodes = "100 * (1 - node_filesystem_files_free{} / (node_filesystem_files{} > 0))";
    let percent = |id, title, expr, legend| GraphTemplate {
        max: Some(100.0),
        ..graph(id, title, "percent", vec![line(expr, legend)])
    };
    // Without a read or a write there is no latency: 0/0 is a gap, not zero.
    let latency = |what: &str, counted: &str| {
        format!(
            "rate(node_disk_{what}_time_seconds_total{{}}[]) / rate(node_disk_{counted}_completed_total{{}}[])"
        )
    };
    vec![
        percent("filesystems", "File systems in use", used, "{{mountpoint}}"),
        graph_in_and_out(
            "disk-throughput",
            "Disk throughput (writes below)",
            "bytes/s",
            vec![
                area("rate(node_disk_read_bytes_total{}[])", "{{device}} read"),
                negative("rate(node_disk_written_bytes_total{}[])", "{{device}} written"),
            ],
        ),
        percent(
            "disk-utilisation",
            "Disk utilisation",
            "100 * rate(node_disk_io_time_seconds_total{}[])",
            "{{device}}",
        ),
        graph_in_and_out(
            "disk-latency",
            "Disk latency (writes below)",
            "seconds",
            vec![
                line(&latency("read", "reads"), "{{device}} read"),
                negative(&latency("write", "writes"), "{{device}} write"),
            ],
        ),
        graph_in_and_out(
            "disk-operations",
            "Disk operations (writes below)",
            "per second",
            vec![
                line("rate(node_disk_reads_completed_total{}[])", "{{device}} reads"),
                negative("rate(node_disk_writes_completed_total{}[])", "{{device}} writes"),
            ],
        ),
        percent("inodes", "Inodes in use", inodes, "{{mountpoint}}"),
    ]
}

fn network() -> Vec<GraphTemplate> {
    let not_loopback = r#"{device!="lo"}"#;
    let rate = |direction: &str, what: &str| {
        format!("rate(node_network_{direction}_{what}_total{not_loopback}[])")
    };
    let bits = |direction: &str| format!("8 * {}", rate(direction, "bytes"));
    let (input, output) = ("receive", "transmit");
    vec![
        graph_in_and_out(
            "network",
            "Network (out below)",
            "bits/s",
            vec![area(&bits(input), "{{device}} in"), negative(&bits(output), "{{device}} out")],
        ),
        graph_in_and_out(
            "network-packets",
            "Packets (out below)",
            "per second",
            vec![
                line(&rate(input, "packets"), "{{device}} in"),
                negative(&rate(output, "packets"), "{{device}} out"),
            ],
        ),
        graph_in_and_out(
            "network-errors",
            "Packets in error or dropped (out below)",
            "per second",
            vec![
                line(&rate(input, "errs"), "{{device}} errors in"),
                line(&rate(input, "drop"), "{{device}} dropped in"),
                negative(&rate(output, "errs"), "{{device}} errors out"),
                negative(&rate(output, "drop"), "{{device}} dropped out"),
            ],
        ),
        graph(
            "sockets",
            "TCP sockets",
            "",
            vec![
                line("node_netstat_Tcp_CurrEstab{}", "established"),
                line("node_sockstat_TCP_tw{}", "time-wait"),
                line("node_sockstat_TCP_orphan{}", "orphaned"),
            ],
        ),
    ]
}

fn kernel() -> Vec<GraphTemplate> {
    let pressure = |what: &str| format!("100 * rate(node_pressure_{what}_seconds_total{{}}[])");
    let pressures = [
        ("cpu_waiting", "processor"),
        ("memory_waiting", "memory"),
        ("memory_stalled", "memory, all stalled"),
        ("io_waiting", "input/output"),
        ("io_stalled", "input/output, all stalled"),
    ];
    let sensors = GraphTemplate {
        min: None,
        ..graph(
            "temperatures",
            "Temperatures",
            "celsius",
            vec![line("node_hwmon_temp_celsius{}", "{{chip}} {{sensor}}")],
        )
    };
    vec![
        GraphTemplate {
            max: Some(100.0),
            ..graph(
                "pressure",
                "Time lost waiting",
                "percent",
                pressures.map(|(what, legend)| line(&pressure(what), legend)).to_vec(),
            )
        },
        graph(
            "switches",
            "Context switches and interrupts",
            "per second",
            vec![
                line("rate(node_context_switches_total{}[])", "context switches"),
                line("rate(node_intr_total{}[])", "interrupts"),
            ],
        ),
        graph(
            "processes",
            "Tasks",
            "",
            vec![
                line("node_procs_running{}", "running"),
                line("node_procs_blocked{}", "blocked"),
                line("rate(node_forks_total{}[])", "started per second"),
            ],
        ),
        sensors,
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use noroshi_model::Timestamp;

    use super::*;
    use crate::sources::{Reader, Roots, metas};

    /// Returns the words of an expression that start as our metrics do.
    fn metric_names(expr: &str) -> impl Iterator<Item = &str> {
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        expr.split(move |character| !is_name(character)).filter(|word| word.starts_with("node_"))
    }

    #[test]
    fn each_metric_of_a_graph_is_one_that_is_read() {
        let batch = Reader::new(Roots::default()).read(Timestamp::from_secs(1_700_000_000));
        let known: BTreeSet<String> =
            metas().into_iter().chain(batch.metas).map(|meta| meta.name).collect();
        let graphs = graphs();
        let exprs = graphs.iter().flat_map(|graph| &graph.lines).map(|line| &line.expr);
        let unknown: Vec<&str> =
            exprs.flat_map(|e| metric_names(e)).filter(|name| !known.contains(*name)).collect();
        assert_eq!(unknown, [""; 0]);
    }

    #[test]
    fn each_selector_names_the_instance_and_each_range_the_window() {
        let graphs = graphs();
        let ids: BTreeSet<&str> = graphs.iter().map(|graph| graph.id.as_str()).collect();
        assert_eq!(ids.len(), graphs.len(), "two graphs have one id");
        for line in graphs.iter().flat_map(|graph| &graph.lines) {
            let expr = &line.expr;
            let selectors = metric_names(expr).count();
            assert_eq!(expr.matches(r#"{instance="$instance""#).count(), selectors, "{expr}");
            assert_eq!(expr.matches('{').count(), selectors, "{expr}");
            assert_eq!(expr.matches('[').count(), expr.matches("rate(").count(), "{expr}");
            assert_eq!(expr.matches('[').count(), expr.matches("[$window]").count(), "{expr}");
            assert!(!expr.contains(",}"), "{expr}");
        }
        assert_eq!(
            graphs[0].lines[0].expr,
            r#"100 * sum(rate(node_cpu_seconds_total{instance="$instance",mode="user"}[$window])) / count(node_cpu_seconds_total{instance="$instance",mode="idle"})"#
        );
    }
}
