//! How NSCA hides its packets.
//!
//! Source: NSCA 2.10.2 `src/utils.c` (`encrypt_init`, `encrypt_buffer`, `decrypt_buffer`), which
//! uses libmcrypt 2.5.8: the mode "cfb", which is CFB with 8 bits (NIST SP 800-38A, 6.3), from the
//! first bytes of what the server sent; the key is the password, cut or filled with zeros to the
//! longest key of the algorithm. The feedback runs on from packet to packet; XOR begins anew with
//! each.

use cipher::{BlockCipherEncrypt, KeyInit};

use super::rijndael::{KEY_BYTES, Rijndael};
use crate::probe::Secret;

/// Bytes of the random block that the server sends.
pub(super) const IV_BYTES: usize = 128;

/// A method of encryption; its number is that of `encryption_method` in `send_nsca.cfg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NscaMethod {
    /// Everybody can read and write.
    None,
    /// Whoever reads along learns the password.
    Xor,
    /// DES.
    Des,
    /// Triple DES with three keys.
    TripleDes,
    /// CAST-128.
    Cast128,
    /// Blowfish.
    Blowfish,
    /// Twofish.
    Twofish,
    /// Rijndael with blocks of 16 bytes: AES-256.
    Rijndael128,
    /// Rijndael with blocks of 24 bytes.
    Rijndael192,
    /// Rijndael with blocks of 32 bytes.
    Rijndael256,
    /// Serpent.
    Serpent,
}

impl NscaMethod {
    /// All methods with their number and name.
    pub const ALL: [(Self, u8, &'static str); 11] = [
        (Self::None, 0, "none"),
        (Self::Xor, 1, "xor"),
        (Self::Des, 2, "des"),
        (Self::TripleDes, 3, "3des"),
        (Self::Cast128, 4, "cast128"),
        (Self::Blowfish, 8, "blowfish"),
        (Self::Twofish, 9, "twofish"),
        (Self::Rijndael128, 14, "rijndael128"),
        (Self::Rijndael192, 15, "rijndael192"),
        (Self::Rijndael256, 16, "rijndael256"),
        (Self::Serpent, 20, "serpent"),
    ];

    /// Returns the method of a number or name; `None` when it is not spoken here.
    pub fn of(said: &str) -> Option<Self> {
        let is_meant =
            |number: u8, name: &str| said.eq_ignore_ascii_case(name) || said == number.to_string();
        Self::ALL.into_iter().find(|(_, number, name)| is_meant(*number, name)).map(|found| found.0)
    }
}

/// Encrypts one block: all that CFB needs of a cipher.
pub(super) trait EncryptBlock: Send {
    /// How long a block is.
    fn block_bytes(&self) -> usize;
    /// Encrypts a block of that length in its place.
    fn encrypt(&self, block: &mut [u8]);
}

/// A cipher of a crate.
struct Kept<C>(C);

impl<C: BlockCipherEncrypt + Send> EncryptBlock for Kept<C> {
    fn block_bytes(&self) -> usize {
        C::block_size()
    }

    fn encrypt(&self, block: &mut [u8]) {
        if let Ok(block) = block.try_into() {
            self.0.encrypt_block(block);
        }
    }
}

/// Takes the hiding of one connection away.
pub(super) enum Cipher {
    Plain,
    Xor { iv: [u8; IV_BYTES], password: Vec<u8>, at: usize },
    Cfb { block: Box<dyn EncryptBlock>, register: Vec<u8>, stream: Vec<u8> },
}

impl Cipher {
    /// Makes the cipher of a connection that began with `iv`.
    pub(super) fn new(method: NscaMethod, password: &Secret, iv: [u8; IV_BYTES]) -> Self {
        let password = password.reveal().as_bytes();
        let block = match method {
            NscaMethod::None => return Self::Plain,
            NscaMethod::Xor => return Self::Xor { iv, password: password.to_vec(), at: 0 },
            NscaMethod::Des => kept::<des::Des, 8>(password),
            NscaMethod::TripleDes => kept::<des::TdesEde3, 24>(password),
            NscaMethod::Cast128 => kept::<cast5::Cast5, 16>(password),
            NscaMethod::Blowfish => kept::<blowfish::Blowfish, 56>(password),
            NscaMethod::Twofish => kept::<twofish::Twofish, 32>(password),
            NscaMethod::Rijndael128 => kept::<aes::Aes256, 32>(password),
            NscaMethod::Serpent => kept::<serpent::Serpent, 32>(password),
            NscaMethod::Rijndael192 => Box::new(Rijndael::new(24, &padded::<KEY_BYTES>(password))),
            NscaMethod::Rijndael256 => Box::new(Rijndael::new(32, &padded::<KEY_BYTES>(password))),
        };
        let register = iv[..block.block_bytes()].to_vec();
        Self::Cfb { stream: register.clone(), block, register }
    }

