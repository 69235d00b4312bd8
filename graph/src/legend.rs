//! The legend: a table of the series with their last, average, greatest and least value.

use noroshi_model::format_value;

use crate::color::{Color, Ink};
use crate::font::Face;
use crate::shape::{Anchor, Paint, Point, Shape};
use crate::trace::Figures;

const FACE: Face = Face::regular(11.0);

/// Height of a row in pixels.
const ROW: f32 = 16.0;
/// Room of the coloured square in front of a name.
const SWATCH: f32 = 16.0;
/// Air between two columns of figures.
const AIR: f32 = 14.0;
/// Air between two tables beside each other.
const GUTTER: f32 = 32.0;
/// A name gets at least this much before columns of figures are left out.
const NAME_MIN: f32 = 110.0;
/// A name gets at most this much; beyond, it is shortened.
const NAME_MAX: f32 = 340.0;

/// One row before it has a place.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) color: Color,
    pub(crate) figures: Figures,
}

/// A legend that knows its size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Legend {
    /// Texts of each row: name, then as many figures as there are heads.
    rows: Vec<(Color, Vec<String>)>,
    /// Heads of the columns of figures.
    heads: Vec<&'static str>,
    /// Width of the name and of each column of figures.
    widths: Vec<f32>,
    /// How many tables stand beside each other.
    tables: usize,
    /// How many series have no row for want of room.
    left_out: usize,
}

