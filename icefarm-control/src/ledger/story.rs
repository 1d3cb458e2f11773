//! What happens, in words that the owner of a lab understands.

use crate::machine::{Change, Contact, EndReason, Farm, NAME_LABEL, WaitEnd};
use icefarm_core::wire::{BoardStatus, Happening, JournalEntry, ReserveRequest, Selection};
use icefarm_core::{LeaseId, Serial, Timestamp, WorkerName};

/// An entry about nobody. Its number and time are given when it is written down.
fn entry(what: Happening, text: String) -> JournalEntry {
    JournalEntry {
        seq: 0,
        at: Timestamp::default(),
        what,
        text,
        warning: false,
        serial: None,
        status: None,
        worker: None,
        lease: None,
        client: None,
    }
}

fn of_worker(what: Happening, worker: &WorkerName, text: String) -> JournalEntry {
    JournalEntry { worker: Some(worker.clone()), ..entry(what, text) }
}

fn of_board(what: Happening, farm: &Farm, serial: &Serial, text: String) -> JournalEntry {
    let worker = farm.boards.get(serial).map(|board| board.worker.clone());
    JournalEntry { worker, serial: Some(serial.clone()), ..entry(what, text) }
}

fn warning(entry: JournalEntry) -> JournalEntry {
    JournalEntry { warning: true, ..entry }
}

/// What to say about a change of `farm`, which has not been made yet, if anything.
pub(super) fn of_change(farm: &Farm, change: &Change, now: Timestamp) -> Option<JournalEntry> {
    use Happening as What;
    Some(match change {
        Change::WorkerRegistered(worker) => {
            let (name, url) = (&worker.name, &worker.url);
            let kinds: Vec<_> = worker.kinds.iter().map(|info| info.kind.as_str()).collect();
            let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
            match farm.workers.get(name) {
                Some(before) if before.incarnation == worker.incarnation => {
                    if before.url == *url {
                        return None;
                    }
                    of_worker(What::WorkerMoved, name, format!("worker {name} is now at {url}"))
                }
                Some(_) => {
                    let text = format!("worker {name} was started again, at {url}");
                    of_worker(What::WorkerRestarted, name, text)
                }
                None => {
                    let text = format!("worker {name} came, at {url}; kinds: {kinds}");
                    of_worker(What::WorkerCame, name, text)
                }
            }
        }
        Change::WorkerHeard { worker, .. } => match farm.workers.get(worker)?.contact {
            Contact::Reachable => return None,
            _ => of_worker(What::WorkerAnswers, worker, format!("worker {worker} answers")),
        },
        Change::WorkerSilent { worker } => {
            let text = format!("worker {worker} cannot be reached; its leases are kept for now");
            warning(of_worker(What::WorkerUnreachable, worker, text))
        }
        Change::WorkerLost { worker, .. } => {
            let text = format!("worker {worker} is lost: it has not answered for too long");
            warning(of_worker(What::WorkerLost, worker, text))
        }
        Change::WorkerStops { worker, at } => {
            let leases = farm.leases.keys().filter_map(|serial| farm.boards.get(serial));
            let leases = leases.filter(|board| board.worker == *worker).count();
            let left = at.since(now).as_secs();
            let waits = match leases {
                0 => String::new(),
                1 => format!("; 1 lease has {left} s left"),
                some => format!("; {some} leases have {left} s left"),
            };
            let text = format!("worker {worker} is stopping: nothing new is placed on it{waits}");
            of_worker(What::WorkerStops, worker, text)
        }
        Change::WorkerLeft { worker, .. } => {
            let text = format!("worker {worker} has stopped in good order");
            of_worker(What::WorkerLeft, worker, text)
        }
        Change::WorkerDrained { worker, on: true } => {
            let text = format!(
                "an operator takes worker {worker} out of service: nothing new is placed on it"
            );
            of_worker(What::WorkerDrained, worker, text)
        }
        Change::WorkerDrained { worker, on: false } => {
            let text = format!("an operator takes worker {worker} back into service");
            of_worker(What::WorkerUndrained, worker, text)
        }
        Change::BoardDrained { serial, on: true } => {
            let text = format!(
                "an operator takes board {serial} out of service: nothing new is placed on it"
            );
            of_board(What::BoardDrained, farm, serial, text)
        }
        Change::BoardDrained { serial, on: false } => {
            let text = format!("an operator takes board {serial} back into service");
            of_board(What::BoardUndrained, farm, serial, text)
        }
        Change::Woke { .. } | Change::WorkerFound { .. } => return None,
        Change::WorkerForgotten { worker } => {
            let text = format!("worker {worker} is forgotten, and not expected back");
            of_worker(What::WorkerForgotten, worker, text)
        }
        Change::ClaimsRefused { worker, serials } => {
            let before = &farm.workers.get(worker)?.refused;
            let new: Vec<_> = serials.difference(before).map(|serial| serial.as_str()).collect();
            if new.is_empty() {
                return None;
            }
            let text = format!(
                "worker {worker} reports boards that another worker has, so they are not taken \
                 from it: {}",
                new.join(", ")
            );
            warning(of_worker(What::ClaimsRefused, worker, text))
        }
        Change::BoardReported(board) => {
            let serial = board.serial();
            if farm.boards.contains_key(serial) {
                return None;
            }
            let text = format!("board {serial} came to worker {}", board.worker);
            let entry = of_board(What::BoardCame, farm, serial, text);
            JournalEntry { worker: Some(board.worker.clone()), ..entry }
        }
        Change::BoardMissing { serial, .. } => {
            let text = format!("board {serial} is not listed by its worker any more");
            warning(of_board(What::BoardMissing, farm, serial, text))
        }
        Change::BoardRemoved { serial } => {
            of_board(What::BoardGone, farm, serial, format!("board {serial} is gone"))
        }
        Change::LeasesMoved { next } => {
            if next.0 <= farm.next_lease.0 + 1 {
                return None;
            }
            let text = format!(
                "leases go on at {next}, because a worker has seen later ones than this database \
                 knows of"
            );
            warning(entry(What::LeasesMoved, text))
        }
        Change::LeaseGranted(lease) => {
            let text = format!(
                "{} reserved board {} for {} (lease {}, {} s)",
                lease.client,
                lease.serial,
                lease.kind,
                lease.id,
                lease.ttl.as_secs()
            );
            let entry = of_board(What::LeaseGranted, farm, &lease.serial, text);
            JournalEntry { lease: Some(lease.id), client: Some(lease.client.clone()), ..entry }
        }
        Change::LeaseExtended { .. }
        | Change::LeaseWarned { .. }
        | Change::RequestAnswered { .. }
        | Change::RequestForgotten { .. }
        | Change::WaiterSeen { .. } => return None,
        Change::WaitBegan(waiting) => {
            let ask = &waiting.request;
            let seconds = waiting.until.since(waiting.since).as_secs();
            let text = format!("{} waits up to {seconds} s for {}", waiting.client(), wish(ask));
            let client = Some(waiting.client().clone());
            JournalEntry { client, ..entry(What::WaitBegan, text) }
        }
        // The leases that it got say so.
        Change::WaitEnded { end: WaitEnd::Granted, .. } => return None,
        Change::WaitEnded { waiting, end } => {
            let (client, ask) = (waiting.client(), &waiting.request);
            let text = format!("{client} waits no more for {}: {end}", wish(ask));
            JournalEntry { client: Some(client.clone()), ..entry(What::WaitEnded, text) }
        }
        Change::BoardLabelled { serial, labels } => {
            let list: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let text = match labels.get(NAME_LABEL) {
                _ if labels.is_empty() => format!("board {serial} has no labels any more"),
                Some(name) if labels.len() == 1 => format!("board {serial} is called {name}"),
                _ => format!("board {serial} has the labels {}", list.join(", ")),
            };
            of_board(What::BoardLabelled, farm, serial, text)
        }
        Change::LeaseEnded { lease, reason } => {
            let text = format!(
                "{}'s lease {} of board {} is over: {reason}",
                lease.client, lease.id, lease.serial
            );
            let entry = of_board(What::LeaseEnded, farm, &lease.serial, text);
            let warning = !matches!(
                reason,
                EndReason::Ended
                    | EndReason::Expired
                    | EndReason::Revoked
                    | EndReason::Drained
                    | EndReason::BoardDeleted
            );
            let client = Some(lease.client.clone());
            JournalEntry { warning, lease: Some(lease.id), client, ..entry }
        }
    })
}

