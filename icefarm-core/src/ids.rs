//! The names and numbers that everything in the farm is called by.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name that is accepted, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty.
    #[error("a {what} must not be empty")]
    Empty {
        /// What the text should have named.
        what: &'static str,
    },
    /// The text has more than [`MAX_NAME_BYTES`] bytes.
    #[error("a {what} has at most {MAX_NAME_BYTES} bytes; this one has {bytes}")]
    TooLong {
        /// What the text should have named.
        what: &'static str,
        /// Its length in bytes.
        bytes: usize,
    },
    /// The text holds a control character, which would garble logs and terminals.
    #[error("a {what} must not hold control characters")]
    Control {
        /// What the text should have named.
        what: &'static str,
    },
    /// The text holds something else than printable ASCII characters, which go unchanged into a
    /// URL's query.
    #[error("a {what} has only printable ASCII characters and no space")]
    NotPrintable {
        /// What the text should have named.
        what: &'static str,
    },
}

fn check(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong { what, bytes: text.len() });
    }
    if text.chars().any(char::is_control) {
        return Err(NameError::Control { what });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to [`MAX_NAME_BYTES`] bytes of UTF-8 without control characters; cloning is cheap.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and makes a name of it.
            ///
            /// # Errors
            /// [`NameError`] says what is wrong with the text.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self, NameError> {
                let text = text.into();
                check($what, &text)?;
                Ok(Self(text))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

name! {
    /// A board's USB serial number, the one name that stays with the hardware.
    Serial, "serial"
}
name! {
    /// Who holds a lease: the name that a client gives itself.
    ClientName, "client name"
}
name! {
    /// A worker's name, unique in its farm.
    WorkerName, "worker name"
}
name! {
    /// What a reserved board does: the name of a registered state.
    Kind, "kind"
}
name! {
    /// A firmware image by name. The bus knows which bytes, or which model, stand for it.
    ImageName, "image name"
}

impl Serial {
    /// What stands in place of a board where something belongs to none:
    /// [`META_SERIAL`](crate::wire::META_SERIAL).
    #[must_use]
    pub fn meta() -> Self {
        Self(crate::wire::META_SERIAL.into())
    }
}

/// What a random id is that comes over the network.
fn opaque(text: &str) -> Result<(), NameError> {
    if text.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong { what: "random id", bytes: text.len() });
    }
    Ok(())
}

/// What names a process, in reservations and at its sockets.
fn process(text: &str) -> Result<(), NameError> {
    let what = "process's id";
    check(what, text)?;
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(NameError::NotPrintable { what });
    }
    Ok(())
}

macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        ///
        /// An opaque text chosen at random by who makes it, usually a UUID. One that comes over the
        /// network has at most [`MAX_NAME_BYTES`] bytes.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub Arc<str>);

        impl $name {
            /// The token as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $check(&text).map_err(serde::de::Error::custom)?;
                Ok(Self(text.into()))
            }
        }

        impl<T: Into<Arc<str>>> From<T> for $name {
            fn from(text: T) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

token! {
    /// The boards of one `/reserve` share this id, and nothing else.
    ReservationId, opaque
}
token! {
    /// Names one request of a client: repeated, it gets the same answer and reserves nothing more.
    RequestId, opaque
}
token! {
    /// Names one process of a client: `instance` of its reservations and `sub` of its sockets, by
    /// which control knows that the process lives. A process ends only what it reserved itself.
    /// From the network it has 1 to [`MAX_NAME_BYTES`] printable ASCII characters, no space.
    InstanceId, process
}

impl InstanceId {
    /// Checks `text`, as of a process that names itself, and makes an id of it.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with the text.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, NameError> {
        let text = text.into();
        process(&text)?;
        Ok(Self(text))
    }
}
token! {
    /// Names one start of a worker. A new one means that everything it held in memory is gone.
    Incarnation, opaque
}
token! {
    /// Names one life of an event stream: positions of another epoch mean nothing in this one.
    Epoch, opaque
}
token! {
    /// Names one access token, which is itself a secret.
    TokenId, opaque
}
token! {
    /// Names one evaluation: one circuit, for one placement, through all attempts.
    EvaluationId, opaque
}

/// A lease, and at the same time its fencing token: the numbers only rise, over restarts too, so
/// whoever sees two of them for one board knows which is the later.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LeaseId(pub u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(Serial::new("example pico2ice serial id").unwrap().as_str().len(), 26);
        assert_eq!(Serial::new("").unwrap_err(), NameError::Empty { what: "serial" });
        assert_eq!(Kind::new("a\nb").unwrap_err(), NameError::Control { what: "kind" });
        let long = "x".repeat(129);
        assert_eq!(
            ClientName::new(long).unwrap_err().to_string(),
            "a client name has at most 128 bytes; this one has 129"
        );
    }

    #[test]
    fn names_travel_as_plain_text() {
        let serial: Serial = serde_json::from_str("\"S1\"").unwrap();
        assert_eq!(serde_json::to_string(&serial).unwrap(), "\"S1\"");
        assert!(serde_json::from_str::<Serial>("\"\"").is_err());
        let long = format!("\"{}\"", "x".repeat(129));
        assert!(serde_json::from_str::<RequestId>(&long).is_err());
        let instance = |text: &str| serde_json::from_value::<InstanceId>(text.into());
        for text in ["", "a b", "ä", "a\n", &"x".repeat(129)] {
            let error = InstanceId::new(text).unwrap_err();
            assert_eq!(instance(text).unwrap_err().to_string(), error.to_string(), "{text:?}");
        }
        assert!(instance(&"x".repeat(128)).is_ok());
        assert_eq!(serde_json::to_string(&LeaseId(7)).unwrap(), "7");
    }
}
