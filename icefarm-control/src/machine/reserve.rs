//! Choosing boards and granting leases.

use super::draft::Draft;
use super::refusal::some_time;
use super::{Answer, Answered, Board, Change, Farm, Lease, Refusal};
use icefarm_core::wire::{ReserveRequest, Selection};
use icefarm_core::{
    ClientName, InstanceId, Kind, LeaseId, Object, RequestId, ReservationId, Serial, Timestamp,
    WorkerName,
};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn reserve(
    draft: &mut Draft<'_>,
    ask: ReserveRequest,
    reservation: ReservationId,
) -> Result<Answer, Refusal> {
    let asked = describe(&ask);
    if let Some(request) = &ask.request
        && let Some(answered) = draft.farm().requests.get(&(ask.name.clone(), request.clone()))
    {
        if answered.asked != asked {
            return Err(Refusal::RequestReused { request: request.clone() });
        }
        return Ok(Answer::Reserved(draft.farm().answer_again(answered, draft.now)));
    }

    let farm = draft.farm();
    let ttl = time_to_live(farm, ask.ttl_s)?;
    let workers = offering(farm, &ask.kind, &ask.args)?;
    let serials = match &ask.selection {
        Selection::Amount(amount) => choose(farm, &workers, &ask.kind, *amount, ask.simulated)?,
        Selection::Serials(serials) => named(farm, &workers, &ask.kind, serials, ask.simulated)?,
    };
    let boards = grant(draft, &ask, ttl, &reservation, serials);
    let answered = Answered { asked, at: draft.now, reservation, boards };
    let answer = draft.farm().answer_again(&answered, draft.now);
    if let Some(request) = ask.request
        && !answered.boards.is_empty()
    {
        let (client, answered) = (ask.name, Arc::new(answered));
        draft.change(Change::RequestAnswered { client, request, answered });
    }
    Ok(Answer::Reserved(answer))
}

fn time_to_live(farm: &Farm, ttl_s: Option<u32>) -> Result<Duration, Refusal> {
    let wanted = match ttl_s {
        Some(seconds) => some_time(Duration::from_secs(seconds.into()))?,
        None => farm.rules.default_ttl,
    };
    Ok(farm.rules.max_ttl.map_or(wanted, |max| wanted.min(max)))
}

/// The workers that offer the kind with these arguments.
fn offering(farm: &Farm, kind: &Kind, args: &Object) -> Result<BTreeSet<WorkerName>, Refusal> {
    let living = || farm.workers.values().filter(|worker| !worker.contact.is_gone());
    let mut workers = BTreeSet::new();
    let mut wrong = None;
    for worker in living() {
        match worker.kind(kind).map(|info| info.check_args(args)) {
            Some(Ok(())) => {
                workers.insert(worker.name.clone());
            }
            Some(Err(error)) => wrong = Some(error),
            None => {}
        }
    }
    match wrong {
        // One worker that takes them is enough: workers of several versions may be about.
        _ if !workers.is_empty() => Ok(workers),
        Some(error) => Err(Refusal::BadArguments { kind: kind.clone(), error }),
        None => {
            let known: BTreeSet<_> =
                living().flat_map(|worker| worker.kinds.iter().map(|info| &info.kind)).collect();
            let known = known.into_iter().cloned().collect();
            Err(Refusal::UnknownKind { kind: kind.clone(), known })
        }
    }
}

/// So many boards. Those that had the kind last come first, because they need not be flashed, and
/// then those that have rested longest, so that boards age alike.
fn choose(
    farm: &Farm,
    workers: &BTreeSet<WorkerName>,
    kind: &Kind,
    amount: u32,
    simulated: Option<bool>,
) -> Result<Vec<Serial>, Refusal> {
    let nature = simulated.unwrap_or_else(|| !farm.has_real_boards());
    let free =
        |board: &&Arc<Board>| workers.contains(&board.worker) && farm.obstacle(board).is_none();
    let (mut fitting, others): (Vec<&Arc<Board>>, Vec<_>) =
        farm.boards.values().filter(free).partition(|board| board.report.simulated == nature);
    let wanted = usize::try_from(amount).unwrap_or(usize::MAX);
    if fitting.len() < wanted {
        let simulated = if simulated.is_none() && !nature { others.len() } else { 0 };
        return Err(Refusal::NotEnough { wanted: amount, available: fitting.len(), simulated });
    }
    fitting.sort_by_key(|board| {
        let given = farm.given.get(board.serial());
        let is_warm = given.is_some_and(|given| given.kind == *kind);
        (!is_warm, given.map_or(LeaseId(0), |given| given.lease))
    });
    Ok(fitting.into_iter().take(wanted).map(|board| board.serial().clone()).collect())
}

