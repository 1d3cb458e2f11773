//! What must hold whatever happens.

use super::lab::{START, ask, registration, serial};
use super::{
    Answer, Cancelled, Change, Command, Contact, Decision, Farm, Notice, Rules, WaitEnd, Waiting,
    decide,
};
use icefarm_core::wire::{
    BoardReport, BoardStatus, EndedLease, LeasePhase, LeaseReport, ReserveRequest, Selection,
    events,
};
use icefarm_core::{ClientName, LeaseId, Serial};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const SERIALS: [&str; 5] = ["A", "B", "C", "SIM1", "SIM2"];
const WORKERS: [&str; 2] = ["v", "w"];
const CLIENTS: [&str; 2] = ["ann", "bob"];

fn name(names: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(names)
}

fn serials() -> impl Strategy<Value = Vec<Serial>> {
    prop::collection::vec(name(&SERIALS).prop_map(serial), 0..4)
}

fn status() -> impl Strategy<Value = BoardStatus> {
    prop_oneof![
        4 => Just(BoardStatus::Available),
        1 => Just(BoardStatus::Testing),
        1 => Just(BoardStatus::Broken),
        1 => Just(BoardStatus::Reserved),
    ]
}

/// Reports of every sort, sensible or not: control must not trust workers to be right.
fn report() -> impl Strategy<Value = BoardReport> {
    let lease = prop::option::weighted(0.3, 0u64..30);
    let ended = prop::option::weighted(0.3, (0u64..30, any::<bool>()));
    (name(&SERIALS), status(), 0u64..30, 0u64..4, lease, ended).prop_map(
        |(name, status, token, rev, lease, ended)| BoardReport {
            serial: serial(name),
            status,
            reason: None,
            simulated: name.starts_with("SIM"),
            labels: BTreeMap::new(),
            token: LeaseId(token),
            rev,
            lease: lease.map(|lease| LeaseReport {
                lease: LeaseId(lease),
                client: "ann".parse().unwrap(),
                phase: LeasePhase::Ready,
            }),
            ended: ended.map(|(ended, drained)| EndedLease {
                lease: LeaseId(ended),
                reason: "broke".into(),
                drained,
                code: None,
            }),
        },
    )
}

fn reports() -> impl Strategy<Value = Vec<BoardReport>> {
    prop::collection::vec(report(), 0..5)
}

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Do(Command),
    /// A worker has done everything that control wants, and says so.
    Settle(&'static str),
    /// Control is started again.
    Restart,
}

fn incarnation(number: u8) -> String {
    format!("i{number}")
}

fn reserve() -> impl Strategy<Value = Command> {
    let selection =
        prop_oneof![(0u32..4).prop_map(Selection::Amount), serials().prop_map(Selection::Serials),];
    let request = prop::option::weighted(0.3, 0u8..3);
    let instance = prop::option::of(0u8..2);
    let ttl = prop::option::of(1u32..200);
    let simulated = any::<Option<bool>>();
    (selection, name(&CLIENTS), request, instance, ttl, simulated, any::<u32>(), waiting())
        .prop_map(|(selection, client, request, instance, ttl_s, simulated, id, waiting)| {
            let (wait_s, priority, labels) = waiting;
            // Most who wait have an id that nobody had before.
            let fresh = wait_s.map(|_| id.to_string());
            let request = request.map(|number| number.to_string()).or(fresh);
            Command::Reserve {
                request: Box::new(ReserveRequest {
                    request: request.map(Into::into),
                    instance: instance.map(|number| number.to_string().into()),
                    ttl_s,
                    simulated,
                    labels,
                    wait_s,
                    priority,
                    ..ask(client, selection)
                }),
                reservation: id.to_string().into(),
            }
        })
}

type Wait = (Option<u32>, Option<i32>, BTreeMap<String, String>);

/// What a request says about waiting, and the labels that it wants.
fn waiting() -> impl Strategy<Value = Wait> {
    let wait = prop::option::weighted(0.6, 0u32..400);
    let priority = prop::option::weighted(0.3, -1i32..2);
    let label = prop_oneof![
        6 => Just(None),
        2 => Just(Some(("colour", "red"))),
        1 => Just(Some(("simulated", "true"))),
    ];
    let labels = label.prop_map(|label| {
        label.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    });
    (wait, priority, labels)
}

