//! A board that nobody has reserved yet.

use crate::log::Logs;
use crate::{TestBoard, TestError};
use icefarm_core::blocking::Inline;
use icefarm_core::wire::{BoardReport, BoardStatus, ReserveBoard};
use icefarm_core::{
    ClientName, Kind, LeaseId, Object, Registered, Registry, Serial, SteadyClock, Timestamp, Value,
    WorkerName, to_value,
};
use icefarm_sim::{VirtualBoard, VirtualBus, VirtualBusBuilder};
use icefarm_worker::{Supervision, Supervisor, WorkerConfig};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// A lease is never over by itself: a client would renew it. That of a test lasts a year.
const EXPIRES: Duration = Duration::from_secs(365 * 24 * 3600);

/// 2026-01-01T00:00:00Z: each test begins at the same moment.
const BEGIN: Timestamp = Timestamp(1_767_225_600_000);

/// One virtual board on the worker's supervisor, in one test. Clones are the same board.
///
/// [`TestBoard::reserve`] is enough for most tests. This is for those that want another serial,
/// shorter deadlines, or several leases on one board after each other.
///
/// ```
/// # use icefarm_core::{Device, State, reservable};
/// use icefarm_testkit::{TestBench, json};
/// use std::time::Duration;
///
/// # struct Idle;
/// # #[reservable("idle")]
/// # impl Idle {
/// #     fn new(_device: Device) -> Self {
/// #         Self
/// #     }
/// # }
/// # impl State for Idle {}
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), icefarm_testkit::TestError> {
/// let bench = TestBench::builder()
///     .serial("example pico2ice serial id")
///     .config(|config| config.lease.hook = Duration::from_secs(5))
///     .plug()?;
/// let first = bench.reserve::<Idle>(json!({})).await?;
/// first.end().await?;
/// let second = bench.reserve_kind("idle", json!({})).await?;
/// assert_eq!(second.lease().0, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TestBench {
    shared: Arc<Shared>,
}

struct Shared {
    board: VirtualBoard,
    supervisor: Supervisor,
    logs: Arc<Logs>,
    client: ClientName,
    name: Option<String>,
    patience: Duration,
    leases: AtomicU64,
    // The board is on it.
    _bus: VirtualBus,
}

/// Says what a [`TestBench`] is to be like.
#[must_use]
pub struct TestBenchBuilder {
    serial: String,
    name: Option<String>,
    client: String,
    worker: String,
    patience: Duration,
    config: WorkerConfig,
    registry: Option<Registry>,
    bus: VirtualBusBuilder,
}

impl fmt::Debug for TestBenchBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestBenchBuilder").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl fmt::Debug for TestBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestBench").field("board", &self.shared.board).finish_non_exhaustive()
    }
}

impl TestBench {
    /// A bench with a board of the serial `SIMTEST`, a worker `testkit`, a client `test`, and all
    /// kinds that are linked, until more is said.
    pub fn builder() -> TestBenchBuilder {
        TestBenchBuilder {
            serial: "SIMTEST".to_owned(),
            name: None,
            client: "test".to_owned(),
            worker: "testkit".to_owned(),
            patience: Duration::from_secs(600),
            config: WorkerConfig::default(),
            registry: None,
            // Circuits are simulated in place: their results do not depend on other threads.
            bus: VirtualBus::builder().blocking(Arc::new(Inline)),
        }
    }

    /// Reserves the board as the state `S`, and waits until it is initialized.
    ///
    /// # Errors
    /// [`TestError::Refused`] if the arguments do not fit; [`TestError::LeaseFailed`] if the state
    /// did not start; [`TestError::NotAvailable`] if the board is not there.
    pub async fn reserve<S: Registered>(
        &self,
        args: impl Serialize,
    ) -> Result<TestBoard, TestError> {
        let type_name = S::REGISTRATION.type_name();
        let kind = S::REGISTRATION.kind().ok_or(TestError::NotReservable { type_name })?;
        self.reserve_kind(kind, args).await
    }