type Column = (&'static str, fn(&Figures) -> f64);

/// The columns, the most important first; what does not fit is left out from the end.
const COLUMNS: [Column; 4] = [
    ("last", |figures| figures.last),
    ("avg", |figures| figures.average),
    ("max", |figures| figures.max),
    ("min", |figures| figures.min),
];

impl Legend {
    /// Fits a legend into `width` and at most `height` pixels.
    pub(crate) fn fit(entries: &[Entry], unit: &str, width: f32, height: f32) -> Self {
        let rows_max = ((height / ROW) as usize).saturating_sub(1);
        if entries.is_empty() || rows_max == 0 {
            return Self { left_out: entries.len(), ..Self::default() };
        }
        let figures: Vec<Vec<String>> =
            entries.iter().map(|entry| COLUMNS.map(|c| written(&c, entry, unit)).into()).collect();
        let column = |i: usize| {
            let head = FACE.width(COLUMNS[i].0);
            AIR + figures.iter().map(|row| FACE.width(&row[i])).fold(head, f32::max)
        };
        let mut widths: Vec<f32> = (0..COLUMNS.len()).map(column).collect();
        while widths.len() > 1 && width - SWATCH - widths.iter().sum::<f32>() < NAME_MIN {
            widths.pop();
        }
        let names = entries.iter().map(|entry| FACE.width(&entry.name)).fold(NAME_MIN, f32::max);
        let numbers = SWATCH + widths.iter().sum::<f32>();
        let name = names.min(NAME_MAX).min(width - numbers);
        let fitting = ((width + GUTTER) / (name + numbers + GUTTER)) as usize;
        let tables = if entries.len() > 3 { fitting.clamp(1, 3) } else { 1 };
        let is_all = entries.len() <= rows_max * tables;
        let shown = if is_all { entries.len() } else { rows_max * tables - 1 };

        let rows = entries.iter().zip(figures).take(shown).map(|(entry, figures)| {
            let name = FACE.shorten(&entry.name, name);
            let texts = std::iter::once(name).chain(figures.into_iter().take(widths.len()));
            (entry.color, texts.collect())
        });
        Self {
            rows: rows.collect(),
            heads: COLUMNS[..widths.len()].iter().map(|(head, _)| *head).collect(),
            widths: std::iter::once(name).chain(widths).collect(),
            tables,
            left_out: entries.len() - shown,
        }
    }

    /// Returns the height in pixels; zero without rows.
    pub(crate) fn height(&self) -> f32 {
        if self.rows.is_empty() { 0.0 } else { (self.rows_a_table() + 1) as f32 * ROW }
    }

    fn rows_a_table(&self) -> usize {
        let lines = self.rows.len() + usize::from(self.left_out > 0);
        lines.div_ceil(self.tables.max(1))
    }

    /// Adds the shapes of the legend, its upper left corner at `corner`.
    pub(crate) fn draw(&self, corner: Point, ink: &Ink, shapes: &mut Vec<Shape>) {
        if self.rows.is_empty() {
            return;
        }
        let table_width = SWATCH + self.widths.iter().sum::<f32>();
        let place = |index: usize| {
            let table = index / self.rows_a_table();
            let x = corner.0 + table as f32 * (table_width + GUTTER);
            (x, corner.1 + (index % self.rows_a_table() + 1) as f32 * ROW)
        };
        let tables = self.rows.len().div_ceil(self.rows_a_table());
        for table in 0..tables {
            let (x, y) = place(table * self.rows_a_table());
            let heads = self.heads.iter().map(|head| (*head).to_owned());
            let texts: Vec<_> = std::iter::once(String::new()).chain(heads).collect();
            self.draw_row((x, y - ROW), &texts, (ink.muted, ink.muted), shapes);
        }
        for (index, (color, texts)) in self.rows.iter().enumerate() {
            let (x, y) = place(index);
            let (from, to) = ((x, y + 3.0), (x + 10.0, y + 13.0));
            shapes.push(Shape::Rect { from, to, paint: Paint::full(*color) });
            self.draw_row((x, y), texts, (ink.text, ink.text), shapes);
        }
        if self.left_out > 0 {
            let more = vec![format!("and {} more", self.left_out)];
            self.draw_row(place(self.rows.len()), &more, (ink.muted, ink.muted), shapes);
        }
    }

    /// Adds the texts of one row: the name to the left, figures to the right of their columns.
    fn draw_row(
        &self,
        corner: Point,
        texts: &[String],
        (name, figures): (Color, Color),
        shapes: &mut Vec<Shape>,
    ) {
        let baseline = corner.1 + 12.0;
        let mut x = corner.0 + SWATCH;
        for (column, (text, width)) in texts.iter().zip(&self.widths).enumerate() {
            let (at, anchor, color) = match column {
                0 => (x, Anchor::Left, name),
                _ => (x + width, Anchor::Right, figures),
            };
            x += width;
            if !text.is_empty() {
                let at = (at, baseline);
                shapes.push(Shape::Text { at, text: text.clone(), face: FACE, anchor, color });
            }
        }
    }
}

fn written(column: &Column, entry: &Entry, unit: &str) -> String {
    let value = column.1(&entry.figures);
    if value.is_nan() { "–".to_owned() } else { format_value(value, unit) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::Theme;

    fn entries(count: usize, name: &str) -> Vec<Entry> {
        let figures = Figures { last: 1.5, average: 2.5, min: 0.0, max: 1e6 };
        let color = Color::from_rgb(0);
        vec![Entry { name: name.to_owned(), color, figures }; count]
    }

    fn texts(legend: &Legend) -> Vec<(String, Point, Anchor)> {
        let mut shapes = Vec::new();
        legend.draw((10.0, 100.0), &Theme::Light.ink(), &mut shapes);
        let text = |shape| match shape {
            Shape::Text { at, text, anchor, .. } => Some((text, at, anchor)),
            _ => None,
        };
        shapes.into_iter().filter_map(text).collect()
    }

    #[test]
    fn figures_stand_right_aligned_under_their_heads() {
        let legend = Legend::fit(&entries(2, "user"), "seconds", 780.0, 200.0);
        assert_eq!(legend.height(), 3.0 * ROW);
        let all = texts(&legend);
        let names: Vec<_> = all.iter().map(|(text, ..)| text.as_str()).collect();
        let row = ["user", "1.5 s", "2.5 s", "11 d 13 h", "0 s"];
        assert_eq!(names[..4], ["last", "avg", "max", "min"]);
        assert_eq!(names[4..9], row);
        for (head, cell) in all[..4].iter().zip(&all[5..9]) {
            assert_eq!((head.1.0, head.2), (cell.1.0, Anchor::Right), "{head:?} {cell:?}");
        }
    }

    #[test]
    fn what_has_no_room_is_left_out_and_counted() {
        let legend = Legend::fit(&entries(30, "a very long name of a series"), "", 300.0, 80.0);
        // 5 rows fit, one is the head, the last says how many more there are.
        assert_eq!(legend.rows.len(), 3);
        assert!(texts(&legend).iter().any(|(text, ..)| text == "and 27 more"));
        let narrow = Legend::fit(&entries(1, "name"), "seconds", 230.0, 80.0);
        assert!(narrow.heads.len() < 4);
        assert!(narrow.widths.iter().sum::<f32>() + SWATCH <= 230.0);
    }

    #[test]
    fn many_series_stand_in_several_tables() {
        let legend = Legend::fit(&entries(8, "user"), "", 1180.0, 200.0);
        assert_eq!((legend.tables, legend.rows_a_table()), (3, 3));
        let right = texts(&legend).iter().map(|(_, at, _)| at.0).fold(0.0, f32::max);
        assert!(right <= 1190.0, "{right}");
    }
}
