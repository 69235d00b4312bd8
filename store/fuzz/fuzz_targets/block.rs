//! Blocks of samples and rows behind a right checksum.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| noroshi_store::block(input));
