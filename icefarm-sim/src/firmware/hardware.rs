//! What a firmware model finds around it on its board.

use crate::board::Pace;
use icefarm_core::Serial;
use std::time::Duration;
use tokio::time::Instant;

/// The hardware around a firmware: the FPGA, the board's time and its serial number.
///
/// Time on a board runs as many times faster than `tokio::time` as its bus was told. What a
/// firmware waits for on its *host* does not: see [`Self::sleep`].
#[derive(Debug, Clone)]
pub struct VirtualHardware {
    serial: Serial,
    pace: Pace,
    started: Instant,
}

impl VirtualHardware {
    pub(crate) fn new(serial: Serial, pace: Pace) -> Self {
        Self { serial, pace, started: Instant::now() }
    }

    /// The board's USB serial number.
    #[must_use]
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Waits for `duration` of the board's time.
    ///
    /// For a timeout on what the host does use `tokio::time` itself: the host is as fast as it
    /// is, however fast the board's time runs.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(self.pace.of(duration)).await;
    }

    /// The board's time since the firmware started, in microseconds.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.pace.on_board(self.started.elapsed()).as_micros().try_into().unwrap_or(u64::MAX)
    }
}
