//! What control knows: workers, boards, leases, tokens and answered requests.

use super::share::Share;
use super::{Change, Labels, Rules, WaitEnd, Waiting};
use icefarm_core::wire::{BoardReport, BoardStatus, GrantedBoard, ReservationAnswer};
use icefarm_core::{
    ClientName, Incarnation, InstanceId, Kind, KindInfo, LeaseId, Object, PluginInfo, RequestId,
    ReservationId, Serial, Timestamp, WorkerName,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The whole state of the farm. Cloning is cheap: the entries are shared.
///
/// It changes only by [`Farm::apply`], with changes that [`decide`](super::decide) made.
#[derive(Debug, Clone, PartialEq)]
pub struct Farm {
    /// The times that the farm keeps.
    pub rules: Rules,
    /// When control started.
    pub started: Timestamp,
    /// Since when control has been at work without standing still: from here on it has been able
    /// to hear of clients and workers. Not stored.
    pub awake: Timestamp,
    /// The workers that have registered.
    pub workers: BTreeMap<WorkerName, Arc<Worker>>,
    /// The boards that workers have reported.
    pub boards: BTreeMap<Serial, Arc<Board>>,
    /// The lease of every board that is held. A board has at most one.
    pub leases: BTreeMap<Serial, Arc<Lease>>,
    /// The last lease that control gave for each board, which outlives the board.
    pub given: BTreeMap<Serial, Given>,
    /// The next lease. It is above everything that was given or reported so far.
    pub next_lease: LeaseId,
    /// What operators have taken out of service.
    pub drained: Drained,
    /// The answers to requests that may be repeated.
    pub requests: BTreeMap<(ClientName, RequestId), Arc<Answered>>,
    /// The requests that wait for boards, by their arrival.
    pub queue: BTreeMap<u64, Arc<Waiting>>,
    /// What operators call boards. It outlives the boards.
    pub labels: BTreeMap<Serial, Arc<Labels>>,
}

/// A worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Worker {
    /// Its name.
    pub name: WorkerName,
    /// Where control and clients reach it, `http://HOST:PORT`.
    pub url: String,
    /// The version of its program.
    pub version: String,
    /// Which start of it registered last.
    pub incarnation: Incarnation,
    /// The start before, which must not come back.
    pub former: Option<Incarnation>,
    /// What control shows it as a bearer token.
    pub secret: Secret,
    /// What its boards can do.
    pub kinds: Vec<KindInfo>,
    /// The plug-in crates that are linked into it.
    pub plugins: Vec<PluginInfo>,
    /// When it registered, or when it was given up.
    pub seen: Timestamp,
    /// Whether control reaches it. Only [`Contact::Lost`] and [`Contact::Left`] are stored.
    pub contact: Contact,
    /// When it last registered or answered since control started. Not stored.
    pub heard: Option<Timestamp>,
    /// Whether it ever answered, or is known from before a restart of control. Not stored.
    pub answered: bool,
    /// Boards that it reports although another worker has them. Not stored.
    pub refused: BTreeSet<Serial>,
    /// When it ends the leases that are left, if it is stopping. Not stored.
    pub stops: Option<Timestamp>,
}

impl Worker {
    /// The kind as this worker offers it.
    #[must_use]
    pub fn kind(&self, kind: &Kind) -> Option<&KindInfo> {
        self.kinds.iter().find(|info| info.kind == *kind)
    }
}

/// Whether control reaches a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// It has not answered a heartbeat since it registered, or since control started.
    Awaited,
    /// It answered the last heartbeats.
    Reachable,
    /// It missed heartbeats: leases are kept, nothing new is placed.
    Unreachable,
    /// It was silent for so long that its leases were ended.
    Lost,
    /// It was stopped in good order.
    Left,
}

impl Contact {
    /// A word for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Awaited => "awaited",
            Self::Reachable => "reachable",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::Left => "left",
        }
    }

    /// Whether nothing of the worker is waited for, so that another one may have its boards.
    #[must_use]
    pub fn is_gone(self) -> bool {
        matches!(self, Self::Lost | Self::Left)
    }
}

/// A text that must not get into logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A board, as its worker reported it last.
#[derive(Debug, Clone, PartialEq)]
pub struct Board {
    /// The worker that has it.
    pub worker: WorkerName,
    /// The last report.
    pub report: BoardReport,
    /// Since when its worker has not listed it any more without saying that it is gone. Not
    /// stored.
    pub missing: Option<Timestamp>,
}

