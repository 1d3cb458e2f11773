//! What this kind reads.

use serde::{Deserialize, Serialize};

/// A reading: how many pulses there were in the window.
///
/// Travels as `{"pulses": 2000}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pulses {
    /// Rising edges on the observed pin, in a window of nominally one second. On a real board the
    /// window is up to 1 ms shorter.
    pub pulses: u64,
}