    /// The same by the name of the kind, as clients know it.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub async fn reserve_kind(
        &self,
        kind: &str,
        args: impl Serialize,
    ) -> Result<TestBoard, TestError> {
        let args = object("the arguments", args)?;
        let kind = Kind::new(kind)?;
        self.available().await?;
        let lease = LeaseId(self.shared.leases.fetch_add(1, Ordering::Relaxed) + 1);
        let log = self.shared.logs.next();
        let terms = ReserveBoard {
            serial: self.serial().clone(),
            kind,
            args,
            lease,
            lease_rev: 0,
            client: self.shared.client.clone(),
            name: self.shared.name.clone(),
            expires_in_ms: EXPIRES.as_secs() * 1000,
        };
        self.shared.supervisor.reserve(terms).await?;
        let board = TestBoard::new(self.clone(), lease, log);
        board.initialized().await?;
        Ok(board)
    }

    /// Waits until the board was flashed, tested, and can be reserved.
    ///
    /// # Errors
    /// [`TestError::NotAvailable`] if that does not come about.
    pub async fn available(&self) -> Result<(), TestError> {
        let settled = |report: &BoardReport| {
            let done = [BoardStatus::Available, BoardStatus::Broken].contains(&report.status);
            done && report.lease.is_none()
        };
        let settled = timeout(self.patience(), self.shared.supervisor.wait_for(settled)).await;
        let report = settled.ok().or_else(|| self.report());
        match report.map(|report| (report.status, report.reason)) {
            Some((BoardStatus::Available, _)) => Ok(()),
            Some((status, reason)) => Err(TestError::NotAvailable { status, reason }),
            None => {
                let reason = Some("it was deleted".to_owned());
                Err(TestError::NotAvailable { status: BoardStatus::Offline, reason })
            }
        }
    }

    /// The board itself, to be unplugged, hung, or looked into.
    #[must_use]
    pub fn virtual_board(&self) -> &VirtualBoard {
        &self.shared.board
    }

    /// The board's serial.
    #[must_use]
    pub fn serial(&self) -> &Serial {
        icefarm_core::Board::serial(&self.shared.board)
    }

    /// What a worker would tell control of the board now. `None` if the board was deleted.
    #[must_use]
    pub fn report(&self) -> Option<BoardReport> {
        self.shared.supervisor.report()
    }

    pub(crate) fn supervisor(&self) -> &Supervisor {
        &self.shared.supervisor
    }

    pub(crate) fn client(&self) -> &ClientName {
        &self.shared.client
    }

    pub(crate) fn patience(&self) -> Duration {
        self.shared.patience
    }
}

impl TestBenchBuilder {
    /// The board's serial.
    pub fn serial(mut self, serial: impl Into<String>) -> Self {
        self.serial = serial.into();
        self
    }

    /// The name that an operator gave the board; none unless said.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Who holds the leases.
    pub fn client(mut self, client: impl Into<String>) -> Self {
        self.client = client.into();
        self
    }

    /// The worker that the board is plugged to.
    pub fn worker(mut self, worker: impl Into<String>) -> Self {
        self.worker = worker.into();
        self
    }

    /// How long a test waits for anything, in tokio's time. Ten minutes unless said.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Changes the worker's deadlines and bounds.
    pub fn config(mut self, change: impl FnOnce(&mut WorkerConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// The kinds that there are, instead of all that are linked.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// Changes the bus that the board is plugged to, for example its speed. The board itself is
    /// added by the bench.
    pub fn bus(mut self, change: impl FnOnce(VirtualBusBuilder) -> VirtualBusBuilder) -> Self {
        self.bus = change(self.bus);
        self
    }

    /// Plugs the board in. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`TestError`] if a name is none, or the linked states or firmware models do not go together.
    pub fn plug(self) -> Result<TestBench, TestError> {
        let serial = Serial::new(self.serial)?;
        let client = ClientName::new(self.client)?;
        let bus = self.bus.serial(serial.clone()).build()?;
        let board = bus.board(&serial).expect("it was just plugged in");
        let logs = Arc::new(Logs::new());
        let supervision = Supervision {
            worker: WorkerName::new(self.worker)?,
            registry: self.registry.map_or_else(Registry::collect, Ok)?,
            clock: Arc::new(SteadyClock::starting_at(BEGIN)),
            config: self.config,
            events: logs.clone(),
            states_on: Some(Handle::current()),
        };
        let shared = Shared {
            supervisor: Supervisor::start(Arc::new(board.clone()), supervision),
            board,
            logs,
            client,
            name: self.name,
            patience: self.patience,
            leases: AtomicU64::new(0),
            _bus: bus,
        };
        Ok(TestBench { shared: Arc::new(shared) })
    }
}

/// Nothing counts as an empty object.
pub(crate) fn object(what: &'static str, value: impl Serialize) -> Result<Object, TestError> {
    let unsendable = |source| TestError::Unsendable { what, source };
    match to_value(&value).map_err(unsendable)? {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Object::new()),
        other => Err(TestError::NotAnObject { what, is: format!("{other:?}") }),
    }
}
