//! NRPE's packets as bytes, without IO.
//!
//! Source: NRPE 4.1 `include/common.h.in`, `src/check_nrpe.c` and `src/nrpe.c`. All integers are
//! big-endian. Bytes 4 to 7 are the CRC-32 (IEEE 802.3) of the whole packet with these four zero.
//!
//! | offset | version 2, always 1036 bytes | versions 3 and 4 |
//! |---|---|---|
//! | 0 | version | version |
//! | 2 | type: 1 query, 2 answer | the same |
//! | 4 | CRC | CRC |
//! | 8 | the plug-in's exit code | the same |
//! | 10 | text, ended by NUL, 1024 bytes; 2 unused | 2 unused |
//! | 12 | | length of the text with its NUL |
//! | 16 | | text; version 3 sends three unused bytes more, the padding of a C struct |

/// Bytes up to the exit code: the same in all versions.
pub(super) const HEAD_BYTES: usize = 10;
/// Bytes of versions 3 and 4 before the text.
pub(super) const LONG_HEAD_BYTES: usize = 16;
/// Bytes of a packet of version 2. Longer versions pad their queries to as many: a server that
/// knows only version 2 reads that many before it looks at the version.
pub(super) const SHORT_BYTES: usize = 1036;
/// Unused bytes at the end of a packet of version 3.
pub(super) const STRAY_BYTES: usize = 3;
/// Longest text that is read: sixteen times what NRPE 4 sends at most.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 20;

/// Bytes of the text in version 2, with its NUL.
const SHORT_TEXT_BYTES: usize = 1024;
/// Type of a question.
const QUERY: u16 = 1;
/// Type of an answer.
const ANSWER: u16 = 2;

/// A version of the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NrpeVersion {
    /// NRPE 2: at most 1023 bytes of output.
    V2,
    /// NRPE 3.
    V3,
    /// NRPE 4.
    V4,
}

impl NrpeVersion {
    /// Newest first: the order in which a server is asked.
    pub(super) const ALL: [Self; 3] = [Self::V4, Self::V3, Self::V2];

    /// Returns the version of a number; `None` when there is none.
    pub fn of(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.number() == number)
    }

    fn number(self) -> u16 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
            Self::V4 => 4,
        }
    }
}

/// Why bytes are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PacketError {
    /// A TLS record where a packet should be.
    #[error("the server speaks TLS: remove tls = false")]
    Tls,
    /// Version or type is not that of an answer.
    #[error("the server does not answer as NRPE does")]
    Foreign,
    /// The text is longer than is read.
    #[error("the answer has {bytes} bytes; at most {TEXT_BYTES_MAX} are read")]
    TooLong {
        /// How long it is.
        bytes: u32,
    },
    /// The checksum is another one.
    #[error("the answer is damaged: its checksum is wrong")]
    Checksum,
}

/// Makes a question. `None`: the text does not fit into the version.
pub(super) fn query(version: NrpeVersion, text: &str) -> Option<Vec<u8>> {
    let mut packet = Vec::with_capacity(SHORT_BYTES);
    packet.extend_from_slice(&version.number().to_be_bytes());
    packet.extend_from_slice(&QUERY.to_be_bytes());
    packet.extend_from_slice(&[0; 6]);
    if version == NrpeVersion::V2 {
        if text.len() >= SHORT_TEXT_BYTES {
            return None;
        }
        packet.extend_from_slice(text.as_bytes());
        packet.resize(SHORT_BYTES, 0);
    } else {
        let stray = if version == NrpeVersion::V3 { STRAY_BYTES } else { 0 };
        let padded = (text.len() + 1).max(SHORT_BYTES - LONG_HEAD_BYTES - stray);
        packet.extend_from_slice(&[0; 2]);
        packet.extend_from_slice(&u32::try_from(padded).ok()?.to_be_bytes());
        packet.extend_from_slice(text.as_bytes());
        packet.resize(LONG_HEAD_BYTES + padded + stray, 0);
    }
    let crc = checksum(&packet);
    packet[4..8].copy_from_slice(&crc.to_be_bytes());
    Some(packet)
}

/// Tells whether bytes begin a TLS alert or handshake (RFC 8446, 5.1): type 21 or 22, version 3.x.
pub(super) fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [21 | 22, 3, ..])
}

/// Reads the head of an answer.
pub(super) fn version_of(head: &[u8; HEAD_BYTES]) -> Result<NrpeVersion, PacketError> {
    let (version, kind) = (u16::from_be_bytes([head[0], head[1]]), [head[2], head[3]]);
    let version = NrpeVersion::of(version).ok_or(PacketError::Foreign)?;
    if u16::from_be_bytes(kind) == ANSWER { Ok(version) } else { Err(PacketError::Foreign) }
}

