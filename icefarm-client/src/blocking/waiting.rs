//! Streams as iterators.

use super::host::{self, Host};
use crate::error::ClientError;
use crate::events::ClientEvent;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// A stream whose items are waited for.
pub(super) struct Waiting<T> {
    stream: BoxStream<'static, T>,
    host: Arc<Host>,
}

impl<T: Send> Waiting<T> {
    pub(super) fn new(stream: impl Stream<Item = T> + Send + 'static, host: Arc<Host>) -> Self {
        Self { stream: stream.boxed(), host }
    }

    pub(super) fn next(&mut self) -> Option<T> {
        host::wait_anyway(self.host.handle(), self.stream.next())
    }

    pub(super) fn next_within(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let next = async { tokio::time::timeout(timeout, self.stream.next()).await };
        match host::wait_anyway(self.host.handle(), next) {
            Ok(Some(item)) => Ok(item),
            Ok(None) => Err(RecvTimeoutError::Disconnected),
            Err(_) => Err(RecvTimeoutError::Timeout),
        }
    }
}

/// Events as they come, see [`crate::Client::events`]. Ends when the client is closed.
pub struct Events(Waiting<ClientEvent>);

impl Events {
    pub(super) fn new(
        stream: impl Stream<Item = ClientEvent> + Send + 'static,
        host: Arc<Host>,
    ) -> Self {
        Self(Waiting::new(stream, host))
    }

    /// The next event, unless there is none for so long.
    ///
    /// # Errors
    /// As those of [`std::sync::mpsc::Receiver::recv_timeout`]; it is disconnected when the client
    /// is closed.
    pub fn next_within(&mut self, timeout: Duration) -> Result<ClientEvent, RecvTimeoutError> {
        self.0.next_within(timeout)
    }
}

impl Iterator for Events {
    type Item = ClientEvent;

    fn next(&mut self) -> Option<ClientEvent> {
        self.0.next()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// Boards that are lost, see [`crate::Reservation::losses`].
pub struct Losses(Waiting<ClientError>);

impl Losses {
    pub(super) fn new(
        stream: impl Stream<Item = ClientError> + Send + 'static,
        host: Arc<Host>,
    ) -> Self {
        Self(Waiting::new(stream, host))
    }

    /// The next loss, unless there is none for so long.
    ///
    /// # Errors
    /// As [`Events::next_within`].
    pub fn next_within(&mut self, timeout: Duration) -> Result<ClientError, RecvTimeoutError> {
        self.0.next_within(timeout)
    }
}

impl Iterator for Losses {
    type Item = ClientError;

    fn next(&mut self) -> Option<ClientError> {
        self.0.next()
    }
}

impl fmt::Debug for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Losses").finish_non_exhaustive()
    }
}
