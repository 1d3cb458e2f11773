//! What the worker does with boards themselves: no state has a part in it.

mod dance;
mod ladder;
mod residue;
mod restore;

pub(crate) use dance::{flash, restart};
pub(crate) use ladder::Rung;
pub(crate) use residue::ResidueLedger;
pub(crate) use restore::{Restored, explain, restore};
