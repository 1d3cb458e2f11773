//! Granting leases, and answering repeated requests.

use super::draft::Draft;
use super::queue::{self, Waiting};
use super::share::{self, Share};
use super::{Answer, Answered, Change, Farm, Lease, Refusal, limits};
use icefarm_core::wire::{ReserveRequest, Selection};
use icefarm_core::{ClientName, InstanceId, LeaseId, RequestId, ReservationId, Serial, Timestamp};
use sha2::{Digest as _, Sha256};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn reserve(
    draft: &mut Draft<'_>,
    ask: ReserveRequest,
    reservation: ReservationId,
) -> Result<Answer, Refusal> {
    if let Some(answer) = repeated(draft, &ask)? {
        return Ok(answer);
    }
    let farm = draft.farm();
    let wait_s = ask.wait_s.filter(|seconds| *seconds > 0);
    if wait_s.is_some() && ask.request.is_none() {
        return Err(Refusal::WaitWithoutRequest);
    }
    limits::check(farm, &ask)?;
    share::check(farm, &ask, wait_s.is_some())?;
    let ttl = limits::ttl(farm, &ask);
    // Who does not wait comes after all who do.
    let priority = ask.priority.unwrap_or(0);
    let comes_before = |waiting: &Waiting| wait_s.is_none() || waiting.priority() >= priority;
    let mut share = Share::behind(farm, comes_before);
    let taken = limits::check_held(farm, &ask, 0).and_then(|()| share.take(&ask));
    let serials = match (taken, wait_s) {
        (Ok(serials), _) => serials,
        (Err(_), Some(wait_s)) => return queue::join(draft, ask, reservation, wait_s),
        (Err(refusal), None) => return Err(refusal),
    };
    let boards = grant(draft, &ask, ttl, &reservation, serials);
    let asked = describe(&ask);
    let answered = Answered { asked, at: draft.now, reservation, boards, over: None };
    let answer = draft.farm().answer_again(&answered, draft.now);
    if let Some(request) = ask.request
        && !answered.boards.is_empty()
    {
        let (client, answered) = (ask.name, Arc::new(answered));
        draft.change(Change::RequestAnswered { client, request, answered });
    }
    Ok(Answer::Reserved(answer))
}

/// The answer to a request that came before.
fn repeated(draft: &mut Draft<'_>, ask: &ReserveRequest) -> Result<Option<Answer>, Refusal> {
    let Some(request) = &ask.request else { return Ok(None) };
    let reused = || Refusal::RequestReused { request: request.clone() };
    if let Some(waiting) = draft.farm().waiting(&ask.name, request).cloned() {
        if *waiting.request != *ask {
            return Err(reused());
        }
        queue::note_life(draft, &waiting);
        return Ok(Some(Answer::Queued(queue::place(draft.farm(), &waiting, draft.now))));
    }
    let key = (ask.name.clone(), request.clone());
    let Some(answered) = draft.farm().requests.get(&key) else { return Ok(None) };
    // One that was cancelled before it came is known by its id alone.
    if !answered.asked.is_empty() && answered.asked != describe(ask) {
        return Err(reused());
    }
    if let Some(end) = answered.over {
        return Err(Refusal::WaitOver { request: request.clone(), end });
    }
    Ok(Some(Answer::Reserved(draft.farm().answer_again(answered, draft.now))))
}

pub(super) fn grant(
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
pub(super) fn describe(ask: &ReserveRequest) -> String {
    let ReserveRequest {
        selection,
        name: _,
        kind,
        args,
        request: _,
        instance,
        ttl_s,
        simulated,
        labels,
        wait_s,
        priority,
    } = ask;
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
    // Left out where they say nothing: texts are stored, and earlier versions knew none of these.
    if !labels.is_empty() {
        let _ = write!(text, ", labels {labels:?}");
    }
    if wait_s.is_some() || priority.is_some() {
        let _ = write!(text, ", wait {wait_s:?}, priority {priority:?}");
    }
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
