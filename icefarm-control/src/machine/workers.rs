//! Workers come, report their boards, and go.

use super::draft::Draft;
use super::{Answer, Board, Change, Contact, EndReason, Farm, Refusal, Secret, Worker, drain};
use icefarm_core::wire::{BoardReport, BoardStatus, Event, PROTOCOL, Registration, events};
use icefarm_core::{Incarnation, LeaseId, Serial, Timestamp, WorkerName};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The highest lease that a report may name. Above it numbers are not exact in every language
/// that reads JSON; a farm gets there after granting a thousand leases a second for 285,000 years.
const MAX_TOKEN: u64 = 1 << 53;

pub(super) fn register(
    draft: &mut Draft<'_>,
    registration: Registration,
    url: String,
) -> Result<Answer, Refusal> {
    let Registration { name, incarnation, boards, .. } = &registration;
    if major(&registration.protocol) != major(PROTOCOL) {
        let (worker, theirs) = (name.clone(), registration.protocol);
        return Err(Refusal::OtherProtocol { worker, theirs });
    }
    check_tokens(draft.farm(), boards)?;
    let before = draft.farm().workers.get(name).cloned();
    if let Some(before) = &before {
        // A start that has said goodbye says nothing more: this was on its way for long.
        let is_over = before.contact == Contact::Left && before.incarnation == *incarnation;
        if is_over || before.former.as_ref() == Some(incarnation) {
            return Err(Refusal::StaleIncarnation { worker: name.clone() });
        }
        let other = before.incarnation != *incarnation;
        let moved = other && before.url != url && is_alive(draft.farm(), before, draft.now);
        // One start of a worker has one secret.
        let forged = !other && before.secret.0 != registration.secret;
        if moved || forged {
            return Err(Refusal::NameTaken { worker: name.clone(), url: before.url.clone() });
        }
    }
    let same = before.as_ref().filter(|before| before.incarnation == *incarnation);
    let contact = same.map_or(Contact::Awaited, |same| match same.contact {
        contact if contact.is_gone() => Contact::Awaited,
        contact => contact,
    });
    let restarted = before.is_some() && same.is_none();
    let former = match (&before, same) {
        (_, Some(same)) => same.former.clone(),
        (Some(before), None) => Some(before.incarnation.clone()),
        (None, None) => None,
    };
    let worker = Worker {
        name: name.clone(),
        url,
        version: registration.version.clone(),
        incarnation: incarnation.clone(),
        former,
        secret: Secret(registration.secret.clone()),
        kinds: registration.kinds.clone(),
        plugins: registration.plugins.clone(),
        seen: draft.now,
        contact,
        heard: Some(draft.now),
        answered: before.as_ref().is_some_and(|before| before.answered),
        refused: BTreeSet::new(),
        stops: same.and_then(|same| same.stops),
    };
    draft.change(Change::WorkerRegistered(Arc::new(worker)));
    if restarted {
        forget_reports(draft, name);
    }
    let refused = take_all(draft, name, registration.boards.clone());
    if let Some(ms) = registration.stops_in_ms {
        drain::stop_within(draft, name, Duration::from_millis(ms));
    }
    Ok(Answer::Reported { refused })
}

/// What a worker said before it was started again means nothing any more. Its leases stay: it is
/// sent them again as soon as it reports their boards.
fn forget_reports(draft: &mut Draft<'_>, worker: &WorkerName) {
    for board in boards_of(draft.farm(), worker) {
        let report = BoardReport {
            status: BoardStatus::Offline,
            reason: Some("its worker was restarted and has not found it yet".to_owned()),
            token: LeaseId(0),
            rev: 0,
            lease: None,
            ended: None,
            ..board.report.clone()
        };
        let board = Board { report, missing: Some(draft.now), ..(*board).clone() };
        draft.change(Change::BoardReported(Arc::new(board)));
    }
}

/// Whether another worker must not take over the name. Just after control started it knows of no
/// worker yet whether it lives.
fn is_alive(farm: &Farm, worker: &Worker, now: Timestamp) -> bool {
    match worker.contact {
        Contact::Reachable => true,
        Contact::Awaited => now < farm.awake.after(farm.rules.startup_grace),
        Contact::Unreachable | Contact::Lost | Contact::Left => false,
    }
}

pub(super) fn heartbeat(
    draft: &mut Draft<'_>,
    worker: &WorkerName,
    incarnation: &Incarnation,
    boards: Vec<BoardReport>,
) -> Result<Answer, Refusal> {
    check_speaker(draft.farm(), worker, incarnation)?;
    check_tokens(draft.farm(), &boards)?;
    hear(draft, worker);
    let refused = take_all(draft, worker, boards);
    Ok(Answer::Reported { refused })
}

