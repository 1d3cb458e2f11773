//! What must hold whatever happens.

use super::lab::{START, ask, registration, serial};
use super::{Answer, Change, Command, Contact, Decision, Farm, Notice, Rules, decide};
use icefarm_core::wire::{
    BoardReport, BoardStatus, EndedLease, LeasePhase, LeaseReport, ReserveRequest, Selection,
    events,
};
use icefarm_core::{LeaseId, Serial};
use proptest::prelude::*;
use std::collections::BTreeMap;
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
enum Step {
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
    (selection, name(&CLIENTS), request, instance, ttl, any::<Option<bool>>(), any::<u32>())
        .prop_map(|(selection, client, request, instance, ttl_s, simulated, id)| Command::Reserve {
            request: Box::new(ReserveRequest {
                request: request.map(|number| number.to_string().into()),
                instance: instance.map(|number| number.to_string().into()),
                ttl_s,
                simulated,
                ..ask(client, selection)
            }),
            reservation: id.to_string().into(),
        })
}

fn command() -> impl Strategy<Value = Command> {
    let instance = || prop::option::of(0u8..2).prop_map(|i| i.map(|i| i.to_string().into()));
    let worker = || (name(&WORKERS), 0u8..2).prop_map(|(w, i)| (w, incarnation(i)));
    let some_serials = || prop::option::of(serials());
    prop_oneof![
        4 => reserve(),
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

fn step() -> impl Strategy<Value = Step> {
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

#[derive(Default)]
struct Witness {
    highest: u64,
    ends: usize,
    granted: usize,
}

impl Witness {
    fn check(&mut self, before: &Farm, decision: &Decision, after: &Farm) {
        let mut ends = 0;
        let mut live = before.leases.clone();
        for change in &decision.changes {
            match change {
                Change::LeaseGranted(lease) => {
                    assert!(lease.id.0 > self.highest, "lease {} came again", lease.id);
                    self.highest = lease.id.0;
                    let board = &before.boards[&lease.serial];
                    let last = before.given.get(&lease.serial).map_or(LeaseId(0), |g| g.lease);
                    assert!(lease.id > board.report.token && board.report.token >= last);
                    assert_eq!(board.report.status, BoardStatus::Available);
                    assert_eq!(before.workers[&board.worker].contact, Contact::Reachable);
                    assert!(board.missing.is_none() && board.report.lease.is_none());
                    assert_eq!(before.drain(board), None);
                    assert!(live.insert(lease.serial.clone(), lease.clone()).is_none());
                    self.granted += 1;
                }
                Change::LeaseEnded { lease, .. } => {
                    assert!(live.remove(&lease.serial).is_some(), "{} ended twice", lease.id);
                    ends += 1;
                }
                _ => {}
            }
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
        if let Answer::Reserved(answer) = &decision.answer {
            let simulated =
                answer.boards.iter().map(|board| board.serial.as_str().starts_with("SIM"));
            let simulated: Vec<_> = simulated.collect();
            assert!(simulated.windows(2).all(|pair| pair[0] == pair[1]), "mixed silently");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_farm_stays_right(steps in prop::collection::vec((step(), 0u64..90), 1..60)) {
        let rules = Rules { forget_worker_after: Duration::from_secs(600), ..Rules::default() };
        let mut farm = Farm::empty(rules, START);
        let mut replayed = farm.clone();
        let mut now = START;
        let mut witness = Witness::default();
        for (step, seconds) in steps {
            now = now.after(Duration::from_secs(seconds));
            let command = match step {
                Step::Do(command) => command,
                Step::Settle(worker) => match settle(&farm, worker) {
                    Some(command) => command,
                    None => Command::Register {
                        registration: Box::new(registration(
                            worker,
                            "i0",
                            if worker == "w" { vec![] } else {
                                SERIALS.iter().map(|name| super::lab::free(name, 0, 0)).collect()
                            },
                        )),
                        url: format!("http://{worker}:1"),
                    },
                },
                Step::Restart => {
                    farm = farm.as_stored();
                    farm.started = now;
                    farm.awake = now;
                    replayed = replayed.as_stored();
                    replayed.started = now;
                    replayed.awake = now;
                    continue;
                }
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
    }
}
