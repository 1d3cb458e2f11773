//! What the farm asks of hardware: boards, and the buses that find them.

use crate::{ImageName, Serial};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// Which of its faces a board shows on the bus. Vendor and product ids are those of a pico2-ice
/// with an RP2350 (pico-sdk 2.2.0 and pico-ice-sdk).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Face {
    /// The RP2350's boot ROM (2E8A:000F), which takes firmware.
    Bootloader,
    /// The farm's default firmware (2E8A:0009), which does nothing and is known to be sound.
    Default,
    /// The firmware of a state (1209:B1C0). Which one cannot be seen from the bus.
    Application,
}

impl fmt::Display for Face {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bootloader => "bootloader",
            Self::Default => "default firmware",
            Self::Application => "application",
        })
    }
}

/// Whether a board is on the bus, and how often it came onto it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Presence {
    /// The face it shows; `None` while it is off the bus.
    pub face: Option<Face>,
    /// Counts its enumerations, so that a board which left and came back between two looks is
    /// not mistaken for one that never left.
    pub arrivals: u64,
}

/// A firmware image as it stands on a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// The name that it was asked for by.
    pub name: ImageName,
    /// The SHA-256 of its bytes, or of what stands for them on a virtual board, in lower-case hex.
    pub sha256: String,
}

/// A byte stream to a board and back: its first CDC serial port, with DTR set.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// An open serial port. Dropping it closes the port.
pub type SerialPort = Box<dyn ByteStream>;

/// One board, from its first sight to the end of the program: it stays the same object while the
/// hardware leaves the bus and comes back with another face.
///
/// The calls ask; that a board did as it was asked shows in its [`Presence`]. Deadlines are the
/// caller's.
pub trait Board: Send + Sync + 'static {
    /// The USB serial number, the same in all faces of an RP2350.
    fn serial(&self) -> &Serial;

    /// Whether this board is simulated.
    fn simulated(&self) -> bool;

    /// Whether the board is on the bus, kept up to date.
    fn presence(&self) -> watch::Receiver<Presence>;

    /// Asks the running firmware to restart into the bootloader. The board leaves the bus and
    /// comes back as [`Face::Bootloader`].
    fn enter_bootloader(&self) -> BoxFuture<'_, Result<(), BoardError>>;

    /// Writes a firmware image, while the board shows [`Face::Bootloader`]. Afterwards the board
    /// restarts into it.
    fn write_image<'a>(
        &'a self,
        image: &'a ImageName,
    ) -> BoxFuture<'a, Result<ImageInfo, BoardError>>;

    /// Restarts the firmware that the board holds. It leaves the bus and comes back.
    fn restart(&self) -> BoxFuture<'_, Result<(), BoardError>>;

    /// Opens the serial port of the running firmware.
    fn open(&self) -> BoxFuture<'_, Result<SerialPort, BoardError>>;

    /// Cuts and restores the board's power, where the bus can do that.
    fn power_cycle(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        Box::pin(async { Err(BoardError::Unsupported { what: "switching the power of a board" }) })
    }
}

/// A bus that boards are plugged to.
pub trait Bus: Send + Sync + 'static {
    /// What the bus is called in logs, for example `usb` or `virtual`.
    fn name(&self) -> &str;

    /// Every board that is there and every one that appears later, each once. The stream ends
    /// only with the bus.
    fn boards(&self) -> BoxStream<'static, Arc<dyn Board>>;
}

/// Why a board did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// The board is not on the bus.
    #[error("the board is not on the bus")]
    Gone,
    /// The board shows a face that cannot do this.
    #[error("the board shows its {is}; this needs its {wanted}")]
    WrongFace {
        /// The face that the request needs.
        wanted: Face,
        /// The face that the board shows.
        is: Face,
    },
    /// The bus has no image of that name.
    #[error("no firmware image `{image}` is known to the {bus} bus; known images: {known}")]
    UnknownImage {
        /// The image that was asked for.
        image: ImageName,
        /// The bus that was asked.
        bus: String,
        /// The images that the bus has, for people.
        known: String,
    },
    /// The board did not do its part in time.
    #[error("the board did not {what} within {} s", after.as_secs_f64())]
    Timeout {
        /// What was waited for, as in "come back as bootloader".
        what: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The bus cannot do this at all.
    #[error("{what} is not possible on this bus")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
    },
    /// The lease in whose name it was asked is over.
    #[error("the lease is over")]
    LeaseOver,
    /// The connection to the board failed.
    #[error("talking to the board failed")]
    Io(#[from] std::io::Error),
}
