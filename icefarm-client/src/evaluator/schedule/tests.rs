use super::*;
use proptest::prelude::*;

type Sent = Vec<(String, Vec<String>)>;

pub(super) const LIMITS: Limits = Limits {
    credits: 4,
    attempts: 3,
    silence: Duration::from_secs(60),
    patience: Duration::from_secs(180),
    lag: 64 << 10,
};

pub(super) fn serial(text: &str) -> Serial {
    Serial::new(text).unwrap()
}

pub(super) fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn upload() -> Arc<Upload> {
    Arc::new(Upload { name: "c".into(), bytes: Blob::from(vec![1]), sha256: "00".into() })
}

/// Boards `A`, `B`, .. of the named workers, ready.
pub(super) fn farm(workers: &[&str]) -> Schedule<u32> {
    let mut schedule = Schedule::new(LIMITS);
    for (index, worker) in workers.iter().enumerate() {
        let name = serial(&char::from(b'A' + index as u8).to_string());
        schedule.add_board(at(0), name.clone(), Arc::from(*worker));
        schedule.connected(at(0), worker, true);
        schedule.initialized(at(0), &name);
    }
    schedule
}

pub(super) fn fill(schedule: &mut Schedule<u32>, now: Duration) -> Vec<Effect<u32>> {
    schedule.fill(now, |_| true)
}

pub(super) fn submit(schedule: &mut Schedule<u32>, from: u32, count: u32, places: Places<'_>) {
    for job in from..from + count {
        schedule.submit(job, format!("{job}").into(), upload(), places);
    }
}

fn sent(effects: &[Effect<u32>]) -> Sent {
    let send = |effect: &Effect<u32>| match effect {
        Effect::Send { serials, id, .. } => {
            Some((id.to_string(), serials.iter().map(ToString::to_string).collect()))
        }
        Effect::Failed { .. } => None,
    };
    effects.iter().filter_map(send).collect()
}

fn failed(effects: &[Effect<u32>]) -> Vec<(u32, &str)> {
    let fail = |effect: &'_ Effect<u32>| match effect {
        Effect::Failed { settled, loss } => Some((settled.job, loss.code.clone())),
        Effect::Send { .. } => None,
    };
    let codes = ["lease", "timeout", "no_board_left", "no_board", "not_reserved", "away", "busy"];
    let known = |code: String| *codes.iter().find(|known| **known == code).expect("a known code");
    effects.iter().filter_map(fail).map(|(job, code)| (job, known(code))).collect()
}

pub(super) fn answer(schedule: &mut Schedule<u32>, board: &str, id: &str) -> Option<u32> {
    match schedule.outcome(at(1), &serial(board), &id.into(), false) {
        Verdict::Deliver(settled) => Some(settled.job),
        Verdict::Elsewhere | Verdict::Ignored => None,
    }
}

#[test]
fn one_upload_serves_all_boards_of_a_worker() {
    let mut farm = farm(&["w1", "w1", "w2"]);
    submit(&mut farm, 0, 1, Places::Each);
    let effects = fill(&mut farm, at(0));
    assert_eq!(
        sent(&effects),
        [("0".into(), vec!["A".into(), "B".into()]), ("0".into(), vec!["C".into()])]
    );
    assert_eq!(answer(&mut farm, "B", "0"), Some(0));
    assert_eq!(answer(&mut farm, "B", "0"), None, "a repetition is ignored");
    assert_eq!(answer(&mut farm, "A", "0"), Some(0));
    assert_eq!(answer(&mut farm, "C", "1"), None, "an unknown id is ignored");
    assert_eq!(answer(&mut farm, "C", "0"), Some(0));
    assert!(farm.is_idle());
}

#[test]
fn credits_bound_what_a_board_is_given_and_are_refilled_together() {
    let mut farm = farm(&["w", "w"]);
    submit(&mut farm, 0, 10, Places::Each);
    let both = || vec!["A".to_owned(), "B".to_owned()];
    let effects = fill(&mut farm, at(0));
    assert_eq!(sent(&effects), (0..4).map(|id| (id.to_string(), both())).collect::<Sent>());
    // The boards go in step, one a little ahead: still every circuit is uploaded once.
    assert_eq!(answer(&mut farm, "A", "0"), Some(0));
    assert_eq!(sent(&fill(&mut farm, at(1))), Sent::new());
    assert_eq!(answer(&mut farm, "B", "0"), Some(0));
    assert_eq!(answer(&mut farm, "A", "1"), Some(1));
    assert_eq!(sent(&fill(&mut farm, at(1)))[0], ("4".into(), both()));
}

