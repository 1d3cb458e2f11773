//! Commands about reservations.

use super::{ClientArgs, KindArgs, OutputArgs};
use clap::Args;
use std::ffi::OsString;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm reserve 2                                   for an hour, or until `icefarm end`
  icefarm reserve 1 --arg flush_interval_seconds=5 --ttl 600
  icefarm reserve --serial SIM0123456789ABC --simulated
  icefarm reserve 4 --wait 600 -- ./evolve.py         for as long as ./evolve.py runs
  icefarm reserve 2 --label colour=red --wait 60      boards with this label
  icefarm reserve 4 -- sh -c 'icefarm evaluate generation/ --place any'

With a command, the boards are held while it runs, and given back when it ends, dies, or this
program is asked to stop. It is started when all boards are ready, and finds in its environment:

  ICEFARM_SERIALS      the boards' serials, separated by commas
  ICEFARM_WORKERS      the address of each board's worker, in the same order
  ICEFARM_KIND         what the boards do
  ICEFARM_RESERVATION  what they share
  ICEFARM_CONTROL      control's address
  ICEFARM_NAME         the name that holds them; programs under it may use them

So `icefarm evaluate` under it measures on these boards, and programs use `Client::adopt`. Signals
are passed on to the command (Ctrl-C reaches it from the terminal by itself). A board that is lost
meanwhile is told on stderr, and the command goes on.

Exit codes with a command: those of the command, 128+N if signal N ended it; 125 if the boards could
not be had, 126 if the command cannot be run, 127 if there is none of that name.
Without: 0 reserved; 1 not; 2 the command line is wrong.")]
pub(crate) struct ReserveArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// How many boards. All of them are reserved, or none.
    #[arg(
        value_name = "N",
        required_unless_present = "serial",
        conflicts_with = "serial",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) amount: Option<u32>,
    /// Reserve exactly this board, by its serial or its name; may be given several times.
    #[arg(
        long,
        alias = "serials",
        value_name = "SERIAL",
        env = "ICEFARM_SERIAL",
        value_delimiter = ',',
        action = clap::ArgAction::Append
    )]
    pub(crate) serial: Vec<String>,
    #[command(flatten)]
    pub(crate) kind: KindArgs,
    /// How long to wait for boards that others hold, in seconds. Control keeps a queue, see
    /// `icefarm queue`.
    #[arg(long, env = "ICEFARM_WAIT", value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u32,
    /// How long the reservation lasts, in seconds: 3600 unless given. With a command, how long the
    /// boards stay held should this program be killed: 60 unless given.
    #[arg(long, env = "ICEFARM_TTL", value_name = "SECONDS")]
    pub(crate) ttl: Option<u32>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// A command that the boards are held for, with its arguments.
    #[arg(value_name = "CMD", last = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm extend SIM0123456789ABC  let this reservation last its time from now on
  icefarm extend --all             all reservations of your name")]
pub(crate) struct ExtendArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The boards.
    #[arg(value_name = "SERIAL", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) serials: Vec<String>,
    /// Extend all reservations of your name.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm end SIM0123456789ABC     end the reservation of one board
  icefarm end --all                end all reservations of your name, and let nothing wait for more
  icefarm end --client alice       as an operator, the same for somebody else's name")]
pub(crate) struct EndArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The boards, by their serials or names.
    #[arg(
        value_name = "SERIAL",
        required_unless_present_any = ["all", "of"],
        conflicts_with_all = ["all", "of"]
    )]
    pub(crate) serials: Vec<String>,
    /// End all reservations of your name, and let none of its requests wait.
    #[arg(long, conflicts_with = "of")]
    pub(crate) all: bool,
    /// End all reservations of this name, whoever it is, and let none of its requests wait.
    #[arg(id = "of", long = "client", value_name = "NAME")]
    pub(crate) of: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm reboot SIM0123456789ABC")]
pub(crate) struct RebootArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The boards.
    #[arg(value_name = "SERIAL", required = true)]
    pub(crate) serials: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm label SIM0123456789ABC name=rack2-p3 colour=red
  icefarm label rack2-p3 colour-            take the label away
  icefarm label rack2-p3                    show the board's labels
  icefarm reserve 1 --label colour=red      reserve a board with the label

A board keeps its name and labels when it is plugged in elsewhere. Its name stands wherever a serial
may; no two boards have the same. The label simulated=true is always there on a virtual board.")]
pub(crate) struct LabelArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The board, by its serial or its name.
    #[arg(value_name = "SERIAL")]
    pub(crate) serial: String,
    /// KEY=VALUE to give a label, `KEY-` to take it away.
    #[arg(value_name = "KEY=VALUE|KEY-")]
    pub(crate) labels: Vec<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
