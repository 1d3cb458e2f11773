//! Messages and bodies.

use bytes::Bytes;
use icefarm_core::evaluation::Evaluated;
use icefarm_core::wire::{
    BoardReport, BoardsReport, EndBoard, ExtendBoard, FarmStatus, GrantedBoard, HeartbeatAnswer,
    JournalPage, Named, NamedSerials, OneBoard, Registration, ReservationAnswer, ReserveBoard,
    ReserveRequest, Serials,
};
use icefarm_core::{Args, Blob, Object, Value};
use icefarm_docs_check::Document;
use icefarm_net::codec::{
    ClientMessage, CodecLimits, Encoding, decode_client, decode_server, decode_value, encode,
    encode_ack, encode_client, encode_server,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

type Checked = Result<(), String>;

fn limits() -> CodecLimits {
    let mut limits = CodecLimits::default();
    limits.inflated = 1 << 20;
    limits
}

/// The samples of the protocol's document, which are of all sorts of messages.
fn documented() -> Vec<serde_json::Value> {
    let document = Document::protocol().expect("the document is in the repository");
    document.samples().iter().map(|sample| sample.value.clone()).collect()
}

pub(super) fn json_samples() -> Vec<Vec<u8>> {
    documented().iter().map(|sample| sample.to_string().into_bytes()).collect()
}

pub(super) fn msgpack_samples() -> Vec<Vec<u8>> {
    let packed = |value: &Value| encode(value, Encoding::MessagePack).map(|bytes| bytes.to_vec());
    let mut samples: Vec<Vec<u8>> = documented()
        .iter()
        .filter_map(|sample| serde_json::from_value::<Value>(sample.clone()).ok())
        .filter_map(|value| packed(&value).ok())
        .collect();
    for content in [vec![0; 100_000], b"circuit".repeat(9)] {
        let zipped = zstd::bulk::compress(&content, 3).expect("there is room");
        let file = Object::from([("zstd".to_owned(), Value::from(Blob::from(zipped)))]);
        let files = Object::from([("e1".to_owned(), Value::Object(file))]);
        let contents = Object::from([("files".to_owned(), Value::Object(files))]);
        let frame = Object::from([
            ("serial".to_owned(), "A".into()),
            ("event".to_owned(), "evaluate".into()),
            ("contents".to_owned(), Value::Object(contents)),
        ]);
        samples.extend(packed(&Value::Object(frame)));
    }
    samples
}

pub(super) fn json(input: &[u8]) -> Checked {
    message(input, Encoding::Json)
}

pub(super) fn msgpack(input: &[u8]) -> Checked {
    message(input, Encoding::MessagePack)
}

fn message(input: &[u8], encoding: Encoding) -> Checked {
    let (bytes, limits) = (Bytes::copy_from_slice(input), limits());
    match decode_value(&bytes, encoding, &limits) {
        Ok(value) => {
            let again = encode(&value, encoding).map_err(|error| format!("encode: {error}"))?;
            let back = decode_value(&again, encoding, &limits);
            same("value", &value, &back.map_err(|error| error.to_string())?)?;
        }
        Err(error) => clear(&error.to_string())?,
    }
    match decode_client(&bytes, encoding, &limits) {
        Ok(message) => {
            let again = match &message {
                ClientMessage::Command(frame) => encode_client(frame, encoding),
                ClientMessage::Ack(position) => encode_ack(position, encoding),
            };
            let again = again.map_err(|error| format!("encode_client: {error}"))?;
            let back = decode_client(&again, encoding, &limits);
            same("message of a client", &message, &back.map_err(|error| error.to_string())?)?;
        }
        Err(error) => clear(&error.to_string())?,
    }
    match decode_server(&bytes, encoding, &limits) {
        Ok(frame) => {
            let again = encode_server(&frame, encoding);
            let again = again.map_err(|error| format!("encode_server: {error}"))?;
            let back = decode_server(&again, encoding, &limits);
            same("frame of a server", &frame, &back.map_err(|error| error.to_string())?)
        }
        Err(error) => clear(&error.to_string()),
    }
}

/// A refusal says something, in one piece that fits a terminal and a log.
pub(super) fn clear(text: &str) -> Checked {
    if text.is_empty() {
        return Err("a refusal without a word".into());
    }
    if text.len() > 4096 {
        return Err(format!(
            "a refusal of {} bytes: {}..",
            text.len(),
            text.get(..200).unwrap_or("")
        ));
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, before: &T, after: &T) -> Checked {
    // A number that is none is not equal to itself, but reads alike.
    if before == after || format!("{before:?}") == format!("{after:?}") {
        return Ok(());
    }
    Err(format!("a {what} does not come back as it was: {before:?} and {after:?}"))
}

fn read<T: DeserializeOwned + Serialize>(value: &Value) -> Checked {
    let name = std::any::type_name::<T>();
    match T::deserialize(value.clone()) {
        Ok(read) => {
            let once = serde_json::to_value(&read).map_err(|error| format!("{name}: {error}"))?;
            let again: T = serde_json::from_value(once.clone())
                .map_err(|error| format!("{name} does not read what it wrote, {once}: {error}"))?;
            let twice = serde_json::to_value(&again).map_err(|error| error.to_string())?;
            same(name, &once, &twice)
        }
        Err(error) => clear(&error.to_string()),
    }
}

pub(super) fn wire(input: &[u8]) -> Checked {
    let bytes = Bytes::copy_from_slice(input);
    let Ok(value) = decode_value(&bytes, Encoding::Json, &limits()) else { return Ok(()) };
    read::<Registration>(&value)?;
    read::<BoardsReport>(&value)?;
    read::<BoardReport>(&value)?;
    read::<HeartbeatAnswer>(&value)?;
    read::<ReserveBoard>(&value)?;
    read::<ExtendBoard>(&value)?;
    read::<EndBoard>(&value)?;
    read::<OneBoard>(&value)?;
    read::<ReservationAnswer>(&value)?;
    read::<GrantedBoard>(&value)?;
    read::<FarmStatus>(&value)?;
    read::<JournalPage>(&value)?;
    read::<Evaluated<Value>>(&value)
}

pub(super) fn arguments(input: &[u8]) -> Checked {
    let bytes = Bytes::copy_from_slice(input);
    let value = decode_value(&bytes, Encoding::Json, &limits());
    let Ok(Value::Object(object)) = value else { return Ok(()) };
    let args = || Args::from(object.clone());
    let told = [
        ReserveRequest::by_amount(args()).err(),
        ReserveRequest::by_serials(args()).err(),
        NamedSerials::read(args()).err(),
        Named::read(args()).err(),
        Serials::read(args()).err(),
    ];
    told.into_iter().flatten().try_for_each(|error| clear(&error.to_string()))
}
