//! What a server does with what its sockets say.

use crate::query::SubscriberId;
use futures::stream::BoxStream;
use icefarm_core::wire::{ClientFrame, ErrorDetail};
use icefarm_core::{ClientName, Serial, Timestamp, Value};
use std::net::SocketAddr;
use std::sync::Arc;

/// Who is at the other end of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// In whose name it speaks.
    pub client: ClientName,
    /// Its name of itself; sockets of the first protocol have none.
    pub sub: Option<SubscriberId>,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Tells the sockets of this hub apart.
    pub socket: u64,
}

/// What a socket was let in by: it ends with it, see [`Hub::end_passes`](crate::Hub::end_passes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The name of the token that was shown, or that a ticket was had by.
    pub token: Arc<str>,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
}

/// What one board answers to a command.
pub type Answer = (Serial, Result<Value, ErrorDetail>);

/// What a server does with what its sockets say.
pub trait SocketService: Send + Sync + 'static {
    /// A command for the boards that the frame names; one answer for each of them, each as soon as
    /// it is there, in any order.
    ///
    /// The commands of one socket come in the order in which they were sent, and each stream is
    /// polled once before the next command comes: what must keep that order is done in the call
    /// itself, or before the stream first waits. Then the socket goes on, and the answers may take
    /// as long as they like. A stream that never ends takes one of the
    /// [`HubConfig::in_flight`](crate::HubConfig::in_flight) places for good.
    fn command(&self, caller: &Caller, frame: ClientFrame) -> BoxStream<'static, Answer>;

    /// Whether the caller may command the board, as far as can be told at a glance. It is asked
    /// before the files of a command are unpacked; if it may command none of the boards, these
    /// errors are the answers, and [`Self::command`] is not called.
    ///
    /// # Errors
    /// Why not.
    fn admit(&self, caller: &Caller, serial: &Serial) -> Result<(), ErrorDetail> {
        let _ = (caller, serial);
        Ok(())
    }

    /// Whether the client holds nothing here. All such clients share a quarter of
    /// [`HubConfig::memory`](crate::HubConfig::memory), and only they are bounded by
    /// [`HubConfig::max_clients`](crate::HubConfig::max_clients), so that they take nothing from
    /// the others. Everybody is one unless changed.
    fn is_guest(&self, client: &ClientName) -> bool {
        let _ = client;
        true
    }

    /// A socket was opened. Nothing was sent to it yet.
    fn opened(&self, caller: &Caller) {
        let _ = caller;
    }

    /// The socket gave a sign of life. At most once per
    /// [`HubConfig::alive_every`](crate::HubConfig::alive_every).
    fn alive(&self, caller: &Caller) {
        let _ = caller;
    }

    /// The socket is gone. Another one of the same client may be there.
    fn closed(&self, caller: &Caller) {
        let _ = caller;
    }
}
