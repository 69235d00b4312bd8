//! Decides who is told what, when, how often, and tells them.
