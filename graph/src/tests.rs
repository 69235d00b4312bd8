//! Whole pictures: what their texts say and what their pixels are.

use jiff::tz::TimeZone;
use noroshi_model::{LineStyle, Status, Timestamp, UNKNOWN};

use super::*;
use crate::shape::{Anchor, Shape};

/// 2026-11-20 12:00 UTC.
const NOON: i64 = 1_795_176_000_000;
const HOUR: i64 = 3_600_000;

/// An hour with one series of 61 points, made from the index.
fn chart(unit: &str, value: impl Fn(i64) -> f64) -> Chart {
    let (start, end) = (Timestamp::from_millis(NOON), Timestamp::from_millis(NOON + HOUR));
    let mut chart = Chart::new("A title", start, end);
    unit.clone_into(&mut chart.unit);
    chart.series.push(ChartSeries {
        legend: "a series".to_owned(),
        at: (0..61).map(|i| NOON + i * 60_000).collect(),
        value: (0..61).map(value).collect(),
        ..ChartSeries::default()
    });
    chart
}

/// The texts of an SVG in the order in which they are drawn.
fn texts(svg: &str) -> Vec<String> {
    let bodies = svg.split("<text").skip(1).filter_map(|rest| rest.split_once('>'));
    bodies.filter_map(|(_, rest)| Some(rest.split_once('<')?.0.trim().to_owned())).collect()
}

/// The colour of a pixel in a chart drawn into memory.
fn pixel(pixels: &[u8], width: u32, x: u32, y: u32) -> Color {
    let at = (y as usize * width as usize + x as usize) * 3;
    let [red, green, blue] = [pixels[at], pixels[at + 1], pixels[at + 2]];
    Color { red, green, blue }
}

/// How many pixels have exactly this colour.
fn count(pixels: &[u8], color: Color) -> usize {
    pixels.as_chunks().0.iter().filter(|p| **p == [color.red, color.green, color.blue]).count()
}

