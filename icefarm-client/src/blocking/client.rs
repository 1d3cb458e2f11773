//! The blocking client.

use super::host::{self, Host};
use super::reservation::Reservation;
use super::waiting::Events;
use crate::builder::Bounds;
use crate::error::ClientError;
use crate::events::EventServer;
use crate::reservation::ReserveOptions;
use crate::signals::StopRequest;
use icefarm_core::wire::{BoardDetail, WorkerDetail};
use icefarm_core::{ClientName, InstanceId, Registered, Serial, Value};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// As [`crate::ClientBuilder`], see [`Client::builder`]. What it lacks can be set there and
/// converted.
#[derive(Debug)]
pub struct ClientBuilder(crate::ClientBuilder);

impl From<crate::ClientBuilder> for ClientBuilder {
    fn from(builder: crate::ClientBuilder) -> Self {
        Self(builder)
    }
}

impl ClientBuilder {
    /// See [`crate::ClientBuilder::name`].
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        Self(self.0.name(name))
    }

    /// See [`crate::ClientBuilder::token`].
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        Self(self.0.token(token))
    }

    /// See [`crate::ClientBuilder::bounds`].
    #[must_use]
    pub fn bounds(self, bounds: Bounds) -> Self {
        Self(self.0.bounds(bounds))
    }

    /// See [`crate::ClientBuilder::events`]. Handlers run on the client's own thread.
    #[must_use]
    pub fn events(self, events: EventServer) -> Self {
        Self(self.0.events(events))
    }

    /// See [`crate::ClientBuilder::handler`]. Handlers run on the client's own thread.
    #[must_use]
    pub fn handler(self, handler: impl Registered) -> Self {
        Self(self.0.handler(handler))
    }

    /// Opens the control socket.
    ///
    /// # Errors
    /// As [`crate::ClientBuilder::connect`]; [`ClientError::Runtime`],
    /// [`ClientError::InsideRuntime`].
    pub fn connect(self) -> Result<Client, ClientError> {
        let runtime = host::runtime()?;
        match host::wait(runtime.handle(), self.0.connect()) {
            Ok(Ok(client)) => {
                Ok(Client { inner: client.clone(), host: Host::new(client, runtime) })
            }
            Ok(Err(error)) | Err(error) => {
                // To drop it would wait, which is not allowed everywhere.
                runtime.shutdown_background();
                Err(error)
            }
        }
    }
}

/// What one board answered to a command.
pub type BoardAnswer = (Serial, Result<Value, ClientError>);

/// A connection to a farm, as [`crate::Client`]. Clones are the same client.
///
/// When the last of its clones, reservations, evaluators and iterators is dropped, its boards are
/// given back, which takes 5 s at most; [`Self::close`] says whether that was done.
#[derive(Clone)]
pub struct Client {
    inner: crate::Client,
    host: Arc<Host>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Client {
    /// Sets a client of the control server at `url` (`http://HOST:PORT`) up.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder(crate::Client::builder(url))
    }

    pub(super) fn inner(&self) -> &crate::Client {
        &self.inner
    }

    pub(super) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// See [`crate::Client::name`].
    #[must_use]
    pub fn name(&self) -> &ClientName {
        self.inner.name()
    }

