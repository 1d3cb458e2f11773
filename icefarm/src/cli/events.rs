//! `icefarm events`: what happened, and what happens.

use super::args::EventsArgs;
use super::server::{Control, Fault, escaped, meant, run};
use super::{print, remark};
use icefarm_core::Epoch;
use icefarm_core::wire::{BoardDetail, JournalEntry, JournalPage};
use std::process::ExitCode;
use std::time::Duration;

/// How long control is asked to wait for the next event at once.
const WAIT: Duration = Duration::from_secs(50);
/// How long after a failure control is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// How many events are asked for at once.
const MANY: u32 = 1000;

/// The serial of a board that the farm has, or had. Who follows may wait for one that is to come.
async fn known(control: &Control, text: &str, follow: bool) -> Result<String, Fault> {
    let boards: Vec<BoardDetail> = control.get("/v1/boards").await?;
    let serial = meant(&boards, text);
    if boards.iter().any(|board| board.serial.as_str() == serial) {
        return Ok(serial);
    }
    let path = format!("/v1/events?limit=1&serial={}", escaped(&serial));
    let page: JournalPage = control.get(&path).await?;
    if page.events.is_empty() {
        if !follow {
            return Err(Fault::NoBoard { serial });
        }
        remark(&format!("no board `{serial}` is known yet; waiting for events of it"));
    }
    Ok(serial)
}

pub(crate) fn main(args: EventsArgs) -> ExitCode {
    run(async {
        let control = Control::of(&args.client)?;
        let about = match &args.serial {
            Some(serial) => {
                let serial = known(&control, serial, args.follow).await?;
                format!("&serial={}", escaped(&serial))
            }
            None => String::new(),
        };
        let print =
            |page: &JournalPage| page.events.iter().try_for_each(|entry| show(entry, &args));
        let mut at = match args.after {
            Some(after) => Position { epoch: None, seq: after },
            None => {
                let limit = args.limit.max(1);
                let page: JournalPage =
                    control.get(&format!("/v1/events?limit={limit}{about}")).await?;
                if args.limit > 0 {
                    print(&page)?;
                }
                Position { epoch: Some(page.epoch), seq: page.last }
            }
        };
        let mut is_away = false;
        loop {
            if !args.follow && args.after.is_none() {
                return Ok(());
            }
            let wait = if args.follow { WAIT } else { Duration::ZERO };
            let seconds = wait.as_secs();
            let path = format!("/v1/events?after={}&limit={MANY}&wait_s={seconds}{about}", at.seq);
            let page = match control.get_within::<JournalPage>(&path, wait).await {
                Ok(page) => page,
                // A refusal of what was asked would only come again.
                Err(fault) if fault.may_pass() && args.follow => {
                    if !is_away {
                        remark(&format!("control is away ({fault}); waiting for it"));
                        is_away = true;
                    }
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            is_away = false;
            let is_other = at.epoch.as_ref().is_some_and(|epoch| *epoch != page.epoch);
            if is_other {
                remark("the farm has another journal now; it is told from its beginning");
                at = Position { epoch: Some(page.epoch), seq: 0 };
                continue;
            }
            // The number may be any, as the user gives the first one.
            if page.first > at.seq.saturating_add(1) && at.epoch.is_some() {
                remark("some events were forgotten before they could be told");
            }
            print(&page)?;
            let is_all = page.events.len() < MANY as usize;
            // Events about other boards are passed over, but not asked about again.
            at.seq = match page.events.last() {
                Some(last) if !is_all => last.seq,
                Some(last) => page.last.max(last.seq),
                None => page.last.max(at.seq),
            };
            at.epoch = Some(page.epoch);
            if is_all && !args.follow {
                return Ok(());
            }
        }
    })
}

/// How far the journal was told.
struct Position {
    epoch: Option<Epoch>,
    seq: u64,
}

fn show(entry: &JournalEntry, args: &EventsArgs) -> Result<(), Fault> {
    let text = if args.output.json {
        serde_json::to_string(entry).map_err(|error| Fault::Output(error.into()))?
    } else {
        line(entry, args.serial.is_none())
    };
    print::try_line(&text).map_err(Fault::Output)
}

/// An event for people.
pub(super) fn line(entry: &JournalEntry, with_serial: bool) -> String {
    let serial = match &entry.serial {
        // Most texts name what they are about.
        Some(serial) if with_serial && !entry.text.contains(serial.as_str()) => {
            format!("  {serial}")
        }
        _ => String::new(),
    };
    let warning = if entry.warning { "  !" } else { "" };
    super::table::clean(&format!("{:>6}  {}{serial}{warning}  {}", entry.seq, entry.at, entry.text))
}
