//! A server on a port of the system's choice, and a client that writes bytes.

use icefarm_core::Object;
use icefarm_core::wire::ErrorCode;
use icefarm_net::{
    ApiError, BodyLimits, Peer, ServeOptions, answer, object, recover, serve, wants_v1,
};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use warp::Filter;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) ended: JoinHandle<()>,
}

pub(crate) async fn start(options: ServeOptions) -> Server {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(serve(listener, warp::service(routes()), options, async {
        let _ = stopped.await;
    }));
    Server { address, stop, ended }
}

/// `/echo` answers the body, `/peer` the client's address, `/v1` whether version 1 is asked for.
fn routes() -> impl Filter<Extract = (impl warp::Reply,), Error = std::convert::Infallible> + Clone
{
    let body = object(BodyLimits::default().bytes(1000));
    let echo = warp::path!("echo")
        .and(warp::get().or(warp::post()).unify())
        .and(body)
        .map(|body: Option<Object>| answer(Ok::<_, ApiError>(body)));
    let peer = warp::path!("peer")
        .and(warp::get())
        .and(warp::ext::get::<Peer>())
        .map(|peer: Peer| answer(Ok::<_, ApiError>(peer.to_string())));
    let version =
        warp::path!("v1").and(wants_v1()).map(|wants: bool| answer(Ok::<_, ApiError>(wants)));
    let fails = warp::path!("fails").map(|| {
        answer(Err::<(), _>(ApiError::new(ErrorCode::NotEnoughDevices, "2 wanted, 1 is free")))
    });
    let panics = warp::path!("panics").and_then(async || -> Result<&str, warp::Rejection> {
        tokio::task::yield_now().await;
        panic!("on purpose")
    });
    let big = warp::path!("big").map(|| "x".repeat(100_000));
    let slow = warp::path!("slow").and_then(async || {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        Ok::<_, warp::Rejection>("\"done\"")
    });
    let routes = echo.or(peer).or(version).or(fails).boxed().or(panics).or(big).or(slow);
    routes.recover(recover)
}

/// An answer, read to the end of the connection.
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Raw {
    /// The code of an error in the farm's shape.
    pub(crate) fn code(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert!(json["error"]["message"].as_str().unwrap().len() > 5, "{}", self.body);
        json["error"]["code"].as_str().unwrap().to_owned()
    }

    /// What the error says to people.
    pub(crate) fn message(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        json["error"]["message"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn parse(bytes: &[u8]) -> Raw {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
    let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
    Raw { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// Writes `request` and reads until the server closes.
pub(crate) async fn raw(address: SocketAddr, request: impl AsRef<[u8]>) -> Raw {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_ref()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    parse(&bytes)
}

/// A request that closes its connection.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend(body);
    bytes
}
