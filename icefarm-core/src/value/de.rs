//! `Value` read from a format, and any type decoded from a `Value`.

use super::{Object, Value, ValueError, base64_of};
use crate::Blob;
use bytes::Bytes;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected,
    IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::collections::btree_map;
use std::fmt;
use std::vec;

pub(super) const TOO_WIDE: &str = "a whole number must lie between -2^63 and 2^64 - 1";

/// The longest list that is allocated on the word of whoever sent it.
const TRUSTED_LENGTH: usize = 1024;

/// How deep lists and maps may lie in each other: as deep as serde_json goes. Who reads untrusted
/// input must not run out of stack, and not every format counts.
const MAX_DEPTH: usize = 128;

/// The number, if 64 bits hold it.
pub(super) fn whole(number: i128) -> Option<Value> {
    i64::try_from(number).map(Value::I64).or_else(|_| u64::try_from(number).map(Value::U64)).ok()
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Nested { depth: 0 }.deserialize(deserializer)
    }
}

/// A value inside of `depth` lists and maps.
#[derive(Clone, Copy)]
struct Nested {
    depth: usize,
}

impl Nested {
    fn inner<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("nested more than {MAX_DEPTH} levels deep")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a truth value, a number, text, bytes, a list or a map with text keys")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        self.deserialize(inner)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::I64(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        self.visit_i128(number.into())
    }

    fn visit_i128<E: de::Error>(self, number: i128) -> Result<Value, E> {
        whole(number).ok_or_else(|| E::custom(TOO_WIDE))
    }

    fn visit_u128<E: de::Error>(self, number: u128) -> Result<Value, E> {
        self.visit_i128(i128::try_from(number).map_err(|_| E::custom(TOO_WIDE))?)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::F64(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Bytes::copy_from_slice(bytes).into())
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Bytes::from(bytes).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut items = Vec::with_capacity(access.size_hint().unwrap_or(0).min(TRUSTED_LENGTH));
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Object::new();
        while let Some(key) = access.next_key()? {
            object.insert(key, access.next_value_seed(inner)?);
        }
        Ok(Value::Object(object))
    }
}

