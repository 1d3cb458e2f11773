//! The panel in a real browser: a farm in this process, and Chromium to look at it.
//!
//! The tests are in `tests/it`. They need Debian's `chromium` and `chromium-driver`, so that
//! `cargo test` passes them over and `cargo xtask browser` runs them. The program of this package
//! takes the pictures of `cargo xtask screenshots`.
#![deny(missing_docs)]

mod chromium;
mod farm;
mod page;

pub use chromium::Chromium;
pub use farm::{Bench, Farm};
pub use page::{ENTER, ESCAPE, Page, SHIFT_TAB, TAB};

use std::time::Duration;

/// What everything here gives back; the text of an error says what happened.
pub type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// How long is waited for what must happen. It is long because a test machine may be busy; nothing
/// is measured by it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks at whether something has happened.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);