/// What somebody wants who waits.
fn wish(ask: &ReserveRequest) -> String {
    let labels: Vec<_> = ask.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let labelled =
        if labels.is_empty() { String::new() } else { format!(" with {}", labels.join(", ")) };
    match &ask.selection {
        Selection::Amount(1) => format!("a board{labelled} for {}", ask.kind),
        Selection::Amount(amount) => format!("{amount} boards{labelled} for {}", ask.kind),
        Selection::Serials(serials) => {
            let serials: Vec<_> = serials.iter().map(Serial::as_str).collect();
            format!("{}{labelled} for {}", serials.join(", "), ask.kind)
        }
    }
}

/// What to say of a board that stands elsewhere now, if nothing else tells why.
pub(super) fn of_status(
    farm: &Farm,
    serial: &Serial,
    before: Option<BoardStatus>,
    reason: Option<&str>,
) -> Option<JournalEntry> {
    let board = farm.boards.get(serial)?;
    let status = farm.status(board);
    let again = if before == Some(BoardStatus::Broken) { "is no longer broken: it " } else { "" };
    let what = match status {
        BoardStatus::AwaitFlashDefault => "waits for its default firmware",
        BoardStatus::FlashingDefault => "is given its default firmware",
        BoardStatus::Testing => "is being tested",
        BoardStatus::Available => "can be reserved",
        BoardStatus::Reserved => "is reserved",
        BoardStatus::Broken => "is broken",
        BoardStatus::Offline => "is offline",
        BoardStatus::Draining => "is out of service",
        _ => status.as_str(),
    };
    let reason = match (status, reason) {
        (BoardStatus::Broken | BoardStatus::Offline | BoardStatus::Draining, Some(reason)) => {
            format!(": {reason}")
        }
        (BoardStatus::Broken, None) => ": no reason given".to_owned(),
        _ => String::new(),
    };
    let text = format!("board {serial} {again}{what}{reason}");
    let entry = of_board(Happening::BoardStatus, farm, serial, text);
    let warning = status == BoardStatus::Broken;
    Some(JournalEntry { status: Some(status), warning, ..entry })
}

/// A board is rebooted for whoever asked for it.
pub(crate) fn of_reboot(farm: &Farm, serial: &Serial) -> JournalEntry {
    let entry = of_board(
        Happening::BoardRebooted,
        farm,
        serial,
        format!("board {serial} is rebooted, as somebody asked for"),
    );
    let lease = farm.leases.get(serial);
    let client = lease.map(|lease| lease.client.clone());
    let lease: Option<LeaseId> = lease.map(|lease| lease.id);
    JournalEntry { lease, client, ..entry }
}
