//! The machines of a simulated farm and the programs that run on them.

use crate::dice::Dice;
use crate::disk::Disk;
use crate::network::{EchoingConnector, SimConnector, SimListener};
use crate::plan::Plan;
use crate::script::Character;
use crate::watcher::Watcher;
use crate::witness;
use icefarm_control::{Control, ControlConfig};
use icefarm_core::blocking::Inline;
use icefarm_core::wire::{BoardDetail, BoardStatus};
use icefarm_core::{Clock, Serial, Timestamp, WorkerName};
use icefarm_net::{Endpoint, HttpClient, RequestOptions};
use icefarm_sim::{Fault, FaultPlan, VirtualBus};
use icefarm_worker::{Worker, WorkerConfig};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use turmoil::Sim;

type Error = Box<dyn std::error::Error>;

/// When the simulations take place.
const EPOCH_MS: u64 = 1_800_000_000_000;
/// How much faster than real ones the boards are.
const SPEED: f64 = 20.0;
pub(crate) const CONTROL_PORT: u16 = 8080;
pub(crate) const WORKER_PORT: u16 = 8081;
/// How long a worker keeps a lease beyond its end while control is silent.
pub(crate) const LINGER: Duration = Duration::from_secs(15);

/// A machine's clock, which may be wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch(Arc<AtomicI64>);

impl Watch {
    /// Sets how many milliseconds it is wrong by.
    pub(crate) fn skew(&self, millis: i64) {
        self.0.store(millis, Ordering::Relaxed);
    }
}

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        let right = EPOCH_MS + witness::now().as_millis() as u64;
        Timestamp(right.saturating_add_signed(self.0.load(Ordering::Relaxed)))
    }
}

/// What the auditor has seen of the boards last.
pub(crate) type Report = Arc<Mutex<Option<Vec<(String, BoardStatus, Option<String>)>>>>;

/// What outlives the crashes of the machines.
pub(crate) struct Farm {
    pub(crate) disk: Disk,
    pub(crate) clocks: BTreeMap<String, Watch>,
    /// Tells a program to stop.
    pub(crate) stops: BTreeMap<String, watch::Sender<u64>>,
    pub(crate) buses: Vec<Arc<VirtualBus>>,
    pub(crate) characters: Vec<Arc<Character>>,
    pub(crate) calm: watch::Sender<bool>,
    pub(crate) report: Report,
}

impl Farm {
    /// Sets all machines up and starts them.
    pub(crate) fn start(plan: &Plan, sim: &mut Sim<'static>) -> Result<Self, Error> {
        let mut farm = Self {
            disk: Disk::new(),
            clocks: BTreeMap::new(),
            stops: BTreeMap::new(),
            buses: Vec::new(),
            characters: Vec::new(),
            calm: watch::Sender::new(false),
            report: Report::default(),
        };
        for host in plan.hosts() {
            farm.clocks.insert(host.clone(), Watch::default());
            farm.stops.insert(host, watch::Sender::new(0));
        }
        farm.control(plan, sim);
        let control = format!("http://{}:{CONTROL_PORT}", sim.lookup("control"));
        for (number, boards) in plan.workers.iter().enumerate() {
            farm.worker(plan, sim, number, *boards, &control)?;
        }
        for number in 0..plan.clients.len() {
            farm.client(plan, sim, number, &control)?;
        }
        farm.auditor(sim, &control)?;
        Ok(farm)
    }

    fn control(&self, plan: &Plan, sim: &mut Sim<'static>) {
        let (disk, clock) = (self.disk.clone(), self.clocks["control"].clone());
        let stop = self.stops["control"].clone();
        let numbers = Arc::new(AtomicU64::new(1));
        let config = control_config(plan);
        let connector = EchoingConnector::new(Dice::new(plan.seed, "echoes"), plan.echoes);
        sim.host("control", move || {
            let (disk, clock, config) = (disk.clone(), clock.clone(), config.clone());
            let (numbers, mut stop) = (numbers.clone(), stop.subscribe());
            let connector = Arc::new(connector.clone());
            async move {
                let ids = move || format!("r{}", numbers.fetch_add(1, Ordering::Relaxed));
                let control = Control::builder()
                    .store(disk.open())
                    .inline_store()
                    .config(config)
                    .clock(clock)
                    .ids(ids)
                    .http(HttpClient::new(connector))
                    .build()?;
                let listener = SimListener::bind(CONTROL_PORT).await?;
                stop.mark_unchanged();
                control.run(listener, stopped(&mut stop)).await?;
                Ok(())
            }
        });
    }

