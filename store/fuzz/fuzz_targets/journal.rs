//! Segments of the journal and their entries.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| noroshi_store::journal(input));
