//! What frames and commands cost in memory.

use icefarm_core::wire::ServerFrame;
use icefarm_core::{Object, Value};

/// A node of the tree that an object is, with room for eleven keys and values, half of it used.
const NODE: usize = 640;
const IN_NODE: usize = 6;

/// About how many bytes of memory the frame holds.
pub(crate) fn weight(frame: &ServerFrame) -> usize {
    let events = frame.contents.iter().map(|event| 64 + event.event.len() + heft(&event.fields));
    128 + frame.serial.len() + events.sum::<usize>()
}

/// About how many bytes of memory the contents of a command take, files included.
///
/// ```
/// use icefarm_core::Object;
/// let contents = Object::from([("data".to_owned(), "x".repeat(1000).into())]);
/// assert!((1000..3000).contains(&icefarm_net::heft(&contents)));
/// ```
#[must_use]
pub fn heft(contents: &Object) -> usize {
    object(contents, &|bytes| bytes)
}

/// As [`heft`], without the byte strings.
pub(crate) fn structure(contents: &Object) -> usize {
    object(contents, &|_| 0)
}

fn object(fields: &Object, bytes: &impl Fn(usize) -> usize) -> usize {
    let nodes = fields.len().div_ceil(IN_NODE) * NODE;
    nodes + fields.iter().map(|(key, field)| key.len() + value(field, bytes)).sum::<usize>()
}

fn value(of: &Value, bytes: &impl Fn(usize) -> usize) -> usize {
    32 + match of {
        Value::String(text) => text.len(),
        Value::Bytes(file) => bytes(file.len()),
        Value::Array(items) => items.iter().map(|item| value(item, bytes)).sum(),
        Value::Object(fields) => object(fields, bytes),
        _ => 0,
    }
}