#[test]
fn the_last_moving_circuits_are_not_given_in_advance() {
    let mut farm = farm(&["w", "w"]);
    submit(&mut farm, 0, 3, Places::Any);
    assert_eq!(sent(&fill(&mut farm, at(0))).len(), 2);
    assert_eq!(answer(&mut farm, "B", "1"), Some(1));
    assert_eq!(sent(&fill(&mut farm, at(1))), [("2".to_owned(), vec!["B".to_owned()])]);
}

#[test]
fn an_idle_board_gets_a_copy_of_what_waits_elsewhere_and_the_first_outcome_counts() {
    let mut farm = farm(&["w", "w"]);
    farm.connected(at(0), "w", false);
    farm.boards.get_mut("A").unwrap().connected = true;
    submit(&mut farm, 0, 2, Places::Any);
    // Only A is there: it gets both.
    assert_eq!(sent(&fill(&mut farm, at(0))).len(), 2);
    farm.connected(at(1), "w", true);
    assert_eq!(sent(&fill(&mut farm, at(1))), [("1".to_owned(), vec!["B".to_owned()])]);
    let verdict = farm.outcome(at(2), &serial("B"), &"1".into(), false);
    assert!(matches!(verdict, Verdict::Deliver(Settled { job: 1, attempt: 2, .. })));
    assert_eq!(answer(&mut farm, "A", "0"), Some(0));
    assert_eq!(answer(&mut farm, "A", "1"), None, "the slower copy is ignored");
    assert!(farm.in_flight(&serial("A")).is_empty());
}

#[test]
fn the_death_of_a_board_moves_what_can_move_and_fails_what_is_pinned() {
    let mut farm = farm(&["w1", "w2"]);
    submit(&mut farm, 0, 1, Places::Boards(&[serial("A")]));
    fill(&mut farm, at(0));
    submit(&mut farm, 1, 4, Places::Any);
    let on = |effects: &[Effect<u32>], board: &str| {
        let sent = sent(effects);
        sent.into_iter().filter(|(_, b)| b[0] == board).map(|(id, _)| id).collect::<Vec<_>>()
    };
    let effects = fill(&mut farm, at(0));
    assert_eq!(
        (on(&effects, "A"), on(&effects, "B")),
        (vec!["2".into()], vec!["1".into(), "3".into()])
    );
    farm.lost(&serial("A"), Loss::new("lease", "over"));
    let effects = fill(&mut farm, at(1));
    assert_eq!(failed(&effects), [(0, "lease")]);
    assert_eq!(on(&effects, "B"), ["2", "4"]);
    let late = farm.outcome(at(1), &serial("A"), &"2".into(), false);
    assert!(matches!(late, Verdict::Deliver(Settled { job: 2, attempt: 1, .. })), "still true");
    for job in [1, 3, 4] {
        assert_eq!(answer(&mut farm, "B", &job.to_string()), Some(job));
    }
    assert!(farm.is_idle());
    submit(&mut farm, 9, 1, Places::Each);
    assert_eq!(failed(&fill(&mut farm, at(4))), [(9, "lease")], "at once, not after a wait");
}

#[test]
fn when_no_board_is_left_everything_fails() {
    let mut farm = farm(&["w"]);
    submit(&mut farm, 0, 9, Places::Any);
    fill(&mut farm, at(0));
    farm.lost(&serial("A"), Loss::new("lease", "over"));
    assert_eq!(failed(&fill(&mut farm, at(1))).len(), 9);
    submit(&mut farm, 9, 1, Places::Any);
    submit(&mut farm, 10, 1, Places::Boards(&[]));
    submit(&mut farm, 11, 1, Places::Boards(&[serial("Z")]));
    assert_eq!(
        failed(&fill(&mut farm, at(1))),
        [(9, "no_board_left"), (10, "no_board"), (11, "not_reserved")]
    );
}

#[test]
fn a_board_that_is_initialized_again_is_given_its_open_circuits_again() {
    let mut farm = farm(&["w"]);
    submit(&mut farm, 0, 3, Places::Each);
    fill(&mut farm, at(0));
    assert_eq!(answer(&mut farm, "A", "0"), Some(0));
    farm.not_ready(at(1), &serial("A"));
    assert_eq!(sent(&fill(&mut farm, at(1))), Sent::new());
    farm.initialized(at(2), &serial("A"));
    let again =
        vec![("1".to_owned(), vec!["A".to_owned()]), ("2".to_owned(), vec!["A".to_owned()])];
    assert_eq!(sent(&fill(&mut farm, at(2))), again);
    farm.resync(at(3), "w");
    assert_eq!(sent(&fill(&mut farm, at(3))), again);
}

