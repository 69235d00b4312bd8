//! Chunks of samples: a column of times and a column of values.

use noroshi_model::{UNKNOWN, is_unknown};

use super::bits::{Reader, put_bits};
use super::column::{COLUMN_LEN_MAX, IntState, decode_ints, encode_ints};

/// Samples in one chunk at most; also the bits of the bitmap of unknown ones.
pub(crate) const CHUNK_SAMPLES: usize = COLUMN_LEN_MAX;
/// Set in a chunk's first byte when a bitmap of unknown samples follows.
const HAS_UNKNOWN: u8 = 0x40;
/// The exponent that stands for "no decimal numbers: exclusive-or of the bits".
pub(super) const XOR: u8 = 7;
/// Values that share the width of their exclusive-ors.
const XOR_GROUP_LEN: usize = 32;
/// Powers of ten up to the largest exponent that is tried.
const POWERS: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
/// Integers up to here (below 2^53) are exact as floats, and so are their negatives.
const INTEGER_MAX: f64 = 9e15;

/// A moment and a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// The value or [`UNKNOWN`].
    pub(crate) value: f64,
}

/// What the next value of a column of floats is predicted from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FloatState {
    pub(super) previous: f64,
    pub(super) before: f64,
}

/// What a chunk is predicted from: the end of the chunk before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SamplesState {
    time: IntState,
    value: FloatState,
}

impl SamplesState {
    /// Returns the state before the first chunk of a block whose first sample is at `first_at`.
    pub(crate) fn new(first_at: i64) -> Self {
        Self { time: IntState { previous: first_at, delta: 0 }, value: FloatState::default() }
    }
}

/// Appends a chunk of 1 to [`CHUNK_SAMPLES`] samples, ordered by time.
pub(crate) fn encode_samples(out: &mut Vec<u8>, points: &[Point], state: &mut SamplesState) {
    assert!((1..=CHUNK_SAMPLES).contains(&points.len()), "a chunk of {} samples", points.len());
    let mut times = [0_i64; CHUNK_SAMPLES];
    let mut values = [0.0_f64; CHUNK_SAMPLES];
    let (mut known, mut unknown_bits) = (0, 0_u64);
    for (index, point) in points.iter().enumerate() {
        times[index] = point.at;
        if is_unknown(point.value) {
            unknown_bits |= 1 << index;
        } else {
            values[known] = point.value;
            known += 1;
        }
    }
    let header = (points.len() - 1) as u8;
    if unknown_bits == 0 {
        out.push(header);
    } else {
        out.push(header | HAS_UNKNOWN);
        out.extend_from_slice(&unknown_bits.to_le_bytes()[..points.len().div_ceil(8)]);
    }
    let times = &times[..points.len()];
    encode_ints(out, 0, times, state.time);
    state.time = after(times, state.time);
    if known > 0 {
        encode_floats(out, &values[..known], &mut state.value);
    }
}

/// Reads chunks until the input ends and appends their samples; `None` when it is damaged.
pub(crate) fn decode_samples(
    input: &mut Reader<'_>,
    out: &mut Vec<Point>,
    state: &mut SamplesState,
) -> Option<()> {
    while !input.is_empty() {
        let header = input.byte()?;
        let length = usize::from(header & 0x3f) + 1;
        let mut unknown_bits = 0_u64;
        if header & HAS_UNKNOWN != 0 {
            let mut word = [0; 8];
            word[..length.div_ceil(8)].copy_from_slice(input.bytes(length.div_ceil(8))?);
            unknown_bits = u64::from_le_bytes(word) & (u64::MAX >> (64 - length));
        }
        let mut times = [0_i64; CHUNK_SAMPLES];
        let times = times.get_mut(..length)?;
        let time_header = input.byte()?;
        decode_ints(input, time_header, times, state.time)?;
        state.time = after(times, state.time);
        let known = length - unknown_bits.count_ones() as usize;
        let mut values = [0.0_f64; CHUNK_SAMPLES];
        if known > 0 {
            decode_floats(input, values.get_mut(..known)?, &mut state.value)?;
        }
        if unknown_bits == 0 {
            out.extend(times.iter().zip(&values).map(|(&at, &value)| Point { at, value }));
            continue;
        }
        let mut next = values.iter();
        for (index, &at) in times.iter().enumerate() {
            let is_gap = unknown_bits >> index & 1 == 1;
            let value = if is_gap { UNKNOWN } else { *next.next()? };
            out.push(Point { at, value });
        }
    }
    Some(())
}

/// Returns the state after a column.
pub(super) fn after(values: &[i64], before: IntState) -> IntState {
    match values {
        [.., a, b] => IntState { previous: *b, delta: b.wrapping_sub(*a) },
        [one] => IntState { previous: *one, delta: one.wrapping_sub(before.previous) },
        [] => before,
    }
}

/// Returns `value` times ten to the `exponent` when that is a whole number that gives the very
/// same bits back.
pub(super) fn scaled_integer(value: f64, exponent: u8) -> Option<i64> {
    let power = POWERS[usize::from(exponent)];
    let scaled = value * power;
    // Also false for NaN and infinities.
    if scaled.abs() >= INTEGER_MAX || scaled.is_nan() {
        return None;
    }
    let whole = (scaled + 0.5_f64.copysign(scaled)) as i64;
    let is_same = (whole as f64 / power).to_bits() == value.to_bits();
    is_same.then_some(whole)
}

