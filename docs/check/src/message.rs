//! Which schema a message must fit.

use crate::{Exchange, Frame, Traffic};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// A message, and what it must be.
#[derive(Debug, Clone)]
pub struct Message {
    /// The schema, `FILE#NAME`, or why there is none.
    pub schema: Result<String, String>,
    /// The message.
    pub value: Json,
    /// Where it was seen, for people.
    pub place: String,
}

/// What the bodies of a path are: its server, its path, the schema of the request (nothing if it
/// takes none) and of the answer.
const BODIES: &[(&str, &str, &str, &str)] = &[
    ("control", "/available", "control#nothing", "control#available"),
    ("control", "/devices", "control#nothing", "control#serials"),
    ("control", "/reserve", "control#reserve", ""),
    ("control", "/reserveserials", "control#reserveserials", ""),
    ("control", "/extend", "control#named_serials", "control#serials"),
    ("control", "/extendall", "control#named", "control#serials"),
    ("control", "/end", "control#named_serials", "control#serials"),
    ("control", "/endall", "control#named", "control#serials"),
    ("control", "/reboot", "control#reached", "control#serials"),
    ("control", "/delete", "control#reached", "control#serials"),
    ("control", "/v1/boards", "", "details#boards"),
    ("control", "/v1/leases", "", "details#leases"),
    ("control", "/v1/workers", "", "details#workers"),
    ("control", "/v1/status", "", "details#status"),
    ("control", "/v1/events", "", "journal#journal"),
    ("control", "/v1/boards/SERIAL", "", "details#board_in_full"),
    ("control", "/v1/boards/SERIAL/end", "details#act", "details#action"),
    ("control", "/v1/boards/SERIAL/reboot", "details#act", "details#action"),
    ("control", "/v1/boards/SERIAL/delete", "details#act", "details#action"),
    ("control", "/v1/boards/SERIAL/label", "details#label", "details#labelled"),
    ("control", "/v1/queue", "", "details#queue"),
    ("control", "/v1/queue/cancel", "control#cancel", "control#cancelled"),
    ("control", "/v1/clients/NAME/end", "control#nothing", "details#client_ended"),
    ("control", "/v1/boards/SERIAL/drain", "details#drain", "details#drained"),
    ("control", "/v1/workers/NAME/drain", "details#drain", "details#drained"),
    ("control", "/v1/workers/NAME/forget", "control#nothing", "details#forgotten"),
    ("control", "/worker/register", "worker#registration", "worker#registered"),
    ("control", "/worker/boards", "worker#report", "worker#reported"),
    ("control", "/v1/whoami", "", "access#whoami"),
    ("control", "/v1/tokens", "access#create_token", "access#tokens"),
    ("control", "/v1/tokens/ID/revoke", "control#nothing", "access#token"),
    ("control", "/v1/tickets", "access#ask_tickets", "access#tickets"),
    ("control", "/v1/audit", "", "access#audit"),
    ("worker", "/heartbeat", "worker#heartbeat", "worker#inventory"),
    ("worker", "/reserve", "worker#reserve", "common#done"),
    ("worker", "/extend", "worker#extend", "common#done"),
    ("worker", "/end", "worker#end", "common#done"),
    ("worker", "/reboot", "worker#board", "common#done"),
    ("worker", "/delete", "worker#board", "common#done"),
    ("control", "/healthz", "", "common#health"),
    ("control", "/readyz", "", "common#health"),
    ("control", "/version", "", "common#version"),
    ("worker", "/healthz", "", "common#health"),
    ("worker", "/version", "", "common#version"),
];

/// Whether a path is of this form: words in capitals stand for anything.
fn is_of(form: &str, path: &str) -> bool {
    let (form, path) = (form.split('/').collect::<Vec<_>>(), path.split('/').collect::<Vec<_>>());
    let fits = |(form, word): (&&str, &&str)| {
        form == word || form.starts_with(char::is_uppercase) && !word.is_empty()
    };
    form.len() == path.len() && form.iter().zip(&path).all(fits)
}

/// The paths of the servers that have bodies of JSON, as `control /v1/boards/SERIAL`.
pub fn paths() -> impl Iterator<Item = (&'static str, &'static str)> {
    BODIES.iter().map(|(server, path, ..)| (*server, *path))
}

/// The schemas of parts of messages: what they say is checked, and shown, within these.
#[must_use]
pub fn is_part(schema: &str) -> bool {
    let whole = ["error", "done", "health", "version"].map(|name| format!("common#{name}"));
    schema.starts_with("common#") && !whole.iter().any(|whole| whole == schema)
        || PARTS.contains(&schema)
}

const PARTS: &[&str] = &[
    "access#entry",
    "access#pattern",
    "access#role",
    "access#secret",
    "access#ticket",
    "access#tickets_by_url",
    "details#board",
    "details#contact",
    "journal#entry",
    "journal#happening",
    "details#lease",
    "journal#live",
    "details#waiting",
    "details#worker",
    "evaluation#evaluated",
    "evaluation#outcome",
    "evaluation#provenance",
    "pulsecount#evaluated",
    "pulsecount#reading",
    "socket#event",
    "variance#evaluated",
    "variance#reading",
    "worker#board_report",
];

