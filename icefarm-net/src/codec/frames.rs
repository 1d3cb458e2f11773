//! The frames of the websockets.

use super::compress::Packed;
use super::{CodecError, CodecLimits, Encoding, decode_value, decode_value_packed, encode};
use bytes::Bytes;
use icefarm_core::wire::{
    ClientFrame, Event, MAX_SERIALS, OneOrEach, Position, ServerFrame, events,
};
use icefarm_core::{Epoch, LeaseId, Object, Serial, Value};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a client sends.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientMessage {
    /// A command for boards.
    Command(ClientFrame),
    /// Everything up to a position has been dealt with.
    Ack(Position),
}

/// Reads a message of a client.
///
/// # Errors
/// [`CodecError`] says what is wrong with it. Keys that are not known are ignored.
pub fn decode_client(
    bytes: &Bytes,
    encoding: Encoding,
    limits: &CodecLimits,
) -> Result<ClientMessage, CodecError> {
    client_message(Keys::read(bytes, encoding, limits)?)
}

/// As [`decode_client`], with files as they came, for [`unpack`](super::unpack).
pub(crate) fn decode_packed(
    bytes: &Bytes,
    encoding: Encoding,
    limits: &CodecLimits,
) -> Result<ClientMessage, CodecError> {
    client_message(Keys::of(decode_value_packed(bytes, encoding, limits)?)?)
}

fn client_message(mut frame: Keys) -> Result<ClientMessage, CodecError> {
    let event = frame.text("event")?;
    if event == events::ACK {
        let position = Position { epoch: frame.text("epoch")?.into(), seq: frame.number("seq")? };
        return Ok(ClientMessage::Ack(position));
    }
    let serials = match frame.need("serial")? {
        Value::String(serial) => vec![serial_of(&serial)?],
        Value::Array(items) => serials_of(&items)?,
        _ => return Err(wrong("serial", LIST)),
    };
    if serials.is_empty() {
        return Err(CodecError::frame("`serial` names no board"));
    }
    let contents = match frame.0.remove("contents") {
        None | Some(Value::Null) => Object::new(),
        Some(Value::Object(object)) => object,
        Some(_) => return Err(wrong("contents", "an object")),
    };
    let id = match frame.0.remove("id") {
        None | Some(Value::Null) => None,
        Some(Value::String(id)) => Some(id),
        Some(_) => return Err(wrong("id", "text")),
    };
    let leases = match frame.0.remove("lease") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(lease) => leases_of(lease)?.of(&serials).map_err(CodecError::frame)?,
    };
    Ok(ClientMessage::Command(ClientFrame { serials, event, contents, id, leases }))
}

fn leases_of(lease: Value) -> Result<OneOrEach, CodecError> {
    let whole = |value: &Value| {
        let lease = value.as_u64().map(LeaseId);
        lease.ok_or_else(|| wrong("lease", "a lease or an object from serial to lease"))
    };
    let Value::Object(leases) = lease else { return Ok(OneOrEach::One(whole(&lease)?)) };
    if leases.len() > MAX_SERIALS {
        let named = leases.len();
        let reason = format!("`lease` names {named} boards, and at most {MAX_SERIALS} may be");
        return Err(CodecError::frame(reason));
    }
    let lease = |(serial, lease): (&String, &Value)| {
        let serial = Serial::new(serial.as_str());
        let serial = serial.map_err(|error| CodecError::frame(format!("`lease`: {error}")))?;
        Ok((serial, whole(lease)?))
    };
    Ok(OneOrEach::Each(leases.iter().map(lease).collect::<Result<_, CodecError>>()?))
}

const LIST: &str = "a serial or a list of them";

/// Each board once, in the order of the list.
fn serials_of(items: &[Value]) -> Result<Vec<Serial>, CodecError> {
    if items.len() > MAX_SERIALS {
        let named = items.len();
        let reason = format!("`serial` names {named} boards, and at most {MAX_SERIALS} may be");
        return Err(CodecError::frame(reason));
    }
    let mut seen = BTreeSet::new();
    let mut serials = Vec::with_capacity(items.len());
    for item in items {
        let serial = serial_of(item.as_str().ok_or_else(|| wrong("serial", LIST))?)?;
        if seen.insert(serial.clone()) {
            serials.push(serial);
        }
    }
    Ok(serials)
}

fn serial_of(text: &str) -> Result<Serial, CodecError> {
    Serial::new(text).map_err(|error| CodecError::frame(format!("`serial`: {error}")))
}

