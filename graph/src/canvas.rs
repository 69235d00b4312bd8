//! A plotters backend that draws into memory with smooth edges and evenly spaced letters.
//!
//! plotters' own bitmap backend draws lines of one pixel without smoothing and sets letters on
//! whole pixels without their side bearings, which shows in a small graph. This one computes for
//! each shape how much of each pixel it covers, by `ab_glyph_rasterizer`.

use std::convert::Infallible;
use std::ops::Range;

use ab_glyph::{Font, ScaleFont};
use ab_glyph_rasterizer::{Point, Rasterizer, point};
use plotters::prelude::DrawingBackend;
use plotters_backend::text_anchor::HPos;
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind, FontStyle,
};

use crate::font::Face;
use crate::shape::{FINE, PLOTTERS_EM, TOP_TO_BASELINE_EM};

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

/// In so many steps an edge goes from not covered to covered.
///
/// The eye sees no difference to 256, and a picture has a tenth of the colours: most then fit into
/// a palette, which makes the PNG less than half as large.
const COVERAGE_STEPS: usize = 8;

/// Less than this rounds to nothing.
const COVERAGE_MIN: f32 = 0.5 / COVERAGE_STEPS as f32;

/// A picture in memory, 3 bytes a pixel: red, green, blue; rows from the top.
pub(crate) struct Canvas<'a> {
    pixels: &'a mut [[u8; 3]],
    width: i32,
    height: i32,
    rasterizer: Rasterizer,
}

impl<'a> Canvas<'a> {
    /// Draws onto `pixels`, whose length is `width * height * 3`.
    pub(crate) fn new(pixels: &'a mut [u8], width: u32, height: u32) -> Self {
        let (pixels, rest) = pixels.as_chunks_mut::<3>();
        let is_sized = pixels.len() == width as usize * height as usize && rest.is_empty();
        assert!(is_sized, "the size of the picture is that of its memory");
        let rasterizer = Rasterizer::new(0, 0);
        Self { pixels, width: width as i32, height: height as i32, rasterizer }
    }

    /// Mixes a colour into a pixel; outside the picture nothing happens.
    #[inline]
    fn blend(&mut self, x: i32, y: i32, shades: &Shades, coverage: f32) {
        if x < 0 || y < 0 || x >= self.width || y >= self.height {
            return;
        }
        let index = y as usize * self.width as usize + x as usize;
        shades.mix(&mut self.pixels[index], coverage);
    }

    /// Fills whole pixels: the columns and rows of the two ranges that are in the picture.
    fn fill_whole(&mut self, columns: Range<i32>, rows: Range<i32>, color: BackendColor) {
        let shades = Shades::new(color);
        let left = columns.start.clamp(0, self.width) as usize;
        let right = columns.end.clamp(0, self.width) as usize;
        let rows = rows.start.clamp(0, self.height)..rows.end.clamp(0, self.height);
        for y in rows {
            let start = y as usize * self.width as usize;
            for pixel in &mut self.pixels[start + left..start + right.max(left)] {
                if shades.is_opaque {
                    *pixel = shades.color;
                } else {
                    shades.mix(pixel, 1.0);
                }
            }
        }
    }

    /// Fills what `outline` encloses: it is given the rasterizer and the corner of its box.
    ///
    /// `low` and `high` bound the outline. The parts of an outline must all turn one way.
    fn fill(
        &mut self,
        low: Point,
        high: Point,
        color: BackendColor,
        outline: impl FnOnce(&mut Rasterizer, Point),
    ) {
        let left = (low.x.floor() as i32).clamp(-4, self.width);
        let top = (low.y.floor() as i32).clamp(-4, self.height);
        let right = (high.x.ceil() as i32 + 1).clamp(left, self.width + 4);
        let bottom = (high.y.ceil() as i32 + 1).clamp(top, self.height + 4);
        let (box_width, box_height) = ((right - left) as usize, (bottom - top) as usize);
        if box_width == 0 || box_height == 0 {
            return;
        }
        let mut rasterizer = std::mem::replace(&mut self.rasterizer, Rasterizer::new(0, 0));
        rasterizer.reset(box_width, box_height);
        outline(&mut rasterizer, point(left as f32, top as f32));
        self.cover(&rasterizer, (left, top), &Shades::new(color));
        self.rasterizer = rasterizer;
    }

