//! Commands that look at the farm.

use super::{ClientArgs, OutputArgs};
use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm status
  icefarm status --json            one object: status, workers, leases, queue")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm devices                  every board with its status, kind and holder
  icefarm devices --available      only the serials that can be reserved, one on a line
  icefarm devices --json           one JSON object per board and line")]
pub(crate) struct DevicesArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// Print only the serials of boards that can be reserved now.
    #[arg(long, env = "ICEFARM_AVAILABLE", value_parser = BoolishValueParser::new())]
    pub(crate) available: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm board SIM0123456789ABC
  icefarm board SIM0123456789ABC --json")]
pub(crate) struct BoardArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The board, by its serial or its name.
    #[arg(value_name = "SERIAL")]
    pub(crate) serial: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm events                   the last events, the newest at the end
  icefarm events --follow          go on with what happens from now on, until Ctrl-C
  icefarm events --board SIM0123456789ABC --limit 5
  icefarm events --after 1200 --json | jq .text")]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// Go on with what happens from now on. Control may be restarted meanwhile.
    #[arg(short, long, env = "ICEFARM_FOLLOW", value_parser = BoolishValueParser::new())]
    pub(crate) follow: bool,
    /// How many of the last events, 1 to 1000. None of them with `--follow --limit 0`.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub(crate) limit: u32,
    /// Instead of the last events all that are kept after this number.
    #[arg(long, value_name = "SEQ", conflicts_with = "limit")]
    pub(crate) after: Option<u64>,
    /// Only what is about this board.
    #[arg(long = "board", value_name = "SERIAL")]
    pub(crate) serial: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What is done to requests that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueueAction {
    /// They are not to wait any more.
    Cancel,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm queue                    who waits for boards, the next to be served first
  icefarm queue --json             one JSON object per request and line
  icefarm queue cancel c1f9f0f8-5b63-4bc2-a1f0-6c04b9c7b6b3

Requests wait that were sent with `--wait`, by priority and then by arrival. A request gets all its
boards at once; boards that it could use are kept for it while it waits for more.")]
pub(crate) struct QueueArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// What to do; without it the queue is shown.
    #[arg(value_enum, value_name = "cancel", requires = "ids")]
    pub(crate) action: Option<QueueAction>,
    /// The requests, as the queue shows them.
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm drain bench-2                  nothing new on this worker; what is reserved goes on
  icefarm drain SIM0123456789ABC         the same for one board
  icefarm drain bench-2 --off            back into service, as `icefarm undrain bench-2`

A board that is out of service and that nobody holds has the status `draining`: it can be unplugged.
`icefarm status` and `icefarm board SERIAL` say what is still held. It stays out of service, over
restarts of control and of the worker too, until it is taken back.")]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// Names of workers, serials of boards.
    #[arg(value_name = "WORKER|SERIAL", required = true)]
    pub(crate) names: Vec<String>,
    /// Back into service.
    #[arg(long)]
    pub(crate) off: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm undrain bench-2                the worker's boards can be reserved again
  icefarm undrain SIM0123456789ABC       the same for one board")]
pub(crate) struct UndrainArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// Names of workers, serials of boards.
    #[arg(value_name = "WORKER|SERIAL", required = true)]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
