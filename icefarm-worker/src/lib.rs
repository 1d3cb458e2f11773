//! TBD
mod actor;
mod board;
mod config;
mod ledger;
mod lease;
pub use config::{BoardConfig, LeaseConfig, LinkConfig, WorkerConfig};