#[test]
fn a_silent_board_is_given_up_and_used_again_after_a_sign_of_life() {
    let mut farm = farm(&["w"]);
    submit(&mut farm, 0, 6, Places::Each);
    fill(&mut farm, at(0));
    assert_eq!(farm.next_deadline(), Some(at(60)));
    farm.outcome(at(59), &serial("A"), &"0".into(), false);
    farm.tick(at(60));
    assert_eq!(failed(&fill(&mut farm, at(60))), []);
    assert_eq!(farm.next_deadline(), Some(at(119)));
    farm.tick(at(119));
    assert_eq!(failed(&fill(&mut farm, at(119))).len(), 5);
    submit(&mut farm, 6, 1, Places::Each);
    assert_eq!(failed(&fill(&mut farm, at(120))), [(6, "timeout")]);
    assert_eq!(answer(&mut farm, "A", "1"), None);
    submit(&mut farm, 7, 1, Places::Each);
    assert_eq!(sent(&fill(&mut farm, at(121))).len(), 1);
}

#[test]
fn a_circuit_that_boards_give_up_is_tried_elsewhere_a_bounded_number_of_times() {
    let mut farm = farm(&["w", "w", "w", "w"]);
    submit(&mut farm, 0, 1, Places::Any);
    for (round, board) in ["A", "B"].iter().enumerate() {
        assert_eq!(sent(&fill(&mut farm, at(0)))[0].1, [*board]);
        let verdict = farm.outcome(at(round as u64), &serial(board), &"0".into(), true);
        assert!(matches!(verdict, Verdict::Elsewhere));
    }
    assert_eq!(sent(&fill(&mut farm, at(3)))[0].1, ["C"]);
    let verdict = farm.outcome(at(3), &serial("C"), &"0".into(), true);
    assert!(matches!(verdict, Verdict::Deliver(Settled { attempt: 3, .. })));
}

#[test]
fn a_refused_command_fails_a_pinned_circuit_and_moves_another() {
    let mut farm = farm(&["w", "w"]);
    submit(&mut farm, 0, 1, Places::Boards(&[serial("A")]));
    fill(&mut farm, at(0));
    farm.refused(&serial("A"), &"0".into(), Loss::new("busy", "queue full"));
    assert_eq!(failed(&fill(&mut farm, at(0))), [(0, "busy")]);
    submit(&mut farm, 1, 1, Places::Any);
    assert_eq!(sent(&fill(&mut farm, at(0)))[0].1, ["A"]);
    farm.refused(&serial("A"), &"1".into(), Loss::new("busy", "queue full"));
    assert_eq!(sent(&fill(&mut farm, at(0)))[0].1, ["B"]);
}

#[test]
fn what_nobody_waits_for_is_not_given_to_boards() {
    let mut farm = farm(&["w"]);
    submit(&mut farm, 0, 6, Places::Each);
    submit(&mut farm, 6, 2, Places::Any);
    fill(&mut farm, at(0));
    for id in ["0", "1", "2", "3"] {
        assert!(answer(&mut farm, "A", id).is_some(), "the board has it");
    }
    let effects = farm.fill(at(1), |job| *job == 5);
    assert_eq!(sent(&effects), [("5".to_owned(), vec!["A".to_owned()])]);
    assert_eq!(answer(&mut farm, "A", "5"), Some(5));
    assert!(farm.is_idle());
}

#[test]
fn what_nobody_waits_for_takes_no_room() {
    let mut farm = farm(&["w1", "w2"]);
    farm.connected(at(0), "w2", false);
    submit(&mut farm, 0, 20, Places::Any);
    submit(&mut farm, 20, 20, Places::Each);
    fill(&mut farm, at(0));
    let on_b = [serial("B")];
    assert!(!farm.has_room(Places::Any) && !farm.has_room(Places::Boards(&on_b)));
    farm.forget(|job| *job == 30);
    assert!(farm.has_room(Places::Any) && farm.has_room(Places::Boards(&on_b)));
    assert_eq!(farm.tasks.len(), 2, "the one circuit that is wanted, on both boards");
    // The board has been given some, and stays busy with them.
    assert_eq!(farm.in_flight(&serial("A")).len(), LIMITS.credits);
    for id in farm.in_flight(&serial("A")) {
        assert_eq!(answer(&mut farm, "A", id.as_str()), None);
    }
    assert_eq!(sent(&fill(&mut farm, at(1))), [("30".to_owned(), vec!["A".to_owned()])]);
    assert_eq!(answer(&mut farm, "A", "30"), Some(30));
}

