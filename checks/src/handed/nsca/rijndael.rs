//! Rijndael with blocks of 24 and 32 bytes, which AES left out and `send_nsca` has.
//!
//! No kept crate has them. Source: J. Daemen, V. Rijmen, "AES Proposal: Rijndael", version 2, 1999,
//! section 4 (a state of `Nb` columns, keys of `Nk` = 8 words, rounds by the larger of both). Only
//! encryption is here: CFB needs no more. The tables are computed, and it is not constant in time:
//! it serves a protocol whose keys are padded passwords.

use super::cipher::EncryptBlock;

/// Bytes of the keys: what mcrypt takes at most.
pub(super) const KEY_BYTES: usize = 32;
const KEY_WORDS: usize = KEY_BYTES / 4;
/// Rounds when blocks or keys have eight words (section 4.1, table 1); they always do here.
const ROUNDS: usize = 14;
/// x^8 + x^4 + x^3 + x + 1 without its first term (section 2.1.2).
const POLYNOMIAL: u8 = 0x1b;

/// A key ready for use.
pub(super) struct Rijndael {
    substitution: [u8; 256],
    /// By how many columns each row of the state moves (section 4.2.2, table 2).
    shifts: [usize; 4],
    block_bytes: usize,
    /// One block for the beginning and one for each round.
    round_keys: Vec<u8>,
}

impl Rijndael {
    /// Makes the cipher for blocks of 24 or 32 bytes.
    pub(super) fn new(block_bytes: usize, key: &[u8; KEY_BYTES]) -> Self {
        let substitution = substitution();
        let shifts = if block_bytes == 32 { [0, 1, 3, 4] } else { [0, 1, 2, 3] };
        let round_keys = expand(key, block_bytes * (ROUNDS + 1), &substitution);
        Self { substitution, shifts, block_bytes, round_keys }
    }

    /// Substitutes and moves the rows: byte `row` of column `c` comes from column `c + shift`.
    fn substitute_and_shift(&self, state: &mut [u8]) {
        let before = state.to_vec();
        for (at, byte) in state.iter_mut().enumerate() {
            let from = (at + 4 * self.shifts[at % 4]) % self.block_bytes;
            *byte = self.substitution[usize::from(before[from])];
        }
    }
}

impl EncryptBlock for Rijndael {
    fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    fn encrypt(&self, block: &mut [u8]) {
        let mut round_keys = self.round_keys.chunks_exact(self.block_bytes);
        let mut add_key = |state: &mut [u8]| {
            let key = round_keys.next().unwrap_or_default();
            state.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        };
        add_key(block);
        for round in 1..=ROUNDS {
            self.substitute_and_shift(block);
            if round < ROUNDS {
                block.chunks_exact_mut(4).for_each(mix);
            }
            add_key(block);
        }
    }
}

/// Doubles in the field of 256 elements.
fn double(byte: u8) -> u8 {
    (byte << 1) ^ if byte & 0x80 == 0 { 0 } else { POLYNOMIAL }
}

/// Multiplies a column with 03 x^3 + 01 x^2 + 01 x + 02 (section 4.2.3).
fn mix(column: &mut [u8]) {
    let all = column.iter().fold(0, |all, byte| all ^ byte);
    let first = column[0];
    for row in 0..4 {
        let next = if row == 3 { first } else { column[row + 1] };
        column[row] ^= all ^ double(column[row] ^ next);
    }
}

/// Computes the table of section 4.2.1: the inverse in the field, then the affine mapping.
fn substitution() -> [u8; 256] {
    let mut table = [0x63; 256];
    // 3 generates the field, and its inverse 0xf6 the inverses.
    let (mut power, mut inverse) = (1_u8, 1_u8);
    for _ in 0..255 {
        let turned = (1..=4).fold(inverse, |sum, bits| sum ^ inverse.rotate_left(bits));
        table[usize::from(power)] = turned ^ 0x63;
        power ^= double(power);
        // Dividing by 3: multiplying with 0xf6 = 0x80 + 0x40 + 0x20 + 0x10 + 0x04 + 0x02.
        let powers: Vec<u8> =
            std::iter::successors(Some(inverse), |byte| Some(double(*byte))).take(8).collect();
        inverse = [1, 2, 4, 5, 6, 7].into_iter().fold(0, |sum, bit: usize| sum ^ powers[bit]);
    }
    table
}

/// Expands a key of eight words (section 4.3.1, the version for `Nk` > 6).
fn expand(key: &[u8; KEY_BYTES], bytes: usize, substitution: &[u8; 256]) -> Vec<u8> {
    let mut expanded = key.to_vec();
    let mut round_constant = 1;
    while expanded.len() < bytes {
        let word = expanded.len() / 4;
        let mut next = [0; 4];
        next.copy_from_slice(&expanded[expanded.len() - 4..]);
        if word.is_multiple_of(KEY_WORDS) {
            next.rotate_left(1);
        }
        if word.is_multiple_of(KEY_WORDS / 2) {
            next = next.map(|byte| substitution[usize::from(byte)]);
        }
        if word.is_multiple_of(KEY_WORDS) {
            next[0] ^= round_constant;
            round_constant = double(round_constant);
        }
        for byte in next {
            expanded.push(byte ^ expanded[expanded.len() - KEY_BYTES]);
        }
    }
    expanded.truncate(bytes);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With blocks of 16 bytes it is AES-256: the example of FIPS 197, appendix C.3. The larger
    /// blocks are compared with the real `send_nsca` in `tests/nsca.rs`.
    #[test]
    fn with_small_blocks_it_is_aes() {
        let key: [u8; KEY_BYTES] = std::array::from_fn(|at| at as u8);
        let mut block: Vec<u8> = (0..16).map(|at| at * 0x11).collect();
        Rijndael::new(16, &key).encrypt(&mut block);
        let expected = [
            0x8e, 0xa2, 0xb7, 0xca, 0x51, 0x67, 0x45, 0xbf, 0xea, 0xfc, 0x49, 0x90, 0x4b, 0x49,
            0x60, 0x89,
        ];
        assert_eq!(block, expected);
    }
}
