//! A worker as a whole: put together by its builder, run until it is told to stop.

use crate::WorkerConfig;
use crate::actor::Shared;
use crate::api::{Api, routes};
use crate::departure::{AT_ONCE, Departure, Way};
use crate::door::Door;
use crate::lease::{Abandoned, PluginThreads};
use crate::ledger::Ledger;
use crate::link::{Heard, Link};
use crate::metrics::{Counting, Counts, Metrics};
use crate::roster::Roster;
use crate::secret::Secret;
use crate::sockets::sockets;
use icefarm_core::wire::PROTOCOL;
use icefarm_core::{
    Bus, Clock, Epoch, Incarnation, Registry, RegistryError, SystemClock, WorkerName, plugins,
};
use icefarm_net::{
    BodyLimits, Endpoint, EndpointError, HostNameError, HttpClient, Hub, HubConfig, Listener,
    MemoryJournal, ServeOptions, recover, serve,
};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use warp::Filter;

/// How often what is over is swept out of the event streams.
const SWEEP: Duration = Duration::from_secs(5);

/// How long control may take to hear that the worker has stopped.
const GOODBYE: Duration = Duration::from_secs(10);

/// Why a worker cannot be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// Something that every worker needs was not given.
    #[error("a worker needs {what}")]
    Missing {
        /// What.
        what: &'static str,
    },
    /// Control's address is none.
    #[error("control cannot be reached there")]
    Control(#[source] EndpointError),
    /// The address that clients are to be told is none.
    #[error("clients cannot reach a worker there")]
    Advertise(#[source] EndpointError),
    /// A host name that is to be served is none.
    #[error(transparent)]
    AllowedHost(#[from] HostNameError),
    /// The plug-ins do not go together.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The listener does not know its own address.
    #[error("the worker's own address is not known")]
    Listener(#[source] std::io::Error),
}

type Ids = Arc<dyn Fn() -> String + Send + Sync>;

/// A worker, ready to run.
pub struct Worker {
    name: WorkerName,
    control: Endpoint,
    advertise: Option<Endpoint>,
    buses: Vec<Arc<dyn Bus>>,
    registry: Registry,
    clock: Arc<dyn Clock>,
    config: WorkerConfig,
    threads: PluginThreads,
    client: HttpClient,
    serve: ServeOptions,
    incarnation: Incarnation,
    secret: Secret,
    ids: Ids,
    token: Option<String>,
    tickets: bool,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("name", &self.name)
            .field("control", &self.control)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

impl Worker {
    /// Begins to put a worker together.
    #[must_use]
    pub fn builder() -> WorkerBuilder {
        WorkerBuilder::default()
    }

    /// Which start of the worker this is.
    #[must_use]
    pub fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    /// Runs the worker until `shutdown` is ready. Then all leases are ended, their clients and
    /// control are told so, and the states have [`WorkerConfig::shutdown`] to end.
    ///
    /// # Errors
    /// [`WorkerError::Listener`]. Nothing that happens later ends a worker.
    pub async fn run<L: Listener>(
        self,
        listener: L,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), WorkerError> {
        self.run_draining(listener, std::future::pending(), shutdown).await
    }

    /// Runs the worker until `drain` is ready. Then control places nothing new on it, and it waits
    /// up to [`WorkerConfig::drain`] for its leases to end, and ends those that are left. When all
    /// boards are back at their default firmware, which they have [`WorkerConfig::shutdown`] for,
    /// it tells control that it leaves.
    ///
    /// When `shutdown` is ready, all of that is cut short, as in [`Self::run`]; the states have two
    /// seconds if it drains already.
    ///
    /// # Errors
    /// [`WorkerError::Listener`]. Nothing that happens later ends a worker.
    pub async fn run_draining<L: Listener>(
        self,
        listener: L,
        drain: impl Future<Output = ()>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), WorkerError> {
        let address = listener.local_addr().map_err(WorkerError::Listener)?;
        let kinds = self.registry.kind_infos();
        self.log_start(address);
        let ledger = Arc::new(Ledger::new());
        let heard = Heard::new();
        let ids = self.ids;
        let epoch = move || Epoch::from(ids());
        let mut sockets_config = HubConfig::default();
        sockets_config.memory = self.config.memory;
        let hub = Hub::new(sockets_config, Arc::new(MemoryJournal::new(epoch)));
        let counts = Counts::new(&kinds);
        let metrics = Arc::new(Metrics::new(&counts, ledger.clone(), hub.clone()));
        let shared = Arc::new(Shared {
            counts: counts.clone(),
            worker: self.name.clone(),
            config: self.config.clone(),
            registry: Arc::new(self.registry),
            clock: self.clock,
            events: Arc::new(Counting { hub: hub.clone(), counts }),
            ledger: ledger.clone(),
            threads: self.threads,
            abandoned: Abandoned::default(),
        });
        let roster = Arc::new(Roster::new(shared));
        let door = Arc::new(Door::new(self.name.clone(), self.secret.clone(), self.tickets));
        let link = Arc::new(Link {
            client: self.client,
            control: self.control,
            config: self.config.link.clone(),
            worker: self.name.clone(),
            incarnation: self.incarnation.clone(),
            secret: self.secret.clone(),
            url: self.advertise.as_ref().map(ToString::to_string),
            port: address.port(),
            kinds,
            plugins: plugins(),
            ledger: ledger.clone(),
            heard: heard.clone(),
            door: door.clone(),
            token: self.token,
        });
        let departure = Departure { ledger: ledger.clone(), roster: roster.clone() };
        let api = Arc::new(Api {
            worker: self.name,
            incarnation: self.incarnation,
            secret: self.secret,
            ledger,
            roster: roster.clone(),
            heard,
            door: door.clone(),
            metrics: metrics.clone(),
            limits: BodyLimits::default().bytes(icefarm_net::MAX_MESSAGE),
        });
        let counted = move |answered: warp::log::Info<'_>| {
            metrics.answered(answered.path(), answered.status().as_u16());
        };
        let sockets = sockets(hub.clone(), roster.clone(), door.clone());
        let service =
            routes(api).or(sockets).unify().recover(recover).with(warp::log::custom(counted));
        let mut serving = self.serve;
        serving.access = Some(door.clone());
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let serving = serve(listener, warp::service(service), serving, async {
            // Closed is as good as told.
            let _ = ended.await;
        });
        let mut tasks = JoinSet::new();
        for bus in self.buses {
            let roster = roster.clone();
            tasks.spawn(async move { roster.follow(bus).await });
        }
        {
            let link = link.clone();
            tasks.spawn(async move { link.run().await });
        }
        let swept = hub.clone();
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                swept.end_passes(
                    |pass| door.is_over(pass),
                    "the ticket that let this socket in is over; come again with another one",
                );
                swept.sweep();
            }
        });
        let closing = async {
            let way = departure.wait(drain, shutdown, &self.config).await;
            tasks.shutdown().await;
            let limit = if way == Way::Ended { self.config.shutdown } else { AT_ONCE };
            roster.close(limit).await;
            link.last_report(if way == Way::CutShort { AT_ONCE } else { GOODBYE }).await;
            hub.close();
            drop(end);
        };
        futures::join!(serving, closing);
        tracing::info!("stopped");
        Ok(())
    }

    fn log_start(&self, address: std::net::SocketAddr) {
        tracing::info!(
            worker = %self.name, %address, control = %self.control, version = env!("CARGO_PKG_VERSION"),
            protocol = PROTOCOL, "worker starts"
        );
        let kinds = self.registry.kind_infos();
        if kinds.is_empty() {
            tracing::warn!(
                "no kinds are linked, so nothing can be reserved here: add `use that_state as _;` \
                 to main.rs"
            );
        }
        for info in kinds {
            tracing::info!(
                "offers the kind `{}` of {} {}",
                info.kind,
                info.crate_name,
                info.crate_version
            );
        }
    }
}

