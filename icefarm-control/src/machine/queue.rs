//! Requests that wait for boards: a queue by priority and then by arrival.
//!
//! Whenever something has changed, the queue is walked in its order. A request gets all its boards
//! at once or none; what one that has to go on waiting could use is set aside, so that nobody
//! behind it takes it.

use super::draft::Draft;
use super::farm::millis;
use super::share::{Share, Wanted};
use super::{
    Answer, Answered, Change, Contact, EndReason, Farm, Lease, Refusal, limits, reserve, share,
};
use icefarm_core::wire::{
    CancelAnswer, Event, QueuePosition, QueuePositions, Queued, ReservationAnswer, ReserveRequest,
    events,
};
use icefarm_core::{
    ClientName, InstanceId, Object, RequestId, ReservationId, Serial, Timestamp, Value,
};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A request that waits for boards.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// Rises with every request that comes: who has the lower number was there first.
    pub arrival: u64,
    /// What is asked for. It has a `request` id.
    pub request: Arc<ReserveRequest>,
    /// What the boards will share, and what the request goes by meanwhile.
    pub reservation: ReservationId,
    /// Since when it waits.
    pub since: Timestamp,
    /// When it is given up.
    pub until: Timestamp,
    /// When its process last gave a sign of life. Not stored.
    pub seen: Timestamp,
}

impl Waiting {
    /// Who waits.
    #[must_use]
    pub fn client(&self) -> &ClientName {
        &self.request.name
    }

    /// Higher ones are served first.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.request.priority.unwrap_or(0)
    }

    /// For how many boards.
    #[must_use]
    pub fn amount(&self) -> u32 {
        count(share::amount(&self.request))
    }

    /// From when on a sign of life is worth noting.
    #[must_use]
    pub fn renew_at(&self, farm: &Farm) -> Timestamp {
        self.seen.after(farm.rules.wait_silence / 3)
    }

    fn is_of(&self, client: Option<&ClientName>, instance: Option<&InstanceId>) -> bool {
        client.is_none_or(|client| self.client() == client)
            && (instance.is_none() || self.request.instance.as_ref() == instance)
    }
}

/// Why a request does not wait any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitEnd {
    /// It has its boards.
    Granted,
    /// It waited for as long as it might.
    Expired,
    /// Its client does not want them any more.
    Cancelled,
    /// Its process has given no sign of life for too long.
    ClientGone,
    /// An operator ended it.
    Revoked,
}

impl WaitEnd {
    /// The word for programs, `reason` of the event `reservation not granted`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::ClientGone => "client_gone",
            Self::Revoked => "revoked",
        }
    }
}

/// The reason for people.
impl fmt::Display for WaitEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Granted => "it has its boards",
            Self::Expired => "it waited for as long as it might, and not enough boards were free",
            Self::Cancelled => "its client cancelled it",
            Self::ClientGone => "its client's process has given no sign of life for too long",
            Self::Revoked => "an operator cancelled it",
        })
    }
}

impl Farm {
    /// All who wait, the next to be served first.
    #[must_use]
    pub fn line(&self) -> Vec<&Arc<Waiting>> {
        let mut line: Vec<_> = self.queue.values().collect();
        line.sort_by_key(|waiting| (Reverse(waiting.priority()), waiting.arrival));
        line
    }

    /// Where each client's requests stand, under the number of all.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<ClientName, QueuePositions> {
        let mut positions: BTreeMap<ClientName, QueuePositions> = BTreeMap::new();
        let all = count(self.queue.len());
        for (waiting, position) in self.line().into_iter().zip(1..) {
            let Some(request) = waiting.request.request.clone() else { continue };
            let reservation = waiting.reservation.clone();
            positions
                .entry(waiting.client().clone())
                .or_insert_with(|| QueuePositions { waiting: all, requests: Vec::new() })
                .requests
                .push(QueuePosition { request, reservation, position });
        }
        positions
    }

    pub(super) fn waiting(
        &self,
        client: &ClientName,
        request: &RequestId,
    ) -> Option<&Arc<Waiting>> {
        self.queue.values().find(|waiting| {
            waiting.client() == client && waiting.request.request.as_ref() == Some(request)
        })
    }

    /// Why a request has to wait, for people.
    #[must_use]
    pub fn why_waiting(&self, waiting: &Waiting) -> String {
        let ask = &waiting.request;
        if let Err(refusal) = limits::check_held(self, ask, 0) {
            return refusal.to_string();
        }
        let wanted = Wanted::of(self, ask);
        if !wanted.is_in_service() {
            let too_few = "too few of the boards that would do are in service";
            return match wanted.drained() {
                0 => too_few.to_owned(),
                drained => format!("{too_few}; drained: {drained}"),
            };
        }
        let mut share = Share::behind(self, |other| {
            (Reverse(other.priority()), other.arrival)
                < (Reverse(waiting.priority()), waiting.arrival)
        });
        match share.take(ask) {
            Ok(_) => "its boards are free and are being granted".to_owned(),
            Err(refusal) => refusal.to_string(),
        }
    }
}

pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Where a request stands, as its client is told.
pub(super) fn place(farm: &Farm, waiting: &Waiting, now: Timestamp) -> Queued {
    let line = farm.line();
    let before = line.iter().take_while(|other| other.arrival != waiting.arrival).count();
    Queued {
        request: waiting.request.request.clone().unwrap_or_else(|| RequestId::from("")),
        reservation: waiting.reservation.clone(),
        position: count(before).saturating_add(1),
        waiting: count(line.len()),
        expires_in_ms: millis(waiting.until.since(now)),
    }
}

/// Lets a request wait that cannot be granted now.
pub(super) fn join(
    draft: &mut Draft<'_>,
    ask: ReserveRequest,
    reservation: ReservationId,
    wait_s: u32,
) -> Result<Answer, Refusal> {
    let farm = draft.farm();
    let limit = farm.rules.waiting;
    if farm.queue.len() >= limit {
        return Err(Refusal::QueueFull { limit, client: None });
    }
    let limit = farm.rules.waiting_each;
    let own = farm.queue.values().filter(|waiting| *waiting.client() == ask.name).count();
    if own >= limit {
        return Err(Refusal::QueueFull { limit, client: Some(ask.name) });
    }
    let waiting = Arc::new(Waiting {
        arrival: farm.queue.last_key_value().map_or(1, |(last, _)| last + 1),
        request: Arc::new(ask),
        reservation,
        since: draft.now,
        until: draft.now.after(Duration::from_secs(wait_s.into())),
        seen: draft.now,
    });
    draft.change(Change::WaitBegan(waiting.clone()));
    Ok(Answer::Queued(place(draft.farm(), &waiting, draft.now)))
}

/// Notes a sign of life. To be told so often costs nothing.
pub(super) fn note_life(draft: &mut Draft<'_>, waiting: &Waiting) {
    if waiting.renew_at(draft.farm()) <= draft.now {
        draft.change(Change::WaiterSeen { arrival: waiting.arrival, at: draft.now });
    }
}

/// The socket of a process is alive.
pub(super) fn renew(draft: &mut Draft<'_>, client: &ClientName, instance: &InstanceId) {
    for waiting in meant(draft.farm(), Some(client), Some(instance)) {
        note_life(draft, &waiting);
    }
}

fn meant(
    farm: &Farm,
    client: Option<&ClientName>,
    instance: Option<&InstanceId>,
) -> Vec<Arc<Waiting>> {
    farm.queue.values().filter(|waiting| waiting.is_of(client, instance)).cloned().collect()
}

/// Grants what can be granted, in the order of the queue.
pub(super) fn serve(draft: &mut Draft<'_>) {
    if draft.farm().queue.is_empty() || !draft.may_serve() {
        return;
    }
    // The tick that was to end their waiting may have failed, or be late.
    tick(draft);
    // Who was granted boards may have come to a limit of its own, which keeps it from others that
    // were set aside for it.
    loop {
        let due = due_grants(draft.farm());
        if due.is_empty() {
            return;
        }
        for (waiting, serials) in due {
            grant(draft, waiting, serials);
        }
    }
}

fn grant(draft: &mut Draft<'_>, waiting: Arc<Waiting>, serials: Vec<Serial>) {
    let ask = &waiting.request;
    let ttl = limits::ttl(draft.farm(), ask);
    let boards = reserve::grant(draft, ask, ttl, &waiting.reservation, serials);
    let answered = Answered {
        asked: reserve::describe(ask),
        at: draft.now,
        reservation: waiting.reservation.clone(),
        boards,
        over: None,
    };
    let answer = draft.farm().answer_again(&answered, draft.now);
    remember(draft, ask, answered);
    let event = granted(ask, &answer);
    draft.tell_client(waiting.client(), event);
    draft.change(Change::WaitEnded { waiting, end: WaitEnd::Granted });
}

