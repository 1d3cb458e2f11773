//! A state of one's own, as a crate that a worker takes in with `use icefarm_examples as _;`.
#![deny(missing_docs)]

icefarm_core::plugin!();

mod example_state;

pub use example_state::ExampleState;

/// The examples of the README, which are compiled so that they stay true.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
