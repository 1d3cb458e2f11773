//! The farm as it is shown: by `/v1`, by the panel, and live.

use crate::ledger::{Ledger, Standings, Wanted};
use crate::machine::{
    Board, Contact, Drain, Farm, Lease, NAME_LABEL, Obstacle, Waiting, Worker, millis,
};
use icefarm_core::wire::{
    BoardCounts, BoardDetail, BoardInFull, BoardLabels, BoardStatus, FarmStatus, JournalEntry,
    LastLease, LeaseDetail, LeasePhase, PROTOCOL, QueueEntry, Selection, WorkerContact,
    WorkerCounts, WorkerDetail,
};
use icefarm_core::{Serial, Timestamp};
use std::sync::Arc;

/// How much of what happened to a board is told with it.
const HISTORY: usize = 50;

/// What is shown, at one moment.
pub(crate) struct View {
    pub(crate) farm: Arc<Farm>,
    pub(crate) standings: Arc<Standings>,
    pub(crate) now: Timestamp,
}

impl View {
    pub(crate) fn of(ledger: &Ledger) -> Self {
        // The journal is ahead of the farm for a moment, so it is looked at first.
        let standings = ledger.chronicle().standings();
        Self { farm: ledger.farm(), standings, now: ledger.now() }
    }

    pub(crate) fn boards(&self) -> Vec<BoardDetail> {
        self.farm.boards.values().map(|board| self.board(board)).collect()
    }

    fn board(&self, board: &Board) -> BoardDetail {
        let report = &board.report;
        let status = self.farm.status(board);
        let lease = self.farm.leases.get(&report.serial);
        BoardDetail {
            serial: report.serial.clone(),
            name: self.farm.name_of(&report.serial).map(str::to_owned),
            worker: board.worker.clone(),
            status,
            reason: reason(&self.farm, board),
            since: self.since(&report.serial, status),
            simulated: report.simulated,
            labels: self.farm.labels_of(board),
            draining: self.farm.drain(board).is_some(),
            drained: self.farm.drained.boards.contains(&report.serial),
            lease: lease.map(|lease| self.lease(lease)),
        }
    }

    /// What a board is called, there or not.
    pub(crate) fn labels(&self, serial: &Serial) -> BoardLabels {
        let labels = match self.farm.boards.get(serial) {
            Some(board) => self.farm.labels_of(board),
            None => {
                let mut own = self.farm.labels.get(serial).map(|own| (**own).clone());
                own.get_or_insert_default().remove(NAME_LABEL);
                own.unwrap_or_default()
            }
        };
        let name = self.farm.name_of(serial).map(str::to_owned);
        BoardLabels { serial: serial.clone(), name, labels }
    }

    /// Since when a board stands where it stands. What control does not know of yet, because it
    /// was just started, is so since then.
    fn since(&self, serial: &Serial, status: BoardStatus) -> Option<Timestamp> {
        match self.standings.get(serial) {
            Some(standing) if standing.status == status => Some(standing.since),
            Some(_) if status == BoardStatus::Offline => Some(self.farm.started),
            _ => None,
        }
    }

    pub(crate) fn leases(&self) -> Vec<LeaseDetail> {
        self.farm.leases.values().map(|lease| self.lease(lease)).collect()
    }

    fn lease(&self, lease: &Lease) -> LeaseDetail {
        LeaseDetail {
            lease: lease.id,
            serial: lease.serial.clone(),
            client: lease.client.clone(),
            kind: lease.kind.clone(),
            args: lease.args.keys().cloned().collect(),
            reservation: lease.reservation.clone(),
            since: lease.granted,
            expires_in_ms: millis(lease.expires.since(self.now)),
            expires: lease.expires,
            renewed_by_socket: lease.renewed_by_socket,
            phase: phase(&self.farm, lease),
        }
    }

    /// All who wait, the next to be served first.
    pub(crate) fn queue(&self) -> Vec<QueueEntry> {
        let line = self.farm.line().into_iter().zip(1..);
        line.map(|(waiting, position)| self.waiting(waiting, position)).collect()
    }

    fn waiting(&self, waiting: &Waiting, position: u32) -> QueueEntry {
        let ask = &waiting.request;
        let serials = match &ask.selection {
            Selection::Amount(_) => Vec::new(),
            Selection::Serials(serials) => serials.clone(),
        };
        QueueEntry {
            reservation: waiting.reservation.clone(),
            position,
            client: waiting.client().clone(),
            kind: ask.kind.clone(),
            amount: waiting.amount(),
            serials,
            labels: ask.labels.clone(),
            simulated: ask.simulated,
            priority: waiting.priority(),
            since: waiting.since,
            expires: waiting.until,
            why: self.farm.why_waiting(waiting),
        }
    }

