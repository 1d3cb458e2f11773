//! `cargo xtask test`: everything that must hold before a change is taken.

use crate::Result;
use crate::needed::{Needed, are_there};
use std::process::Command;
use std::time::{Duration, Instant};

/// One step of the suite: a name for people, and the command that must succeed.
struct Stage {
    name: &'static str,
    command: Command,
}

const NEEDED: &[Needed] = &[
    Needed::Program { name: "verilator", package: "verilator" },
    Needed::Program { name: "icebox_vlog", package: "fpga-icestorm" },
    Needed::Program { name: "yosys", package: "yosys" },
    Needed::Program { name: "nextpnr-ice40", package: "nextpnr-ice40" },
    Needed::Program { name: "iverilog", package: "iverilog" },
    Needed::Program { name: "curl", package: "curl" },
    Needed::Python { module: "websocket", package: "websocket-client" },
    Needed::Program { name: "chromium", package: "chromium" },
    Needed::Program { name: "chromedriver", package: "chromium-driver" },
];

/// Runs the suite; stops at the first stage that fails.
pub(crate) fn run(args: &[String]) -> Result {
    let all = match args {
        [] => false,
        [flag] if flag == "--all" => true,
        _ => return Err("usage: cargo xtask test [--all]".into()),
    };
    let mut stages = hermetic();
    if all {
        are_there(NEEDED)?;
        stages.extend(beyond_rust());
    }
    let mut times = Vec::new();
    for mut stage in stages {
        eprintln!("\n==> {}", stage.name);
        let start = Instant::now();
        let status = stage.command.status();
        times.push((stage.name, start.elapsed()));
        let fault = match status {
            Ok(status) if status.success() => continue,
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        report(&times);
        return Err(format!("{}: {fault}; alone: {:?}", stage.name, stage.command).into());
    }
    report(&times);
    Ok(())
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
            command: cargo(&[
                "test",
                "--workspace",
                "--all-features",
                "--lib",
                "--bins",
                "--tests",
            ]),
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
    let xtask =
        |args: &[&str]| cargo(&[&["run", "--release", "--package", "xtask", "--"], args].concat());
    // These compile in the profile of the tests, of which much can be used again.
    let outside = |task| cargo(&["xtask", task]);
    vec![
        Stage { name: "simulated farms", command: cargo(&["xtask", "sim", "--seeds", "200"]) },
        Stage {
            name: "simulated farms without fencing, which must fail",
            command: cargo(&[
                "xtask",
                "sim",
                "--seeds",
                "200",
                "--enough",
                "1",
                "--without-fencing",
            ]),
        },
        Stage { name: "a project made of the packages", command: outside("package") },
        Stage { name: "the guide for authors of states", command: outside("guide") },
        Stage {
            name: "the example of the protocol, in shell and Python",
            command: cargo(&["test", "--package", "icefarm-docs-check", "--", "--ignored"]),
        },
        Stage {
            name: "servers and clients that are killed",
            command: cargo(&["xtask", "crash", "--rounds", "4"]),
        },
        Stage { name: "the panel in Chromium", command: outside("browser") },
        Stage { name: "example circuits against Verilator", command: xtask(&["circuits"]) },
        Stage {
            name: "mutants against Verilator",
            command: xtask(&["mutants", "--count", "200", "--verify", "10"]),
        },
        Stage {
            name: "random circuits against Icarus Verilog",
            command: xtask(&["random", "--count", "500"]),
        },
    ]
}

/// The cargo that runs this task, with its arguments.
pub(crate) fn cargo(args: &[&str]) -> Command {
    // Cargo tells the programs that it runs which cargo it is.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

fn report(times: &[(&str, Duration)]) {
    eprintln!("\nminutes  stage");
    for (name, time) in times {
        eprintln!("{:>7.1}  {name}", time.as_secs_f64() / 60.0);
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    eprintln!("{:>7.1}  in all", total.as_secs_f64() / 60.0);
}