    /// See [`crate::Client::instance`].
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        self.inner.instance()
    }

    /// See [`crate::Client::reserve`].
    ///
    /// # Errors
    /// As [`crate::Client::reserve`]; [`ClientError::InsideRuntime`].
    pub fn reserve(&self, options: ReserveOptions) -> Result<Reservation, ClientError> {
        let reservation = self.host.wait(self.inner.reserve(options))??;
        Ok(Reservation::new(reservation, self.host.clone()))
    }

    /// See [`crate::Client::reserve_serials`].
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub fn reserve_serials(
        &self,
        serials: impl IntoIterator<Item = Serial>,
        kind: impl Into<String>,
        args: impl Serialize,
    ) -> Result<Reservation, ClientError> {
        self.reserve(ReserveOptions::serials(serials, kind).args(args))
    }

    /// See [`crate::Client::adopt`].
    ///
    /// # Errors
    /// As [`crate::Client::adopt`]; [`ClientError::InsideRuntime`].
    pub fn adopt(
        &self,
        serials: impl IntoIterator<Item = Serial>,
    ) -> Result<Reservation, ClientError> {
        let reservation = self.host.wait(self.inner.adopt(serials))??;
        Ok(Reservation::new(reservation, self.host.clone()))
    }

    /// See [`crate::Client::wait_initialized`].
    ///
    /// # Errors
    /// As [`crate::Client::wait_initialized`]; [`ClientError::InsideRuntime`].
    pub fn wait_initialized(
        &self,
        serials: &[Serial],
        timeout: Duration,
    ) -> Result<(), ClientError> {
        self.host.wait(self.inner.wait_initialized(serials, timeout))?
    }

    /// See [`crate::Client::command`].
    ///
    /// # Errors
    /// As [`crate::Client::command`]; [`ClientError::InsideRuntime`].
    pub fn command(
        &self,
        serial: &Serial,
        event: &str,
        contents: impl Serialize,
    ) -> Result<Value, ClientError> {
        self.host.wait(self.inner.command(serial, event, contents))?
    }

    /// See [`crate::Client::command_each`].
    ///
    /// # Errors
    /// As [`crate::Client::command_each`]; [`ClientError::InsideRuntime`].
    pub fn command_each(
        &self,
        serials: &[Serial],
        event: &str,
        contents: impl Serialize,
    ) -> Result<Vec<BoardAnswer>, ClientError> {
        self.host.wait(self.inner.command_each(serials, event, contents))?
    }

    /// See [`crate::Client::available`].
    ///
    /// # Errors
    /// As [`crate::Client::available`]; [`ClientError::InsideRuntime`].
    pub fn available(&self) -> Result<u64, ClientError> {
        self.host.wait(self.inner.available())?
    }

    /// See [`crate::Client::devices`].
    ///
    /// # Errors
    /// As [`Self::available`].
    pub fn devices(&self) -> Result<Vec<Serial>, ClientError> {
        self.host.wait(self.inner.devices())?
    }

    /// See [`crate::Client::boards`].
    ///
    /// # Errors
    /// As [`Self::available`].
    pub fn boards(&self) -> Result<Vec<BoardDetail>, ClientError> {
        self.host.wait(self.inner.boards())?
    }

    /// See [`crate::Client::workers`].
    ///
    /// # Errors
    /// As [`Self::available`].
    pub fn workers(&self) -> Result<Vec<WorkerDetail>, ClientError> {
        self.host.wait(self.inner.workers())?
    }

    /// See [`crate::Client::extend`].
    ///
    /// # Errors
    /// As [`Self::available`].
    pub fn extend(&self, serials: &[Serial]) -> Result<Vec<Serial>, ClientError> {
        self.host.wait(self.inner.extend(serials))?
    }

    /// See [`crate::Client::extend_all`].
    ///
    /// # Errors
    /// As [`Self::available`].
    pub fn extend_all(&self) -> Result<Vec<Serial>, ClientError> {
        self.host.wait(self.inner.extend_all())?
    }

    /// See [`crate::Client::end`].
    ///
    /// # Errors
    /// As [`Self::available`].
    pub fn end(&self, serials: &[Serial]) -> Result<Vec<Serial>, ClientError> {
        self.host.wait(self.inner.end(serials))?
    }

    /// See [`crate::Client::end_all`].
    ///
    /// # Errors
    /// As [`Self::available`].
    pub fn end_all(&self) -> Result<Vec<Serial>, ClientError> {
        self.host.wait(self.inner.end_all())?
    }

    /// See [`crate::Client::reboot`].
    ///
    /// # Errors
    /// As [`Self::available`].
    pub fn reboot(&self, serials: &[Serial]) -> Result<Vec<Serial>, ClientError> {
        self.host.wait(self.inner.reboot(serials))?
    }

    /// See [`crate::Client::events`].
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.inner.events(), self.host.clone())
    }

    /// See [`crate::Client::end_on_signals`].
    ///
    /// # Errors
    /// As [`crate::Client::end_on_signals`].
    pub fn end_on_signals(&self) -> Result<(), ClientError> {
        let _runtime = self.host.handle().enter();
        self.inner.end_on_signals()
    }

    /// See [`crate::Client::give_back_on_signals`]. A program that does not await looks at
    /// [`StopRequest::received`] after its loop over outcomes, which ends when the boards are
    /// given back.
    ///
    /// # Errors
    /// As [`crate::Client::give_back_on_signals`].
    pub fn give_back_on_signals(&self) -> Result<StopRequest, ClientError> {
        let _runtime = self.host.handle().enter();
        self.inner.give_back_on_signals()
    }

    /// See [`crate::Client::close`].
    ///
    /// # Errors
    /// As [`crate::Client::close`]; [`ClientError::InsideRuntime`].
    pub fn close(self) -> Result<(), ClientError> {
        self.host.wait(self.inner.clone().close())?
    }
}
