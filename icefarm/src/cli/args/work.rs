//! Commands that measure circuits.

use super::{ClientArgs, KindArgs, OutputArgs};
use clap::{Args, ValueEnum};

/// On which of the reserved boards a circuit is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// On each of them.
    Each,
    /// On whichever is free first.
    Any,
}

const EXAMPLES: &str = "\
Examples:
  icefarm evaluate a.bin b.bin --boards 2             both circuits on each of two boards
  icefarm evaluate generation/ --boards 8 --place any the folder's *.bin files, shared out
  icefarm evaluate a.bin --serial SIM0123456789ABC    on exactly this board
  icefarm evaluate @best.txt --json > readings.jsonl  the files that best.txt names

Boards that are given by --serial, or by ICEFARM_SERIALS under `icefarm reserve N -- CMD`, may be
held under your name already: then they are used as they are, and stay held. Otherwise boards are
reserved for the run.

Exit codes: 0 every circuit was read; 3 some were refused or failed; 1 the run did not work;
2 the command line is wrong; 130 interrupted.";

const KEYS: &str = "

With --json every outcome is one object on one line. Its keys:

  circuit           the file, as it was named
  outcome           `reading`, `refused` (the circuit cannot be measured) or `failed`
  reading           what was measured; of `pulsecount` {\"pulses\": N}, with an `uncertainty` where a
                    simulated count may be off by so many
  code, reason      of `refused` and `failed`: a word for programs, a sentence for people
  id                of the evaluation; the same on all boards of one circuit
  sha256            of the bitstream as sent
  serial, board     the board, and the name that it was given if it has one
  worker            the worker that the board is plugged to
  kind              what measured, with `state_version`, the version of its crate
  image_sha256      of the firmware that measured
  lease             under which it was measured
  attempt           which try it was, from 1
  sequence          how many circuits the board had had before, since its worker started
  previous_sha256   the circuit before, whose residue may matter
  started, ended    when, in UTC
  window_us         for how long, in microseconds
  simulated         whether the board is a virtual one
  falsified         only there if it was told to give a wrong figure: by which fault

A key whose value is not known is null.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}{KEYS}"))]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// A bitstream, a folder of *.bin files, or @LIST: a file that names one bitstream a line.
    #[arg(value_name = "FILE|DIR|@LIST", required = true)]
    pub(crate) circuits: Vec<String>,
    #[command(flatten)]
    pub(crate) kind: KindArgs,
    /// How many boards to reserve: 1 unless given. Said on the command line, it wins over
    /// ICEFARM_SERIALS.
    #[arg(long, env = "ICEFARM_BOARDS", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) boards: Option<u32>,
    /// Measure on exactly this board, by its serial or its name; may be given several times.
    #[arg(
        long,
        alias = "serials",
        env = "ICEFARM_SERIALS",
        value_name = "SERIAL",
        value_delimiter = ',',
        action = clap::ArgAction::Append
    )]
    pub(crate) serial: Vec<String>,
    /// How long to wait for boards that others hold, in seconds. Control keeps a queue, see
    /// `icefarm queue`.
    #[arg(long, env = "ICEFARM_WAIT", value_name = "SECONDS", default_value_t = 30)]
    pub(crate) wait: u32,
    /// On which of them each circuit is measured.
    #[arg(long, env = "ICEFARM_PLACE", value_enum, default_value_t = Place::Each)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Whether the kind was asked for, and is not just the usual one.
    #[arg(skip)]
    pub(crate) kind_is_given: bool,
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
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
