//! Colours: of the series, of the statuses, and of paper and ink in both themes.
//!
//! The eight colours of series start from the set of Okabe and Ito ("Color Universal Design",
//! 2008), moved in lightness until each stands out from its theme's ground (contrast of at least
//! 3 : 1, WCAG 2.2, 1.4.11) and neighbours in the list differ for people with normal sight,
//! protanopia and deuteranopia alike. The tests of this file compute both.

use std::str::FromStr;

use noroshi_model::Status;

/// A colour in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Color {
    /// Red, 0..=255.
    pub red: u8,
    /// Green, 0..=255.
    pub green: u8,
    /// Blue, 0..=255.
    pub blue: u8,
}

impl Color {
    /// Makes a colour from `0xRRGGBB`.
    pub const fn from_rgb(rgb: u32) -> Self {
        Self { red: (rgb >> 16) as u8, green: (rgb >> 8) as u8, blue: rgb as u8 }
    }
}

impl FromStr for Color {
    type Err = ColorError;

    /// Reads `#RRGGBB` or `RRGGBB`.
    fn from_str(text: &str) -> Result<Self, ColorError> {
        let digits = text.strip_prefix('#').unwrap_or(text);
        let is_hex = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        match u32::from_str_radix(digits, 16) {
            Ok(rgb) if is_hex => Ok(Self::from_rgb(rgb)),
            _ => Err(ColorError(text.to_owned())),
        }
    }
}

/// A text that is no colour.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no colour; write it as #RRGGBB")]
pub struct ColorError(String);

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Theme {
    /// Dark ink on white paper.
    #[default]
    Light,
    /// Light ink on a dark ground, for dark rooms.
    Dark,
}

impl FromStr for Theme {
    type Err = ThemeError;

    /// Reads `light` or `dark`.
    fn from_str(text: &str) -> Result<Self, ThemeError> {
        match text {
            "light" => Ok(Self::Light),
            "dark" => Ok(Self::Dark),
            _ => Err(ThemeError(text.to_owned())),
        }
    }
}

/// A text that names no theme.
#[derive(Debug, thiserror::Error)]
#[error("no theme is called {0:?}; there are \"light\" and \"dark\"")]
pub struct ThemeError(String);

/// The colours of everything that is not a series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ink {
    /// The ground of the whole picture.
    pub(crate) ground: Color,
    /// Title and legend.
    pub(crate) text: Color,
    /// Labels of the axes, subtitle, heads of the legend.
    pub(crate) muted: Color,
    /// Grid lines.
    pub(crate) grid: Color,
    /// The line at zero and the lower edge.
    pub(crate) axis: Color,
}

impl Theme {
    /// Returns the colours of paper and ink.
    pub(crate) fn ink(self) -> Ink {
        match self {
            Self::Light => Ink {
                ground: Color::from_rgb(0xff_ffff),
                text: Color::from_rgb(0x1b_2129),
                muted: Color::from_rgb(0x5c_6670),
                grid: Color::from_rgb(0xe6_e9ec),
                axis: Color::from_rgb(0x9a_a3ad),
            },
            Self::Dark => Ink {
                ground: Color::from_rgb(0x14_181d),
                text: Color::from_rgb(0xe4_e8ec),
                muted: Color::from_rgb(0x98_a2ad),
                grid: Color::from_rgb(0x29_3038),
                axis: Color::from_rgb(0x5d_6772),
            },
        }
    }
}

const LIGHT: [Color; 8] = [
    Color::from_rgb(0x00_72b2), // blue
    Color::from_rgb(0xcd_5700), // vermilion
    Color::from_rgb(0x04_946a), // bluish green
    Color::from_rgb(0x8e_3f7c), // purple
    Color::from_rgb(0xb3_8a03), // ochre
    Color::from_rgb(0x48_9bd1), // sky blue
    Color::from_rgb(0x6b_3a1e), // brown
    Color::from_rgb(0x73_7c8a), // grey
];

const DARK: [Color; 8] = [
    Color::from_rgb(0x4a_a3e0), // blue
    Color::from_rgb(0xf5_8a44), // vermilion
    Color::from_rgb(0x3b_bf8b), // bluish green
    Color::from_rgb(0xcb_80cc), // purple
    Color::from_rgb(0xe8_cb55), // ochre
    Color::from_rgb(0x9b_d4f5), // sky blue
    Color::from_rgb(0xb0_7b57), // brown
    Color::from_rgb(0x9b_a3ad), // grey
];

