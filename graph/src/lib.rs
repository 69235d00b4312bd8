//! Draws a description and some series as PNG or SVG.
//!
//! For mails, reports and pages of others; the browser program draws its own. Nothing here reads a
//! file, opens a socket or asks for the time: a chart is drawn from its description alone.
//!
//! ```
//! use noroshi_graph::{Chart, ChartSeries};
//! use noroshi_model::Timestamp;
//!
//! let start = Timestamp::from_secs(1_700_000_000);
//! let mut chart = Chart::new("Load of web1", start, Timestamp::from_secs(1_700_000_600));
//! chart.series.push(ChartSeries {
//!     legend: "1 minute".to_owned(),
//!     at: (0..60).map(|i| start.as_millis() + i * 10_000).collect(),
//!     value: (0..60).map(|i| f64::from(i % 7)).collect(),
//!     ..ChartSeries::default()
//! });
//! let png = chart.png()?;
//! assert_eq!(&png[1..4], b"PNG");
//! assert!(chart.svg()?.contains("Load of web1"));
//! # Ok::<(), noroshi_graph::DrawError>(())
//! ```

mod axis;
mod calendar;
mod canvas;
mod chart;
pub mod color;
mod encode;
mod font;
mod legend;
mod picture;
mod plot;
mod shape;
mod trace;

use plotters::prelude::{IntoDrawingArea, SVGBackend};

use crate::canvas::Canvas;
use crate::shape::FINE;

pub use chart::{Band, Chart, ChartSeries, Mark, Threshold};
pub use color::{Color, Theme, palette, status_color};

/// Smallest width in pixels: below, a legend has no room.
pub const WIDTH_MIN: u32 = 200;
/// Smallest height in pixels: below, a plot has no room.
pub const HEIGHT_MIN: u32 = 100;
/// Largest width and height in pixels: 48 MiB of memory, more than any screen.
pub const SIDE_MAX: u32 = 4096;

/// Why a chart could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The picture would be too small or too large.
    #[error(
        "cannot draw a graph of {width} x {height} pixels; it may be {WIDTH_MIN} to {SIDE_MAX} wide and {HEIGHT_MIN} to {SIDE_MAX} high"
    )]
    Size {
        /// The width that was asked for.
        width: u32,
        /// The height that was asked for.
        height: u32,
    },
    /// The span does not go forwards.
    #[error("cannot draw a graph whose end is not later than its start")]
    Span,
    /// A series has not as many values (or edges of the band) as moments, or they are not ordered.
    #[error("series {legend:?} has not one value a moment, in order of time")]
    Series {
        /// The series' name.
        legend: String,
    },
    /// The drawing itself failed.
    #[error("cannot draw a graph: {0}")]
    Draw(String),
    /// The picture could not be encoded.
    #[error("cannot encode a graph as PNG")]
    Encode(#[source] png::EncodingError),
}

impl Chart {
    /// Draws the chart as PNG, 8 bits a channel, without transparency.
    ///
    /// Errors: [`DrawError`].
    pub fn png(&self) -> Result<Vec<u8>, DrawError> {
        encode::encode(&self.pixels()?, self.width, self.height).map_err(DrawError::Encode)
    }

    /// Draws the chart into memory: 3 bytes a pixel (red, green, blue), rows from the top.
    pub(crate) fn pixels(&self) -> Result<Vec<u8>, DrawError> {
        self.check()?;
        let mut pixels = vec![0; self.width as usize * self.height as usize * 3];
        let canvas = Canvas::new(&mut pixels, self.width, self.height);
        shape::draw(&canvas.into_drawing_area(), &picture::shapes(self))
            .map_err(|error| DrawError::Draw(error.to_string()))?;
        Ok(pixels)
    }

    /// Draws the chart as SVG. Texts stay texts, in the viewer's `DejaVu` Sans, Verdana or Arial.
    ///
    /// Errors: [`DrawError`].
    pub fn svg(&self) -> Result<String, DrawError> {
        self.check()?;
        let mut svg = String::new();
        let (width, height) = (self.width, self.height);
        let fine = FINE as u32;
        {
            let backend = SVGBackend::with_string(&mut svg, (width * fine, height * fine));
            shape::draw(&backend.into_drawing_area(), &picture::shapes(self))
                .map_err(|error| DrawError::Draw(error.to_string()))?;
        }
        // The picture was described in fine steps; the view box stays so, the size does not.
        let from = format!(r#"width="{}" height="{}""#, width * fine, height * fine);
        Ok(svg.replacen(&from, &format!(r#"width="{width}" height="{height}""#), 1))
    }

    fn check(&self) -> Result<(), DrawError> {
        let (width, height) = (self.width, self.height);
        let is_sized =
            (WIDTH_MIN..=SIDE_MAX).contains(&width) && (HEIGHT_MIN..=SIDE_MAX).contains(&height);
        if !is_sized {
            return Err(DrawError::Size { width, height });
        }
        let span = self.end.as_millis().checked_sub(self.start.as_millis());
        if span.is_none_or(|span| span <= 0) {
            return Err(DrawError::Span);
        }
        for series in &self.series {
            let count = series.at.len();
            let is_whole = series.value.len() == count
                && series
                    .band
                    .as_ref()
                    .is_none_or(|band| band.min.len() == count && band.max.len() == count);
            if !is_whole || !series.at.is_sorted_by(|a, b| a < b) {
                return Err(DrawError::Series { legend: series.legend.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
