//! Which circuit goes to which board: a pure state machine, told what happened and when, and
//! asked what is to be done.
//!
//! A *task* is one circuit for one place, and gets exactly one settlement. A pinned task belongs
//! to one board; a moving one may go to any board that is held. Tasks that are pinned to several
//! boards share the evaluation id of their circuit, so that one upload serves all boards of a
//! worker: the pair of id and serial tells them apart.

mod board;
mod fill;
mod room;
#[cfg(test)]
mod tests;

use crate::loss::{Loss, codes};
use board::Board;
use icefarm_core::{Blob, EvaluationId, Serial};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// A circuit as it is uploaded.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) name: String,
    pub(crate) bytes: Blob,
    /// In lower-case hex.
    pub(crate) sha256: String,
}

/// The figures that placing goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many circuits a board may have been given and not answered yet.
    pub(crate) credits: usize,
    /// How many boards may lose a moving circuit before it counts as failed.
    pub(crate) attempts: u32,
    /// How long a board may hold circuits without any outcome.
    pub(crate) silence: Duration,
    /// How long a board may take to become ready.
    pub(crate) patience: Duration,
    /// How many bytes of circuits may be open while faster boards run ahead of slower ones.
    pub(crate) lag: usize,
}

/// Where a circuit shall be evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Places<'a> {
    /// On each of these.
    Boards(&'a [Serial]),
    /// On every board there is.
    Each,
    /// On one board, whichever is free.
    Any,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Effect<J> {
    /// Give the circuit to these boards, which are all of one worker.
    Send { worker: Arc<str>, serials: Vec<Serial>, id: EvaluationId, circuit: Arc<Upload> },
    /// A task is over without an answer of a board.
    Failed { settled: Settled<J>, loss: Loss },
}

/// A task that is over: whom to tell, and what is known of it here.
#[derive(Debug)]
pub(crate) struct Settled<J> {
    pub(crate) job: J,
    pub(crate) id: EvaluationId,
    pub(crate) circuit: Arc<Upload>,
    /// The board that answered, or the one that the circuit was last with or meant for.
    pub(crate) serial: Option<Serial>,
    /// Which try on that board this was, from 1.
    pub(crate) attempt: u32,
}

/// What an outcome that arrived means.
#[derive(Debug)]
pub(crate) enum Verdict<J> {
    /// It is the task's one outcome.
    Deliver(Settled<J>),
    /// The board gave up, but another board may still do it.
    Elsewhere,
    /// It repeats what was told, or answers nothing that was asked.
    Ignored,
}

/// Tasks in the order of their submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct TaskId(u64);

#[derive(Debug)]
struct Task<J> {
    id: EvaluationId,
    circuit: Arc<Upload>,
    job: J,
    /// The board that it belongs to; `None` if it may move.
    pin: Option<Serial>,
    /// The boards that it was given to, in order: the position is the attempt.
    tried: Vec<Serial>,
    /// The boards that have it now.
    live: Vec<Serial>,
    losses: u32,
}

impl<J> Task<J> {
    fn attempt_on(&self, serial: &Serial) -> u32 {
        let position = self.tried.iter().rposition(|tried| tried == serial);
        u32::try_from(position.unwrap_or(0)).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn settle(self, serial: Option<Serial>) -> Settled<J> {
        let serial = serial.or_else(|| self.tried.last().cloned()).or_else(|| self.pin.clone());
        let attempt = serial.as_ref().map_or(1, |serial| self.attempt_on(serial));
        Settled { job: self.job, id: self.id, circuit: self.circuit, serial, attempt }
    }
}

/// The state machine. Every call that changes something is followed by [`Self::fill`], which
/// returns what is to be done. `now` is the time since some fixed moment.
#[derive(Debug)]
pub(crate) struct Schedule<J> {
    limits: Limits,
    boards: BTreeMap<Serial, Board>,
    /// Open tasks only.
    tasks: BTreeMap<TaskId, Task<J>>,
    /// The open tasks by their evaluation's id, and by their board if they are pinned.
    by_id: HashMap<(EvaluationId, Option<Serial>), TaskId>,
    /// How many open tasks may move, those in `moving` among them.
    movable: usize,
    /// Moving tasks that no board has.
    moving: BTreeSet<TaskId>,
    next: u64,
    /// What the open tasks hold in memory.
    held: room::Held,
    effects: Vec<Effect<J>>,
}

impl<J: Clone> Schedule<J> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            boards: BTreeMap::new(),
            tasks: BTreeMap::new(),
            by_id: HashMap::new(),
            movable: 0,
            moving: BTreeSet::new(),
            next: 0,
            held: room::Held::default(),
            effects: Vec::new(),
        }
    }

    /// A board is held. It is given nothing before it is initialized and its worker connected.
    pub(crate) fn add_board(&mut self, now: Duration, serial: Serial, worker: Arc<str>) {
        self.boards.insert(serial, Board::new(now, worker));
    }

    /// Whether every task is settled.
    pub(crate) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Takes a circuit in. `id` must be new.
    pub(crate) fn submit(
        &mut self,
        job: J,
        id: EvaluationId,
        circuit: Arc<Upload>,
        places: Places<'_>,
    ) {
        let pins: Vec<Serial> = match places {
            Places::Each => self.boards.keys().cloned().collect(),
            Places::Boards(serials) => {
                let once = serials.iter().collect::<BTreeSet<_>>();
                once.into_iter().cloned().collect()
            }
            Places::Any => {
                let task = self.open(job, id, circuit, None);
                self.moving.insert(task);
                self.fail_hopeless();
                return;
            }
        };
        if pins.is_empty() {
            let task = self.open(job, id, circuit, None);
            self.fail(task, None, Loss::new(codes::NO_BOARD, "the placement names no board"));
            return;
        }
        for serial in pins {
            let task = self.open(job.clone(), id.clone(), circuit.clone(), Some(serial.clone()));
            let refused = match self.boards.get_mut(&serial) {
                None => Some(Loss::new(
                    codes::NOT_RESERVED,
                    format!("board {serial} is not part of this evaluator's reservation"),
                )),
                Some(board) => board.hopeless().cloned().or_else(|| {
                    board.queue.insert(task);
                    None
                }),
            };
            if let Some(loss) = refused {
                self.fail(task, Some(serial), loss);
            }
        }
    }

    /// Forgets the circuits that nobody waits for any more: they take up no room, and no board is
    /// given them. One that has them already stays busy with them until it answers.
    pub(crate) fn forget(&mut self, is_wanted: impl Fn(&J) -> bool) {
        let unwanted = self.tasks.iter().filter(|(_, task)| !is_wanted(&task.job));
        let unwanted: Vec<TaskId> = unwanted.map(|(task_id, _)| *task_id).collect();
        for task_id in unwanted {
            self.close(task_id);
        }
    }

    /// A board answered for an evaluation. `gave_up` says that the board could not finish the job
    /// though the circuit may be sound: then a moving circuit is tried elsewhere.
    pub(crate) fn outcome(
        &mut self,
        now: Duration,
        serial: &Serial,
        id: &EvaluationId,
        gave_up: bool,
    ) -> Verdict<J> {
        if let Some(board) = self.boards.get_mut(serial) {
            board.in_flight.retain(|flying| flying != id);
            board.sign_of_life(now);
        }
        let Some(task_id) = self.find(serial, id) else { return Verdict::Ignored };
        if gave_up && self.may_move_from(task_id, serial) {
            self.lose(
                task_id,
                serial,
                Loss::new(codes::BOARD_FAILED, "the board could not finish it"),
            );
            return Verdict::Elsewhere;
        }
        match self.close(task_id) {
            Some(task) => Verdict::Deliver(task.settle(Some(serial.clone()))),
            None => Verdict::Ignored,
        }
    }

    /// The evaluations that a board was given and has not answered.
    pub(crate) fn in_flight(&self, serial: &Serial) -> Vec<EvaluationId> {
        self.boards.get(serial).map(|board| board.in_flight.clone()).unwrap_or_default()
    }

    /// A board's worker did not take the command: a pinned task fails, a moving one goes on.
    pub(crate) fn refused(&mut self, serial: &Serial, id: &EvaluationId, loss: Loss) {
        if let Some(board) = self.boards.get_mut(serial) {
            board.in_flight.retain(|flying| flying != id);
        }
        if let Some(task) = self.find(serial, id) {
            self.lose(task, serial, loss);
        }
        self.fail_hopeless();
    }

    /// A board's worker has too much to do for the moment: the circuit waits, and the board rests.
    pub(crate) fn overloaded(&mut self, now: Duration, serial: &Serial, id: &EvaluationId) {
        let Some(board) = self.boards.get_mut(serial) else { return };
        board.in_flight.retain(|flying| flying != id);
        let given_up = board.rest(now, serial, &self.limits);
        if let Some(task_id) = self.find(serial, id)
            && let Some(task) = self.tasks.get_mut(&task_id)
        {
            task.live.retain(|live| live != serial);
            task.tried.retain(|tried| tried != serial);
            if task.pin.is_none() {
                if task.live.is_empty() {
                    self.moving.insert(task_id);
                }
            } else if let Some(board) = self.boards.get_mut(serial) {
                board.queue.insert(task_id);
            }
        }
        if let Some(loss) = given_up {
            self.give_up(serial, loss);
        }
    }

    /// A board takes commands, for the first time or again: what it has not answered is given to
    /// it once more under the same ids.
    pub(crate) fn initialized(&mut self, now: Duration, serial: &Serial) {
        if let Some(board) = self.boards.get_mut(serial).filter(|board| board.gone.is_none()) {
            board.initialized = true;
            board.sign_of_life(now);
            self.give_again(serial);
        }
    }

    /// A board does not know its lease, as after a restart of its worker. What it was given waits
    /// for [`Self::initialized`].
    pub(crate) fn not_ready(&mut self, now: Duration, serial: &Serial) {
        if let Some(board) = self.boards.get_mut(serial).filter(|board| board.initialized) {
            board.initialized = false;
            board.since = now;
        }
    }

    /// The socket to a worker is there, or is not. Circuits that its boards have stay with them.
    pub(crate) fn connected(&mut self, now: Duration, worker: &str, connected: bool) {
        for board in self.boards.values_mut().filter(|board| &*board.worker == worker) {
            if connected && !board.connected {
                board.sign_of_life(now);
            }
            board.connected = connected;
        }
    }

    /// Events of a worker may be missing: what its boards have not answered is given to them again.
    pub(crate) fn resync(&mut self, now: Duration, worker: &str) {
        let of_worker = self.boards.iter_mut().filter(|(_, board)| &*board.worker == worker);
        let serials: Vec<Serial> = of_worker
            .filter(|(_, board)| board.initialized && board.gone.is_none())
            .map(|(serial, board)| {
                board.sign_of_life(now);
                serial.clone()
            })
            .collect();
        for serial in &serials {
            self.give_again(serial);
        }
    }

    /// A worker has been away for so long that its boards are not waited for any more. They are
    /// used again when it is back.
    pub(crate) fn unreachable(&mut self, worker: &str, loss: &Loss) {
        let of_worker = self.boards.iter().filter(|(_, board)| &*board.worker == worker);
        let serials: Vec<Serial> = of_worker.map(|(serial, _)| serial.clone()).collect();
        for serial in serials {
            self.give_up(&serial, loss.clone());
        }
    }

    /// A board is lost for good: its lease is over.
    pub(crate) fn lost(&mut self, serial: &Serial, loss: Loss) {
        let Some(board) = self.boards.get_mut(serial).filter(|board| board.gone.is_none()) else {
            return;
        };
        board.gone = Some(loss.clone());
        self.abandon(serial, &loss);
    }

    /// When [`Self::tick`] has something to do, if nothing happens before.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.boards.values().filter_map(|board| board.deadline(&self.limits)).min()
    }

    /// Gives up boards that have been silent or not ready for too long.
    pub(crate) fn tick(&mut self, now: Duration) {
        let limits = &self.limits;
        let due: Vec<(Serial, Loss)> = self
            .boards
            .iter_mut()
            .filter(|(_, board)| board.deadline(limits).is_some_and(|at| at <= now))
            .filter_map(|(serial, board)| Some((serial.clone(), board.overdue(serial, limits)?)))
            .collect();
        for (serial, loss) in due {
            self.give_up(&serial, loss);
        }
    }

    fn give_up(&mut self, serial: &Serial, loss: Loss) {
        if let Some(board) = self.boards.get_mut(serial).filter(|board| board.gone.is_none()) {
            board.given_up = Some(loss.clone());
            self.abandon(serial, &loss);
        }
    }

    /// Ends what waits for the board, and takes from it what can move.
    fn abandon(&mut self, serial: &Serial, loss: &Loss) {
        let Some(board) = self.boards.get_mut(serial) else { return };
        let queue = std::mem::take(&mut board.queue);
        let in_flight = std::mem::take(&mut board.in_flight);
        for id in in_flight {
            if let Some(task) = self.find(serial, &id) {
                self.lose(task, serial, loss.clone());
            }
        }
        for task in queue {
            self.fail(task, Some(serial.clone()), loss.clone());
        }
        self.fail_hopeless();
    }

    /// Without any board to hope for, moving tasks would wait for ever.
    fn fail_hopeless(&mut self) {
        if self.moving.is_empty() || self.boards.values().any(|board| board.hopeless().is_none()) {
            return;
        }
        let last = self.boards.values().find_map(Board::hopeless);
        let reason = match last {
            Some(loss) => format!("no board is left; {}", loss.reason),
            None => "the reservation has no board".to_owned(),
        };
        for task in self.moving.clone() {
            self.fail(task, None, Loss::new(codes::NO_BOARD_LEFT, reason.clone()));
        }
    }

    /// The board does not have the task any more.
    fn lose(&mut self, task_id: TaskId, serial: &Serial, loss: Loss) {
        let attempts = self.limits.attempts;
        let Some(task) = self.tasks.get_mut(&task_id) else { return };
        task.live.retain(|live| live != serial);
        if task.pin.is_some() {
            self.fail(task_id, Some(serial.clone()), loss);
            return;
        }
        task.losses += 1;
        if !task.live.is_empty() {
            return;
        }
        if task.losses < attempts {
            self.moving.insert(task_id);
            return;
        }
        let reason = format!("given up after {attempts} boards; the last: {}", loss.reason);
        self.fail(task_id, Some(serial.clone()), Loss::new(loss.code, reason));
    }

    /// Whether a moving task that this board could not do may still be done elsewhere.
    fn may_move_from(&self, task_id: TaskId, serial: &Serial) -> bool {
        let Some(task) = self.tasks.get(&task_id).filter(|task| task.pin.is_none()) else {
            return false;
        };
        let elsewhere = task.live.iter().any(|live| live != serial);
        let untried = self
            .boards
            .iter()
            .any(|(other, board)| board.hopeless().is_none() && !task.tried.contains(other));
        elsewhere || (untried && task.losses + 1 < self.limits.attempts)
    }

    /// The open task that an answer of this board under this id is for.
    fn find(&self, serial: &Serial, id: &EvaluationId) -> Option<TaskId> {
        let pinned = self.by_id.get(&(id.clone(), Some(serial.clone())));
        let task = *pinned.or_else(|| self.by_id.get(&(id.clone(), None)))?;
        self.tasks.get(&task)?.tried.contains(serial).then_some(task)
    }

    fn open(
        &mut self,
        job: J,
        id: EvaluationId,
        circuit: Arc<Upload>,
        pin: Option<Serial>,
    ) -> TaskId {
        let task_id = TaskId(self.next);
        self.next += 1;
        self.movable += usize::from(pin.is_none());
        self.by_id.insert((id.clone(), pin.clone()), task_id);
        let (tried, live) = (Vec::new(), Vec::new());
        let task = Task { id, circuit, job, pin, tried, live, losses: 0 };
        self.held.add(&task);
        self.tasks.insert(task_id, task);
        task_id
    }

    /// Takes a task out of everything but the `in_flight` of boards that still have it: they stay
    /// busy with it until they answer.
    fn close(&mut self, task_id: TaskId) -> Option<Task<J>> {
        let task = self.tasks.remove(&task_id)?;
        self.held.remove(&task);
        self.moving.remove(&task_id);
        if let Some(board) = task.pin.as_ref().and_then(|pin| self.boards.get_mut(pin)) {
            board.queue.remove(&task_id);
        }
        self.movable -= usize::from(task.pin.is_none());
        self.by_id.remove(&(task.id.clone(), task.pin.clone()));
        Some(task)
    }

    fn fail(&mut self, task_id: TaskId, serial: Option<Serial>, loss: Loss) {
        if let Some(task) = self.close(task_id) {
            self.effects.push(Effect::Failed { settled: task.settle(serial), loss });
        }
    }
}
