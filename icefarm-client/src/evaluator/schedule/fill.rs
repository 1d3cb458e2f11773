//! Placing: boards get circuits in the order of submission, as many as they have credit for.
//!
//! - A board is filled up when half of its credits are free, not at every outcome: so boards of
//!   one worker that go in step want the same circuit at the same time, and share its upload.
//! - A moving circuit goes to the board with the least to do. As fewer of them wait, less is given
//!   in advance, down to nothing, so that the last ones do not queue behind each other.
//! - A board that idles while another still has a moving circuit in waiting gets a copy of it: the
//!   first outcome counts.

use super::{Effect, Schedule, TaskId, Upload};
use icefarm_core::Serial;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

impl<J: Clone> Schedule<J> {
    /// Gives boards what they can take and returns everything that is to be done since the last
    /// call, in order.
    pub(crate) fn fill(&mut self, now: Duration) -> Vec<Effect<J>> {
        let mut hungry: BTreeSet<Serial> = self
            .boards
            .iter()
            .filter(|(_, board)| {
                board.is_ready() && board.in_flight.len() <= self.limits.credits / 2
            })
            .map(|(serial, _)| serial.clone())
            .collect();
        loop {
            hungry.retain(|serial| self.load(serial) < self.limits.credits);
            let pinned = self.oldest_pinned(&hungry);
            let moving = self.oldest_moving(&hungry);
            match (pinned, moving) {
                (Some((task, _)), Some((mover, target))) if mover < task => {
                    self.give(now, mover, vec![target]);
                }
                (Some((task, serial)), _) => self.give_shared(now, task, &serial),
                (None, Some((mover, target))) => self.give(now, mover, vec![target]),
                (None, None) => break,
            }
        }
        while let Some((task, idle)) = self.copy_for_an_idle_board() {
            self.give(now, task, vec![idle]);
        }
        std::mem::take(&mut self.effects)
    }

    fn load(&self, serial: &Serial) -> usize {
        self.boards.get(serial).map_or(usize::MAX, |board| board.in_flight.len())
    }

    fn oldest_pinned(&self, hungry: &BTreeSet<Serial>) -> Option<(TaskId, Serial)> {
        let head =
            |serial: &Serial| Some((*self.boards.get(serial)?.queue.first()?, serial.clone()));
        hungry.iter().filter_map(head).min()
    }

    /// The oldest moving task that a board can take, and the best board for it.
    fn oldest_moving(&self, hungry: &BTreeSet<Serial>) -> Option<(TaskId, Serial)> {
        let ready = self.boards.values().filter(|board| board.is_ready()).count();
        let waiting = self.moving.len();
        if ready == 0 || waiting == 0 {
            return None;
        }
        // Enough must stay for the other boards to find one each when they are done.
        let in_advance = (waiting - 1).checked_div(ready - 1).unwrap_or(usize::MAX);
        let depth = in_advance.saturating_add(1).clamp(1, self.limits.credits);
        let takes = |serial: &Serial, task: TaskId| {
            let Some(board) = self.boards.get(serial) else { return false };
            let younger_is_next =
                hungry.contains(serial) && board.queue.first().is_some_and(|head| *head > task);
            board.is_ready() && (board.in_flight.len() < depth || younger_is_next)
        };
        self.moving.iter().find_map(|&task| {
            let best = self
                .boards
                .iter()
                .filter(|(serial, _)| takes(serial, task) && self.may_try(task, serial))
                .min_by_key(|(_, board)| (board.in_flight.len(), board.queue.len()))?;
            Some((task, best.0.clone()))
        })
    }

    /// A moving task goes back to a board that lost it only if there is no other to hope for.
    fn may_try(&self, task: TaskId, serial: &Serial) -> bool {
        let Some(task) = self.tasks.get(&task) else { return false };
        !task.tried.contains(serial)
            || self
                .boards
                .iter()
                .all(|(other, board)| board.hopeless().is_some() || task.tried.contains(other))
    }