    pub(crate) fn workers(&self) -> Vec<WorkerDetail> {
        self.farm.workers.values().map(|worker| self.worker(worker)).collect()
    }

    fn worker(&self, worker: &Worker) -> WorkerDetail {
        let boards = self.farm.boards.values().filter(|board| board.worker == worker.name);
        WorkerDetail {
            name: worker.name.clone(),
            url: worker.url.clone(),
            version: worker.version.clone(),
            incarnation: worker.incarnation.clone(),
            kinds: worker.kinds.clone(),
            plugins: worker.plugins.clone(),
            reachable: worker.contact == Contact::Reachable,
            contact: contact(worker.contact),
            last_contact: worker.heard.unwrap_or(worker.seen),
            boards: u32::try_from(boards.count()).unwrap_or(u32::MAX),
            refused: worker.refused.iter().cloned().collect(),
            draining: self.farm.drained.workers.contains(&worker.name),
            stops: worker.stops,
        }
    }

    pub(crate) fn status(&self, ledger: &Ledger) -> FarmStatus {
        let mut boards = BoardCounts::default();
        for board in self.farm.boards.values() {
            boards.add(self.farm.status(board), board.report.simulated);
        }
        let mut workers = WorkerCounts::default();
        for worker in self.farm.workers.values() {
            workers.total += 1;
            workers.reachable += u32::from(worker.contact == Contact::Reachable);
        }
        FarmStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL.to_owned(),
            started: self.farm.started,
            now: self.now,
            trouble: ledger.complaint(),
            boards,
            workers,
            waiting: u32::try_from(self.farm.queue.len()).unwrap_or(u32::MAX),
            last_event: ledger.chronicle().last(),
        }
    }

    /// Everything about one board; nothing if there is no such board.
    pub(crate) fn in_full(&self, ledger: &Ledger, serial: &Serial) -> Option<BoardInFull> {
        let board = self.farm.boards.get(serial)?;
        let worker = self.farm.worker_of(board);
        let wanted = Wanted { after: None, limit: HISTORY, serial: Some(serial.clone()) };
        let mut history: Vec<JournalEntry> = ledger.chronicle().page(&wanted).events;
        history.reverse();
        let kinds = worker.map(|worker| worker.kinds.iter().map(|info| info.kind.clone()));
        let given = self.farm.given.get(serial);
        Some(BoardInFull {
            board: self.board(board),
            why: why(&self.farm, board),
            contact: worker.map_or(WorkerContact::Lost, |worker| contact(worker.contact)),
            last_contact: worker.map(|worker| worker.heard.unwrap_or(worker.seen)),
            worker_url: worker.map(|worker| worker.url.clone()),
            reported: board.report.status,
            token: board.report.token,
            last_lease: given
                .map(|given| LastLease { lease: given.lease, kind: given.kind.clone() }),
            kinds: kinds.map(Iterator::collect).unwrap_or_default(),
            history,
        })
    }
}

fn phase(farm: &Farm, lease: &Lease) -> Option<LeasePhase> {
    let served = farm.boards.get(&lease.serial)?.report.lease.as_ref()?;
    (served.lease == lease.id).then_some(served.phase)
}

fn contact(contact: Contact) -> WorkerContact {
    match contact {
        Contact::Awaited => WorkerContact::Awaited,
        Contact::Reachable => WorkerContact::Reachable,
        Contact::Unreachable => WorkerContact::Unreachable,
        Contact::Lost => WorkerContact::Lost,
        Contact::Left => WorkerContact::Left,
    }
}

/// Why control does not hear of a board, if it does not.
fn silence(farm: &Farm, board: &Board) -> Option<String> {
    let worker = &board.worker;
    match farm.worker_of(board).map(|worker| worker.contact) {
        None => Some(format!("its worker {worker} is not known")),
        Some(Contact::Awaited) => Some(format!("its worker {worker} has not answered yet")),
        Some(Contact::Unreachable) => Some(format!("its worker {worker} cannot be reached")),
        Some(Contact::Lost) => {
            Some(format!("its worker {worker} is lost: it has not answered for too long"))
        }
        Some(Contact::Left) => Some(format!("its worker {worker} was stopped")),
        Some(Contact::Reachable) => board
            .missing
            .map(|_| format!("its worker {worker} does not list it; it may have been unplugged")),
    }
}

