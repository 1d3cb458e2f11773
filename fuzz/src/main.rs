//! `cargo xtask fuzz`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a terminal")]

use icefarm_fuzz::{TARGETS, Target, corpus, keep, replay, run};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: cargo xtask fuzz [--minutes N] [--replay FILE] [TARGET]
  --minutes N    for so long in all, 5 unless given
  --replay FILE  give this input to TARGET
Damages samples of what TARGET takes, or of all targets in turn. An input that does harm is written
to fuzz/corpus/TARGET, where the tests try it ever after.";
/// Inputs between two looks at the clock.
const BATCH: u32 = 2000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match work(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo xtask fuzz: {error}");
            ExitCode::from(2)
        }
    }
}

fn work(arguments: &[String]) -> Result<bool, Box<dyn std::error::Error>> {
    let (mut minutes, mut file, mut wanted) = (5.0, None, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--minutes" => minutes = rest.next().ok_or(USAGE)?.parse::<f64>().map_err(|_| USAGE)?,
            "--replay" => file = Some(PathBuf::from(rest.next().ok_or(USAGE)?)),
            flag if flag.starts_with('-') => return Err(usage().into()),
            name => {
                let target = TARGETS.iter().find(|target| target.name == name);
                wanted = Some(target.ok_or_else(usage)?);
            }
        }
    }
    if let Some(file) = file {
        let target = wanted.ok_or_else(usage)?;
        return Ok(match replay(target, &std::fs::read(&file)?) {
            Ok(()) => {
                println!("{}: {} does no harm", target.name, file.display());
                true
            }
            Err(failure) => {
                println!("{}: {}: {failure}", target.name, file.display());
                false
            }
        });
    }
    let targets: Vec<&'static Target> =
        wanted.map_or_else(|| TARGETS.iter().collect(), |t| vec![t]);
    let share = Duration::from_secs_f64(minutes * 60.0 / targets.len() as f64);
    let mut good = true;
    for target in targets {
        good &= fuzz(target, share)?;
    }
    Ok(good)
}

fn usage() -> String {
    let names: Vec<String> =
        TARGETS.iter().map(|target| format!("  {:<16} {}", target.name, target.what)).collect();
    format!("{USAGE}\ntargets:\n{}", names.join("\n"))
}

/// Feeds a target for so long; says whether all went well.
fn fuzz(target: &'static Target, share: Duration) -> Result<bool, Box<dyn std::error::Error>> {
    let until = Instant::now() + share;
    let (mut cases, mut failures) = (0u64, 0);
    for (path, input) in corpus(target)? {
        cases += 1;
        if let Err(failure) = replay(target, &input) {
            failures += 1;
            println!("{}: still does harm: {}: {failure}", target.name, path.display());
        }
    }
    while Instant::now() < until {
        let batch = (BATCH / target.weight).max(1);
        if let Err(found) = run(target, batch) {
            failures += 1;
            let path = keep(target, &found.input)?;
            println!("{}: {}", target.name, found.failure);
            println!("  input: {} ({} bytes)", path.display(), found.input.len());
            println!("  again: cargo xtask fuzz {} --replay {}", target.name, path.display());
            // The same harm would be found again and again.
            break;
        }
        cases += u64::from(batch);
    }
    println!("{:<16} {cases:>9} cases, {failures} failures", target.name);
    Ok(failures == 0)
}
