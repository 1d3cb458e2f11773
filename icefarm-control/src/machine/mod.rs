//! The lease machine: a pure function from the farm's state, a command and the time to changes,
//! events and an answer.
//!
//! ```
//! use icefarm_control::machine::{Command, Farm, Rules, decide};
//! use icefarm_core::Timestamp;
//!
//! let farm = Farm::empty(Rules::default(), Timestamp(0));
//! let end = Command::End { client: "me".parse().unwrap(), serials: None, instance: None };
//! let decision = decide(&farm, end, Timestamp(5)).unwrap();
//! assert!(decision.changes.is_empty() && decision.notices.is_empty());
//! ```

mod change;
mod draft;
mod drain;
mod farm;
mod labels;
mod leases;
mod limits;
mod queue;
mod refusal;
mod reserve;
mod share;
mod workers;

#[cfg(test)]
mod distrust;
#[cfg(test)]
mod drain_tests;
#[cfg(any(test, feature = "store-suite"))]
#[cfg_attr(not(test), allow(dead_code, reason = "the suite of stores needs part of it"))]
#[allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
pub(crate) mod lab;
#[cfg(test)]
mod operator_tests;
#[cfg(test)]
pub(crate) mod properties;
#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod repeat_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wake_tests;

pub use change::{Change, EndReason};
pub(crate) use farm::millis;
pub use farm::{
    Answered, Board, Contact, Drain, Drained, Farm, Given, Lease, Obstacle, Secret, Worker,
};
pub use labels::{Labels, NAME_LABEL};
pub use limits::{ClientLimit, Excess, LimitError, LimitedBy, NamePattern};
pub use queue::{Cancelled, WaitEnd, Waiting};
pub use refusal::Refusal;

use draft::Draft;
use icefarm_core::wire::{
    BoardReport, CancelAnswer, ErrorCode, Event, Queued, Registration, ReservationAnswer,
    ReserveRequest,
};
use icefarm_core::{
    ClientName, Incarnation, InstanceId, LeaseId, ReservationId, Serial, Timestamp, WorkerName,
};
use std::sync::Arc;
use std::time::Duration;

/// The times and limits that the farm keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How long a lease lasts whose client says nothing else.
    pub default_ttl: Duration,
    /// The longest time to live that a client gets; longer ones are cut.
    pub max_ttl: Option<Duration>,
    /// No lease expires, and no name of a worker is taken over, so soon after control started, or
    /// went on after it stood still: clients and workers may not have found back to it yet.
    pub startup_grace: Duration,
    /// A worker that has been silent for so long is lost, and its leases are ended.
    pub lost_after: Duration,
    /// A worker that has been lost for so long is forgotten.
    pub forget_worker_after: Duration,
    /// For how long a reservation can be asked for again under its request id.
    pub remember_requests: Duration,
    /// How many requests may wait for boards.
    pub waiting: usize,
    /// How many requests of one client may wait for boards.
    pub waiting_each: usize,
    /// A request of a process that gives no sign of life for so long does not wait any more.
    pub wait_silence: Duration,
    /// What clients may have at most; the first that matches a name counts.
    pub limits: Arc<[ClientLimit]>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            default_ttl: Duration::from_secs(3600),
            max_ttl: None,
            startup_grace: Duration::from_secs(60),
            lost_after: Duration::from_secs(180),
            forget_worker_after: Duration::from_secs(7 * 24 * 3600),
            remember_requests: Duration::from_secs(3600),
            waiting: 1000,
            waiting_each: 100,
            wait_silence: Duration::from_secs(60),
            limits: Arc::new([]),
        }
    }
}

