//! `reserve` without a command, `extend`, `end` and `reboot`.
//!
//! They are single requests. What they reserve belongs to no process, so it stays until somebody
//! of the same name ends it, or until its time is over.

use super::args::{EndArgs, ExtendArgs, RebootArgs, ReserveArgs};
use super::server::{Control, Fault, name, run, tell};
use super::{hold, pairs, print};
use icefarm_core::Serial;
use icefarm_core::wire::{FarmStatus, JournalPage, ReservationAnswer};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::Instant;

/// How long a reservation lasts that no process renews, in seconds.
const TTL_S: u32 = 3600;
/// How long control is asked to wait for news at once.
const NEWS: Duration = Duration::from_secs(50);

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
            "ttl_s": args.ttl.unwrap_or(TTL_S),
        });
        if let Some(simulated) = args.kind.simulated {
            body["simulated"] = simulated.into();
        }
        let path = match args.amount {
            Some(amount) => {
                body["amount"] = amount.into();
                "/reserve"
            }
            None => {
                body["serials"] = args.serial.into();
                "/reserveserials"
            }
        };
        let answer = reserve_within(&control, path, &body, args.wait).await?;
        if args.output.json {
            print::json(&answer);
        } else {
            for board in &answer.boards {
                print::line(&format!("{}  {}", board.serial, board.url));
            }
        }
        Ok(())
    })
}

/// Reserves boards. While others hold them, it tries again whenever something has happened.
async fn reserve_within(
    control: &Control,
    path: &str,
    body: &Value,
    wait_s: u32,
) -> Result<ReservationAnswer, Fault> {
    if wait_s == 0 {
        return control.post(path, body).await;
    }
    let deadline = Instant::now() + Duration::from_secs(wait_s.into());
    // Before the first try: a board that becomes free right after it is not missed.
    let mut last = control.get::<FarmStatus>("/v1/status").await?.last_event;
    let mut told = false;
    loop {
        let refused = match control.post(path, body).await {
            Err(fault) if fault.is_for_now() => fault,
            reserved_or_failed => return reserved_or_failed,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left < Duration::from_secs(1) {
            return Err(refused);
        }
        if !told {
            super::remark(&format!("{refused}; waiting up to {wait_s} s"));
            told = true;
        }
        let wait = left.min(NEWS);
        let news = format!("/v1/events?after={last}&limit=1000&wait_s={}", wait.as_secs());
        let page: JournalPage = control.get_within(&news, wait).await?;
        last = page.events.last().map_or(page.last, |event| event.seq);
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
        let reached: Vec<Serial> =
            control.post("/reboot", &json!({"serials": args.serials})).await?;
        tell(&reached, args.output.json, "");
        match left_out(&args.serials, &reached) {
            Some(serial) => Err(Fault::NotRebooted { serial: serial.clone() }),
            None => Ok(()),
        }
    })
}