/// What is about those who wait, and about labels.
fn queueing() -> impl Strategy<Value = Command> {
    let request = || prop::option::of(0u8..3).prop_map(|id| id.map(|id| id.to_string().into()));
    let instance = prop::option::of(0u8..2).prop_map(|i| i.map(|i| i.to_string().into()));
    prop_oneof![
        2 => (name(&CLIENTS), request(), instance).prop_map(|(client, request, instance)| {
            let client = Some(client.parse().unwrap());
            Command::CancelWait(Cancelled { client, request, reservation: None, instance })
        }),
        1 => request().prop_map(|id: Option<icefarm_core::RequestId>| {
            let reservation = id.map(|id| id.as_str().to_owned().into());
            let (client, request, instance) = (None, None, None);
            Command::CancelWait(Cancelled { client, request, reservation, instance })
        }),
        1 => name(&CLIENTS).prop_map(|client| Command::ClearClient {
            client: client.parse().unwrap(),
        }),
        3 => (name(&SERIALS), any::<bool>(), any::<bool>()).prop_map(|(board, red, named)| {
            let mut set = BTreeMap::new();
            let mut remove = Vec::new();
            if red {
                set.insert("colour".to_owned(), "red".to_owned());
            } else {
                remove.push("colour".to_owned());
            }
            if named {
                set.insert("name".to_owned(), "one".to_owned());
            }
            Command::Label { serial: serial(board), set, remove }
        }),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let instance = || prop::option::of(0u8..2).prop_map(|i| i.map(|i| i.to_string().into()));
    let worker = || (name(&WORKERS), 0u8..2).prop_map(|(w, i)| (w, incarnation(i)));
    let some_serials = || prop::option::of(serials());
    prop_oneof![
        6 => reserve(),
        2 => queueing(),
        2 => (name(&CLIENTS), some_serials(), instance()).prop_map(|(client, serials, instance)| {
            Command::End { client: client.parse().unwrap(), serials, instance }
        }),
        1 => (name(&CLIENTS), some_serials(), instance()).prop_map(|(client, serials, instance)| {
            Command::Extend { client: client.parse().unwrap(), serials, instance }
        }),
        1 => (name(&CLIENTS), 0u8..2).prop_map(|(client, instance)| Command::Renew {
            client: client.parse().unwrap(),
            instance: instance.to_string().into(),
        }),
        1 => (worker(), reports(), any::<bool>()).prop_map(|((worker, i), boards, moved)| {
            Command::Register {
                registration: Box::new(registration(worker, &i, boards)),
                url: if moved { "http://elsewhere:1".into() } else { format!("http://{worker}:1") },
            }
        }),
        1 => (worker(), reports()).prop_map(|((worker, i), boards)| Command::Heartbeat {
            worker: worker.parse().unwrap(),
            incarnation: i.into(),
            boards,
        }),
        1 => (worker(), reports(), serials()).prop_map(|((worker, i), boards, gone)| {
            let worker = worker.parse().unwrap();
            Command::Report { worker, incarnation: i.into(), boards, gone }
        }),
        1 => worker().prop_map(|(worker, i)| Command::Unreachable {
            worker: worker.parse().unwrap(),
            incarnation: i.into(),
        }),
        1 => (name(&SERIALS), 0u64..30).prop_map(|(name, lease)| Command::LeaseFailed {
            serial: serial(name),
            lease: LeaseId(lease),
            reason: "failed".into(),
            code: None,
        }),
        1 => serials().prop_map(|serials| Command::Revoke { serials, lease: None }),
        1 => name(&WORKERS).prop_map(|name| Command::ForgetWorker { worker: name.parse().unwrap() }),
        1 => name(&SERIALS).prop_map(|name| Command::RecallBoard { serial: serial(name) }),
        1 => name(&SERIALS).prop_map(|name| Command::DeleteBoard { serial: serial(name) }),
        1 => (name(&SERIALS), any::<bool>())
            .prop_map(|(name, on)| Command::DrainBoard { serial: serial(name), on }),
        1 => (name(&WORKERS), any::<bool>())
            .prop_map(|(name, on)| Command::DrainWorker { worker: name.parse().unwrap(), on }),
        1 => (worker(), 0u64..100).prop_map(|((worker, i), seconds)| Command::Stops {
            worker: worker.parse().unwrap(),
            incarnation: i.into(),
            within: Duration::from_secs(seconds),
        }),
        1 => worker().prop_map(|(worker, i)| Command::Leave {
            worker: worker.parse().unwrap(),
            incarnation: i.into(),
        }),
        1 => Just(Command::Wake),
        3 => Just(Command::Tick),
    ]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => command().prop_map(Step::Do),
        4 => name(&WORKERS).prop_map(Step::Settle),
        1 => Just(Step::Restart),
    ]
}

