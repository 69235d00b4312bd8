//! The plot: where values and moments lie, and what is drawn between the axes.

use noroshi_model::{LineStyle, Timestamp};

use crate::axis::Axis;
use crate::calendar::TimeMark;
use crate::chart::Chart;
use crate::color::{Color, Ink, status_color};
use crate::font::Face;
use crate::shape::{Anchor, Paint, Point, Shape};
use crate::trace::{Run, Trace};

pub(crate) const LABEL: Face = Face::regular(11.0);

/// Height of a row of labels inside the plot.
const LABEL_ROW: f32 = 15.0;

/// Width of a series' line in pixels.
const LINE: f32 = 1.5;

/// The rectangle between the axes, in pixels, and what it shows.
#[derive(Clone, Debug)]
pub(crate) struct Plot<'a> {
    pub(crate) chart: &'a Chart,
    pub(crate) axis: &'a Axis,
    pub(crate) left: f32,
    pub(crate) top: f32,
    pub(crate) right: f32,
    pub(crate) bottom: f32,
}

impl Plot<'_> {
    fn x(&self, at: i64) -> f32 {
        let (start, end) = (self.chart.start.as_millis(), self.chart.end.as_millis());
        let share = (at - start) as f64 / (end - start) as f64;
        self.left + (self.right - self.left) * share.clamp(0.0, 1.0) as f32
    }

    fn y(&self, value: f64) -> f32 {
        let share = (value - self.axis.low) / (self.axis.high - self.axis.low);
        self.bottom - (self.bottom - self.top) * share.clamp(0.0, 1.0) as f32
    }

    /// Adds grid, labels of the axes and the two edges.
    pub(crate) fn draw_axes(&self, marks: &[TimeMark], ink: &Ink, shapes: &mut Vec<Shape>) {
        let line = |from: Point, to: Point, color| {
            let paint = Paint::full(color);
            Shape::Rect {
                from: (from.0.round(), from.1.round()),
                to: (to.0.round(), to.1.round()),
                paint,
            }
        };
        let mut free_below = f32::INFINITY;
        for (value, label) in &self.axis.marks {
            let y = self.y(*value).round();
            shapes.push(line((self.left, y), (self.right, y + 1.0), ink.grid));
            if y > free_below {
                continue;
            }
            free_below = y - 13.0;
            let at = (self.left - 7.0, y + 4.0);
            shapes.push(text(at, label, Anchor::Right, ink.muted));
        }
        let mut free_from = 4.0;
        for mark in marks {
            let x = self.x(mark.at).round();
            shapes.push(line((x, self.top), (x + 1.0, self.bottom), ink.grid));
            shapes.push(line((x, self.bottom), (x + 1.0, self.bottom + 4.0), ink.axis));
            let half = LABEL.width(&mark.label) / 2.0;
            if x - half < free_from || x + half > self.chart.width as f32 - 4.0 {
                continue;
            }
            free_from = x + half + 8.0;
            let color = if mark.is_major { ink.text } else { ink.muted };
            let at = (x, self.bottom + 16.0);
            shapes.push(text(at, &mark.label, Anchor::Middle, color));
        }
        let zero = if self.axis.low < 0.0 { self.y(0.0) } else { self.bottom };
        shapes.push(line((self.left, zero), (self.right, zero + 1.0), ink.axis));
    }

    /// Adds the series: bands and areas first, so that no line is covered by another's area.
    pub(crate) fn draw_traces(&self, traces: &[Trace], colors: &[Color], shapes: &mut Vec<Shape>) {
        let is_stacked = self.chart.is_stacked;
        for (i, (trace, &color)) in traces.iter().zip(colors).enumerate() {
            let style = self.chart.series.get(i).map_or(LineStyle::Line, |series| series.style);
            let alpha = match (is_stacked, style) {
                (true, _) => 0.78,
                (false, LineStyle::Line) => 0.0,
                (false, _) => 0.28,
            };
            for (runs, alpha) in [(&trace.band, 0.18), (&trace.area, alpha)] {
                let paint = Paint { color, alpha };
                let areas = runs.iter().map(|run| Shape::Area { points: self.ring(run), paint });
                shapes.extend(areas);
            }
        }
        let width = if is_stacked { 1.0 } else { LINE };
        for (trace, &color) in traces.iter().zip(colors) {
            let paint = Paint::full(color);
            for run in &trace.line {
                match run.at.as_slice() {
                    [at] => {
                        let at = (self.x(*at), self.y(run.high[0]));
                        shapes.push(Shape::Dot { at, radius: 2.0, paint });
                    }
                    _ => shapes.push(Shape::Line { points: self.path(run), width, paint }),
                }
            }
        }
    }

    /// Returns the line of a run: of each column of pixels the first, least, greatest and last.
    fn path(&self, run: &Run) -> Vec<Point> {
        let all = run.at.iter().zip(&run.high).map(|(at, v)| (self.x(*at), self.y(*v)));
        if run.at.len() <= 2 * (self.right - self.left) as usize {
            return all.collect();
        }
        let mut points: Vec<Point> = Vec::new();
        let mut column: Vec<Point> = Vec::new();
        for point in all {
            if column.first().is_some_and(|first| first.0.floor() != point.0.floor()) {
                flush(&mut column, &mut points);
            }
            column.push(point);
        }
        flush(&mut column, &mut points);
        points
    }

    /// Returns the outline of a run's area: along the upper edge and back along the lower.
    ///
    /// More points than two a column are joined: the least and the greatest of each column stay.
    fn ring(&self, run: &Run) -> Vec<Point> {
        let mut columns: Vec<(f32, f32, f32)> = Vec::new();
        let is_dense = run.at.len() > 2 * (self.right - self.left) as usize;
        for ((at, low), high) in run.at.iter().zip(&run.low).zip(&run.high) {
            let (x, low, high) = (self.x(*at), self.y(*low), self.y(*high));
            match columns.last_mut() {
                Some(last) if is_dense && last.0.floor() == x.floor() => {
                    (last.1, last.2) = (last.1.max(low), last.2.min(high));
                }
                _ => columns.push((x, low, high)),
            }
        }
        if let [(x, low, high)] = columns[..] {
            columns = vec![(x - 1.0, low, high), (x + 1.0, low, high)];
        }
        let upper = columns.iter().map(|(x, _, high)| (*x, *high));
        let lower = columns.iter().rev().map(|(x, low, _)| (*x, *low));
        upper.chain(lower).collect()
    }

    /// Adds thresholds and marks, and "no data" to an empty graph; no text covers another.
    pub(crate) fn draw_limits(&self, is_empty: bool, ink: &Ink, shapes: &mut Vec<Shape>) {
        let mut labels = Labels::default();
        if is_empty {
            self.draw_no_data(ink, &mut labels, shapes);
        }
        self.draw_marks(&mut labels, shapes);
        self.draw_thresholds(&mut labels, shapes);
        labels.draw(ink.ground, shapes);
    }

    /// Adds the lines of the thresholds; those out of view are an arrow at the edge.
    fn draw_thresholds(&self, labels: &mut Labels, shapes: &mut Vec<Shape>) {
        for threshold in self.chart.thresholds.iter().filter(|t| t.value.is_finite()) {
            let color = status_color(threshold.severity, self.chart.theme);
            let (value, axis) = (threshold.value, self.axis);
            let y = self.y(value).round();
            let (label, is_in_view) = match value {
                v if v > axis.high => (format!("↑ {}", threshold.label), false),
                v if v < axis.low => (format!("↓ {}", threshold.label), false),
                _ => (threshold.label.clone(), true),
            };
            if is_in_view {
                self.dashes(y, color, shapes);
            }
            let text = LABEL.shorten(label.trim_end(), (self.right - self.left) * 0.6);
            let width = LABEL.width(&text);
            let heights = if y - self.top < 16.0 { [y + 13.0; 2] } else { [y - 4.0, y + 13.0] };
            let sides = [
                self.right - 5.0 - width,
                self.left + 5.0,
                f32::midpoint(self.left, self.right) - width / 2.0,
            ];
            let places = sides.iter().flat_map(|x| heights.map(|baseline| (*x, baseline)));
            let is_inside = |(_, baseline): &Point| *baseline < self.bottom - 2.0;
            labels.place(places.filter(is_inside), text, color);
        }
    }

    fn dashes(&self, y: f32, color: Color, shapes: &mut Vec<Shape>) {
        let (dash, gap) = (6.0, 3.0);
        let mut x = self.left;
        while x < self.right {
            let to = ((x + dash).min(self.right), y + 1.0);
            shapes.push(Shape::Rect { from: (x, y), to, paint: Paint::full(color) });
            x += dash + gap;
        }
    }

    /// Adds the marks in time; labels that would meet stand below each other.
    fn draw_marks(&self, labels: &mut Labels, shapes: &mut Vec<Shape>) {
        let is_in_view = |at: Timestamp| at >= self.chart.start && at <= self.chart.end;
        for mark in self.chart.marks.iter().filter(|mark| is_in_view(mark.at)) {
            let muted = self.chart.theme.ink().muted;
            let color =
                mark.severity.map_or(muted, |status| status_color(status, self.chart.theme));
            let x = self.x(mark.at.as_millis()).round().min(self.right - 1.0);
            let paint = Paint::full(color);
            let line = Shape::Rect { from: (x, self.top), to: (x + 1.0, self.bottom), paint };
            shapes.push(line);
            let flag = vec![(x - 3.5, self.top), (x + 4.5, self.top), (x + 0.5, self.top + 6.0)];
            shapes.push(Shape::Area { points: flag, paint });
            let room = (x - self.left).max(self.right - x) - 12.0;
            let text = LABEL.shorten(&mark.label, room);
            let width = LABEL.width(&text);
            let is_right = x + 12.0 + width <= self.right;
            let left = if is_right { x + 8.0 } else { x - 7.0 - width };
            let rows = ((self.bottom - self.top) / LABEL_ROW) as usize;
            let places = (0..rows).map(|row| (left, self.top + 12.0 + row as f32 * LABEL_ROW));
            labels.place(places, text, color);
        }
    }

    fn draw_no_data(&self, ink: &Ink, labels: &mut Labels, shapes: &mut Vec<Shape>) {
        let middle =
            (f32::midpoint(self.left, self.right), f32::midpoint(self.top, self.bottom) + 5.0);
        let face = Face::regular(14.0);
        let text = "no data".to_owned();
        let half = face.width(&text) / 2.0 + 8.0;
        let (from, to) = ((middle.0 - half, middle.1 - 17.0), (middle.0 + half, middle.1 + 9.0));
        shapes.push(Shape::Rect { from, to, paint: Paint::full(ink.ground) });
        let (anchor, color) = (Anchor::Middle, ink.muted);
        shapes.push(Shape::Text { at: middle, text, face, anchor, color });
        labels.reserve((middle.0 - half, middle.1), half * 2.0);
    }
}

