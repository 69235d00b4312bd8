//! NSCA's packets as bytes, without IO.
//!
//! Source: NSCA 2.10.2 `include/common.h` (C structs, here with their padding) and `src/nsca.c`. All
//! integers are big-endian. The server speaks first:
//!
//! | offset | first packet, 132 bytes |
//! |---|---|
//! | 0 | 128 random bytes |
//! | 128 | time, seconds since 1970 |
//!
//! The client answers with any number of packets, encrypted as a whole:
//!
//! | offset | data packet, 4304 bytes, or 720 from NSCA before 2.9 |
//! |---|---|
//! | 0 | version: 3 |
//! | 2 | unused |
//! | 4 | CRC-32 (IEEE 802.3) of the whole packet, these four bytes zero |
//! | 8 | the time of the first packet |
//! | 12 | the plug-in's exit code |
//! | 14 | name of the host, ended by NUL, 64 bytes |
//! | 78 | name of the check, ended by NUL, 128 bytes; empty: a result of the host |
//! | 206 | output, ended by NUL, 4096 bytes, or 512 |
//! | end | 2 unused bytes |

use super::cipher::IV_BYTES;

/// Bytes of a packet of NSCA 2.9 and newer.
pub(super) const LONG_BYTES: usize = 4304;
/// Bytes of a packet of older versions, and of `legacy_2_7_mode`.
pub(super) const SHORT_BYTES: usize = 720;
/// Bytes of what the server says first.
pub(super) const HELLO_BYTES: usize = IV_BYTES + 4;

const VERSION: u16 = 3;
const CRC: std::ops::Range<usize> = 4..8;
const HOST: std::ops::Range<usize> = 14..78;
const CHECK: std::ops::Range<usize> = 78..206;
/// Unused bytes at the end.
const PADDING: usize = 2;

/// What a packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// Seconds since 1970, as the server said them at first.
    pub(super) time: u32,
    pub(super) code: i16,
    pub(super) host: String,
    /// Empty: of the host itself.
    pub(super) check: String,
    pub(super) output: String,
}

/// Writes what the server says first.
pub(super) fn hello(iv: &[u8; IV_BYTES], time: u32) -> [u8; HELLO_BYTES] {
    let mut bytes = [0; HELLO_BYTES];
    bytes[..IV_BYTES].copy_from_slice(iv);
    bytes[IV_BYTES..].copy_from_slice(&time.to_be_bytes());
    bytes
}

/// Reads a decrypted packet of one of the two lengths; `None` when version or checksum are wrong,
/// as they are with another password.
pub(super) fn parse(bytes: &[u8]) -> Option<Packet> {
    let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
    let short = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    if !matches!(bytes.len(), LONG_BYTES | SHORT_BYTES) || short(0) != VERSION {
        return None;
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[..CRC.start]);
    crc.update(&[0; 4]);
    crc.update(&bytes[CRC.end..]);
    if crc.finalize() != number(CRC.start) {
        return None;
    }
    Some(Packet {
        time: number(8),
        code: short(12).cast_signed(),
        host: text(&bytes[HOST]).trim().to_owned(),
        check: text(&bytes[CHECK]).trim().to_owned(),
        output: text(&bytes[CHECK.end..bytes.len() - PADDING]),
    })
}

/// Reads a text up to its NUL; what is no UTF-8 becomes U+FFFD.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes a packet as `send_nsca` does.
    pub(in crate::handed) fn write(packet: &Packet, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let mut put = |at: usize, from: &[u8]| bytes[at..at + from.len()].copy_from_slice(from);
        put(0, &VERSION.to_be_bytes());
        put(8, &packet.time.to_be_bytes());
        put(12, &packet.code.to_be_bytes());
        put(HOST.start, packet.host.as_bytes());
        put(CHECK.start, packet.check.as_bytes());
        put(CHECK.end, packet.output.as_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes[CRC].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn packet() -> Packet {
        Packet {
            time: 1_700_000_000,
            code: 2,
            host: "web1".to_owned(),
            check: "disk".to_owned(),
            output: "full | used=100%".to_owned(),
        }
    }

    #[test]
    fn both_lengths_are_read() {
        for length in [LONG_BYTES, SHORT_BYTES] {
            assert_eq!(parse(&write(&packet(), length)), Some(packet()));
        }
        // A text may fill its place without NUL.
        let full = Packet { host: "h".repeat(64), output: "é".repeat(256), ..packet() };
        assert_eq!(parse(&write(&full, SHORT_BYTES)), Some(full));
    }

    #[test]
    fn whatever_is_changed_is_refused() {
        let bytes = write(&packet(), SHORT_BYTES);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(parse(&changed), None, "byte {at}");
        }
        assert_eq!(parse(&bytes[..719]), None);
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&vec![0; LONG_BYTES]), None);
    }
}
