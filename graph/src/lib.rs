//! Draws a description and some series as PNG or SVG.
