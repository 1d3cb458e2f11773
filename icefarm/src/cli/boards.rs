//! `reserve` without a command, `extend`, `end` and `reboot`.
//!
//! They are single requests. What they reserve belongs to no process, so it stays until somebody
//! of the same name ends it, or until its time is over.

use super::args::{EndArgs, ExtendArgs, RebootArgs, ReserveArgs};
use super::reserving::Told;
use super::server::{Control, Fault, escaped, name, run, tell};
use super::{hold, pairs, print};
use crate::exit;
use crate::serve::Stops;
use icefarm_core::Serial;
use icefarm_core::wire::{
    CancelAnswer, ClientEnded, ErrorCode, FarmStatus, JournalPage, ReservationAnswer, ReserveAnswer,
};
use serde_json::{Value, json};
use std::cell::Cell;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// How long control is asked to wait for news at once. Control takes who waits for gone after 60 s
/// without a sign of life, and this leaves room for lost ones.
const NEWS: Duration = Duration::from_secs(20);
/// How long after a failure control is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long beyond the end of its waiting a request is asked after if control is away.
const AWAY: Duration = Duration::from_secs(60);

pub(crate) fn reserve(args: ReserveArgs) -> ExitCode {
    if !args.command.is_empty() {
        return hold::main(&args);
    }
    run(async {
        let control = Control::of(&args.client)?;
        let mut body = json!({
            "name": name(&args.client),
            "kind": args.kind.kind,
            "args": pairs::object(&args.kind.args)?,
            "request": uuid::Uuid::new_v4().to_string(),
        });
        match args.ttl {
            Some(ttl) => body["ttl_s"] = ttl.into(),
            // Who waits in a process is given up when that is gone. With a time of its own the lease
            // would count as one that the process renews.
            None => body["instance"] = uuid::Uuid::new_v4().to_string().into(),
        }
        if let Some(simulated) = args.kind.simulated {
            body["simulated"] = simulated.into();
        }
        let labels = pairs::labels(&args.kind.label)?;
        if !labels.is_empty() {
            body["labels"] = json!(labels);
        }
        if let Some(priority) = args.kind.priority {
            body["priority"] = priority.into();
        }
        let path = match args.amount {
            Some(amount) => {
                body["amount"] = amount.into();
                "/reserve"
            }
            None => {
                body["serials"] = control.serials(&args.serial).await?.into();
                "/reserveserials"
            }
        };
        let answer = reserve_within(&control, path, body, args.wait).await?;
        if args.output.json {
            print::json(&answer);
        } else {
            for board in &answer.boards {
                let name = board.name.as_ref().map(|name| format!("  {name}")).unwrap_or_default();
                print::line(&format!("{}  {}{name}", board.serial, board.url));
            }
        }
        Ok(())
    })
}

/// Reserves boards, and waits for them. The request is cancelled if this process is asked to stop,
/// or cannot learn what became of it.
async fn reserve_within(
    control: &Control,
    path: &str,
    mut body: Value,
    wait_s: u32,
) -> Result<ReservationAnswer, Fault> {
    if wait_s > 0 {
        body["wait_s"] = wait_s.into();
    }
    let mut stops = Stops::listen()?;
    let request = Request { control, path, body: &body, is_open: Cell::new(false) };
    let outcome = tokio::select! {
        answer = request.granted(wait_s) => answer,
        _ = stops.next() => Err(Fault::Interrupted),
    };
    let fault = match outcome {
        Err(fault) if request.is_open.get() => fault,
        outcome => return outcome,
    };
    let cancelled = tokio::select! {
        cancelled = request.cancel() => cancelled,
        // Who does not wait for that either is told what it means.
        status = stops.next() => Err(Fault::Stopped(status)),
    };
    let Err(source) = cancelled else { return Err(fault) };
    let why = match fault {
        Fault::Interrupted => "interrupted".to_owned(),
        fault => exit::chain(&fault),
    };
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    Err(Fault::Open { name, why, source: Box::new(source) })
}

/// A request for boards.
struct Request<'a> {
    control: &'a Control,
    path: &'a str,
    body: &'a Value,
    /// Whether control may have it, so that boards may be granted without anybody learning of it.
    is_open: Cell<bool>,
}

