//! `cargo xtask crash`: kills servers and clients of a real farm, and counts what comes of it.
//!
//! Each round is a farm of its own: control with a database, two workers with two virtual boards
//! each. A client measures 200 circuits whose counts are known, while servers are killed as a
//! power cut would and started again on their ports. Then a client is killed, and its boards must
//! be ready for others in time. At last two clients race for the last board.

mod farm;
mod plan;
mod process;
mod race;
mod readings;
mod release;
mod round;

use crate::Result;
use crate::suite::cargo;
use plan::Plan;
use round::{Done, Ground, Round};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const USAGE: &str = "usage: cargo xtask crash [--rounds N] [--seed S] [--release] [--binary FILE]
  --rounds N     so many rounds, 20 unless given
  --seed S       what chance is made of; that of a round that failed shows it again
  --release      with the optimised program; the one of tests unless given
  --binary FILE  with this program, instead of building one
Ends with code 1 if anything was lost, doubled, wrong or late, and keeps the logs of such rounds.";

/// So many farms are there at a time. Only one of them measures; the others wait for the leases
/// of a killed client to run out, which takes a minute and no work.
const FARMS: usize = 6;

struct Options {
    rounds: u64,
    seed: u64,
    release: bool,
    binary: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Result {
    let options = Options::read(arguments)?;
    let binary = match &options.binary {
        Some(path) => {
            path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => build(options.release)?,
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let work = root.join("target/crash");
    let ground = Ground::new(binary, &root.join("examples/circuits"), &work)?;
    println!("{} rounds, seeds from {}; {}", options.rounds, options.seed, Plan::in_words());
    let begun = Instant::now();
    let next = AtomicU64::new(0);
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..FARMS.min(usize::try_from(options.rounds).unwrap_or(FARMS)) {
            // A server ends with the thread that started it, whatever becomes of this program.
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= options.rounds {
                        return;
                    }
                    let round = Round { number: number + 1, seed: options.seed + number };
                    let done = round.run(&ground);
                    let mut tally = tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    println!("{}", done.line(&round, options.rounds));
                    tally.add(&round, done);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    println!("{}", tally.in_words(begun.elapsed()));
    if tally.failed.is_empty() {
        // An empty folder says nothing; one that is not empty is somebody else's.
        let _ = std::fs::remove_dir(&work);
        return Ok(());
    }
    Err(format!("{} of {} rounds failed", tally.failed.len(), tally.rounds).into())
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self> {
        // Any start will do that differs from the last one; it is printed.
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut options = Self { rounds: 20, seed: now % 1_000_000, release: false, binary: None };
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let mut value = || rest.next().ok_or(USAGE);
            match flag.as_str() {
                "--rounds" => options.rounds = value()?.parse().map_err(|_| USAGE)?,
                "--seed" => options.seed = value()?.parse().map_err(|_| USAGE)?,
                "--binary" => options.binary = Some(value()?.into()),
                "--release" => options.release = true,
                _ => return Err(USAGE.into()),
            }
        }
        if options.rounds == 0 {
            return Err(USAGE.into());
        }
        Ok(options)
    }
}

/// Builds the program, and says where it is.
fn build(release: bool) -> Result<PathBuf> {
    let mut command = cargo(&["build", "--package", "icefarm", "--message-format", "json"]);
    if release {
        command.arg("--release");
    }
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the program was not built: {command:?}").into());
    }
    let messages = String::from_utf8(output.stdout)?;
    let mut built = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    built.next_back().ok_or_else(|| "cargo did not say where the program is".into())
}

/// What came of all rounds.
#[derive(Default)]
struct Tally {
    rounds: u64,
    control: usize,
    workers: usize,
    both: usize,
    clients: usize,
    readings: usize,
    repeats: usize,
    races: usize,
    slowest: Duration,
    failed: Vec<String>,
}

impl Tally {
    fn add(&mut self, round: &Round, done: Done) {
        self.rounds += 1;
        self.control += done.plan.control();
        self.workers += done.plan.workers();
        self.both += done.plan.both();
        self.readings += done.readings.good;
        self.repeats += done.readings.repeated_work;
        self.races += done.races;
        if let Some(release) = done.release {
            self.clients += 1;
            self.slowest = self.slowest.max(release);
        }
        for violation in done.violations {
            self.failed.retain(|line| !line.starts_with(&format!("round {}:", round.number)));
            self.failed.push(format!("round {}: {violation}", round.number));
        }
    }

    fn in_words(&self, took: Duration) -> String {
        format!(
            "{} rounds in {:.0} s: control killed {} times, a worker {}, both at once {}; {} right \
             readings ({} after more than one attempt); clients killed {}, their boards ready \
             after {:.1} s at most; {} races for the last board; {} rounds failed",
            self.rounds,
            took.as_secs_f64(),
            self.control,
            self.workers,
            self.both,
            self.readings,
            self.repeats,
            self.clients,
            self.slowest.as_secs_f64(),
            self.races,
            self.failed.len()
        )
    }
}
