//! A control server as a whole: put together by its builder, run until it is told to stop.

use crate::access::{Gate, GatePaces, Sessions, Tokens};
use crate::config::ControlConfig;
use crate::fleet::{Fleet, Manners};
use crate::ledger::{Beside, Desk, Ledger, Outlet, Trims};
use crate::live::Gallery;
use crate::metrics::{Decisions, Metrics};
use crate::pacer::tell_time;
use crate::routes::{Context, routes};
use crate::sockets::{Post, Sockets, Streams};
use crate::store::{SqliteStore, Store, StoreError, Stored};
use icefarm_core::wire::ServerFrame;
use icefarm_core::{Clock, SteadyClock, SystemClock};
use icefarm_net::{HttpClient, Hub, Listener, Pace, Paces, recover, serve};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use warp::Filter;

/// How often what is out of date is put away.
const SWEEP: Duration = Duration::from_secs(5);
/// How often it is written down that a token was used for what it does not allow.
const FORBIDDEN: Pace = Pace { burst: 100, every: Duration::from_secs(1) };

/// Why a control server cannot be built or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No store was given.
    #[error("a control server needs a store: a database file, or one in memory for a trial")]
    NoStore,
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no thread.
    #[error("the thread that writes the ledger cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Makes random names, such as UUIDs.
pub(crate) type Ids = Arc<dyn Fn() -> String + Send + Sync>;

/// A control server, ready to run.
pub struct Control {
    store: Box<dyn Store>,
    stored: Stored,
    config: ControlConfig,
    clock: Arc<dyn Clock>,
    http: HttpClient,
    ids: Ids,
    desk: Desk,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("config", &self.config).finish_non_exhaustive()
    }
}

enum Place {
    Store(Box<dyn Store>),
    File(PathBuf),
    Memory,
}

/// Puts a [`Control`] together.
pub struct ControlBuilder {
    place: Option<Place>,
    config: ControlConfig,
    clock: Arc<dyn Clock>,
    http: HttpClient,
    ids: Ids,
    desk: Desk,
}

impl fmt::Debug for ControlBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl ControlBuilder {
    /// Keeps the farm in a store of the caller's.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.place = Some(Place::Store(Box::new(store)));
        self
    }

    /// Keeps the farm in an SQLite database at `path`, which is made if there is none.
    #[must_use]
    pub fn database(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = Some(Place::File(path.into()));
        self
    }

    /// Forgets the farm when the program ends.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.place = Some(Place::Memory);
        self
    }

    /// Sets limits and times.
    #[must_use]
    pub fn config(mut self, config: ControlConfig) -> Self {
        self.config = config;
        self
    }

    /// Takes the wall time from elsewhere. It is read once, at the start.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Reaches workers in another way than by TCP.
    #[must_use]
    pub fn http(mut self, http: HttpClient) -> Self {
        self.http = http;
        self
    }

    /// Makes names of reservations, and tokens, in another way than of random UUIDs. No name may
    /// come twice, over restarts either, and nobody must be able to guess one.
    #[must_use]
    pub fn ids(mut self, ids: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Works on the store in the task that needs it, and not in a thread: for simulations, where
    /// everything happens in one thread, and for tests that pause the time.
    #[must_use]
    pub fn inline_store(mut self) -> Self {
        self.desk = Desk::Inline;
        self
    }

    /// Opens the store and reads what it holds.
    ///
    /// # Errors
    /// [`ControlError`] if there is none, or it cannot be used.
    pub fn build(self) -> Result<Control, ControlError> {
        let mut store: Box<dyn Store> = match self.place.ok_or(ControlError::NoStore)? {
            Place::Store(store) => store,
            Place::File(path) => Box::new(SqliteStore::open(path)?),
            Place::Memory => Box::new(SqliteStore::in_memory()?),
        };
        let Self { config, clock, http, ids, desk, .. } = self;
        let stored = store.load(config.rules.clone(), clock.now())?;
        Ok(Control { store, stored, config, clock, http, ids, desk })
    }
}

impl Control {
    /// Begins to put a control server together.
    #[must_use]
    pub fn builder() -> ControlBuilder {
        ControlBuilder {
            place: None,
            config: ControlConfig::default(),
            clock: Arc::new(SystemClock),
            http: HttpClient::default(),
            ids: Arc::new(|| uuid::Uuid::new_v4().to_string()),
            desk: Desk::Thread,
        }
    }

