//! Brings a worker what it must be told, and repeats it until it is done or out of date.

use super::plan::{Call, wanted};
use super::{Line, Manners};
use crate::ledger::{Ledger, LedgerError};
use crate::machine::{Command, Contact, millis};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use icefarm_core::wire::{EndBoard, ErrorCode, ExtendBoard, ReserveBoard};
use icefarm_core::{LeaseId, Serial};
use icefarm_net::HttpError;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

/// How many calls to one worker are under way at a time.
const AT_ONCE: usize = 16;
/// The pause after the first failure; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause between tries.
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// So many heartbeats after a call was answered its effect must show in the worker's reports.
const CONFIRMED_WITHIN: u32 = 3;

type Key = (u8, LeaseId, u64);

/// How far a call is.
#[derive(Debug)]
struct Attempt {
    key: Key,
    /// The lease and the revision that the worker has when it is done.
    tells: Option<(LeaseId, u64)>,
    pause: Duration,
    /// When it is made again; `None` while it is under way.
    again: Option<Instant>,
}

/// What is remembered of a board.
#[derive(Debug, Default)]
struct Errand {
    attempt: Option<Attempt>,
    /// The lease and the revision that the worker acknowledged last.
    told: Option<(LeaseId, u64)>,
}

/// How a call ended.
struct Outcome {
    serial: Serial,
    call: Call,
    result: Result<(), HttpError>,
}

pub(super) async fn run(line: Line, ledger: Arc<Ledger>, manners: Manners) {
    let mut farm = ledger.watch();
    let mut errands: BTreeMap<Serial, Errand> = BTreeMap::new();
    let mut under_way = FuturesUnordered::new();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut was_reachable = false;
    loop {
        let present = farm.borrow_and_update().clone();
        let reachable = present
            .workers
            .get(&line.worker)
            .is_some_and(|worker| worker.contact == Contact::Reachable);
        let mut next = None;
        let is_back = reachable && !std::mem::replace(&mut was_reachable, reachable);
        if reachable {
            let now = Instant::now();
            if is_back {
                errands.values_mut().for_each(|errand| errand.hurry(now));
            }
            let boards = || present.boards.values().filter(|board| board.worker == line.worker);
            errands.retain(|serial, _| present.boards.contains_key(serial));
            for board in boards() {
                let errand = errands.entry(board.serial().clone()).or_default();
                let Some(call) = wanted(&present, board, errand.told()) else {
                    errand.rest();
                    continue;
                };
                match errand.due(&call, now) {
                    Due::Now => {
                        let serial = board.serial().clone();
                        let line = line.clone();
                        let (places, ledger) = (places.clone(), ledger.clone());
                        under_way.push(async move {
                            // The semaphore is never closed.
                            let _place = places.acquire().await;
                            let result =
                                make(&line, &serial, &call, &ledger, manners.timeout).await;
                            Outcome { serial, call, result }
                        });
                    }
                    Due::At(time) => next = Some(next.map_or(time, |next: Instant| next.min(time))),
                    Due::UnderWay => {}
                }
            }
        }
        tokio::select! {
            changed = farm.changed() => if changed.is_err() { return },
            Some(outcome) = under_way.next() => {
                let confirmed = Instant::now() + manners.heartbeat * CONFIRMED_WITHIN;
                if let Some(errand) = errands.get_mut(&outcome.serial) {
                    errand.note(&outcome, confirmed);
                }
                if let Some(failure) = failure(&line, outcome)
                    && matches!(ledger.submit(failure).await, Err(LedgerError::Closed))
                {
                    return;
                }
            }
            () = wait_until(next) => {}
        }
    }
}

async fn wait_until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

enum Due {
    Now,
    At(Instant),
    UnderWay,
}

impl Errand {
    /// What the worker has been told, counting a call that is under way: its effect may be
    /// reported before its answer is here.
    fn told(&self) -> Option<(LeaseId, u64)> {
        let under_way = self.attempt.as_ref().filter(|attempt| attempt.again.is_none());
        self.told.max(under_way.and_then(|attempt| attempt.tells))
    }

    /// There is nothing to tell.
    fn rest(&mut self) {
        self.attempt.take_if(|attempt| attempt.again.is_some());
    }

