//! What goes wrong with virtual boards as it was said beforehand.

mod effect;
mod plan;
mod script;

pub use effect::{Effect, Trigger};
pub use plan::{BoardChoice, Fault, FaultError, FaultPlan};
pub(crate) use script::{Injected, Moment, Script};
