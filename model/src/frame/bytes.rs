//! The frame's smallest parts: numbers, texts and values in bytes.

use super::{FrameError, TEXT_BYTES_MAX, limit};

/// Says that a value follows in its eight bytes; whole numbers are even.
const RAW: u64 = 1;

/// 2^53: up to here each whole number is a double and the other way round.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Collects bytes.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Writes a number in groups of seven bits, the lowest first (LEB128).
    pub(super) fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// Writes a number with a sign so that small ones stay short: 0, -1, 1, -2 as 0, 1, 2, 3.
    pub(super) fn signed(&mut self, number: i64) {
        self.varint(zigzag(number));
    }

    /// Writes length and UTF-8; what is too long is cut.
    pub(super) fn text(&mut self, text: &str) {
        self.long_text(text, TEXT_BYTES_MAX);
    }

    /// Writes length and UTF-8 of a text that may be longer; what is too long is cut.
    pub(super) fn long_text(&mut self, text: &str, bytes_max: usize) {
        let cut = &text[..text.floor_char_boundary(bytes_max)];
        self.varint(cut.len() as u64);
        self.bytes.extend_from_slice(cut.as_bytes());
    }

    /// Writes a value: most are whole numbers and take few bytes, the others take nine.
    pub(super) fn value(&mut self, value: f64) {
        // -0.0 is no whole number here: it would come back as 0.0.
        let is_whole = value.trunc() == value && value.abs() <= WHOLE_MAX;
        if is_whole && value.to_bits() != (-0.0_f64).to_bits() {
            self.varint(zigzag(value as i64) << 1);
        } else {
            self.varint(RAW);
            self.bytes.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }
}

/// Reads bytes from the front.
pub(super) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.left
    }

    pub(super) fn take(
        &mut self,
        count: usize,
        part: &'static str,
    ) -> Result<&'a [u8], FrameError> {
        let (taken, left) =
            self.left.split_at_checked(count).ok_or(FrameError::Truncated { part })?;
        self.left = left;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        part: &'static str,
    ) -> Result<[u8; N], FrameError> {
        let (taken, left) = self.left.split_first_chunk().ok_or(FrameError::Truncated { part })?;
        self.left = left;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self, part: &'static str) -> Result<u8, FrameError> {
        self.array::<1>(part).map(|[byte]| byte)
    }

    pub(super) fn varint(&mut self, part: &'static str) -> Result<u64, FrameError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(part)?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(FrameError::Malformed { part })
    }

    pub(super) fn signed(&mut self, part: &'static str) -> Result<i64, FrameError> {
        self.varint(part).map(unzigzag)
    }

    /// Reads how many of something follow, each of which takes at least `bytes_min` bytes.
    pub(super) fn count(
        &mut self,
        part: &'static str,
        bytes_min: usize,
    ) -> Result<usize, FrameError> {
        let count = usize::try_from(self.varint(part)?).unwrap_or(usize::MAX);
        if count > self.left.len() / bytes_min {
            return Err(FrameError::Truncated { part });
        }
        Ok(count)
    }

    pub(super) fn text(&mut self, part: &'static str) -> Result<&'a str, FrameError> {
        let length = self.count(part, 1)?;
        limit("bytes of text", length, TEXT_BYTES_MAX)?;
        let bytes = self.take(length, part)?;
        std::str::from_utf8(bytes).map_err(|_| FrameError::Malformed { part })
    }

    pub(super) fn value(&mut self, part: &'static str) -> Result<f64, FrameError> {
        match self.varint(part)? {
            RAW => Ok(f64::from_bits(u64::from_le_bytes(self.array(part)?))),
            whole if whole % 2 == 0 => Ok(unzigzag(whole >> 1) as f64),
            _ => Err(FrameError::Malformed { part }),
        }
    }
}

/// Puts the sign into the lowest bit.
///
/// Source: Protocol Buffers, "Encoding", section "Signed Integers".
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
