//! Virtual pico2-ice boards that truly simulate iCE40UP5K bitstreams.
//!
//! [`fpga`] reads a bitstream, finds the circuit that drives a pin and counts what that pin does,
//! cycle for cycle. What it cannot know it refuses with a typed reason; it never makes up a figure.

#![deny(missing_docs)]

pub mod fpga;
