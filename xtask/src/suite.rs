//! `cargo xtask test`: everything that must hold before a change is taken.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// One step of the suite: a name for people, and the command that must succeed.
struct Stage {
    name: &'static str,
    command: Command,
}

/// A program that only `--all` needs, and the Debian package that has it.
struct Needed {
    program: &'static str,
    package: &'static str,
}

const NEEDED: &[Needed] = &[
    Needed { program: "verilator", package: "verilator" },
    Needed { program: "icebox_vlog", package: "fpga-icestorm" },
];

/// Runs the suite; stops at the first stage that fails.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let all = match args {
        [] => false,
        [flag] if flag == "--all" => true,
        _ => {
            eprintln!("usage: cargo xtask test [--all]");
            return ExitCode::from(2);
        }
    };
    if all && !packages_are_there() {
        return ExitCode::FAILURE;
    }
    let mut stages = hermetic();
    if all {
        stages.extend(beyond_rust());
    }
    let mut times = Vec::new();
    for mut stage in stages {
        eprintln!("\n==> {}", stage.name);
        let start = Instant::now();
        let passed = match stage.command.status() {
            Ok(status) => status.success(),
            Err(error) => {
                eprintln!("{:?} could not be started: {error}", stage.command.get_program());
                false
            }
        };
        times.push((stage.name, start.elapsed()));
        if !passed {
            report(&times);
            eprintln!("\nFAILED: {}. To run it alone: {:?}", stage.name, stage.command);
            return ExitCode::FAILURE;
        }
    }
    report(&times);
    ExitCode::SUCCESS
}

/// What needs nothing but Rust and a C compiler.
fn hermetic() -> Vec<Stage> {
    let mut docs = cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    vec![
        Stage { name: "format", command: cargo(&["fmt", "--all", "--check"]) },
        Stage {
            name: "lints",
            command: cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ]),
        },
        Stage {
            name: "tests (with the arrows between the crates)",
            command: cargo(&["test", "--workspace", "--all-features", "--lib", "--bins", "--tests"]),
        },
        Stage {
            name: "doc tests",
            command: cargo(&["test", "--workspace", "--all-features", "--doc"]),
        },
        Stage { name: "documentation", command: docs },
    ]
}

/// What needs Debian packages beside Rust.
fn beyond_rust() -> Vec<Stage> {
    vec![Stage {
        name: "simulator against Verilator",
        command: cargo(&[
            "run", "--release", "-p", "xtask", "--", "mutants", "--count", "100", "--verify", "10",
        ]),
    }]
}

fn cargo(args: &[&str]) -> Command {
    // Cargo tells the programs that it runs which cargo it is.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

fn packages_are_there() -> bool {
    let missing: Vec<&str> =
        NEEDED.iter().filter(|needed| !on_path(needed.program)).map(|n| n.package).collect();
    if missing.is_empty() {
        return true;
    }
    eprintln!(
        "`--all` needs programs that are not installed. On Debian:\n    apt-get install {}",
        missing.join(" ")
    );
    false
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn report(times: &[(&str, Duration)]) {
    eprintln!("\nminutes  stage");
    for (name, time) in times {
        eprintln!("{:>7.1}  {name}", time.as_secs_f64() / 60.0);
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    eprintln!("{:>7.1}  in all", total.as_secs_f64() / 60.0);
}
