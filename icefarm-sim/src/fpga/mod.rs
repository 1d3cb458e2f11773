//! Simulation of iCE40UP5K bitstreams.

mod bitstream;
mod chip;
mod commands;
mod cram;
mod editor;
mod refusal;

pub use bitstream::Bitstream;
pub use chip::{Chip, Net, Pad, Switch, TableError};
pub use editor::Editor;
pub use refusal::{Refusal, Tile};
