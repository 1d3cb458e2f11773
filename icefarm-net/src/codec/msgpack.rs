//! MessagePack, read within limits and without copying byte strings.
//!
//! Format bytes are those of <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use super::{Budget, CodecError, CodecLimits, insert};
use bytes::Bytes;
use icefarm_core::{Object, Value};

/// Byte strings from this length on keep the message that they stand in alive instead of being
/// copied. They are bitstreams, which are nearly all of their message.
const SHARED: usize = 4096;

/// The key of a compressed byte string.
pub(super) const ZSTD: &str = "zstd";

/// `inflates` says whether compressed byte strings are decompressed or left as they are.
pub(super) fn decode(
    bytes: &Bytes,
    limits: &CodecLimits,
    inflates: bool,
) -> Result<Value, CodecError> {
    let mut reader = Reader { bytes, at: 0, budget: Budget::new(limits), inflates };
    let read = reader.value().and_then(|value| {
        if reader.at == bytes.len() { Ok(value) } else { Err("bytes follow the value".into()) }
    });
    read.map_err(|reason| CodecError::MessagePack { offset: reader.at, reason })
}

struct Reader<'a> {
    bytes: &'a Bytes,
    at: usize,
    budget: Budget,
    inflates: bool,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let left = self.bytes.len() - self.at;
        if count > left {
            return Err(format!("{count} bytes should follow, and {left} do"));
        }
        let start = self.at;
        self.at += count;
        Ok(&self.bytes[start..self.at])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// A length of `N` bytes, big-endian.
    fn length<const N: usize>(&mut self) -> Result<usize, String> {
        let fold = |length: usize, byte: &u8| (length << 8) | usize::from(*byte);
        Ok(self.array::<N>()?.iter().fold(0, fold))
    }

    fn value(&mut self) -> Result<Value, String> {
        self.budget.count()?;
        let [format] = self.array()?;
        Ok(match format {
            0x00..=0x7f => Value::I64(format.into()),
            0x80..=0x8f => self.map(usize::from(format & 0x0f))?,
            0x90..=0x9f => self.list(usize::from(format & 0x0f))?,
            0xa0..=0xbf => Value::String(self.text(usize::from(format & 0x1f))?),
            0xc0 => Value::Null,
            0xc2 => Value::Bool(false),
            0xc3 => Value::Bool(true),
            0xc4 => self.length::<1>().and_then(|length| self.byte_string(length))?,
            0xc5 => self.length::<2>().and_then(|length| self.byte_string(length))?,
            0xc6 => self.length::<4>().and_then(|length| self.byte_string(length))?,
            0xca => Value::F64(f32::from_be_bytes(self.array()?).into()),
            0xcb => Value::F64(f64::from_be_bytes(self.array()?)),
            0xcc => Value::I64(u8::from_be_bytes(self.array()?).into()),
            0xcd => Value::I64(u16::from_be_bytes(self.array()?).into()),
            0xce => Value::I64(u32::from_be_bytes(self.array()?).into()),
            0xcf => {
                let number = u64::from_be_bytes(self.array()?);
                i64::try_from(number).map_or(Value::U64(number), Value::I64)
            }
            0xd0 => Value::I64(i8::from_be_bytes(self.array()?).into()),
            0xd1 => Value::I64(i16::from_be_bytes(self.array()?).into()),
            0xd2 => Value::I64(i32::from_be_bytes(self.array()?).into()),
            0xd3 => Value::I64(i64::from_be_bytes(self.array()?)),
            0xd9 => self.length::<1>().and_then(|length| self.text(length)).map(Value::String)?,
            0xda => self.length::<2>().and_then(|length| self.text(length)).map(Value::String)?,
            0xdb => self.length::<4>().and_then(|length| self.text(length)).map(Value::String)?,
            0xdc => self.length::<2>().and_then(|length| self.list(length))?,
            0xdd => self.length::<4>().and_then(|length| self.list(length))?,
            0xde => self.length::<2>().and_then(|length| self.map(length))?,
            0xdf => self.length::<4>().and_then(|length| self.map(length))?,
            0xe0..=0xff => Value::I64(i8::from_be_bytes([format]).into()),
            0xc1 => return Err("0xc1 is no format".into()),
            0xc7..=0xc9 | 0xd4..=0xd8 => return Err("extension types have no meaning here".into()),
        })
    }

    fn text(&mut self, length: usize) -> Result<String, String> {
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(format!("the text before is not UTF-8: {error}")),
        }
    }

    fn byte_string(&mut self, length: usize) -> Result<Value, String> {
        let start = self.at;
        let bytes = self.take(length)?;
        Ok(Value::Bytes(if length < SHARED {
            Bytes::copy_from_slice(bytes)
        } else {
            self.bytes.slice(start..start + length)
        }))
    }

    /// No memory is set aside for what is only announced: each item must be there.
    fn list(&mut self, length: usize) -> Result<Value, String> {
        self.budget.enter()?;
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(self.value()?);
        }
        self.budget.leave();
        Ok(Value::Array(items))
    }

    fn map(&mut self, length: usize) -> Result<Value, String> {
        self.budget.enter()?;
        let mut object = Object::new();
        for _ in 0..length {
            let Value::String(key) = self.value()? else {
                return Err("the key before is not text".into());
            };
            let value = self.value()?;
            insert(&mut object, key, value)?;
        }
        self.budget.leave();
        match object.get(ZSTD) {
            Some(Value::Bytes(bytes)) if self.inflates && object.len() == 1 => {
                Ok(Value::Bytes(self.budget.inflate(bytes)?))
            }
            _ => Ok(Value::Object(object)),
        }
    }
}