pub(super) fn report(
    draft: &mut Draft<'_>,
    worker: &WorkerName,
    incarnation: &Incarnation,
    boards: Vec<BoardReport>,
    gone: &[Serial],
) -> Result<Answer, Refusal> {
    check_speaker(draft.farm(), worker, incarnation)?;
    check_tokens(draft.farm(), &boards)?;
    for serial in gone {
        if draft.farm().boards.get(serial).is_some_and(|board| board.worker == *worker) {
            draft.end_lease(serial, EndReason::BoardGone);
            draft.change(Change::BoardRemoved { serial: serial.clone() });
        }
    }
    let mut refused = draft.farm().workers.get(worker).map_or_else(BTreeSet::new, |worker| {
        worker.refused.iter().filter(|serial| !gone.contains(serial)).cloned().collect()
    });
    let mut answer = Vec::new();
    for report in boards {
        let serial = report.serial.clone();
        if take(draft, worker, report) {
            refused.remove(&serial);
        } else {
            refused.insert(serial.clone());
            answer.push(serial);
        }
    }
    note_refused(draft, worker, refused);
    Ok(Answer::Reported { refused: answer })
}

pub(super) fn unreachable(
    draft: &mut Draft<'_>,
    worker: &WorkerName,
    incarnation: &Incarnation,
) -> Result<Answer, Refusal> {
    let contact = check_speaker(draft.farm(), worker, incarnation)?.contact;
    if matches!(contact, Contact::Awaited | Contact::Reachable) {
        draft.change(Change::WorkerSilent { worker: worker.clone() });
        let leases: Vec<_> = boards_of(draft.farm(), worker)
            .iter()
            .filter_map(|board| draft.farm().leases.get(board.serial()).cloned())
            .collect();
        for lease in leases {
            let event = Event::new(events::UNREACHABLE).with("worker", worker.as_str());
            draft.tell(&lease, vec![event]);
        }
    }
    Ok(Answer::Done)
}

pub(super) fn delete_board(draft: &mut Draft<'_>, serial: &Serial) -> Result<Answer, Refusal> {
    if draft.farm().boards.contains_key(serial) {
        draft.end_lease(serial, EndReason::BoardDeleted);
        draft.change(Change::BoardRemoved { serial: serial.clone() });
    }
    Ok(Answer::Done)
}

/// Forgets a worker that cannot be reached, with its boards. If it comes back after all, it
/// registers as a new one.
pub(super) fn forget(draft: &mut Draft<'_>, name: &WorkerName) -> Result<Answer, Refusal> {
    let worker = draft.farm().workers.get(name);
    let contact = worker.ok_or_else(|| Refusal::UnknownWorker { worker: name.clone() })?.contact;
    if contact != Contact::Unreachable && !contact.is_gone() {
        return Err(Refusal::WorkerThere { worker: name.clone() });
    }
    for board in boards_of(draft.farm(), name) {
        draft.end_lease(board.serial(), EndReason::WorkerLost);
        draft.change(Change::BoardRemoved { serial: board.serial().clone() });
    }
    draft.change(Change::WorkerForgotten { worker: name.clone() });
    Ok(Answer::Done)
}

fn hear(draft: &mut Draft<'_>, name: &WorkerName) {
    let at = draft.now;
    if draft.farm().workers.get(name).is_some_and(|worker| worker.contact == Contact::Lost) {
        draft.change(Change::WorkerFound { worker: name.clone(), at });
    }
    draft.change(Change::WorkerHeard { worker: name.clone(), at });
}

pub(super) fn check_speaker<'f>(
    farm: &'f Farm,
    worker: &WorkerName,
    incarnation: &Incarnation,
) -> Result<&'f Arc<Worker>, Refusal> {
    match farm.workers.get(worker) {
        None => Err(Refusal::UnknownWorker { worker: worker.clone() }),
        Some(known) if known.incarnation != *incarnation || known.contact == Contact::Left => {
            Err(Refusal::StaleIncarnation { worker: worker.clone() })
        }
        Some(known) => Ok(known),
    }
}

/// The highest lease that a report names.
fn highest(report: &BoardReport) -> LeaseId {
    let serving = report.lease.as_ref().map(|lease| lease.lease);
    let ended = report.ended.as_ref().map(|ended| ended.lease);
    report.token.max(serving.unwrap_or_default()).max(ended.unwrap_or_default())
}

/// What control gave itself is never impossible, whatever was reported before.
fn check_tokens(farm: &Farm, boards: &[BoardReport]) -> Result<(), Refusal> {
    let limit = MAX_TOKEN.max(farm.next_lease.0);
    match boards.iter().find(|report| highest(report).0 > limit) {
        Some(report) => {
            let (serial, token) = (report.serial.clone(), highest(report).0);
            Err(Refusal::ImpossibleToken { serial, token })
        }
        None => Ok(()),
    }
}

