//! What an agent sends: bodies and the frames in them. A frame that is read is written the same.
#![no_main]

use noroshi_model::frame::{decode, decode_all, decode_body, encode};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    drop(decode_body(input));
    drop(decode_all(input));
    if let Ok((frame, rest)) = decode(input) {
        assert!(rest.len() < input.len());
        let again = encode(&frame);
        let (same, none) = decode(&again).expect("what was written is read");
        assert!(none.is_empty());
        // NaN differs from itself: compared as written.
        assert_eq!(encode(&same), again);
    }
});
