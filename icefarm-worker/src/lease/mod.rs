//! One lease on one board: who holds it, and the state that runs for it.

mod check;
mod contain;
mod fence;
mod host;
mod launch;
mod port;
mod queue;
mod state_task;
mod tasks;
mod tenancy;

#[cfg(icefarm_simulation)]
pub use check::omit_check;
pub(crate) use fence::Fence;
pub(crate) use host::Ask;
pub use host::EventSink;
pub(crate) use launch::{Abandoned, Launch, PluginThreads, Running};
pub(crate) use queue::{Command, QueueLimits};
pub(crate) use state_task::Note;
pub(crate) use tenancy::{Drained, Over, Taken, Tenancy, Urgent, check_holder};