/// A heartbeat in which everything is as control wants it.
fn settle(farm: &Farm, worker: &str) -> Option<Command> {
    let worker = farm.workers.get(worker)?;
    let boards = farm.boards.values().filter(|board| board.worker == worker.name);
    let boards = boards.map(|board| {
        let mut report = board.report.clone();
        let given = farm.given.get(board.serial()).map_or(LeaseId(0), |given| given.lease);
        report.token = report.token.max(given);
        report.rev += 1;
        report.ended = None;
        report.lease = None;
        report.status = BoardStatus::Available;
        if let Some(lease) = farm.leases.get(board.serial()) {
            report.status = BoardStatus::Reserved;
            let (id, client) = (lease.id, lease.client.clone());
            report.lease = Some(LeaseReport { lease: id, client, phase: LeasePhase::Ready });
        }
        report
    });
    let (name, incarnation) = (worker.name.clone(), worker.incarnation.clone());
    Some(Command::Heartbeat { worker: name, incarnation, boards: boards.collect() })
}

impl Step {
    /// The command of the step; nothing if control is started again.
    pub(crate) fn command(self, farm: &Farm) -> Option<Command> {
        Some(match self {
            Self::Restart => return None,
            Self::Do(command) => command,
            Self::Settle(worker) => settle(farm, worker).unwrap_or_else(|| Command::Register {
                registration: Box::new(registration(
                    worker,
                    "i0",
                    if worker == "w" {
                        vec![]
                    } else {
                        SERIALS.iter().map(|name| super::lab::free(name, 0, 0)).collect()
                    },
                )),
                url: format!("http://{worker}:1"),
            }),
        })
    }
}

/// The farm's rules in these tests.
pub(crate) fn rules() -> Rules {
    Rules {
        forget_worker_after: Duration::from_secs(600),
        waiting: 8,
        waiting_each: 6,
        limits: ["bob:boards=2".parse().unwrap()].into(),
        ..Rules::default()
    }
}

/// Whether a board would do for one who waits, written as plainly as can be.
fn would_do(farm: &Farm, waiting: &Waiting, serial: &Serial) -> bool {
    let Some(board) = farm.boards.get(serial) else { return false };
    let (ask, simulated) = (&waiting.request, board.report.simulated);
    let red = |serial| farm.labels.get(serial).is_some_and(|own| own.contains_key("colour"));
    let wants_simulated = ask.simulated.or(ask.labels.get("simulated").map(|_| true));
    let nature = match &ask.selection {
        Selection::Amount(_) => simulated == wants_simulated.unwrap_or(!farm.has_real_boards()),
        Selection::Serials(serials) => {
            serials.contains(serial) && wants_simulated.is_none_or(|wanted| wanted == simulated)
        }
    };
    nature
        && (!ask.labels.contains_key("colour") || red(serial))
        && (!ask.labels.contains_key("simulated") || simulated)
}

/// Whether one who waits can hope for its boards: they are in service, and no limit of its own
/// keeps it from them.
fn can_hope(farm: &Farm, waiting: &Waiting) -> bool {
    let in_service = farm.boards.iter().filter(|(serial, board)| {
        would_do(farm, waiting, serial)
            && farm.workers[&board.worker].contact == Contact::Reachable
            && board.missing.is_none()
            && board.report.status != BoardStatus::Broken
            && farm.drain(board).is_none()
    });
    let amount = waiting.amount() as usize;
    in_service.count() >= amount
        && (waiting.client().as_str() != "bob" || {
            let held = farm.leases.values().filter(|lease| lease.client == *waiting.client());
            held.count() + amount <= 2
        })
}

#[derive(Default)]
struct Witness {
    highest: u64,
    ends: usize,
    granted: usize,
    /// The priority of the request that is being decided, if it may wait.
    patience: Option<i32>,
}