/// Who can be granted which boards.
fn due_grants(farm: &Farm) -> Vec<(Arc<Waiting>, Vec<Serial>)> {
    let mut share = Share::of(farm);
    let mut grants = Vec::new();
    let mut more: BTreeMap<&ClientName, u32> = BTreeMap::new();
    for waiting in farm.line() {
        if share.is_empty() {
            break;
        }
        let granted = more.get(waiting.client()).copied().unwrap_or(0);
        // Who is kept from boards by a limit of its own keeps them from nobody.
        if limits::check_held(farm, &waiting.request, granted).is_err() {
            continue;
        }
        match share.take(&waiting.request) {
            Ok(serials) => {
                *more.entry(waiting.client()).or_default() += count(serials.len());
                grants.push((waiting.clone(), serials));
            }
            Err(_) => share.set_aside(&waiting.request),
        }
    }
    grants
}

fn remember(draft: &mut Draft<'_>, ask: &ReserveRequest, answered: Answered) {
    if let Some(request) = ask.request.clone() {
        let (client, answered) = (ask.name.clone(), Arc::new(answered));
        draft.change(Change::RequestAnswered { client, request, answered });
    }
}

fn about(event: &'static str, ask: &ReserveRequest, reservation: &ReservationId) -> Event {
    let request = ask.request.as_ref().map_or("", RequestId::as_str);
    Event::new(event).with("request", request).with("reservation", reservation.as_str())
}

/// Everything that the answer to the request would have said.
fn granted(ask: &ReserveRequest, answer: &ReservationAnswer) -> Event {
    let board = |board: &icefarm_core::wire::GrantedBoard| {
        let mut fields = Object::from_iter([
            ("serial".to_owned(), Value::from(board.serial.as_str())),
            ("url".to_owned(), board.url.as_str().into()),
            ("lease".to_owned(), board.lease.0.into()),
            ("expires_in_ms".to_owned(), board.expires_in_ms.into()),
        ]);
        if let Some(name) = &board.name {
            fields.insert("name".to_owned(), name.as_str().into());
        }
        Value::Object(fields)
    };
    let boards: Vec<Value> = answer.boards.iter().map(board).collect();
    about(events::GRANTED, ask, &answer.reservation).with("boards", boards)
}

/// Ends the waiting of one that gets no boards.
fn give_up(draft: &mut Draft<'_>, waiting: Arc<Waiting>, end: WaitEnd) -> ReservationId {
    let (ask, reservation) = (waiting.request.clone(), waiting.reservation.clone());
    let answered = Answered {
        asked: reserve::describe(&ask),
        at: draft.now,
        reservation: reservation.clone(),
        boards: Vec::new(),
        over: Some(end),
    };
    remember(draft, &ask, answered);
    let event = about(events::NOT_GRANTED, &ask, &reservation)
        .with("reason", end.as_str())
        .with("message", end.to_string());
    draft.tell_client(waiting.client(), event);
    draft.change(Change::WaitEnded { waiting, end });
    reservation
}

/// Ends the waiting of all requests of a client, or of one process of it.
pub(super) fn give_up_all(
    draft: &mut Draft<'_>,
    client: &ClientName,
    instance: Option<&InstanceId>,
    end: WaitEnd,
) -> Vec<ReservationId> {
    let all = meant(draft.farm(), Some(client), instance);
    all.into_iter().map(|waiting| give_up(draft, waiting, end)).collect()
}

/// Which requests are not to wait any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// Whose; absent if an operator means whoever's it is.
    pub client: Option<ClientName>,
    /// The one with this id of the client.
    pub request: Option<RequestId>,
    /// The one with this reservation.
    pub reservation: Option<ReservationId>,
    /// Only those of this process.
    pub instance: Option<InstanceId>,
}