    /// The worker answers again: what failed while it did not need not wait any longer.
    fn hurry(&mut self, now: Instant) {
        if let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.again.is_some()) {
            (attempt.again, attempt.pause) = (Some(now), FIRST_PAUSE);
        }
    }

    /// Whether the call is to be made now; then it counts as under way.
    fn due(&mut self, call: &Call, now: Instant) -> Due {
        let key = call.key();
        match &mut self.attempt {
            Some(attempt) if attempt.key == key => match attempt.again {
                None => return Due::UnderWay,
                Some(again) if again > now => return Due::At(again),
                Some(_) => attempt.again = None,
            },
            // An earlier call about the board is out of date: nobody waits for its end.
            attempt => {
                let tells = call.tells();
                *attempt = Some(Attempt { key, tells, pause: FIRST_PAUSE, again: None });
            }
        }
        Due::Now
    }

    fn note(&mut self, outcome: &Outcome, confirmed: Instant) {
        if outcome.result.is_ok() {
            self.told = self.told.max(outcome.call.tells());
        }
        let Some(attempt) = &mut self.attempt else { return };
        if attempt.key != outcome.call.key() {
            return;
        }
        if outcome.result.is_ok() {
            attempt.again = Some(confirmed);
        } else {
            attempt.again = Some(Instant::now() + attempt.pause);
            attempt.pause = (attempt.pause * 2).min(LAST_PAUSE);
        }
    }
}

async fn make(
    line: &Line,
    serial: &Serial,
    call: &Call,
    ledger: &Ledger,
    timeout: Duration,
) -> Result<(), HttpError> {
    let (serial, now) = (serial.clone(), ledger.now());
    let done: Result<IgnoredAny, HttpError> = match call {
        Call::Reserve(lease) => {
            let name = ledger.farm().name_of(&serial).map(str::to_owned);
            let body = ReserveBoard {
                serial,
                kind: lease.kind.clone(),
                args: lease.args.clone(),
                lease: lease.id,
                lease_rev: lease.revision,
                client: lease.client.clone(),
                name,
                expires_in_ms: millis(lease.expires.since(now)),
            };
            line.post("/reserve", &body, timeout).await
        }
        Call::Extend(lease) => {
            let body = ExtendBoard {
                serial,
                lease: lease.id,
                lease_rev: lease.revision,
                expires_in_ms: millis(lease.expires.since(now)),
            };
            line.post("/extend", &body, timeout).await
        }
        Call::End(lease) => line.post("/end", &EndBoard { serial, lease: *lease }, timeout).await,
    };
    done.map(drop)
}

/// What becomes of a call that the worker refused: a lease that it will never take is over.
fn failure(line: &Line, outcome: Outcome) -> Option<Command> {
    let Outcome { serial, call, result: Err(error) } = outcome else { return None };
    let worker = &line.worker;
    if let (Call::Reserve(lease), HttpError::Answer { error, .. }) = (&call, &error)
        && is_final(error.code)
    {
        let reason = format!("worker {worker} refused the reservation: {}", error.message);
        let code = is_for_the_holder(error.code).then_some(error.code);
        return Some(Command::LeaseFailed { serial, lease: lease.id, reason, code });
    }
    let what = match call {
        Call::Reserve(lease) => format!("reserve it under lease {}", lease.id),
        Call::Extend(lease) => format!("extend lease {}", lease.id),
        Call::End(lease) => format!("end lease {lease}"),
    };
    if matches!(error, HttpError::Connect { .. }) {
        // The heartbeats say so for the worker as a whole.
        tracing::debug!(%worker, %serial, "could not tell the worker to {what}: {error}");
    } else {
        tracing::warn!(%worker, %serial, "could not tell the worker to {what}: {error}");
    }
    None
}

/// Whether the worker will say the same next time.
fn is_final(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::BadRequest
            | ErrorCode::BadArguments
            | ErrorCode::UnknownKind
            | ErrorCode::UnknownSerial
            | ErrorCode::StaleLease
            | ErrorCode::NotAvailable
    )
}

/// Whether the holder can do something about it, by asking for something else.
fn is_for_the_holder(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::BadArguments | ErrorCode::UnknownKind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_until_the_worker_answers_again() {
        let mut errand = Errand::default();
        let call = Call::End(LeaseId(1));
        let confirmed = Instant::now() + Duration::from_secs(15);
        for _ in 0..8 {
            assert!(matches!(errand.due(&call, Instant::now()), Due::Now));
            assert!(matches!(errand.due(&call, Instant::now()), Due::UnderWay));
            let reason = "the worker is away".to_owned();
            let result =
                Err(HttpError::Protocol { url: "http://w:1".into(), reason, source: None });
            let outcome = Outcome { serial: "A".parse().unwrap(), call: call.clone(), result };
            errand.note(&outcome, confirmed);
            let Due::At(again) = errand.due(&call, Instant::now()) else { panic!("too soon") };
            tokio::time::sleep_until(again).await;
        }
        assert!(matches!(errand.due(&call, Instant::now()), Due::Now));
        errand.hurry(Instant::now());
        assert!(matches!(errand.due(&call, Instant::now()), Due::UnderWay), "it is made once");
        errand.attempt.as_mut().unwrap().again = Some(Instant::now() + LAST_PAUSE);
        errand.hurry(Instant::now());
        assert!(matches!(errand.due(&call, Instant::now()), Due::Now));
    }
}