/// Why nothing new is placed on a board, if that is so.
fn drain(farm: &Farm, board: &Board) -> Option<String> {
    let worker = &board.worker;
    Some(match farm.drain(board)? {
        Drain::Board => "an operator drains it".to_owned(),
        Drain::Worker => format!("an operator drains its worker {worker}"),
        Drain::Stopping => format!("its worker {worker} is stopping"),
    })
}

/// Why a board stands where it stands, if there is more to say.
pub(crate) fn reason(farm: &Farm, board: &Board) -> Option<String> {
    let reported = board.report.reason.clone();
    match farm.obstacle(board) {
        Some(Obstacle::Leased) => silence(farm, board)
            .map(|silence| format!("{silence}; the lease is kept for now"))
            .or_else(|| drain(farm, board).map(|why| format!("nobody gets it after this: {why}")))
            .or(reported),
        Some(Obstacle::Offline) => match farm.worker_of(board).map(|worker| worker.contact) {
            // A worker that was just started again has said so itself.
            Some(Contact::Awaited) => reported.or_else(|| silence(farm, board)),
            _ => silence(farm, board).or(reported),
        },
        Some(Obstacle::Settling) => {
            Some("its last lease is over, and its worker has yet to hear of it".to_owned())
        }
        Some(Obstacle::Draining) => drain(farm, board),
        Some(Obstacle::Status(_)) | None => reported,
    }
}

/// The same in a sentence, for every board.
fn why(farm: &Farm, board: &Board) -> String {
    let reason = reason(farm, board);
    let because = |what: &str| match &reason {
        Some(reason) => format!("{what}: {reason}."),
        None => format!("{what}."),
    };
    match farm.status(board) {
        BoardStatus::Available => because("It can be reserved now"),
        BoardStatus::Reserved => {
            let Some(lease) = farm.leases.get(board.serial()) else {
                return because("Its worker says that it is reserved");
            };
            let how = match phase(farm, lease) {
                None => "its worker has not taken the lease yet",
                Some(LeasePhase::Initializing) => "it is being made ready for that",
                Some(LeasePhase::Ready) => "it takes commands",
                Some(_) => "the state is ending",
            };
            let what = format!("{} holds it for {}, and {how}", lease.client, lease.kind);
            because(&what)
        }
        BoardStatus::AwaitFlashDefault => because("It waits for its default firmware"),
        BoardStatus::FlashingDefault => because("Its default firmware is being written"),
        BoardStatus::Testing => because("It is tested before it is offered"),
        BoardStatus::Broken => because("It could not be brought back to work"),
        BoardStatus::Offline => because("It cannot be reached"),
        BoardStatus::Draining => because("It is out of service, and nobody holds it"),
        other => because(other.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::lab::{Lab, free, serial, serving};

    fn told(lab: &Lab) -> (Option<String>, String) {
        let board = &lab.farm.boards[&serial("A")];
        (reason(&lab.farm, board), why(&lab.farm, board))
    }

    #[test]
    fn every_status_is_explained() {
        let mut lab = Lab::with(&["A"]);
        assert_eq!(told(&lab), (None, "It can be reserved now.".into()));
        lab.reserve("ann", 1);
        let why = told(&lab).1;
        assert!(why.contains("ann holds it for pulse count") && why.contains("not taken"), "{why}");
        lab.beat("w", "w1", vec![serving("A", 1, 2)]);
        assert!(told(&lab).1.ends_with("and it takes commands."), "{}", told(&lab).1);

        let (worker, incarnation) = ("w".parse().unwrap(), "w1".into());
        lab.run(crate::machine::Command::Unreachable { worker, incarnation });
        let (reason, why) = told(&lab);
        assert_eq!(reason.unwrap(), "its worker w cannot be reached; the lease is kept for now");
        assert!(why.contains("ann holds it") && why.contains("cannot be reached"), "{why}");

        lab.end_all("ann");
        assert_eq!(told(&lab).1, "It cannot be reached: its worker w cannot be reached.");
        lab.beat("w", "w1", vec![free("A", 0, 3)]);
        assert!(told(&lab).1.contains("its last lease is over"), "{}", told(&lab).1);
        lab.run(crate::machine::Command::DrainBoard { serial: serial("A"), on: true });
        lab.beat("w", "w1", vec![free("A", 1, 4)]);
        let out = "It is out of service, and nobody holds it: an operator drains it.";
        assert_eq!(told(&lab).1, out);
        lab.beat("w", "w1", vec![]);
        assert!(told(&lab).1.contains("does not list it"), "{}", told(&lab).1);
    }
}
