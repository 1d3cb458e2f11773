//! `icefarm reserve N -- CMD`: boards are held for as long as a command runs.

mod signals;

use super::args::ReserveArgs;
use super::server::{self, Fault};
use super::{pairs, remark, reserving};
use crate::{complain, exit};
use futures::StreamExt;
use icefarm_client::{Client, Reservation, ReserveOptions};
use icefarm_core::Serial;
use signals::{Asked, Signals};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long boards may take to become ready.
const PATIENCE: Duration = Duration::from_secs(180);

/// What becomes of it, for the shell.
enum End {
    /// The command ran, and ended like this.
    Ran(ExitStatus),
    /// A signal came before the command could start.
    Stopped(Asked),
}

pub(super) fn main(args: &ReserveArgs) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&Fault::Runtime(error)),
    };
    match runtime.block_on(run(args)) {
        Ok(Ok(End::Ran(status))) => exit::as_command(status.code(), status.signal()),
        Ok(Ok(End::Stopped(asked))) => exit::as_command(None, Some(asked.number())),
        Ok(Err(error)) => {
            let name = args.command[0].to_string_lossy();
            complain(&format!("`{name}` cannot be run: {error}; the boards are given back"));
            exit::not_run(error.kind() == std::io::ErrorKind::NotFound)
        }
        Err(fault) => failed(&fault),
    }
}

fn failed(fault: &Fault) -> ExitCode {
    complain(&exit::chain(fault));
    exit::no_boards()
}

/// The inner error is that the command cannot be run.
async fn run(args: &ReserveArgs) -> Result<Result<End, std::io::Error>, Fault> {
    let kind_args = pairs::object(&args.kind.args)?;
    let labels = pairs::labels(&args.kind.label)?;
    let mut signals = Signals::listen()?;
    let client = tokio::select! {
        client = server::connect(&args.client) => client?,
        asked = signals.stop() => return Ok(Ok(End::Stopped(asked))),
    };
    let wait = Duration::from_secs(args.wait.into());
    let boards = async {
        let kind = args.kind.kind.as_str();
        let options = match args.amount {
            Some(amount) => ReserveOptions::new(amount, kind),
            None => ReserveOptions::serials(serials(&client, &args.serial).await?, kind),
        };
        let mut options = reserving::wishes(options.args(&kind_args), &args.kind, labels);
        if let Some(ttl) = args.ttl {
            options = options.ttl_s(ttl);
        }
        let reservation = reserving::reserve(&client, options, wait).await?;
        reservation.initialized(PATIENCE).await?;
        Ok::<_, Fault>(reservation)
    };
    let reserved = tokio::select! {
        reserved = boards => Ok(reserved),
        asked = signals.stop() => Err(asked),
    };
    let end = match reserved {
        Ok(Ok(reservation)) => Ok(hold(args, &client, &reservation, &mut signals).await),
        Ok(Err(fault)) => Err(fault),
        Err(asked) => Ok(Ok(End::Stopped(asked))),
    };
    // Whatever became of the command, and its own end comes first.
    if let Err(error) = reserving::give_back(client.close()).await {
        remark(&error.to_string());
    }
    end
}

async fn hold(
    args: &ReserveArgs,
    client: &Client,
    reservation: &Reservation,
    signals: &mut Signals,
) -> Result<End, std::io::Error> {
    let mut command = command(args, client, reservation).spawn()?;
    let mut losses = reservation.losses();
    let mut events = client.events();
    loop {
        tokio::select! {
            status = command.wait() => return Ok(End::Ran(status?)),
            asked = signals.next() => pass_on(asked, &command),
            Some(told) = events.next() => {
                if let Some(text) = reserving::draining(&told.serial, &told.event) {
                    remark(&text);
                }
            }
            Some(loss) = losses.next() => {
                remark(&format!("icefarm: a board is lost while the command runs: {loss}"));
            }
        }
    }
}

fn command(args: &ReserveArgs, client: &Client, reservation: &Reservation) -> Command {
    let boards = reservation.boards();
    let serials: Vec<_> = boards.iter().map(|board| board.serial.as_str()).collect();
    let workers: Vec<_> = boards.iter().map(|board| board.url.as_str()).collect();
    let mut command = Command::new(&args.command[0]);
    command
        .args(&args.command[1..])
        .env("ICEFARM_SERIALS", serials.join(","))
        .env("ICEFARM_WORKERS", workers.join(","))
        .env("ICEFARM_KIND", reservation.kind().as_str())
        .env("ICEFARM_RESERVATION", reservation.id().as_str())
        .env("ICEFARM_CONTROL", &args.client.control)
        .env("ICEFARM_NAME", client.name().as_str())
        .envs(found(args))
        // What this program was told about boards is not meant for those under it.
        .env_remove("ICEFARM_BOARDS")
        .env_remove("ICEFARM_SERIAL")
        .env_remove("ICEFARM_SIMULATED");
    command
}

/// Where the command finds what this program was given by flags or by a file.
fn found(args: &ReserveArgs) -> Vec<(&'static str, std::path::PathBuf)> {
    let given = [
        ("ICEFARM_TOKEN_FILE", &args.client.token.token_file),
        ("ICEFARM_CA", &args.client.trust.ca),
    ];
    // The command may change its folder.
    let whole = |path: &std::path::PathBuf| std::path::absolute(path).unwrap_or(path.clone());
    let path = |(key, path): (_, &Option<_>)| Some((key, whole(path.as_ref()?)));
    given.into_iter().filter_map(path).collect()
}

fn pass_on(asked: Asked, command: &Child) {
    if asked.is_from_terminal() {
        // The terminal has told the command as well.
        return;
    }
    let id = command.id().and_then(|id| i32::try_from(id).ok());
    let Some(process) = id.and_then(rustix::process::Pid::from_raw) else { return };
    if let Err(error) = rustix::process::kill_process(process, asked.signal()) {
        remark(&format!("icefarm: a signal did not reach the command: {error}"));
    }
}

/// The serials that these texts mean, each a serial or a board's name.
pub(super) async fn serials(client: &Client, texts: &[String]) -> Result<Vec<Serial>, Fault> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let boards = client.boards().await?;
    texts.iter().map(|text| Ok(Serial::new(server::meant(&boards, text))?)).collect()
}
