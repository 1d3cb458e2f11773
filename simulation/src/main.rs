//! Simulates whole farms, each on one seed: control, workers, clients and boards in one thread,
//! with a network that fails, machines that die and boards that misbehave. `cargo xtask sim`
//! builds and runs it.
//!
//! A seed decides everything, so that one which breaks an invariant can be looked at as often as
//! need be. [`plan`] is what it decides, [`witness`] is who judges.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a terminal")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may stop where it fails"))]

mod crew;
mod dice;
mod disk;
mod farm;
mod network;
mod plan;
mod probe;
mod run;
mod script;
mod watcher;
mod weather;
mod witness;

use crew::{Orders, Summary};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask sim --seeds N [--first K] [--jobs N] [--twice N] [--trace] [--enough N]
                       [--without-fencing | --without CHECK]

  --seeds N            how many seeds are run
  --first K            the first of them; 1 unless said
  --jobs N             how many at a time; as many as there are processors unless said
  --twice N            every N-th seed is run twice and must go the same way; 50 unless said, 0 none
  --trace              print everything that happens
  --enough N           stop after so many failures; 20 unless said
  --without CHECK      leave a check of the workers out, to see that the simulation can fail:
                       `lease` refuses leases that are over, `holder` commands of others
  --without-fencing    leave both out";

/// Nothing is known of any invariant.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [one, seed, trace, omitted @ ..] = &args[..]
        && one == crew::ONE
    {
        if let Some(unknown) = omitted.iter().find(|check| !omit_check(check)) {
            eprintln!("`{unknown}` is no check that can be left out");
            return ExitCode::from(MISUSED);
        }
        if trace == "print" {
            logs();
        }
        run::note_panics();
        return match crew::one_seed(seed, trace) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::from(MISUSED)
            }
        };
    }
    let orders = match read(args.into_iter()) {
        Ok(orders) => orders,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(MISUSED);
        }
    };
    if !cfg!(all(icefarm_simulation, tokio_unstable)) {
        // Tokio's own dice cannot be given a seed.
        eprintln!("this program is to be built by `cargo xtask sim`, or no seed can be repeated");
        return ExitCode::from(MISUSED);
    }
    match crew::all(&orders) {
        Ok(summary) => {
            println!("{}", told(&summary, &orders));
            if summary.failures() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(MISUSED)
        }
    }
}

/// Lets all workers of this process do without a check. Says whether there is such a check.
fn omit_check(check: &str) -> bool {
    #[cfg(icefarm_simulation)]
    return icefarm_worker::omit_check(check);
    #[cfg(not(icefarm_simulation))]
    {
        let _ = check;
        false
    }
}

fn read(mut args: impl Iterator<Item = String>) -> Result<Orders, String> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut orders = Orders {
        first: 1,
        seeds: 0,
        jobs,
        trace: false,
        twice: 50,
        enough: 20,
        omitted: Vec::new(),
    };
    while let Some(arg) = args.next() {
        if arg == "--trace" {
            orders.trace = true;
            continue;
        }
        if arg == "--without-fencing" {
            orders.omitted = ["lease", "holder"].map(str::to_owned).to_vec();
            continue;
        }
        let text = args.next().ok_or_else(|| format!("`{arg}` needs a value"))?;
        if arg == "--without" {
            orders.omitted.push(text);
            continue;
        }
        let number: u64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
        match arg.as_str() {
            "--seeds" => orders.seeds = number,
            "--first" => orders.first = number,
            "--twice" => orders.twice = number,
            "--enough" => orders.enough = number.max(1),
            "--jobs" => orders.jobs = usize::try_from(number.max(1)).unwrap_or(1),
            _ => return Err(format!("`{arg}` is not known")),
        }
    }
    if orders.seeds == 0 {
        return Err("--seeds is missing: how many shall it be?".to_owned());
    }
    if orders.trace {
        (orders.jobs, orders.twice) = (1, 0);
    }
    Ok(orders)
}

/// The programs' own logs, as `RUST_LOG` wants them.
fn logs() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,turmoil=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stdout).init();
}

fn told(summary: &Summary, orders: &Orders) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    // Writing to a text never fails.
    let _ = writeln!(text, "{}\n", summary.tally);
    let seconds = summary.took.as_secs_f64();
    let (slowest, seed) = summary.slowest;
    let _ = writeln!(
        text,
        "{} seeds in {seconds:.1} s ({:.3} s each; the slowest, {seed}, {:.1} s); {} of them run \
         twice",
        summary.seeds,
        seconds / summary.seeds.max(1) as f64,
        slowest.as_secs_f64(),
        summary.twice
    );
    if summary.failures() == 0 {
        let _ = write!(text, "0 invariants broken");
        return text;
    }
    for (invariant, seeds) in &summary.broken {
        let shown: Vec<String> = seeds.iter().take(20).map(u64::to_string).collect();
        let _ = writeln!(text, "BROKEN by {} seeds: {invariant}: {}", seeds.len(), shown.join(" "));
    }
    if !summary.differ.is_empty() {
        let _ = writeln!(text, "NOT THE SAME TWICE: {:?}", summary.differ);
    }
    if let Some(seed) = summary.broken.values().flatten().chain(&summary.differ).min() {
        let without: String =
            orders.omitted.iter().map(|check| format!(" --without {check}")).collect();
        let _ = write!(
            text,
            "look at it with: cargo xtask sim --first {seed} --seeds 1 --trace{without}"
        );
    }
    text
}
