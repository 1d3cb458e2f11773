//! The control server of an iCEFARM: it knows every board and who holds it.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod ledger;
pub mod machine;
pub mod store;
