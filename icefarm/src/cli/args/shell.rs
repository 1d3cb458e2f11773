//! Commands for the shell and the manual.

use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm completions bash > ~/.local/share/bash-completion/completions/icefarm
  icefarm completions zsh > ~/.zfunc/_icefarm
  icefarm completions fish > ~/.config/fish/completions/icefarm.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm man | man -l -                        read it
  icefarm man ~/.local/share/man/man1           then `man icefarm` and `man icefarm-reserve` work")]
pub(crate) struct ManArgs {
    /// Write the pages of all commands into this folder, which is made if it is not there.
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}