/// Everything that was said, with the schema that it must fit.
#[must_use]
pub fn messages(traffic: &Traffic) -> Vec<Message> {
    let mut messages = Vec::new();
    for exchange in &traffic.exchanges {
        bodies(exchange, &mut messages);
    }
    let refused: BTreeSet<Refused> = traffic.frames.iter().flat_map(refused).collect();
    for frame in &traffic.frames {
        if frame.sent { told(frame, &mut messages) } else { said(frame, &refused, &mut messages) }
    }
    messages
}

fn bodies(exchange: &Exchange, messages: &mut Vec<Message>) {
    let Exchange { server, method, path, status, .. } = exchange;
    let place = format!("{method} {path} of {server}, status {status}");
    let mut add = |schema: Result<String, String>, value: &Json| {
        messages.push(Message { schema, value: value.clone(), place: place.clone() });
    };
    if *status >= 400 {
        // What was asked may be wrong on purpose.
        let answer = exchange.answer.clone().unwrap_or(Json::Null);
        return add(Ok("common#error".to_owned()), &answer);
    }
    let known = BODIES.iter().find(|(at, known, ..)| at == server && is_of(known, path));
    let Some((_, _, asked, answer)) = known else {
        // Pages and their files are for browsers.
        if let Some(answer) = &exchange.answer {
            add(Err("this path is not in the list of paths".to_owned()), answer);
        }
        return;
    };
    if let Some(body) = &exchange.asked {
        if let (Some(kind), Json::Object(_)) = (body["kind"].as_str(), &body["args"]) {
            add(Ok(format!("{kind}#args")), &body["args"]);
        }
        let schema = if asked.is_empty() { "control#nothing" } else { asked };
        add(Ok(schema.to_owned()), body);
    }
    let schema = match *answer {
        "" if *status == 202 => "control#queued",
        "access#tokens" if method == "POST" => "access#created_token",
        "" if exchange.accept.contains("application/vnd.icefarm.v1+json") => "control#reservation",
        "" if method == "GET" => "control#rows",
        "" => "control#addresses",
        answer => answer,
    };
    let answer = exchange.answer.clone().unwrap_or(Json::Null);
    add(Ok(schema.to_owned()), &answer);
}

/// A message that a server complained about: over which websocket it came, and its id.
type Refused = (&'static str, String, Option<String>);

fn refused(frame: &Frame) -> Vec<Refused> {
    let events = frame.value.as_ref().and_then(|value| value["contents"].as_array());
    let errors = events.into_iter().flatten().filter(|event| event["event"] == "error");
    let id = |error: &Json| error["id"].as_str().map(str::to_owned);
    errors.map(|error| (frame.server, frame.target.clone(), id(error))).collect()
}

/// What a client said. What the server complained about may be wrong on purpose.
fn said(frame: &Frame, refused: &BTreeSet<Refused>, messages: &mut Vec<Message>) {
    let value = frame.value.clone().unwrap_or(Json::Null);
    let id = value["id"].as_str().map(str::to_owned);
    if refused.contains(&(frame.server, frame.target.clone(), id)) {
        return;
    }
    let place = format!("to the websocket of {} at {}", frame.server, frame.target);
    let mut add = |schema: &str, value: Json| {
        messages.push(Message { schema: Ok(schema.to_owned()), value, place: place.clone() });
    };
    if value["event"] == "evaluate" {
        add("evaluation#evaluate", value["contents"].clone());
    }
    add(if value["event"] == "ack" { "socket#ack" } else { "socket#command" }, value);
}

/// What a server told: the frame, and each of its events.
fn told(frame: &Frame, messages: &mut Vec<Message>) {
    let place = format!("from the websocket of {} at {}", frame.server, frame.target);
    let value = frame.value.clone().unwrap_or(Json::Null);
    if frame.target.starts_with("/v1/live") {
        let schema = if value["type"] == "snapshot" { "snapshot" } else { "change" };
        let schema = Ok(format!("journal#live_{schema}"));
        return messages.push(Message { schema, value, place });
    }
    let events = value["contents"].as_array().cloned().unwrap_or_default();
    let is_meta = value["serial"] == "meta";
    let seed = !frame.target.contains("v=1");
    let schema = if seed { "socket#seed_frame" } else { "socket#frame" };
    messages.push(Message { schema: Ok(schema.to_owned()), value, place: place.clone() });
    for event in events {
        let name = event["event"].as_str().unwrap_or_default();
        let belongs = match name {
            "hello" | "resync" | "dropped" | "devices_available" | "queue positions" => is_meta,
            "reservation granted" | "reservation not granted" => is_meta,
            "error" => true,
            _ => !is_meta,
        };
        let schema = match name {
            _ if !belongs => Err(format!("`{name}` does not belong under this serial")),
            "results" => match event["outcomes"][0]["kind"].as_str() {
                Some(kind) => Ok(format!("{kind}#results")),
                None => Err("it does not say of which kind it is".to_owned()),
            },
            name => Ok(format!("events#{}", name.replace(' ', "_"))),
        };
        messages.push(Message { schema, value: event, place: place.clone() });
    }
}
