//! From pixels to PNG.

use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Filter};

/// Encodes pixels (red, green, blue), with a palette when there are at most 256 colours.
///
/// Fast rather than small: the slower settings take ten times as long for two thirds of the bytes.
pub(crate) fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::with_capacity(64 << 10);
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    if let Some((palette, places)) = indexed(pixels) {
        encoder.set_color(ColorType::Indexed);
        encoder.set_palette(palette);
        encoder.set_filter(Filter::Up);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&places)?;
        writer.finish()?;
    } else {
        encoder.set_color(ColorType::Rgb);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()?;
    }
    Ok(bytes)
}

/// Slots of the table of colours: a power of two, four times the colours that it holds at most.
const SLOTS: usize = 1024;

/// Returns the palette and each pixel's place in it; `None` when there are too many colours.
fn indexed(pixels: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    // Open addressing; no colour has the top byte set, so that all ones mark an empty slot.
    let mut slots = [(u32::MAX, 0_u8); SLOTS];
    let mut palette: Vec<u8> = Vec::with_capacity(3 * 256);
    let pixels = pixels.as_chunks::<3>().0;
    let mut places = vec![0; pixels.len()];
    let mut last = (u32::MAX, 0);
    for (pixel, place_of) in pixels.iter().zip(&mut places) {
        let color = u32::from_be_bytes([0, pixel[0], pixel[1], pixel[2]]);
        if color != last.0 {
            // Knuth's multiplicative hashing (TAOCP 6.4), the upper bits.
            let mut slot = (color.wrapping_mul(2_654_435_769) >> 22) as usize;
            while slots[slot].0 != color && slots[slot].0 != u32::MAX {
                slot = (slot + 1) % SLOTS;
            }
            if slots[slot].0 == u32::MAX {
                let place = u8::try_from(palette.len() / 3).ok()?;
                slots[slot] = (color, place);
                palette.extend_from_slice(pixel);
            }
            last = slots[slot];
        }
        *place_of = last.1;
    }
    Some((palette, places))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a PNG back as red, green, blue.
    fn decoded(bytes: &[u8]) -> (ColorType, Vec<u8>) {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let kind = reader.info().color_type;
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        (kind, pixels)
    }

    #[test]
    fn pictures_come_back_with_and_without_a_palette() {
        for (colors, kind) in
            [(1, ColorType::Indexed), (256, ColorType::Indexed), (257, ColorType::Rgb)]
        {
            let color = |i: usize| [(i % colors) as u8, (i % colors / 256) as u8, 7];
            let pixels: Vec<u8> = (0..40 * 20).flat_map(color).collect();
            let bytes = encode(&pixels, 40, 20).unwrap();
            assert_eq!(decoded(&bytes), (kind, pixels), "{colors} colours");
        }
    }
}
