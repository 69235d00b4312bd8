//! One column of at most 64 integers: the best of a few predictions, what is left packed by width.
//!
//! Frame-of-reference packing with exceptions as in "PFOR" (Zukowski, Heman, Nes, Boncz:
//! "Super-Scalar RAM-CPU Cache Compression", ICDE 2006); the choice of predictions is our own.

use super::bits::{Reader, put_bits, put_varint, put_zigzag, unzigzag, zigzag};

/// Longest column in one piece.
pub(super) const COLUMN_LEN_MAX: usize = 64;
/// Values that share a width. Shorter costs more width bytes, longer more waste by outliers.
const GROUP_LEN: usize = 32;
/// Set in a column's header when residuals were divided by a common factor.
const SCALED: u8 = 0x08;
/// Set in a group's width byte when exceptions follow.
const HAS_EXCEPTIONS: u8 = 0x80;

/// All values equal the one before the column.
const SAME: u8 = 0;
/// The last difference goes on.
const LINEAR: u8 = 1;
/// Differences.
const DELTA: u8 = 2;
/// Differences of differences.
const DELTA2: u8 = 3;
/// Distance from the least value.
const OFFSET: u8 = 4;
/// Differences as distance from the least difference.
const DELTA_OFFSET: u8 = 5;

/// What the next value is predicted from.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct IntState {
    /// The value before.
    pub(super) previous: i64,
    /// How it differed from the one before it.
    pub(super) delta: i64,
}

/// Appends a column. `tag` goes into the upper four bits of its header byte.
pub(super) fn encode_ints(out: &mut Vec<u8>, tag: u8, values: &[i64], state: IntState) {
    debug_assert!(!values.is_empty() && values.len() <= COLUMN_LEN_MAX);
    let mut deltas = [0_i64; COLUMN_LEN_MAX];
    let deltas = &mut deltas[..values.len()];
    let mut previous = state.previous;
    for (delta, &value) in deltas.iter_mut().zip(values) {
        *delta = value.wrapping_sub(previous);
        previous = value;
    }
    if deltas.iter().all(|delta| *delta == 0) {
        return out.push(tag << 4 | SAME);
    }
    if deltas.iter().all(|delta| *delta == state.delta) {
        return out.push(tag << 4 | LINEAR);
    }
    let scale = common_factor(deltas, state.delta);
    let order = best_order(deltas, values, state);
    let header = tag << 4 | order;
    if scale > 1 {
        out.push(header | SCALED);
        put_varint(out, scale);
        for delta in deltas.iter_mut() {
            *delta /= scale as i64;
        }
    } else {
        out.push(header);
    }
    let mut residuals = [0_u64; COLUMN_LEN_MAX];
    let residuals = &mut residuals[..values.len()];
    fill_residuals(out, residuals, deltas, order, state.delta / scale as i64);
    for group in residuals.chunks(GROUP_LEN) {
        pack_group(out, group);
    }
}

/// Returns the greatest number that divides all differences, 1 when there is none to speak of.
fn common_factor(deltas: &[i64], state_delta: i64) -> u64 {
    let mut factor = 0_u64;
    for delta in deltas.iter().copied().chain([state_delta]) {
        // i64::MIN has no negation; such columns are too rare to scale.
        if delta == i64::MIN {
            return 1;
        }
        let (mut a, mut b) = (delta.unsigned_abs(), factor);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        factor = a;
        if factor == 1 {
            return 1;
        }
    }
    factor.max(1)
}

/// Returns the prediction whose residuals need the fewest bits in sum.
fn best_order(deltas: &[i64], values: &[i64], state: IntState) -> u8 {
    let bits = |value: u64| 64 - value.leading_zeros();
    let least = values.iter().copied().min().unwrap_or(0);
    let least_delta = deltas.iter().copied().min().unwrap_or(0);
    let (mut delta_bits, mut delta2_bits, mut offset_bits, mut delta_offset_bits) = (0, 0, 0, 0);
    let mut previous_delta = state.delta;
    for (&value, &delta) in values.iter().zip(deltas) {
        delta_bits += bits(zigzag(delta));
        delta2_bits += bits(zigzag(delta.wrapping_sub(previous_delta)));
        offset_bits += bits(value.wrapping_sub(least) as u64);
        delta_offset_bits += bits(delta.wrapping_sub(least_delta) as u64);
        previous_delta = delta;
    }
    // The two with a base pay for it.
    let base_bits = |base: i64| 8 + bits(zigzag(base)).div_ceil(7) * 8;
    let costs = [
        (delta_bits, DELTA),
        (delta2_bits, DELTA2),
        (offset_bits + base_bits(least.wrapping_sub(state.previous)), OFFSET),
        (delta_offset_bits + base_bits(least_delta), DELTA_OFFSET),
    ];
    costs.iter().min().map_or(DELTA, |(_, order)| *order)
}

