//! Lines that `noroshi import samples` reads.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| noroshi_store::export_line(input));
