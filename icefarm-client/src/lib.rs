//! Reserve the boards of an iCEFARM and evaluate bitstreams on them.
//!
//! ```
//! use futures::StreamExt as _;
//! use icefarm_client::{Client, Evaluator, Placement, ReserveOptions, Untyped};
//! use std::time::Duration;
//!
//! # // A server that is control and worker, with four boards that read 1000 whatever they get.
//! # mod farm {
//! #     use futures::stream::{BoxStream, StreamExt};
//! #     use icefarm_core::wire::{ClientFrame, Event, ServerFrame};
//! #     use icefarm_core::{Object, Value};
//! #     use icefarm_net::{Answer, BodyLimits, Caller, Hub, HubConfig, MemoryJournal};
//! #     use icefarm_net::{ApiError, ServeOptions, SocketRequest, SocketService, answer};
//! #     use serde_json::json;
//! #     use std::sync::Arc;
//! #     use warp::Filter;
//! #     struct Boards(Hub);
//! #     impl SocketService for Boards {
//! #         fn opened(&self, caller: &Caller) {
//! #             for n in 1..=4 {
//! #                 let event = Event::new("initialized").with("lease", n as u64);
//! #                 self.0.publish(&caller.client, ServerFrame::new(format!("S{n}"), vec![event]));
//! #             }
//! #         }
//! #         fn command(&self, caller: &Caller, frame: ClientFrame) -> BoxStream<'static, Answer> {
//! #             let id = frame.contents["files"].as_object().unwrap().keys().next().unwrap();
//! #             for serial in &frame.serials {
//! #                 let outcome = json!({"id": id, "serial": serial, "sha256": "", "kind": "pulsecount",
//! #                     "outcome": "reading", "reading": {"pulses": 1000}});
//! #                 let event = Event::new("results").with("batch_id", id.as_str());
//! #                 let event = event.with("outcomes", vec![Value::from(outcome)]);
//! #                 self.0.publish(&caller.client, ServerFrame::new(serial.as_str(), vec![event]));
//! #             }
//! #             futures::stream::iter(frame.serials).map(|serial| (serial, Ok(Value::Null))).boxed()
//! #         }
//! #     }
//! #     pub async fn start() -> std::io::Result<String> {
//! #         let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! #         let url = format!("http://{}", listener.local_addr()?);
//! #         let hub = Hub::new(HubConfig::default(), Arc::new(MemoryJournal::new(|| "e".into())));
//! #         let boards = Arc::new(Boards(hub.clone()));
//! #         let ws = icefarm_net::ws().map(move |r: SocketRequest| hub.accept(r, boards.clone()));
//! #         let at = url.clone();
//! #         let path = warp::path::full().and(icefarm_net::object(BodyLimits::default()));
//! #         let http = path.map(move |path: warp::path::FullPath, _: Option<Object>| {
//! #             let boards: Vec<_> = (1..=4).map(|n| json!({"serial": format!("S{n}"), "url": at,
//! #                 "lease": n, "expires_in_ms": 60_000})).collect();
//! #             let reserved = json!({"reservation": "r", "boards": boards});
//! #             answer(Ok::<_, ApiError>(match path.as_str() {
//! #                 "/reserve" => reserved,
//! #                 _ => json!(["S1", "S2", "S3", "S4"]),
//! #             }))
//! #         });
//! #         let service = warp::service(ws.or(http).unify().recover(icefarm_net::recover));
//! #         tokio::spawn(icefarm_net::serve(
//! #             listener, service, ServeOptions::default(), std::future::pending(),
//! #         ));
//! #         Ok(url)
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (url, bitstream) = (farm::start().await?, vec![0; 3]);
//! // Where control listens, such as `http://127.0.0.1:8080`.
//! let client = Client::builder(url).name("me").connect().await?;
//! let reservation = client.reserve(ReserveOptions::new(4, "pulsecount")).await?;
//! reservation.initialized(Duration::from_secs(120)).await?;
//!
//! let evaluator = Evaluator::<Untyped>::new(&client, &reservation)?;
//! let mut outcomes = evaluator.evaluate([("blinky", bitstream)], Placement::Each);
//! # let mut readings = 0;
//! while let Some(outcome) = outcomes.next().await {
//!     // One line of JSON with the reading, or why there is none, and where it comes from.
//!     println!("{}", serde_json::to_string(&outcome)?);
//! #   readings += usize::from(outcome.reading().is_some());
//! }
//! # assert_eq!(readings, 4);
//! client.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! - A [`Client`] is a connection to a farm. It holds boards as long as it lives; a program that
//!   is killed frees its boards within a minute.
//! - A [`Reservation`] is boards that do one thing. [`Client::command`] talks to what they do.
//! - [`ReserveOptions::wait`] waits in control's queue for boards that others hold.
//! - An [`Evaluator`] takes any number of [`Circuit`]s and tells exactly one outcome for each and
//!   every place, whatever becomes of boards, workers and connections. Crates of states bring
//!   their [`Evaluation`], with typed arguments and readings.
//! - An [`EventServer`] hands events to handlers under `#[register]`; [`Client::events`] is a
//!   stream of them.
//! - [`Client::end_on_signals`] gives boards back when the process is asked to stop.
//! - [`Client::adopt`] works with boards that `icefarm reserve` keeps around this program.
//! - Programs without tokio use the module `blocking`, with the feature of that name.
//!
//! Connections that break are opened again and resume where they were: requests, commands and
//! circuits carry ids, so that what is repeated is done once.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod adopt;
mod api;
mod backoff;
#[cfg(feature = "blocking")]
pub mod blocking;
mod book;
mod builder;
mod client;
mod command;
mod error;
mod evaluator;
mod events;
mod hub;
mod link;
mod loss;
mod outstanding;
mod reservation;
mod reserving;
mod signals;
mod socket;
mod tickets;

pub use builder::{Bounds, ClientBuilder};
pub use client::Client;
pub use error::ClientError;
pub use evaluator::{
    Circuit, CircuitOutcome, Evaluation, Evaluator, EvaluatorOptions, Outcomes, Placement, Untyped,
};
pub use events::{ClientEvent, EventServer};
pub use loss::codes;
pub use reservation::{Reservation, ReserveOptions};
pub use reserving::QueuePlace;
pub use signals::{StopRequest, StopSignal};