    /// Mixes a colour in by the coverage of a box whose upper left corner is given.
    fn cover(&mut self, rasterizer: &Rasterizer, (left, top): (i32, i32), shades: &Shades) {
        let width = rasterizer.dimensions().0 as i32;
        // `for_each_pixel_2d` divides for each pixel; counting along is a third of the time.
        let (mut column, mut y) = (0, top);
        rasterizer.for_each_pixel(|_, coverage| {
            if coverage > COVERAGE_MIN {
                self.blend(left + column, y, shades, coverage);
            }
            column += 1;
            if column == width {
                (column, y) = (0, y + 1);
            }
        });
    }

    fn fill_points(&mut self, points: &[Point], color: BackendColor) {
        let (low, high) = bounds(points, 0.0);
        self.fill(low, high, color, |rasterizer, corner| {
            let next = points.iter().skip(1).chain(points.first());
            for (a, b) in points.iter().zip(next) {
                rasterizer.draw_line(*a - corner, *b - corner);
            }
        });
    }

    fn stroke(&mut self, points: &[Point], width: f32, color: BackendColor) {
        let (low, high) = bounds(points, width);
        self.fill(low, high, color, |rasterizer, corner| {
            let moved: Vec<_> = points.iter().map(|p| *p - corner).collect();
            outline_stroke(rasterizer, &moved, width / 2.0);
        });
    }
}

/// A colour as it is mixed: how much of it, in 256ths, for each step of coverage.
struct Shades {
    color: [u8; 3],
    shares: [i32; COVERAGE_STEPS + 1],
    is_opaque: bool,
}

impl Shades {
    fn new(color: BackendColor) -> Self {
        let share = |step| (step as f64 / COVERAGE_STEPS as f64 * color.alpha * 256.0) as i32;
        Self {
            color: [color.rgb.0, color.rgb.1, color.rgb.2],
            shares: std::array::from_fn(share),
            is_opaque: color.alpha >= 1.0,
        }
    }

    /// Mixes the colour into three bytes; `coverage` is 0..=1.
    #[inline]
    fn mix(&self, pixel: &mut [u8; 3], coverage: f32) {
        let step = (coverage * COVERAGE_STEPS as f32 + 0.5) as usize;
        let share = self.shares[step.min(COVERAGE_STEPS)];
        for (byte, channel) in pixel.iter_mut().zip(self.color) {
            let old = i32::from(*byte);
            *byte = (old + (((i32::from(channel) - old) * share + 128) >> 8)) as u8;
        }
    }
}

/// Adds a rectangle for each piece of the line and a triangle for the outer side of each bend.
///
/// All turn the same way, so that where they overlap the coverage adds up and does not cancel.
fn outline_stroke(rasterizer: &mut Rasterizer, points: &[Point], half: f32) {
    let mut previous: Option<Point> = None;
    for (a, b) in points.iter().zip(points.iter().skip(1)) {
        let along = *b - *a;
        let length = along.x.hypot(along.y);
        if length < 1e-3 {
            continue;
        }
        let side = point(-along.y / length * half, along.x / length * half);
        outline(rasterizer, &[*a + side, *a - side, *b - side, *b + side]);
        if let Some(before) = previous {
            let turn = before.x * side.y - before.y * side.x;
            let sign = if turn > 0.0 { -1.0 } else { 1.0 };
            let (from, to) =
                (point(before.x * sign, before.y * sign), point(side.x * sign, side.y * sign));
            outline(rasterizer, &[*a, *a + from, *a + to]);
        }
        previous = Some(side);
    }
}