impl Request<'_> {
    /// Asks until the boards are granted or refused, whenever something has happened on the farm.
    /// Control may be started again meanwhile: the request goes by its id, so it is asked after as
    /// it was.
    async fn granted(&self, wait_s: u32) -> Result<ReservationAnswer, Fault> {
        let wait = Duration::from_secs(wait_s.into());
        let (told, deadline) = (Told::new(wait), Instant::now() + wait + AWAY);
        // A farm that is not there at all is told of at once.
        let _: FarmStatus = self.control.get("/v1/status").await?;
        loop {
            match self.granted_or_news(&told).await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(fault) if wait_s > 0 && fault.may_pass() && Instant::now() < deadline => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Asks once; if the request waits, until something has happened.
    async fn granted_or_news(&self, told: &Told) -> Result<Option<ReservationAnswer>, Fault> {
        // Before it is asked: what happens right after it is not missed.
        let status: FarmStatus = self.control.get("/v1/status").await?;
        let queued = match self.ask().await? {
            ReserveAnswer::Granted(answer) => return Ok(Some(answer)),
            ReserveAnswer::Queued(answer) => answer.queued,
        };
        told.tell(queued.position, queued.waiting);
        let wait = Duration::from_millis(queued.expires_in_ms.saturating_add(1000)).min(NEWS);
        let (last, seconds) = (status.last_event, wait.as_secs().max(1));
        let news = format!("/v1/events?after={last}&limit=1&wait_s={seconds}");
        let _: JournalPage = self.control.get_within(&news, wait).await?;
        Ok(None)
    }

    /// Asks control, and keeps in mind whether it may have the request.
    async fn ask(&self) -> Result<ReserveAnswer, Fault> {
        // Also for a process that is stopped while it waits for the answer.
        let before = self.is_open.replace(true);
        let answer = self.control.post(self.path, self.body).await;
        if let Err(fault) = &answer {
            self.is_open.set(stays_open(fault, before));
        }
        answer
    }

    /// Whoever cancels has no boards of the request in the end, also if it was granted meanwhile.
    async fn cancel(&self) -> Result<(), Fault> {
        let which = json!({"name": self.body["name"], "request": self.body["request"]});
        self.control.post::<CancelAnswer>("/v1/queue/cancel", &which).await.map(drop)
    }
}

/// Whether control may have a request after this failure; `before` is whether it might before it.
fn stays_open(fault: &Fault, before: bool) -> bool {
    match fault {
        // It did not get there.
        Fault::NoFarm(_) => before,
        Fault::Http(error) => match error.code() {
            // It came to the door and no further.
            Some(ErrorCode::Overloaded) => before,
            Some(ErrorCode::Unavailable | ErrorCode::Internal) | None => true,
            // Every other answer is a refusal.
            Some(_) => false,
        },
        _ => true,
    }
}

/// A request for boards of one name, or for all of them, and what to say if there are none.
struct Named<'a> {
    one: &'static str,
    all: &'static str,
    serials: &'a [String],
    is_all: bool,
    json: bool,
}

async fn ask(control: &Control, name: String, named: Named<'_>) -> Result<(), Fault> {
    let Named { one, all, serials, is_all, json } = named;
    let serials = &control.serials(serials).await?;
    let done: Vec<Serial> = if is_all {
        control.post(all, &json!({"name": name})).await?
    } else {
        control.post(one, &json!({"name": name, "serials": serials})).await?
    };
    let nothing = if is_all { format!("Nothing is reserved by `{name}`.") } else { String::new() };
    tell(&done, json, &nothing);
    match left_out(serials, &done) {
        Some(serial) => Err(Fault::NotHeld { serial: serial.clone(), name }),
        None => Ok(()),
    }
}

/// The first board for which it was not done.
fn left_out<'a>(wanted: &'a [String], done: &[Serial]) -> Option<&'a String> {
    wanted.iter().find(|serial| !done.iter().any(|other| other.as_str() == **serial))
}

pub(crate) fn end(args: EndArgs) -> ExitCode {
    run(async {
        if let Some(client) = &args.of {
            return end_client(&Control::of(&args.client)?, client, args.output.json).await;
        }
        let named = Named {
            one: "/end",
            all: "/endall",
            serials: &args.serials,
            is_all: args.all,
            json: args.output.json,
        };
        ask(&Control::of(&args.client)?, name(&args.client), named).await
    })
}

/// Ends everything of a client, whoever asks for it.
async fn end_client(control: &Control, client: &str, json: bool) -> Result<(), Fault> {
    let path = format!("/v1/clients/{}/end", escaped(client));
    let ended: ClientEnded = control.post(&path, &json!({})).await?;
    if json {
        print::json(&ended);
        return Ok(());
    }
    tell(&ended.ended, false, &format!("Nothing is reserved by `{client}`."));
    if !ended.cancelled.is_empty() {
        print::line(&format!("{} requests of `{client}` wait no more.", ended.cancelled.len()));
    }
    Ok(())
}

pub(crate) fn extend(args: ExtendArgs) -> ExitCode {
    run(async {
        let named = Named {
            one: "/extend",
            all: "/extendall",
            serials: &args.serials,
            is_all: args.all,
            json: args.output.json,
        };
        ask(&Control::of(&args.client)?, name(&args.client), named).await
    })
}

pub(crate) fn reboot(args: RebootArgs) -> ExitCode {
    run(async {
        let control = Control::of(&args.client)?;
        let serials = control.serials(&args.serials).await?;
        let reached: Vec<Serial> = control.post("/reboot", &json!({"serials": serials})).await?;
        tell(&reached, args.output.json, "");
        match left_out(&serials, &reached) {
            Some(serial) => Err(Fault::NotRebooted { serial: serial.clone() }),
            None => Ok(()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use icefarm_net::HttpError;

    #[test]
    fn a_request_stays_open_as_long_as_it_may_have_arrived() {
        let timeout = HttpError::Timeout { url: "u".to_owned(), timeout: AGAIN };
        assert!(stays_open(&Fault::from(timeout), false));
        let away = || {
            let source = std::io::ErrorKind::ConnectionRefused.into();
            Fault::from(HttpError::Connect { url: "u".to_owned(), source })
        };
        assert!(!stays_open(&away(), false));
        assert!(stays_open(&away(), true), "it waits there since before");
    }
}
