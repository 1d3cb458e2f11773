//! The control server of an iCEFARM: it knows every board and who holds it.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! use icefarm_control::Control;
//!
//! let control = Control::builder().in_memory().build()?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
//! // A program would wait for its end here, for example by `tokio::signal::ctrl_c`.
//! let shutdown = async {};
//! control.run(listener, shutdown).await?;
//! # Ok::<_, icefarm_control::ControlError>(())
//! # }).unwrap();
//! ```
//!
//! Inside, the [`machine`] decides and knows nothing of the world; a [`store`] keeps what was
//! decided; one writer brings the two together; everything else asks and tells it.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod config;
mod control;
mod fleet;
mod ledger;
pub mod machine;
mod routes;
mod sockets;
pub mod store;

pub use config::ControlConfig;
pub use control::{Control, ControlBuilder, ControlError};
