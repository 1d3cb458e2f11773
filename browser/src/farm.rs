//! A farm in this process, with virtual boards.

use crate::{PATIENCE, PAUSE, Result};
use icefarm_control::{Control, ControlConfig};
use icefarm_core::{Registry, WorkerName};
use icefarm_net::{HttpClient, RequestOptions};
use icefarm_sim::{VirtualBus, VirtualBusBuilder};
// The kinds that the workers have.
use icefarm_state_pulse_count as _;
use icefarm_state_variance as _;
use icefarm_worker::{Worker, WorkerConfig};
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The pause between two heartbeats: a worker that goes is missed at once.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// A server that runs in this process.
#[derive(Debug)]
struct Server {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result>,
}

impl Server {
    /// Ends it as an operator does.
    async fn stop(self) -> Result {
        // It may have ended by itself, and then says why.
        let _ = self.stop.send(());
        timeout(PATIENCE, self.ended).await??
    }
}

/// A control server, whose memory outlives it.
#[derive(Debug)]
pub struct Farm {
    address: SocketAddr,
    control: Option<Server>,
    http: HttpClient,
    folder: tempfile::TempDir,
}

impl Farm {
    /// Starts a control server without boards.
    ///
    /// # Errors
    /// If the machine has no port or no room for it.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut farm = Self {
            address: listener.local_addr()?,
            control: None,
            http: HttpClient::default(),
            folder: tempfile::tempdir()?,
        };
        farm.serve(listener)?;
        Ok(farm)
    }

    fn serve(&mut self, listener: TcpListener) -> Result {
        let mut config = ControlConfig::default();
        config.heartbeat = HEARTBEAT;
        config.rules.startup_grace = Duration::ZERO;
        let database = self.folder.path().join("farm.sqlite");
        let control = Control::builder().database(database).config(config).build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            Ok(control.run(listener, stopped).await?)
        });
        self.control = Some(Server { stop, ended });
        Ok(())
    }

    /// Ends control. Its workers go on.
    ///
    /// # Errors
    /// If it fails, or does not end.
    pub async fn stop_control(&mut self) -> Result {
        match self.control.take() {
            Some(control) => control.stop().await,
            None => Ok(()),
        }
    }

    /// Starts control again at its old address.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_control(&mut self) -> Result {
        let listener = TcpListener::bind(self.address).await?;
        self.serve(listener)
    }

    /// The address of the panel, and of everything else.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts a worker for the boards of a bus.
    ///
    /// # Errors
    /// If they cannot be made.
    pub async fn worker(&self, name: &str, boards: VirtualBusBuilder) -> Result<Bench> {
        let bus = Arc::new(boards.build()?);
        let mut config = WorkerConfig::default();
        // Nothing here has to wait for what real hardware needs.
        config.board.recovery_pause = Duration::from_millis(10);
        config.board.bootloader = Duration::from_secs(3);
        config.board.arrival = Duration::from_secs(3);
        config.board.line = Duration::from_secs(3);
        config.board.recovery_rounds = 2;
        config.link.retry_at_most = Duration::from_millis(500);
        let worker = Worker::builder()
            .name(WorkerName::new(name)?)
            .control(self.url())
            .registry(Registry::collect()?)
            .bus(bus.clone())
            .config(config)
            .build()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            Ok(worker.run(listener, stopped).await?)
        });
        Ok(Bench { bus, server: Server { stop, ended } })
    }

    /// Asks control for a path.
    ///
    /// # Errors
    /// What control answers.
    pub async fn get(&self, path: &str) -> Result<Json> {
        let options = RequestOptions::default();
        Ok(self.http.get_json(&self.address.into(), path, &options).await?)
    }

    /// Posts to control.
    ///
    /// # Errors
    /// What control answers.
    pub async fn post(&self, path: &str, body: Json) -> Result<Json> {
        let options = RequestOptions::default();
        Ok(self.http.post_json(&self.address.into(), path, &body, &options).await?)
    }

    /// Reserves boards in somebody's name, for an hour.
    ///
    /// # Errors
    /// What control answers.
    pub async fn reserve(&self, client: &str, serials: &[&str]) -> Result {
        let wanted = json!({"name": client, "serials": serials, "kind": "pulsecount"});
        self.post("/reserveserials", wanted).await.map(drop)
    }

    /// Waits until so many boards can be reserved.
    ///
    /// # Errors
    /// If they never can.
    pub async fn until_available(&self, boards: u64) -> Result {
        self.until("available", boards).await
    }

    /// Waits until so many boards are in a group of the status: `available`, `broken` ..
    ///
    /// # Errors
    /// If they never are.
    pub async fn until(&self, group: &str, boards: u64) -> Result {
        let start = Instant::now();
        loop {
            let status = self.get("/v1/status").await?;
            if status["boards"][group].as_u64() == Some(boards) {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("{boards} boards were never {group}: {status}").into());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// A worker, and the bus of its boards.
#[derive(Debug)]
pub struct Bench {
    /// The bus, for pulling plugs.
    pub bus: Arc<VirtualBus>,
    server: Server,
}

impl Bench {
    /// Ends the worker as an operator does.
    ///
    /// # Errors
    /// If it fails, or does not end.
    pub async fn stop(self) -> Result {
        self.server.stop().await
    }
}
