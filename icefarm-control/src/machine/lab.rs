//! A farm to try commands on.

use super::{Answer, Command, Decision, EndReason, Farm, Notice, Refusal, Rules, decide};
use icefarm_core::wire::{
    BoardReport, BoardStatus, EndedLease, Event, LeasePhase, LeaseReport, Registration,
    ReservationAnswer, ReserveRequest, Selection,
};
use icefarm_core::{ArgSpec, KindInfo, LeaseId, ReservationId, Serial, Timestamp};
use std::time::Duration;

pub(crate) const START: Timestamp = Timestamp(1_000_000);

pub(crate) struct Lab {
    pub(crate) farm: Farm,
    pub(crate) now: Timestamp,
    pub(crate) reservations: u64,
}

pub(crate) fn serial(text: &str) -> Serial {
    Serial::new(text).unwrap()
}

pub(crate) fn kind(name: &str) -> KindInfo {
    KindInfo {
        kind: name.parse().unwrap(),
        crate_name: "a-crate".into(),
        crate_version: "0.1.0".into(),
        args: vec![ArgSpec::new("window", true)],
    }
}

pub(crate) fn free(serial: &str, token: u64, rev: u64) -> BoardReport {
    BoardReport {
        serial: self::serial(serial),
        status: BoardStatus::Available,
        reason: None,
        simulated: serial.starts_with("SIM"),
        labels: Default::default(),
        token: LeaseId(token),
        rev,
        lease: None,
        ended: None,
    }
}

pub(crate) fn serving(serial: &str, lease: u64, rev: u64) -> BoardReport {
    let report = LeaseReport {
        lease: LeaseId(lease),
        client: "ann".parse().unwrap(),
        phase: LeasePhase::Ready,
    };
    let status = BoardStatus::Reserved;
    BoardReport { status, lease: Some(report), ..free(serial, lease, rev) }
}

pub(crate) fn failed(serial: &str, lease: u64, rev: u64) -> BoardReport {
    let reason = "no clock".into();
    let ended = EndedLease { lease: LeaseId(lease), reason, code: None, drained: false };
    let status = BoardStatus::AwaitFlashDefault;
    BoardReport { status, ended: Some(ended), ..free(serial, lease, rev) }
}

pub(crate) fn registration(
    worker: &str,
    incarnation: &str,
    boards: Vec<BoardReport>,
) -> Registration {
    Registration {
        name: worker.parse().unwrap(),
        url: None,
        port: 8081,
        version: "0.1.0".into(),
        protocol: icefarm_core::wire::PROTOCOL.into(),
        incarnation: incarnation.into(),
        secret: format!("secret of {incarnation}"),
        kinds: vec![kind("pulse count")],
        plugins: Vec::new(),
        boards,
        stops_in_ms: None,
    }
}

pub(crate) fn ask(client: &str, selection: Selection) -> ReserveRequest {
    ReserveRequest {
        selection,
        name: client.parse().unwrap(),
        kind: "pulse count".parse().unwrap(),
        args: Default::default(),
        request: None,
        instance: None,
        ttl_s: None,
        simulated: None,
        labels: Default::default(),
        wait_s: None,
        priority: None,
    }
}

impl Lab {
    /// A farm without workers.
    pub(crate) fn empty() -> Self {
        Self { farm: Farm::empty(Rules::default(), START), now: START, reservations: 0 }
    }

    /// A farm with a worker `w` that is reachable and has these boards, all free, in its start
    /// `w1`.
    pub(crate) fn with(boards: &[&str]) -> Self {
        let mut lab = Self::empty();
        lab.join("w", "w1", boards.iter().map(|board| free(board, 0, 1)).collect());
        lab
    }

    pub(crate) fn try_run(&mut self, command: Command) -> Result<Decision, Refusal> {
        let decision = decide(&self.farm, command, self.now)?;
        for change in &decision.changes {
            self.farm.apply(change);
        }
        Ok(decision)
    }

    pub(crate) fn run(&mut self, command: Command) -> Decision {
        self.try_run(command).unwrap()
    }

    pub(crate) fn register(
        &mut self,
        worker: &str,
        incarnation: &str,
        boards: Vec<BoardReport>,
    ) -> Result<Decision, Refusal> {
        let registration = Box::new(registration(worker, incarnation, boards));
        self.try_run(Command::Register { registration, url: format!("http://{worker}:8081") })
    }

    pub(crate) fn join(&mut self, worker: &str, incarnation: &str, boards: Vec<BoardReport>) {
        self.register(worker, incarnation, boards.clone()).unwrap();
        self.beat(worker, incarnation, boards);
    }

    pub(crate) fn beat(
        &mut self,
        worker: &str,
        incarnation: &str,
        boards: Vec<BoardReport>,
    ) -> Decision {
        let (worker, incarnation) = (worker.parse().unwrap(), incarnation.into());
        self.run(Command::Heartbeat { worker, incarnation, boards })
    }

    pub(crate) fn try_reserve(
        &mut self,
        request: ReserveRequest,
    ) -> Result<ReservationAnswer, Refusal> {
        self.reservations += 1;
        let reservation = ReservationId::from(format!("r{}", self.reservations));
        let request = Box::new(request);
        match self.try_run(Command::Reserve { request, reservation })?.answer {
            Answer::Reserved(answer) => Ok(answer),
            other => panic!("a reservation was answered by {other:?}"),
        }
    }

    pub(crate) fn reserve(&mut self, client: &str, amount: u32) -> ReservationAnswer {
        self.try_reserve(ask(client, Selection::Amount(amount))).unwrap()
    }

    pub(crate) fn reserve_named(
        &mut self,
        client: &str,
        serials: &[&str],
    ) -> Result<ReservationAnswer, Refusal> {
        let serials = serials.iter().map(|text| serial(text)).collect();
        self.try_reserve(ask(client, Selection::Serials(serials)))
    }

    pub(crate) fn wait(&mut self, seconds: u64) -> Decision {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.run(Command::Tick)
    }

    pub(crate) fn end_all(&mut self, client: &str) -> Decision {
        let client = client.parse().unwrap();
        self.run(Command::End { client, serials: None, instance: None })
    }

    pub(crate) fn available(&self) -> Vec<&str> {
        self.farm.offered().into_iter().map(|board| board.serial().as_str()).collect()
    }
}

/// The events for clients as `client serial: event`.
pub(crate) fn told(decision: &Decision) -> Vec<String> {
    let mut told = Vec::new();
    for notice in &decision.notices {
        match notice {
            Notice::Client { client, serial, contents } => told
                .extend(contents.iter().map(|event| format!("{client} {serial}: {}", event.event))),
            Notice::Available { amount } => told.push(format!("all: {amount} available")),
        }
    }
    told
}

pub(crate) fn events(decision: &Decision) -> Vec<&Event> {
    let mut all = Vec::new();
    for notice in &decision.notices {
        if let Notice::Client { contents, .. } = notice {
            all.extend(contents);
        }
    }
    all
}

pub(crate) fn reasons(decision: &Decision) -> Vec<EndReason> {
    let reason = |change: &super::Change| match change {
        super::Change::LeaseEnded { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    decision.changes.iter().filter_map(reason).collect()
}
