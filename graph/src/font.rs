//! The embedded font: how wide a text is, and how it is made to fit.
//!
//! A subset of `DejaVu` Sans: Latin, Greek, Cyrillic, arrows, mathematics. `font/README.md` says how
//! it was made, `font/LICENSE` what may be done with it.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont};

/// What the SVG asks the viewer's machine for; the first is what texts are measured with.
pub(crate) const FAMILY: &str = "DejaVu Sans, Verdana, Arial, sans-serif";

/// Stands for a character that the font does not have.
const REPLACEMENT: char = '\u{fffd}';

const ELLIPSIS: char = '…';

/// A face and a size in pixels (of the em, as in CSS).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Face {
    /// Height of the em in pixels.
    pub(crate) size: f32,
    /// Whether it is the bold face.
    pub(crate) is_bold: bool,
}

impl Face {
    /// The regular face.
    pub(crate) const fn regular(size: f32) -> Self {
        Self { size, is_bold: false }
    }

    /// The bold face.
    pub(crate) const fn bold(size: f32) -> Self {
        Self { size, is_bold: true }
    }

    /// Returns the font of the face.
    pub(crate) fn font(self) -> &'static FontRef<'static> {
        static REGULAR: LazyLock<FontRef<'static>> =
            LazyLock::new(|| read(include_bytes!("../font/sans.ttf")));
        static BOLD: LazyLock<FontRef<'static>> =
            LazyLock::new(|| read(include_bytes!("../font/sans-bold.ttf")));
        if self.is_bold { &BOLD } else { &REGULAR }
    }

    /// Returns the scale at which the em is as high as the size says.
    ///
    /// `ab_glyph` scales by ascent minus descent, not by the em.
    pub(crate) fn scale(self) -> PxScale {
        let font = self.font();
        let em = font.units_per_em().unwrap_or(1.0);
        PxScale::from(self.size * font.height_unscaled() / em)
    }

    /// Returns how wide a text is, in pixels.
    pub(crate) fn width(self, text: &str) -> f32 {
        let font = self.font().as_scaled(self.scale());
        let mut width = 0.0;
        let mut previous = None;
        for id in text.chars().map(|c| font.glyph_id(c)) {
            width += previous.map_or(0.0, |previous| font.kern(previous, id)) + font.h_advance(id);
            previous = Some(id);
        }
        width
    }

    /// Returns the text, or as much of its beginning as fits into `width` with an ellipsis.
    pub(crate) fn shorten(self, text: &str, width: f32) -> String {
        let text = self.readable(text);
        if self.width(&text) <= width {
            return text;
        }
        let room = width - self.width("…");
        let font = self.font().as_scaled(self.scale());
        let mut used = 0.0;
        let is_fitting = |c: &char| {
            used += font.h_advance(font.glyph_id(*c));
            used <= room
        };
        let short: String = text.chars().take_while(is_fitting).collect();
        let short = short.trim_end();
        if short.is_empty() { String::new() } else { format!("{short}{ELLIPSIS}") }
    }

    /// Returns the text with a visible sign in the place of each character that cannot be drawn.
    ///
    /// At most [`TEXT_CHARS_MAX`] characters are looked at.
    fn readable(self, text: &str) -> String {
        let font = self.font();
        let is_drawable = |c: char| !c.is_control() && font.glyph_id(c).0 != 0;
        text.chars()
            .take(TEXT_CHARS_MAX)
            .map(|c| if is_drawable(c) { c } else { REPLACEMENT })
            .collect()
    }
}

/// Longest text that is looked at, in characters: more than any picture is wide.
const TEXT_CHARS_MAX: usize = 600;

fn read(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("the embedded font is read by a test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faces_have_the_letters_that_texts_need() {
        let all = "Aaß éñő Ωλ Жя → ↑ ≥ ≤ ± · … – “” µ °C ∞ ✓ €";
        for face in [Face::regular(11.0), Face::bold(11.0)] {
            assert_eq!(face.shorten(all, 9999.0), all);
            assert_eq!(face.shorten("漢\u{7}字", 999.0), "\u{fffd}\u{fffd}\u{fffd}");
        }
    }

    #[test]
    fn digits_are_of_one_width_so_that_columns_align() {
        let face = Face::regular(11.0);
        for digit in '1'..='9' {
            assert_eq!(face.width(&digit.to_string()), face.width("0"));
        }
        // 1303 of 2048 units of the em (DejaVu Sans' digits).
        assert!((face.width("0000") - 4.0 * 11.0 * 1303.0 / 2048.0).abs() < 0.05);
    }

    #[test]
    fn long_texts_are_shortened_to_their_room() {
        let face = Face::regular(11.0);
        let short = face.shorten("a rather long name of a series", 80.0);
        assert!(short.ends_with('…') && short.starts_with("a rather"), "{short}");
        assert!(face.width(&short) <= 80.0);
        assert_eq!(face.shorten("short", 80.0), "short");
        assert_eq!(face.shorten("nothing fits", 2.0), "");
    }
}
