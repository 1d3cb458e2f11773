//! Names, addresses and queries.

use super::messages::clear;
use icefarm_core::{ClientName, ImageName, Kind, Serial, Timestamp, WorkerName};
use icefarm_net::{Endpoint, Guard, SocketQuery, SubscriberId};
use std::fmt::Display;
use std::str::FromStr;

type Checked = Result<(), String>;

pub(super) fn samples() -> Vec<Vec<u8>> {
    [
        "SIM0123456789ABC",
        "example pico2ice serial",
        "alice@bench-1",
        "pulsecount",
        "2026-11-28T12:00:00.123Z",
        "http://127.0.0.1:8080",
        "http://[::1]:8080/",
        "farm.lab.example",
        "0a7be9a5-1d3c-4d43-b2b5-3f3f0a6a2a11",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// What is read is written as it was, or is refused with a reason.
fn word<T: FromStr<Err: Display> + Display>(text: &str) -> Checked {
    match text.parse::<T>() {
        Ok(word) => {
            let written = word.to_string();
            let again = written.parse::<T>().map_err(|error| {
                format!("{}: {written:?} is not read again: {error}", std::any::type_name::<T>())
            })?;
            if again.to_string() == written {
                return Ok(());
            }
            Err(format!("{written:?} is read as {:?}", again.to_string()))
        }
        Err(error) => clear(&error.to_string()),
    }
}

pub(super) fn names(input: &[u8]) -> Checked {
    let Ok(text) = str::from_utf8(input) else { return Ok(()) };
    word::<ClientName>(text)?;
    word::<WorkerName>(text)?;
    word::<Serial>(text)?;
    word::<Kind>(text)?;
    word::<ImageName>(text)?;
    word::<Endpoint>(text)?;
    if let Ok(time) = serde_json::from_value::<Timestamp>(text.into()) {
        let written = serde_json::to_value(time).map_err(|error| error.to_string())?;
        let again = serde_json::from_value::<Timestamp>(written.clone());
        if again.map_err(|error| format!("{written} is not read again: {error}"))? != time {
            return Err(format!("{text:?} is another time as {written}"));
        }
    }
    if let Ok(sub) = SubscriberId::new(text)
        && sub.as_str() != text
    {
        return Err(format!("{text:?} becomes {:?}", sub.as_str()));
    }
    match Guard::default().allow_host(text) {
        Ok(_) => Ok(()),
        Err(error) => clear(&error.to_string()),
    }
}

pub(super) fn query_samples() -> Vec<Vec<u8>> {
    [
        "client_id=pulse count example&EIO=4",
        "client_id=c&v=1&sub=s&epoch=e&seq=17&enc=msgpack&x=y",
        "client_id=c&v=1.9&sub=s&enc=json",
        "client_id=c&v=1&sub=s&epoch=0a7be9a5&seq=18446744073709551615",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

pub(super) fn query(input: &[u8]) -> Checked {
    let text = String::from_utf8_lossy(input);
    let pairs: Vec<(String, String)> = text
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    match SocketQuery::read(&pairs) {
        Ok(_) => Ok(()),
        Err(error) => clear(&error.message),
    }
}
