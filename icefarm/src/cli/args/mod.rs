//! What the command line takes.

mod access;
mod boards;
mod farm;
mod shell;
mod work;

pub(crate) use access::{
    AuditArgs, InitArgs, LoginArgs, LogoutArgs, TokenAction, TokenCommandArgs,
};
pub(crate) use boards::{EndArgs, ExtendArgs, LabelArgs, RebootArgs, ReserveArgs};
pub(crate) use farm::{
    BoardArgs, DevicesArgs, DrainArgs, EventsArgs, QueueAction, QueueArgs, StatusArgs, UndrainArgs,
};
pub(crate) use shell::{CompletionsArgs, ManArgs};
pub(crate) use work::{EvaluateArgs, Place, SimulateArgs};

use crate::control::ControlArgs;
use crate::log::LogFormat;
use crate::trust::{TokenArgs, TrustArgs};
use crate::up::UpArgs;
use crate::worker::WorkerArgs;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  icefarm up --boards 4                     a whole farm with four virtual boards
  icefarm status                            the farm at a glance
  icefarm evaluate circuits/ --boards 2     measure every circuit on two boards
  icefarm reserve 2 -- ./evolve.py          keep two boards while a program runs
  icefarm simulate circuit.bin              count its pulses without any farm

Every flag can also be given as a variable (`--control` is ICEFARM_CONTROL, `icefarm help COMMAND`
names them all) or in a TOML file (`--config FILE` or ICEFARM_CONFIG). A flag wins over a variable,
and a variable over the file.

Exit codes: 0 done; 1 it did not work, or its output could not be written; 2 the command line, a
variable or the file is wrong; 3 some circuits were refused or failed; 128+N ended by signal N (130
by Ctrl-C). `icefarm reserve N -- CMD` exits as CMD does, see its help.";

const FILE: &str = "

A configuration file has a section for each command, with the command's long flags as keys.
[client] is for all commands that talk to a farm:

  [client]
  control = \"http://127.0.0.1:8080\"
  name = \"alice\"

  [control]
  listen = \"127.0.0.1:8080\"
  db = \"/var/lib/icefarm/farm.sqlite\"

  [worker]
  control = \"http://127.0.0.1:8080\"
  listen = \"127.0.0.1:8081\"
  name = \"bench-1\"
  sim = 4

  [evaluate]
  boards = 2
  wait = 600";

/// A farm of FPGA boards: reserve them, evaluate bitstreams on them.
#[derive(Debug, Parser)]
#[command(
    name = "icefarm",
    version,
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}{FILE}"),
    arg_required_else_help = true,
)]
pub(crate) struct Cli {
    /// Take defaults from this TOML file.
    #[arg(long, global = true, env = "ICEFARM_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Log more; twice for everything. ICEFARM_LOG takes a filter such as `icefarm_worker=debug`.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// What the command says of it.
    #[arg(skip)]
    pub(crate) log_format: LogFormat,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole farm in one process: a control server, a worker, virtual boards.
    Up(UpArgs),
    /// Run the control server, which knows every board and who holds it.
    Control(ControlArgs),
    /// Run a worker, which is plugged to boards.
    Worker(WorkerArgs),
    /// Set up a farm for several people: database, tokens, configuration, certificates.
    Init(InitArgs),
    /// Make, list and revoke access tokens.
    Token(TokenCommandArgs),
    /// Keep an access token for the commands that talk to a farm.
    Login(LoginArgs),
    /// Forget the access token of a farm.
    Logout(LogoutArgs),
    /// Show who did what on the farm.
    Audit(AuditArgs),
    /// Show the farm at a glance: boards by status, workers, reservations.
    Status(StatusArgs),
    /// List the boards of the farm.
    Devices(DevicesArgs),
    /// Show everything about one board: why it is where it is, who holds it, what happened to it.
    Board(BoardArgs),
    /// Show what happened on the farm.
    Events(EventsArgs),
    /// Show who waits for boards, or let a request wait no more.
    Queue(QueueArgs),
    /// Give a board a name or labels, or take them from it.
    Label(LabelArgs),
    /// Take workers or boards out of service: nothing new is placed on them.
    Drain(DrainArgs),
    /// Take workers or boards back into service.
    Undrain(UndrainArgs),
    /// Reserve boards: until `icefarm end`, or for as long as a command runs.
    Reserve(ReserveArgs),
    /// Let reservations last their time again from now on.
    Extend(ExtendArgs),
    /// End reservations.
    End(EndArgs),
    /// Bring reserved boards that misbehave back to work; what is queued on them is kept.
    Reboot(RebootArgs),
    /// Measure circuits on boards of the farm.
    Evaluate(EvaluateArgs),
    /// Count the pulses of circuits in the simulator alone, without any farm.
    Simulate(SimulateArgs),
    /// Print what a shell needs to complete this command line.
    Completions(CompletionsArgs),
    /// Print the manual page, or write all manual pages to a folder.
    Man(ManArgs),
}

/// What every command needs that talks to a farm.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// Where the control server listens.
    #[arg(
        long,
        env = "ICEFARM_CONTROL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) control: String,

    /// Who you are: reservations belong to this name. USER@HOST if absent.
    #[arg(id = "client_name", long = "name", env = "ICEFARM_NAME", value_name = "NAME")]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) token: TokenArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    /// What log lines look like: `text` for people, or `json` for programs, one object a line.
    #[arg(long, env = "ICEFARM_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
}

/// Whether a command prints for people or for programs.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Print JSON; of a list, one object per line.
    #[arg(long, env = "ICEFARM_JSON", value_parser = BoolishValueParser::new())]
    pub(crate) json: bool,
}

/// What boards are reserved for.
#[derive(Debug, Args)]
pub(crate) struct KindArgs {
    /// What the boards shall do.
    #[arg(long, env = "ICEFARM_KIND", default_value = "pulsecount")]
    pub(crate) kind: String,
    /// An argument of the kind, as KEY=VALUE; VALUE is JSON, or else text. Also several at once,
    /// as an object of JSON.
    #[arg(
        long = "arg",
        alias = "args",
        value_name = "KEY=VALUE",
        action = clap::ArgAction::Append
    )]
    pub(crate) args: Vec<String>,
    /// Take only virtual boards; `--simulated=false` none of them. Unless said, real boards are
    /// taken, and virtual ones only in a farm without real boards.
    #[arg(
        long,
        env = "ICEFARM_SIMULATED",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub(crate) simulated: Option<bool>,
    /// Take only boards with this label; given several times, all must be there. `icefarm devices`
    /// shows labels, and `name` is a board's name.
    #[arg(
        long,
        env = "ICEFARM_LABEL",
        value_name = "KEY=VALUE",
        value_delimiter = ',',
        action = clap::ArgAction::Append
    )]
    pub(crate) label: Vec<String>,
    /// While it waits, this request is served before those of a lower priority: 0 unless given. The
    /// farm may limit it.
    #[arg(long, env = "ICEFARM_PRIORITY", value_name = "N", allow_negative_numbers = true)]
    pub(crate) priority: Option<i32>,
}