/// Undoes [`scaled_integer`].
pub(super) fn from_scaled(whole: i64, exponent: u8) -> f64 {
    if exponent == 0 { whole as f64 } else { whole as f64 / POWERS[usize::from(exponent)] }
}

/// Returns how many decimals (0 to 6) all the values need; `None` when more.
pub(crate) fn significant_decimals(values: &[f64]) -> Option<u8> {
    let mut exponent = 0;
    for &value in values {
        while scaled_integer(value, exponent).is_none() {
            exponent += 1;
            if usize::from(exponent) == POWERS.len() {
                return None;
            }
        }
    }
    // More decimals may push an earlier, large value over the edge of what is exact.
    values.iter().all(|value| scaled_integer(*value, exponent).is_some()).then_some(exponent)
}

/// Appends a column of known values.
pub(super) fn encode_floats(out: &mut Vec<u8>, values: &[f64], state: &mut FloatState) {
    let previous_bits = state.previous.to_bits();
    if values.iter().all(|value| value.to_bits() == previous_bits) {
        // `SAME` of exponent 0: repeats the bits, whatever they are.
        out.push(0);
    } else if let Some(exponent) = significant_decimals(values) {
        let mut wholes = [0_i64; COLUMN_LEN_MAX];
        for (whole, &value) in wholes.iter_mut().zip(values) {
            *whole = scaled_integer(value, exponent).unwrap_or(0);
        }
        let wholes = &wholes[..values.len()];
        let state_integers = integers_of(*state, exponent);
        if exponent == 0 && wholes.iter().all(|whole| *whole == state_integers.previous) {
            // The value before was no integer and counts as zero: `SAME` would repeat its bits.
            out.push(XOR << 4);
            encode_xor(out, values, state.previous);
        } else {
            encode_ints(out, exponent, wholes, state_integers);
        }
    } else {
        out.push(XOR << 4);
        encode_xor(out, values, state.previous);
    }
    *state = floats_after(values, *state);
}

/// Reads a column of `out.len()` known values.
pub(super) fn decode_floats(
    input: &mut Reader<'_>,
    out: &mut [f64],
    state: &mut FloatState,
) -> Option<()> {
    let header = input.byte()?;
    let exponent = header >> 4;
    if header == 0 {
        out.fill(state.previous);
    } else if exponent == XOR {
        decode_xor(input, out, state.previous)?;
    } else if usize::from(exponent) < POWERS.len() {
        let mut wholes = [0_i64; COLUMN_LEN_MAX];
        let wholes = wholes.get_mut(..out.len())?;
        decode_ints(input, header, wholes, integers_of(*state, exponent))?;
        for (out, &whole) in out.iter_mut().zip(wholes.iter()) {
            *out = from_scaled(whole, exponent);
        }
    } else {
        return None;
    }
    *state = floats_after(out, *state);
    Some(())
}

/// Returns the state as integers; where that is not exact, encoder and decoder both take zero.
pub(super) fn integers_of(state: FloatState, exponent: u8) -> IntState {
    let previous = scaled_integer(state.previous, exponent).unwrap_or(0);
    let before = scaled_integer(state.before, exponent).unwrap_or(previous);
    IntState { previous, delta: previous - before }
}

/// Returns the state after a column.
fn floats_after(values: &[f64], state: FloatState) -> FloatState {
    match values {
        [.., a, b] => FloatState { previous: *b, before: *a },
        [one] => FloatState { previous: *one, before: state.previous },
        [] => state,
    }
}

/// Appends exclusive-ors of neighbours without the zero bits that all of a group share.
fn encode_xor(out: &mut Vec<u8>, values: &[f64], previous: f64) {
    let mut previous = previous.to_bits();
    for group in values.chunks(XOR_GROUP_LEN) {
        let mut differences = [0_u64; XOR_GROUP_LEN];
        let mut all = 0;
        for (difference, value) in differences.iter_mut().zip(group) {
            *difference = value.to_bits() ^ previous;
            previous = value.to_bits();
            all |= *difference;
        }
        let leading = all.leading_zeros();
        let trailing = if all == 0 { 0 } else { all.trailing_zeros() };
        out.extend_from_slice(&[leading as u8, trailing as u8]);
        let shifted = differences[..group.len()].iter().map(|difference| difference >> trailing);
        put_bits(out, shifted, 64 - leading - trailing);
    }
}

/// Reads what [`encode_xor`] wrote.
fn decode_xor(input: &mut Reader<'_>, out: &mut [f64], previous: f64) -> Option<()> {
    let mut previous = previous.to_bits();
    for group in out.chunks_mut(XOR_GROUP_LEN) {
        let (leading, trailing) = (u32::from(input.byte()?), u32::from(input.byte()?));
        let width = 64_u32.checked_sub(leading + trailing)?;
        let mut differences = [0_u64; XOR_GROUP_LEN];
        let differences = differences.get_mut(..group.len())?;
        input.packed(differences, width)?;
        for (value, difference) in group.iter_mut().zip(differences.iter()) {
            previous ^= difference.checked_shl(trailing).unwrap_or(0);
            *value = f64::from_bits(previous);
        }
    }
    Some(())
}
