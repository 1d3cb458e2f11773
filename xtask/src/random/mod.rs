//! `cargo xtask random`: random circuits, built by Debian's tools, against Verilog simulation.
//!
//! The bitstream is simulated here. The source that it was made from is simulated by Icarus
//! Verilog, which knows nothing of bitstreams. Both must show the same pin in every cycle.

mod blocks;
mod build;
mod compare;
mod design;
mod expression;
mod reference;

use crate::Result;
use build::Built;
use compare::{Outcome, compare};
use design::Design;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const USAGE: &str = "usage: cargo xtask random [--count 100] [--seed 1] [--cycles 3000] \
                     [--keep FOLDER] [--show]";

/// Circuits that are built and simulated together.
const BATCH: usize = 20;

struct Options {
    count: usize,
    seed: u64,
    cycles: u64,
    /// Where to put the circuits that differ.
    keep: PathBuf,
    /// Only print the Verilog.
    show: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let keep = std::env::temp_dir().join("icefarm-random-differences");
        let mut options = Self { count: 100, seed: 1, cycles: 3000, keep, show: false };
        let mut arguments = arguments.iter();
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().ok_or(USAGE);
            match flag.as_str() {
                "--count" => options.count = value()?.parse()?,
                "--seed" => options.seed = value()?.parse()?,
                "--cycles" => options.cycles = value()?.parse()?,
                "--keep" => options.keep = value()?.into(),
                "--show" => options.show = true,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }
}

/// A design and what became of it.
struct Verdict {
    design: Design,
    /// `Err` if the tools did not build it.
    outcome: Result<Outcome, String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Result {
    let options = Options::parse(arguments)?;
    let seeds: Vec<u64> = (options.seed..).take(options.count).collect();
    if options.show {
        seeds.iter().for_each(|&seed| println!("{}", Design::new(seed).verilog));
        return Ok(());
    }
    let start = Instant::now();
    let folder = std::env::temp_dir().join(format!("icefarm-random-{}", std::process::id()));
    let verdicts = all(&folder, &seeds, &options);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let differences = report(&verdicts?, &options);
    println!("{:.0} s", start.elapsed().as_secs_f64());
    if differences == 0 { Ok(()) } else { Err(format!("{differences} differ").into()) }
}

/// Batch by batch, on all processors.
fn all(folder: &Path, seeds: &[u64], options: &Options) -> Result<Vec<Verdict>> {
    let batches: Vec<&[u64]> = seeds.chunks(BATCH).collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || {
        while let Some((index, seeds)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            batches.get(index).map(|seeds| (index, seeds))
        } {
            let folder = folder.join(index.to_string());
            let verdicts = batch(&folder, seeds, options).map_err(|error| error.to_string());
            if let Ok(mut done) = done.lock() {
                done.push((index, verdicts));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_unstable_by_key(|(index, _)| *index);
    let mut verdicts = Vec::new();
    for (_, batch) in done {
        verdicts.extend(batch?);
    }
    Ok(verdicts)
}

fn batch(folder: &Path, seeds: &[u64], options: &Options) -> Result<Vec<Verdict>> {
    std::fs::create_dir_all(folder)?;
    let designs: Vec<Design> = seeds.iter().map(|&seed| Design::new(seed)).collect();
    let built = build::build(folder, &designs)?;
    let references = reference::simulate(folder, &designs, options.cycles)?;
    let mut verdicts = Vec::new();
    for ((design, built), reference) in designs.into_iter().zip(built).zip(references) {
        let outcome = match built {
            Built::Unbuilt(reason) => Err(reason),
            Built::Bitstream(bytes) => {
                let outcome = compare(&bytes, &reference);
                if matches!(outcome, Outcome::Differs(_)) {
                    std::fs::create_dir_all(&options.keep)?;
                    let file = |kind: &str| options.keep.join(format!("{}.{kind}", design.name));
                    std::fs::write(file("v"), &design.verilog)?;
                    std::fs::write(file("bin"), &bytes)?;
                }
                Ok(outcome)
            }
        };
        verdicts.push(Verdict { design, outcome });
    }
    std::fs::remove_dir_all(folder)?;
    Ok(verdicts)
}

/// Prints the table and gives the number of differences.
fn report(verdicts: &[Verdict], options: &Options) -> usize {
    let mut rows: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut features: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let (mut agree, mut moving, mut differ) = (0, 0, 0);
    for Verdict { design, outcome } in verdicts {
        let agrees = matches!(outcome, Ok(Outcome::Agrees { .. }));
        for feature in &design.features {
            let entry = features.entry(feature).or_default();
            entry.0 += usize::from(agrees);
            entry.1 += 1;
        }
        let (row, example) = match outcome {
            Ok(Outcome::Agrees { pulses }) => {
                agree += 1;
                moving += usize::from(*pulses > 0);
                continue;
            }
            Ok(Outcome::Differs(how)) => {
                differ += 1;
                println!(
                    "DIFFERENT {how}\n    cargo xtask random --count 1 --seed {}",
                    design.seed
                );
                continue;
            }
            Ok(Outcome::Refused(refusal)) => {
                (format!("refused: {}", refusal.code()), refusal.to_string())
            }
            Err(reason) => ("not built".to_owned(), reason.clone()),
        };
        rows.entry(row).or_insert_with(|| (0, format!("{}: {example}", design.seed))).0 += 1;
    }
    println!("\n| outcome | circuits | for example (seed) |\n|---|---|---|");
    println!(
        "| agree in every one of {} cycles | {agree} | {moving} with pulses |",
        options.cycles
    );
    println!("| different | {differ} | kept in {} |", options.keep.display());
    for (row, (count, example)) in rows {
        println!("| {row} | {count} | {example} |");
    }
    println!("| in all | {} | seeds from {} on |", verdicts.len(), options.seed);
    println!("\n| circuits with | agree | of |\n|---|---|---|");
    for (feature, (agree, all)) in features {
        println!("| {feature} | {agree} | {all} |");
    }
    differ
}
