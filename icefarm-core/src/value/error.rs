use serde::de::{self, Expected, Unexpected};
use serde::ser;
use std::fmt;

/// Why a [`Value`](crate::Value) could not be decoded into a type, or made from one.
///
/// The message says what was found and what was expected, and where, if that is inside the value:
/// "`window.from`: invalid type: string "x", expected u32".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    message: String,
    /// Keys and indices from the outermost value to the one at fault: `window.from[3]`.
    path: String,
}

impl ValueError {
    /// Puts a key before the path. Errors meet the outer keys on their way out.
    pub(super) fn under(mut self, key: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{separator}{}", self.path);
        self
    }

    /// As [`Self::under`], for a place in a list.
    pub(super) fn at(self, index: usize) -> Self {
        self.under(&format!("[{index}]"))
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ValueError {}

impl de::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), path: String::new() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        // serde calls it "unit value", which nobody who wrote JSON knows.
        match found {
            Unexpected::Unit => {
                Self::custom(format_args!("invalid type: null, expected {expected}"))
            }
            _ => Self::custom(format_args!("invalid type: {found}, expected {expected}")),
        }
    }
}

impl ser::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        de::Error::custom(message)
    }
}
