//! What one block under `#[reservable]` or `#[register]` contributes to the registry.

use crate::args::{Strictness, check_keys};
use crate::plugins::Place;
use crate::{
    ArgSpec, Args, BuildError, CallError, Device, DynState, Method, Object, Serial, Value,
};
use futures::future::{self, BoxFuture};
use std::any::{Any, TypeId, type_name};

/// The key under which a handler that names it is given the board's serial.
const SERIAL: &str = "serial";

type Build = fn(Device, Args) -> Result<Box<dyn DynState>, BuildError>;

/// A type whose methods are called by name: a state, or a client's event handler.
///
/// Implemented by `#[reservable]` and `#[register]` and never by hand. A type has one such block.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no registered methods",
    note = "put `#[register]` (or `#[reservable(..)]`) above `impl {Self}`"
)]
pub trait Registered: Send + 'static {
    /// What is registered for it.
    const REGISTRATION: &'static Registration;
}

/// The methods of a type, and what clients reserve it by if it is a reservable state.
#[derive(Debug)]
pub struct Registration {
    target: TypeId,
    type_name: fn() -> &'static str,
    place: Place,
    methods: &'static [Method],
    reservable: Option<Reservable>,
}

/// The kind of a state and its constructor.
#[derive(Debug)]
pub struct Reservable {
    pub(crate) kind: &'static str,
    pub(crate) args: &'static [ArgSpec],
    build: Build,
}

impl Reservable {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(kind: &'static str, args: &'static [ArgSpec], build: Build) -> Self {
        Self { kind, args, build }
    }

    pub(crate) fn build(
        &self,
        device: Device,
        args: Object,
    ) -> Result<Box<dyn DynState>, BuildError> {
        check_keys(&args, self.args, Strictness::Refuse)?;
        (self.build)(device, Args::new(args))
    }
}

impl Registration {
    #[doc(hidden)]
    #[must_use]
    pub const fn of<T: Registered>(
        place: Place,
        methods: &'static [Method],
        reservable: Option<Reservable>,
    ) -> Self {
        Self { target: TypeId::of::<T>(), type_name: type_name::<T>, place, methods, reservable }
    }

    /// What clients reserve the type by, if it is a reservable state.
    #[must_use]
    pub fn kind(&self) -> Option<&'static str> {
        self.reservable.as_ref().map(|reservable| reservable.kind)
    }

    /// The registered methods in the order of the source.
    #[must_use]
    pub fn methods(&self) -> &'static [Method] {
        self.methods
    }

    /// Whether a method is registered for `event`.
    #[must_use]
    pub fn handles(&self, event: &str) -> bool {
        self.method(event).is_some()
    }

    /// Where the block stands.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The type's path.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        (self.type_name)()
    }

    /// Calls the command `event`. Keys that are missing, wrong or left over are errors, found
    /// before the method runs.
    ///
    /// The future borrows only the target. Like any call of the method it may panic if the method
    /// does.
    ///
    /// # Panics
    /// If `target` is not of the registered type.
    pub fn call<'t>(
        &self,
        target: &'t mut (dyn Any + Send),
        event: &str,
        args: Object,
    ) -> BoxFuture<'t, Result<Value, CallError>> {
        match self.known(event) {
            Ok(method) => run(method, target, args, Strictness::Refuse),
            Err(error) => Box::pin(future::ready(Err(error))),
        }
    }

    /// Hands an event of the board `serial` to a client's handler. Keys that it does not name are
    /// ignored; a parameter named `serial` is given the board's. What the handler returns is
    /// dropped, unless it is an error.
    ///
    /// # Panics
    /// As [`Self::call`].
    pub fn dispatch<'t>(
        &self,
        target: &'t mut (dyn Any + Send),
        event: &str,
        mut contents: Object,
        serial: &Serial,
    ) -> BoxFuture<'t, Result<(), CallError>> {
        let method = match self.known(event) {
            Ok(method) => method,
            Err(error) => return Box::pin(future::ready(Err(error))),
        };
        if method.args().iter().any(|spec| spec.key == SERIAL) {
            contents.insert(SERIAL.to_owned(), serial.as_str().into());
        }
        let reply = run(method, target, contents, Strictness::Ignore);
        Box::pin(async move { reply.await.map(drop) })
    }

    pub(crate) fn target(&self) -> TypeId {
        self.target
    }

    pub(crate) fn reservable(&self) -> Option<&Reservable> {
        self.reservable.as_ref()
    }

    fn method(&self, event: &str) -> Option<&'static Method> {
        self.methods.iter().find(|method| method.event() == event)
    }

    fn known(&self, event: &str) -> Result<&'static Method, CallError> {
        self.method(event).ok_or_else(|| CallError::unknown(event, self.methods))
    }
}

fn run<'t>(
    method: &Method,
    target: &'t mut (dyn Any + Send),
    args: Object,
    strictness: Strictness,
) -> BoxFuture<'t, Result<Value, CallError>> {
    match check_keys(&args, method.args(), strictness) {
        Ok(()) => (method.call)(target, Args::new(args)),
        Err(error) => Box::pin(future::ready(Err(error.into()))),
    }
}

/// A registration that the linker has brought in.
#[derive(Debug)]
pub struct Linked(pub &'static Registration);

inventory::collect!(Linked);
