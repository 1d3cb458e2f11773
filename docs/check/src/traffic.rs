//! From bytes back to requests, answers and frames.

use crate::Recording;
use icefarm_net::codec::{CodecLimits, Encoding, decode_value};
use serde_json::Value as Json;
use std::io::{self, Read, Write};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

/// Why bytes are no requests, answers or frames.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrafficError {
    /// They are not HTTP/1.1 of the kind that these servers speak.
    #[error("not HTTP: {0}")]
    Http(String),
    /// A body or a message cannot be read.
    #[error("a message cannot be read: {0}")]
    Message(String),
}

/// A request and its answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Who answered.
    pub server: &'static str,
    /// `GET` or `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The header `Accept`.
    pub accept: String,
    /// The request's body, if there was one and it could be read.
    pub asked: Option<Json>,
    /// The answer's status.
    pub status: u16,
    /// The answer's body; `None` if it is no JSON.
    pub answer: Option<Json>,
}

/// A message of a websocket.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Whose websocket.
    pub server: &'static str,
    /// The path with its query.
    pub target: String,
    /// Whether the server sent it.
    pub sent: bool,
    /// What it says; `None` if it cannot be read.
    pub value: Option<Json>,
}

/// Everything that recordings hold.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// Requests and answers.
    pub exchanges: Vec<Exchange>,
    /// Messages of websockets.
    pub frames: Vec<Frame>,
}

impl Traffic {
    /// Reads recordings. What is cut off at the end of one is left out.
    ///
    /// # Errors
    /// [`TrafficError`].
    pub fn read(recordings: &[Recording]) -> Result<Self, TrafficError> {
        let mut traffic = Self::default();
        for recording in recordings {
            traffic.take(recording)?;
        }
        Ok(traffic)
    }

    fn take(&mut self, recording: &Recording) -> Result<(), TrafficError> {
        let server = recording.server;
        let (mut received, mut sent) = (&recording.received[..], &recording.sent[..]);
        while let Some(answer) = Part::next(&mut sent)? {
            let Some(request) = Part::next(&mut received)? else {
                return Err(TrafficError::Http("an answer without a request".to_owned()));
            };
            let mut words = request.first.split(' ');
            let method = words.next().unwrap_or_default().to_owned();
            let target = words.next().unwrap_or_default().to_owned();
            let status = answer.first.split(' ').nth(1).and_then(|status| status.parse().ok());
            let status = status.ok_or_else(|| TrafficError::Http(format!("`{}`", answer.first)))?;
            if status == 101 {
                for (sent, bytes, role) in
                    [(false, received, Role::Server), (true, sent, Role::Client)]
                {
                    let frames = messages(bytes, role)?.into_iter();
                    self.frames.extend(frames.map(|value| Frame {
                        server,
                        target: target.clone(),
                        sent,
                        value,
                    }));
                }
                return Ok(());
            }
            let path = target.split('?').next().unwrap_or_default().to_owned();
            let accept = request.header("accept").to_owned();
            let (asked, answer) = (request.json(), answer.json());
            self.exchanges.push(Exchange { server, method, path, accept, asked, status, answer });
        }
        Ok(())
    }
}

/// A request or an answer.
struct Part {
    first: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Part {
    /// Takes the next one off; `None` if its head is not there to its end.
    fn next(bytes: &mut &[u8]) -> Result<Option<Self>, TrafficError> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = &bytes[..end + 2];
        let at = head.windows(2).position(|window| window == b"\r\n").unwrap_or(end) + 2;
        let mut found = [httparse::EMPTY_HEADER; 64];
        // The empty line behind the headers belongs to them.
        let parsed = httparse::parse_headers(&bytes[at..end + 4], &mut found);
        let headers = match parsed {
            Ok(httparse::Status::Complete((_, headers))) => headers,
            other => return Err(TrafficError::Http(format!("{other:?}"))),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut part = Self {
            first: text(&bytes[..at - 2]),
            headers: headers
                .iter()
                .map(|header| (header.name.to_ascii_lowercase(), text(header.value)))
                .collect(),
            body: Vec::new(),
        };
        let rest = &bytes[end + 4..];
        if part.header("transfer-encoding") == "chunked" {
            let Some((body, after)) = dechunk(rest)? else { return Ok(None) };
            part.body = body;
            *bytes = after;
            return Ok(Some(part));
        }
        let length = part.header("content-length").parse().unwrap_or(0);
        // A body that is too large is refused before it has come.
        let (body, after) = rest.split_at(length.min(rest.len()));
        part.body = body.to_vec();
        *bytes = after;
        Ok(Some(part))
    }

    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    fn json(&self) -> Option<Json> {
        let encoding = match self.header("content-type").split(';').next()? {
            "application/json" => Encoding::Json,
            "application/msgpack" => Encoding::MessagePack,
            _ => return None,
        };
        decode(&self.body, encoding)
    }
}

/// A body and what follows it; `None` if it is not there to its end.
type Dechunked<'a> = Option<(Vec<u8>, &'a [u8])>;

fn dechunk(mut bytes: &[u8]) -> Result<Dechunked<'_>, TrafficError> {
    let mut body = Vec::new();
    loop {
        let (start, length) = match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete(chunk)) => chunk,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(TrafficError::Http(format!("{error:?}"))),
        };
        let end = usize::try_from(length).map_or(usize::MAX, |length| start + length);
        let (Some(chunk), Some(after)) = (bytes.get(start..end), bytes.get(end + 2..)) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        bytes = after;
        if length == 0 {
            return Ok(Some((body, bytes)));
        }
    }
}

fn decode(bytes: &[u8], encoding: Encoding) -> Option<Json> {
    let bytes = bytes.to_vec().into();
    decode_value(&bytes, encoding, &CodecLimits::default()).ok().map(Json::from)
}

/// The messages of one direction of a websocket.
fn messages(bytes: &[u8], role: Role) -> Result<Vec<Option<Json>>, TrafficError> {
    let mut socket = WebSocket::from_raw_socket(Tape(bytes), role, None);
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => messages.push(decode(text.as_bytes(), Encoding::Json)),
            Ok(Message::Binary(bytes)) => messages.push(decode(&bytes, Encoding::MessagePack)),
            Ok(_) => {}
            Err(WsError::ConnectionClosed | WsError::AlreadyClosed | WsError::Io(_)) => break,
            // The recording ends where the connection was cut.
            Err(WsError::Protocol(_)) if messages.is_empty() || socket.get_ref().0.is_empty() => {
                break;
            }
            Err(error) => return Err(TrafficError::Message(error.to_string())),
        }
    }
    Ok(messages)
}

/// Bytes that are played back.
struct Tape<'a>(&'a [u8]);

impl Read for Tape<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Answers to what is played back are of no use.
impl Write for Tape<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