    fn worker(
        &mut self,
        plan: &Plan,
        sim: &mut Sim<'static>,
        number: usize,
        boards: usize,
        control: &str,
    ) -> Result<(), Error> {
        let name = format!("w{number}");
        let mut faults = FaultPlan::new(plan.seed);
        if plan.bad_flash > 0 {
            let chance = plan.bad_flash as f64 / 100.0;
            faults = faults.with(Fault::refuse_image().chance(chance))?;
            faults = faults.with(Fault::corrupt_image().chance(chance))?;
        }
        let bus = VirtualBus::builder()
            .boards(boards)
            .seed(name.as_str())
            .speed(SPEED)
            .blocking(Arc::new(Inline))
            .faults(faults)
            .build()?;
        let bus = Arc::new(bus);
        self.buses.push(bus.clone());
        let (clock, stop) = (self.clocks[&name].clone(), self.stops[&name].clone());
        let (host, control) = (name.clone(), control.to_owned());
        let numbers = Arc::new(AtomicU64::new(1));
        let config = worker_config();
        sim.host(name.as_str(), move || {
            let (bus, clock, config) = (bus.clone(), clock.clone(), config.clone());
            let (name, control) = (host.clone(), control.clone());
            let (numbers, mut stop) = (numbers.clone(), stop.subscribe());
            async move {
                let prefix = name.clone();
                let ids = move || format!("{prefix}-{}", numbers.fetch_add(1, Ordering::Relaxed));
                let worker = Worker::builder()
                    .name(WorkerName::new(name)?)
                    .control(control)
                    .bus(bus)
                    .clock(Arc::new(clock))
                    .config(config)
                    .boards_on(tokio::runtime::Handle::current())
                    .http_client(HttpClient::new(Arc::new(SimConnector)))
                    .ids(ids)
                    .build()?;
                let listener = SimListener::bind(WORKER_PORT).await?;
                stop.mark_unchanged();
                worker.run(listener, stopped(&mut stop)).await?;
                Ok(())
            }
        });
        Ok(())
    }

    fn client(
        &mut self,
        plan: &Plan,
        sim: &mut Sim<'static>,
        number: usize,
        control: &str,
    ) -> Result<(), Error> {
        let host = format!("c{number}");
        let name = ["ann", "bob", "cleo", "dan"][number % 4].to_owned();
        let serials: Vec<Serial> = self
            .buses
            .iter()
            .flat_map(|bus| bus.all())
            .map(|board| icefarm_core::Board::serial(&board).clone())
            .collect();
        let character = Arc::new(Character {
            name,
            control: control.to_owned(),
            priority: plan.clients[number],
            serials,
            seed: plan.seed,
            numbers: Arc::new(AtomicU64::new(1)),
            calm: self.calm.subscribe(),
            finished: watch::Sender::new(false),
            held: watch::Sender::default(),
        });
        witness::with(|witness| witness.waits_with(&character.name, character.priority));
        self.characters.push(character.clone());
        let mut servers: Vec<(String, Endpoint)> = vec![("control".to_owned(), control.parse()?)];
        for worker in 0..plan.workers.len() {
            let name = format!("w{worker}");
            let url = format!("http://{}:{WORKER_PORT}", sim.lookup(name.as_str()));
            servers.push((name, url.parse()?));
        }
        let strays = plan.strays;
        sim.host(host.as_str(), move || {
            let (character, servers) = (character.clone(), servers.clone());
            async move {
                for (server, endpoint) in servers {
                    let character = character.clone();
                    let watcher = Watcher { character, server, endpoint, strays };
                    tokio::spawn(watcher.watch());
                }
                character.live().await;
                std::future::pending().await
            }
        });
        Ok(())
    }

    /// Looks at the boards from outside once the storm is over.
    fn auditor(&self, sim: &mut Sim<'static>, control: &str) -> Result<(), Error> {
        let endpoint: Endpoint = control.parse()?;
        let (report, calm) = (self.report.clone(), self.calm.subscribe());
        sim.host("auditor", move || {
            let (endpoint, report, mut calm) = (endpoint.clone(), report.clone(), calm.clone());
            async move {
                calm.wait_for(|calm| *calm).await?;
                let http = HttpClient::new(Arc::new(SimConnector));
                let options = RequestOptions::default().timeout(Duration::from_secs(5));
                loop {
                    let boards: Result<Vec<BoardDetail>, _> =
                        http.get_json(&endpoint, "/v1/boards", &options).await;
                    let seen = boards.ok().map(|boards| {
                        let one = |board: BoardDetail| {
                            (board.serial.to_string(), board.status, board.reason)
                        };
                        boards.into_iter().map(one).collect()
                    });
                    *report.lock().map_err(|error| error.to_string())? = seen;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        });
        Ok(())
    }
}

async fn stopped(stop: &mut watch::Receiver<u64>) {
    if stop.changed().await.is_err() {
        std::future::pending().await
    }
}

fn control_config(plan: &Plan) -> ControlConfig {
    let mut config = ControlConfig::default();
    config.rules.startup_grace = plan.startup_grace;
    config.rules.lost_after = plan.lost_after;
    config.rules.wait_silence = plan.wait_silence;
    config.heartbeat = Duration::from_secs(2);
    config.heartbeat_timeout = Duration::from_secs(3);
    config.worker_timeout = Duration::from_secs(4);
    config.sockets.ping = Duration::from_secs(5);
    config.sockets.silence = Duration::from_secs(20);
    config
}

fn worker_config() -> WorkerConfig {
    let mut config = WorkerConfig::default();
    config.lease.linger = LINGER;
    config.lease.start = Duration::from_secs(20);
    config.lease.reboot = Duration::from_secs(20);
    config.lease.hook = Duration::from_secs(10);
    config.lease.exit = Duration::from_secs(3);
    config.board.recovery_pause = Duration::from_secs(1);
    config.link.request = Duration::from_secs(4);
    config.link.retry_at_most = Duration::from_secs(4);
    config.link.refused = Duration::from_secs(5);
    config
}