impl Board {
    /// Its USB serial number.
    #[must_use]
    pub fn serial(&self) -> &Serial {
        &self.report.serial
    }
}

/// One board, held by one client until a point in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    /// The lease's number, which is the fencing token.
    pub id: LeaseId,
    /// Rises whenever the lease is extended.
    pub revision: u64,
    /// The board.
    pub serial: Serial,
    /// Who holds it.
    pub client: ClientName,
    /// The process that reserved it, if it said so.
    pub instance: Option<InstanceId>,
    /// What the board does.
    pub kind: Kind,
    /// The arguments of the kind.
    pub args: Object,
    /// What the boards of one request share.
    pub reservation: ReservationId,
    /// When it was granted.
    pub granted: Timestamp,
    /// When it ends unless it is extended.
    pub expires: Timestamp,
    /// How long it lasts from the grant and from every extension.
    pub ttl: Duration,
    /// Whether the living socket of its instance extends it.
    pub renewed_by_socket: bool,
    /// Whether the holder was told that it ends soon.
    pub warned: bool,
}

impl Lease {
    /// From when on the holder is to be told that the lease ends soon: a third of the time is
    /// left.
    #[must_use]
    pub fn warn_at(&self) -> Timestamp {
        Timestamp(self.expires.0.saturating_sub(millis(self.ttl) / 3))
    }

    /// From when on a renewal is worth writing down: a third of the time has passed.
    #[must_use]
    pub fn renew_at(&self) -> Timestamp {
        Timestamp(self.expires.0.saturating_sub(millis(self.ttl) / 3 * 2))
    }
}

/// The last lease that control gave for a board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The lease.
    pub lease: LeaseId,
    /// Its kind: the board most likely still has that firmware.
    pub kind: Kind,
}

/// A reservation that may be asked for again under its request id, or a request that waited in
/// vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// What was asked for, so that an id used twice for different things is found out.
    pub asked: String,
    /// When it was answered.
    pub at: Timestamp,
    /// What the boards share.
    pub reservation: ReservationId,
    /// The boards with their workers' addresses and leases.
    pub boards: Vec<(Serial, String, LeaseId)>,
    /// Why it has no boards, if it waited for them in vain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<WaitEnd>,
}

impl Farm {
    /// The workers by their addresses. A machine that was given another name is known under both
    /// for a while: then it is the one that answers, and was heard of last.
    pub(crate) fn workers_by_url(&self) -> BTreeMap<&str, &Arc<Worker>> {
        let mut known: BTreeMap<&str, &Arc<Worker>> = BTreeMap::new();
        let rank = |worker: &Worker| (worker.contact == Contact::Reachable, worker.heard);
        for worker in self.workers.values() {
            let there = known.entry(&worker.url).or_insert(worker);
            if rank(worker) > rank(there) {
                *there = worker;
            }
        }
        known
    }

