//! Samples of a series that are not a chunk yet: in memory only, a byte or two each.
//!
//! A sample is a byte of flags, then what it says: bits 0-1 how the value is told (see the
//! constants), bit 2 that the step in time is another one than before, whose difference follows as
//! a zigzag varint; bits 3-6 the lowest bits of the value's zigzag difference, bit 7 that more of
//! it follows as a varint. A number is told as difference only where it gives the same bits back.

use crate::codec::{Point, Reader, put_varint, put_zigzag, unzigzag, zigzag};

/// The value has the bits of the one before.
const SAME: u8 = 0;
/// A whole number: the difference to the one before.
const WHOLE: u8 = 1;
/// Hundredths: the difference of the hundredfold.
const HUNDREDTHS: u8 = 2;
/// Eight bytes.
const BITS: u8 = 3;
/// Set when the step in time is another one.
const NEW_STEP: u8 = 4;
/// Where the difference's lowest bits are, and how many.
const LOW_SHIFT: u32 = 3;
const LOW_BITS: u32 = 4;
/// Set when more of the difference follows.
const MORE: u8 = 0x80;

/// What the next sample is told against: the one before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TailState {
    at: i64,
    step: i64,
    value: f64,
}

impl TailState {
    /// Returns the state before the first sample.
    pub(crate) fn new(first_at: i64) -> Self {
        Self { at: first_at, step: 0, value: 0.0 }
    }

    /// Appends a sample.
    #[inline]
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, at: i64, value: f64) {
        let step = at.wrapping_sub(self.at);
        let is_new_step = step != self.step;
        let time = if is_new_step { NEW_STEP } else { 0 };
        let (kind, difference) = told(value, self.value);
        let low = (difference & ((1 << LOW_BITS) - 1)) as u8;
        let high = difference >> LOW_BITS;
        let more = if high > 0 { MORE } else { 0 };
        out.push(kind | time | low << LOW_SHIFT | more);
        if is_new_step {
            put_zigzag(out, step.wrapping_sub(self.step));
        }
        if high > 0 {
            put_varint(out, high);
        }
        if kind == BITS {
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        *self = Self { at, step, value };
    }

    /// Reads the next sample; `None` at the end.
    pub(crate) fn take(&mut self, input: &mut Reader<'_>) -> Option<Point> {
        let flags = input.byte()?;
        if flags & NEW_STEP != 0 {
            self.step = self.step.wrapping_add(input.zigzag()?);
        }
        self.at = self.at.wrapping_add(self.step);
        let mut difference = u64::from(flags >> LOW_SHIFT) & ((1 << LOW_BITS) - 1);
        if flags & MORE != 0 {
            difference |= input.varint()? << LOW_BITS;
        }
        self.value = match flags & 3 {
            SAME => self.value,
            WHOLE => base(whole(self.value)).wrapping_add(unzigzag(difference)) as f64,
            HUNDREDTHS => {
                base(hundredths(self.value)).wrapping_add(unzigzag(difference)) as f64 / 100.0
            }
            _ => input.f64()?,
        };
        Some(Point { at: self.at, value: self.value })
    }
}

/// Returns how a value is told after `before`, and its difference as a zigzag.
#[inline]
fn told(value: f64, before: f64) -> (u8, u64) {
    if value.to_bits() == before.to_bits() {
        return (SAME, 0);
    }
    let difference = |now: i64, base: i64| zigzag(now.wrapping_sub(base));
    if let (Some(now), Some(base)) = (whole(value), whole(before)) {
        return (WHOLE, difference(now, base));
    }
    match hundredths(value) {
        Some(now) => (HUNDREDTHS, difference(now, base(hundredths(before)))),
        None => (BITS, 0),
    }
}

/// Stands for what the value before is no multiple of.
fn base(before: Option<i64>) -> i64 {
    before.unwrap_or(0)
}

/// Returns the whole number that a value is, bit for bit.
#[inline]
fn whole(value: f64) -> Option<i64> {
    let whole = value as i64;
    ((whole as f64).to_bits() == value.to_bits()).then_some(whole)
}

/// Returns the hundredfold of a value where that is a whole number that gives the value back.
#[inline]
fn hundredths(value: f64) -> Option<i64> {
    let whole = (value * 100.0 + 0.5_f64.copysign(value)) as i64;
    ((whole as f64 / 100.0).to_bits() == value.to_bits()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use noroshi_model::UNKNOWN;

    use super::*;

    /// Puts samples, returns the bytes that they took, and checks that they come back.
    fn round(points: &[(i64, f64)]) -> usize {
        let mut out = Vec::new();
        let mut state = TailState::new(points[0].0);
        for &(at, value) in points {
            state.put(&mut out, at, value);
        }
        let (mut input, mut state) = (Reader::new(&out), TailState::new(points[0].0));
        for &(at, value) in points {
            let back = state.take(&mut input).unwrap();
            assert_eq!((back.at, back.value.to_bits()), (at, value.to_bits()), "{points:?}");
        }
        assert!(state.take(&mut input).is_none());
        out.len()
    }

    #[test]
    fn samples_come_back_with_their_bits() {
        let extremes = [0.0, -0.0, 1.0, -7.25, 37.45, 1e300, 9e15, -9.3e18, 0.1, UNKNOWN];
        let others = [f64::NAN, f64::INFINITY, f64::MIN_POSITIVE, 184_467.07, 1e17 + 2.0];
        let all: Vec<f64> = extremes.into_iter().chain(others).collect();
        for first in &all {
            for second in &all {
                round(&[(i64::MIN + 1, *first), (0, *second), (i64::MAX, *first)]);
            }
        }
    }

    #[test]
    fn what_is_common_takes_few_bytes() {
        let regular = |value: &dyn Fn(i64) -> f64| -> Vec<(i64, f64)> {
            (0..64).map(|i| (1_790_000_000_000 + i * 10_000, value(i))).collect()
        };
        // The second sample also tells the step of 10,000 ms: zigzag 20,000, three bytes.
        assert_eq!(round(&regular(&|_| 0.0)), 64 + 3);
        // A difference of up to 7 is in the flags, one of 1,023 needs one byte more.
        assert_eq!(round(&regular(&|i| (7 * i) as f64)), 64 + 3);
        assert_eq!(round(&regular(&|i| (1023 * i) as f64)), 64 + 3 + 63);
        let gauge = |i: i64| if i % 2 == 0 { 52.37 } else { 48.99 };
        assert!(round(&regular(&gauge)) < 64 * 2 + 6);
    }
}
