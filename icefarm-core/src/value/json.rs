//! Conversion from and to JSON.

use super::Value;
use serde_json::{Map, Number, Value as Json};

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => from_number(&number),
            Json::String(text) => Self::String(text),
            Json::Array(items) => items.into_iter().collect(),
            Json::Object(map) => map.into_iter().collect(),
        }
    }
}

fn from_number(number: &Number) -> Value {
    if let Some(whole) = number.as_i64() {
        Value::I64(whole)
    } else if let Some(whole) = number.as_u64() {
        Value::U64(whole)
    } else {
        // Always present, unless a dependency turned on serde_json's arbitrary precision: then a
        // number too large for f64 is nothing that we could keep.
        number.as_f64().map_or(Value::Null, Value::F64)
    }
}

/// Byte strings become `{"base64": ".."}`; infinity and NaN, which JSON lacks, `null`.
impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::I64(number) => number.into(),
            Value::U64(number) => number.into(),
            Value::F64(number) => number.into(),
            Value::String(text) => Self::String(text),
            Value::Bytes(bytes) => {
                let entry = (crate::blob::BASE64.to_owned(), crate::blob::encode(&bytes).into());
                Self::Object(Map::from_iter([entry]))
            }
            Value::Array(items) => Self::Array(items.into_iter().map(Into::into).collect()),
            Value::Object(object) => {
                Self::Object(object.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
        }
    }
}
