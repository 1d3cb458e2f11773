//! How many circuits are taken in: enough that no board idles, and no more.
//!
//! - A moving circuit is taken as long as fewer wait than the boards can be given at once.
//! - A pinned circuit is taken as long as one of its boards has fewer waiting than it can be given
//!   at once. The others may lag behind it: what waits for them is kept, up to
//!   [`Limits::lag`](super::Limits::lag) bytes of circuits in all. Beyond that the slowest board
//!   sets the pace.
//! - Boards that are not waited for count for nothing: what is placed on them fails at once.

use super::{Board, Places, Schedule, Task};
use icefarm_core::EvaluationId;
use std::collections::HashMap;

/// What an open task takes in memory beside its circuit's bytes, in bytes.
const TASK: usize = 512;

/// The bytes of the circuits that are open, each counted once however many boards it is for.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: usize,
    tasks: HashMap<EvaluationId, usize>,
}

impl Held {
    pub(super) fn add<J>(&mut self, task: &Task<J>) {
        let tasks = self.tasks.entry(task.id.clone()).or_default();
        if *tasks == 0 {
            self.bytes += task.circuit.bytes.len();
        }
        *tasks += 1;
        self.bytes += TASK;
    }

    pub(super) fn remove<J>(&mut self, task: &Task<J>) {
        let Some(tasks) = self.tasks.get_mut(&task.id) else { return };
        *tasks -= 1;
        self.bytes -= TASK;
        if *tasks == 0 {
            self.tasks.remove(&task.id);
            self.bytes -= task.circuit.bytes.len();
        }
    }
}

impl<J: Clone> Schedule<J> {
    /// Whether one more circuit for these places should be taken in.
    pub(crate) fn has_room(&self, places: Places<'_>) -> bool {
        match places {
            Places::Any => self.moving.len() < self.limits.credits * self.boards.len().max(1),
            Places::Each => self.pinned_room(self.boards.values()),
            Places::Boards(serials) => {
                self.pinned_room(serials.iter().filter_map(|serial| self.boards.get(serial)))
            }
        }
    }

