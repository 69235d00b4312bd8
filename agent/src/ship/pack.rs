//! Compresses frames, and tells whether what was compressed is whole.

use std::io;

use zstd::zstd_safe::CParameter;

/// A frame of 420 series shrinks from 12.2 KB to 5.3 KB; the default, 3, gives 5.1 KB in twice the
/// time.
const LEVEL: i32 = 1;

/// So many bits has the place of a text that may come again: tables of 16 KiB that are kept, and
/// cleared for each frame. The level's own 128 KiB save no byte of a frame like that.
const HASH_BITS: u32 = 12;

/// Compresses frames, one after the other, in the same memory.
pub(crate) struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    /// Errors: zstd's own, when there is no memory.
    pub(crate) fn new() -> io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        compressor.set_parameter(CParameter::HashLog(HASH_BITS))?;
        Ok(Self(compressor))
    }

    /// Compresses an encoded frame into one zstd frame with a checksum.
    ///
    /// Errors: zstd's own, which a frame in memory gives no cause for.
    pub(crate) fn pack(&mut self, frame: &[u8]) -> io::Result<Vec<u8>> {
        self.0.compress(frame)
    }
}

/// Packs one frame.
#[cfg(test)]
pub(crate) fn compress(frame: &[u8]) -> io::Result<Vec<u8>> {
    Packer::new()?.pack(frame)
}

/// Tells whether bytes are one whole zstd frame whose checksum is right.
pub(crate) fn is_whole(packed: &[u8]) -> bool {
    zstd::stream::copy_decode(packed, io::sink()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_seen() {
        let packed = compress(&b"noroshi ".repeat(100)).unwrap();
        assert!(is_whole(&packed));
        assert!(!is_whole(&packed[..packed.len() - 1]));
        for place in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[place] ^= 0x10;
            // The two unused bits of the frame's head aside, nothing goes unseen.
            assert!(!is_whole(&damaged) || place == 4, "byte {place}");
        }
    }
}