/// Moves a column's first, least, greatest and last point to `points`, in order of time.
fn flush(column: &mut Vec<Point>, points: &mut Vec<Point>) {
    let by_height = |a: &(usize, &Point), b: &(usize, &Point)| a.1.1.total_cmp(&b.1.1);
    let lowest = column.iter().enumerate().max_by(by_height).map_or(0, |(i, _)| i);
    let highest = column.iter().enumerate().min_by(by_height).map_or(0, |(i, _)| i);
    let mut kept = [0, lowest, highest, column.len().saturating_sub(1)].to_vec();
    kept.sort_unstable();
    kept.dedup();
    points.extend(kept.into_iter().filter_map(|i| column.get(i)));
    column.clear();
}

fn text(at: Point, text: &str, anchor: Anchor, color: Color) -> Shape {
    Shape::Text { at, text: text.to_owned(), face: LABEL, anchor, color }
}

/// Labels inside the plot; they are drawn last and none covers another.
#[derive(Default)]
struct Labels {
    /// Left end of the baseline and width of all that is taken.
    taken: Vec<(Point, f32)>,
    /// Left end of the baseline, width, text, colour.
    placed: Vec<(Point, f32, String, Color)>,
}

impl Labels {
    /// Keeps a place free.
    fn reserve(&mut self, place: Point, width: f32) {
        self.taken.push((place, width));
    }

    /// Puts a text at the first of the places (left end of the baseline) that is free; a label for
    /// which there is none is left out, for two on each other are read by nobody.
    fn place(&mut self, places: impl Iterator<Item = Point>, text: String, color: Color) {
        let width = LABEL.width(&text);
        let is_free = |(x, y): &Point| {
            self.taken.iter().all(|((other_x, other_y), other_width)| {
                let is_beside = x + width + 7.0 < *other_x || other_x + other_width + 7.0 < *x;
                is_beside || (y - other_y).abs() >= LABEL_ROW - 1.0
            })
        };
        let mut places = places;
        if let Some(place) = places.find(is_free).filter(|_| !text.is_empty()) {
            self.reserve(place, width);
            self.placed.push((place, width, text, color));
        }
    }

    /// Adds the labels, each on a patch of the ground's colour.
    fn draw(&self, ground: Color, shapes: &mut Vec<Shape>) {
        for ((x, y), width, label, color) in &self.placed {
            let (from, to) = ((x - 3.0, y - 11.0), (x + width + 3.0, y + 3.0));
            shapes.push(Shape::Rect { from, to, paint: Paint { color: ground, alpha: 0.85 } });
            shapes.push(text((*x, *y), label, Anchor::Left, *color));
        }
    }
}
