//! `status`, `devices` and `board`: the farm as it is.

use super::args::{BoardArgs, DevicesArgs, StatusArgs};
use super::server::{Control, Fault, escaped, run};
use super::table::{Table, clean};
use super::{events, print};
use icefarm_core::wire::{
    BoardCounts, BoardDetail, BoardInFull, FarmStatus, LeaseDetail, LeasePhase, QueueEntry,
    WorkerContact, WorkerDetail,
};
use icefarm_core::{Serial, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use std::process::ExitCode;

pub(crate) fn devices(args: DevicesArgs) -> ExitCode {
    run(async {
        let control = Control::of(&args.client)?;
        if args.available {
            let serials: Vec<Serial> = control.get("/devices").await?;
            if args.output.json {
                print::json(&serials);
            } else {
                serials.iter().for_each(|serial| print::line(serial.as_str()));
            }
            return Ok(());
        }
        let boards: Vec<BoardDetail> = control.get("/v1/boards").await?;
        if args.output.json {
            boards.iter().for_each(print::json);
        } else if boards.is_empty() {
            print::line("No worker has reported a board yet.");
        } else {
            print::table(&table_of(&boards));
        }
        Ok(())
    })
}

fn table_of(boards: &[BoardDetail]) -> Table {
    let mut table =
        Table::new(["board", "name", "status", "kind", "holder", "left", "worker", "remark"]);
    for board in boards {
        let lease = board.lease.as_ref();
        let mut remarks: Vec<String> = board.reason.iter().cloned().collect();
        if board.simulated {
            remarks.insert(0, "simulated".to_owned());
        }
        let labels = board.labels.iter().filter(|(key, _)| *key != "simulated");
        remarks.extend(labels.map(|(key, value)| format!("{key}={value}")));
        table.row([
            board.serial.to_string(),
            board.name.clone().unwrap_or_default(),
            board.status.to_string(),
            lease.map(|lease| lease.kind.to_string()).unwrap_or_default(),
            lease.map(|lease| lease.client.to_string()).unwrap_or_default(),
            lease.map(|lease| left(lease.expires_in_ms)).unwrap_or_default(),
            board.worker.to_string(),
            remarks.join("; "),
        ]);
    }
    table
}

pub(crate) fn status(args: StatusArgs) -> ExitCode {
    run(async {
        let control = Control::of(&args.client)?;
        let status: FarmStatus = control.get("/v1/status").await?;
        let workers: Vec<WorkerDetail> = control.get("/v1/workers").await?;
        let leases: Vec<LeaseDetail> = control.get("/v1/leases").await?;
        let queue: Vec<QueueEntry> = control.get("/v1/queue").await?;
        if args.output.json {
            let all = json!({
                "status": status, "workers": workers, "leases": leases, "queue": queue
            });
            print::json(&all);
        } else {
            glance(&args.client.control, &status, &workers);
            if !leases.is_empty() {
                let boards: Vec<BoardDetail> = control.get("/v1/boards").await?;
                print::line("");
                print::table(&reservations(&leases, &boards));
            }
            if !queue.is_empty() {
                print::line("");
                print::table(&super::queue::table(&queue, status.now));
            }
        }
        Ok(())
    })
}

fn glance(control: &str, status: &FarmStatus, workers: &[WorkerDetail]) {
    let since = ago(status.started, status.now);
    print::line(&format!("control  {control}, version {}, started {since}", status.version));
    if let Some(trouble) = &status.trouble {
        print::line(&clean(&format!("trouble  {trouble}")));
    }
    print::line(&format!("boards   {}", counted(&status.boards)));
    let of = status.workers;
    let left = workers.iter().filter(|worker| worker.contact == WorkerContact::Left).count();
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    let away = of.total.saturating_sub(of.reachable).saturating_sub(left);
    let more =
        [(away, "out of reach"), (left, "stopped")].into_iter().filter(|(many, _)| *many > 0);
    let more = more.map(|(many, what)| format!("{many} of them {what}"));
    let parts: Vec<_> = std::iter::once(of.total.to_string()).chain(more).collect();
    print::line(&format!("workers  {}", parts.join(", ")));
    if status.waiting > 0 {
        print::line(&format!("queue    {} waiting", status.waiting));
    }
    if !workers.is_empty() {
        let mut table = Table::new(["worker", "contact", "heard", "boards", "kinds", "address"]);
        for worker in workers {
            let kinds: Vec<_> = worker.kinds.iter().map(|info| info.kind.to_string()).collect();
            table.row([
                worker.name.to_string(),
                contact(worker),
                ago(worker.last_contact, status.now),
                worker.boards.to_string(),
                kinds.join(", "),
                worker.url.clone(),
            ]);
        }
        print::line("");
        print::table(&table);
    }
}

/// How a worker is, and whether it goes out of service.
fn contact(worker: &WorkerDetail) -> String {
    let contact = worker.contact.as_str();
    match (worker.draining, worker.stops) {
        (_, Some(_)) => format!("{contact}, stopping"),
        (true, None) => format!("{contact}, draining"),
        (false, None) => contact.to_owned(),
    }
}

/// One row for all boards that were reserved together.
fn reservations(leases: &[LeaseDetail], boards: &[BoardDetail]) -> Table {
    let called = |serial: &Serial| {
        let board = boards.iter().find(|board| board.serial == *serial);
        board.and_then(|board| board.name.clone()).unwrap_or_else(|| serial.to_string())
    };
    let mut together: BTreeMap<_, Vec<&LeaseDetail>> = BTreeMap::new();
    for lease in leases {
        together.entry((&lease.client, &lease.reservation)).or_default().push(lease);
    }
    let mut table = Table::new(["holder", "boards", "kind", "left", "serials"]);
    for ((client, _), leases) in together {
        let serials: Vec<_> = leases.iter().map(|lease| called(&lease.serial)).collect();
        let shortest = leases.iter().map(|lease| lease.expires_in_ms).min().unwrap_or(0);
        let kind = leases.first().map(|lease| lease.kind.to_string()).unwrap_or_default();
        table.row([
            client.to_string(),
            leases.len().to_string(),
            kind,
            left(shortest),
            serials.join(", "),
        ]);
    }
    table
}

fn counted(boards: &BoardCounts) -> String {
    let of = [
        ("available", boards.available),
        ("reserved", boards.reserved),
        ("being made ready", boards.preparing),
        ("broken", boards.broken),
        ("offline", boards.offline),
        ("draining", boards.draining),
    ];
    let parts: Vec<String> = of
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    let simulated = match boards.simulated {
        0 => String::new(),
        all if all == boards.total => "; all simulated".to_owned(),
        some => format!("; {some} of them simulated"),
    };
    format!("{}{parts}{simulated}", boards.total)
}

pub(crate) fn board(args: BoardArgs) -> ExitCode {
    run(async {
        let control = Control::of(&args.client)?;
        let path = format!("/v1/boards/{}", escaped(&control.serial(&args.serial).await?));
        let board: BoardInFull = control.get(&path).await?;
        if args.output.json {
            print::json(&board);
        } else {
            let status: FarmStatus = control.get("/v1/status").await?;
            for (word, text) in described(&board, status.now) {
                print::line(&clean(&format!("{word:<13}{text}")));
            }
            if !board.history.is_empty() {
                print::line("");
                print::line("What happened to it, the newest first:");
                board.history.iter().for_each(|entry| print::line(&events::line(entry, false)));
            }
        }
        Ok::<_, Fault>(())
    })
}

fn described(full: &BoardInFull, now: Timestamp) -> Vec<(&'static str, String)> {
    let board = &full.board;
    let name = board.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let since = board.since.map(|at| format!(", since {}", ago(at, now))).unwrap_or_default();
    let simulated = if board.simulated { ", simulated" } else { "" };
    let mut lines = vec![
        ("board", format!("{}{name}{simulated}", board.serial)),
        ("status", format!("{}{since}", board.status)),
        ("why", full.why.clone()),
    ];
    if let Some(reason) = board.reason.as_ref().filter(|reason| !full.why.contains(*reason)) {
        lines.push(("reason", reason.clone()));
    }
    if board.draining && board.lease.is_some() {
        lines.push(("draining", "nobody gets it after its holder".to_owned()));
    }
    match &board.lease {
        Some(lease) => {
            let phase = lease.phase.map(phase).unwrap_or_default();
            let renewed = if lease.renewed_by_socket { ", renewed while it is there" } else { "" };
            lines.push(("holder", lease.client.to_string()));
            lines.push(("kind", format!("{}{phase}", lease.kind)));
            lines.push((
                "lease",
                format!(
                    "{}, granted {}, {} left{renewed}",
                    lease.lease,
                    ago(lease.since, now),
                    left(lease.expires_in_ms)
                ),
            ));
        }
        None => lines.push(("holder", "nobody".to_owned())),
    }
    let url = full.worker_url.as_deref().unwrap_or("address unknown");
    let heard = full.last_contact.map(|at| format!(", heard {}", ago(at, now))).unwrap_or_default();
    lines.push(("worker", format!("{} ({url}), {}{heard}", board.worker, full.contact.as_str())));
    let kinds: Vec<_> = full.kinds.iter().map(ToString::to_string).collect();
    lines.push(("can do", kinds.join(", ")));
    if let Some(last) = &full.last_lease {
        lines.push(("last lease", format!("{} as {}", last.lease, last.kind)));
    }
    for (key, value) in &board.labels {
        lines.push(("label", format!("{key}={value}")));
    }
    lines
}

/// How far a reserved board is.
fn phase(phase: LeasePhase) -> &'static str {
    match phase {
        LeasePhase::Initializing => ", being made ready for it",
        LeasePhase::Ready => ", at work",
        LeasePhase::Ending => ", ending",
        _ => "",
    }
}

/// Time for people: `59 min 58 s`.
pub(super) fn left(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min {:02} s", seconds % 60),
        (hours, minutes) => format!("{hours} h {minutes:02} min"),
    }
}

/// How long ago, by control's own clock.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    let ms = u64::try_from(now.since(then).as_millis()).unwrap_or(u64::MAX);
    if ms < 1000 { "just now".to_owned() } else { format!("{} ago", left(ms)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_for_people() {
        assert_eq!(left(999), "0 s");
        assert_eq!(left(3_599_000), "59 min 59 s");
        assert_eq!(left(7_320_000), "2 h 02 min");
    }

    #[test]
    fn only_what_there_is_is_counted() {
        let mut boards = BoardCounts::default();
        assert_eq!(counted(&boards), "0");
        (boards.total, boards.available, boards.broken, boards.simulated) = (3, 2, 1, 2);
        assert_eq!(counted(&boards), "3: 2 available, 1 broken; 2 of them simulated");
    }
}