/// Takes reports of everything that a worker has. What it does not list is missing, which it may
/// well not be: a board can be plugged in while a heartbeat is under way. So the board is only
/// not offered for the time being.
fn take_all(draft: &mut Draft<'_>, worker: &WorkerName, boards: Vec<BoardReport>) -> Vec<Serial> {
    let listed: BTreeSet<Serial> = boards.iter().map(|report| report.serial.clone()).collect();
    let mut refused = BTreeSet::new();
    for report in boards {
        let serial = report.serial.clone();
        if !take(draft, worker, report) {
            refused.insert(serial);
        }
    }
    let since = draft.now;
    for board in boards_of(draft.farm(), worker) {
        if board.missing.is_none() && !listed.contains(board.serial()) {
            draft.change(Change::BoardMissing { serial: board.serial().clone(), since });
        }
    }
    let answer = refused.iter().cloned().collect();
    note_refused(draft, worker, refused);
    answer
}

fn note_refused(draft: &mut Draft<'_>, worker: &WorkerName, serials: BTreeSet<Serial>) {
    if draft.farm().workers.get(worker).is_some_and(|worker| worker.refused != serials) {
        draft.change(Change::ClaimsRefused { worker: worker.clone(), serials });
    }
}

/// Takes one report. `false` if another worker has the board.
fn take(draft: &mut Draft<'_>, worker: &WorkerName, report: BoardReport) -> bool {
    let farm = draft.farm();
    let before = farm.boards.get(&report.serial).cloned();
    if let Some(before) = &before {
        if before.worker != *worker {
            let owner = farm.worker_of(before);
            if owner.is_some_and(|owner| !owner.contact.is_gone()) {
                return false;
            }
        } else if report.rev < before.report.rev {
            return true;
        }
    }
    let next = LeaseId(highest(&report).0 + 1);
    if next > farm.next_lease {
        draft.change(Change::LeasesMoved { next });
    }
    let serial = report.serial.clone();
    let (token, ended) = (report.token, report.ended.clone());
    let board = Board { worker: worker.clone(), report, missing: None };
    if before.as_deref() != Some(&board) {
        draft.change(Change::BoardReported(Arc::new(board)));
    }
    if let Some(lease) = draft.farm().leases.get(&serial).map(|lease| lease.id) {
        match ended {
            Some(ended) if ended.lease == lease => {
                let failed = || EndReason::Failed { reason: ended.reason, code: ended.code };
                let reason = if ended.drained { EndReason::Drained } else { failed() };
                draft.end_lease(&serial, reason);
            }
            _ if token > lease => draft.end_lease(&serial, EndReason::Superseded),
            _ => {}
        }
    }
    true
}

/// Control stood still, as in a machine that was suspended: who was to be heard of meanwhile has
/// the time again that there is after a start.
pub(super) fn wake(draft: &mut Draft<'_>) {
    let at = draft.now;
    draft.change(Change::Woke { at });
}

pub(super) fn boards_of(farm: &Farm, worker: &WorkerName) -> Vec<Arc<Board>> {
    farm.boards.values().filter(|board| board.worker == *worker).cloned().collect()
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

/// When a worker wants a tick.
pub(super) fn due(farm: &Farm, worker: &Worker) -> Timestamp {
    match worker.contact {
        Contact::Lost | Contact::Left => {
            worker.seen.max(farm.awake).after(farm.rules.forget_worker_after)
        }
        _ => worker.heard.unwrap_or(farm.started).max(farm.awake).after(farm.rules.lost_after),
    }
}

/// When a board that its worker does not list any more is given up. Those of a lost worker go
/// with it.
pub(super) fn missing_due(farm: &Farm, board: &Board) -> Option<Timestamp> {
    let worker = farm.worker_of(board)?;
    let since = board.missing.filter(|_| !worker.contact.is_gone())?;
    Some(since.max(farm.awake).after(farm.rules.lost_after))
}

pub(super) fn tick(draft: &mut Draft<'_>) {
    let now = draft.now;
    let workers: Vec<_> = draft.farm().workers.values().cloned().collect();
    for worker in workers {
        if due(draft.farm(), &worker) > now {
            continue;
        }
        let name = worker.name.clone();
        let boards = boards_of(draft.farm(), &name);
        if worker.contact.is_gone() {
            for board in boards {
                draft.change(Change::BoardRemoved { serial: board.serial().clone() });
            }
            draft.change(Change::WorkerForgotten { worker: name });
        } else {
            for board in boards {
                draft.end_lease(board.serial(), EndReason::WorkerLost);
            }
            draft.change(Change::WorkerLost { worker: name, at: now });
        }
    }
    let boards: Vec<_> = draft.farm().boards.values().cloned().collect();
    for board in boards {
        if missing_due(draft.farm(), &board).is_some_and(|due| due <= now) {
            draft.end_lease(board.serial(), EndReason::BoardGone);
            draft.change(Change::BoardRemoved { serial: board.serial().clone() });
        }
    }
}
