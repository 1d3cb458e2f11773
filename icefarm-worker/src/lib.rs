//! The worker of an iCEFARM: it is plugged to boards, keeps them ready, and runs the state of
//! every board that is reserved.
//!
//! ```
//! use icefarm_core::WorkerName;
//! use icefarm_worker::Worker;
//! use std::sync::Arc;
//! # use futures::stream::{BoxStream, StreamExt};
//! # struct Nothing;
//! # impl icefarm_core::Bus for Nothing {
//! #     fn name(&self) -> &str {
//! #         "nothing"
//! #     }
//! #     fn boards(&self) -> BoxStream<'static, Arc<dyn icefarm_core::Board>> {
//! #         futures::stream::pending().boxed()
//! #     }
//! # }
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! // `icefarm_sim::VirtualBus` has virtual boards. Whoever brings other ones implements `Bus`.
//! # let bus = Arc::new(Nothing);
//! let worker = Worker::builder()
//!     .name(WorkerName::new("bench-2")?)
//!     .control("http://127.0.0.1:8080")
//!     .bus(bus)
//!     .build()?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! // A program would wait for `tokio::signal::ctrl_c` here. Then all leases are ended.
//! let shutdown = async {};
//! worker.run(listener, shutdown).await?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # What goes on inside
//!
//! Every board has a *supervisor*, a task that never runs a line of a plug-in. It leads the board
//! through its life: flash the default firmware, test it, offer it, serve leases, take it back,
//! and climb the recovery ladder where that fails. It decides about leases by their fencing
//! tokens, and carries out what a state asks of the board, so that a board is never left in the
//! middle of something.
//!
//! The *state* of a lease runs as one task on a thread of its own. Its hooks and commands have
//! deadlines, its panics are contained, and when its lease is over it is cut off: it reaches
//! neither its board nor its client any more, whether it has noticed or not. A state that keeps
//! its thread for ever costs the worker that thread and that board, until it lets go.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

icefarm_core::plugin!();

mod actor;
mod api;
mod board;
mod config;
mod departure;
mod door;
mod lease;
mod ledger;
mod link;
mod metrics;
mod roster;
mod secret;
mod sockets;
mod supervisor;
mod worker;

pub use config::{BoardConfig, LeaseConfig, LinkConfig, WorkerConfig};
pub use lease::EventSink;
#[cfg(icefarm_simulation)]
pub use lease::omit_check;
pub use supervisor::{Supervision, Supervisor};
pub use worker::{Worker, WorkerBuilder, WorkerError};