impl Witness {
    fn check(&mut self, before: &Farm, decision: &Decision, after: &Farm) {
        let mut ends = 0;
        let mut live = before.leases.clone();
        let mut present = before.clone();
        for change in &decision.changes {
            match change {
                Change::LeaseGranted(lease) => {
                    assert!(lease.id.0 > self.highest, "lease {} came again", lease.id);
                    self.highest = lease.id.0;
                    let board = &present.boards[&lease.serial];
                    let last = present.given.get(&lease.serial).map_or(LeaseId(0), |g| g.lease);
                    assert!(lease.id > board.report.token && board.report.token >= last);
                    assert_eq!(board.report.status, BoardStatus::Available);
                    assert_eq!(present.workers[&board.worker].contact, Contact::Reachable);
                    assert!(board.missing.is_none() && board.report.lease.is_none());
                    assert_eq!(present.drain(board), None);
                    assert!(live.insert(lease.serial.clone(), lease.clone()).is_none());
                    self.granted += 1;
                }
                Change::LeaseEnded { lease, .. } => {
                    assert!(live.remove(&lease.serial).is_some(), "{} ended twice", lease.id);
                    ends += 1;
                }
                _ => {}
            }
            present.apply(change);
        }
        let told = decision.notices.iter().filter(|notice| match notice {
            Notice::Client { contents, .. } => {
                contents.iter().any(|event| event.event == events::RESERVATION_END)
            }
            Notice::Available { .. } => false,
        });
        assert_eq!(told.count(), ends, "every ended lease is told of once");
        self.ends += ends;
        assert_eq!(live.keys().collect::<Vec<_>>(), after.leases.keys().collect::<Vec<_>>());
        for (serial, lease) in &after.leases {
            assert!(after.boards.contains_key(serial), "a lease without a board");
            assert!(lease.id < after.next_lease);
            assert_eq!(after.given[serial].lease, lease.id);
        }
        for board in after.boards.values() {
            assert!(after.workers.contains_key(&board.worker), "a board without a worker");
        }
        assert_eq!(self.granted - self.ends, after.leases.len());
        self.check_queue(before, decision, after);
        if let Answer::Reserved(answer) = &decision.answer {
            let simulated =
                answer.boards.iter().map(|board| board.serial.as_str().starts_with("SIM"));
            let simulated: Vec<_> = simulated.collect();
            assert!(simulated.windows(2).all(|pair| pair[0] == pair[1]), "mixed silently");
        }
    }
}

impl Witness {
    /// All boards or none, nobody passes another, nobody waits for what is free.
    fn check_queue(&mut self, before: &Farm, decision: &Decision, after: &Farm) {
        let mut told = 0;
        for notice in &decision.notices {
            let Notice::Client { contents, .. } = notice else { continue };
            let ends = [events::GRANTED, events::NOT_GRANTED];
            told += contents.iter().filter(|event| ends.contains(&event.event.as_str())).count();
        }
        let mut granted: BTreeMap<&str, BTreeSet<&Serial>> = BTreeMap::new();
        let mut served = Vec::new();
        let mut ended = 0;
        for change in &decision.changes {
            match change {
                Change::LeaseGranted(lease) => {
                    granted.entry(lease.reservation.as_str()).or_default().insert(&lease.serial);
                }
                Change::WaitEnded { waiting, end } => {
                    ended += 1;
                    assert!(before.queue.contains_key(&waiting.arrival));
                    if *end == WaitEnd::Granted {
                        let boards = granted.get(waiting.reservation.as_str());
                        let number = boards.map_or(0, BTreeSet::len);
                        assert_eq!(number, waiting.amount() as usize, "all boards at once");
                        served.push(waiting);
                    }
                }
                _ => {}
            }
        }
        assert_eq!(told, ended, "every end of waiting is told of once");
        let line = after.line();
        for earlier in line.iter().filter(|waiting| can_hope(after, waiting)) {
            let passed = |other: &Waiting| {
                (-other.priority(), other.arrival) > (-earlier.priority(), earlier.arrival)
            };
            for later in served.iter().filter(|later| passed(later)) {
                for serial in &granted[later.reservation.as_str()] {
                    let would = would_do(after, earlier, serial);
                    assert!(!would, "{} passed {}", later.client(), earlier.client());
                }
            }
            // What was granted without waiting was granted behind all who wait.
            if let Answer::Reserved(answer) = &decision.answer
                && self.patience.is_none_or(|priority| priority <= earlier.priority())
                && before.queue.contains_key(&earlier.arrival)
                && granted.contains_key(answer.reservation.as_str())
            {
                for board in &answer.boards {
                    assert!(!would_do(after, earlier, &board.serial), "somebody passed the queue");
                }
            }
        }
        if let Some(head) = line.iter().find(|waiting| can_hope(after, waiting)) {
            let free = after.boards.values().filter(|board| {
                after.obstacle(board).is_none() && would_do(after, head, board.serial())
            });
            assert!(free.count() < head.amount() as usize, "the first waits for free boards");
        }
        let held = after.leases.values().filter(|lease| lease.client.as_str() == "bob");
        assert!(held.count() <= 2, "beyond the limit");
        let own = |name: &str| line.iter().filter(|w| w.client().as_str() == name).count();
        assert!(line.len() <= 8 && CLIENTS.iter().all(|name| own(name) <= 6));
        let mut ids: Vec<(&ClientName, _)> =
            line.iter().map(|w| (w.client(), w.request.request.clone().unwrap())).collect();
        for (client, request) in &ids {
            let key = ((*client).clone(), request.clone());
            assert!(!after.requests.contains_key(&key), "waits and is answered");
        }
        let number = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), number, "waits twice");
        let names = after.labels.values().filter(|labels| labels.contains_key("name"));
        assert!(names.count() <= 1, "a name stands for two boards");
    }
}

