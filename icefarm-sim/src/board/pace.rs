//! How fast time runs on a board, and how long a board takes for what it does.

use std::time::Duration;

/// From a reset of the RP2350 until it is seen on the bus. Chosen: a hub debounces for 100 ms
/// (USB 2.0, 7.1.7.3), the rest is reset, descriptors and drivers of a Linux host.
pub(super) const ENUMERATION: Duration = Duration::from_millis(400);

/// From the 1200-baud touch until the firmware is gone (pico-sdk 2.2.0, `reset_interface.c` and
/// `tud_cdc_line_coding_cb`: the boot ROM is asked to reboot after 10 ms).
pub(super) const TO_BOOTLOADER: Duration = Duration::from_millis(10);

/// From the request to restart until the firmware is gone (pico-sdk 2.2.0, reset interface,
/// request 2: the watchdog fires after 100 ms).
pub(super) const TO_RESTART: Duration = Duration::from_millis(100);

/// From PICOBOOT's `REBOOT2` until the boot ROM is gone (picotool sends a delay of 500 ms).
pub(super) const OUT_OF_BOOTLOADER: Duration = Duration::from_millis(500);

/// To erase, write and verify a firmware image. Chosen: for 64 KiB, at 45 ms for each sector of
/// 4096 bytes and 0.4 ms for each page of 256 bytes (typical of the W25Q series), and USB.
pub(super) const FLASHING: Duration = Duration::from_millis(900);

/// How long the power is off in a power cycle. Chosen: long enough to discharge the board.
pub(super) const POWER_OFF: Duration = Duration::from_millis(500);

/// The speed of a board's time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    speed: f64,
}

impl Pace {
    /// `speed` times as fast as `tokio::time`; `None` unless that is a positive number.
    pub(crate) fn new(speed: f64) -> Option<Self> {
        // Beyond these bounds durations would not fit.
        (1e-6..=1e6).contains(&speed).then_some(Self { speed })
    }

    /// How long a time on the board is for `tokio::time`.
    pub(crate) fn of(self, on_board: Duration) -> Duration {
        on_board.div_f64(self.speed)
    }

    /// How long a time of `tokio::time` is on the board.
    pub(crate) fn on_board(self, duration: Duration) -> Duration {
        duration.mul_f64(self.speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_board_needs_less_time() {
        let pace = Pace::new(20.0).unwrap();
        assert_eq!(pace.of(Duration::from_secs(1)), Duration::from_millis(50));
        assert_eq!(pace.on_board(Duration::from_millis(50)), Duration::from_secs(1));
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Pace::new(wrong), None);
        }
    }
}