/// What happens to the farm.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// A worker registers. `url` is the address at which it is reached.
    Register {
        /// What it says of itself.
        registration: Box<Registration>,
        /// Where it is reached, `http://HOST:PORT`.
        url: String,
    },
    /// A worker answered a heartbeat with everything that it has.
    Heartbeat {
        /// The worker.
        worker: WorkerName,
        /// Which start of it answered.
        incarnation: Incarnation,
        /// All its boards.
        boards: Vec<BoardReport>,
    },
    /// A worker reports boards that changed.
    Report {
        /// The worker.
        worker: WorkerName,
        /// Which start of it speaks.
        incarnation: Incarnation,
        /// The boards that changed.
        boards: Vec<BoardReport>,
        /// Boards that it no longer has.
        gone: Vec<Serial>,
    },
    /// A worker missed heartbeats.
    Unreachable {
        /// The worker.
        worker: WorkerName,
        /// Which start of it was asked.
        incarnation: Incarnation,
    },
    /// A worker says that it is stopping. No start of a worker takes that back.
    Stops {
        /// The worker.
        worker: WorkerName,
        /// Which start of it speaks.
        incarnation: Incarnation,
        /// How long it still waits for its leases to end.
        within: Duration,
    },
    /// A worker has stopped in good order.
    Leave {
        /// The worker.
        worker: WorkerName,
        /// Which start of it speaks.
        incarnation: Incarnation,
    },
    /// An operator takes a worker out of service, or back into it.
    DrainWorker {
        /// The worker.
        worker: WorkerName,
        /// Whether it is to be out of service.
        on: bool,
    },
    /// An operator takes a board out of service, or back into it.
    DrainBoard {
        /// The board.
        serial: Serial,
        /// Whether it is to be out of service.
        on: bool,
    },
    /// A client wants boards.
    Reserve {
        /// Which, and for what.
        request: Box<ReserveRequest>,
        /// The name of the reservation if it is granted, chosen at random.
        reservation: ReservationId,
    },
    /// A client's leases shall last longer.
    Extend {
        /// Who holds them.
        client: ClientName,
        /// Which boards; all if absent.
        serials: Option<Vec<Serial>>,
        /// The process that asks: only its own leases are meant. All of the client's if absent.
        instance: Option<InstanceId>,
    },
    /// A client gives boards back.
    End {
        /// Who holds them.
        client: ClientName,
        /// Which boards; all if absent.
        serials: Option<Vec<Serial>>,
        /// The process that asks: only its own leases are meant. All of the client's if absent.
        instance: Option<InstanceId>,
    },
    /// The control socket of a client's process is alive.
    Renew {
        /// The client.
        client: ClientName,
        /// The process.
        instance: InstanceId,
    },
    /// Requests are not to wait any more.
    CancelWait(Cancelled),
    /// An operator ends all leases of a client, and lets none of its requests wait.
    ClearClient {
        /// The client.
        client: ClientName,
    },
    /// An operator gives a board labels and takes others from it.
    Label {
        /// The board.
        serial: Serial,
        /// What it gets, instead of what it has under the same keys.
        set: Labels,
        /// The keys of what it loses.
        remove: Vec<String>,
    },
    /// An operator ends leases.
    Revoke {
        /// The boards.
        serials: Vec<Serial>,
        /// Only if this is the lease that is on them: an operator who looked a moment ago means
        /// no other.
        lease: Option<LeaseId>,
    },
    /// A worker refused a lease for good.
    LeaseFailed {
        /// The board.
        serial: Serial,
        /// The lease; another one on the board is left alone.
        lease: LeaseId,
        /// Why, for people.
        reason: String,
        /// The same for programs, if the holder can do something about it.
        code: Option<ErrorCode>,
    },
    /// An operator wants a board deleted: its lease ends, before its worker is asked.
    RecallBoard {
        /// The board.
        serial: Serial,
    },
    /// A worker has taken a board out of its books.
    DeleteBoard {
        /// The board.
        serial: Serial,
    },
    /// An operator does not expect a worker back that cannot be reached.
    ForgetWorker {
        /// The worker.
        worker: WorkerName,
    },
    /// Control stood still for a while, and heard of nobody meanwhile: it was stopped, or the
    /// machine was suspended. Told before the [`Command::Tick`] that is late.
    Wake,
    /// Time has passed.
    Tick,
}

/// What comes of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What changes, in order.
    pub changes: Vec<Change>,
    /// What clients are told, in order.
    pub notices: Vec<Notice>,
    /// What the sender of the command is told.
    pub answer: Answer,
}

/// What clients are told.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// Events of a board for one client. They are numbered and kept until acknowledged.
    Client {
        /// Who is told.
        client: ClientName,
        /// The board.
        serial: Serial,
        /// The events, which travel in one frame.
        contents: Vec<Event>,
    },
    /// A board became free; told to everybody, and soon out of date.
    Available {
        /// How many can be reserved now.
        amount: usize,
    },
}