/// Reads how many bytes of text follow the head of versions 3 and 4.
pub(super) fn text_bytes(head: &[u8; LONG_HEAD_BYTES]) -> Result<usize, PacketError> {
    let bytes = u32::from_be_bytes([head[12], head[13], head[14], head[15]]);
    match usize::try_from(bytes) {
        Ok(length) if length <= TEXT_BYTES_MAX => Ok(length),
        _ => Err(PacketError::TooLong { bytes }),
    }
}

/// Tells whether the checksum of a whole packet is right.
pub(super) fn is_whole(packet: &[u8]) -> bool {
    packet.get(4..8).is_some_and(|crc| checksum(packet).to_be_bytes() == crc)
}

/// Returns exit code and text of a whole packet.
pub(super) fn answer(version: NrpeVersion, packet: &[u8]) -> (i32, &[u8]) {
    let code = i32::from(i16::from_be_bytes([packet[8], packet[9]]));
    let start = if version == NrpeVersion::V2 { HEAD_BYTES } else { LONG_HEAD_BYTES };
    let text = &packet[start..];
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    (code, &text[..end])
}

/// Returns the checksum of a packet, its own four bytes taken as zero.
fn checksum(packet: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&packet[..4]);
    crc.update(&[0; 4]);
    crc.update(&packet[8..]);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_of_each_version_has_its_bytes_and_its_length() {
        let short = query(NrpeVersion::V2, "check_load").unwrap();
        assert_eq!(short.len(), 1036);
        assert_eq!(&short[..4], [0, 2, 0, 1]);
        assert_eq!(&short[8..22], b"\0\0check_load\0\0");
        // 1036 bytes in all: 19 of them head and stray bytes in version 3, 16 in version 4.
        for (version, first, length) in [(NrpeVersion::V3, 3, 1017_u32), (NrpeVersion::V4, 4, 1020)]
        {
            let long = query(version, "check_load!80%!90%").unwrap();
            assert_eq!(long.len(), 1036);
            assert_eq!(&long[..4], [0, first, 0, 1]);
            assert_eq!(&long[8..12], [0; 4]);
            assert_eq!(&long[12..16], length.to_be_bytes());
            assert_eq!(&long[16..35], b"check_load!80%!90%\0");
            assert!(is_whole(&long));
        }
        let longer = query(NrpeVersion::V4, &"x".repeat(2000)).unwrap();
        assert_eq!((longer.len(), &longer[12..16]), (16 + 2001, &2001_u32.to_be_bytes()[..]));
        assert_eq!(query(NrpeVersion::V2, &"x".repeat(1024)), None);
        assert!(query(NrpeVersion::V2, &"x".repeat(1023)).is_some());
    }

    #[test]
    fn the_checksum_is_the_one_of_zip_and_ethernet() {
        // The check value of CRC-32/ISO-HDLC: of "123456789" it is cbf43926. Here four zero bytes
        // stand where the checksum itself is, so the bytes before and after are chosen around them.
        let mut whole = b"1234\x00\x00\x00\x006789".to_vec();
        let mut plain = crc32fast::Hasher::new();
        plain.update(b"123456789");
        assert_eq!(plain.finalize(), 0xcbf4_3926);
        let crc = checksum(&whole);
        whole[4..8].copy_from_slice(&crc.to_be_bytes());
        assert!(is_whole(&whole));
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            assert!(!is_whole(&damaged), "byte {place}");
        }
        assert!(!is_whole(b"1234"));
    }

    #[test]
    fn what_is_no_answer_is_told_from_one() {
        let head = |bytes: [u8; 4]| [bytes[0], bytes[1], bytes[2], bytes[3], 0, 0, 0, 0, 0, 0];
        assert_eq!(version_of(&head([0, 2, 0, 2])), Ok(NrpeVersion::V2));
        assert_eq!(version_of(&head([0, 3, 0, 2])), Ok(NrpeVersion::V3));
        assert_eq!(version_of(&head([0, 4, 0, 2])), Ok(NrpeVersion::V4));
        assert_eq!(version_of(&head([0, 4, 0, 1])), Err(PacketError::Foreign));
        assert_eq!(version_of(&head([0, 5, 0, 2])), Err(PacketError::Foreign));
        assert_eq!(version_of(&head(*b"SSH-")), Err(PacketError::Foreign));
        assert!(is_tls(&[21, 3, 3, 0, 2, 2, 40]) && !is_tls(&[0, 3, 0, 2]) && !is_tls(&[]));
        let mut long = [0; LONG_HEAD_BYTES];
        long[12..].copy_from_slice(&[0, 16, 0, 0]);
        assert_eq!(text_bytes(&long), Ok(1 << 20));
        long[15] = 1;
        assert_eq!(text_bytes(&long), Err(PacketError::TooLong { bytes: (1 << 20) + 1 }));
        long[12] = 0xff;
        assert!(text_bytes(&long).is_err(), "a length that is negative in C");
    }
}