/// Adds a closed polygon, turned so that its area is positive.
fn outline(rasterizer: &mut Rasterizer, corners: &[Point]) {
    let pairs = || corners.iter().zip(corners.iter().skip(1).chain(corners.first()));
    let area: f32 = pairs().map(|(a, b)| a.x * b.y - b.x * a.y).sum();
    for (a, b) in pairs() {
        if area > 0.0 { rasterizer.draw_line(*a, *b) } else { rasterizer.draw_line(*b, *a) }
    }
}

/// Returns the corners of the box around the points, `margin` larger on each side.
fn bounds(points: &[Point], margin: f32) -> (Point, Point) {
    let mut low = point(f32::MAX, f32::MAX);
    let mut high = point(f32::MIN, f32::MIN);
    for p in points {
        low = point(low.x.min(p.x - margin), low.y.min(p.y - margin));
        high = point(high.x.max(p.x + margin), high.y.max(p.y + margin));
    }
    (low, high)
}

fn pixels(coord: BackendCoord) -> Point {
    point(coord.0 as f32 / FINE, coord.1 as f32 / FINE)
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.width as u32 * FINE as u32, self.height as u32 * FINE as u32)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, at: BackendCoord, color: BackendColor) -> Drawn {
        let at = pixels(at);
        self.blend(at.x as i32, at.y as i32, &Shades::new(color), 1.0);
        Ok(())
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        _fill: bool,
    ) -> Drawn {
        let (a, b) = (pixels(from), pixels(to));
        let is_whole = |v: f32| v.fract() == 0.0;
        if [a.x, a.y, b.x, b.y].into_iter().all(is_whole) {
            let (columns, rows) = (a.x as i32..b.x as i32, a.y as i32..b.y as i32);
            self.fill_whole(columns, rows, style.color());
        } else {
            let corners = [a, point(b.x, a.y), b, point(a.x, b.y)];
            self.fill_points(&corners, style.color());
        }
        Ok(())
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let points: Vec<_> = path.into_iter().map(pixels).collect();
        self.stroke(&points, style.stroke_width() as f32 / FINE, style.color());
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        _fill: bool,
    ) -> Drawn {
        let (center, radius) = (pixels(center), radius as f32 / FINE);
        let corners = (0..24).map(|i| {
            let angle = i as f32 / 24.0 * std::f32::consts::TAU;
            center + point(angle.cos() * radius, angle.sin() * radius)
        });
        self.fill_points(&corners.collect::<Vec<_>>(), style.color());
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn {
        let points: Vec<_> = path.into_iter().map(pixels).collect();
        self.fill_points(&points, style.color());
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        let size = style.size() as f32 / FINE / PLOTTERS_EM;
        let is_bold = matches!(style.style(), FontStyle::Bold);
        let face = Face { size, is_bold };
        let at = pixels(at);
        let shift = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -face.width(text) / 2.0,
            HPos::Right => -face.width(text),
        };
        // Letters on a whole baseline are sharper.
        let mut pen = point(at.x + shift, (at.y + TOP_TO_BASELINE_EM * size).round());
        let font = face.font().as_scaled(face.scale());
        let shades = Shades::new(style.color());
        let mut previous = None;
        for c in text.chars() {
            let mut glyph = font.scaled_glyph(c);
            pen.x += previous.map_or(0.0, |previous| font.kern(previous, glyph.id));
            previous = Some(glyph.id);
            glyph.position = pen;
            pen.x += font.h_advance(glyph.id);
            let Some(outlined) = face.font().outline_glyph(glyph) else { continue };
            let corner = outlined.px_bounds().min;
            outlined.draw(|x, y, coverage| {
                let (x, y) = (corner.x as i32 + x as i32, corner.y as i32 + y as i32);
                self.blend(x, y, &shades, coverage);
            });
        }
        Ok(())
    }
}
