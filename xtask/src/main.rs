//! Development tasks of iCEFARM: `cargo xtask <command>`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tasks talk to a terminal")]

mod browser;
mod chipdb;
mod circuits;
mod crash;
mod fuzz;
mod mutants;
mod needed;
mod outside;
mod random;
mod sim;
mod suite;
mod verilator;

use std::process::ExitCode;

/// What a task gives back; the text of an error says what to do about it.
type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

/// A command: its name, what it does, and the function that takes its arguments.
type Command = (&'static str, &'static str, fn(&[String]) -> Result);

const COMMANDS: &[Command] = &[
    ("test", "check everything that needs only Rust; with --all also what needs more", suite::run),
    ("browser", "test the panel in Chromium", browser::test),
    (
        "screenshots",
        "take pictures of the panel, into target/screenshots or DIR",
        browser::pictures,
    ),
    ("chipdb", "condense IceStorm's chip database to icefarm-sim/data/up5k.zst", chipdb::run),
    ("circuits", "compare the circuits of examples/circuits with Verilator", circuits::run),
    ("mutants", "simulate mutants of a circuit and compare some with Verilator", mutants::run),
    ("random", "build random circuits and compare them with Verilog simulation", random::run),
    ("crash", "kill servers and clients of a real farm, and count what is lost", crash::run),
    ("fuzz", "damage what parsers take, for minutes; failing inputs are kept", fuzz::run),
    ("sim", "simulate whole farms in which much goes wrong; --seeds N", sim::run),
    ("package", "pack what is published, and build and run a project of it", outside::package),
    ("guide", "follow states/README.md; with --clone as a newcomer does", outside::follow),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = arguments.first().map(String::as_str);
    match COMMANDS.iter().find(|(name, ..)| Some(*name) == wanted) {
        Some((name, _, run)) => match run(&arguments[1..]) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("cargo xtask {name}: {error}");
                ExitCode::FAILURE
            }
        },
        None => {
            eprintln!("usage: cargo xtask <command>");
            for (name, what, _) in COMMANDS {
                eprintln!("  {name:<12} {what}");
            }
            ExitCode::FAILURE
        }
    }
}
