//! The vocabulary of an iCEFARM, a farm of FPGA boards: what its control server, its workers, its
//! clients and its plug-ins have in common.
//!
//! A *board* is a piece of hardware on a [`Bus`]. A client holds a *lease* on it, and while it
//! does, the board is in a [`State`]: a plug-in that any crate can contribute. This is a whole
//! one:
//!
//! ```
//! use icefarm_core::{Device, State, register, reservable};
//! use std::collections::BTreeMap;
//!
//! pub struct Greeter {
//!     device: Device,
//!     greeting: String,
//! }
//!
//! // The kind by which clients reserve it, then the keys of `args` in the order of `new`.
//! #[reservable("greeter", "greeting")]
//! impl Greeter {
//!     fn new(device: Device, greeting: Option<String>) -> Self {
//!         Self { device, greeting: greeting.unwrap_or_else(|| "Hello".into()) }
//!     }
//!
//!     // A command that the lease's holder calls over the websocket.
//!     #[register("greet", "name")]
//!     async fn greet(&mut self, name: String) {
//!         let text = format!("{}, {name}!", self.greeting);
//!         self.device.emit("results", BTreeMap::from([("data".to_owned(), text.into())]));
//!     }
//! }
//!
//! impl State for Greeter {}
//!
//! let registry = icefarm_core::Registry::collect().expect("no kind is registered twice");
//! registry.require(["greeter"]).expect("it is linked");
//! ```
//!
//! A program takes a state crate in with one line, `use that_crate as _;`.
//!
//! Nothing here opens sockets or files, starts tasks or threads, or reads the environment.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod arg_type;
mod args;
mod attributes;
mod blob;
pub mod blocking;
pub mod board;
pub mod clock;
mod device;
pub mod evaluation;
mod ids;
mod method;
mod plugins;
mod registration;
mod registry;
mod state;
mod value;
pub mod wire;

pub use arg_type::ArgType;
pub use args::{ArgError, ArgSpec, Args, Strictness, check_keys};
pub use attributes::{register, reservable};
pub use blob::{Base64Error, Blob};
pub use blocking::{Blocking, BlockingError};
pub use board::{Board, BoardError, Bus, Face, ImageInfo, SerialPort};
pub use clock::{Clock, SteadyClock, SystemClock, Timestamp};
pub use device::{Device, DeviceHost, DeviceInfo, NextState, Residue};
pub use ids::{
    ClientName, Epoch, EvaluationId, ImageName, Incarnation, InstanceId, Kind, LeaseId,
    MAX_NAME_BYTES, NameError, RequestId, ReservationId, Serial, TokenId, WorkerName,
};
pub use method::{CallError, Json, Method, Overloaded, Reply};
pub use plugins::{Place, PluginInfo, plugins};
pub use registration::{Registered, Registration, Reservable};
pub use registry::{KindInfo, Registry, RegistryBuilder, RegistryError};
pub use state::{BuildError, DynState, IntoState, Message, State, StateError};
pub use value::{Object, Value, ValueError, to_value};

/// A value written as JSON, for arguments and events: `json!({"data": 7})`. It is `serde_json`'s,
/// whose values convert to [`Value`].
pub use serde_json::json;

/// What the macros expand to. Not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::args::{Presence, Required};
    pub use crate::method::downcast;
    pub use crate::plugins::PLUGINS;
    pub use crate::registration::Linked;
    pub use futures::future::BoxFuture;
    pub use {inventory, linkme};
}