/// Reads a frame of a server.
///
/// # Errors
/// [`CodecError`] says what is wrong with it. Keys that are not known are ignored.
pub fn decode_server(
    bytes: &Bytes,
    encoding: Encoding,
    limits: &CodecLimits,
) -> Result<ServerFrame, CodecError> {
    let mut frame = Keys::read(bytes, encoding, limits)?;
    let Value::Array(items) = frame.need("contents")? else {
        return Err(wrong("contents", "a list of objects"));
    };
    let contents = items.into_iter().map(|item| match item {
        Value::Object(fields) => {
            let mut keys = Keys(fields);
            Ok(Event { event: keys.text("event")?, fields: keys.0 })
        }
        _ => Err(wrong("contents", "a list of objects")),
    });
    let contents = contents.collect::<Result<_, CodecError>>()?;
    let serial = frame.text("serial")?;
    let epoch = frame.maybe("epoch", Keys::text)?.map(Epoch::from);
    let seq = frame.maybe("seq", Keys::number)?;
    Ok(ServerFrame { serial, contents, epoch, seq })
}

/// Writes a frame of a server.
///
/// # Errors
/// [`CodecError::Encode`].
pub fn encode_server(frame: &ServerFrame, encoding: Encoding) -> Result<Bytes, CodecError> {
    encode(frame, encoding)
}

/// As [`encode_server`], for a frame that is shared and gets its number here.
pub(crate) fn encode_numbered(
    frame: &ServerFrame,
    number: Option<(&Epoch, u64)>,
    encoding: Encoding,
) -> Result<Bytes, CodecError> {
    #[derive(Serialize)]
    struct Numbered<'a> {
        serial: &'a str,
        contents: &'a [Event],
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<&'a Epoch>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    }
    let (epoch, seq) = number.unzip();
    let ServerFrame { serial, contents, .. } = frame;
    encode(&Numbered { serial, contents, epoch, seq }, encoding)
}

/// Writes a command. In MessagePack, byte strings of more than 1 KiB are compressed where that
/// makes them shorter: a bitstream shrinks about 80-fold.
///
/// # Errors
/// [`CodecError::Encode`].
pub fn encode_client(frame: &ClientFrame, encoding: Encoding) -> Result<Bytes, CodecError> {
    #[derive(Serialize)]
    struct PackedFrame<'a> {
        serial: &'a [Serial],
        event: &'a str,
        contents: Packed<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        lease: Option<OneOrEach>,
    }
    match encoding {
        Encoding::Json => encode(frame, encoding),
        Encoding::MessagePack => {
            let ClientFrame { serials, event, contents, id, .. } = frame;
            let (contents, lease) = (Packed(contents), frame.lease());
            let packed = PackedFrame { serial: serials, event, contents, id: id.as_deref(), lease };
            encode(&packed, encoding)
        }
    }
}

/// Writes an acknowledgement.
///
/// # Errors
/// [`CodecError::Encode`].
pub fn encode_ack(position: &Position, encoding: Encoding) -> Result<Bytes, CodecError> {
    #[derive(Serialize)]
    struct Ack<'a> {
        event: &'static str,
        epoch: &'a Epoch,
        seq: u64,
    }
    encode(&Ack { event: events::ACK, epoch: &position.epoch, seq: position.seq }, encoding)
}

/// The keys of a frame, taken one by one.
struct Keys(Object);

impl Keys {
    fn read(bytes: &Bytes, encoding: Encoding, limits: &CodecLimits) -> Result<Self, CodecError> {
        Self::of(decode_value(bytes, encoding, limits)?)
    }

    fn of(value: Value) -> Result<Self, CodecError> {
        match value {
            Value::Object(object) => Ok(Self(object)),
            _ => Err(CodecError::frame("it is not an object")),
        }
    }

    fn need(&mut self, key: &str) -> Result<Value, CodecError> {
        self.0.remove(key).ok_or_else(|| CodecError::frame(format!("`{key}` is missing")))
    }

    fn text(&mut self, key: &str) -> Result<String, CodecError> {
        match self.need(key)? {
            Value::String(text) => Ok(text),
            _ => Err(wrong(key, "text")),
        }
    }

    fn number(&mut self, key: &str) -> Result<u64, CodecError> {
        self.need(key)?.as_u64().ok_or_else(|| wrong(key, "a whole number"))
    }

    /// A key that may be absent or null.
    fn maybe<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Self, &str) -> Result<T, CodecError>,
    ) -> Result<Option<T>, CodecError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => read(self, key).map(Some),
        }
    }
}

fn wrong(key: &str, expected: &str) -> CodecError {
    CodecError::frame(format!("`{key}` is not {expected}"))
}
