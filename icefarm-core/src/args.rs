//! Arguments of a reservation, a command or an event: an object read key by key.

use crate::{ArgType, Object, Value, ValueError};
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
use std::borrow::Cow;
use std::marker::PhantomData;

/// One argument that a constructor, a command or an event handler takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArgSpec {
    /// The key under which it is sent.
    pub key: Cow<'static, str>,
    /// Whether the key may be absent.
    pub optional: bool,
    /// What its value must be.
    #[serde(rename = "type", default, skip_serializing_if = "ArgType::is_any")]
    pub takes: ArgType,
}

impl ArgSpec {
    /// An argument under `key`, of whatever type.
    #[must_use]
    pub const fn new(key: &'static str, optional: bool) -> Self {
        Self { key: Cow::Borrowed(key), optional, takes: ArgType::Any }
    }

    /// The same with a type.
    #[must_use]
    pub const fn taking(mut self, takes: ArgType) -> Self {
        self.takes = takes;
        self
    }
}

/// What to do about keys that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// They are an error: constructors and commands, where they are most likely misspelt.
    Refuse,
    /// They are ignored: events, to which a newer worker may add keys.
    Ignore,
}

/// Checks the keys of `object` against the list of arguments, before anything is decoded.
///
/// # Errors
/// [`ArgError::Unknown`] for keys that are not in the list, if `strictness` refuses them, and
/// then [`ArgError::Missing`] for the first one that must be there and is not.
pub fn check_keys(
    object: &Object,
    specs: &[ArgSpec],
    strictness: Strictness,
) -> Result<(), ArgError> {
    let known = || specs.iter().map(|spec| spec.key.to_string()).collect();
    if strictness == Strictness::Refuse {
        let is_left_over = |key: &&String| !specs.iter().any(|spec| spec.key == **key);
        let keys: Vec<String> = object.keys().filter(is_left_over).cloned().collect();
        if !keys.is_empty() {
            return Err(ArgError::Unknown { keys, known: known() });
        }
    }
    match specs.iter().find(|spec| !spec.optional && !object.contains_key(&*spec.key)) {
        Some(missing) => Err(ArgError::Missing { key: missing.key.to_string(), known: known() }),
        None => Ok(()),
    }
}

/// Checks what values there are, as far as the list says what they must be.
///
/// # Errors
/// [`ArgError::Invalid`] for the first that is not of its argument's type.
pub(crate) fn check_types(object: &Object, specs: &[ArgSpec]) -> Result<(), ArgError> {
    specs.iter().try_for_each(|spec| {
        let Some(value) = object.get(&*spec.key) else { return Ok(()) };
        let checked = spec.takes.check(value, spec.optional);
        checked.map_err(|source| ArgError::Invalid { key: spec.key.to_string(), source })
    })
}

/// An object that is consumed key by key.
///
/// ```
/// use icefarm_core::{Args, Value};
///
/// let body = Value::from(serde_json::json!({"amount": 2, "nmae": "me"}));
/// let mut args = Args::try_from(body).unwrap();
/// assert_eq!(args.take::<u32>("amount").unwrap(), 2);
/// assert_eq!(args.take::<Option<String>>("kind").unwrap(), None);
/// assert_eq!(
///     args.finish_strict(&["amount", "name"]).unwrap_err().to_string(),
///     "argument `nmae` is not known; known arguments: amount, name",
/// );
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Args {
    object: Object,
}

impl Args {
    /// The arguments in `object`.
    #[must_use]
    pub fn new(object: Object) -> Self {
        Self { object }
    }

    /// Takes the value under `key` out and decodes it. If the key is absent, an `Option` is
    /// `None`.
    ///
    /// # Errors
    /// [`ArgError::Missing`] if the key is absent and the type is no `Option`,
    /// [`ArgError::Invalid`] if the value is not of the type.
    pub fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, ArgError> {
        match self.object.remove(key) {
            Some(value) => T::deserialize(value)
                .map_err(|source| ArgError::Invalid { key: key.to_owned(), source }),
            // `Value` takes anything, also nothing: only what asks for an option may be absent.
            None => T::deserialize(Absent)
                .map_err(|_| ArgError::Missing { key: key.to_owned(), known: Vec::new() }),
        }
    }

    /// Ends the reading; `known` are all keys that it might have taken.
    ///
    /// # Errors
    /// [`ArgError::Unknown`] if keys are left over.
    pub fn finish_strict(self, known: &[&str]) -> Result<(), ArgError> {
        if self.object.is_empty() {
            return Ok(());
        }
        let known = known.iter().map(|key| (*key).to_owned()).collect();
        Err(ArgError::Unknown { keys: self.object.into_keys().collect(), known })
    }
}

impl From<Object> for Args {
    fn from(object: Object) -> Self {
        Self::new(object)
    }
}

/// `null` is no arguments.
impl TryFrom<Value> for Args {
    type Error = ArgError;

    fn try_from(value: Value) -> Result<Self, ArgError> {
        match value {
            Value::Object(object) => Ok(Self::new(object)),
            Value::Null => Ok(Self::default()),
            _ => Err(ArgError::NotAnObject),
        }
    }
}

