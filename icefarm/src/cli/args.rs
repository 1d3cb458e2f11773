//! What the command line takes.

use crate::control::ControlArgs;
use crate::up::UpArgs;
use crate::worker::WorkerArgs;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  icefarm up --boards 4                     a whole farm with four virtual boards
  icefarm evaluate circuits/ --boards 2     measure every circuit on two boards
  icefarm simulate circuit.bin              count its pulses without any farm

Every flag can also be given as a variable (`--control` is ICEFARM_CONTROL, `icefarm help COMMAND`
names them all) or in a TOML file (`--config FILE`), in a section of the command's name. A flag
wins over a variable, and a variable over the file.";

/// A farm of FPGA boards: reserve them, evaluate bitstreams on them.
#[derive(Debug, Parser)]
#[command(name = "icefarm", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Take defaults from this TOML file.
    #[arg(long, global = true, env = "ICEFARM_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Log more; twice for everything. ICEFARM_LOG takes a filter such as `icefarm_worker=debug`.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

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
    /// List the boards of the farm.
    Devices(DevicesArgs),
    /// Reserve boards and print where they are. They stay reserved until `icefarm end`, or until
    /// their time is over.
    Reserve(ReserveArgs),
    /// End reservations.
    End(EndArgs),
    /// Bring reserved boards that misbehave back to work; what is queued on them is kept.
    Reboot(RebootArgs),
    /// Measure circuits on boards of the farm.
    Evaluate(EvaluateArgs),
    /// Count the pulses of circuits in the simulator alone, without any farm.
    Simulate(SimulateArgs),
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
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm devices                  every board with its status and holder
  icefarm devices --available      only the serials that can be reserved, one on a line
  icefarm devices --json           one JSON object per board and line")]
pub(crate) struct DevicesArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// Print only the serials of boards that can be reserved now.
    #[arg(long, env = "ICEFARM_AVAILABLE", value_parser = BoolishValueParser::new())]
    pub(crate) available: bool,
    /// Print JSON, one object per line.
    #[arg(long, env = "ICEFARM_JSON", value_parser = BoolishValueParser::new())]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm reserve 2 --kind pulsecount
  icefarm reserve 1 --kind pulsecount --arg flush_interval_seconds=5 --ttl 600
  icefarm reserve --serial SIM0123456789ABC --kind pulsecount")]
pub(crate) struct ReserveArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// How many boards. All of them are reserved, or none.
    #[arg(value_name = "N", required_unless_present = "serial", conflicts_with = "serial")]
    pub(crate) amount: Option<u32>,
    /// Reserve exactly this board; may be given several times.
    #[arg(long, value_name = "SERIAL", env = "ICEFARM_SERIAL", value_delimiter = ',', action = clap::ArgAction::Append)]
    pub(crate) serial: Vec<String>,
    /// What the boards shall do.
    #[arg(long, env = "ICEFARM_KIND", default_value = "pulsecount")]
    pub(crate) kind: String,
    /// An argument of the kind, as KEY=VALUE; VALUE is JSON, or else text.
    #[arg(long = "arg", value_name = "KEY=VALUE", action = clap::ArgAction::Append)]
    pub(crate) args: Vec<String>,
    /// How long the reservation lasts, in seconds.
    #[arg(long, env = "ICEFARM_TTL", value_name = "SECONDS", default_value_t = 3600)]
    pub(crate) ttl: u32,
    /// Print JSON.
    #[arg(long, env = "ICEFARM_JSON", value_parser = BoolishValueParser::new())]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm end SIM0123456789ABC     end the reservation of one board
  icefarm end --all                end all reservations of your name")]
pub(crate) struct EndArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// The boards.
    #[arg(value_name = "SERIAL", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) serials: Vec<String>,
    /// End all reservations of your name.
    #[arg(long)]
    pub(crate) all: bool,
    /// Print JSON.
    #[arg(long, env = "ICEFARM_JSON", value_parser = BoolishValueParser::new())]
    pub(crate) json: bool,
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
    /// Print JSON.
    #[arg(long, env = "ICEFARM_JSON", value_parser = BoolishValueParser::new())]
    pub(crate) json: bool,
}

/// On which of the reserved boards a circuit is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// On each of them.
    Each,
    /// On whichever is free first.
    Any,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm evaluate a.bin b.bin --boards 2             both circuits on each of two boards
  icefarm evaluate generation/ --boards 8 --place any the folder's *.bin files, shared out
  icefarm evaluate @best.txt --json > readings.jsonl  the files that best.txt names

Exit codes: 0 every circuit was read; 3 some were refused or failed; 1 the run did not work;
2 the command line is wrong; 130 interrupted.")]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// A bitstream, a folder of *.bin files, or @LIST: a file that names one bitstream a line.
    #[arg(value_name = "FILE|DIR|@LIST", required = true)]
    pub(crate) circuits: Vec<String>,
    /// What measures them.
    #[arg(long, env = "ICEFARM_KIND", default_value = "pulsecount")]
    pub(crate) kind: String,
    /// An argument of the kind, as KEY=VALUE; VALUE is JSON, or else text.
    #[arg(long = "arg", value_name = "KEY=VALUE", action = clap::ArgAction::Append)]
    pub(crate) args: Vec<String>,
    /// How many boards to reserve.
    #[arg(long, env = "ICEFARM_BOARDS", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) boards: u32,
    /// How long to wait for so many boards to be free, in seconds.
    #[arg(long, env = "ICEFARM_WAIT", value_name = "SECONDS", default_value_t = 30)]
    pub(crate) wait: u32,
    /// On which of them each circuit is measured.
    #[arg(long, env = "ICEFARM_PLACE", value_enum, default_value_t = Place::Each)]
    pub(crate) place: Place,
    /// Print one JSON object per outcome and line, each as soon as it is there.
    #[arg(long, env = "ICEFARM_JSON", value_parser = BoolishValueParser::new())]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm simulate circuit.bin                     one second at 48 MHz
  icefarm simulate *.bin --cycles 480000 --json

Exit codes: 0 every circuit was simulated; 3 some were refused; 1 the run did not work.")]
pub(crate) struct SimulateArgs {
    /// A bitstream, a folder of *.bin files, or @LIST: a file that names one bitstream a line.
    #[arg(value_name = "FILE|DIR|@LIST", required = true)]
    pub(crate) circuits: Vec<String>,
    /// How many cycles of the 48 MHz clock.
    #[arg(long, env = "ICEFARM_CYCLES", value_name = "N", default_value_t = 48_000_000)]
    pub(crate) cycles: u64,
    /// Print JSON, one object per line.
    #[arg(long, env = "ICEFARM_JSON", value_parser = BoolishValueParser::new())]
    pub(crate) json: bool,
}
