//! A state's handle on its board.

use crate::board::{BoardError, ImageInfo, SerialPort};
use crate::clock::Timestamp;
use crate::state::{BuildError, DynState, IntoState, Message};
use crate::wire::events;
use crate::{ClientName, ImageName, Kind, LeaseId, Object, Serial, Value, WorkerName};
use futures::future::BoxFuture;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// What a state may know of its board and of the lease that it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The board's USB serial number.
    pub serial: Serial,
    /// The name that the operator gave the board, if any.
    pub name: Option<String>,
    /// Whether the board is simulated.
    pub simulated: bool,
    /// The worker that the board is plugged to.
    pub worker: WorkerName,
    /// Who holds the lease.
    pub client: ClientName,
    /// The lease.
    pub lease: LeaseId,
    /// The kind that was reserved.
    pub kind: Kind,
}

/// What a board's FPGA may still remember: no reset clears everything that a circuit leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residue {
    /// How many circuits this board had been given before, since its worker started.
    pub sequence: u64,
    /// The SHA-256 of the circuit before this one, in lower-case hex; `None` for the first.
    pub previous_sha256: Option<String>,
}

/// Builds the next state, see [`Device::switch`].
pub type NextState = Box<dyn FnOnce(Device) -> Result<Box<dyn DynState>, BuildError> + Send>;

/// The worker's side of a [`Device`]. Workers and test kits implement it; states use [`Device`].
pub trait DeviceHost: Send + Sync + 'static {
    /// See [`Device::info`].
    fn info(&self) -> &DeviceInfo;
    /// See [`Device::now`].
    fn now(&self) -> Timestamp;
    /// See [`Device::emit`].
    fn emit(&self, event: &str, contents: Object);
    /// See [`Device::flash`].
    fn flash(&self, image: ImageName) -> BoxFuture<'static, Result<ImageInfo, BoardError>>;
    /// See [`Device::restart`].
    fn restart(&self) -> BoxFuture<'static, Result<(), BoardError>>;
    /// See [`Device::open`].
    fn open(&self) -> BoxFuture<'static, Result<SerialPort, BoardError>>;
    /// See [`Device::load_circuit`].
    fn load_circuit(&self, sha256: &str) -> Residue;
    /// See [`Device::spawn`].
    fn spawn(&self, task: BoxFuture<'static, ()>);
    /// See [`Device::post`].
    fn post(&self, message: Message);
    /// See [`Device::switch`].
    fn switch(&self, next: NextState);
    /// See [`Device::fail`].
    fn fail(&self, reason: String);
}

/// A state's handle on its board. Cloning is cheap; all clones mean the same lease, and once that
/// lease is over nothing they ask is done any more.
#[derive(Clone)]
pub struct Device {
    host: Arc<dyn DeviceHost>,
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.info();
        f.debug_struct("Device").field("serial", &info.serial).field("lease", &info.lease).finish()
    }
}

impl Device {
    /// A handle that `host` answers for.
    #[must_use]
    pub fn new(host: Arc<dyn DeviceHost>) -> Self {
        Self { host }
    }

    /// What is known of the board and of its lease.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        self.host.info()
    }

    /// The board's USB serial number.
    #[must_use]
    pub fn serial(&self) -> &Serial {
        &self.info().serial
    }

    /// The wall time, from the worker's clock. For waiting use `tokio::time`.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.host.now()
    }

    /// Sends an event to the client that holds the lease. `contents` becomes the event's other
    /// keys; anything but an object is sent under the key `value`, and `null` adds nothing.
    ///
    /// The event is numbered and kept until the client has acknowledged it.
    ///
    /// Words of the protocol cannot be used: an event that is called like one of the farm's own, or
    /// that has a key `event`, `serial`, `seq`, `epoch` or `id`, would be taken for something else.
    /// It is not sent, and the lease fails with a reason that says so.
    pub fn emit(&self, event: &str, contents: impl Into<Value>) {
        let contents = match contents.into() {
            Value::Object(object) => object,
            Value::Null => Object::new(),
            other => Object::from_iter([("value".to_owned(), other)]),
        };
        match check_event(event, &contents) {
            Ok(()) => self.host.emit(event, contents),
            Err(reason) => self.host.fail(reason),
        }
    }

    /// Makes sure that the board runs the firmware image: a board that already does is left
    /// alone, any other is brought into its bootloader, written and restarted.
    ///
    /// # Errors
    /// [`BoardError`] if there is no such image, or if the board does not follow in time.
    pub async fn flash(&self, image: &str) -> Result<ImageInfo, BoardError> {
        let name = ImageName::new(image).map_err(|error| {
            BoardError::Io(std::io::Error::new(std::io::ErrorKind::InvalidInput, error))
        })?;
        self.host.flash(name).await
    }

    /// Restarts the board's firmware and waits until it is back on the bus.
    ///
    /// # Errors
    /// [`BoardError`] if the board does not follow in time.
    pub async fn restart(&self) -> Result<(), BoardError> {
        self.host.restart().await
    }

    /// Opens the board's serial port.
    ///
    /// # Errors
    /// [`BoardError`] if the board is not there or does not answer.
    pub async fn open(&self) -> Result<SerialPort, BoardError> {
        self.host.open().await
    }

    /// Notes that a circuit, given by its SHA-256 in lower-case hex, goes onto the FPGA now, and
    /// tells what was there before.
    #[must_use]
    pub fn load_circuit(&self, sha256: &str) -> Residue {
        self.host.load_circuit(sha256)
    }

    /// Runs a task beside the state. It ends with the state, and a panic in it fails this lease
    /// alone.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.host.spawn(Box::pin(task));
    }

    /// Sends the state a message, which reaches it as
    /// [`State::on_message`](crate::State::on_message) in the order of posting.
    pub fn post(&self, message: impl std::any::Any + Send) {
        self.host.post(Box::new(message));
    }

    /// Replaces the state once its present hook or command has returned: the old one exits, the
    /// new one starts. The client is told `initialized` again.
    pub fn switch<S: IntoState>(&self, next: impl FnOnce(Self) -> S + Send + 'static) {
        self.host.switch(Box::new(move |device| next(device).into_state()));
    }

    /// Fails the lease with a reason that the client and the operator get to read.
    pub fn fail(&self, reason: impl fmt::Display) {
        self.host.fail(reason.to_string());
    }
}

/// Whether a state may emit this; if not, what it has to change.
fn check_event(event: &str, contents: &Object) -> Result<(), String> {
    let words = || events::OF_THE_PROTOCOL.iter().chain(&events::OF_THE_FARM);
    if words().any(|word| *word == event) {
        let words: Vec<&str> = words().copied().collect();
        return Err(format!(
            "the state emits an event `{event}`, which only the farm itself does; give it another \
             name than these: {}",
            words.join(", ")
        ));
    }
    if event.is_empty() {
        return Err("the state emits an event without a name".to_owned());
    }
    match events::KEYS.iter().find(|key| contents.contains_key(**key)) {
        Some(key) => Err(format!(
            "the event `{event}` of the state has a key `{key}`, which the protocol uses itself; \
             give it another name than these: {}",
            events::KEYS.join(", ")
        )),
        None => Ok(()),
    }
}
