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

/// The most characters of a message. The value at fault stands in it, and may be a file.
const MESSAGE: usize = 300;

/// Leaves out the middle of a long message: what is wrong stands at its ends.
fn shorten(message: String) -> String {
    let length = message.chars().count();
    if length <= MESSAGE {
        return message;
    }
    let head: String = message.chars().take(MESSAGE / 2).collect();
    let tail: String = message.chars().skip(length - MESSAGE / 2).collect();
    format!("{head}[..]{tail}")
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
        Self { message: shorten(message.to_string()), path: String::new() }
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

#[cfg(test)]
mod tests {
    use crate::Value;
    use serde::Deserialize as _;

    #[test]
    fn a_file_in_the_wrong_place_does_not_fill_the_message() {
        let error = u32::deserialize(Value::from("\u{fc}".repeat(100_000))).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("invalid type: string") && text.ends_with("expected u32"),
            "{text}"
        );
        assert!(text.chars().count() < 320, "{text}");
    }
}
