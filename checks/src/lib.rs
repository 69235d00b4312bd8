//! Decides when to look, looks, and judges what was seen.