    /// Begins a packet.
    pub(super) fn begin(&mut self) {
        if let Self::Xor { at, .. } = self {
            *at = 0;
        }
    }

    /// Decrypts the next bytes of a packet in their place.
    pub(super) fn decrypt(&mut self, bytes: &mut [u8]) {
        match self {
            Self::Plain => {}
            Self::Xor { iv, password, at } => {
                for byte in bytes {
                    let of_password = password.get(*at % password.len().max(1)).unwrap_or(&0);
                    *byte ^= iv[*at % IV_BYTES] ^ of_password;
                    *at += 1;
                }
            }
            Self::Cfb { block, register, stream } => {
                for byte in bytes {
                    stream.copy_from_slice(register);
                    block.encrypt(stream);
                    register.rotate_left(1);
                    if let Some(last) = register.last_mut() {
                        *last = *byte;
                    }
                    *byte ^= stream[0];
                }
            }
        }
    }
}

/// Cuts a password, or fills it with zeros.
fn padded<const N: usize>(password: &[u8]) -> [u8; N] {
    std::array::from_fn(|at| password.get(at).copied().unwrap_or(0))
}

/// Makes the cipher of a crate with its longest key, `N` bytes.
fn kept<C, const N: usize>(password: &[u8]) -> Box<dyn EncryptBlock>
where
    C: BlockCipherEncrypt + KeyInit + Send + 'static,
{
    let cipher = C::new_from_slice(&padded::<N>(password));
    Box::new(Kept(cipher.expect("N is a length of keys that the cipher takes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_a_number_of_nsca_or_a_name() {
        assert_eq!(NscaMethod::of("3"), Some(NscaMethod::TripleDes));
        assert_eq!(NscaMethod::of("3DES"), Some(NscaMethod::TripleDes));
        assert_eq!(NscaMethod::of("0"), Some(NscaMethod::None));
        assert_eq!(NscaMethod::of("5"), None);
        assert_eq!(NscaMethod::of("aes"), None);
    }

    /// NIST SP 800-38A, F.3.7 (CFB8-AES128) has no key of 256 bits in our layout; F.3.11 has:
    /// CFB8-AES256, the first bytes.
    #[test]
    fn the_mode_is_cfb_of_eight_bits() {
        let key = [
            0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae, 0xf0, 0x85, 0x7d,
            0x77, 0x81, 0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3,
            0x09, 0x14, 0xdf, 0xf4,
        ];
        let block = Box::new(Kept(aes::Aes256::new_from_slice(&key).unwrap()));
        let register: Vec<u8> = (0..16).collect();
        let mut cipher = Cipher::Cfb { block, stream: register.clone(), register };
        let mut bytes = [0xdc, 0x1f, 0x1a, 0x85, 0x20, 0xa6, 0x4d, 0xb5, 0x5f, 0xcc];
        cipher.decrypt(&mut bytes);
        assert_eq!(bytes, [0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d]);
    }

    #[test]
    fn what_is_decrypted_in_parts_is_the_same_as_the_whole() {
        let iv = std::array::from_fn(|at| (at * 7) as u8);
        for (method, _, name) in NscaMethod::ALL {
            let secret = Secret::new("open sesame");
            let whole: Vec<u8> = (0..720).map(|at| at as u8).collect();
            let (mut once, mut parts) = (whole.clone(), whole.clone());
            Cipher::new(method, &secret, iv).decrypt(&mut once);
            let mut cipher = Cipher::new(method, &secret, iv);
            parts.chunks_mut(100).for_each(|part| cipher.decrypt(part));
            assert_eq!(once, parts, "{name}");
            assert_eq!(once == whole, method == NscaMethod::None, "{name}");
        }
    }
}
