//! What the examples have in common: that the README's own are compiled, so that they stay true.
#![deny(missing_docs)]

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
