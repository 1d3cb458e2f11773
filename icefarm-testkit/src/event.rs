//! Events as a client gets them.

use icefarm_core::{Object, Value, ValueError};
use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::Index;
use std::time::Duration;

/// One event that a state, or the worker, sent to the client.
///
/// `event["key"]` is what it has under that key, or `null`.
#[derive(Clone, PartialEq)]
pub struct TestEvent {
    pub(crate) name: String,
    pub(crate) fields: Value,
    pub(crate) at: Duration,
}

impl TestEvent {
    pub(crate) fn new(name: String, fields: Object, at: Duration) -> Self {
        Self { name, fields: Value::Object(fields), at }
    }

    /// The event's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it came, counted from the reservation, in tokio's time.
    #[must_use]
    pub fn at(&self) -> Duration {
        self.at
    }

    /// All its keys beside the name, as an object.
    #[must_use]
    pub fn fields(&self) -> &Value {
        &self.fields
    }

    /// Its keys, decoded.
    ///
    /// # Errors
    /// [`ValueError`] if they are not what the type takes.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ValueError> {
        T::deserialize(self.fields.clone())
    }
}

impl Index<&str> for TestEvent {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        &self.fields[key]
    }
}

/// `results {"data": "hello!"} at 1.24 s`
impl fmt::Debug for TestEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} at {} s", self.name, self.fields, self.at.as_secs_f64())
    }
}