/// Puts a [`Worker`] together. A name, control's address and at least one bus are needed.
#[derive(Default)]
pub struct WorkerBuilder {
    name: Option<WorkerName>,
    control: Option<String>,
    advertise: Option<String>,
    buses: Vec<Arc<dyn Bus>>,
    registry: Option<Registry>,
    clock: Option<Arc<dyn Clock>>,
    config: WorkerConfig,
    boards_on: Option<Handle>,
    client: HttpClient,
    serve: ServeOptions,
    ids: Option<Ids>,
    token: Option<String>,
    tickets: bool,
}

impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

impl WorkerBuilder {
    /// The worker's name, unique in its farm.
    #[must_use]
    pub fn name(mut self, name: WorkerName) -> Self {
        self.name = Some(name);
        self
    }

    /// Where control listens, `http://HOST:PORT`.
    #[must_use]
    pub fn control(mut self, url: impl Into<String>) -> Self {
        self.control = Some(url.into());
        self
    }

    /// Where clients and control reach this worker, `http://HOST:PORT`. Without it, it is the
    /// address that control sees.
    #[must_use]
    pub fn advertise(mut self, url: impl Into<String>) -> Self {
        self.advertise = Some(url.into());
        self
    }

    /// Where boards are plugged. May be called for several buses.
    #[must_use]
    pub fn bus(mut self, bus: Arc<dyn Bus>) -> Self {
        self.buses.push(bus);
        self
    }

