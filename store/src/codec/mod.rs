//! How samples and rows become bytes and samples again. Pure; drawn in `FORMAT.md`.
//!
//! Encoders cannot fail. Decoders take any bytes: they return `None` for what no encoder wrote,
//! never panic, and allocate in proportion to what the input can hold.

mod bits;
mod column;
mod rows;
mod samples;

pub(crate) use bits::{Reader, put_varint, put_zigzag, unzigzag, zigzag};
pub(crate) use rows::{Row, RowsState, decode_rows, encode_rows};
pub(crate) use samples::{
    CHUNK_SAMPLES, Point, SamplesState, decode_samples, encode_samples, significant_decimals,
};

#[cfg(test)]
mod tests;