/// Returns the colours that series get in turn; the ninth is the first again.
pub fn palette(theme: Theme) -> &'static [Color] {
    match theme {
        Theme::Light => &LIGHT,
        Theme::Dark => &DARK,
    }
}

/// Returns the colour of a status, for thresholds and marks.
///
/// The label beside the line says the same in words: nobody has to tell red from amber.
pub fn status_color(status: Status, theme: Theme) -> Color {
    let (light, dark) = match status {
        Status::Ok | Status::Up => (0x1a_7f37, 0x4c_c26a),
        Status::Warning => (0xa8_6400, 0xf0_b429),
        Status::Critical | Status::Down => (0xc6_2828, 0xff_6b62),
        Status::Unknown | Status::Unreachable => (0x7a_3fb5, 0xbf_96f0),
    };
    Color::from_rgb(if theme == Theme::Light { light } else { dark })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Linear = [f64; 3];

    /// sRGB to linear light (IEC 61966-2-1).
    fn linear(color: Color) -> Linear {
        [color.red, color.green, color.blue].map(|byte| {
            let c = f64::from(byte) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn times(matrix: [Linear; 3], color: Linear) -> Linear {
        matrix.map(|row| row.iter().zip(color).map(|(a, b)| a * b).sum())
    }

    /// Contrast as in WCAG 2.2.
    fn contrast(a: Color, b: Color) -> f64 {
        let luminance = |c| times([[0.2126, 0.7152, 0.0722]; 3], linear(c))[0] + 0.05;
        let (a, b) = (luminance(a), luminance(b));
        a.max(b) / a.min(b)
    }

    /// Linear light to `OKLab` (Ottosson 2020), where a distance of 0.02 is just visible.
    fn oklab(color: Linear) -> Linear {
        let lms = times(
            [
                [0.412_221_470_8, 0.536_332_536_3, 0.051_445_992_9],
                [0.211_903_498_2, 0.680_699_545_1, 0.107_396_956_6],
                [0.088_302_461_9, 0.281_718_837_6, 0.629_978_700_5],
            ],
            color,
        )
        .map(|c| c.max(0.0).cbrt());
        times(
            [
                [0.210_454_255_3, 0.793_617_785_0, -0.004_072_046_8],
                [1.977_998_495_1, -2.428_592_205_0, 0.450_593_709_9],
                [0.025_904_037_1, 0.782_771_766_2, -0.808_675_766_0],
            ],
            lms,
        )
    }

    /// Full loss of one kind of cone (Machado, Oliveira, Fernandes 2009, severity 1.0).
    const SIGHTS: [(&str, [Linear; 3]); 3] = [
        ("normal", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (
            "protanopia",
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
        ),
        (
            "deuteranopia",
            [
                [0.367_322, 0.860_646, -0.227_968],
                [0.280_085, 0.672_501, 0.047_413],
                [-0.011_820, 0.042_940, 0.968_881],
            ],
        ),
    ];

    #[test]
    fn every_color_stands_out_from_its_ground() {
        for theme in [Theme::Light, Theme::Dark] {
            let ground = theme.ink().ground;
            let statuses = Status::ALL.map(|status| status_color(status, theme));
            for color in palette(theme).iter().chain(&statuses) {
                let found = contrast(*color, ground);
                assert!(found >= 3.0, "{theme:?} {color:x?} has contrast {found:.2}");
            }
            for text in [theme.ink().text, theme.ink().muted] {
                assert!(contrast(text, ground) >= 4.5, "{theme:?} text");
            }
        }
    }

    #[test]
    fn colors_differ_for_every_kind_of_sight() {
        for theme in [Theme::Light, Theme::Dark] {
            for (sight, matrix) in SIGHTS {
                let seen: Vec<_> =
                    palette(theme).iter().map(|c| oklab(times(matrix, linear(*c)))).collect();
                for (i, a) in seen.iter().enumerate() {
                    for (j, b) in seen.iter().enumerate().skip(i + 1) {
                        let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
                        let far = squares.sqrt();
                        let least = if j == i + 1 { 0.1 } else { 0.05 };
                        assert!(far >= least, "{theme:?} {sight}: {i} and {j} are {far:.3} apart");
                    }
                }
            }
        }
    }

    #[test]
    fn colors_are_read_from_hex() {
        assert_eq!("#0072b2".parse::<Color>().unwrap(), Color::from_rgb(0x72b2));
        for wrong in ["#0072b", "+072b2c", "blue", ""] {
            assert!(wrong.parse::<Color>().is_err(), "{wrong}");
        }
    }
}
