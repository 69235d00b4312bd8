//! Rows of an archive: last, greatest, least, sum, count and increase, each predicted from the
//! others.

use noroshi_model::UNKNOWN;

use super::bits::Reader;
use super::column::{COLUMN_LEN_MAX, IntState, decode_ints, encode_ints};
use super::samples::{
    FloatState, XOR, after, decode_floats, encode_floats, from_scaled, integers_of, scaled_integer,
    significant_decimals,
};

/// Set in a chunk's first byte when a bitmap of unknown rows follows.
const HAS_UNKNOWN: u8 = 0x40;
/// Set in a chunk's first byte when the rows carry an increase.
const HAS_INCREASE: u8 = 0x80;
/// Set in the mode byte when the sums are floats although the other columns are decimal.
const SUM_IS_FLOAT: u8 = 0x10;
/// Set in the mode byte when the increases are floats although the other columns are decimal.
const INCREASE_IS_FLOAT: u8 = 0x20;

/// One row: what is known of the samples in `(at - step, at]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    /// The row's end, milliseconds since 1970.
    pub(crate) at: i64,
    /// Least known value; [`UNKNOWN`] when there is none, and so for the next three.
    pub(crate) min: f64,
    /// Greatest known value.
    pub(crate) max: f64,
    /// Sum of the known values.
    pub(crate) sum: f64,
    /// Last known value.
    pub(crate) last: f64,
    /// How many known values.
    pub(crate) count: u64,
    /// For counters, how much was counted since the last value before the row, else 0.
    pub(crate) increase: f64,
}

impl Row {
    /// Returns a row whose samples are all unknown.
    pub(crate) fn unknown(at: i64) -> Self {
        let (min, max, sum, last) = (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
        Self { at, min, max, sum, last, count: 0, increase: 0.0 }
    }
}

/// What a chunk of rows is predicted from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowsState {
    step: i64,
    has_increase: bool,
    index: IntState,
    count: IntState,
    last: FloatState,
    min: FloatState,
    max: FloatState,
    sum: FloatState,
    increase: FloatState,
}

impl RowsState {
    /// Returns the state before the first chunk of a block of an archive with this step, whose
    /// first row ends at `first_at`.
    pub(crate) fn new(step: i64, first_at: i64, has_increase: bool) -> Self {
        let step = step.max(1);
        let zero = FloatState::default();
        Self {
            step,
            has_increase,
            index: IntState { previous: first_at.div_euclid(step), delta: 0 },
            count: IntState::default(),
            last: zero,
            min: zero,
            max: zero,
            sum: zero,
            increase: zero,
        }
    }
}

/// The known rows of a chunk, column by column.
#[derive(Default)]
struct Columns {
    last: Vec<f64>,
    min: Vec<f64>,
    max: Vec<f64>,
    sum: Vec<f64>,
    increase: Vec<f64>,
    count: Vec<i64>,
}

/// Appends rows, ordered by time; all ends are multiples of the step.
pub(crate) fn encode_rows(out: &mut Vec<u8>, rows: &[Row], state: &mut RowsState) {
    for chunk in rows.chunks(COLUMN_LEN_MAX) {
        encode_chunk(out, chunk, state);
    }
}

fn encode_chunk(out: &mut Vec<u8>, rows: &[Row], state: &mut RowsState) {
    let mut columns = Columns::default();
    let (mut indexes, mut unknown_bits) = ([0_i64; COLUMN_LEN_MAX], 0_u64);
    for (position, row) in rows.iter().enumerate() {
        debug_assert_eq!(row.at.rem_euclid(state.step), 0);
        indexes[position] = row.at.div_euclid(state.step);
        if row.count == 0 {
            unknown_bits |= 1 << position;
            continue;
        }
        columns.last.push(row.last);
        columns.min.push(row.min);
        columns.max.push(row.max);
        columns.sum.push(row.sum);
        columns.increase.push(row.increase);
        columns.count.push(row.count as i64);
    }
    let mut header = (rows.len() - 1) as u8;
    header |= if state.has_increase { HAS_INCREASE } else { 0 };
    header |= if unknown_bits == 0 { 0 } else { HAS_UNKNOWN };
    out.push(header);
    if unknown_bits != 0 {
        out.extend_from_slice(&unknown_bits.to_le_bytes()[..rows.len().div_ceil(8)]);
    }
    let indexes = &indexes[..rows.len()];
    encode_ints(out, 0, indexes, state.index);
    state.index = after(indexes, state.index);
    if !columns.last.is_empty() {
        encode_ints(out, 0, &columns.count, state.count);
        encode_values(out, &columns, state);
        state.count = after(&columns.count, state.count);
    }
}

