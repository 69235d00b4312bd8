//! Draws the graphs that people should look at after a change: `cargo run -p noroshi-graph
//! --example gallery -- FOLDER` writes them as PNG and SVG in both themes and three sizes.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use noroshi_graph::{Band, Chart, ChartSeries, Mark, Theme, Threshold};
use noroshi_model::{LineStyle, Status, Timestamp, UNKNOWN};

/// 2026-11-20 14:10 UTC.
const START: i64 = 1_795_183_800;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder: PathBuf = std::env::args().nth(1).ok_or("name a folder")?.into();
    std::fs::create_dir_all(&folder)?;
    for (name, chart) in charts() {
        for (width, height) in [(400, 200), (800, 300), (1200, 400)] {
            for theme in [Theme::Light, Theme::Dark] {
                let chart = Chart { width, height, theme, ..chart.clone() };
                let stem = format!("{name}-{width}-{theme:?}").to_lowercase();
                write(&folder, &stem, &chart)?;
            }
        }
    }
    Ok(())
}

fn write(folder: &Path, stem: &str, chart: &Chart) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::write(folder.join(format!("{stem}.png")), chart.png()?)?;
    std::fs::write(folder.join(format!("{stem}.svg")), chart.svg()?)?;
    Ok(())
}

fn charts() -> Vec<(&'static str, Chart)> {
    vec![
        ("requests", requests()),
        ("cpu", cpu()),
        ("network", network()),
        ("disk", disk()),
        ("empty", empty()),
        ("marks", marks()),
    ]
}

fn blank(title: &str, hours: i64, unit: &str) -> Chart {
    let end = Timestamp::from_secs(START + hours * 3600);
    let mut chart = Chart::new(title, Timestamp::from_secs(START), end);
    chart.zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap_or(TimeZone::UTC);
    unit.clone_into(&mut chart.unit);
    chart
}

/// One series of `count` points over the chart, made by `value` from the share of the span.
fn series(chart: &Chart, legend: &str, count: i64, value: impl Fn(f64) -> f64) -> ChartSeries {
    let (start, end) = (chart.start.as_millis(), chart.end.as_millis());
    let at: Vec<i64> = (0..=count).map(|i| start + (end - start) * i / count).collect();
    let value = (0..=count).map(|i| value(i as f64 / count as f64)).collect();
    ChartSeries { legend: legend.to_owned(), at, value, ..ChartSeries::default() }
}

/// A noise that is the same in every run: 0..1.
fn noise(seed: f64) -> f64 {
    ((seed * 12.9898).sin() * 43_758.545).fract().abs()
}

fn requests() -> Chart {
    let mut chart = blank("HTTP requests of web1", 24, "per second");
    "rate(nginx_http_requests_total{instance=\"web1\"}[2m])".clone_into(&mut chart.subtitle);
    let handled = series(&chart, "handled", 720, |t| {
        let value = 60.0 + 30.0 * (t * 6.3).sin() + 12.0 * noise(t);
        if (0.62..0.66).contains(&t) { UNKNOWN } else { value }
    });
    let errors = series(&chart, "refused with 503", 720, |t| {
        if t > 0.84 { 40.0 * noise(t * 3.0) } else { 2.0 * noise(t) }
    });
    chart.series = vec![ChartSeries { style: LineStyle::Area, ..handled }, errors];
    let threshold =
        |value, label: &str, severity| Threshold { value, label: label.into(), severity };
    chart.thresholds = vec![
        threshold(100.0, "critical > 100/s", Status::Critical),
        threshold(80.0, "warning > 80/s", Status::Warning),
    ];
    chart.marks = vec![Mark {
        at: Timestamp::from_secs(START + 20 * 3600 + 600),
        label: "critical since 11:20".to_owned(),
        severity: Some(Status::Critical),
    }];
    chart
}

fn cpu() -> Chart {
    let mut chart = blank("CPU of db-primary-01.example.com", 6, "percent");
    (chart.is_stacked, chart.min, chart.max) = (true, Some(0.0), Some(100.0));
    let modes = ["system", "user", "nice", "iowait", "irq", "softirq", "steal", "idle"];
    let shares = [8.0, 25.0, 2.0, 6.0, 1.0, 2.0, 1.0, 55.0];
    for (i, (mode, share)) in modes.iter().zip(shares).enumerate() {
        let line = series(&chart, mode, 540, |t| {
            let wave = 1.0 + 0.5 * (t * 9.0 + i as f64).sin();
            let value = share * wave * (0.7 + 0.3 * noise(t + i as f64)) * 0.8;
            if (0.3..0.33).contains(&t) { UNKNOWN } else { value }
        });
        chart.series.push(line);
    }
    chart
}

fn network() -> Chart {
    let mut chart = blank("Traffic of eth0", 24 * 7, "bits/s");
    let busy = |t: f64| 0.5 + 0.5 * (t * 44.0).sin();
    let mut inward = series(&chart, "in", 700, |t| 2.3e8 * busy(t) * (0.8 + 0.2 * noise(t)));
    let out = series(&chart, "out", 700, |t| 9e7 * busy(t + 0.01) * (0.8 + 0.2 * noise(t + 0.5)));
    let min = inward.value.iter().map(|v| v * 0.7).collect();
    let max = inward.value.iter().map(|v| v * 1.3).collect();
    inward.band = Some(Band { min, max });
    chart.series = vec![
        ChartSeries { style: LineStyle::Area, ..inward },
        ChartSeries { style: LineStyle::Negative, ..out },
    ];
    chart
}

fn disk() -> Chart {
    let mut chart = blank("File systems filling", 24 * 90, "ratio");
    for (i, mountpoint) in
        ["/", "/var/lib/postgresql/15/main/with/a/very/long/path/indeed", "/home"]
            .iter()
            .enumerate()
    {
        let line = series(&chart, mountpoint, 2000, |t| 0.3 + 0.2 * i as f64 + 0.2 * t);
        chart.series.push(line);
    }
    let label = "critical > 95 %".to_owned();
    chart.thresholds = vec![Threshold { value: 0.95, label, severity: Status::Critical }];
    chart
}

fn empty() -> Chart {
    let mut chart = blank("Temperature of a sensor that never answered", 1, "celsius");
    chart.series = vec![series(&chart, "inlet", 60, |_| UNKNOWN)];
    chart
}

fn marks() -> Chart {
    let mut chart = blank("Response time", 1, "seconds");
    let line =
        series(&chart, "p95 über alle Server – Ωμέγα, Жизнь, 漢字", 360, |t| {
            0.04 + 0.005 * noise(t) + if t > 0.7 { 0.2 } else { 0.0 }
        });
    let lone = ChartSeries {
        legend: "deployments".to_owned(),
        at: vec![chart.start.as_millis() + 600_000, chart.start.as_millis() + 1_200_000],
        value: vec![0.1, 0.15],
        ..ChartSeries::default()
    };
    chart.series = vec![line, lone];
    let mark = |minutes: i64, label: &str, severity| Mark {
        at: Timestamp::from_secs(START + minutes * 60),
        label: label.to_owned(),
        severity: Some(severity),
    };
    chart.marks = vec![
        mark(42, "warning since 15:52", Status::Warning),
        mark(44, "critical since 15:54", Status::Critical),
        mark(58, "ok since 16:08", Status::Ok),
    ];
    let label = "critical > 5 s".to_owned();
    chart.thresholds = vec![Threshold { value: 5.0, label, severity: Status::Critical }];
    chart
}
