//! A farm in this process whose every byte is written down.

use futures::{SinkExt as _, StreamExt as _};
use icefarm_control::{Control, ControlConfig};
use icefarm_core::{Registry, WorkerName};
use icefarm_docs_check::Wiretap;
use icefarm_sim::VirtualBus;
use icefarm_worker::{Worker, WorkerConfig};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// Nothing in here takes so long on any machine; it keeps a broken test from hanging.
const LONG: Duration = Duration::from_secs(60);

/// A server, and what ends it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Server {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it as an operator does.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        timeout(LONG, self.ended).await.unwrap().unwrap();
    }

    /// Ends it as a power failure does.
    pub(crate) fn kill(self) {
        self.ended.abort();
    }

    /// Asks for a path, with a body of JSON if there is one.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Json>) -> (u16, Json) {
        let body = body.map(|body| body.to_string());
        self.send(method, path, "content-type: application/json\r\n", body.as_deref()).await
    }

    /// Asks with headers of the caller's, each with its line's end.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<&str>,
    ) -> (u16, Json) {
        let body = body.unwrap_or_default();
        self.announce(method, path, headers, body, body.len()).await
    }

    /// Asks with a body that is said to have `length` bytes.
    pub(crate) async fn announce(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
        length: usize,
    ) -> (u16, Json) {
        let (status, answer) = self.exchange(method, path, headers, body, length).await;
        (status, serde_json::from_str(&answer).unwrap_or(Json::Null))
    }

    /// Asks for what is no JSON.
    pub(crate) async fn text(&self, path: &str) -> (u16, String) {
        self.exchange("GET", path, "", "", 0).await
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
        length: usize,
    ) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let host = if headers.contains("host:") { "" } else { "host: localhost\r\n" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{host}{headers}connection: close\r\ncontent-length: \
             {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, body.to_owned())
    }

    /// Asks for what is refused; returns the code.
    pub(crate) async fn refused(&self, method: &str, path: &str, body: Option<Json>) -> String {
        let (status, answer) = self.ask(method, path, body).await;
        assert!(status >= 400, "{path}: {status} {answer}");
        answer["error"]["code"].as_str().unwrap().to_owned()
    }

    /// Waits until this many boards can be reserved.
    pub(crate) async fn available(&self, amount: u64) {
        timeout(LONG, async {
            let mut socket = self.socket("client_id=waiting").await;
            while self.ask("GET", "/available", None).await.1["amount"].as_u64() < Some(amount) {
                socket.event("devices_available").await;
            }
        })
        .await
        .unwrap();
    }

    pub(crate) async fn socket(&self, query: &str) -> Socket {
        self.feed(&format!("/ws?{query}")).await
    }

    pub(crate) async fn feed(&self, path: &str) -> Socket {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let url = format!("ws://{}{path}", self.address);
        let (stream, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        Socket { stream }
    }
}

/// A client's end of a websocket that speaks JSON.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    pub(crate) async fn send(&mut self, frame: Json) {
        self.stream.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next event of this name. The others are passed over.
    pub(crate) async fn event(&mut self, name: &str) -> Json {
        self.find(name, |_| true).await
    }

    pub(crate) async fn find(&mut self, name: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        let found = async {
            loop {
                let frame = self.next().await;
                for event in frame["contents"].as_array().unwrap() {
                    if event["event"] == name && wanted(event) {
                        return json!({"serial": frame["serial"], "event": event,
                            "epoch": frame["epoch"], "seq": frame["seq"]});
                    }
                }
            }
        };
        timeout(LONG, found).await.unwrap_or_else(|_| panic!("no event `{name}` came"))
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Json {
        loop {
            let message = timeout(LONG, self.stream.next()).await.unwrap();
            if let Message::Text(text) = message.unwrap().unwrap() {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// The code of the answer to a command that is not done.
    pub(crate) async fn refused(&mut self, frame: Json) -> String {
        self.send(frame).await;
        self.event("error").await["event"]["code"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn close(mut self) {
        self.stream.close(None).await.unwrap();
        while let Some(Ok(_)) = self.stream.next().await {}
    }
}

pub(crate) async fn control(wiretap: &Wiretap, config: ControlConfig) -> Server {
    let control = Control::builder().in_memory().config(config).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let listener = wiretap.listen("control", listener);
    let ended = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        control.run(listener, stopped).await.unwrap();
    });
    Server { address, stop, ended }
}

/// A worker with virtual boards, and their bus.
pub(crate) async fn worker(
    wiretap: &Wiretap,
    control: &Server,
    name: &str,
    boards: usize,
) -> (Server, Arc<VirtualBus>) {
    let bus = VirtualBus::builder().seed(name).boards(boards).speed(1000.0).build().unwrap();
    let bus = Arc::new(bus);
    let mut config = WorkerConfig::default();
    config.drain = Duration::from_secs(5);
    let worker = Worker::builder()
        .config(config)
        .name(WorkerName::new(name).unwrap())
        .control(control.url())
        .registry(Registry::collect().unwrap())
        .bus(bus.clone())
        .build()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let listener = wiretap.listen("worker", listener);
    let ended = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        worker.run_draining(listener, stopped, std::future::pending()).await.unwrap();
    });
    (Server { address, stop, ended }, bus)
}
