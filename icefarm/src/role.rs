//! A program of one role: the same flags, variables and file as the command of that name.

use crate::{complain, config, exit};
use clap::{Args, Command};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Parses the command line of a program that is only `icefarm ROLE`.
///
/// # Errors
/// The exit code, once the user was told.
pub(crate) fn parse<A: Args>(role: &'static str, about: &'static str) -> Result<A, ExitCode> {
    let args: Vec<OsString> = std::env::args_os().collect();
    // What the arguments say of themselves would be taken for what the program is about.
    let mut command =
        A::augment_args(Command::new(role)).about(about).long_about(None).arg(
            clap::Arg::new("config").long("config").env("ICEFARM_CONFIG").value_name("FILE").help(
                "Take defaults from the section of this TOML file that is named after the role",
            ),
        );
    // Examples are of this program, under its own name.
    let program = args.first().and_then(|path| Path::new(path).file_stem()?.to_str());
    if let (Some(program), Some(help)) = (program, command.get_after_help()) {
        let help = help.to_string().replace(&format!("icefarm {role}"), program);
        command = command.after_help(help);
    }
    if let Some(path) = config::requested(&args) {
        command = config::apply_to_role(command, role, &path).map_err(|error| {
            complain(&error.to_string());
            exit::usage()
        })?;
    }
    let matches = command.try_get_matches_from(args);
    matches.and_then(|matches| A::from_arg_matches(&matches)).map_err(|error| {
        let _ = error.print();
        if error.use_stderr() { exit::usage() } else { exit::DONE }
    })
}