/// Why an argument could not be had from what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgError {
    /// The key is absent and not optional.
    #[error("argument `{key}` is missing{}", hint(known))]
    Missing {
        /// The key.
        key: String,
        /// The keys that are known, in the order of the parameters; empty if there is no list.
        known: Vec<String>,
    },
    /// The value under the key is not of the parameter's type.
    #[error("argument `{key}`: {source}")]
    Invalid {
        /// The key.
        key: String,
        /// What was expected and what was found.
        source: ValueError,
    },
    /// Nothing takes these keys.
    #[error("{} not known; {}", subject(keys), listed(known))]
    Unknown {
        /// The keys, sorted.
        keys: Vec<String>,
        /// The keys that are known, in the order of the parameters.
        known: Vec<String>,
    },
    /// The arguments are neither an object nor `null`.
    #[error("the arguments must be an object: a map from their names to their values")]
    NotAnObject,
}

/// `argument `a` is` or `arguments `a`, `b` are`, to be continued.
fn subject(keys: &[String]) -> String {
    match keys {
        [key] => format!("argument `{key}` is"),
        keys => format!("arguments `{}` are", keys.join("`, `")),
    }
}

fn listed(known: &[String]) -> String {
    if known.is_empty() {
        return "there are no arguments".to_owned();
    }
    format!("known arguments: {}", known.join(", "))
}

/// Nothing where the reader of a single key does not know the others.
fn hint(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; {}", listed(known)) }
}

/// Tells whether a parameter's type is an `Option`, and what values it is decoded from, also behind
/// an alias: an inherent constant goes before the trait's. Asked by generated code.
#[derive(Debug)]
pub struct Presence<T>(PhantomData<T>);

impl<T> Presence<Option<T>> {
    /// The key may be absent.
    pub const OPTIONAL: bool = true;
}

/// What holds for all other types, see [`Presence`].
pub trait Required {
    /// The key may not be absent.
    const OPTIONAL: bool = false;
    /// Only the type itself knows.
    const TAKES: ArgType = ArgType::Any;
}

impl<T> Required for Presence<T> {}

/// Stands for a value that was not sent. Only an `Option` can be decoded from it.
struct Absent;

impl<'de> Deserializer<'de> for Absent {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, ValueError> {
        Err(serde::de::Error::custom("absent"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SPECS: &[ArgSpec] = &[ArgSpec::new("message", false), ArgSpec::new("label", true)];

    fn object(json: serde_json::Value) -> Object {
        Value::from(json).into_object().unwrap()
    }

    fn check(json: serde_json::Value, strictness: Strictness) -> String {
        check_keys(&object(json), SPECS, strictness)
            .map_or_else(|e| e.to_string(), |()| "ok".into())
    }

    #[test]
    fn keys_are_checked_before_anything_is_decoded() {
        let refuse = |json| check(json, Strictness::Refuse);
        assert_eq!(refuse(json!({"message": 1})), "ok");
        assert_eq!(
            refuse(json!({"mesage": 1})),
            "argument `mesage` is not known; known arguments: message, label"
        );
        assert_eq!(
            refuse(json!({"message": 1, "b": 1, "a": 1})),
            "arguments `a`, `b` are not known; known arguments: message, label"
        );
        assert_eq!(
            refuse(json!({"label": 1})),
            "argument `message` is missing; known arguments: message, label"
        );
        assert_eq!(check(json!({"message": 1, "a": 1}), Strictness::Ignore), "ok");
        assert_ne!(check(json!({"a": 1}), Strictness::Ignore), "ok");
        assert_eq!(
            check_keys(&object(json!({"a": 1})), &[], Strictness::Refuse).unwrap_err().to_string(),
            "argument `a` is not known; there are no arguments"
        );
    }

    #[test]
    fn only_an_option_may_be_absent() {
        let mut args = Args::default();
        assert_eq!(args.take::<Option<Value>>("a").unwrap(), None);
        for error in [
            args.take::<Value>("a").unwrap_err(),
            args.take::<()>("a").map(|()| Value::Null).unwrap_err(),
            args.take::<Vec<u8>>("a").map(Value::from).unwrap_err(),
        ] {
            assert_eq!(error.to_string(), "argument `a` is missing");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named() {
        let mut args = Args::new(object(json!({"data": 3, "label": null, "window": {"to": "x"}})));
        assert_eq!(args.take::<Option<String>>("label").unwrap(), None);
        assert_eq!(
            args.take::<String>("data").unwrap_err().to_string(),
            "argument `data`: invalid type: integer `3`, expected a string"
        );
        #[derive(Debug, Deserialize)]
        struct Window {
            #[expect(dead_code, reason = "never decoded")]
            to: u32,
        }
        assert_eq!(
            args.take::<Window>("window").unwrap_err().to_string(),
            "argument `window`: `to`: invalid type: string \"x\", expected u32"
        );
    }

    #[test]
    fn null_is_no_arguments() {
        assert_eq!(Args::try_from(Value::Null).unwrap(), Args::default());
        assert_eq!(Args::try_from(Value::from(vec![1])).unwrap_err(), ArgError::NotAnObject);
    }
}