    fn pinned_room<'a>(&self, boards: impl Iterator<Item = &'a Board>) -> bool {
        let (mut hungry, mut full) = (false, false);
        for board in boards.filter(|board| board.hopeless().is_none()) {
            if board.queue.len() < self.limits.credits {
                hungry = true;
            } else {
                full = true;
            }
        }
        match (hungry, full) {
            (true, true) => self.held.bytes < self.limits.lag,
            (false, true) => false,
            (_, false) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{LIMITS, answer, at, farm, fill, serial, submit, upload};
    use super::super::{Limits, Verdict};
    use super::*;
    use icefarm_core::Serial;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn a_dead_board_does_not_hold_up_the_others_until_too_much_waits_for_it() {
        let mut farm = farm(&["w1", "w2"]);
        farm.connected(at(0), "w2", false);
        let mut taken = 0;
        while farm.has_room(Places::Each) {
            submit(&mut farm, taken, 1, Places::Each);
            fill(&mut farm, at(0));
            if farm.boards[&serial("A")].queue.len() >= LIMITS.credits / 2 {
                let first = farm.in_flight(&serial("A"))[0].to_string();
                answer(&mut farm, "A", &first).unwrap();
            }
            taken += 1;
        }
        assert!(farm.held.bytes >= LIMITS.lag && taken > 30, "{taken} were taken");
        // Whoever waits for the healthy board only is not held up by that.
        fill(&mut farm, at(0));
        assert!(farm.has_room(Places::Boards(&[serial("A")])) && farm.has_room(Places::Any));
        assert!(!farm.has_room(Places::Boards(&[serial("B")])));
        farm.lost(&serial("B"), crate::loss::Loss::new("lease", "over"));
        fill(&mut farm, at(0));
        assert!(farm.has_room(Places::Each) && farm.has_room(Places::Boards(&[serial("B")])));
    }

    #[test]
    fn the_bytes_of_a_circuit_count_once_for_all_its_boards() {
        let mut farm = farm(&["w1", "w2"]);
        submit(&mut farm, 0, 1, Places::Each);
        assert_eq!(farm.held.bytes, upload().bytes.len() + 2 * TASK);
        fill(&mut farm, at(0));
        answer(&mut farm, "A", "0").unwrap();
        assert_eq!(farm.held.bytes, upload().bytes.len() + TASK);
        answer(&mut farm, "B", "0").unwrap();
        assert!(farm.held.bytes == 0 && farm.held.tasks.is_empty());
    }

    /// Where somebody has circuits without end for.
    #[derive(Debug, Clone)]
    enum Wish {
        Each,
        On(Vec<u8>),
        Any,
    }

    #[derive(Debug, Clone)]
    enum Step {
        Answer(u8),
        Connected(u8, bool),
        Initialized(u8),
        NotReady(u8),
        Overloaded(u8),
        Unreachable(u8),
        Lost(u8),
        Wait(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            20 => any::<u8>().prop_map(Step::Answer),
            3 => (any::<u8>(), any::<bool>()).prop_map(|(worker, up)| Step::Connected(worker, up)),
            2 => any::<u8>().prop_map(Step::Initialized),
            1 => any::<u8>().prop_map(Step::NotReady),
            1 => any::<u8>().prop_map(Step::Overloaded),
            1 => any::<u8>().prop_map(Step::Unreachable),
            1 => any::<u8>().prop_map(Step::Lost),
            1 => any::<u8>().prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 1..150)
    }

    fn wishes() -> impl Strategy<Value = Vec<Wish>> {
        let wish = prop_oneof![
            Just(Wish::Each),
            Just(Wish::Any),
            prop::collection::vec(0..4u8, 1..3).prop_map(Wish::On),
        ];
        prop::collection::vec(wish, 1..4)
    }

    struct Play {
        schedule: Schedule<u32>,
        serials: Vec<Serial>,
        wishes: Vec<(Wish, Vec<Serial>)>,
        next: u32,
    }

    impl Play {
        fn places<'a>(wish: &Wish, serials: &'a [Serial]) -> Places<'a> {
            match wish {
                Wish::Each => Places::Each,
                Wish::Any => Places::Any,
                Wish::On(_) => Places::Boards(serials),
            }
        }

        /// Takes in what there is room for, as the driver does.
        fn pump(&mut self, now: Duration) {
            loop {
                fill(&mut self.schedule, now);
                let living = self.schedule.boards.values().any(|board| board.hopeless().is_none());
                let wanted = self.wishes.iter().find(|(wish, serials)| {
                    // What fails at once could be taken in for ever.
                    let hopeful =
                        |serial: &Serial| self.schedule.boards[serial].hopeless().is_none();
                    let waits = living && (serials.is_empty() || serials.iter().any(hopeful));
                    waits && self.schedule.has_room(Self::places(wish, serials))
                });
                let Some((wish, serials)) = wanted else { break };
                let (job, places) = (self.next, Self::places(wish, serials));
                self.next += 1;
                self.schedule.submit(job, format!("{job}").into(), upload(), places);
            }
        }

        fn nobody_idles(&self) {
            for (serial, board) in &self.schedule.boards {
                if !board.is_ready() || !board.in_flight.is_empty() {
                    continue;
                }
                for (wish, serials) in &self.wishes {
                    let eligible = serials.is_empty() || serials.contains(serial);
                    let spent = self.schedule.held.bytes >= LIMITS.lag;
                    let moves = matches!(wish, Wish::Any);
                    assert!(!eligible || (spent && !moves), "{serial} idles in spite of {wish:?}");
                }
            }
        }

        fn memory_is_bounded(&self) {
            let boards = self.serials.len();
            let one = upload().bytes.len() + boards * TASK;
            // Beyond the lag there is at most what boards are given and have waiting anyway.
            let own = 3 * LIMITS.credits * boards * one;
            assert!(self.schedule.held.bytes <= LIMITS.lag + own);
            let tasks: usize = self.schedule.held.tasks.values().sum();
            assert_eq!(tasks, self.schedule.tasks.len());
        }
    }

    proptest! {
        #[test]
        fn no_board_idles_while_there_are_circuits_for_it(
            wishes in wishes(),
            steps in steps(),
        ) {
            let workers = ["w1", "w1", "w2", "w3"];
            let serials: Vec<Serial> = ["A", "B", "C", "D"].map(serial).to_vec();
            let wishes = wishes.into_iter().map(|wish| {
                let serials = match &wish {
                    Wish::On(on) => on.iter().map(|at| serials[usize::from(*at)].clone()).collect(),
                    _ => Vec::new(),
                };
                (wish, serials)
            });
            let (schedule, wishes) = (farm(&workers), wishes.collect());
            let mut play = Play { schedule, serials, wishes, next: 0 };
            let mut now = at(0);
            play.pump(now);
            for step in steps {
                let board = |index: u8| play.serials[usize::from(index) % 4].clone();
                let worker = |index: u8| workers[usize::from(index) % 4];
                let schedule = &mut play.schedule;
                match step {
                    Step::Answer(index) => {
                        let board = board(index);
                        if let Some(id) = schedule.in_flight(&board).first() {
                            let told = schedule.outcome(now, &board, id, false);
                            prop_assert!(!matches!(told, Verdict::Elsewhere));
                        }
                    }
                    Step::Connected(index, up) => schedule.connected(now, worker(index), up),
                    Step::Initialized(index) => schedule.initialized(now, &board(index)),
                    Step::NotReady(index) => schedule.not_ready(now, &board(index)),
                    Step::Overloaded(index) => {
                        let board = board(index);
                        if let Some(id) = schedule.in_flight(&board).last().cloned() {
                            schedule.overloaded(now, &board, &id);
                        }
                    }
                    Step::Unreachable(index) => {
                        schedule.connected(now, worker(index), false);
                        schedule.unreachable(worker(index), &crate::loss::Loss::new("away", "no"));
                    }
                    Step::Lost(index) => {
                        schedule.lost(&board(index), crate::loss::Loss::new("lease", "over"));
                    }
                    Step::Wait(seconds) => {
                        now += at(seconds.into());
                        schedule.tick(now);
                    }
                }
                play.pump(now);
                play.nobody_idles();
                play.memory_is_bounded();
            }
        }
    }

    #[test]
    fn without_lag_the_slowest_board_sets_the_pace() {
        let limits = Limits { lag: 0, ..LIMITS };
        let mut farm = farm(&["w1", "w2"]);
        farm.limits = limits;
        let mut taken = 0;
        while farm.has_room(Places::Each) {
            submit(&mut farm, taken, 1, Places::Each);
            taken += 1;
        }
        assert_eq!(taken as usize, LIMITS.credits);
    }
}