    /// Gives a pinned task to its board, and its siblings to the boards of the same worker that
    /// have it next and can take it.
    fn give_shared(&mut self, now: Duration, task: TaskId, serial: &Serial) {
        let Some(id) = self.tasks.get(&task).map(|task| task.id.clone()) else { return };
        let Some(worker) = self.boards.get(serial).map(|board| board.worker.clone()) else {
            return;
        };
        let siblings: Vec<(TaskId, Serial)> = self
            .boards
            .iter()
            .filter(|(_, board)| {
                board.worker == worker
                    && board.is_ready()
                    && board.in_flight.len() < self.limits.credits
            })
            .filter_map(|(other, board)| Some((*board.queue.first()?, other.clone())))
            .filter(|(head, _)| self.tasks.get(head).is_some_and(|task| task.id == id))
            .collect();
        let mut circuit = None;
        for (task, serial) in &siblings {
            circuit = self.hand_over(now, *task, serial).or(circuit);
        }
        let serials = siblings.into_iter().map(|(_, serial)| serial).collect();
        if let Some(circuit) = circuit {
            self.effects.push(Effect::Send { worker, serials, id, circuit });
        }
    }

    fn give(&mut self, now: Duration, task_id: TaskId, serials: Vec<Serial>) {
        let Some(id) = self.tasks.get(&task_id).map(|task| task.id.clone()) else { return };
        for serial in serials {
            let circuit = self.hand_over(now, task_id, &serial);
            let worker = self.boards.get(&serial).map(|board| board.worker.clone());
            if let (Some(circuit), Some(worker)) = (circuit, worker) {
                let (id, serials) = (id.clone(), vec![serial]);
                self.effects.push(Effect::Send { worker, serials, id, circuit });
            }
        }
    }

    /// Books a task on a board.
    fn hand_over(
        &mut self,
        now: Duration,
        task_id: TaskId,
        serial: &Serial,
    ) -> Option<Arc<Upload>> {
        let board = self.boards.get_mut(serial)?;
        let task = self.tasks.get_mut(&task_id)?;
        board.queue.remove(&task_id);
        self.moving.remove(&task_id);
        if board.in_flight.is_empty() {
            board.since = now;
        }
        // A copy that came back to the same board is in its list already.
        board.in_flight.retain(|id| *id != task.id);
        board.in_flight.push(task.id.clone());
        task.tried.push(serial.clone());
        task.live.push(serial.clone());
        Some(task.circuit.clone())
    }

    /// What an idle board could take from another: the last that the other will come to, and what
    /// the other is working on only if it is away or not ready.
    fn copy_for_an_idle_board(&self) -> Option<(TaskId, Serial)> {
        let idle: Vec<&Serial> = self
            .boards
            .iter()
            .filter(|(_, board)| board.is_ready() && board.in_flight.is_empty())
            .map(|(serial, _)| serial)
            .collect();
        if idle.is_empty() {
            return None;
        }
        let mut busy: Vec<_> = self.boards.iter().collect();
        busy.sort_by_key(|(_, board)| Reverse(board.in_flight.len()));
        for (serial, board) in busy {
            for id in board.in_flight.iter().skip(usize::from(board.is_ready())).rev() {
                let Some(task_id) = self.find(serial, id) else { continue };
                let Some(task) = self.tasks.get(&task_id) else { continue };
                let only_here = task.pin.is_none() && task.live == [serial.clone()];
                let target = idle.iter().find(|idle| !task.tried.contains(idle));
                if let (true, Some(target)) = (only_here, target) {
                    return Some((task_id, (*target).clone()));
                }
            }
        }
        None
    }

    /// Gives a board once more what it has not answered; what another board answered meanwhile is
    /// forgotten.
    pub(super) fn give_again(&mut self, serial: &Serial) {
        let Some(board) = self.boards.get(serial) else { return };
        let worker = board.worker.clone();
        let mut open = Vec::new();
        for id in &board.in_flight {
            if let Some(task) = self.find(serial, id).and_then(|task| self.tasks.get(&task)) {
                open.push((id.clone(), task.circuit.clone()));
            }
        }
        if let Some(board) = self.boards.get_mut(serial) {
            board.in_flight = open.iter().map(|(id, _)| id.clone()).collect();
        }
        for (id, circuit) in open {
            let (worker, serials) = (worker.clone(), vec![serial.clone()]);
            self.effects.push(Effect::Send { worker, serials, id, circuit });
        }
    }
}
