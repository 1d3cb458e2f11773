//! JSON, read within limits.

use super::{Budget, CodecError, CodecLimits, insert};
use icefarm_core::{Object, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

pub(super) fn decode(bytes: &[u8], limits: &CodecLimits) -> Result<Value, CodecError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut budget = Budget::new(limits);
    let value = Node(&mut budget).deserialize(&mut deserializer).map_err(CodecError::Json)?;
    deserializer.end().map_err(CodecError::Json)?;
    Ok(value)
}

struct Node<'a>(&'a mut Budget);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.count().map_err(D::Error::custom)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::U64(number), Value::I64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.0.enter().map_err(A::Error::custom)?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(Node(self.0))? {
            items.push(item);
        }
        self.0.leave();
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        self.0.enter().map_err(A::Error::custom)?;
        let mut object = Object::new();
        while let Some(key) = access.next_key::<String>()? {
            self.0.count().map_err(A::Error::custom)?;
            let value = access.next_value_seed(Node(self.0))?;
            insert(&mut object, key, value).map_err(A::Error::custom)?;
        }
        self.0.leave();
        Ok(Value::Object(object))
    }
}
