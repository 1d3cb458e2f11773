//! Models of firmware images, by the names under which states flash them.

mod default;
mod hardware;
mod images;

pub(crate) use default::DefaultFirmware;
pub(crate) use hardware::Simulation;
pub use hardware::{CountError, Looks, VirtualHardware};
pub(crate) use images::{Image, Images};

pub(crate) use crate::board::FirmwarePort;

use futures::future::BoxFuture;
use icefarm_core::Place;
use std::fmt;
use std::future::Future;
use std::io;

/// A model of a firmware image: what the RP2350 of a virtual board does while it runs the image.
///
/// A board makes one by `Default` and runs it each time it starts, and drops it when it restarts
/// or loses power. Register it with [`firmware!`](crate::firmware!).
///
/// ```
/// use icefarm_sim::{Firmware, FirmwarePort, VirtualHardware};
/// use std::io;
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// /// Sends back what it receives.
/// #[derive(Default)]
/// struct Echo;
///
/// impl Firmware for Echo {
///     async fn run(self, mut port: FirmwarePort, _board: VirtualHardware) -> io::Result<()> {
///         loop {
///             let byte = port.read_u8().await?;
///             port.write_u8(byte).await?;
///         }
///     }
/// }
///
/// icefarm_sim::firmware!("echo", Echo);
/// # fn main() {}
/// ```
pub trait Firmware: Default + Send + 'static {
    /// The firmware's program. A firmware for a board never ends: one that returns, or fails,
    /// leaves a board that does nothing until it is restarted.
    fn run(
        self,
        port: FirmwarePort,
        board: VirtualHardware,
    ) -> impl Future<Output = io::Result<()>> + Send;
}

type Run = fn(FirmwarePort, VirtualHardware) -> BoxFuture<'static, io::Result<()>>;

/// A [`Firmware`] under its image name. Made by [`firmware!`](crate::firmware!).
#[derive(Clone, Copy)]
pub struct FirmwareModel {
    name: &'static str,
    place: Place,
    run: Run,
}

impl FirmwareModel {
    #[doc(hidden)]
    #[must_use]
    pub const fn of<F: Firmware>(name: &'static str, place: Place) -> Self {
        Self { name, place, run: |port, board| Box::pin(F::default().run(port, board)) }
    }

    /// Starts the firmware.
    pub(crate) fn start(
        &self,
        port: FirmwarePort,
        board: VirtualHardware,
    ) -> BoxFuture<'static, io::Result<()>> {
        (self.run)(port, board)
    }

    /// The name of the image that it stands for.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it was registered.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }
}

impl fmt::Debug for FirmwareModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.name, self.place)
    }
}

inventory::collect!(FirmwareModel);

/// Registers a [`Firmware`] as the model of a firmware image: `firmware!("image name", Model)`.
///
/// A name is registered once in a program; the virtual bus refuses to be built otherwise. The
/// model reaches programs that link its crate, with `use that_crate as _;`.
#[macro_export]
macro_rules! firmware {
    ($name:literal, $model:ty $(,)?) => {
        $crate::__private::inventory::submit! {
            $crate::FirmwareModel::of::<$model>(
                $name,
                $crate::__private::Place::new(
                    env!("CARGO_PKG_NAME"),
                    env!("CARGO_PKG_VERSION"),
                    file!(),
                    line!(),
                ),
            )
        }
    };
}