    /// A farm without anything in it, `started` being the time when control starts.
    #[must_use]
    pub fn empty(rules: Rules, started: Timestamp) -> Self {
        Self {
            rules,
            started,
            awake: started,
            workers: BTreeMap::new(),
            boards: BTreeMap::new(),
            leases: BTreeMap::new(),
            given: BTreeMap::new(),
            next_lease: LeaseId(1),
            drained: Drained::default(),
            requests: BTreeMap::new(),
            queue: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }

    /// Makes a change. Changes come from [`decide`](super::decide), in its order.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Woke { at } => self.awake = *at,
            Change::WorkerRegistered(worker) => {
                self.workers.insert(worker.name.clone(), Arc::clone(worker));
            }
            Change::WorkerHeard { worker, at } => self.worker(worker, |worker| {
                worker.contact = Contact::Reachable;
                worker.answered = true;
                worker.heard = Some(*at);
            }),
            Change::WorkerSilent { worker } => {
                self.worker(worker, |worker| worker.contact = Contact::Unreachable);
            }
            Change::WorkerLost { worker, at } => self.worker(worker, |worker| {
                worker.contact = Contact::Lost;
                worker.seen = *at;
            }),
            Change::WorkerLeft { worker, at } => self.worker(worker, |worker| {
                worker.contact = Contact::Left;
                worker.seen = *at;
                worker.stops = None;
                worker.refused.clear();
            }),
            Change::WorkerStops { worker, at } => {
                self.worker(worker, |worker| worker.stops = Some(*at));
            }
            Change::WorkerDrained { worker, on } => set(&mut self.drained.workers, worker, *on),
            Change::BoardDrained { serial, on } => set(&mut self.drained.boards, serial, *on),
            Change::WorkerFound { worker, at } => self.worker(worker, |worker| {
                worker.contact = Contact::Awaited;
                worker.seen = *at;
            }),
            Change::WorkerForgotten { worker } => {
                self.workers.remove(worker);
            }
            Change::ClaimsRefused { worker, serials } => {
                self.worker(worker, |worker| worker.refused.clone_from(serials));
            }
            Change::BoardReported(board) => {
                self.boards.insert(board.serial().clone(), Arc::clone(board));
            }
            Change::BoardMissing { serial, since } => {
                if let Some(board) = self.boards.get_mut(serial) {
                    Arc::make_mut(board).missing = Some(*since);
                }
            }
            Change::BoardRemoved { serial } => {
                self.boards.remove(serial);
            }
            Change::LeasesMoved { next } => self.next_lease = *next,
            Change::LeaseGranted(lease) => {
                let given = Given { lease: lease.id, kind: lease.kind.clone() };
                self.given.insert(lease.serial.clone(), given);
                self.next_lease = LeaseId(lease.id.0 + 1);
                self.leases.insert(lease.serial.clone(), Arc::clone(lease));
            }
            Change::LeaseExtended { serial, revision, expires } => self.lease(serial, |lease| {
                lease.revision = *revision;
                lease.expires = *expires;
                lease.warned = false;
            }),
            Change::LeaseWarned { serial } => self.lease(serial, |lease| lease.warned = true),
            Change::LeaseEnded { lease, .. } => {
                self.leases.remove(&lease.serial);
            }
            Change::RequestAnswered { client, request, answered } => {
                self.requests.insert((client.clone(), request.clone()), Arc::clone(answered));
            }
            Change::RequestForgotten { client, request } => {
                self.requests.remove(&(client.clone(), request.clone()));
            }
            Change::WaitBegan(waiting) => {
                self.queue.insert(waiting.arrival, Arc::clone(waiting));
            }
            Change::WaiterSeen { arrival, at } => {
                if let Some(waiting) = self.queue.get_mut(arrival) {
                    Arc::make_mut(waiting).seen = *at;
                }
            }
            Change::WaitEnded { waiting, .. } => {
                self.queue.remove(&waiting.arrival);
            }
            Change::BoardLabelled { serial, labels } => {
                if labels.is_empty() {
                    self.labels.remove(serial);
                } else {
                    self.labels.insert(serial.clone(), Arc::clone(labels));
                }
            }
        }
    }

    fn worker(&mut self, name: &WorkerName, change: impl FnOnce(&mut Worker)) {
        if let Some(worker) = self.workers.get_mut(name) {
            change(Arc::make_mut(worker));
        }
    }

    fn lease(&mut self, serial: &Serial, change: impl FnOnce(&mut Lease)) {
        if let Some(lease) = self.leases.get_mut(serial) {
            change(Arc::make_mut(lease));
        }
    }

    /// The farm as it comes back from the store: without what is only known from talking to the
    /// workers.
    #[must_use]
    pub fn as_stored(&self) -> Self {
        let mut farm = self.clone();
        farm.awake = farm.started;
        for worker in farm.workers.values_mut().map(Arc::make_mut) {
            if !worker.contact.is_gone() {
                worker.contact = Contact::Awaited;
            }
            worker.heard = None;
            worker.stops = None;
            worker.answered = true;
            worker.refused.clear();
        }
        for board in farm.boards.values_mut().map(Arc::make_mut) {
            board.missing = None;
        }
        for waiting in farm.queue.values_mut().map(Arc::make_mut) {
            waiting.seen = waiting.since;
        }
        farm
    }

    /// The worker of a board.
    #[must_use]
    pub fn worker_of(&self, board: &Board) -> Option<&Arc<Worker>> {
        self.workers.get(&board.worker)
    }

    /// Why the board cannot be granted now; nothing if it can.
    #[must_use]
    pub fn obstacle(&self, board: &Board) -> Option<Obstacle> {
        let serial = board.serial();
        if self.leases.contains_key(serial) {
            return Some(Obstacle::Leased);
        }
        match self.worker_of(board).map(|worker| worker.contact) {
            Some(Contact::Reachable) => {}
            _ => return Some(Obstacle::Offline),
        }
        if board.missing.is_some() {
            return Some(Obstacle::Offline);
        }
        if board.report.lease.is_some() || board.report.status == BoardStatus::Reserved {
            return Some(Obstacle::Settling);
        }
        if board.report.status != BoardStatus::Available {
            return Some(Obstacle::Status(board.report.status));
        }
        // A report that was under way while a lease was given must not free the board.
        if self.given.get(serial).is_some_and(|given| board.report.token < given.lease) {
            return Some(Obstacle::Settling);
        }
        self.drain(board).map(|_| Obstacle::Draining)
    }

    /// Why nothing new is placed on the board although it may be sound; nothing if it is in
    /// service.
    #[must_use]
    pub fn drain(&self, board: &Board) -> Option<Drain> {
        if self.drained.boards.contains(board.serial()) {
            return Some(Drain::Board);
        }
        if self.drained.workers.contains(&board.worker) {
            return Some(Drain::Worker);
        }
        let stops = self.worker_of(board).and_then(|worker| worker.stops);
        stops.map(|_| Drain::Stopping)
    }

    /// Whether the farm has real boards. Those of a lost worker do not count, nor those of one that
    /// never answered, which may not even be there.
    #[must_use]
    pub fn has_real_boards(&self) -> bool {
        let there = |board: &Board| {
            self.worker_of(board).is_some_and(|worker| worker.answered && !worker.contact.is_gone())
        };
        self.boards.values().any(|board| !board.report.simulated && there(board))
    }

    /// The boards that a reservation can get that neither waits nor says anything about simulation:
    /// the free real ones, or the free simulated ones in a farm that has no real board. What is
    /// set aside for those who wait is not among them.
    #[must_use]
    pub fn offered(&self) -> Vec<&Arc<Board>> {
        let share = Share::behind(self, |_| true);
        share.left(!self.has_real_boards()).collect()
    }

    /// What the board is said to be at: its worker's word, unless control knows better.
    #[must_use]
    pub fn status(&self, board: &Board) -> BoardStatus {
        match self.obstacle(board) {
            Some(Obstacle::Leased) => BoardStatus::Reserved,
            Some(Obstacle::Offline) => BoardStatus::Offline,
            // The worker has yet to hear that the lease is over, and will then recover the board.
            Some(Obstacle::Settling) => BoardStatus::AwaitFlashDefault,
            Some(Obstacle::Status(status)) => status,
            Some(Obstacle::Draining) => BoardStatus::Draining,
            None => BoardStatus::Available,
        }
    }

    /// An earlier answer, with the time that its leases have left.
    #[must_use]
    pub(super) fn answer_again(&self, answered: &Answered, now: Timestamp) -> ReservationAnswer {
        let left = |serial: &Serial, id: LeaseId| match self.leases.get(serial) {
            Some(lease) if lease.id == id => millis(lease.expires.since(now)),
            _ => 0,
        };
        let board = |(serial, url, lease): &(Serial, String, LeaseId)| GrantedBoard {
            serial: serial.clone(),
            url: url.clone(),
            lease: *lease,
            expires_in_ms: left(serial, *lease),
            name: self.name_of(serial).map(str::to_owned),
        };
        let boards = answered.boards.iter().map(board).collect();
        ReservationAnswer { reservation: answered.reservation.clone(), boards }
    }
}

/// Why a board cannot be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Somebody holds it.
    Leased,
    /// Its worker cannot be reached, or does not list it any more.
    Offline,
    /// Its worker has not heard yet that the last lease is over.
    Settling,
    /// Its worker says that it is at something else.
    Status(BoardStatus),
    /// It could be granted, and is out of service.
    Draining,
}

/// What operators have taken out of service, until they take it back: boards and workers that come
/// again under the same name are out of service still.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drained {
    /// The workers.
    pub workers: BTreeSet<WorkerName>,
    /// The boards.
    pub boards: BTreeSet<Serial>,
}

/// Why nothing new is placed on a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// An operator drains it.
    Board,
    /// An operator drains its worker.
    Worker,
    /// Its worker is stopping.
    Stopping,
}

fn set<T: Ord + Clone>(all: &mut BTreeSet<T>, one: &T, on: bool) {
    if on {
        all.insert(one.clone());
    } else {
        all.remove(one);
    }
}

/// A duration as it travels.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
