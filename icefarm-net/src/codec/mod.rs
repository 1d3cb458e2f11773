//! Frames and bodies as bytes, in JSON and in MessagePack.

mod compress;
mod frames;
mod json;
mod msgpack;
mod unpack;

pub(crate) use frames::{decode_packed, encode_numbered};
pub(crate) use unpack::{UnpackError, is_packed, unpack};

pub use frames::encode_server;
pub use frames::{ClientMessage, decode_client, decode_server, encode_ack, encode_client};

use bytes::Bytes;
use icefarm_core::{Object, Value};
use serde::Serialize;

/// How a message is written.
///
/// Both follow one schema. JSON is sent as text and writes byte strings as `{"base64": ".."}`.
/// MessagePack is sent as binary and has byte strings; in it `{"zstd": <bytes>}` stands for the
/// byte string that comes out when the bytes are decompressed (RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// Text.
    #[default]
    Json,
    /// Binary.
    MessagePack,
}

/// What a message may cost its reader, beyond its length.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CodecLimits {
    /// How deep lists and objects may be nested. 64 unless changed.
    pub depth: usize,
    /// How many values and keys there may be: a value takes at least 32 bytes of memory, however
    /// short it was written. 2²⁰ unless changed.
    pub values: usize,
    /// How many bytes all compressed byte strings of a message may have when they are
    /// decompressed. 83,360,000 unless changed, 800 bitstreams of an iCE40UP5K.
    pub inflated: usize,
}

impl Default for CodecLimits {
    fn default() -> Self {
        Self { depth: 64, values: 1 << 20, inflated: crate::MAX_MESSAGE }
    }
}

/// Why bytes are not the message that was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// It is not JSON, or over a limit. The source says where.
    #[error("not valid JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// It is not MessagePack, or over a limit.
    #[error("not valid MessagePack at byte {offset}: {reason}")]
    MessagePack {
        /// Counted from zero.
        offset: usize,
        /// What is wrong there.
        reason: String,
    },
    /// It can be read, but is no frame.
    #[error("not a valid frame: {reason}")]
    Frame {
        /// The key, and what is wrong with it.
        reason: String,
    },
    /// A message cannot be written.
    #[error("the message cannot be written: {0}")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl CodecError {
    fn frame(reason: impl Into<String>) -> Self {
        Self::Frame { reason: reason.into() }
    }
}

/// Reads one value of any type.
///
/// Hostile input is an error like any other: it is bounded by `limits`, keys must not be there
/// twice, text must be UTF-8, and nothing may follow the value.
///
/// # Errors
/// [`CodecError::Json`] or [`CodecError::MessagePack`].
pub fn decode_value(
    bytes: &Bytes,
    encoding: Encoding,
    limits: &CodecLimits,
) -> Result<Value, CodecError> {
    match encoding {
        Encoding::Json => json::decode(bytes, limits),
        Encoding::MessagePack => msgpack::decode(bytes, limits, true),
    }
}

/// As [`decode_value`], with files as they came: what is compressed stays so.
fn decode_value_packed(
    bytes: &Bytes,
    encoding: Encoding,
    limits: &CodecLimits,
) -> Result<Value, CodecError> {
    match encoding {
        Encoding::Json => json::decode(bytes, limits),
        Encoding::MessagePack => msgpack::decode(bytes, limits, false),
    }
}

/// Writes anything that serde can.
///
/// # Errors
/// [`CodecError::Encode`] if the type refuses, or has a map with keys that are not text.
pub fn encode(
    message: &(impl Serialize + ?Sized),
    encoding: Encoding,
) -> Result<Bytes, CodecError> {
    match encoding {
        Encoding::Json => match serde_json::to_vec(message) {
            Ok(json) => Ok(json.into()),
            Err(error) => Err(CodecError::Encode(error.into())),
        },
        Encoding::MessagePack => match rmp_serde::to_vec_named(message) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(CodecError::Encode(error.into())),
        },
    }
}

/// What is left of the limits while a message is read.
struct Budget {
    depth: usize,
    values: usize,
    inflated: usize,
    limits: CodecLimits,
}

impl Budget {
    fn new(limits: &CodecLimits) -> Self {
        let CodecLimits { depth, values, inflated } = *limits;
        Self { depth, values, inflated, limits: limits.clone() }
    }

    /// One more value or key.
    fn count(&mut self) -> Result<(), String> {
        match self.values.checked_sub(1) {
            Some(left) => self.values = left,
            None => return Err(format!("more than {} values", self.limits.values)),
        }
        Ok(())
    }

    /// Into a list or an object; [`Self::leave`] leads out.
    fn enter(&mut self) -> Result<(), String> {
        match self.depth.checked_sub(1) {
            Some(left) => self.depth = left,
            None => return Err(format!("nested more than {} deep", self.limits.depth)),
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth += 1;
    }

    fn inflate(&mut self, bytes: &[u8]) -> Result<Bytes, String> {
        let inflated = compress::inflate(bytes, self.inflated)
            .map_err(|error| format!("the key `zstd`: {error}"))?
            .ok_or_else(|| format!("more than {} bytes decompressed", self.limits.inflated))?;
        self.inflated -= inflated.len();
        Ok(inflated)
    }
}

/// Adds an entry; a key that is there already would be read in one way here and in another way
/// elsewhere.
fn insert(object: &mut Object, key: String, value: Value) -> Result<(), String> {
    match object.entry(key) {
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert(value);
            Ok(())
        }
        std::collections::btree_map::Entry::Occupied(entry) => {
            Err(format!("the key `{}` is there twice", entry.key().escape_debug()))
        }
    }
}

#[cfg(test)]
mod tests;
