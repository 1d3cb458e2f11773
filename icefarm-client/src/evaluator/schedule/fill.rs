//! Placing: boards get circuits in the order of submission, as many as they have credit for.
//!
//! - A board is filled up when half of its credits are free, not at every outcome: so boards of
//!   one worker that go in step want the same circuit at the same time, and share its upload.
//! - A moving circuit goes to the board with the least to do. As fewer of them wait, less is given
//!   in advance, down to nothing, so that the last ones do not queue behind each other.
//! - A board that idles while another still has a moving circuit in waiting gets a copy of it: the
//!   first outcome counts.

use super::{Board, Effect, Schedule, TaskId};
use icefarm_core::Serial;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

impl<J: Clone> Schedule<J> {
    /// Gives boards what they can take and returns everything that is to be done since the last
    /// call, in order. Circuits that nobody waits for any more are forgotten instead.
    pub(crate) fn fill(&mut self, now: Duration, is_wanted: impl Fn(&J) -> bool) -> Vec<Effect<J>> {
        let mut hungry: BTreeSet<Serial> = self
            .boards
            .iter()
            .filter(|(_, board)| {
                board.is_ready() && board.in_flight.len() <= self.limits.credits / 2
            })
            .map(|(serial, _)| serial.clone())
            .collect();
        loop {
            let given = match (self.oldest_pinned(&hungry), self.oldest_moving(&hungry)) {
                (Some((task, _)), Some((mover, target))) if mover < task => vec![(mover, target)],
                (Some((task, serial)), _) => self.shared(task, &serial),
                (None, Some((mover, target))) => vec![(mover, target)],
                (None, None) => break,
            };
            debug_assert!(!given.is_empty(), "a hungry board takes what is next for it");
            // All of them are of one submission, so they are wanted together or not at all.
            let job =
                given.first().and_then(|(task, _)| self.tasks.get(task)).map(|task| &task.job);
            if !job.is_some_and(&is_wanted) {
                given.into_iter().for_each(|(task, _)| drop(self.close(task)));
                continue;
            }
            for serial in self.give(now, given) {
                if self.load(&serial) >= self.limits.credits {
                    hungry.remove(&serial);
                }
            }
        }
        while let Some((task, idle)) = self.copy_for_an_idle_board() {
            self.give(now, vec![(task, idle)]);
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
        let takers: Vec<(&Serial, &Board)> = self
            .boards
            .iter()
            .filter(|(serial, board)| {
                // Where a younger task would be next, an older one may go instead.
                let room = board.in_flight.len() < depth;
                board.is_ready() && (room || hungry.contains(*serial) && !board.queue.is_empty())
            })
            .collect();
        if takers.is_empty() {
            return None;
        }
        self.moving.iter().find_map(|&task| {
            let best = takers
                .iter()
                .filter(|(_, board)| {
                    let room = board.in_flight.len() < depth;
                    room || board.queue.first().is_some_and(|head| *head > task)
                })
                .filter(|(serial, _)| self.may_try(task, serial))
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

    /// The tasks that go out with this one: the same circuit for boards of the same worker that
    /// have it next and can take it.
    fn shared(&self, task: TaskId, serial: &Serial) -> Vec<(TaskId, Serial)> {
        let (Some(task), Some(board)) = (self.tasks.get(&task), self.boards.get(serial)) else {
            return Vec::new();
        };
        let takes = |other: &Board| {
            let room = other.in_flight.len() < self.limits.credits;
            other.worker == board.worker && other.is_ready() && room
        };
        let others = self.boards.iter().filter(|(_, other)| takes(other));
        others
            .filter_map(|(serial, other)| Some((*other.queue.first()?, serial.clone())))
            .filter(|(head, _)| self.tasks.get(head).is_some_and(|head| head.id == task.id))
            .collect()
    }

    /// Gives tasks of one circuit to boards of one worker. Returns the boards.
    fn give(&mut self, now: Duration, tasks: Vec<(TaskId, Serial)>) -> Vec<Serial> {
        let mut upload = None;
        for (task_id, serial) in &tasks {
            let (Some(board), Some(task)) =
                (self.boards.get_mut(serial), self.tasks.get_mut(task_id))
            else {
                continue;
            };
            board.queue.remove(task_id);
            self.moving.remove(task_id);
            if board.in_flight.is_empty() {
                board.since = now;
            }
            // A copy that came back to the same board is in its list already.
            board.in_flight.retain(|id| *id != task.id);
            board.in_flight.push(task.id.clone());
            task.tried.push(serial.clone());
            task.live.push(serial.clone());
            upload = Some((board.worker.clone(), task.id.clone(), task.circuit.clone()));
        }
        let serials: Vec<Serial> = tasks.into_iter().map(|(_, serial)| serial).collect();
        if let Some((worker, id, circuit)) = upload {
            self.effects.push(Effect::Send { worker, serials: serials.clone(), id, circuit });
        }
        serials
    }

    /// What an idle board could take from another: the last that the other will come to, and what
    /// the other is working on only if it is away or not ready.
    fn copy_for_an_idle_board(&self) -> Option<(TaskId, Serial)> {
        if self.movable == self.moving.len() {
            return None;
        }
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
