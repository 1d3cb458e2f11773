//! What a board does while it is reserved.

use crate::board::Face;
use crate::{ArgError, Kind};
use futures::future::BoxFuture;
use std::any::Any;
use std::future::Future;

/// The error of a state's hook or of its constructor.
pub type StateError = Box<dyn std::error::Error + Send + Sync>;

/// Something that a state sent to itself with [`Device::post`](crate::Device::post).
pub type Message = Box<dyn Any + Send>;

/// The behaviour of one reserved board. Every hook has a default, so that an author writes only
/// what is needed, as a plain `async fn`.
///
/// Hooks and commands of one board never run at the same time. Each has a deadline, which the
/// worker sets (30 seconds if nothing else is configured; longer for `start` and `reboot`, which
/// may flash). A hook that panics, fails or misses its deadline fails the lease of this board, and
/// of no other.
///
/// Long work belongs into [`Device::spawn`](crate::Device::spawn); its result comes back through
/// [`Device::post`](crate::Device::post) and [`State::on_message`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a device state",
    label = "not a state",
    note = "add `impl icefarm_core::State for {Self} {{}}`"
)]
pub trait State: Send + Sized + 'static {
    /// Prepares the board. When it returns, the client is told `initialized`.
    fn start(&mut self) -> impl Future<Output = Result<(), StateError>> + Send {
        async { Ok(()) }
    }

    /// The board came back onto the bus without having been asked to leave it.
    fn added(&mut self, face: Face) -> impl Future<Output = Result<(), StateError>> + Send {
        let _ = face;
        async { Ok(()) }
    }

    /// The board left the bus without having been asked to. If it does not come back in time the
    /// worker fails the lease.
    fn removed(&mut self) -> impl Future<Output = Result<(), StateError>> + Send {
        async { Ok(()) }
    }

    /// Something that the state posted to itself arrived.
    fn on_message(
        &mut self,
        message: Message,
    ) -> impl Future<Output = Result<(), StateError>> + Send {
        let _ = message;
        async { Ok(()) }
    }

    /// Brings a board that misbehaves back to work. What the client has queued is kept, and what
    /// was interrupted runs again. When it returns, the client is told `initialized` again.
    fn reboot(&mut self) -> impl Future<Output = Result<(), StateError>> + Send {
        async { Ok(()) }
    }

    /// The lease is over. Afterwards the worker drops the state and takes the board back, whether
    /// this returns in time or not.
    fn exit(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// The object-safe mirror of [`State`], implemented for every state and never by hand.
pub trait DynState: Send + 'static {
    /// See [`State::start`].
    fn start(&mut self) -> BoxFuture<'_, Result<(), StateError>>;
    /// See [`State::added`].
    fn added(&mut self, face: Face) -> BoxFuture<'_, Result<(), StateError>>;
    /// See [`State::removed`].
    fn removed(&mut self) -> BoxFuture<'_, Result<(), StateError>>;
    /// See [`State::on_message`].
    fn on_message(&mut self, message: Message) -> BoxFuture<'_, Result<(), StateError>>;
    /// See [`State::reboot`].
    fn reboot(&mut self) -> BoxFuture<'_, Result<(), StateError>>;
    /// See [`State::exit`].
    fn exit(&mut self) -> BoxFuture<'_, ()>;
    /// The state itself, for [`Registry::call`](crate::Registry::call).
    fn as_any_mut(&mut self) -> &mut (dyn Any + Send);
}

impl<S: State> DynState for S {
    fn start(&mut self) -> BoxFuture<'_, Result<(), StateError>> {
        Box::pin(State::start(self))
    }
    fn added(&mut self, face: Face) -> BoxFuture<'_, Result<(), StateError>> {
        Box::pin(State::added(self, face))
    }
    fn removed(&mut self) -> BoxFuture<'_, Result<(), StateError>> {
        Box::pin(State::removed(self))
    }
    fn on_message(&mut self, message: Message) -> BoxFuture<'_, Result<(), StateError>> {
        Box::pin(State::on_message(self, message))
    }
    fn reboot(&mut self) -> BoxFuture<'_, Result<(), StateError>> {
        Box::pin(State::reboot(self))
    }
    fn exit(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(State::exit(self))
    }
    fn as_any_mut(&mut self) -> &mut (dyn Any + Send) {
        self
    }
}

/// Why no state could be built for a reservation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No linked crate registers the kind.
    #[error("kind `{kind}` is not known here; known kinds: {}", list(known))]
    UnknownKind {
        /// The kind that was asked for.
        kind: String,
        /// The kinds that this program has, sorted.
        known: Vec<Kind>,
    },
    /// The arguments do not fit the constructor.
    #[error(transparent)]
    Args(#[from] ArgError),
    /// The constructor itself refused the values of the arguments.
    #[error("the state does not take these arguments: {0}")]
    Refused(#[source] StateError),
}

fn list(kinds: &[Kind]) -> String {
    if kinds.is_empty() {
        return "none (no state crate is linked)".to_owned();
    }
    kinds.iter().map(Kind::as_str).collect::<Vec<_>>().join(", ")
}

/// What the constructor of a reservable may return: the state, or a `Result` of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a device state",
    label = "not a state",
    note = "the constructor of a reservable returns a type with `impl State for .. {{}}`, or a `Result` of it"
)]
pub trait IntoState {
    /// The state as an object, or why there is none.
    ///
    /// # Errors
    /// [`BuildError::Refused`] with the constructor's own error.
    fn into_state(self) -> Result<Box<dyn DynState>, BuildError>;
}

impl<S: State> IntoState for S {
    fn into_state(self) -> Result<Box<dyn DynState>, BuildError> {
        Ok(Box::new(self))
    }
}

impl<S: State, E: Into<StateError>> IntoState for Result<S, E> {
    fn into_state(self) -> Result<Box<dyn DynState>, BuildError> {
        self.map(|state| Box::new(state) as _).map_err(|error| BuildError::Refused(error.into()))
    }
}
