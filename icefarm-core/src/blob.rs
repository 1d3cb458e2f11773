//! Files that travel: bitstreams above all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use std::fmt;
use std::ops::Deref;

/// The only key of a byte string in JSON.
pub(crate) const BASE64: &str = "base64";

/// Under this name byte strings go through serde, so that a serializer that knows it can ask for
/// the bytes where everything else is asked for its text.
pub(crate) const MARK: &str = "$icefarm_core::Blob";

/// A file, such as a bitstream. Copies share its bytes.
///
/// In JSON it is `{"base64": "/wAA.."}` (RFC 4648 section 4, padded), in MessagePack a byte string.
///
/// ```
/// use icefarm_core::Blob;
///
/// let blob: Blob = serde_json::from_str(r#"{"base64": "/wAA"}"#).unwrap();
/// assert_eq!(&blob[..], [0xff, 0, 0]);
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blob(Bytes);

impl Blob {
    /// Decodes padded base64 of the standard alphabet.
    ///
    /// # Errors
    /// If the text is not that.
    pub fn from_base64(text: &str) -> Result<Self, Base64Error> {
        STANDARD.decode(text).map(Self::from).map_err(Base64Error)
    }

    /// The bytes, not copied.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// The text of a file is not base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the file is not valid base64: {0}")]
pub struct Base64Error(#[source] base64::DecodeError);

pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(MARK, &Unmarked(bytes))
}

struct Unmarked<'a>(&'a [u8]);

impl Serialize for Unmarked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(self.0);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(BASE64, &encode(self.0))?;
        map.end()
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // JSON must be asked for what is there: asked for bytes, it accepts no object.
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(BlobVisitor)
        } else {
            deserializer.deserialize_byte_buf(BlobVisitor)
        }
    }
}

struct BlobVisitor;

impl<'de> Visitor<'de> for BlobVisitor {
    type Value = Blob;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file: bytes, or {\"base64\": \"..\"}")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
        Ok(Blob(Bytes::copy_from_slice(bytes)))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
        Ok(bytes.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Blob, A::Error> {
        let mut text = None::<String>;
        while let Some(key) = access.next_key::<String>()? {
            if key != BASE64 {
                return Err(de::Error::unknown_field(&key, &[BASE64]));
            }
            text = Some(access.next_value()?);
        }
        let text = text.ok_or_else(|| de::Error::missing_field(BASE64))?;
        Blob::from_base64(&text).map_err(de::Error::custom)
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&'static [u8]> for Blob {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Bytes::from_static(bytes))
    }
}

impl From<Blob> for Bytes {
    fn from(blob: Blob) -> Self {
        blob.0
    }
}

/// Not copied where this is the only handle on the bytes.
impl From<Blob> for Vec<u8> {
    fn from(blob: Blob) -> Self {
        blob.0.into()
    }
}

/// Only the length: circuits are large.
impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.len())
    }
}
