//! A fast hash of bytes for maps in memory that compare their keys in full.
//!
//! Not for the disk and not for secrets: who may send series may make equal hashes, which costs a
//! few comparisons more.

use std::hash::{BuildHasherDefault, Hasher};

/// Returns a hash of bytes: multiply and fold, sixteen bytes at a time (the method of wyhash and
/// its kin, github.com/wangyi-fudan/wyhash; constants our own). Equal hashes are told apart
/// by the bytes themselves, so it need not be strong, only fast.
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    const OTHER: u64 = 0xd1b5_4a32_d192_ed03;
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ (product >> 64) as u64
    };
    let mut hash = ODD ^ bytes.len() as u64;
    let (pairs, rest) = bytes.as_chunks::<16>();
    for pair in pairs {
        let (words, _) = pair.as_chunks::<8>();
        let (a, b) = (u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]));
        hash = fold(a ^ ODD, b ^ hash);
    }
    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);
    let (words, _) = last.as_chunks::<8>();
    let (a, b) = (u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]));
    fold(fold(a ^ OTHER, b ^ hash), ODD)
}

/// Takes a hash for what it is: for maps whose keys are what [`hash_bytes`] returned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A map whose keys are texts, hashed by [`hash_bytes`].
pub type TextMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<TextHasher>>;

/// Hashes texts by [`hash_bytes`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TextHasher(u64);

impl Hasher for TextHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.rotate_left(5) ^ hash_bytes(bytes);
    }

    /// The mark that ends a text: one text has no other behind it.
    fn write_u8(&mut self, _: u8) {}
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn texts_that_differ_in_one_byte_have_different_hashes() {
        let text: Vec<u8> = (0..70).collect();
        let mut hashes = HashSet::new();
        for length in 0..text.len() {
            assert!(hashes.insert(hash_bytes(&text[..length])), "length {length}");
            for at in 0..length {
                let mut other = text[..length].to_vec();
                other[at] ^= 0x80;
                assert!(hashes.insert(hash_bytes(&other)), "length {length}, byte {at}");
            }
        }
    }
}
