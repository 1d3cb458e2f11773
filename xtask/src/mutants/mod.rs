//! `cargo xtask mutants`: how much of what evolution produces can be simulated, and is it right?
//!
//! Flips each configuration bit of the logic tiles of a circuit with a small probability, as
//! evolutionary searches do, and counts how many mutants are simulated and why the others are
//! refused. Some of those that are simulated are compared with Verilator, by way of IceStorm's
//! `icebox_vlog`, which knows nothing of this simulator.

pub(crate) mod random;

use crate::Result;
use crate::verilator::{self, Named};
use icefarm_sim::fpga::{Bitstream, Circuit, Count, Editor, Limits, Refusal, Tile, Window};
use random::Random;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const USAGE: &str = "usage: cargo xtask mutants [--count 1000] [--seed 1] [--rate 0.0021] \
                     [--verify 100] [--cycles 300000] [--base FILE.bin] [--keep FOLDER]";

struct Options {
    count: usize,
    seed: u64,
    rate: f64,
    verify: usize,
    /// Window of the comparison, in cycles.
    cycles: u64,
    base: PathBuf,
    /// Where to put the mutants that differ.
    keep: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let shared = examples.join("../shared/bitstreams/circuit_generated_2Khz.bin");
        let bundled = examples.join("examples/circuits/pulses_1000.bin");
        let mut options = Self {
            count: 1000,
            seed: 1,
            rate: 0.0021,
            verify: 100,
            cycles: 300_000,
            base: if shared.exists() { shared } else { bundled },
            keep: None,
        };
        let mut arguments = arguments.iter();
        while let Some(flag) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            match flag.as_str() {
                "--count" => options.count = value.parse()?,
                "--seed" => options.seed = value.parse()?,
                "--rate" => options.rate = value.parse()?,
                "--verify" => options.verify = value.parse()?,
                "--cycles" => options.cycles = value.parse()?,
                "--base" => options.base = value.into(),
                "--keep" => options.keep = Some(value.into()),
                _ => return Err(USAGE.into()),
            }
        }
        if !(options.rate > 0.0 && options.rate < 1.0) {
            return Err("the rate is a probability between 0 and 1".into());
        }
        Ok(options)
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Result {
    let options = Options::parse(arguments)?;
    let base = std::fs::read(&options.base)
        .map_err(|error| format!("{}: {error}", options.base.display()))?;
    println!(
        "{} mutants of {}, rate {}, seed {}",
        options.count,
        options.base.display(),
        options.rate,
        options.seed
    );
    let mutants = mutants(&base, &options)?;
    let outcomes = simulate(&mutants);
    report(&outcomes);
    let simulated = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_ok());
    let chosen: Vec<Named<'_>> = simulated
        .take(options.verify)
        .map(|(number, _)| Named { name: format!("mutant_{number}"), bytes: &mutants[number] })
        .collect();
    verilator::compare(&chosen, options.cycles, options.keep.as_deref())
}

/// Flips each bit of each logic tile with the probability that is asked for.
fn mutants(base: &[u8], options: &Options) -> Result<Vec<Vec<u8>>> {
    let logic: Vec<Tile> = (1..25)
        .filter(|&x| x != 6 && x != 19)
        .flat_map(|x| (1..31).map(move |y| Tile { x, y }))
        .collect();
    const BITS: usize = 16 * 54;
    let mut random = Random::new(options.seed);
    let original = Editor::new(base.to_vec())?;
    let mut mutants = Vec::with_capacity(options.count);
    for _ in 0..options.count {
        let mut editor = original.clone();
        let mut at = random.gap(options.rate);
        while let Some(&tile) = logic.get(at / BITS) {
            let bit = at % BITS;
            editor.flip(tile, (bit / 54) as u8, (bit % 54) as u8);
            at += 1 + random.gap(options.rate);
        }
        mutants.push(editor.finish());
    }
    Ok(mutants)
}

/// Counts all mutants over a second, on all processors.
fn simulate(mutants: &[Vec<u8>]) -> Vec<Result<(Count, f64), Refusal>> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(vec![Err(Refusal::NoPreamble); mutants.len()]);
    let work = || {
        while let Some((number, bytes)) = {
            let number = next.fetch_add(1, Ordering::Relaxed);
            mutants.get(number).map(|bytes| (number, bytes))
        } {
            let start = Instant::now();
            let count = Bitstream::parse(bytes).and_then(|bitstream| {
                Circuit::extract(&bitstream, Window::SECOND.pin)?
                    .count(Window::SECOND.cycles, &Limits::default())
            });
            let outcome = count.map(|count| (count, start.elapsed().as_secs_f64()));
            if let Ok(mut outcomes) = outcomes.lock() {
                outcomes[number] = outcome;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    outcomes.into_inner().unwrap_or_default()
}

fn report(outcomes: &[Result<(Count, f64), Refusal>]) {
    let total = outcomes.len().max(1);
    let mut refused: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    let mut pulses: BTreeMap<u64, usize> = BTreeMap::new();
    let mut seconds: Vec<f64> = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok((count, time)) => {
                *pulses.entry(count.pulses).or_default() += 1;
                seconds.push(*time);
            }
            Err(refusal) => {
                refused.entry(refusal.code()).or_insert_with(|| (0, refusal.to_string())).0 += 1;
            }
        }
    }
    let percent = |count: usize| 100.0 * count as f64 / total as f64;
    println!("\n| outcome | mutants | share | for example |");
    println!("|---|---|---|---|");
    let mut common: Vec<_> = pulses.iter().map(|(&pulses, &count)| (count, pulses)).collect();
    common.sort_unstable_by(|a, b| b.cmp(a));
    let examples: Vec<String> =
        common.iter().take(6).map(|(count, pulses)| format!("{pulses} pulses: {count}")).collect();
    let simulated = seconds.len();
    println!("| simulated | {simulated} | {:.1} % | {} |", percent(simulated), examples.join(", "));
    for (code, (count, example)) in &refused {
        println!("| refused: {code} | {count} | {:.1} % | {example} |", percent(*count));
    }
    seconds.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| seconds.get((share * simulated as f64) as usize).copied().unwrap_or(0.0);
    println!(
        "\ntime of a simulated mutant: median {:.1} ms, 90 % within {:.1} ms, longest {:.1} ms",
        1e3 * at(0.5),
        1e3 * at(0.9),
        1e3 * seconds.last().copied().unwrap_or(0.0)
    );
}