#[test]
fn an_svg_says_title_span_axes_and_figures() {
    let mut chart = chart("seconds", |i| 0.001 * i as f64);
    chart.subtitle = "of <web1> & \"web2\"".to_owned();
    chart.zone = TimeZone::posix("CET-1").unwrap();
    let svg = chart.svg().unwrap();
    assert!(svg.starts_with(r#"<svg width="800" height="300" viewBox="0 0 8000 3000""#), "{svg}");
    let texts = texts(&svg);
    let expected = [
        "A title",
        "20 Nov 13:00 – 14:00 CET",
        "of &lt;web1&gt; &amp; &quot;web2&quot;",
        "0 ms",
        "60 ms",
        "13:05",
        "a series",
        "last",
        "avg",
        "30 ms",
    ];
    for text in expected {
        assert!(texts.iter().any(|found| found == text), "{text} is not in {texts:?}");
    }
}

#[test]
fn nothing_known_is_said_and_not_drawn_as_zero() {
    let unknown = chart("", |_| UNKNOWN);
    let texts = texts(&unknown.svg().unwrap());
    assert!(texts.iter().any(|text| text == "no data"), "{texts:?}");
    let pixels = unknown.pixels().unwrap();
    let line = palette(Theme::Light)[0];
    // Only the swatch of the legend has the colour: 10 x 10 pixels.
    assert_eq!(count(&pixels, line), 100);

    let empty = Chart { series: Vec::new(), ..unknown };
    assert!(empty.svg().unwrap().contains("no data"));
}

#[test]
fn an_area_is_filled_but_for_its_gap() {
    let mut chart = chart("", |i| if (20..=40).contains(&i) { UNKNOWN } else { 10.0 });
    chart.series[0].style = LineStyle::Area;
    (chart.min, chart.max) = (Some(0.0), Some(10.0));
    let pixels = chart.pixels().unwrap();
    let ground = chart.theme.ink().ground;
    // 180 lies between grid lines; 0..19 minutes are filled, 20..40 are not, 41..60 are.
    let columns = |from: u32, to: u32| (from..to).map(|x| pixel(&pixels, 800, x, 170));
    assert!(columns(60, 250).all(|color| color != ground));
    let bare = columns(310, 520).filter(|color| *color == ground).count();
    assert!(bare > 200, "{bare} of 210");
    assert!(columns(560, 780).all(|color| color != ground));
}

#[test]
fn themes_and_own_colors_are_used() {
    for theme in [Theme::Light, Theme::Dark] {
        let mut chart = chart("", |i| i as f64);
        chart.theme = theme;
        let own = Color::from_rgb(0x12_34_56);
        chart.series[0].color = Some(own);
        let pixels = chart.pixels().unwrap();
        assert_eq!(pixel(&pixels, 800, 1, 1), theme.ink().ground);
        assert!(count(&pixels, own) >= 100, "swatch and line");
    }
}

#[test]
fn thresholds_and_marks_are_drawn_with_their_labels() {
    let mut chart = chart("percent", |i| i as f64);
    let label = "critical > 90 %".to_owned();
    chart.thresholds.push(Threshold { value: 90.0, label, severity: Status::Critical });
    let at = Timestamp::from_millis(NOON + HOUR / 2);
    let label = "critical since 12:30".to_owned();
    chart.marks.push(Mark { at, label, severity: Some(Status::Critical) });
    let late = Timestamp::from_millis(NOON + 2 * HOUR);
    chart.marks.push(Mark { at: late, label: "later".to_owned(), severity: Some(Status::Ok) });
    let texts = texts(&chart.svg().unwrap());
    assert!(texts.iter().any(|text| text == "critical &gt; 90 %"), "{texts:?}");
    assert!(texts.iter().any(|text| text == "critical since 12:30"), "{texts:?}");
    assert!(texts.iter().all(|text| text != "later"), "{texts:?}");
    let red = status_color(Status::Critical, Theme::Light);
    // A dashed line over two thirds of about 740 pixels, a line of about 190.
    assert!(count(&chart.pixels().unwrap(), red) > 600);
}

/// Every combination that may be tight: 3 sizes, few and many series, short and long words.
fn tight_charts() -> Vec<Chart> {
    let mut charts = Vec::new();
    for (width, height) in [(200, 100), (400, 200), (800, 300), (1200, 400)] {
        for count in [0, 1, 2, 8, 40] {
            for words in ["x", "quite a long name of a series on www1.example.com, really too long"]
            {
                let mut chart = chart("bits/s", |i| 1.234e9 * i as f64);
                let series = ChartSeries { legend: words.repeat(3), ..chart.series[0].clone() };
                chart.series = vec![series; count];
                (chart.width, chart.height) = (width, height);
                chart.title = words.repeat(4);
                chart.subtitle = words.repeat(4);
                for minute in [1, 2, 30, 58, 59] {
                    let at = Timestamp::from_millis(NOON + minute * 60_000);
                    let label = words.repeat(2);
                    chart.marks.push(Mark { at, label, severity: Some(Status::Critical) });
                }
                for value in [-1e12, 1e9, 1.1e9, 7e10, 1e15] {
                    let label = words.repeat(2);
                    let severity = Status::Warning;
                    chart.thresholds.push(Threshold { value, label, severity });
                }
                charts.push(chart);
            }
        }
    }
    charts
}

#[test]
fn no_text_is_cut_off_and_no_two_texts_meet() {
    for chart in tight_charts() {
        let name = format!("{}x{}, {} series", chart.width, chart.height, chart.series.len());
        let mut boxes: Vec<(f32, f32, f32, f32, String)> = Vec::new();
        for shape in picture::shapes(&chart) {
            let Shape::Text { at, text, face, anchor, .. } = shape else { continue };
            let width = face.width(&text);
            let left = match anchor {
                Anchor::Left => at.0,
                Anchor::Middle => at.0 - width / 2.0,
                Anchor::Right => at.0 - width,
            };
            let (top, bottom) = (at.1 - face.size * 0.76, at.1 + face.size * 0.1);
            let is_inside = left >= 0.0
                && left + width <= chart.width as f32
                && top >= 0.0
                && bottom + face.size * 0.15 <= chart.height as f32;
            assert!(is_inside, "{name}: {text:?} at {left}, {at:?} is cut off");
            boxes.push((left, top, left + width, bottom, text));
        }
        for (i, a) in boxes.iter().enumerate() {
            for b in &boxes[i + 1..] {
                let is_apart = a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1;
                assert!(is_apart, "{name}: {:?} and {:?} meet", a.4, b.4);
            }
        }
        chart.png().unwrap();
    }
}

#[test]
fn impossible_charts_are_refused_with_the_reason() {
    let small = Chart { width: 10, ..chart("", |_| 0.0) };
    let text =
        "cannot draw a graph of 10 x 300 pixels; it may be 200 to 4096 wide and 100 to 4096 high";
    assert_eq!(small.png().unwrap_err().to_string(), text);
    let mut backwards = chart("", |_| 0.0);
    backwards.end = backwards.start;
    assert!(matches!(backwards.svg(), Err(DrawError::Span)));
    let mut uneven = chart("", |_| 0.0);
    uneven.series[0].value.pop();
    assert!(matches!(uneven.png(), Err(DrawError::Series { .. })));
    let mut unordered = chart("", |_| 0.0);
    unordered.series[0].at.swap(3, 4);
    assert!(matches!(unordered.png(), Err(DrawError::Series { .. })));
}

#[test]
fn extreme_values_are_drawn_without_a_panic() {
    for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e300, -1e300, 1e-300, 0.0, -0.0] {
        for is_stacked in [false, true] {
            let chart =
                Chart { is_stacked, ..chart("bytes", |i| if i == 7 { value } else { 1.0 }) };
            chart.png().unwrap();
            chart.svg().unwrap();
        }
    }
}
