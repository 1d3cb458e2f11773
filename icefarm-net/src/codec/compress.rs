//! Byte strings that travel compressed.

use super::msgpack::ZSTD;
use bytes::Bytes;
use icefarm_core::{Object, Value};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use std::io::{self, Read as _};

/// Byte strings longer than this are worth compressing.
const WORTH: usize = 1024;
/// Bitstreams shrink 80-fold at the fastest level already.
const LEVEL: i32 = 1;
/// A frame may demand a window of 2²³ bytes of memory, which all levels up to 19 stay within.
const WINDOW_LOG: u32 = 23;

/// Decompresses at most `limit` bytes; `None` if there are more.
pub(super) fn inflate(bytes: &[u8], limit: usize) -> io::Result<Option<Bytes>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
    decoder.window_log_max(WINDOW_LOG)?;
    let mut inflated = Vec::new();
    // What a frame announces is not trusted: memory grows with what comes out.
    decoder.take(limit as u64 + 1).read_to_end(&mut inflated)?;
    Ok((inflated.len() <= limit).then(|| inflated.into()))
}

/// Writes an object to MessagePack with its large byte strings compressed.
pub(super) struct Packed<'a>(pub(super) &'a Object);

impl Serialize for Packed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, PackedValue(value))))
    }
}

struct PackedValue<'a>(&'a Value);

impl Serialize for PackedValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bytes(bytes) if bytes.len() > WORTH => {
                match zstd::bulk::compress(bytes, LEVEL) {
                    Ok(packed) if packed.len() < bytes.len() => {
                        let mut map = serializer.serialize_map(Some(1))?;
                        map.serialize_entry(ZSTD, &Plain(&packed))?;
                        map.end()
                    }
                    // Noise, or no memory for the compressor.
                    _ => serializer.serialize_bytes(bytes),
                }
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(PackedValue)),
            Value::Object(object) => Packed(object).serialize(serializer),
            small => small.serialize(serializer),
        }
    }
}

struct Plain<'a>(&'a [u8]);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
