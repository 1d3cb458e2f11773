//! The command `icefarm`.

mod args;
mod circuits;
mod client;
mod evaluate;
mod pairs;
mod print;
mod simulate;
mod table;

use crate::{config, exit};
use args::{Cli, Command};
use clap::{CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command line of the program and tells what the shell gets.
///
/// Kinds are those of the state crates that the program links: a program of its own with
/// `use my_state as _;` and this call in `main` is an `icefarm` that knows `my_state`.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let cli = match parse(&args) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    crate::serve::log(cli.verbose);
    match cli.command {
        Command::Up(args) => crate::up::main(&args),
        Command::Control(args) => crate::control::main(args),
        Command::Worker(args) => crate::worker::main(args),
        Command::Devices(args) => client::devices(args),
        Command::Reserve(args) => client::reserve(args),
        Command::End(args) => client::end(args),
        Command::Reboot(args) => client::reboot(args),
        Command::Evaluate(args) => evaluate::main(args),
        Command::Simulate(args) => simulate::main(&args),
    }
}

fn parse(args: &[OsString]) -> Result<Cli, ExitCode> {
    let mut command = Cli::command();
    if let Some(path) = config::requested(args) {
        command = config::apply(command, &path).map_err(|error| {
            crate::complain(&error.to_string());
            exit::usage()
        })?;
    }
    let matches = command.try_get_matches_from(args);
    matches.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| {
        // Clap prints help and versions to stdout and faults to stderr.
        let _ = error.print();
        if error.use_stderr() { exit::usage() } else { exit::DONE }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("icefarm "), "{} has no example", command.get_name());
        }
    }
}
