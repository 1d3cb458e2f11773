//! The small commands: `devices`, `reserve`, `end`, `reboot`.
//!
//! They are single requests. What they reserve belongs to no process, so it stays until somebody
//! of the same name ends it, or until its time is over.

use super::args::{ClientArgs, DevicesArgs, EndArgs, RebootArgs, ReserveArgs};
use super::table::Table;
use super::{pairs, print};
use crate::{exit, serve};
use icefarm_core::Serial;
use icefarm_core::wire::{BoardDetail, ReservationAnswer, V1_JSON};
use icefarm_net::{Endpoint, HttpClient, HttpError, RequestOptions};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}; --control says where the farm is, and `icefarm up` starts one")]
    NoFarm(#[source] HttpError),
    #[error(transparent)]
    Http(HttpError),
    #[error(transparent)]
    Pair(#[from] pairs::PairError),
    #[error("board `{serial}` is not reserved by `{name}`; `icefarm devices` shows who holds it")]
    NotHeld { serial: String, name: String },
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Connect { .. } => Self::NoFarm(error),
            _ => Self::Http(error),
        }
    }
}

/// The name that reservations belong to.
pub(crate) fn name(args: &ClientArgs) -> String {
    args.name.clone().unwrap_or_else(|| {
        let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
        format!("{}@{}", user.as_deref().unwrap_or("user"), serve::host_name())
    })
}

/// Control, asked once.
struct Control {
    http: HttpClient,
    endpoint: Endpoint,
    options: RequestOptions,
}

impl Control {
    fn of(args: &ClientArgs) -> Result<Self, Fault> {
        let endpoint = args.control.parse().map_err(HttpError::from)?;
        // Control asks workers for some commands, and waits for them up to ten seconds.
        let options = RequestOptions::default().timeout(Duration::from_secs(30)).accept(V1_JSON);
        Ok(Self { http: HttpClient::default(), endpoint, options })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        Ok(self.http.get_json(&self.endpoint, path, &self.options).await?)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Fault> {
        Ok(self.http.post_json(&self.endpoint, path, body, &self.options).await?)
    }
}

fn run(work: impl Future<Output = Result<(), Fault>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    exit::of(runtime.map_err(Fault::Runtime).and_then(|runtime| runtime.block_on(work)))
}

pub(crate) fn devices(args: DevicesArgs) -> ExitCode {
    run(async {
        let control = Control::of(&args.client)?;
        if args.available {
            let serials: Vec<Serial> = control.get("/devices").await?;
            if args.json {
                print::json(&serials);
            } else {
                serials.iter().for_each(|serial| print::line(serial.as_str()));
            }
            return Ok(());
        }
        let boards: Vec<BoardDetail> = control.get("/v1/boards").await?;
        if args.json {
            boards.iter().for_each(print::json);
        } else if boards.is_empty() {
            print::line("No worker has reported a board yet.");
        } else {
            print::table(&overview(&boards));
        }
        Ok(())
    })
}

fn overview(boards: &[BoardDetail]) -> Table {
    let mut table = Table::new(["board", "status", "holder", "kind", "left", "worker", "remark"]);
    for board in boards {
        let lease = board.lease.as_ref();
        let mut remarks: Vec<String> = board.reason.iter().cloned().collect();
        if board.simulated {
            remarks.insert(0, "simulated".to_owned());
        }
        table.row([
            board.serial.to_string(),
            board.status.to_string(),
            lease.map(|lease| lease.client.to_string()).unwrap_or_default(),
            lease.map(|lease| lease.kind.to_string()).unwrap_or_default(),
            lease.map(|lease| left(lease.expires_in_ms)).unwrap_or_default(),
            board.worker.to_string(),
            remarks.join("; "),
        ]);
    }
    table
}

/// Time for people: `59 min 58 s`.
fn left(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds / 60 {
        0 => format!("{seconds} s"),
        minutes => format!("{minutes} min {:02} s", seconds % 60),
    }
}

pub(crate) fn reserve(args: ReserveArgs) -> ExitCode {
    run(async {
        let control = Control::of(&args.client)?;
        let mut body = json!({
            "name": name(&args.client),
            "kind": args.kind,
            "args": pairs::object(&args.args)?,
            "ttl_s": args.ttl,
        });
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
        let answer: ReservationAnswer = control.post(path, &body).await?;
        if args.json {
            print::json(&answer);
        } else {
            for board in &answer.boards {
                print::line(&format!("{}  {}", board.serial, board.url));
            }
        }
        Ok(())
    })
}

pub(crate) fn end(args: EndArgs) -> ExitCode {
    run(async {
        let control = Control::of(&args.client)?;
        let name = name(&args.client);
        let ended: Vec<Serial> = if args.all {
            control.post("/endall", &json!({"name": name})).await?
        } else {
            control.post("/end", &json!({"name": name, "serials": args.serials})).await?
        };
        let nothing =
            if args.all { format!("Nothing was reserved by `{name}`.") } else { String::new() };
        tell(&ended, args.json, &nothing);
        let is_ended = |serial: &&String| ended.iter().any(|other| other.as_str() == *serial);
        match args.serials.iter().find(|serial| !is_ended(serial)) {
            Some(serial) => Err(Fault::NotHeld { serial: serial.clone(), name }),
            None => Ok(()),
        }
    })
}

pub(crate) fn reboot(args: RebootArgs) -> ExitCode {
    run(async {
        let control = Control::of(&args.client)?;
        let reached: Vec<Serial> =
            control.post("/reboot", &json!({"serials": args.serials})).await?;
        tell(&reached, args.json, "No board was reached.");
        Ok(())
    })
}

fn tell(serials: &[Serial], json: bool, nothing: &str) {
    if json {
        print::json(&serials);
    } else if serials.is_empty() {
        if !nothing.is_empty() {
            print::line(nothing);
        }
    } else {
        serials.iter().for_each(|serial| print::line(serial.as_str()));
    }
}
