//! Tests for those who write states: a virtual board in a unit test, reserved as a farm would
//! reserve it, without network, ports or processes.
//!
//! ```
//! use icefarm_core::{Device, SerialPort, State, StateError, register, reservable};
//! use icefarm_sim::{Firmware, FirmwarePort, VirtualHardware};
//! use icefarm_testkit::{TestBoard, TestError, json};
//! use std::io;
//! use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
//!
//! pub struct Echo {
//!     device: Device,
//!     port: Option<BufReader<SerialPort>>,
//! }
//!
//! #[reservable("echo")]
//! impl Echo {
//!     fn new(device: Device) -> Self {
//!         Self { device, port: None }
//!     }
//!
//!     #[register("say", "words")]
//!     async fn say(&mut self, words: String) -> Result<(), StateError> {
//!         let port = self.port.as_mut().ok_or("the board has not started yet")?;
//!         port.write_all(format!("{words}\n").as_bytes()).await?;
//!         let mut line = String::new();
//!         port.read_line(&mut line).await?;
//!         self.device.emit("heard", json!({"words": line.trim_end()}));
//!         Ok(())
//!     }
//! }
//!
//! impl State for Echo {
//!     async fn start(&mut self) -> Result<(), StateError> {
//!         self.device.flash("echo").await?;
//!         self.port = Some(BufReader::new(self.device.open().await?));
//!         Ok(())
//!     }
//! }
//!
//! /// What the image `echo` does on a virtual board.
//! #[derive(Default)]
//! struct EchoFirmware;
//!
//! impl Firmware for EchoFirmware {
//!     async fn run(self, mut port: FirmwarePort, _: VirtualHardware) -> io::Result<()> {
//!         loop {
//!             let byte = port.read_u8().await?;
//!             port.write_u8(byte).await?;
//!         }
//!     }
//! }
//!
//! icefarm_sim::firmware!("echo", EchoFirmware);
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), TestError> {
//! // In a test: #[tokio::test(start_paused = true)] async fn .. -> Result<(), TestError>
//! let board = TestBoard::reserve::<Echo>(json!({})).await?;
//! board.command("say", json!({"words": "Hello!"})).await?;
//! assert_eq!(board.event("heard").await?["words"], "Hello!");
//!
//! let refused = board.command("say", json!({"wrods": "Hello!"})).await.unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "argument `wrods` is not known; known arguments: words (bad_arguments)"
//! );
//! assert_eq!(board.image().as_deref(), Some("echo"));
//! board.end().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is real and what is not
//!
//! The board is a [`VirtualBoard`](icefarm_sim::VirtualBoard), the same as in a worker with
//! `--sim`. It is led by the worker's own [`Supervisor`](icefarm_worker::Supervisor): what it
//! flashes, how it takes the board back, the deadlines of hooks and commands, what becomes of a
//! panic. Instead of a control server the test gives the leases, and instead of sockets the events
//! come to the test.
//!
//! States, board and test share the test's runtime, so that paused time passes for all of them
//! when all of them wait: a deadline of two minutes is over at once. What a state does on threads
//! of its own, or with `std::thread::sleep`, takes as long as it takes; a state that blocks its
//! thread for ever blocks the test, where in a worker it would cost that worker one board.
//!
//! Without `start_paused = true` everything works as well, in real time.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod bench;
mod board;
mod error;
mod event;
mod log;

pub use bench::{TestBench, TestBenchBuilder};
pub use board::TestBoard;
pub use error::TestError;
pub use event::TestEvent;
pub use icefarm_core::json;
