//! Errors as they travel.

use crate::Object;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $status:literal;)*) => {
        /// What went wrong, in a word that programs can rely on.
        ///
        /// A program that meets a word it does not know sees [`ErrorCode::Other`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
            /// A word of a later version.
            Other,
        }

        impl ErrorCode {
            /// All words that this version knows.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                    Self::Other => "other",
                }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                    Self::Other => 500,
                }
            }

            fn from_word(word: &str) -> Self {
                match word {
                    $($word => Self::$name,)*
                    _ => Self::Other,
                }
            }
        }
    };
}

codes! {
    /// The body or the query is not what this path takes; the message names the key.
    BadRequest = "bad_request", 400;
    /// The arguments do not fit the kind or the command; the message names the key.
    BadArguments = "bad_arguments", 400;
    /// The protocol versions of the two sides do not go together.
    VersionMismatch = "version_mismatch", 400;
    /// No valid credentials came with the request.
    Unauthorized = "unauthorized", 401;
    /// The request came under a host name or from a web page that this server does not serve.
    Forbidden = "forbidden", 403;
    /// The request is more than this client may have by the farm's configuration.
    LimitExceeded = "limit_exceeded", 403;
    /// The board is leased to somebody else.
    NotHolder = "not_holder", 403;
    /// There is nothing under this path.
    NotFound = "not_found", 404;
    /// No worker has a board of that serial.
    UnknownSerial = "unknown_serial", 404;
    /// No worker offers the kind.
    UnknownKind = "unknown_kind", 404;
    /// The state has no such command.
    UnknownCommand = "unknown_command", 404;
    /// The path takes other methods.
    MethodNotAllowed = "method_not_allowed", 405;
    /// Not enough boards are free for this reservation; nothing was reserved.
    NotEnoughDevices = "not_enough_devices", 409;
    /// A board that was asked for by serial is not free; nothing was reserved.
    NotAvailable = "not_available", 409;
    /// The request waited for as long as it might, and got no boards.
    WaitExpired = "wait_expired", 409;
    /// The request waits no more, because somebody cancelled it or its client was gone.
    WaitCancelled = "wait_cancelled", 409;
    /// The fencing token is older than one that was seen already.
    StaleLease = "stale_lease", 409;
    /// Nobody holds a lease on the board.
    NotReserved = "not_reserved", 409;
    /// The name or the request id is in use for something else, or the board has moved on since.
    Conflict = "conflict", 409;
    /// The body is larger than this server takes.
    TooLarge = "too_large", 413;
    /// The body is neither JSON nor MessagePack.
    UnsupportedMediaType = "unsupported_media_type", 415;
    /// A limit on counts or rates is reached; later is fine.
    Overloaded = "overloaded", 429;
    /// The state's command failed.
    CommandFailed = "command_failed", 500;
    /// The server failed; its log says more.
    Internal = "internal", 500;
    /// The worker of the board cannot be reached.
    WorkerUnreachable = "worker_unreachable", 502;
    /// The server is starting or ending.
    Unavailable = "unavailable", 503;
    /// It took too long.
    Timeout = "timeout", 504;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_word(&String::deserialize(deserializer)?))
    }
}

/// The body of every answer that is an error: `{"error": {"code": .., "message": .., ..}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The one key.
    pub error: ErrorDetail,
}

/// What went wrong, for programs and for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ErrorDetail {
    /// The word for programs.
    pub code: ErrorCode,
    /// What happened and what to do, for people.
    pub message: String,
    /// Further keys, as `wanted` and `available` of `not_enough_devices`.
    #[serde(flatten)]
    pub details: Object,
}

impl ErrorDetail {
    /// An error without further keys.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Object::new() }
    }

    /// The same with one more key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<crate::Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_comes_back() {
        for code in ErrorCode::ALL {
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(serde_json::from_str::<ErrorCode>(&json).unwrap(), *code);
        }
        assert_eq!(serde_json::from_str::<ErrorCode>("\"new\"").unwrap(), ErrorCode::Other);
    }
}