/// Cancels requests. One that was granted meanwhile is given back, and one that has not come yet
/// will be refused: whoever cancels has no boards of it in the end.
pub(super) fn cancel(draft: &mut Draft<'_>, which: &Cancelled) -> Result<Answer, Refusal> {
    let Cancelled { client, request, reservation, instance } = which;
    if client.is_none() && (reservation.is_none() || request.is_some()) {
        return Err(Refusal::CancelWhat);
    }
    let mut found = meant(draft.farm(), client.as_ref(), instance.as_ref());
    found.retain(|waiting| {
        (request.is_none() || waiting.request.request == *request)
            && reservation.as_ref().is_none_or(|wanted| waiting.reservation == *wanted)
    });
    if let (true, Some(reservation), None) = (found.is_empty(), reservation, request) {
        return Err(Refusal::NotWaiting { reservation: reservation.clone() });
    }
    let end = if client.is_some() { WaitEnd::Cancelled } else { WaitEnd::Revoked };
    let mut answer = CancelAnswer::default();
    if let (true, Some(client), Some(request)) = (found.is_empty(), client, request) {
        answer.ended = give_back(draft, client, request, instance.as_ref());
    }
    for waiting in found {
        answer.cancelled.push(give_up(draft, waiting, end));
    }
    Ok(Answer::Cancelled(answer))
}

/// Ends the leases of a request that does not wait; one that nobody has heard of is remembered as
/// cancelled, because it may be under way.
fn give_back(
    draft: &mut Draft<'_>,
    client: &ClientName,
    request: &RequestId,
    instance: Option<&InstanceId>,
) -> Vec<Serial> {
    if draft.farm().waiting(client, request).is_some() {
        // Another process waits for it.
        return Vec::new();
    }
    let key = (client.clone(), request.clone());
    let Some(answered) = draft.farm().requests.get(&key).cloned() else {
        let answered = Arc::new(Answered {
            asked: String::new(),
            at: draft.now,
            reservation: ReservationId::from(request.as_str()),
            boards: Vec::new(),
            over: Some(WaitEnd::Cancelled),
        });
        let (client, request) = key;
        draft.change(Change::RequestAnswered { client, request, answered });
        return Vec::new();
    };
    let mut ended = Vec::new();
    for (serial, _, id) in &answered.boards {
        let is_its = |lease: &Arc<Lease>| {
            lease.id == *id && (instance.is_none() || lease.instance.as_ref() == instance)
        };
        if draft.farm().leases.get(serial).is_some_and(is_its) {
            draft.end_lease(serial, EndReason::Ended);
            ended.push(serial.clone());
        }
    }
    ended
}

/// When a request is given up if nothing happens before.
fn end_of(farm: &Farm, waiting: &Waiting) -> (Timestamp, WaitEnd) {
    let expires = (waiting.until, WaitEnd::Expired);
    if waiting.request.instance.is_none() {
        return expires;
    }
    let gone = waiting.seen.max(farm.awake).after(farm.rules.wait_silence);
    if gone < waiting.until { (gone, WaitEnd::ClientGone) } else { expires }
}

/// When a request wants a tick.
pub(super) fn due(farm: &Farm, waiting: &Waiting) -> Timestamp {
    end_of(farm, waiting).0
}

pub(super) fn tick(draft: &mut Draft<'_>) {
    let all: Vec<_> = draft.farm().queue.values().cloned().collect();
    for waiting in all {
        let (at, end) = end_of(draft.farm(), &waiting);
        if at <= draft.now {
            give_up(draft, waiting, end);
        }
    }
}

/// Whether a change may let somebody have boards who waits.
pub(super) fn may_serve(before: &Farm, change: &Change) -> bool {
    match change {
        Change::WorkerHeard { worker, .. } => {
            before.workers.get(worker).is_none_or(|worker| worker.contact != Contact::Reachable)
        }
        Change::Woke { .. }
        | Change::ClaimsRefused { .. }
        | Change::LeaseExtended { .. }
        | Change::LeaseWarned { .. }
        | Change::WaitBegan(_)
        | Change::WaiterSeen { .. }
        | Change::RequestAnswered { .. }
        | Change::RequestForgotten { .. } => false,
        _ => true,
    }
}

/// The boards that all who wait could use, however many each of them gets.
pub(super) fn set_aside_all(share: &mut Share<'_>, before: impl Fn(&Waiting) -> bool) {
    let farm = share.farm();
    for waiting in farm.line() {
        if share.is_empty() {
            return;
        }
        if !before(waiting) || limits::check_held(farm, &waiting.request, 0).is_err() {
            continue;
        }
        share.set_aside(&waiting.request);
    }
}

/// The serials that a request names, each once.
pub(super) fn distinct(serials: &[Serial]) -> Vec<&Serial> {
    let mut seen = BTreeSet::new();
    serials.iter().filter(|serial| seen.insert(*serial)).collect()
}