    /// The kinds that boards can be reserved as. Without it, those that are linked in.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// What tells states the wall time. Without it, the machine's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Deadlines and bounds.
    #[must_use]
    pub fn config(mut self, config: WorkerConfig) -> Self {
        self.config = config;
        self
    }

    /// Runs all states on this runtime, for tests and simulations that pause time. Without it
    /// each state has a thread and a runtime of its own, so that one which blocks its thread
    /// holds up nothing else.
    #[must_use]
    pub fn boards_on(mut self, runtime: Handle) -> Self {
        self.boards_on = Some(runtime);
        self
    }

    /// How control is called. Without it, over TCP.
    #[must_use]
    pub fn http_client(mut self, client: HttpClient) -> Self {
        self.client = client;
        self
    }

    /// The limits of the worker's own server.
    #[must_use]
    pub fn serve_options(mut self, options: ServeOptions) -> Self {
        self.serve = options;
        self
    }

    /// What makes names that nobody else has and nobody can guess. Without it, random UUIDs;
    /// simulations bring their own, so that each run of a seed is the same.
    #[must_use]
    pub fn ids(mut self, ids: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.ids = Some(Arc::new(ids));
        self
    }

    /// The access token that is shown to control, on a farm that asks for one.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Whether clients must show tickets of control's even if control asks nobody for tokens: for
    /// workers on an address that strangers can reach. Without it, as control says.
    #[must_use]
    pub fn require_tickets(mut self, required: bool) -> Self {
        self.tickets = required;
        self
    }

    /// Checks what was given.
    ///
    /// # Errors
    /// [`WorkerError`] says what is missing or wrong.
    pub fn build(self) -> Result<Worker, WorkerError> {
        let missing = |what| WorkerError::Missing { what };
        let name = self.name.ok_or(missing("a name"))?;
        let control = self.control.ok_or(missing("the address of its control server"))?;
        if self.buses.is_empty() {
            return Err(missing("a bus that boards are plugged to"));
        }
        let advertise = self.advertise.map(|url| url.parse()).transpose();
        let registry = match self.registry {
            Some(registry) => registry,
            None => Registry::collect()?,
        };
        let mut serve = self.serve;
        for host in &self.config.allowed_hosts {
            serve.guard = serve.guard.allow_host(host)?;
        }
        let ids = self.ids.unwrap_or_else(|| Arc::new(|| uuid::Uuid::new_v4().to_string()));
        Ok(Worker {
            name,
            control: control.parse().map_err(WorkerError::Control)?,
            advertise: advertise.map_err(WorkerError::Advertise)?,
            buses: self.buses,
            registry,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
            config: self.config,
            threads: self.boards_on.map_or(PluginThreads::Own, PluginThreads::On),
            client: self.client,
            serve,
            incarnation: Incarnation::from(ids()),
            // Two, for 244 bits of randomness.
            secret: Secret::new(ids() + &ids()),
            ids,
            token: self.token,
            tickets: self.tickets,
        })
    }
}
