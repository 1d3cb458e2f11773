//! HTTP as bytes, for what a decent client would not send.

use icefarm_net::Endpoint;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    /// What a cookie is set to, as it came.
    pub(crate) cookie: Option<String>,
}

impl Raw {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// One request on a connection of its own, as the Python clients make them.
pub(crate) async fn send(control: &Endpoint, request: &str, headers: &str, body: &str) -> Raw {
    let mut stream = TcpStream::connect((control.host(), control.port())).await.unwrap();
    let authority = control.authority();
    let length = body.len();
    let text = format!(
        "{request} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let cookie = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let value = value.split(';').next()?;
        name.eq_ignore_ascii_case("set-cookie").then(|| value.to_owned())
    });
    Raw { status, head: head.to_ascii_lowercase(), body: body.to_owned(), cookie }
}

pub(crate) const JSON: &str = "Content-Type: application/json\r\n";
