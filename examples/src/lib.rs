//! A state of one's own, as a crate that a worker takes in with `use icefarm_examples as _;`.
#![deny(missing_docs)]

icefarm_core::plugin!();

mod example_state;

pub use example_state::ExampleState;
