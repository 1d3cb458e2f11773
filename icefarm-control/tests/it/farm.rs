//! A control server under test.

use crate::network::Net;
use icefarm_control::{Control, ControlBuilder, ControlConfig, ControlError};
use icefarm_core::ClientName;
use icefarm_core::wire::{ErrorDetail, Hello, Position, ReservationAnswer, V1_JSON};
use icefarm_net::{
    ClientSocket, Endpoint, HttpClient, HttpError, Listener, RequestOptions, SocketParams,
    SubscriberId,
};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub(crate) struct Farm {
    pub(crate) net: Net,
    pub(crate) control: Endpoint,
    pub(crate) http: HttpClient,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ControlError>>,
}

/// Short times, so that tests on real time are quick.
pub(crate) fn quick() -> ControlConfig {
    let mut config = ControlConfig::default();
    config.heartbeat = Duration::from_millis(100);
    config.worker_timeout = Duration::from_secs(5);
    config
}

impl Farm {
    pub(crate) async fn start(net: Net, port: u16, builder: ControlBuilder) -> Self {
        let control = builder.http(net.http()).build().unwrap();
        Self::run(net, port, control).await
    }

    pub(crate) async fn run(net: Net, port: u16, control: Control) -> Self {
        let door = net.listen(port).await;
        let address = door.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(control.run(door, async {
            let _ = stopped.await;
        }));
        Self { http: net.http(), net, control: Endpoint::from(address), stop, task }
    }

    /// On TCP, forgetting everything at the end.
    pub(crate) async fn on_tcp() -> Self {
        Self::start(Net::Tcp, 0, Control::builder().in_memory().config(quick())).await
    }

    /// On a network in memory, in one thread, for paused time.
    pub(crate) async fn simulated(database: &Path) -> Self {
        let builder = Control::builder().database(database).inline_store();
        Self::start(Net::memory(), 0, builder).await
    }

    /// Ends the server, as on a signal.
    pub(crate) async fn stop(self) -> (Net, u16) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
        (self.net, self.control.port())
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Result<Value, ErrorDetail> {
        let options = RequestOptions::default();
        said(self.http.post_json(&self.control, path, &body, &options).await)
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, ErrorDetail> {
        said(self.http.get_json(&self.control, path, &RequestOptions::default()).await)
    }

    /// Reserves, and reads the full answer.
    pub(crate) async fn reserve(&self, body: Value) -> Result<ReservationAnswer, ErrorDetail> {
        let path = if body.get("serials").is_some() { "/reserveserials" } else { "/reserve" };
        let options = RequestOptions::default().accept(V1_JSON);
        said(self.http.post_json(&self.control, path, &body, &options).await)
    }

    pub(crate) async fn boards(&self) -> Vec<Value> {
        self.get("/v1/boards").await.unwrap().as_array().unwrap().clone()
    }

    pub(crate) async fn status(&self, serial: &str) -> Option<String> {
        let boards = self.boards().await;
        let board = boards.iter().find(|board| board["serial"] == serial)?;
        board["status"].as_str().map(str::to_owned)
    }

    pub(crate) async fn available(&self) -> u64 {
        self.get("/available").await.unwrap()["amount"].as_u64().unwrap()
    }

    /// Waits until so many boards can be reserved.
    pub(crate) async fn until_available(&self, amount: u64) {
        until(async || self.available().await == amount).await;
    }

    pub(crate) async fn socket(
        &self,
        client: &str,
        sub: &str,
        resume: Option<Position>,
    ) -> ClientSocket {
        self.open(client, sub, resume).await.0
    }

    /// A socket, and what the server says first on it.
    pub(crate) async fn open(
        &self,
        client: &str,
        sub: &str,
        resume: Option<Position>,
    ) -> (ClientSocket, Hello) {
        let client: ClientName = client.parse().unwrap();
        let params = SocketParams::new(client, SubscriberId::new(sub).unwrap()).resume(resume);
        let connector = self.net.connector();
        ClientSocket::connect(&*connector, &self.control, params).await.unwrap()
    }
}

fn said<T>(answer: Result<T, HttpError>) -> Result<T, ErrorDetail> {
    answer.map_err(|error| match error {
        HttpError::Answer { error, .. } => error,
        other => panic!("{other}"),
    })
}

/// What somebody asks for who wants boards.
pub(crate) fn wish(client: &str, amount: u32) -> Value {
    json!({"amount": amount, "name": client, "kind": "pulse count", "args": {}})
}

/// Waits until a condition holds, which it must soon.
pub(crate) async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !condition().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(30), wait).await.expect("what a test waits for comes in time");
}
