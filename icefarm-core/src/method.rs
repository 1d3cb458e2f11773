//! Methods that are called by name: a state's commands, a client handler's events.

use crate::wire::ErrorCode;
use crate::{ArgError, ArgSpec, Args, Blob, Value, to_value};
use futures::future::BoxFuture;
use serde::Serialize;
use std::any::Any;
use std::error::Error;

/// Calls one method on a target of the type that it was registered for.
pub(crate) type Call =
    for<'a> fn(&'a mut (dyn Any + Send), Args) -> BoxFuture<'a, Result<Value, CallError>>;

/// A method under `#[register("event", "key", ..)]`.
#[derive(Debug)]
pub struct Method {
    event: &'static str,
    name: &'static str,
    args: &'static [ArgSpec],
    pub(crate) call: Call,
}

impl Method {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        event: &'static str,
        name: &'static str,
        args: &'static [ArgSpec],
        call: Call,
    ) -> Self {
        Self { event, name, args, call }
    }

    /// The command or event that it answers to.
    #[must_use]
    pub fn event(&self) -> &'static str {
        self.event
    }

    /// Its name in the source.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its arguments in the order of the parameters.
    #[must_use]
    pub fn args(&self) -> &'static [ArgSpec] {
        self.args
    }
}

/// The state or handler behind a call. Called by generated code.
///
/// # Panics
/// If `target` is of another type than the method was registered for.
pub fn downcast<T: 'static>(target: &mut (dyn Any + Send)) -> &mut T {
    target.downcast_mut().expect("the registry looks methods up by the type of their target")
}

/// Why a call by name did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// No method of the target is registered for it.
    #[error("`{event}` is not known; {}", list(known))]
    Unknown {
        /// What was called.
        event: String,
        /// What could be, in the order of the source.
        known: Vec<&'static str>,
    },
    /// The arguments do not fit the method, which did not run.
    #[error(transparent)]
    Args(#[from] ArgError),
    /// The method ran and failed.
    #[error("{0}")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl CallError {
    /// The word by which the caller is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown { .. } => ErrorCode::UnknownCommand,
            Self::Args(_) => ErrorCode::BadArguments,
            Self::Failed(error) if error.is::<Overloaded>() => ErrorCode::Overloaded,
            Self::Failed(_) => ErrorCode::CommandFailed,
        }
    }

    pub(crate) fn unknown(event: &str, methods: &[Method]) -> Self {
        Self::Unknown {
            event: event.to_owned(),
            known: methods.iter().map(Method::event).collect(),
        }
    }
}

fn list(known: &[&str]) -> String {
    if known.is_empty() {
        return "nothing is registered".to_owned();
    }
    format!("known: {}", known.join(", "))
}

/// The error of a method that takes no more work at present. Its caller may come again, and is
/// told [`ErrorCode::Overloaded`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Overloaded(pub String);

/// A reply, or part of an event, that is any type serde can write.
///
/// ```
/// use icefarm_core::{Json, Reply};
///
/// #[derive(serde::Serialize)]
/// struct Reading { pulses: u32 }
///
/// let value = Json(Reading { pulses: 7 }).into_reply().unwrap();
/// assert_eq!(value.get("pulses"), Some(&7.into()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// What a registered method may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned from a `#[register]` method",
    label = "not a reply",
    note = "return `()`, a `Value`, a `Blob`, `Json(..)` of a type that is `Serialize`, a number, text or truth value, or a `Result` of one of them"
)]
pub trait Reply {
    /// The reply as it travels.
    ///
    /// # Errors
    /// [`CallError::Failed`] with the method's own error, or if the reply cannot be written.
    fn into_reply(self) -> Result<Value, CallError>;
}

macro_rules! replies {
    ($($type:ty),*) => {$(
        impl Reply for $type {
            fn into_reply(self) -> Result<Value, CallError> {
                Ok(self.into())
            }
        }
    )*};
}
replies!((), Value, Blob, bool, String, &str, f32, f64);
replies!(i8, i16, i32, i64, u8, u16, u32, u64, usize);

impl<T: Serialize> Reply for Json<T> {
    fn into_reply(self) -> Result<Value, CallError> {
        to_value(&self.0).map_err(|error| CallError::Failed(error.into()))
    }
}

impl<T: Reply, E: Into<Box<dyn Error + Send + Sync>>> Reply for Result<T, E> {
    fn into_reply(self) -> Result<Value, CallError> {
        self.map_err(|error| CallError::Failed(error.into()))?.into_reply()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_travel_as_values() {
        assert_eq!(().into_reply().unwrap(), Value::Null);
        assert_eq!(Ok::<_, String>(3u32).into_reply().unwrap(), Value::from(3));
        let blob = Blob::from(vec![1, 2]);
        assert_eq!(Json([blob.clone()]).into_reply().unwrap(), Value::from(vec![blob]));
    }

    #[test]
    fn a_failure_keeps_its_source() {
        let error = Err::<(), _>(std::io::Error::other("as asked")).into_reply().unwrap_err();
        assert_eq!(error.to_string(), "as asked");
        assert!(error.source().is_some_and(|source| source.is::<std::io::Error>()));
        assert_eq!(error.code(), ErrorCode::CommandFailed);
    }

    #[test]
    fn a_method_can_ask_for_patience() {
        let full = Overloaded("the queue is full".to_owned());
        let error = Err::<(), _>(full).into_reply().unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            (ErrorCode::Overloaded, "the queue is full")
        );
    }
}
