//! What clients and boards send each other: JSON's types and byte strings.

mod compare;
mod de;
mod error;
mod json;
mod ser;

pub use error::ValueError;
pub use ser::to_value;

use crate::Blob;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;

/// The keys and values of an object, sorted by key.
pub type Object = BTreeMap<String, Value>;

/// A piece of data of an argument, a reply or an event.
///
/// It has JSON's types and byte strings beside them, because circuits travel as files. Formats
/// that people read write a byte string as `{"base64": ".."}`; MessagePack writes it as it is.
/// Read from JSON, such an object stays an object: what asks for bytes ([`Blob`],
/// [`Value::to_blob`]) takes both forms.
///
/// `T::deserialize(value)` decodes it into any type that serde can, [`to_value`] goes the other
/// way, and `serde_json::Value` converts both ways with `From`.
///
/// ```
/// use icefarm_core::{Blob, Value};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Circuit { file: Blob, repeats: u32 }
///
/// let value = Value::from(serde_json::json!({"file": {"base64": "aWNl"}, "repeats": 3}));
/// assert_eq!(value.get("repeats").and_then(Value::as_u64), Some(3));
///
/// let circuit = Circuit::deserialize(value).unwrap();
/// assert_eq!(&circuit.file[..], b"ice");
/// ```
#[derive(Clone, Default)]
pub enum Value {
    /// Nothing: JSON's `null`.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// A whole number. Equal numbers are equal in either variant; numbers that fit into `i64`
    /// are usually in the other one.
    U64(u64),
    /// A number with a fraction. JSON has no infinity and no NaN: they are written as `null`.
    F64(f64),
    /// Text.
    String(String),
    /// A byte string, such as a bitstream.
    Bytes(Bytes),
    /// A list.
    Array(Vec<Value>),
    /// A map from text to values.
    Object(Object),
}

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, if it is a whole one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_i128().and_then(|number| number.try_into().ok())
    }

    /// The number, if it is a whole one that fits.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_i128().and_then(|number| number.try_into().ok())
    }

    /// The number, if it is one. Whole numbers beyond 2⁵³ are rounded.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::I64(number) => Some(*number as f64),
            Self::U64(number) => Some(*number as f64),
            Self::F64(number) => Some(*number),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The object, if it is one, without copying.
    pub fn into_object(self) -> Option<Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The value under `key`, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key)
    }

    /// The byte string, if it is one: as such, or as the object `{"base64": ".."}` of JSON.
    pub fn to_blob(&self) -> Option<Blob> {
        match self {
            Self::Bytes(bytes) => Some(Blob::from(bytes.clone())),
            Self::Object(object) => Blob::from_base64(base64_of(object)?).ok(),
            _ => None,
        }
    }

    /// Whether this is [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    fn as_i128(&self) -> Option<i128> {
        match self {
            Self::I64(number) => Some((*number).into()),
            Self::U64(number) => Some((*number).into()),
            _ => None,
        }
    }
}

/// The text of JSON's form of a byte string, if the object is that.
fn base64_of(object: &Object) -> Option<&str> {
    match object.get(crate::blob::BASE64) {
        Some(Value::String(text)) if object.len() == 1 => Some(text),
        _ => None,
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::F64(a), Self::F64(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            // Formats differ in the variant that they choose for one and the same number.
            _ => self.as_i128().is_some_and(|number| Some(number) == other.as_i128()),
        }
    }
}

/// As the variant's content alone; of a byte string only its length, since circuits are large.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::I64(number) => number.fmt(f),
            Self::U64(number) => number.fmt(f),
            Self::F64(number) => number.fmt(f),
            Self::String(text) => text.fmt(f),
            Self::Bytes(bytes) => write!(f, "<{} bytes>", bytes.len()),
            Self::Array(items) => items.fmt(f),
            Self::Object(object) => object.fmt(f),
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
from!(
    bool => Bool,
    i8 => I64, i16 => I64, i32 => I64, i64 => I64,
    u8 => U64, u16 => U64, u32 => U64, u64 => U64,
    f32 => F64, f64 => F64,
    &str => String, String => String,
    Bytes => Bytes, Blob => Bytes,
    Object => Object,
);

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        // No platform that Rust supports has a wider `usize`.
        Self::U64(number as u64)
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Null
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A list. For a byte string use [`Blob`]: a `Vec<u8>` becomes a list of numbers.
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::Object(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}
