//! Checkpoints byte by byte, as `FORMAT.md` draws them.

use super::*;

/// A head of series 7, by hand.
///
/// Zigzag of n is 2n for n >= 0 and -2n - 1 for n < 0; a varint has seven bits a byte, lowest first.
const HEAD: [u8; 24] = [
    7, // series
    0, // class: the first of the summary
    2, // width: a counter of 64 bits
    0x90, 0x4e, // interval: 10,000 = 78 * 128 + 16
    0xc0, 0xb8, 0x02, // last_at 20,000: zigzag 40,000 = 2 * 16,384 + 56 * 128 + 64
    1, 0x80, 0x7d, // started_at 8,000 before it: zigzag 16,000 = 125 * 128
    0,    // packed_until: none
    1,    // one archive
    0,    // no block
    0,    // reach: none
    1, 0, // done until last_at
    0, // no samples
    0xc0, 0xb8, 0x02, // first_at 20,000 before last_at: none is as 0
    0,    // no chunks
    0,    // no restarts
    0,    // no late samples
];

fn section(out: &mut Vec<u8>, number: u8, content: &[u8]) {
    let whole: Vec<u8> = [&[number], content].concat();
    out.extend((whole.len() as u32).to_le_bytes());
    out.extend(crc32c::crc32c(&whole).to_le_bytes());
    out.extend(whole);
}

/// A file that says it has this version, with what version 1 had.
fn written_by_hand(version: u8) -> Vec<u8> {
    let mut bytes = b"NOROSHI CKPT \0\n\0".to_vec();
    bytes[13] = b'0' + version;
    bytes.extend([0; 16]);
    let summary = br#"{"journal":5,"classes":[{"name":"default","archives":[{"step":10000,"oldest":1,"filled":32,"extents":[[0,20000]]}]}]}"#;
    section(&mut bytes, 1, summary);
    section(&mut bytes, 2, &HEAD);
    section(&mut bytes, 3, &[1]);
    bytes
}

fn load_bytes(bytes: &[u8]) -> io::Result<Option<Loaded>> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(path_of(directory.path(), 3), bytes).unwrap();
    load(directory.path())
}

#[test]
fn version_1_has_no_quiet_series_and_is_read_for_ever() {
    let loaded = load_bytes(&written_by_hand(1)).unwrap().unwrap();
    assert_eq!((loaded.number, loaded.damaged), (3, 0));
    assert_eq!((loaded.summary.journal, loaded.summary.classes[0].name.as_str()), (5, "default"));
    assert_eq!(loaded.summary.classes[0].archives[0].extents, [(0, 20_000)]);
    assert!(loaded.quiet.all_from(0).is_empty());
    let [(series, head)] = &loaded.heads[..] else { panic!("{} heads", loaded.heads.len()) };
    assert_eq!((*series, head.interval, head.width), (7, 10_000, Some(Width::U64)));
    assert_eq!((head.last_at, head.started_at), (20_000, 12_000));
    assert_eq!(head.chains[0].done_until, 20_000);
    // What is written today of the same head has the same bytes.
    let mut again = Vec::new();
    put_head(&mut again, *series, head);
    assert_eq!(again, HEAD);
}

#[test]
fn what_a_newer_program_wrote_is_refused_and_a_damaged_header_is_not() {
    let error = load_bytes(&written_by_hand(3)).err().map(|error| error.to_string());
    let expected = "it has version 3; this program reads up to 2: update it";
    assert_eq!(error.as_deref(), Some(expected));
    let mut damaged = written_by_hand(2);
    damaged[3] ^= 0x20;
    assert_eq!(load_bytes(&damaged).unwrap().unwrap().heads.len(), 1);
}

#[test]
fn what_is_written_says_the_newest_version() {
    let directory = tempfile::tempdir().unwrap();
    let writing = Writing::begin(directory.path(), 4, &Summary::default()).unwrap();
    writing.finish().unwrap().publish().unwrap();
    let bytes = fs::read(path_of(directory.path(), 4)).unwrap();
    assert_eq!(&bytes[..16], b"NOROSHI CKPT 2\n\0");
    assert_eq!(load(directory.path()).unwrap().unwrap().damaged, 0);
}
