//! `completions` and `man`.

use super::args::{Cli, CompletionsArgs, ManArgs};
use crate::{complain, exit};
use clap::CommandFactory;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "icefarm", &mut script);
    print(&script)
}

pub(crate) fn man(args: &ManArgs) -> ExitCode {
    let command = Cli::command();
    match &args.folder {
        None => {
            let mut page = Vec::new();
            match clap_mangen::Man::new(command).render(&mut page) {
                Ok(()) => print(&page),
                Err(error) => failed(&format!("the manual page cannot be made: {error}")),
            }
        }
        Some(folder) => match write_all(command, folder) {
            Ok(()) => exit::DONE,
            Err(error) => failed(&format!("{}: {error}", folder.display())),
        },
    }
}

fn write_all(command: clap::Command, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)
}

fn print(bytes: &[u8]) -> ExitCode {
    let mut out = std::io::stdout().lock();
    super::print::note(out.write_all(bytes).and_then(|()| out.flush()));
    exit::DONE
}

fn failed(text: &str) -> ExitCode {
    complain(text);
    exit::failed()
}
