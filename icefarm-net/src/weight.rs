//! What a frame costs in memory.

use icefarm_core::wire::ServerFrame;
use icefarm_core::{Object, Value};

/// About how many bytes of memory the frame holds.
pub(crate) fn weight(frame: &ServerFrame) -> usize {
    let events = frame.contents.iter().map(|event| 64 + event.event.len() + object(&event.fields));
    128 + frame.serial.len() + events.sum::<usize>()
}

fn object(fields: &Object) -> usize {
    fields.iter().map(|(key, field)| 32 + key.len() + value(field)).sum()
}

fn value(of: &Value) -> usize {
    32 + match of {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(items) => items.iter().map(value).sum(),
        Value::Object(fields) => object(fields),
        _ => 0,
    }
}
