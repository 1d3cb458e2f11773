//! Looking into a value, and comparing it with what stands in a program: for tests above all.

use super::Value;
use std::ops::Index;

/// The value under a key. What has no such key, or is no object at all, has `null` there, as with
/// `serde_json`; [`Value::get`] tells the two apart.
///
/// ```
/// use icefarm_core::Value;
///
/// let value = Value::from(serde_json::json!({"pulses": 2000, "pin": {"name": "ICE_27"}}));
/// assert_eq!(value["pulses"], 2000);
/// assert_eq!(value["pin"]["name"], "ICE_27");
/// assert!(value["puls"].is_null());
/// ```
impl Index<&str> for Value {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.get(key).unwrap_or(&Value::Null)
    }
}

/// The element at a place in a list, or `null`.
impl Index<usize> for Value {
    type Output = Value;

    fn index(&self, place: usize) -> &Value {
        self.as_array().and_then(|items| items.get(place)).unwrap_or(&Value::Null)
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

macro_rules! compare {
    ($($type:ty),* $(,)?) => {$(
        impl PartialEq<$type> for Value {
            fn eq(&self, other: &$type) -> bool {
                let other = Value::from(other.clone());
                *self == other
            }
        }
    )*};
}
compare!(bool, i32, i64, u32, u64, usize, f64, &str, String, serde_json::Value);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Blob;
    use serde_json::json;

    #[test]
    fn values_compare_with_what_they_stand_for() {
        let value = Value::from(json!({"a": [1, "two", 3.5, true, null]}));
        assert_eq!(value["a"][0], 1);
        assert_eq!(value["a"][0], 1u64);
        assert_eq!(value["a"][1], "two");
        assert_eq!(value["a"][1], "two".to_owned());
        assert_eq!(value["a"][2], 3.5);
        assert_eq!(value["a"][3], true);
        assert_eq!(value, json!({"a": [1, "two", 3.5, true, null]}));
        assert_ne!(value["a"][0], "1");
        assert_ne!(value["a"][1], 2);
        assert!(value["a"][9].is_null() && value[0].is_null() && value["b"]["c"].is_null());
    }

    #[test]
    fn bytes_are_not_the_json_that_stands_for_them() {
        let bytes = Value::from(Blob::from(b"ice".to_vec()));
        assert_ne!(bytes, json!({"base64": "aWNl"}));
    }
}
