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

/// How much is decompressed at a time.
const STEP: u64 = 64 << 10;

/// Decompresses at most `limit` bytes; `None` if there are more.
pub(super) fn inflate(bytes: &[u8], limit: usize) -> io::Result<Option<Bytes>> {
    let inflated = inflate_while(bytes, |inflated| inflated.len() <= limit)?;
    Ok(inflated.map(Bytes::from))
}

/// Decompresses as long as `go_on` says so of what came out. What a frame announces is not
/// trusted: memory grows with what comes out.
pub(super) fn inflate_while(
    bytes: &[u8],
    mut go_on: impl FnMut(&Vec<u8>) -> bool,
) -> io::Result<Option<Vec<u8>>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)?;
    decoder.window_log_max(WINDOW_LOG)?;
    let mut inflated = Vec::new();
    while decoder.by_ref().take(STEP).read_to_end(&mut inflated)? > 0 {
        if !go_on(&inflated) {
            return Ok(None);
        }
    }
    inflated.shrink_to_fit();
    Ok(Some(inflated))
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
