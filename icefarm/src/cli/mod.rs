//! The command `icefarm`.

mod access;
mod args;
mod boards;
mod circuits;
mod credentials;
mod drain;
mod evaluate;
mod events;
mod hold;
mod init;
mod label;
mod overview;
mod pairs;
mod print;
mod queue;
mod reserving;
mod server;
mod shell;
mod simulate;
mod table;

use crate::{config, exit, log};
use args::{Cli, Command};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::io::Write;
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
        Err(code) => return print::complete(code),
    };
    // A farm for trying things out says that it is ready, and what goes wrong.
    let level = match cli.command {
        Command::Up(_) => log::Level::Warnings,
        _ => log::Level::Usual,
    };
    log::start(level, cli.verbose, cli.log_format);
    print::complete(match cli.command {
        Command::Up(args) => crate::up::main(&args),
        Command::Control(args) => crate::control::main(args),
        Command::Worker(args) => crate::worker::main(args),
        Command::Init(args) => init::main(&args),
        Command::Token(args) => access::token(args),
        Command::Login(args) => access::login(args),
        Command::Logout(args) => access::logout(args),
        Command::Audit(args) => access::audit(args),
        Command::Status(args) => overview::status(args),
        Command::Devices(args) => overview::devices(args),
        Command::Board(args) => overview::board(args),
        Command::Events(args) => events::main(args),
        Command::Queue(args) => queue::main(args),
        Command::Label(args) => label::main(args),
        Command::Drain(args) => drain::drain(args),
        Command::Undrain(args) => drain::undrain(args),
        Command::Reserve(args) => boards::reserve(args),
        Command::Extend(args) => boards::extend(args),
        Command::End(args) => boards::end(args),
        Command::Reboot(args) => boards::reboot(args),
        Command::Evaluate(args) => evaluate::main(args),
        Command::Simulate(args) => simulate::main(&args),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
    })
}

fn parse(args: &[OsString]) -> Result<Cli, ExitCode> {
    let mut command = Cli::command();
    let file = config::requested(args);
    if let Some(path) = &file {
        command = config::apply(command, path).map_err(|error| {
            crate::complain(&error.to_string());
            exit::usage()
        })?;
    }
    let matches = command.clone().try_get_matches_from(args);
    matches.and_then(|matches| read(&matches)).map_err(|error| {
        // Clap prints help and versions to stdout and faults to stderr.
        let printed = error.print();
        if !error.use_stderr() {
            print::note(printed);
        }
        if let Some(origin) = config::origin(&error, &command, args) {
            remark(&format!("\n{origin}"));
        }
        if error.use_stderr() { exit::usage() } else { exit::DONE }
    })
}

/// What the matches say, with what only they know: where a value comes from.
fn read(matches: &ArgMatches) -> Result<Cli, clap::Error> {
    let mut cli = Cli::from_arg_matches(matches)?;
    // Commands that talk to nobody have no such flag.
    let format = matches.subcommand().and_then(|(_, sub)| sub.try_get_one("log_format").ok()?);
    cli.log_format = format.copied().unwrap_or_default();
    if let (Command::Evaluate(args), Some((_, sub))) = (&mut cli.command, matches.subcommand()) {
        let is_said = |id: &str| sub.value_source(id) == Some(ValueSource::CommandLine);
        args.kind_is_given = sub.value_source("kind") != Some(ValueSource::DefaultValue);
        match (is_said("boards"), is_said("serial")) {
            (true, true) => {
                let text = "`--boards` and `--serial` exclude each other: serials say how many";
                let mut command = Cli::command();
                command.build();
                let evaluate = command.find_subcommand_mut("evaluate");
                let kind = ErrorKind::ArgumentConflict;
                return Err(
                    evaluate.map_or_else(|| clap::Error::new(kind), |sub| sub.error(kind, text))
                );
            }
            (true, false) => args.serial.clear(),
            (false, _) => {}
        }
    }
    Ok(cli)
}

/// A remark for people, beside what a command prints.
fn remark(text: &str) {
    let mut err = std::io::stderr().lock();
    // Nobody listens if stderr is closed.
    let _ = writeln!(err, "{text}");
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

    fn evaluate(args: &[&str]) -> Result<args::EvaluateArgs, clap::Error> {
        let args = ["icefarm", "evaluate", "a.bin"].iter().chain(args);
        let cli = read(&Cli::command().try_get_matches_from(args)?)?;
        let Command::Evaluate(args) = cli.command else { panic!("another command") };
        Ok(args)
    }

    #[test]
    fn boards_are_given_by_number_or_by_serial() {
        assert_eq!(evaluate(&["--serial", "A,B"]).unwrap().serial, ["A", "B"]);
        assert_eq!(evaluate(&["--boards", "2"]).unwrap().boards, Some(2));
        let both = evaluate(&["--boards", "2", "--serial", "A"]).unwrap_err();
        assert_eq!(both.kind(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn simulated_boards_are_asked_for_or_not_wanted() {
        let simulated = |args: &[&str]| evaluate(args).unwrap().kind.simulated;
        assert_eq!(simulated(&[]), None);
        assert_eq!(simulated(&["--simulated"]), Some(true));
        assert_eq!(simulated(&["--simulated=no"]), Some(false));
        assert!(!evaluate(&[]).unwrap().kind_is_given);
        assert!(evaluate(&["--kind", "x"]).unwrap().kind_is_given);
    }
}