/// What the sender of a command is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// There is nothing to say.
    Done,
    /// The boards were reserved.
    Reserved(ReservationAnswer),
    /// The request waits for boards.
    Queued(Queued),
    /// These do not wait any more, and these boards were given back.
    Cancelled(CancelAnswer),
    /// These boards were extended or ended.
    Serials(Vec<Serial>),
    /// Of what goes out of service or comes back, these boards are held.
    Held(Vec<Serial>),
    /// The worker's word was taken, except of these boards, which another worker has.
    Reported {
        /// The boards, sorted.
        refused: Vec<Serial>,
    },
}

/// Decides what comes of a command. Nothing changes until the changes are [applied](Farm::apply).
///
/// # Errors
/// [`Refusal`] says why the command is refused; then nothing is to be changed.
pub fn decide(farm: &Farm, command: Command, now: Timestamp) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(farm, now);
    let answer = match command {
        Command::Register { registration, url } => {
            workers::register(&mut draft, *registration, url)
        }
        Command::Heartbeat { worker, incarnation, boards } => {
            workers::heartbeat(&mut draft, &worker, &incarnation, boards)
        }
        Command::Report { worker, incarnation, boards, gone } => {
            workers::report(&mut draft, &worker, &incarnation, boards, &gone)
        }
        Command::Unreachable { worker, incarnation } => {
            workers::unreachable(&mut draft, &worker, &incarnation)
        }
        Command::Stops { worker, incarnation, within } => {
            drain::stops(&mut draft, &worker, &incarnation, within)
        }
        Command::Leave { worker, incarnation } => drain::leave(&mut draft, &worker, &incarnation),
        Command::DrainWorker { worker, on } => drain::worker(&mut draft, &worker, on),
        Command::DrainBoard { serial, on } => drain::board(&mut draft, &serial, on),
        Command::Reserve { request, reservation } => {
            reserve::reserve(&mut draft, *request, reservation)
        }
        Command::Extend { client, serials, instance } => {
            leases::extend(&mut draft, &client, serials, instance.as_ref())
        }
        Command::End { client, serials, instance } => {
            leases::end(&mut draft, &client, serials, instance.as_ref())
        }
        Command::Renew { client, instance } => leases::renew(&mut draft, &client, &instance),
        Command::CancelWait(which) => queue::cancel(&mut draft, &which),
        Command::ClearClient { client } => leases::clear(&mut draft, &client),
        Command::Label { serial, set, remove } => labels::label(&mut draft, serial, set, &remove),
        Command::Revoke { serials, lease } => leases::revoke(&mut draft, &serials, lease),
        Command::LeaseFailed { serial, lease, reason, code } => {
            leases::fail(&mut draft, &serial, lease, reason, code)
        }
        Command::RecallBoard { serial } => leases::recall(&mut draft, &serial),
        Command::DeleteBoard { serial } => workers::delete_board(&mut draft, &serial),
        Command::ForgetWorker { worker } => workers::forget(&mut draft, &worker),
        Command::Wake => {
            workers::wake(&mut draft);
            Ok(Answer::Done)
        }
        Command::Tick => {
            leases::tick(&mut draft);
            workers::tick(&mut draft);
            reserve::tick(&mut draft);
            queue::tick(&mut draft);
            Ok(Answer::Done)
        }
    }?;
    queue::serve(&mut draft);
    Ok(draft.finish(answer))
}

impl Farm {
    /// When the next [`Command::Tick`] has something to do, if nothing else happens before.
    #[must_use]
    pub fn next_tick(&self) -> Option<Timestamp> {
        let leases = self.leases.values().map(|lease| leases::due(self, lease));
        let workers = self.workers.values().map(|worker| workers::due(self, worker));
        let missing = self.boards.values().filter_map(|board| workers::missing_due(self, board));
        let requests = self.requests.values().map(|answered| reserve::due(self, answered));
        let queue = self.queue.values().map(|waiting| queue::due(self, waiting));
        leases.chain(workers).chain(missing).chain(requests).chain(queue).min()
    }
}
