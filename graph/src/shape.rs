//! The shapes that a graph is made of, and how plotters draws them.
//!
//! Everything above this file computes in pixels with fractions; plotters' backends take whole
//! numbers. So each picture is described to them in [`FINE`] times its size: a line may lie
//! between two pixels and be one and a half of them wide.

use plotters::coord::Shift;
use plotters::prelude::{
    Circle, DrawingArea, DrawingAreaErrorKind, DrawingBackend, PathElement, Polygon, RGBAColor,
    Rectangle, ShapeStyle, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontStyle, IntoFont, TextStyle};

use crate::color::Color;
use crate::font::{FAMILY, Face};

/// How many steps of the backends' coordinates make one pixel.
pub(crate) const FINE: f32 = 10.0;

/// plotters gives SVG a font size of 1/1.24 of what it was asked for (`plotters-svg`, `svg.rs`).
pub(crate) const PLOTTERS_EM: f32 = 1.24;

/// How far below its upper anchor plotters' SVG puts the baseline, in ems (`plotters-svg`).
pub(crate) const TOP_TO_BASELINE_EM: f32 = 0.76;

/// A point: right and down from the upper left corner, in pixels.
pub(crate) type Point = (f32, f32);

/// A colour and how much it covers, 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Paint {
    pub(crate) color: Color,
    pub(crate) alpha: f64,
}

impl Paint {
    /// Covers fully.
    pub(crate) fn full(color: Color) -> Self {
        Self { color, alpha: 1.0 }
    }

    fn rgba(self) -> RGBAColor {
        RGBAColor(self.color.red, self.color.green, self.color.blue, self.alpha)
    }
}

/// To which side of its point a text lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Anchor {
    /// The point is the text's left end.
    Left,
    /// The point is the text's middle.
    Middle,
    /// The point is the text's right end.
    Right,
}

/// One thing to draw. Later ones cover earlier ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// A filled rectangle between two corners.
    Rect { from: Point, to: Point, paint: Paint },
    /// A line through points.
    Line { points: Vec<Point>, width: f32, paint: Paint },
    /// A filled polygon.
    Area { points: Vec<Point>, paint: Paint },
    /// A filled circle.
    Dot { at: Point, radius: f32, paint: Paint },
    /// A line of text whose baseline goes through the point.
    Text { at: Point, text: String, face: Face, anchor: Anchor, color: Color },
}

/// Draws the shapes onto an area that is [`FINE`] times as large as the picture.
pub(crate) fn draw<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    shapes: &[Shape],
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    for shape in shapes {
        match shape {
            Shape::Rect { from, to, paint } => {
                area.draw(&Rectangle::new([fine(*from), fine(*to)], filled(*paint)))?;
            }
            Shape::Line { points, width, paint } => {
                let style = filled(*paint).stroke_width((width * FINE).round() as u32);
                area.draw(&PathElement::new(all_fine(points), style))?;
            }
            Shape::Area { points, paint } => {
                area.draw(&Polygon::new(all_fine(points), filled(*paint)))?;
            }
            Shape::Dot { at, radius, paint } => {
                area.draw(&Circle::new(fine(*at), (radius * FINE).round(), filled(*paint)))?;
            }
            Shape::Text { at, text, face, anchor, color } => {
                let top = (at.0, at.1 - TOP_TO_BASELINE_EM * face.size);
                let style = text_style(*face, *anchor, *color);
                area.draw(&Text::new(text.as_str(), fine(top), style))?;
            }
        }
    }
    area.present()
}

fn fine(point: Point) -> (i32, i32) {
    ((point.0 * FINE).round() as i32, (point.1 * FINE).round() as i32)
}

fn all_fine(points: &[Point]) -> Vec<(i32, i32)> {
    points.iter().copied().map(fine).collect()
}

fn filled(paint: Paint) -> ShapeStyle {
    ShapeStyle { color: paint.rgba(), filled: true, stroke_width: 1 }
}

fn text_style(face: Face, anchor: Anchor, color: Color) -> TextStyle<'static> {
    let style = if face.is_bold { FontStyle::Bold } else { FontStyle::Normal };
    let side = match anchor {
        Anchor::Left => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::Right => HPos::Right,
    };
    let size = f64::from(face.size * FINE * PLOTTERS_EM);
    let mut text_style = TextStyle::from((FAMILY, size, style).into_font());
    text_style.color = Paint::full(color).rgba().to_backend_color();
    text_style.pos = Pos::new(side, VPos::Top);
    text_style
}
