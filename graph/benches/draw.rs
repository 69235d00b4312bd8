//! How long a graph takes: `cargo bench -p noroshi-graph`. Prints one line of JSON a case.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::time::Instant;

use noroshi_graph::{Chart, ChartSeries, Threshold};
use noroshi_model::{LineStyle, Status, Timestamp};

/// How often each case is drawn; the least and the median are told; on a busy machine
/// the least is the one to compare.
const ROUNDS: usize = 200;

fn main() {
    measure("png_800x300_24h_2_series", &chart(800, 300, 2, 720), |chart| {
        chart.png().expect("the chart is sound").len()
    });
    measure("png_800x300_24h_2_series_raw_10s", &chart(800, 300, 2, 8640), |chart| {
        chart.png().expect("the chart is sound").len()
    });
    let stack = Chart { is_stacked: true, ..chart(1200, 400, 8, 720) };
    measure("png_1200x400_24h_stack_of_8", &stack, |chart| {
        chart.png().expect("the chart is sound").len()
    });
    measure("svg_800x300_24h_2_series", &chart(800, 300, 2, 720), |chart| {
        chart.svg().expect("the chart is sound").len()
    });
}

fn measure(name: &str, chart: &Chart, draw: impl Fn(&Chart) -> usize) {
    let bytes = draw(chart);
    let mut millis: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            std::hint::black_box(draw(chart));
            started.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    let (least, median) = (millis[0], millis[ROUNDS / 2]);
    println!(
        r#"{{"bench":"{name}","least_ms":{least:.3},"median_ms":{median:.3},"bytes":{bytes}}}"#
    );
}

/// A day with noisy series of `points` points each and a threshold.
fn chart(width: u32, height: u32, series: usize, points: i64) -> Chart {
    let (start, day) = (1_795_132_800_000, 86_400_000);
    let (from, to) = (Timestamp::from_millis(start), Timestamp::from_millis(start + day));
    let mut chart = Chart { width, height, ..Chart::new("HTTP requests of web1", from, to) };
    "per second".clone_into(&mut chart.unit);
    let noise = |i: i64| ((i * 7919) % 13) as f64;
    for n in 0..series {
        chart.series.push(ChartSeries {
            legend: format!("series {n}"),
            at: (0..=points).map(|i| start + i * day / points).collect(),
            value: (0..=points)
                .map(|i| 50.0 + 40.0 * (i as f64 / 40.0 + n as f64).sin() + noise(i))
                .collect(),
            style: if n == 0 { LineStyle::Area } else { LineStyle::Line },
            ..ChartSeries::default()
        });
    }
    let label = "critical > 95/s".to_owned();
    chart.thresholds.push(Threshold { value: 95.0, label, severity: Status::Critical });
    chart
}
