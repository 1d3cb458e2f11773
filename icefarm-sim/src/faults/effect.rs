//! What can happen to a board, and when.

use std::fmt;
use std::time::Duration;

/// What happens to a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Its plug is pulled: it leaves the bus at once and an open port breaks. It comes back with
    /// the firmware that it held, or as bootloader if its flash was being written.
    Unplug {
        /// After how long it is plugged in again; `None` for never.
        lasts: Option<Duration>,
    },
    /// It answers nothing any more until it loses power, but stays on the bus.
    Hang,
    /// The firmware's program stands still until the board restarts; its USB side goes on.
    Stall,
    /// The next bytes that the firmware writes become noise, until the board restarts.
    Garbage {
        /// How many bytes.
        bytes: usize,
    },
    /// The serial line carries no more than so much, each way.
    SlowLink {
        /// Bytes in a second.
        bytes_per_second: u32,
        /// For how long; `None` for ever.
        lasts: Option<Duration>,
    },
    /// The bootloader does not take an image; the flash is as it was.
    RefuseImage,
    /// An image is written and reads back wrong; the flash holds nothing that starts.
    CorruptImage,
    /// What the board measured is changed before its firmware hears of it. The reading is marked
    /// as falsified.
    WrongAnswer {
        /// Added to a number of pulses; where that would be below 0, it is subtracted. Of samples
        /// of a pin, so many are turned round.
        off_by: i64,
    },
}

impl Effect {
    /// Noise longer than any line of the farm's firmware, and short enough to be over soon.
    pub const GARBAGE: Self = Self::Garbage { bytes: 96 };

    /// The word for it, for example `slow-link`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unplug { .. } => "unplug",
            Self::Hang => "hang",
            Self::Stall => "stall",
            Self::Garbage { .. } => "garbage",
            Self::SlowLink { .. } => "slow-link",
            Self::RefuseImage => "refuse-image",
            Self::CorruptImage => "corrupt-image",
            Self::WrongAnswer { .. } => "wrong-answer",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Unplug { lasts: None } => f.write_str(" for good"),
            Self::Unplug { lasts: Some(lasts) } => write!(f, " for {} s", lasts.as_secs_f64()),
            Self::Garbage { bytes } => write!(f, " of {bytes} bytes"),
            Self::SlowLink { bytes_per_second, lasts } => {
                write!(f, " of {bytes_per_second} bytes per second")?;
                match lasts {
                    Some(lasts) => write!(f, " for {} s", lasts.as_secs_f64()),
                    None => Ok(()),
                }
            }
            Self::WrongAnswer { off_by } => write!(f, ", off by {off_by}"),
            Self::Hang | Self::Stall | Self::RefuseImage | Self::CorruptImage => Ok(()),
        }
    }
}

/// When it happens. Each is something that a board goes through again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trigger {
    /// The board gets power, and the bus does not see it yet.
    Power,
    /// It has come onto the bus as bootloader.
    Bootloader,
    /// An image is being written to it.
    Flash {
        /// How much of it is written by then.
        percent: u8,
    },
    /// A firmware begins to run.
    Start,
    /// A circuit is on its way to the board.
    Transfer {
        /// So many bytes of it have arrived.
        bytes: u64,
    },
    /// A circuit is on the FPGA, and measuring begins.
    Circuit,
    /// A circuit was measured, and the firmware is about to answer.
    Answer,
    /// A time has come.
    Time {
        /// How long after the board was first plugged in.
        first: Duration,
        /// And again each time so much has passed.
        every: Option<Duration>,
    },
}

impl Trigger {
    /// The word for it, for example `circuit`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::Bootloader => "bootloader",
            Self::Flash { .. } => "flash",
            Self::Start => "start",
            Self::Transfer { .. } => "transfer",
            Self::Circuit => "circuit",
            Self::Answer => "answer",
            Self::Time { .. } => "time",
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
