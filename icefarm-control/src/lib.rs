//! The control server of an iCEFARM: it knows every board and who holds it.
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! use icefarm_control::Control;
//!
//! // A farm that lasts keeps its leases in a file: `.database("farm.sqlite")`.
//! let control = Control::builder().in_memory().build()?;
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! // A program would wait for `tokio::signal::ctrl_c` here.
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let running = tokio::spawn(control.run(listener, async { stopped.await.unwrap_or(()) }));
//!
//! // Workers and clients come now. So far nobody has brought a board:
//! let http = icefarm_net::HttpClient::default();
//! let wanted = serde_json::json!({"amount": 1, "name": "me", "kind": "pulsecount"});
//! let options = icefarm_net::RequestOptions::default();
//! let answer: Result<serde_json::Value, _> =
//!     http.post_json(&address.into(), "/reserve", &wanted, &options).await;
//! let refusal = answer.unwrap_err().to_string();
//! assert!(refusal.contains("no worker has registered yet"), "{refusal}");
//!
//! drop(stop);
//! running.await??;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! | path | what it does |
//! |---|---|
//! | `/available`, `/devices` | how many boards, and which, can be reserved now |
//! | `/reserve`, `/reserveserials` | reserve boards: all that are asked for, or none |
//! | `/extend`, `/extendall`, `/end`, `/endall` | keep boards for longer, give them back |
//! | `/reboot`, `/delete` | go on to the boards' workers |
//! | `/v1/status`, `/v1/boards`, `/v1/leases`, `/v1/workers` | the farm in detail |
//! | `/v1/boards/SERIAL` | why a board is where it is |
//! | `/v1/events` | what happened, and what happens |
//! | `/v1/live` | the farm over a websocket, as it changes |
//! | `/v1/whoami`, `/v1/tickets` | who one is, and tickets for workers |
//! | `/v1/tokens`, `/v1/audit` | access tokens, and who did what; for operators |
//! | `/v1/boards/SERIAL/end`, `/reboot`, `/delete`, `/v1/workers/NAME/forget` | for operators |
//! | `/`, `/ws` | the panel, and the websocket of clients |
//! | `/healthz`, `/readyz`, `/version` | how the server is, and which |
//! | `/metrics`, `/v1/workers/NAME/metrics` | the server or a worker in figures, for Prometheus |
//! | `/worker/register`, `/worker/boards` | for workers |
//!
//! What changes something wants its arguments as an object in the body, by POST, or by GET as the
//! Python clients send it. Their wire types are in [`icefarm_core::wire`], and `docs/protocol.md` of
//! the repository explains them all.
//!
//! Inside, the [`machine`] decides and knows nothing of the world; a [`store`] keeps what was
//! decided; one writer brings the two together; everything else asks and tells it.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod access;
mod config;
mod control;
mod fleet;
mod ledger;
mod live;
pub mod machine;
mod metrics;
mod pacer;
mod redact;
mod routes;
mod sockets;
pub mod store;
mod view;

pub use access::{TokenRefusal, make_token};
pub use config::ControlConfig;
pub use control::{Control, ControlBuilder, ControlError};