/// Appends the columns of values: as integers predicted from each other where all are decimal.
fn encode_values(out: &mut Vec<u8>, columns: &Columns, state: &mut RowsState) {
    let exponents = [&columns.last, &columns.min, &columns.max].map(|c| significant_decimals(c));
    let exponent = exponents.iter().try_fold(0, |most, e| e.map(|e| most.max(e)));
    let integers = |values: &[f64]| -> Option<Vec<i64>> {
        let exponent = exponent?;
        values.iter().map(|value| scaled_integer(*value, exponent)).collect()
    };
    let all = (integers(&columns.last), integers(&columns.min), integers(&columns.max));
    let (Some(exponent), (Some(last), Some(min), Some(max))) = (exponent, all) else {
        out.push(XOR);
        encode_floats(out, &columns.last, &mut state.last);
        encode_floats(out, &columns.min, &mut state.min);
        encode_floats(out, &columns.max, &mut state.max);
        encode_floats(out, &columns.sum, &mut state.sum);
        if state.has_increase {
            encode_floats(out, &columns.increase, &mut state.increase);
        }
        return;
    };
    let (sum, increase) = (integers(&columns.sum), integers(&columns.increase));
    let mut mode = exponent;
    mode |= if sum.is_none() { SUM_IS_FLOAT } else { 0 };
    mode |= if increase.is_none() { INCREASE_IS_FLOAT } else { 0 };
    out.push(mode);
    let before = integers_of(state.last, exponent);
    encode_ints(out, 0, &last, before);
    encode_ints(out, 0, &difference(&max, &last), IntState::default());
    encode_ints(out, 0, &difference(&last, &min), IntState::default());
    match sum {
        Some(sum) => {
            let predicted = predicted_sums(&columns.count, &min, &max);
            encode_ints(out, 0, &difference(&sum, &predicted), IntState::default());
        }
        None => encode_floats(out, &columns.sum, &mut state.sum),
    }
    if state.has_increase {
        match increase {
            Some(increase) => {
                let predicted = predicted_increases(&last, before.previous);
                encode_ints(out, 0, &difference(&increase, &predicted), IntState::default());
            }
            None => encode_floats(out, &columns.increase, &mut state.increase),
        }
    }
    remember_last(&columns.last, state);
}

fn remember_last(last: &[f64], state: &mut RowsState) {
    if let Some(last) = last.last() {
        state.last = FloatState { previous: *last, before: *last };
    }
}

fn difference(a: &[i64], b: &[i64]) -> Vec<i64> {
    a.iter().zip(b).map(|(a, b)| a.wrapping_sub(*b)).collect()
}

/// Values that move evenly between their extremes have this sum.
fn predicted_sums(count: &[i64], min: &[i64], max: &[i64]) -> Vec<i64> {
    let middle = |min: i64, max: i64, n: i64| n.wrapping_mul(min.wrapping_add(max)) >> 1;
    count.iter().zip(min).zip(max).map(|((&n, &min), &max)| middle(min, max, n)).collect()
}

/// A counter without reset or wrap grows by the difference of the last values.
fn predicted_increases(last: &[i64], before: i64) -> Vec<i64> {
    let previous = std::iter::once(&before).chain(last);
    last.iter().zip(previous).map(|(last, previous)| last.wrapping_sub(*previous)).collect()
}