impl<'de> IntoDeserializer<'de, ValueError> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Formats for people are the measure: a type with two forms is decoded from its text.
impl<'de> Deserializer<'de> for Value {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::I64(number) => visitor.visit_i64(number),
            Self::U64(number) => visitor.visit_u64(number),
            Self::F64(number) => visitor.visit_f64(number),
            Self::String(text) => visitor.visit_string(text),
            Self::Bytes(bytes) => visitor.visit_byte_buf(bytes.into()),
            Self::Array(items) => visit_items(items, visitor),
            Self::Object(object) => visit_entries(object, visitor),
        }
    }

    /// JSON's form of a byte string is one where a type asks for bytes.
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match &self {
            Self::Object(object) => match base64_of(object) {
                Some(text) => {
                    let blob = Blob::from_base64(text).map_err(ValueError::custom)?;
                    visitor.visit_byte_buf(blob.into())
                }
                None => self.deserialize_any(visitor),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        self.deserialize_byte_buf(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self {
            Self::Null => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        const EXPECTED: &str = "text or an object with one key, naming a variant";
        match self {
            Self::String(variant) => visitor.visit_enum(Variant { variant, contents: None }),
            Self::Object(mut object) => match (object.pop_first(), object.is_empty()) {
                (Some((variant, contents)), true) => {
                    visitor.visit_enum(Variant { variant, contents: Some(contents) })
                }
                _ => Err(ValueError::invalid_value(Unexpected::Map, &EXPECTED)),
            },
            other => Err(other.unexpected(&EXPECTED)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

impl Value {
    pub(crate) fn unexpected(&self, expected: &dyn Expected) -> ValueError {
        let found = match self {
            Self::Null => Unexpected::Unit,
            Self::Bool(value) => Unexpected::Bool(*value),
            Self::I64(number) => Unexpected::Signed(*number),
            Self::U64(number) => Unexpected::Unsigned(*number),
            Self::F64(number) => Unexpected::Float(*number),
            Self::String(text) => Unexpected::Str(text),
            Self::Bytes(bytes) => Unexpected::Bytes(bytes),
            Self::Array(_) => Unexpected::Seq,
            Self::Object(_) => Unexpected::Map,
        };
        ValueError::invalid_type(found, expected)
    }
}

/// "a list of 3 items", where a type took fewer than there are.
struct Taken(usize, &'static str);

impl Expected for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.1)
    }
}

fn visit_items<'de, V: Visitor<'de>>(
    items: Vec<Value>,
    visitor: V,
) -> Result<V::Value, ValueError> {
    let length = items.len();
    let mut access = ItemsAccess { items: items.into_iter(), index: 0 };
    let value = visitor.visit_seq(&mut access)?;
    match access.items.len() {
        0 => Ok(value),
        left => Err(ValueError::invalid_length(length, &Taken(length - left, "items"))),
    }
}

struct ItemsAccess {
    items: vec::IntoIter<Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for ItemsAccess {
    type Error = ValueError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ValueError> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(item).map(Some).map_err(|error| error.at(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

fn visit_entries<'de, V: Visitor<'de>>(object: Object, visitor: V) -> Result<V::Value, ValueError> {
    let length = object.len();
    let mut access = EntriesAccess { entries: object.into_iter(), pending: None };
    let value = visitor.visit_map(&mut access)?;
    match access.entries.len() {
        0 => Ok(value),
        left => Err(ValueError::invalid_length(length, &Taken(length - left, "keys"))),
    }
}

struct EntriesAccess {
    entries: btree_map::IntoIter<String, Value>,
    pending: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for EntriesAccess {
    type Error = ValueError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ValueError> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.pending = Some((key.clone(), value));
        seed.deserialize(Key(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, ValueError> {
        match self.pending.take() {
            Some((key, value)) => seed.deserialize(value).map_err(|error| error.under(&key)),
            None => Err(ValueError::custom("a map's value was read before its key")),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// The key of an object: text, and where a type asks for it a number, since JSON has no other keys.
struct Key(String);

macro_rules! parsed {
    ($($method:ident => $visit:ident),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            match self.0.parse() {
                Ok(parsed) => visitor.$visit(parsed),
                Err(_) => Err(ValueError::invalid_type(Unexpected::Str(&self.0), &visitor)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_string(self.0)
    }

    parsed! {
        deserialize_bool => visit_bool,
        deserialize_i8 => visit_i64, deserialize_i16 => visit_i64,
        deserialize_i32 => visit_i64, deserialize_i64 => visit_i64,
        deserialize_u8 => visit_u64, deserialize_u16 => visit_u64,
        deserialize_u32 => visit_u64, deserialize_u64 => visit_u64,
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_enum(Variant { variant: self.0, contents: None })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A variant of an enum: `"name"`, or `{"name": contents}`.
struct Variant {
    variant: String,
    contents: Option<Value>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = ValueError;
    type Variant = Contents;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Contents), ValueError> {
        let contents = Contents { variant: self.variant.clone(), contents: self.contents };
        Ok((seed.deserialize(Key(self.variant))?, contents))
    }
}

/// What a variant of an enum carries.
struct Contents {
    variant: String,
    contents: Option<Value>,
}

impl Contents {
    fn decode<T>(
        self,
        expected: &'static str,
        decode: impl FnOnce(Value) -> Result<T, ValueError>,
    ) -> Result<T, ValueError> {
        let Some(contents) = self.contents else {
            return Err(ValueError::invalid_type(Unexpected::UnitVariant, &expected));
        };
        decode(contents).map_err(|error| error.under(&self.variant))
    }
}

impl<'de> VariantAccess<'de> for Contents {
    type Error = ValueError;

    fn unit_variant(self) -> Result<(), ValueError> {
        match self.contents {
            None | Some(Value::Null) => Ok(()),
            Some(contents) => Err(contents.unexpected(&"a variant without contents")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, ValueError> {
        self.decode("a variant with a value", |contents| seed.deserialize(contents))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.decode("a variant with a list", |contents| contents.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.decode("a variant with fields", |contents| contents.deserialize_map(visitor))
    }
}