/// Computes what the prediction leaves over, and appends the base of the predictions with one.
fn fill_residuals(
    out: &mut Vec<u8>,
    residuals: &mut [u64],
    deltas: &[i64],
    order: u8,
    state_delta: i64,
) {
    match order {
        DELTA => {
            for (residual, &delta) in residuals.iter_mut().zip(deltas) {
                *residual = zigzag(delta);
            }
        }
        DELTA2 => {
            let mut previous = state_delta;
            for (residual, &delta) in residuals.iter_mut().zip(deltas) {
                *residual = zigzag(delta.wrapping_sub(previous));
                previous = delta;
            }
        }
        OFFSET => {
            // Values relative to the one before the column, so that the scale divides them.
            let mut relative = 0_i64;
            for (residual, &delta) in residuals.iter_mut().zip(deltas) {
                relative = relative.wrapping_add(delta);
                *residual = relative as u64;
            }
            let least = residuals.iter().map(|r| *r as i64).min().unwrap_or(0);
            put_zigzag(out, least);
            for residual in residuals.iter_mut() {
                *residual = residual.wrapping_sub(least as u64);
            }
        }
        _ => {
            let least = deltas.iter().copied().min().unwrap_or(0);
            put_zigzag(out, least);
            for (residual, &delta) in residuals.iter_mut().zip(deltas) {
                *residual = delta.wrapping_sub(least) as u64;
            }
        }
    }
}

/// Appends a group: width byte, packed low bits, and the values that are wider as exceptions.
fn pack_group(out: &mut Vec<u8>, group: &[u64]) {
    let mut count_of_width = [0_usize; 65];
    for value in group {
        count_of_width[(64 - value.leading_zeros()) as usize] += 1;
    }
    let widest = (0..=64).rev().find(|width| count_of_width[*width] > 0).unwrap_or(0);
    let (mut width, mut best_cost, mut wider) = (widest, widest * group.len(), 0);
    for candidate in (0..widest).rev() {
        wider += count_of_width[candidate + 1];
        // An exception: one byte of index and the upper bits as varint.
        let exception_bits = 8 + 8 * (widest - candidate).div_ceil(7);
        let cost = candidate * group.len() + wider * exception_bits + 8;
        if cost < best_cost {
            (width, best_cost) = (candidate, cost);
        }
    }
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    let is_wide = |value: u64| width < 64 && value >> width != 0;
    let exceptions = group.iter().filter(|value| is_wide(**value)).count();
    if exceptions == 0 {
        out.push(width as u8);
    } else {
        out.push(width as u8 | HAS_EXCEPTIONS);
        out.push(exceptions as u8);
    }
    put_bits(out, group.iter().map(|value| value & mask), width as u32);
    for (index, &value) in group.iter().enumerate() {
        if is_wide(value) {
            out.push(index as u8);
            put_varint(out, value >> width);
        }
    }
}

/// Reads a group.
fn unpack_group(input: &mut Reader<'_>, group: &mut [u64]) -> Option<()> {
    let header = input.byte()?;
    let width = u32::from(header & !HAS_EXCEPTIONS);
    let exceptions = if header & HAS_EXCEPTIONS == 0 { 0 } else { input.byte()? };
    input.packed(group, width)?;
    for _ in 0..exceptions {
        let index = usize::from(input.byte()?);
        let upper = input.varint()?;
        *group.get_mut(index)? |= upper.checked_shl(width)?;
    }
    Some(())
}

/// Reads a column of `out.len()` values whose header byte was read already.
pub(super) fn decode_ints(
    input: &mut Reader<'_>,
    header: u8,
    out: &mut [i64],
    state: IntState,
) -> Option<()> {
    let scale = if header & SCALED == 0 { 1 } else { input.varint()? as i64 };
    let order = header & 0x07;
    let base = if matches!(order, OFFSET | DELTA_OFFSET) { input.zigzag()? } else { 0 };
    match order {
        SAME => {
            out.fill(state.previous);
            return Some(());
        }
        LINEAR => {
            let mut value = state.previous;
            for out in out.iter_mut() {
                value = value.wrapping_add(state.delta);
                *out = value;
            }
            return Some(());
        }
        DELTA | DELTA2 | OFFSET | DELTA_OFFSET => {}
        _ => return None,
    }
    let mut residuals = [0_u64; COLUMN_LEN_MAX];
    let residuals = residuals.get_mut(..out.len())?;
    for group in residuals.chunks_mut(GROUP_LEN) {
        unpack_group(input, group)?;
    }
    let mut value = state.previous;
    let mut delta = if scale == 0 { 0 } else { state.delta.wrapping_div(scale) };
    for (out, &residual) in out.iter_mut().zip(residuals.iter()) {
        value = match order {
            DELTA => value.wrapping_add(unzigzag(residual).wrapping_mul(scale)),
            DELTA2 => {
                delta = delta.wrapping_add(unzigzag(residual));
                value.wrapping_add(delta.wrapping_mul(scale))
            }
            OFFSET => {
                let relative = base.wrapping_add(residual as i64);
                state.previous.wrapping_add(relative.wrapping_mul(scale))
            }
            _ => value.wrapping_add(base.wrapping_add(residual as i64).wrapping_mul(scale)),
        };
        *out = value;
    }
    Some(())
}
