//! Simulation of iCE40UP5K bitstreams.

mod bitstream;
mod commands;
mod cram;
mod editor;
mod refusal;

pub use bitstream::Bitstream;
pub use editor::Editor;
pub use refusal::{Refusal, Tile};
