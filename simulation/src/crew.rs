//! Many seeds, side by side.

use crate::run::{Trace, Verdict, run};
use crate::witness::{Broken, Invariant, Tally};
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The argument of a process that runs one seed.
pub(crate) const ONE: &str = "--one";
/// How many lines of a trace are shown with a failure.
const SHOWN: usize = 150;

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) first: u64,
    pub(crate) seeds: u64,
    pub(crate) jobs: usize,
    pub(crate) trace: bool,
    /// Every so many seeds one is run twice.
    pub(crate) twice: u64,
    /// How many failures are enough.
    pub(crate) enough: u64,
    /// The checks of the workers that are left out.
    pub(crate) omitted: Vec<String>,
}

/// What came of all seeds.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) seeds: u64,
    pub(crate) twice: u64,
    pub(crate) broken: BTreeMap<Invariant, Vec<u64>>,
    pub(crate) differ: Vec<u64>,
    pub(crate) tally: Tally,
    pub(crate) took: Duration,
    pub(crate) slowest: (Duration, u64),
}

impl Summary {
    pub(crate) fn failures(&self) -> usize {
        self.broken.values().map(Vec::len).sum::<usize>() + self.differ.len()
    }
}

/// A process of its own for each seed: nothing of one is left when the next begins. Even the
/// numbers that tokio gives its tasks decide in which order they are dropped.
fn alone(orders: &Orders, seed: u64, trace: Trace) -> Result<Verdict, String> {
    let failed = |error: &dyn std::fmt::Display| format!("seed {seed} cannot be run: {error}");
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut child = Command::new(program);
    child.args([ONE, &seed.to_string(), trace.word()]).args(&orders.omitted).stdin(Stdio::null());
    if trace == Trace::Print {
        let status = child.status().map_err(|error| failed(&error))?;
        let broken = (!status.success())
            .then(|| Broken { invariant: Invariant::Alive, what: "see its trace".to_owned() });
        return Ok(Verdict { seed, broken, ..Verdict::default() });
    }
    let output = child.stderr(Stdio::inherit()).output().map_err(|error| failed(&error))?;
    let verdict = serde_json::from_slice(&output.stdout);
    verdict.map_err(|error| failed(&format_args!("{} ({error})", output.status)))
}

/// What the process of one seed does.
pub(crate) fn one_seed(seed: &str, trace: &str) -> Result<bool, String> {
    let seed: u64 = seed.parse().map_err(|_| format!("`{seed}` is no seed"))?;
    let trace = Trace::of_word(trace).ok_or_else(|| format!("`{trace}` is no trace"))?;
    let verdict = run(seed, trace);
    if trace == Trace::Print {
        println!("{}", verdict.tally);
    } else {
        let text = serde_json::to_string(&verdict).map_err(|error| error.to_string())?;
        println!("{text}");
    }
    Ok(verdict.broken.is_none())
}

struct Done {
    verdict: Verdict,
    /// What was different in a second run, if there was one.
    again: Option<Result<(), String>>,
}

/// Runs all seeds.
pub(crate) fn all(orders: &Orders) -> Result<Summary, String> {
    let began = Instant::now();
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (sender, done) = mpsc::channel::<Result<Done, String>>();
    let mut summary = Summary::default();
    let mut fault = None;
    std::thread::scope(|scope| {
        for _ in 0..orders.jobs {
            let (sender, next, stop) = (sender.clone(), &next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= orders.seeds {
                        return;
                    }
                    let done = one(orders, number);
                    if sender.send(done).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut progress = Progress::new(orders.seeds, began);
        for done in done {
            match done {
                Ok(done) => take(&mut summary, done, orders),
                Err(error) => fault = Some(error),
            }
            progress.tell(&summary);
            if fault.is_some() || summary.failures() as u64 >= orders.enough {
                stop.store(true, Ordering::Relaxed);
            }
        }
        progress.end();
    });
    summary.took = began.elapsed();
    fault.map_or(Ok(summary), Err)
}

fn one(orders: &Orders, number: u64) -> Result<Done, String> {
    let seed = orders.first + number;
    if orders.twice > 0 && number.is_multiple_of(orders.twice) {
        let (verdict, again) =
            (alone(orders, seed, Trace::Whole)?, alone(orders, seed, Trace::Whole)?);
        return Ok(Done { again: Some(compare(&verdict, &again)), verdict });
    }
    let trace = if orders.trace { Trace::Print } else { Trace::Tail };
    Ok(Done { verdict: alone(orders, seed, trace)?, again: None })
}

/// Two runs of one seed must go the same way.
fn compare(first: &Verdict, second: &Verdict) -> Result<(), String> {
    if first.hash == second.hash {
        return Ok(());
    }
    let at = first.tail.iter().zip(&second.tail).position(|(one, other)| one != other);
    let at = at.unwrap_or(first.tail.len().min(second.tail.len()));
    let shown = |verdict: &Verdict| {
        let lines = verdict.tail.iter().skip(at.saturating_sub(3)).take(8);
        lines.map(|line| format!("    {line}\n")).collect::<String>()
    };
    Err(format!("first\n{}then\n{}", shown(first), shown(second)))
}

fn take(summary: &mut Summary, done: Done, orders: &Orders) {
    let Done { verdict, again } = done;
    summary.seeds += 1;
    summary.tally.add(&verdict.tally);
    summary.slowest = summary.slowest.max((verdict.took, verdict.seed));
    if let Some(again) = again {
        summary.twice += 1;
        if let Err(difference) = again {
            println!("\nseed {}: two runs of it differ\n{difference}", verdict.seed);
            summary.differ.push(verdict.seed);
        }
    }
    if let Some(broken) = &verdict.broken {
        let seeds = summary.broken.entry(broken.invariant).or_default();
        seeds.push(verdict.seed);
        // One of each sort in full: the others are most likely the same.
        if seeds.len() == 1 && !orders.trace {
            println!("\nseed {}: {} was broken", verdict.seed, broken.invariant);
            let hidden = verdict.tail.len().saturating_sub(SHOWN);
            for line in verdict.tail.iter().skip(hidden) {
                println!("    {line}");
            }
        }
        println!("seed {}: {}: {}", verdict.seed, broken.invariant, broken.what);
    }
}

/// Says how far it is: on one line of a terminal, or now and then in a log.
struct Progress {
    seeds: u64,
    began: Instant,
    told: Instant,
    terminal: bool,
}

impl Progress {
    fn new(seeds: u64, began: Instant) -> Self {
        Self { seeds, began, told: began, terminal: std::io::stderr().is_terminal() }
    }

    fn tell(&mut self, summary: &Summary) {
        let pause = Duration::from_millis(if self.terminal { 200 } else { 15_000 });
        if self.told.elapsed() < pause {
            return;
        }
        self.told = Instant::now();
        let (done, took) = (summary.seeds, self.began.elapsed().as_secs_f64());
        let left = took / done.max(1) as f64 * self.seeds.saturating_sub(done) as f64;
        let line = format!(
            "{done} of {} seeds, {} broken, {} readings, {left:.0} s left",
            self.seeds,
            summary.failures(),
            summary.tally.readings
        );
        if self.terminal {
            eprint!("\r\x1b[K{line}");
            // A terminal that is gone needs no progress.
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }

    fn end(&self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
