//! Boards that are held together.

use super::host::Host;
use super::waiting::Losses;
use crate::error::ClientError;
use icefarm_core::wire::GrantedBoard;
use icefarm_core::{Kind, ReservationId, Serial};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Boards that were reserved together, as [`crate::Reservation`].
#[derive(Clone)]
pub struct Reservation {
    inner: crate::Reservation,
    host: Arc<Host>,
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Reservation {
    pub(super) fn new(inner: crate::Reservation, host: Arc<Host>) -> Self {
        Self { inner, host }
    }

    pub(super) fn inner(&self) -> &crate::Reservation {
        &self.inner
    }

    /// See [`crate::Reservation::id`].
    #[must_use]
    pub fn id(&self) -> &ReservationId {
        self.inner.id()
    }

    /// See [`crate::Reservation::kind`].
    #[must_use]
    pub fn kind(&self) -> &Kind {
        self.inner.kind()
    }

    /// See [`crate::Reservation::boards`].
    #[must_use]
    pub fn boards(&self) -> &[GrantedBoard] {
        self.inner.boards()
    }

    /// See [`crate::Reservation::serials`].
    #[must_use]
    pub fn serials(&self) -> Vec<Serial> {
        self.inner.serials()
    }

    /// See [`crate::Reservation::initialized`].
    ///
    /// # Errors
    /// As [`crate::Reservation::initialized`]; [`ClientError::InsideRuntime`].
    pub fn initialized(&self, timeout: Duration) -> Result<(), ClientError> {
        self.host.wait(self.inner.initialized(timeout))?
    }

    /// See [`crate::Reservation::extend`].
    ///
    /// # Errors
    /// As [`crate::Reservation::extend`]; [`ClientError::InsideRuntime`].
    pub fn extend(&self) -> Result<Vec<Serial>, ClientError> {
        self.host.wait(self.inner.extend())?
    }

    /// See [`crate::Reservation::losses`].
    #[must_use]
    pub fn losses(&self) -> Losses {
        Losses::new(self.inner.losses(), self.host.clone())
    }

    /// See [`crate::Reservation::end`].
    ///
    /// # Errors
    /// As [`crate::Reservation::end`]; [`ClientError::InsideRuntime`].
    pub fn end(self) -> Result<Vec<Serial>, ClientError> {
        self.host.wait(self.inner.clone().end())?
    }
}
