//! `icefarm queue`: who waits for boards.

use super::args::{QueueAction, QueueArgs};
use super::overview::{ago, left};
use super::print;
use super::server::{Control, Fault, name, run};
use super::table::Table;
use icefarm_core::wire::{CancelAnswer, FarmStatus, QueueEntry};
use icefarm_core::{Serial, Timestamp};
use serde_json::json;
use std::process::ExitCode;

pub(crate) fn main(args: QueueArgs) -> ExitCode {
    run(async {
        let control = Control::of(&args.client)?;
        let queue: Vec<QueueEntry> = control.get("/v1/queue").await?;
        match args.action {
            Some(QueueAction::Cancel) => cancel(&control, &args, &queue).await,
            None if args.output.json => {
                queue.iter().for_each(print::json);
                Ok(())
            }
            None if queue.is_empty() => {
                print::line("Nobody waits for boards.");
                Ok(())
            }
            None => {
                let status: FarmStatus = control.get("/v1/status").await?;
                print::table(&table(&queue, status.now));
                Ok(())
            }
        }
    })
}

/// Cancels one's own requests under one's name, and those of others as an operator.
async fn cancel(control: &Control, args: &QueueArgs, queue: &[QueueEntry]) -> Result<(), Fault> {
    let own = name(&args.client);
    let mut cancelled = Vec::new();
    for id in &args.ids {
        let mut which = json!({"reservation": id});
        let entry = queue.iter().find(|entry| entry.reservation.as_str() == id);
        if entry.is_some_and(|entry| entry.client.as_str() == own) {
            which["name"] = own.as_str().into();
        }
        let answer: CancelAnswer = control.post("/v1/queue/cancel", &which).await?;
        cancelled.extend(answer.cancelled);
    }
    if args.output.json {
        print::json(&cancelled);
    } else {
        cancelled.iter().for_each(|id| print::line(id.as_str()));
    }
    Ok(())
}

/// The queue for people, by control's own clock.
pub(super) fn table(queue: &[QueueEntry], now: Timestamp) -> Table {
    let mut table =
        Table::new(["", "client", "boards", "kind", "since", "left", "priority", "id", "why"]);
    for entry in queue {
        let left_ms = u64::try_from(entry.expires.since(now).as_millis()).unwrap_or(u64::MAX);
        table.row([
            entry.position.to_string(),
            entry.client.to_string(),
            wanted(entry),
            entry.kind.to_string(),
            ago(entry.since, now),
            left(left_ms),
            entry.priority.to_string(),
            entry.reservation.to_string(),
            entry.why.clone(),
        ]);
    }
    table
}

fn wanted(entry: &QueueEntry) -> String {
    let mut wanted = if entry.serials.is_empty() {
        entry.amount.to_string()
    } else {
        let serials: Vec<&str> = entry.serials.iter().map(Serial::as_str).collect();
        serials.join(", ")
    };
    for (key, value) in &entry.labels {
        wanted.push_str(&format!(" {key}={value}"));
    }
    wanted
}
