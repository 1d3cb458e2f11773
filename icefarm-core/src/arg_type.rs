//! What values an argument takes, as far as that can be told without its program.

use crate::args::Presence;
use crate::{Value, ValueError};
use serde::{Deserialize, Serialize};

/// What an argument's value must be. Whoever knows it can refuse a wrong value before anything is
/// done; what it does not say, as the range of a number, is found when the value is decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ArgType {
    /// `true` or `false`.
    Boolean,
    /// A number without a fraction.
    Integer,
    /// Any number.
    Number,
    /// Text.
    Text,
    /// Nobody but the argument's program knows.
    #[default]
    #[serde(other)]
    Any,
}

impl ArgType {
    pub(crate) fn is_any(&self) -> bool {
        *self == Self::Any
    }

    /// Whether a value may be this. `null` stands for the absence of what is optional.
    pub(crate) fn check(self, value: &Value, optional: bool) -> Result<(), ValueError> {
        let expected = match (self, value) {
            (Self::Any, _)
            | (Self::Boolean, Value::Bool(_))
            | (Self::Integer, Value::I64(_) | Value::U64(_))
            | (Self::Number, Value::I64(_) | Value::U64(_) | Value::F64(_))
            | (Self::Text, Value::String(_)) => return Ok(()),
            (_, Value::Null) if optional => return Ok(()),
            (Self::Boolean, _) => "true or false",
            (Self::Integer, _) => "a whole number",
            (Self::Number, _) => "a number",
            (Self::Text, _) => "a text",
        };
        Err(value.unexpected(&expected))
    }
}

macro_rules! takes {
    ($($takes:ident: $($type:ty),*;)*) => {$($(
        impl Presence<$type> {
            /// What values the type is decoded from.
            pub const TAKES: ArgType = ArgType::$takes;
        }
        impl Presence<Option<$type>> {
            /// What values the type is decoded from.
            pub const TAKES: ArgType = ArgType::$takes;
        }
    )*)*};
}
takes! {
    Boolean: bool;
    Integer: i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
    Number: f32, f64;
    Text: String;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Required as _;
    use serde::de::DeserializeOwned;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn refuses<T: DeserializeOwned>(takes: ArgType, optional: bool) {
        for json in [
            json!(null),
            json!(true),
            json!(-1),
            json!(7),
            json!(7.0),
            json!(0.5),
            json!("7"),
            json!([]),
            json!({"a": 1}),
        ] {
            let value = Value::from(json.clone());
            let checked = takes.check(&value, optional);
            // A number may still be out of range.
            let is_minus = takes == ArgType::Integer && json == json!(-1);
            let fits = T::deserialize(value).is_ok() || is_minus;
            assert_eq!(checked.is_ok(), fits, "{takes:?} of {json}: {checked:?}");
        }
    }

    #[test]
    fn what_is_refused_is_what_cannot_be_decoded() {
        refuses::<bool>(Presence::<bool>::TAKES, false);
        refuses::<u32>(Presence::<u32>::TAKES, false);
        refuses::<f64>(Presence::<f64>::TAKES, false);
        refuses::<String>(Presence::<String>::TAKES, false);
        refuses::<Option<f32>>(Presence::<Option<f32>>::TAKES, true);
        refuses::<Option<i64>>(Presence::<Option<i64>>::TAKES, true);
    }

    #[test]
    fn other_types_take_what_they_take() {
        type Alias = Option<bool>;
        assert_eq!(Presence::<Alias>::TAKES, ArgType::Boolean);
        assert_eq!(Presence::<BTreeMap<String, bool>>::TAKES, ArgType::Any);
        assert_eq!(Presence::<Option<Vec<bool>>>::TAKES, ArgType::Any);
        assert!(ArgType::Any.check(&Value::Null, false).is_ok());
    }

    #[test]
    fn a_word_of_a_later_version_is_checked_by_nobody() {
        assert_eq!(serde_json::from_str::<ArgType>("\"colour\"").unwrap(), ArgType::Any);
        assert_eq!(serde_json::to_string(&ArgType::Text).unwrap(), "\"text\"");
    }
}
