//! Heads of a checkpoint.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| noroshi_store::checkpoint(input));
