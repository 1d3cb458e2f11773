//! The files of a command, taken out of what they travelled in once it is known that somebody
//! wants them.

use super::compress::inflate_while;
use super::msgpack::ZSTD;
use super::{CodecError, CodecLimits, Encoding};
use crate::memory::Memory;
use icefarm_core::{Blob, Object, Value};
use std::sync::Arc;

/// The only key of a byte string in JSON.
const BASE64: &str = "base64";

/// Why a command's files cannot be had.
#[derive(Debug)]
pub(crate) enum UnpackError {
    /// They are not what they should be, or larger than a command's may be.
    Wrong(CodecError),
    /// Commands of all clients together take as much memory as they may.
    Full,
}

/// The file that a value is, as it travelled.
fn packed(fields: &Object, encoding: Encoding) -> Option<&Value> {
    let key = match encoding {
        Encoding::Json => BASE64,
        Encoding::MessagePack => ZSTD,
    };
    fields.get(key).filter(|value| match value {
        Value::String(_) => encoding == Encoding::Json && fields.len() == 1,
        Value::Bytes(_) => encoding == Encoding::MessagePack && fields.len() == 1,
        _ => false,
    })
}

/// Whether there is a file to be unpacked.
pub(crate) fn is_packed(contents: &Object, encoding: Encoding) -> bool {
    contents.values().any(|value| holds_packed(value, encoding))
}

fn holds_packed(value: &Value, encoding: Encoding) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| holds_packed(item, encoding)),
        Value::Object(fields) => packed(fields, encoding).is_some() || is_packed(fields, encoding),
        _ => false,
    }
}

/// Unpacks all files. Each takes its memory from `memory` as long as it is there.
pub(crate) fn unpack(
    contents: &mut Object,
    encoding: Encoding,
    limits: &CodecLimits,
    memory: &Arc<Memory>,
) -> Result<(), UnpackError> {
    let mut unpacker = Unpacker { encoding, left: limits.inflated, limits, memory };
    contents.values_mut().try_for_each(|value| unpacker.value(value))
}

struct Unpacker<'a> {
    encoding: Encoding,
    /// How many bytes may still come out.
    left: usize,
    limits: &'a CodecLimits,
    memory: &'a Arc<Memory>,
}

impl Unpacker<'_> {
    fn value(&mut self, value: &mut Value) -> Result<(), UnpackError> {
        let file = match value {
            Value::Array(items) => {
                return items.iter_mut().try_for_each(|item| self.value(item));
            }
            Value::Object(fields) => match packed(fields, self.encoding) {
                Some(Value::Bytes(bytes)) => Some(self.inflate(bytes)?),
                Some(Value::String(text)) => self.decode(text)?,
                _ => return fields.values_mut().try_for_each(|value| self.value(value)),
            },
            _ => None,
        };
        if let Some(file) = file {
            *value = file;
        }
        Ok(())
    }

    fn inflate(&mut self, bytes: &[u8]) -> Result<Value, UnpackError> {
        let mut loan = self.memory.lend(0).ok_or(UnpackError::Full)?;
        let mut full = false;
        let inflated = inflate_while(bytes, |inflated| {
            full = !loan.raise(inflated.capacity());
            !full && inflated.len() <= self.left
        });
        match inflated {
            Ok(Some(inflated)) => {
                self.left -= inflated.len();
                loan.lower(inflated.capacity());
                Ok(Value::Bytes(loan.hold(inflated)))
            }
            Ok(None) if full => Err(UnpackError::Full),
            Ok(None) => {
                let limit = self.limits.inflated;
                Err(wrong(format!("the key `{ZSTD}`: more than {limit} bytes decompressed")))
            }
            Err(error) => Err(wrong(format!("the key `{ZSTD}`: {error}"))),
        }
    }

    /// What is no base64 stays as it is: whoever wants a file there will say so.
    fn decode(&mut self, text: &str) -> Result<Option<Value>, UnpackError> {
        let loan = self.memory.lend(text.len() / 4 * 3).ok_or(UnpackError::Full)?;
        let Ok(file) = Blob::from_base64(text) else { return Ok(None) };
        Ok(Some(Value::Bytes(loan.hold(file))))
    }
}

fn wrong(reason: String) -> UnpackError {
    UnpackError::Wrong(CodecError::Frame { reason })
}
