//! Secrets that are handed out once: tokens and one-time links.
//!
//! Only the SHA-256 of a secret is kept. A plain hash is enough: 256 random bits cannot be guessed,
//! so there is nothing that a slow hash would slow down.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

/// What every API token starts with, so that secret scanners and people recognise one.
pub(crate) const TOKEN_PREFIX: &str = "noroshi_";

/// How long a secret may be that is looked at; ours have 51 characters at most.
const SECRET_BYTES_MAX: usize = 128;

/// Returns 32 random bytes of the thread's cryptographic generator as 43 characters of base64url.
pub(super) fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Returns the key under which a secret is kept: `prefix` and the SHA-256 in hexadecimal.
/// `None` for a text that is too long to be one of ours.
pub(super) fn key(prefix: &str, secret: &str) -> Option<Vec<u8>> {
    (secret.len() <= SECRET_BYTES_MAX).then(|| format!("{prefix}{}", hex(secret.as_bytes())).into())
}

/// Returns the SHA-256 of some bytes in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        text.extend([digit(byte >> 4), digit(byte & 0xf)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha_256() {
        // FIPS 180-4, example of one block: "abc".
        assert_eq!(hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn two_secrets_differ_and_are_long() {
        let (a, b) = (random(), random());
        assert_ne!(a, b);
        assert_eq!(a.len(), 43); // 32 bytes in base64 without padding: ceil(32 * 4 / 3)
    }

    #[test]
    fn a_text_too_long_for_a_secret_is_not_hashed() {
        assert!(key("token/", &"x".repeat(SECRET_BYTES_MAX)).is_some());
        assert!(key("token/", &"x".repeat(SECRET_BYTES_MAX + 1)).is_none());
    }
}
