//! Passwords: argon2id, version 19, 19 MiB, two passes (the `argon2` crate's defaults, which are
//! the first choice of OWASP's Password Storage Cheat Sheet). About 30 ms of one core each.

use std::sync::LazyLock;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};

use super::PeopleError;

/// Fewest characters of a password (NIST SP 800-63B, section 5.1.1.1).
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Most bytes of a password: more is a mistake or an attack on the hash's time.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Hash of a password nobody has: verified when the account is unknown, so that the answer takes
/// as long as for a known one.
static NOBODY: LazyLock<String> =
    LazyLock::new(|| hash(&super::secret::random()).unwrap_or_default());

/// Hashes a password into a PHC string.
///
/// Errors: [`PeopleError::PasswordUnfit`], [`PeopleError::Hash`].
pub(super) fn hash(password: &str) -> Result<String, PeopleError> {
    let is_fit =
        password.chars().count() >= PASSWORD_CHARS_MIN && password.len() <= PASSWORD_BYTES_MAX;
    if !is_fit {
        return Err(PeopleError::PasswordUnfit);
    }
    let hashed = Argon2::default().hash_password(password.as_bytes());
    hashed.map(|hash| hash.to_string()).map_err(|_| PeopleError::Hash)
}

/// Tells whether a password belongs to a hash. `None` as hash takes its time and says no.
pub(super) fn verify(password: &str, hash: Option<&str>) -> bool {
    if password.len() > PASSWORD_BYTES_MAX {
        return false;
    }
    let Ok(parsed) = PasswordHash::new(hash.unwrap_or(&NOBODY)) else { return false };
    let is_right = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
    is_right && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_verified_by_its_hash_only() {
        let hashed = hash("correct horse").unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$"), "{hashed}");
        assert!(verify("correct horse", Some(&hashed)));
        assert!(!verify("correct horsf", Some(&hashed)));
        assert!(!verify("correct horse", None));
        assert!(!verify("correct horse", Some("not a hash")));
    }

    #[test]
    fn borders_of_length() {
        assert!(matches!(hash("1234567"), Err(PeopleError::PasswordUnfit)));
        assert!(hash("12345678").is_ok());
        assert!(hash(&"ü".repeat(8)).is_ok());
        assert!(matches!(hash(&"x".repeat(1025)), Err(PeopleError::PasswordUnfit)));
    }
}