    /// Whether this farm asks for access tokens: whether any was ever made. Otherwise everybody who
    /// reaches it is its operator.
    #[must_use]
    pub fn asks_for_tokens(&self) -> bool {
        !self.stored.tokens.is_empty()
    }

    /// Serves on `listener` until `shutdown` is ready, and then lets go of the store. Leases and
    /// workers are as they were when it is started again.
    ///
    /// # Errors
    /// [`ControlError::Thread`].
    pub async fn run(
        self,
        listener: impl Listener,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ControlError> {
        let started = self.clock.now();
        // The machine's clock may be set at any time; this one only ever moves on.
        let clock = SteadyClock::starting_at(started);
        let mut stored = self.stored;
        (stored.farm.started, stored.farm.awake) = (started, started);
        tracing::info!(
            boards = stored.farm.boards.len(),
            leases = stored.farm.leases.len(),
            workers = stored.farm.workers.len(),
            "the ledger is open"
        );
        let trims = Arc::new(Trims::default());
        let streams = Arc::new(Streams::new(stored.epoch.clone(), &stored.streams, trims.clone()));
        let hub = Hub::new(self.config.sockets.clone(), streams.clone());
        for (client, stream) in std::mem::take(&mut stored.streams) {
            let frames = stream.letters.into_iter().map(|(seq, letter)| {
                (seq, ServerFrame::new(letter.serial.as_str(), letter.contents))
            });
            hub.restore(&client, streams.position(&client), stream.dropped, frames);
        }
        let decisions = Arc::new(Decisions::default());
        let outlet: Arc<dyn Outlet> =
            Arc::new(Post::new(hub.clone(), streams, decisions.clone(), clock));
        let tokens = Arc::new(Tokens::new(std::mem::take(&mut stored.tokens)));
        let audit_kept = self.config.audit_kept;
        let beside = Beside { trims, tokens: tokens.clone(), audit_kept };
        let ledger = Ledger::start(self.store, stored, beside, outlet, clock, self.desk)
            .map_err(ControlError::Thread)?;
        let ledger = Arc::new(ledger);

        let manners = Manners {
            heartbeat: self.config.heartbeat,
            heartbeat_timeout: self.config.heartbeat_timeout,
            timeout: self.config.worker_timeout,
        };
        let fleet = Arc::new(Fleet::new(ledger.clone(), self.http, manners, tokens.clone()));
        let gallery = Arc::new(Gallery::new(ledger.clone()));
        let paces = GatePaces { failures: self.config.failures, writes: self.config.writes };
        let sessions = Arc::new(Sessions::new());
        let gate = Arc::new(Gate::new(tokens.clone(), sessions.clone(), paces, clock));
        let mut serving = self.config.serve;
        serving.access = Some(gate.clone());
        let metrics = Arc::new(Metrics::new(&decisions, ledger.clone(), hub.clone()));
        let context = Arc::new(Context {
            metrics: metrics.clone(),
            ledger: ledger.clone(),
            fleet: fleet.clone(),
            hub: hub.clone(),
            gallery: gallery.clone(),
            sockets: Arc::new(Sockets::new(ledger.clone())),
            ids: self.ids,
            tokens,
            sessions,
            gate,
            forbidden: Paces::new(FORBIDDEN),
            ticket: self.config.ticket,
            heartbeat: self.config.heartbeat,
            body: self.config.body,
        });
        let counted = move |answered: warp::log::Info<'_>| {
            metrics.answered(answered.path(), answered.status().as_u16());
        };
        let routes = routes(context.clone()).recover(recover).with(warp::log::custom(counted));
        let service = warp::service(routes);
        let ending = async {
            shutdown.await;
            // Sockets end first, or the server would wait for them.
            hub.close();
            gallery.close();
            ledger.chronicle().close();
        };
        tokio::select! {
            () = serve(listener, service, serving, ending) => {}
            () = fleet.run() => {}
            () = gallery.run() => {}
            () = tell_time(&ledger) => {}
            () = sweep(&hub, &ledger, &context) => {}
        }
        ledger.close().await;
        tracing::info!("the ledger is closed");
        Ok(())
    }
}

/// Puts away what is out of date.
async fn sweep(hub: &Hub, ledger: &Ledger, context: &Context) {
    let mut times = interval(SWEEP);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        times.tick().await;
        hub.sweep();
        context.end_sockets();
        // What cannot be written down is noted for the next time, and the failure was logged.
        let _ = ledger.tidy().await;
    }
}
