//! The handle on a virtual board.

use super::life::{Ask, Hardware, Reply, Unable, live};
use crate::faults::Effect;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use icefarm_core::board::Presence;
use icefarm_core::{Board, BoardError, ImageInfo, ImageName, Serial, SerialPort};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// What to do about an image that is missing.
const ADVICE: &str = "; an image for virtual boards is a model in a crate that is linked: those of \
                      icefarm's own states come with their feature `sim`";

/// How long the host waits for a board that does not answer. Chosen: the usual timeout of a USB
/// control transfer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many bytes become noise on demand. Chosen: longer than any line of the farm's firmware,
/// and short enough to be over soon.
const NOISE: usize = 96;

/// A virtual board: what a worker asks of it by [`Board`], and what a test does to it.
///
/// Clones mean the same board. It is driven by a task on the tokio runtime that first uses it.
/// When that runtime is gone, as when a simulated worker crashes, the next one that uses the board
/// drives it on; in between it had no power, but its flash is kept.
#[derive(Clone)]
pub struct VirtualBoard {
    inner: Arc<Inner>,
}

struct Inner {
    hardware: Arc<Hardware>,
    /// To the task that drives the board, if there is or was one.
    asks: Mutex<Option<mpsc::UnboundedSender<Ask>>>,
}

impl VirtualBoard {
    pub(super) fn new(hardware: Hardware) -> Self {
        let inner = Inner { hardware: Arc::new(hardware), asks: Mutex::new(None) };
        Self { inner: Arc::new(inner) }
    }

    /// Pulls the board's plug. It leaves the bus at once, and an open port breaks.
    pub fn unplug(&self) {
        self.inner.hardware.set_plugged(false);
        self.fault(Ask::Unplug(None));
    }

    /// Pulls the board's plug, and plugs it in again after so much of the board's time.
    pub fn unplug_for(&self, lasts: Duration) {
        self.fault(Ask::Unplug(Some(lasts)));
    }

    /// Plugs the board in again. It comes back with the firmware that it held; if it was
    /// unplugged while its flash was written, it comes back as bootloader.
    pub fn plug(&self) {
        self.inner.hardware.set_plugged(true);
        self.fault(Ask::Plug);
    }

    /// Makes the board answer nothing any more, whatever it is doing: it stays on the bus, but its
    /// port is silent and takes no bytes, and requests to restart it time out. Ends when the board
    /// loses power: [`unplug`](Self::unplug) and [`plug`](Self::plug), or
    /// [`Board::power_cycle`].
    pub fn hang(&self) {
        self.fault(Ask::Hang(None));
    }

    /// Makes the firmware's program stand still, while its USB side goes on: its port is silent,
    /// but a request to restart it is obeyed. Ends when the board restarts. Does nothing to a
    /// board that runs no firmware at the moment.
    pub fn stall(&self) {
        self.fault(Ask::Stall);
    }

    /// Turns the next 96 bytes that the firmware writes into noise. What is left of the noise
    /// ends when the board restarts.
    pub fn garbage(&self) {
        self.fault(Ask::Garble(NOISE));
    }

    /// The image that the board's flash holds; `None` if the power went while it was written.
    #[must_use]
    pub fn image(&self) -> Option<ImageInfo> {
        self.inner.hardware.image()
    }

    /// Sees to it that the board is driven. Outside of a tokio runtime nothing can drive it yet.
    pub(super) fn wake(&self) {
        let mut asks = self.inner.asks.lock().unwrap_or_else(PoisonError::into_inner);
        if asks.as_ref().is_some_and(|asks| !asks.is_closed()) {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (sender, receiver) = mpsc::unbounded_channel();
            runtime.spawn(live(Arc::clone(&self.inner.hardware), receiver));
            *asks = Some(sender);
        }
    }

    /// Waits until the board has been on the bus.
    pub(super) async fn arrived(&self) {
        let mut presence = self.presence();
        // The sender lives in the board.
        let _ = presence.wait_for(|presence| presence.arrivals > 0).await;
    }

    fn send(&self, ask: Ask) -> Result<(), Ask> {
        self.wake();
        let asks = self.inner.asks.lock().unwrap_or_else(PoisonError::into_inner);
        match &*asks {
            Some(asks) => asks.send(ask).map_err(|error| error.0),
            None => Err(ask),
        }
    }

    fn fault(&self, ask: Ask) {
        // A board that nothing drives has no power, and nothing more can happen to it.
        let _ = self.send(ask);
    }

    async fn ask<T>(&self, what: &str, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T, BoardError> {
        let (reply, answer) = oneshot::channel();
        if self.send(ask(reply)).is_err() {
            let what = "a virtual board can only be used inside of a tokio runtime";
            return Err(io::Error::other(what).into());
        }
        match answer.await {
            Ok(Ok(done)) => Ok(done),
            // The runtime that drove the board is gone, or going.
            Ok(Err(Unable::Gone)) | Err(_) => Err(BoardError::Gone),
            Ok(Err(Unable::WrongFace { wanted, is })) => Err(BoardError::WrongFace { wanted, is }),
            Ok(Err(Unable::Busy)) => {
                Err(io::Error::new(io::ErrorKind::ResourceBusy, "the board is busy").into())
            }
            Ok(Err(Unable::Silent(by))) => {
                tokio::time::sleep(PATIENCE).await;
                // Nobody shall look for a cause that the user has asked for.
                let by = by.map(|by| format!(" because of {by}")).unwrap_or_default();
                Err(BoardError::Timeout { what: format!("{what}{by}"), after: PATIENCE })
            }
            Ok(Err(Unable::Flash(by))) => {
                let what = match by.effect {
                    Effect::RefuseImage => "the flash does not take the image",
                    _ => "what was written to the flash reads back wrong",
                };
                Err(io::Error::other(format!("{what}: {by}")).into())
            }
        }
    }
}

impl fmt::Debug for VirtualBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualBoard")
            .field("serial", self.serial())
            .field("presence", &*self.inner.hardware.presence.borrow())
            .finish()
    }
}

impl Board for VirtualBoard {
    fn serial(&self) -> &Serial {
        &self.inner.hardware.serial
    }

    fn simulated(&self) -> bool {
        true
    }

    fn presence(&self) -> watch::Receiver<Presence> {
        self.wake();
        self.inner.hardware.presence.subscribe()
    }

    fn enter_bootloader(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        self.ask("take the request to restart into its bootloader", Ask::EnterBootloader).boxed()
    }

    fn write_image<'a>(
        &'a self,
        image: &'a ImageName,
    ) -> BoxFuture<'a, Result<ImageInfo, BoardError>> {
        async move {
            let images = &self.inner.hardware.images;
            let Some(known) = images.get(image) else {
                return Err(BoardError::UnknownImage {
                    image: image.clone(),
                    bus: super::bus::NAME.to_owned(),
                    known: format!("{}{ADVICE}", images.names()),
                });
            };
            self.ask("take the firmware image", |reply| Ask::WriteImage(Arc::clone(known), reply))
                .await?;
            Ok(known.info.clone())
        }
        .boxed()
    }

    fn restart(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        self.ask("take the request to restart", Ask::Restart).boxed()
    }

    fn open(&self) -> BoxFuture<'_, Result<SerialPort, BoardError>> {
        async move {
            let port = self.ask("open its serial port", Ask::Open).await?;
            Ok(Box::new(port) as SerialPort)
        }
        .boxed()
    }

    fn power_cycle(&self) -> BoxFuture<'_, Result<(), BoardError>> {
        self.ask("lose its power", Ask::PowerCycle).boxed()
    }
}
