//! Damaged input for everything that reads from the network or from files.
//!
//! A [`Target`] is a parser with samples of what it takes, and what must hold of it whatever it is
//! given. [`run`] feeds it bytes made up and samples that are damaged, and looks at what it
//! allocates. An input that once did harm stays in `corpus/`, and is tried first ever after.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod mutate;
mod run;
mod targets;

pub use mutate::{Mutation, damaged};
pub use run::{Failure, Found, corpus, keep, replay, run};
pub use targets::{TARGETS, Target};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;

/// Counts what is allocated in programs that link this.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;
