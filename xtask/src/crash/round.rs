//! One round, from an empty folder to its line of the tally.

use super::farm::{BOARDS, Farm};
use super::plan::{Blow, Plan};
use super::process::Process;
use super::race;
use super::readings::{Expected, Readings};
use super::release;
use crate::Result;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// So long may a client take over its circuits, blows included.
const PATIENCE: Duration = Duration::from_secs(240);
const COPIES: usize = 100;
/// Two circuits whose counts the README of the circuits tells.
const CIRCUITS: [(&str, u64); 2] = [("pulses_1000.bin", 1_000), ("pulses_12345.bin", 12_345)];

/// What all rounds share.
pub(super) struct Ground {
    pub(super) binary: PathBuf,
    work: PathBuf,
    /// A folder of 200 circuits.
    pub(super) circuits: PathBuf,
    expected: Expected,
    /// Held by who makes the machine busy.
    pub(super) busy: Mutex<()>,
}

impl Ground {
    pub(super) fn new(binary: PathBuf, source: &Path, work: &Path) -> Result<Self> {
        let circuits = work.join("circuits");
        std::fs::create_dir_all(&circuits)?;
        let mut expected = Expected::new();
        for copy in 0..COPIES {
            for (name, pulses) in CIRCUITS {
                let path = circuits.join(format!("{copy:03}-{name}"));
                std::fs::copy(source.join(name), &path)?;
                expected.insert(path.display().to_string(), pulses);
            }
        }
        let (work, busy) = (work.to_owned(), Mutex::default());
        Ok(Self { binary, work, circuits, expected, busy })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // They are in the way of nobody.
        let _ = std::fs::remove_dir_all(&self.circuits);
    }
}

pub(super) struct Round {
    pub(super) number: u64,
    pub(super) seed: u64,
}

/// What came of a round.
pub(super) struct Done {
    pub(super) plan: Plan,
    pub(super) readings: Readings,
    measured: Duration,
    /// How long the boards of the killed client took to be ready for others.
    pub(super) release: Option<Duration>,
    /// How many races for the last board had one winner, and then the other.
    pub(super) races: usize,
    pub(super) violations: Vec<String>,
    folder: PathBuf,
}

impl Round {
    pub(super) fn run(&self, ground: &Ground) -> Done {
        let folder = ground.work.join(format!("seed-{}", self.seed));
        let mut done = Done {
            plan: Plan::of(self.seed),
            readings: Readings::default(),
            measured: Duration::ZERO,
            release: None,
            races: 0,
            violations: Vec::new(),
            folder,
        };
        if let Err(error) = self.play(ground, &mut done) {
            done.violations.push(error.to_string());
        }
        if done.violations.is_empty()
            && let Err(error) = std::fs::remove_dir_all(&done.folder)
        {
            done.violations.push(format!("{}: {error}", done.folder.display()));
        }
        done
    }

    fn play(&self, ground: &Ground, done: &mut Done) -> Result {
        // What a former run left there would be taken for this one's.
        if done.folder.exists() {
            std::fs::remove_dir_all(&done.folder)?;
        }
        std::fs::create_dir_all(&done.folder)?;
        let busy = ground.busy.lock().unwrap_or_else(PoisonError::into_inner);
        println!("round {}, seed {}: {}", self.number, self.seed, blows(&done.plan.blows));
        let mut farm = Farm::start(&ground.binary, &done.folder)?;
        let begun = Instant::now();
        let lines = measure(&mut farm, ground, &done.plan.blows, &mut done.violations)?;
        done.measured = begun.elapsed();
        std::fs::write(farm.log("readings.jsonl"), lines.join("\n"))?;
        done.readings = Readings::of(&lines, &ground.expected);
        done.violations.extend(done.readings.faults.iter().cloned());
        done.races = race::run(&farm, &mut done.violations)?;
        let killed = release::kill_a_client(&farm, ground, &done.plan)?;
        drop(busy);
        done.release = release::wait(&farm, killed, &mut done.violations)?;
        done.violations.extend(farm.missing()?);
        Ok(())
    }
}

/// A client that measures all circuits on all boards.
pub(super) fn client(farm: &Farm, ground: &Ground, name: &str) -> Result<Process> {
    let (circuits, boards) = (ground.circuits.display().to_string(), BOARDS.to_string());
    let args = [
        "evaluate", &circuits, "--boards", &boards, "--place", "any", "--json", "--wait", "60",
        "--name", name,
    ];
    Process::start(&mut farm.client(&args), &farm.log(&format!("{name}.log")))
}

/// Measures all circuits while blows fall, and gives back what the client printed.
fn measure(
    farm: &mut Farm,
    ground: &Ground,
    blows: &[Blow],
    violations: &mut Vec<String>,
) -> Result<Vec<String>> {
    let mut client = client(farm, ground, "evaluate")?;
    let until = Instant::now() + PATIENCE;
    let mut lines = Vec::new();
    for blow in blows {
        while lines.len() < blow.readings {
            match client.line(until) {
                Ok(Some(line)) => lines.push(line),
                // It is said below what is missing.
                Ok(None) | Err(_) => break,
            }
        }
        thread::sleep(blow.delay);
        farm.kill(blow.target)?;
        thread::sleep(blow.down);
        farm.restart(blow.target)?;
    }
    while let Ok(Some(line)) = client.line(until) {
        lines.push(line);
    }
    match client.ended(until.max(Instant::now() + Duration::from_secs(1)))? {
        Some(status) if status.success() => {}
        Some(status) => violations.push(format!("the client ended with {status}")),
        None => violations.push(format!("the client was not done in {} s", PATIENCE.as_secs())),
    }
    Ok(lines)
}

fn blows(blows: &[Blow]) -> String {
    let blows: Vec<String> = blows.iter().map(ToString::to_string).collect();
    blows.join("; ")
}

impl Done {
    /// The round in a line of the tally, and what went wrong in lines of their own.
    pub(super) fn line(&self, round: &Round, rounds: u64) -> String {
        let mut text = format!(
            "round {}/{rounds}, seed {}: {} of 200 circuits read once and rightly in {:.1} s ({} \
             after more than one attempt)",
            round.number,
            round.seed,
            self.readings.good,
            self.measured.as_secs_f64(),
            self.readings.repeated_work
        );
        if let Some(release) = self.release {
            let seconds = release.as_secs_f64();
            // Writing to a string cannot fail.
            let _ = write!(text, "; boards of the killed client ready after {seconds:.1} s");
        }
        if self.violations.is_empty() {
            return text;
        }
        const SHOWN: usize = 10;
        for violation in self.violations.iter().take(SHOWN) {
            let _ = write!(text, "\n  VIOLATION: {violation}");
        }
        if let Some(more) = self.violations.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = write!(text, "\n  and {more} more");
        }
        let _ = write!(text, "\n  logs: {}", self.folder.display());
        let _ = write!(text, "\n  again: cargo xtask crash --rounds 1 --seed {}", round.seed);
        text
    }
}