/// Exactly these boards, each once.
fn named(
    farm: &Farm,
    workers: &BTreeSet<WorkerName>,
    kind: &Kind,
    serials: &[Serial],
    simulated: Option<bool>,
) -> Result<Vec<Serial>, Refusal> {
    let mut chosen: Vec<Serial> = Vec::new();
    // To name a simulated board is to ask for it, but not for a mixture.
    let mut nature = simulated;
    for serial in serials {
        if chosen.contains(serial) {
            continue;
        }
        let serial = serial.clone();
        let Some(board) = farm.boards.get(&serial) else {
            return Err(Refusal::UnknownSerial { serial });
        };
        if *nature.get_or_insert(board.report.simulated) != board.report.simulated {
            return Err(match simulated {
                None => Refusal::Mixed,
                Some(_) => Refusal::OtherNature { serial, simulated: board.report.simulated },
            });
        }
        if farm.obstacle(board).is_some() {
            return Err(Refusal::NotAvailable { serial, status: farm.status(board) });
        }
        if !workers.contains(&board.worker) {
            let (worker, kind) = (board.worker.clone(), kind.clone());
            return Err(Refusal::NotOffered { serial, worker, kind });
        }
        chosen.push(serial);
    }
    Ok(chosen)
}

fn grant(
    draft: &mut Draft<'_>,
    ask: &ReserveRequest,
    ttl: Duration,
    reservation: &ReservationId,
    serials: Vec<Serial>,
) -> Vec<(Serial, String, LeaseId)> {
    let mut boards = Vec::new();
    for serial in serials {
        let farm = draft.farm();
        let id = farm.next_lease;
        let worker = farm.boards.get(&serial).and_then(|board| farm.worker_of(board));
        let url = worker.map(|worker| worker.url.clone()).unwrap_or_default();
        let lease = Lease {
            id,
            revision: 1,
            serial: serial.clone(),
            client: ask.name.clone(),
            instance: ask.instance.clone(),
            kind: ask.kind.clone(),
            args: ask.args.clone(),
            reservation: reservation.clone(),
            granted: draft.now,
            expires: draft.now.after(ttl),
            ttl,
            renewed_by_socket: ask.instance.is_some() && ask.ttl_s.is_some(),
            warned: false,
        };
        draft.change(Change::LeaseGranted(Arc::new(lease)));
        boards.push((serial, url, id));
    }
    boards
}

/// What was asked for, in short: two requests that differ in anything that matters have different
/// texts.
fn describe(ask: &ReserveRequest) -> String {
    let ReserveRequest { selection, name: _, kind, args, request: _, instance, ttl_s, simulated } =
        ask;
    let mut text = match selection {
        Selection::Amount(amount) => format!("{amount} boards"),
        Selection::Serials(serials) => {
            let serials: Vec<_> = serials.iter().map(Serial::as_str).collect();
            serials.join(",")
        }
    };
    // Arguments may be long, and the text is kept. Objects are sorted, so equal ones are written
    // alike; they came as JSON, and what came as that can be written as that.
    let args = serde_json::to_vec(args).unwrap_or_default();
    let digest = Sha256::digest(&args);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let instance = instance.as_ref().map(InstanceId::as_str);
    // Writing to a text does not fail.
    let _ = write!(
        text,
        " as {kind} with {digest}, ttl {ttl_s:?}, instance {instance:?}, simulated {simulated:?}"
    );
    text
}

/// When the answer to a request is forgotten.
pub(super) fn due(farm: &Farm, answered: &Answered) -> Timestamp {
    answered.at.after(farm.rules.remember_requests)
}

pub(super) fn tick(draft: &mut Draft<'_>) {
    let farm = draft.farm();
    let is_old = |answered: &Answered| due(farm, answered) <= draft.now;
    let old: Vec<(ClientName, RequestId)> = farm
        .requests
        .iter()
        .filter(|(_, answered)| is_old(answered))
        .map(|(key, _)| key.clone())
        .collect();
    for (client, request) in old {
        draft.change(Change::RequestForgotten { client, request });
    }
}