#[test]
fn an_overloaded_board_rests_and_goes_on_until_patience_ends() {
    let mut farm = farm(&["w"]);
    submit(&mut farm, 0, 1, Places::Each);
    assert_eq!(sent(&fill(&mut farm, at(0))).len(), 1);
    farm.overloaded(at(0), &serial("A"), &"0".into());
    assert_eq!(sent(&fill(&mut farm, at(0))), Sent::new());
    let mut now = farm.next_deadline().unwrap();
    farm.tick(now);
    assert_eq!(sent(&fill(&mut farm, now)), [("0".to_owned(), vec!["A".to_owned()])]);
    while now < at(60) {
        farm.overloaded(now, &serial("A"), &"0".into());
        now = farm.next_deadline().unwrap();
        farm.tick(now);
        assert_eq!(sent(&fill(&mut farm, now)).len(), 1);
    }
    farm.overloaded(now, &serial("A"), &"0".into());
    assert_eq!(failed(&fill(&mut farm, now)), [(0, "timeout")]);
}

#[test]
fn a_worker_that_comes_back_is_used_again() {
    let mut farm = farm(&["w"]);
    submit(&mut farm, 0, 1, Places::Each);
    fill(&mut farm, at(0));
    farm.connected(at(1), "w", false);
    assert_eq!(farm.next_deadline(), None, "the socket has its own bound");
    farm.unreachable("w", &Loss::new("away", "no route"));
    assert_eq!(failed(&fill(&mut farm, at(2))), [(0, "away")]);
    farm.connected(at(3), "w", true);
    submit(&mut farm, 1, 1, Places::Each);
    assert_eq!(sent(&fill(&mut farm, at(3))).len(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Submit(u8),
    Answer { board: u8, index: u8, gave_up: bool },
    AnswerOld { board: u8, id: u8 },
    Initialized(u8),
    NotReady(u8),
    Refused { board: u8, index: u8, overloaded: bool },
    Connected(u8, bool),
    Unreachable(u8),
    Resync(u8),
    Lost(u8),
    Wait(u8),
    Forget(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => any::<u8>().prop_map(Step::Submit),
        12 => (any::<u8>(), any::<u8>(), prop::bool::weighted(0.1))
            .prop_map(|(board, index, gave_up)| Step::Answer { board, index, gave_up }),
        2 => (any::<u8>(), any::<u8>()).prop_map(|(board, id)| Step::AnswerOld { board, id }),
        2 => any::<u8>().prop_map(Step::Initialized),
        1 => any::<u8>().prop_map(Step::NotReady),
        1 => (any::<u8>(), any::<u8>(), any::<bool>()).prop_map(|(board, index, overloaded)| Step::Refused {
            board,
            index,
            overloaded
        }),
        3 => (any::<u8>(), prop::bool::weighted(0.7)).prop_map(|(w, up)| Step::Connected(w, up)),
        1 => any::<u8>().prop_map(Step::Unreachable),
        1 => any::<u8>().prop_map(Step::Resync),
        1 => any::<u8>().prop_map(Step::Lost),
        2 => any::<u8>().prop_map(Step::Wait),
        1 => any::<u8>().prop_map(Step::Forget),
    ];
    prop::collection::vec(step, 1..120)
}

/// Counts settlements per job and checks what holds at every moment.
struct Watch {
    schedule: Schedule<u32>,
    expected: Vec<usize>,
    settled: Vec<usize>,
    now: Duration,
}

impl Watch {
    fn settle(&mut self, job: u32) {
        self.settled[job as usize] += 1;
        assert!(self.settled[job as usize] <= self.expected[job as usize], "job {job} twice");
    }

    fn fill(&mut self) {
        for effect in fill(&mut self.schedule, self.now) {
            match effect {
                Effect::Failed { settled, .. } => self.settle(settled.job),
                Effect::Send { worker, serials, .. } => {
                    for serial in serials {
                        assert_eq!(self.schedule.boards[&serial].worker, worker);
                    }
                }
            }
        }
        for board in self.schedule.boards.values() {
            assert!(board.in_flight.len() <= LIMITS.credits);
            let stuck = board.is_ready() && board.in_flight.is_empty() && !board.queue.is_empty();
            assert!(!stuck, "a board idles with circuits of its own");
        }
        self.nothing_waits_while_a_board_idles();
    }

    fn nothing_waits_while_a_board_idles(&self) {
        let boards = &self.schedule.boards;
        let idle: Vec<_> =
            boards.iter().filter(|(_, b)| b.is_ready() && b.in_flight.is_empty()).collect();
        for (idle, _) in idle {
            for task in &self.schedule.moving {
                assert!(self.schedule.tasks[task].tried.contains(idle), "a circuit waits");
            }
            for (serial, board) in boards {
                for id in board.in_flight.iter().skip(1) {
                    let Some(task) = self.schedule.find(serial, id) else { continue };
                    let task = &self.schedule.tasks[&task];
                    let movable = task.pin.is_none() && task.live.len() == 1;
                    assert!(!movable || task.tried.contains(idle), "a circuit was prefetched");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn every_circuit_is_settled_exactly_once_for_each_place(steps in steps()) {
        let workers = ["w1", "w1", "w2", "w2", "w3"];
        let serials: Vec<Serial> = ["A", "B", "C", "D", "E"].map(serial).to_vec();
        let pick = |index: u8| serials[usize::from(index) % serials.len()].clone();
        let mut watch = Watch {
            schedule: farm(&workers),
            expected: Vec::new(),
            settled: Vec::new(),
            now: at(0),
        };
        for step in steps {
            let now = watch.now;
            let schedule = &mut watch.schedule;
            match step {
                Step::Submit(which) => {
                    let (places, count) = match which % 4 {
                        0 => (Places::Each, serials.len()),
                        1 => (Places::Boards(&serials[..2]), 2),
                        _ => (Places::Any, 1),
                    };
                    let job = watch.expected.len() as u32;
                    watch.expected.push(count);
                    watch.settled.push(0);
                    schedule.submit(job, format!("{job}").into(), upload(), places);
                }
                Step::Answer { board, index, gave_up } => {
                    let board = pick(board);
                    let flying = schedule.in_flight(&board);
                    if !flying.is_empty() {
                        let id = &flying[usize::from(index) % flying.len()];
                        if let Verdict::Deliver(settled) = schedule.outcome(now, &board, id, gave_up) {
                            prop_assert_eq!(settled.serial.as_ref(), Some(&board));
                            watch.settle(settled.job);
                        }
                    }
                }
                Step::AnswerOld { board, id } => {
                    let id = u32::from(id).to_string().into();
                    if let Verdict::Deliver(settled) = schedule.outcome(now, &pick(board), &id, false) {
                        watch.settle(settled.job);
                    }
                }
                Step::Initialized(board) => schedule.initialized(now, &pick(board)),
                Step::NotReady(board) => schedule.not_ready(now, &pick(board)),
                Step::Refused { board, index, overloaded } => {
                    let board = pick(board);
                    let flying = schedule.in_flight(&board);
                    if !flying.is_empty() {
                        let id = &flying[usize::from(index) % flying.len()];
                        if overloaded {
                            schedule.overloaded(now, &board, id);
                        } else {
                            schedule.refused(&board, id, Loss::new("busy", "full"));
                        }
                    }
                }
                Step::Connected(worker, up) => {
                    schedule.connected(now, workers[usize::from(worker) % 5], up);
                }
                Step::Unreachable(worker) => {
                    let worker = workers[usize::from(worker) % 5];
                    schedule.connected(now, worker, false);
                    schedule.unreachable(worker, &Loss::new("away", "no route"));
                }
                Step::Resync(worker) => schedule.resync(now, workers[usize::from(worker) % 5]),
                Step::Lost(board) => schedule.lost(&pick(board), Loss::new("lease", "over")),
                Step::Wait(seconds) => {
                    watch.now += at(seconds.into());
                    watch.schedule.tick(watch.now);
                }
                // Nobody waits for it any more, and nothing comes of it.
                Step::Forget(job) => {
                    let Some(expected) = watch.expected.get_mut(usize::from(job)) else { continue };
                    *expected = watch.settled[usize::from(job)];
                    schedule.forget(|open| *open != u32::from(job));
                }
            }
            watch.fill();
        }
        for serial in &serials {
            watch.schedule.lost(serial, Loss::new("lease", "over"));
        }
        watch.fill();
        prop_assert!(watch.schedule.is_idle());
        prop_assert_eq!(&watch.settled, &watch.expected);
        prop_assert!(watch.schedule.by_id.is_empty() && watch.schedule.moving.is_empty());
        prop_assert_eq!(watch.schedule.movable, 0);
    }
}
