//! `Value` written to a format, and any type turned into a `Value`.

use super::{Object, Value, ValueError};
use crate::blob;
use bytes::Bytes;
use serde::ser::{self, Serialize, SerializeMap as _, Serializer};

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::I64(number) => serializer.serialize_i64(*number),
            Self::U64(number) => serializer.serialize_u64(*number),
            Self::F64(number) => serializer.serialize_f64(*number),
            Self::String(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => blob::serialize(bytes, serializer),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Object(object) => {
                let mut map = serializer.serialize_map(Some(object.len()))?;
                for (key, value) in object {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// Turns any type that serde can write into a [`Value`]. Byte strings stay byte strings.
///
/// ```
/// #[derive(serde::Serialize)]
/// struct Reading { pulses: u32 }
///
/// let value = icefarm_core::to_value(&Reading { pulses: 2000 }).unwrap();
/// assert_eq!(value.get("pulses").and_then(icefarm_core::Value::as_u64), Some(2000));
/// ```
///
/// # Errors
/// If the type refuses, has a map whose keys are not text, or a whole number beyond 64 bits.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, ValueError> {
    value.serialize(ToValue { human_readable: true })
}

/// The serializer whose output is a [`Value`].
struct ToValue {
    /// Types with two forms (addresses, UUIDs) choose text as they do in JSON. Only what is marked
    /// as a byte string is asked for its other form.
    human_readable: bool,
}

impl Serializer for ToValue {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    fn is_human_readable(&self) -> bool {
        self.human_readable
    }

    fn serialize_bool(self, value: bool) -> Result<Value, ValueError> {
        Ok(value.into())
    }

    fn serialize_i8(self, number: i8) -> Result<Value, ValueError> {
        Ok(number.into())
    }

    fn serialize_i16(self, number: i16) -> Result<Value, ValueError> {
        Ok(number.into())
    }

    fn serialize_i32(self, number: i32) -> Result<Value, ValueError> {
        Ok(number.into())
    }

    fn serialize_i64(self, number: i64) -> Result<Value, ValueError> {
        Ok(number.into())
    }

    fn serialize_i128(self, number: i128) -> Result<Value, ValueError> {
        super::de::whole(number).ok_or_else(|| ser::Error::custom(super::de::TOO_WIDE))
    }

    fn serialize_u8(self, number: u8) -> Result<Value, ValueError> {
        Ok(number.into())
    }

    fn serialize_u16(self, number: u16) -> Result<Value, ValueError> {
        Ok(number.into())
    }

    fn serialize_u32(self, number: u32) -> Result<Value, ValueError> {
        Ok(number.into())
    }

    fn serialize_u64(self, number: u64) -> Result<Value, ValueError> {
        Ok(number.into())
    }

    fn serialize_u128(self, number: u128) -> Result<Value, ValueError> {
        let number = i128::try_from(number).map_err(|_| ser::Error::custom(super::de::TOO_WIDE))?;
        self.serialize_i128(number)
    }

    fn serialize_f32(self, number: f32) -> Result<Value, ValueError> {
        Ok(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<Value, ValueError> {
        Ok(number.into())
    }

    fn serialize_char(self, character: char) -> Result<Value, ValueError> {
        Ok(character.to_string().into())
    }

    fn serialize_str(self, text: &str) -> Result<Value, ValueError> {
        Ok(text.into())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, ValueError> {
        Ok(Bytes::copy_from_slice(bytes).into())
    }

    fn serialize_none(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<Value, ValueError> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        value.serialize(Self { human_readable: name != blob::MARK })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        Ok(wrapped(variant, to_value(value)?))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Items, ValueError> {
        Ok(Items { items: Vec::with_capacity(length.unwrap_or(0)), variant: None })
    }

    fn serialize_tuple(self, length: usize) -> Result<Items, ValueError> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        length: usize,
    ) -> Result<Items, ValueError> {
        self.serialize_seq(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Items, ValueError> {
        Ok(Items { variant: Some(variant), ..self.serialize_seq(Some(length))? })
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Entries, ValueError> {
        Ok(Entries { object: Object::new(), key: None, variant: None })
    }

    fn serialize_struct(self, _name: &'static str, length: usize) -> Result<Entries, ValueError> {
        self.serialize_map(Some(length))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Entries, ValueError> {
        Ok(Entries { variant: Some(variant), ..self.serialize_map(Some(length))? })
    }
}

/// The one-entry object that an enum's variant with contents is.
fn wrapped(variant: &'static str, contents: Value) -> Value {
    Value::Object(Object::from([(variant.to_owned(), contents)]))
}

/// A list that is being written.
struct Items {
    items: Vec<Value>,
    variant: Option<&'static str>,
}

impl Items {
    fn push<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        let item = to_value(item).map_err(|error| error.at(self.items.len()))?;
        self.items.push(item);
        Ok(())
    }

    fn finish(self) -> Value {
        let items = Value::Array(self.items);
        match self.variant {
            Some(variant) => wrapped(variant, items),
            None => items,
        }
    }
}

impl ser::SerializeSeq for Items {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}

impl ser::SerializeTuple for Items {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}

impl ser::SerializeTupleStruct for Items {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}

impl ser::SerializeTupleVariant for Items {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), ValueError> {
        self.push(item)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}

/// An object that is being written.
struct Entries {
    object: Object,
    key: Option<String>,
    variant: Option<&'static str>,
}

impl Entries {
    fn insert<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), ValueError> {
        let value = to_value(value).map_err(|error| error.under(&key))?;
        self.object.insert(key, value);
        Ok(())
    }

    fn finish(self) -> Value {
        let object = Value::Object(self.object);
        match self.variant {
            Some(variant) => wrapped(variant, object),
            None => object,
        }
    }
}

impl ser::SerializeMap for Entries {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = Some(match to_value(key)? {
            Value::String(text) => text,
            // As JSON does: a map from numbers is common, and its keys read back as numbers.
            Value::I64(number) => number.to_string(),
            Value::U64(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            _ => return Err(ser::Error::custom("the keys of a map must be text or whole numbers")),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        match self.key.take() {
            Some(key) => self.insert(key, value),
            None => Err(ser::Error::custom("a map's value was written before its key")),
        }
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}

impl ser::SerializeStruct for Entries {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        self.insert(key.to_owned(), value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}

impl ser::SerializeStructVariant for Entries {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        self.insert(key.to_owned(), value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}