/// Reads chunks until the input ends and appends their rows; `None` when it is damaged.
pub(crate) fn decode_rows(
    input: &mut Reader<'_>,
    out: &mut Vec<Row>,
    state: &mut RowsState,
) -> Option<()> {
    while !input.is_empty() {
        let header = input.byte()?;
        let length = usize::from(header & 0x3f) + 1;
        state.has_increase = header & HAS_INCREASE != 0;
        let mut unknown_bits = 0_u64;
        if header & HAS_UNKNOWN != 0 {
            let mut word = [0; 8];
            word[..length.div_ceil(8)].copy_from_slice(input.bytes(length.div_ceil(8))?);
            unknown_bits = u64::from_le_bytes(word) & (u64::MAX >> (64 - length));
        }
        let mut indexes = [0_i64; COLUMN_LEN_MAX];
        let indexes = indexes.get_mut(..length)?;
        let index_header = input.byte()?;
        decode_ints(input, index_header, indexes, state.index)?;
        state.index = after(indexes, state.index);
        let known = length - unknown_bits.count_ones() as usize;
        let columns = decode_columns(input, known, state)?;
        let mut next = 0;
        for (position, index) in indexes.iter().enumerate() {
            let at = index.checked_mul(state.step)?;
            if unknown_bits >> position & 1 == 1 {
                out.push(Row::unknown(at));
                continue;
            }
            out.push(Row {
                at,
                min: *columns.min.get(next)?,
                max: *columns.max.get(next)?,
                sum: *columns.sum.get(next)?,
                last: *columns.last.get(next)?,
                count: u64::try_from(*columns.count.get(next)?).ok()?,
                increase: columns.increase.get(next).copied().unwrap_or(0.0),
            });
            next += 1;
        }
    }
    Some(())
}

fn decode_columns(input: &mut Reader<'_>, known: usize, state: &mut RowsState) -> Option<Columns> {
    let mut columns = Columns::default();
    if known == 0 {
        return Some(columns);
    }
    columns.count = integer_column(input, known, state.count)?;
    state.count = after(&columns.count, state.count);
    let mode = input.byte()?;
    if mode == XOR {
        columns.last = float_column(input, known, &mut state.last)?;
        columns.min = float_column(input, known, &mut state.min)?;
        columns.max = float_column(input, known, &mut state.max)?;
        columns.sum = float_column(input, known, &mut state.sum)?;
        if state.has_increase {
            columns.increase = float_column(input, known, &mut state.increase)?;
        }
        return Some(columns);
    }
    let exponent = mode & 0x0f;
    if exponent >= XOR {
        return None;
    }
    let floats = |values: &[i64]| values.iter().map(|v| from_scaled(*v, exponent)).collect();
    let before = integers_of(state.last, exponent);
    let last = integer_column(input, known, before)?;
    let over = integer_column(input, known, IntState::default())?;
    let under = integer_column(input, known, IntState::default())?;
    let max: Vec<i64> = last.iter().zip(&over).map(|(l, o)| l.wrapping_add(*o)).collect();
    let min = difference(&last, &under);
    if mode & SUM_IS_FLOAT == 0 {
        let rest = integer_column(input, known, IntState::default())?;
        let predicted = predicted_sums(&columns.count, &min, &max);
        let sums: Vec<i64> = rest.iter().zip(predicted).map(|(r, p)| r.wrapping_add(p)).collect();
        columns.sum = floats(&sums);
    } else {
        columns.sum = float_column(input, known, &mut state.sum)?;
    }
    if state.has_increase && mode & INCREASE_IS_FLOAT == 0 {
        let rest = integer_column(input, known, IntState::default())?;
        let predicted = predicted_increases(&last, before.previous);
        let all: Vec<i64> = rest.iter().zip(predicted).map(|(r, p)| r.wrapping_add(p)).collect();
        columns.increase = floats(&all);
    } else if state.has_increase {
        columns.increase = float_column(input, known, &mut state.increase)?;
    }
    columns.last = floats(&last);
    columns.min = floats(&min);
    columns.max = floats(&max);
    remember_last(&columns.last, state);
    Some(columns)
}

fn integer_column(input: &mut Reader<'_>, known: usize, state: IntState) -> Option<Vec<i64>> {
    let mut column = vec![0; known];
    let header = input.byte()?;
    decode_ints(input, header, &mut column, state)?;
    Some(column)
}

fn float_column(input: &mut Reader<'_>, known: usize, state: &mut FloatState) -> Option<Vec<f64>> {
    let mut column = vec![0.0; known];
    decode_floats(input, &mut column, state)?;
    Some(column)
}
