//! Bytes, variable-length integers and packed bits.

/// Maps a signed number to an unsigned one so that small magnitudes stay small.
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Undoes [`zigzag`].
pub(crate) const fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Appends an unsigned number, seven bits a byte, lowest first (LEB128).
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number.
pub(crate) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, zigzag(value));
}

/// Appends numbers of a fixed width in bits, lowest bit first.
pub(super) fn put_bits(out: &mut Vec<u8>, values: impl Iterator<Item = u64>, width: u32) {
    if width == 0 {
        return;
    }
    let (mut pending, mut filled) = (0_u64, 0_u32);
    for value in values {
        debug_assert!(width == 64 || value >> width == 0, "{value} needs more than {width} bits");
        pending |= value << filled;
        if filled + width >= 64 {
            out.extend_from_slice(&pending.to_le_bytes());
            pending = if filled == 0 { 0 } else { value >> (64 - filled) };
            filled = filled + width - 64;
        } else {
            filled += width;
        }
    }
    out.extend_from_slice(&pending.to_le_bytes()[..filled.div_ceil(8) as usize]);
}

/// Reads what the functions above wrote; every method returns `None` at the end of the input.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Tells whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns how many bytes are left.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// Takes `length` bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// Takes one byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Takes a little-endian number of four bytes.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (taken, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(u32::from_le_bytes(*taken))
    }

    /// Takes a little-endian number of eight bytes.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        let (taken, rest) = self.rest.split_first_chunk::<8>()?;
        self.rest = rest;
        Some(u64::from_le_bytes(*taken))
    }

    /// Takes the bits of a float.
    pub(crate) fn f64(&mut self) -> Option<f64> {
        self.u64().map(f64::from_bits)
    }

    /// Takes a number of [`put_varint`].
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Takes a number of [`put_zigzag`].
    pub(crate) fn zigzag(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    /// Takes `out.len()` numbers of [`put_bits`].
    pub(super) fn packed(&mut self, out: &mut [u64], width: u32) -> Option<()> {
        if width == 0 {
            out.fill(0);
            return Some(());
        }
        if width > 64 {
            return None;
        }
        let packed = self.bytes((out.len() * width as usize).div_ceil(8))?;
        let mask = u64::MAX >> (64 - width);
        for (index, value) in out.iter_mut().enumerate() {
            let first_bit = index * width as usize;
            let (byte, shift) = (first_bit / 8, (first_bit % 8) as u32);
            let mut read = word_at(packed, byte) >> shift;
            if shift + width > 64 {
                read |= word_at(packed, byte + 8) << (64 - shift);
            }
            *value = read & mask;
        }
        Some(())
    }
}

/// Returns eight bytes as a number, with zeros behind the end.
fn word_at(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or(&[]);
    if let Some(word) = rest.first_chunk::<8>() {
        return u64::from_le_bytes(*word);
    }
    let mut word = [0; 8];
    word[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(word)
}
