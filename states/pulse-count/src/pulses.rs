//! What this kind reads.

use serde::{Deserialize, Serialize};

/// A reading: how many pulses there were in the window.
///
/// Travels as `{"pulses": 2000}`, or `{"pulses": 2000, "uncertainty": 1}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pulses {
    /// Rising edges on the observed pin, in a window of nominally one second. On a real board the
    /// window is up to 1 ms shorter.
    pub pulses: u64,
    /// By how many pulses more or less a simulated count can be off: that of a circuit on the PLL,
    /// of which nobody knows when it has locked. Absent if the count is exact, and of a real board,
    /// which counts and does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<u64>,
}