/// What happens on a farm that works, and has fewer boards than are wanted.
fn busy_step() -> impl Strategy<Value = Step> {
    let wish = (1u32..4, name(&CLIENTS), prop::option::weighted(0.8, 200u32..900), waiting());
    let wish = (wish, any::<u32>()).prop_map(|((amount, client, wait_s, rest), id)| {
        let (_, priority, labels) = rest;
        let request = Some(id.to_string().into());
        let simulated = labels.contains_key("simulated").then_some(true);
        let ask = ask(client, Selection::Amount(amount));
        let request = ReserveRequest { request, wait_s, priority, labels, simulated, ..ask };
        let reservation = id.to_string().into();
        Command::Reserve { request: Box::new(request), reservation }
    });
    let end = (name(&CLIENTS), prop::collection::vec(name(&SERIALS).prop_map(serial), 1..3));
    let end = end.prop_map(|(client, serials)| Command::End {
        client: client.parse().unwrap(),
        serials: Some(serials),
        instance: None,
    });
    prop_oneof![
        5 => wish.prop_map(Step::Do),
        4 => end.prop_map(Step::Do),
        1 => queueing().prop_map(Step::Do),
        1 => Just(Step::Do(Command::Tick)),
        8 => Just(Step::Settle("v")),
        1 => Just(Step::Restart),
    ]
}

fn stays_right(steps: Vec<(Step, u64)>) -> Result<(), TestCaseError> {
    let mut farm = Farm::empty(rules(), START);
    let mut replayed = farm.clone();
    let mut now = START;
    let mut witness = Witness::default();
    for (step, seconds) in steps {
        now = now.after(Duration::from_secs(seconds));
        let Some(command) = step.command(&farm) else {
            for farm in [&mut farm, &mut replayed] {
                *farm = farm.as_stored();
                (farm.started, farm.awake) = (now, now);
            }
            continue;
        };
        witness.patience = match &command {
            Command::Reserve { request, .. } => {
                let waits = request.wait_s.is_some_and(|seconds| seconds > 0);
                waits.then(|| request.priority.unwrap_or(0))
            }
            _ => None,
        };
        let is_tick = command == Command::Tick;
        let before = farm.clone();
        let Ok(decision) = decide(&farm, command, now) else {
            prop_assert_eq!(&before, &farm);
            continue;
        };
        for change in &decision.changes {
            farm.apply(change);
            replayed.apply(change);
        }
        witness.check(&before, &decision, &farm);
        prop_assert_eq!(&replayed, &farm);
        if is_tick {
            prop_assert!(farm.next_tick().is_none_or(|next| next > now), "it would tick for ever");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_farm_stays_right(steps in prop::collection::vec((step(), 0u64..90), 1..60)) {
        stays_right(steps)?;
    }

    #[test]
    fn who_waits_is_served_fairly(steps in prop::collection::vec((busy_step(), 0u64..20), 1..60)) {
        // The first one registers the worker, the second one makes it reachable.
        let start = [(Step::Settle("v"), 0), (Step::Settle("v"), 0)];
        stays_right(start.into_iter().chain(steps).collect())?;
    }
}
