//! `reserve` without a command, `extend`, `end` and `reboot`.
//!
//! They are single requests. What they reserve belongs to no process, so it stays until somebody
//! of the same name ends it, or until its time is over.

use super::args::{EndArgs, ExtendArgs, RebootArgs, ReserveArgs};
use super::reserving::Told;
use super::server::{Control, Fault, escaped, name, run, tell};
use super::{hold, pairs, print};
use crate::serve;
use icefarm_core::Serial;
use icefarm_core::wire::{
    CancelAnswer, ClientEnded, FarmStatus, JournalPage, ReservationAnswer, ReserveAnswer,
};
use serde_json::{Value, json};
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

/// Reserves boards, and waits for them. It is cancelled if this process is asked to stop.
async fn reserve_within(
    control: &Control,
    path: &str,
    mut body: Value,
    wait_s: u32,
) -> Result<ReservationAnswer, Fault> {
    if wait_s > 0 {
        body["wait_s"] = wait_s.into();
    }
    let stopped = serve::stopped()?;
    tokio::select! {
        answer = granted(control, path, &body, wait_s) => answer,
        _ = stopped => {
            let which = json!({"name": body["name"], "request": body["request"]});
            control.post::<CancelAnswer>("/v1/queue/cancel", &which).await?;
            Err(Fault::Interrupted)
        }
    }
}

/// Asks until the boards are granted or refused, whenever something has happened on the farm. Control
/// may be started again meanwhile: the request goes by its id, so it is asked after as it was.
async fn granted(
    control: &Control,
    path: &str,
    body: &Value,
    wait_s: u32,
) -> Result<ReservationAnswer, Fault> {
    let wait = Duration::from_secs(wait_s.into());
    let (told, deadline) = (Told::new(wait), Instant::now() + wait + AWAY);
    // A farm that is not there at all is told of at once.
    let _: FarmStatus = control.get("/v1/status").await?;
    loop {
        match granted_or_news(control, path, body, &told).await {
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
async fn granted_or_news(
    control: &Control,
    path: &str,
    body: &Value,
    told: &Told,
) -> Result<Option<ReservationAnswer>, Fault> {
    // Before it is asked: what happens right after it is not missed.
    let status: FarmStatus = control.get("/v1/status").await?;
    let queued = match control.post(path, body).await? {
        ReserveAnswer::Granted(answer) => return Ok(Some(answer)),
        ReserveAnswer::Queued(answer) => answer.queued,
    };
    told.tell(queued.position, queued.waiting);
    let wait = Duration::from_millis(queued.expires_in_ms + 1000).min(NEWS);
    let (last, seconds) = (status.last_event, wait.as_secs().max(1));
    let news = format!("/v1/events?after={last}&limit=1&wait_s={seconds}");
    let _: JournalPage = control.get_within(&news, wait).await?;
    Ok(None)
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
