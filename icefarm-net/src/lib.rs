//! What control servers, workers and clients of an iCEFARM share on the network.
//!
//! A server is a tree of [`warp`] filters behind [`serve`], which takes every request through the
//! [`Guard`] and the server's [`Access`] first. Whatever goes wrong is answered in one shape, [`ApiError`]. Connections come
//! from a [`Listener`] and are made by a [`Connector`], so that simulated networks and TLS can
//! take TCP's place.
//!
//! With the feature `tls`, `TlsListener` and `TlsConnector` speak TLS.
//!
//! Websockets are taken by [`ws`] and run by a [`Hub`], which keeps each client's events until
//! they are acknowledged ([`Outbox`]) and hands commands to a [`SocketService`]. The other end is
//! a [`ClientSocket`]. How frames are written is in [`codec`].
//!
//! ```
//! use icefarm_core::Object;
//! use icefarm_net::{ApiError, BodyLimits, HttpClient, RequestOptions, ServeOptions};
//! use icefarm_net::{answer, object, recover, serve};
//! use warp::Filter;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let echo = warp::path!("echo")
//!     .and(warp::post())
//!     .and(object(BodyLimits::default()))
//!     .map(|body: Option<Object>| answer(Ok::<_, ApiError>(body)));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let server = listener.local_addr()?.into();
//! let service = warp::service(echo.recover(recover));
//! tokio::spawn(serve(listener, service, ServeOptions::default(), std::future::pending()));
//!
//! let body = serde_json::json!({"amount": 2});
//! let echoed: serde_json::Value = HttpClient::default()
//!     .post_json(&server, "/echo", &body, &RequestOptions::default())
//!     .await?;
//! assert_eq!(echoed, body);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod access;
mod authority;
mod body;
mod client;
pub mod codec;
mod credentials;
mod endpoint;
mod error;
mod feed;
mod guard;
mod held;
mod hub;
mod memory;
pub mod metrics;
mod outbox;
mod pace;
mod panics;
mod pool;
mod query;
mod reply;
mod serve;
mod socket;
mod ticket;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod upgrade;
mod watched;
mod weight;

pub use access::{Access, Denial, bearer, cookie};
pub use body::{BodyLimits, args, bytes, object};
pub use client::{Bearer, HttpClient, HttpError, RequestOptions};
pub use credentials::{DigestError, Secret, Token, TokenDigest, TokenError};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{ApiError, recover};
pub use feed::{FeedConfig, FeedRequest, feed};
pub use guard::{Guard, HostNameError};
pub use hub::{
    Answer, Caller, Census, Hub, HubConfig, Journal, MemoryJournal, Pass, SocketService,
};
pub use outbox::{Attachment, Delivery, Outbox, OutboxLimits, SubscriberKey, Trimmed};
pub use pace::{Pace, Paces, host_of};
pub use query::{SocketQuery, SubscriberId, V1Query};
pub use reply::{answer, json, wants_v1};
pub use serve::{ServeOptions, serve};
pub use socket::{ClientSocket, SocketError, SocketParams, SocketReceiver, SocketSender};
pub use ticket::{TicketClaims, TicketError, TicketKey};
#[cfg(feature = "tls")]
pub use tls::{TlsConnector, TlsError, TlsIdentity, TlsIo, TlsListener};
pub use transport::{BoxIo, Connector, Io, Listener, Peer, Secured, TcpConnector};
pub use upgrade::{SocketRequest, ws};
pub use weight::heft;

/// The largest message, in bytes, unless a limit is changed: 800 bitstreams of an iCE40UP5K of
/// 104,200 bytes, as the Python workers take.
pub const MAX_MESSAGE: usize = 83_360_000;
