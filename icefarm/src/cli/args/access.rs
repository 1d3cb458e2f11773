//! Commands about who may use a farm.

use super::{ClientArgs, OutputArgs};
use crate::trust::TrustArgs;
use clap::{Args, ValueEnum};
use icefarm_core::wire::{NamePattern, Role};
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm init                                  in this folder, for a network that you trust
  icefarm init --dir /etc/icefarm --tls farm.lab.example --tls bench-1.lab.example
                                                with certificates, the first one for control

It writes farm.toml, the database with a token for an operator and one for workers, these tokens to
operator.token and worker.token, and with --tls a CA and certificates. Nothing that is there is
written over. The guide is docs/security.md of the repository.")]
pub(crate) struct InitArgs {
    /// The folder to write to; it is made if it is not there.
    #[arg(long, env = "ICEFARM_DIR", value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Make a CA, and a certificate for the host of this name or address; may be given several
    /// times. The first one is for the control server.
    #[arg(long, value_name = "NAME", action = clap::ArgAction::Append)]
    pub(crate) tls: Vec<String>,
    /// The address that control is to listen on.
    #[arg(
        long,
        env = "ICEFARM_CONTROL_LISTEN",
        value_name = "ADDR",
        default_value = "0.0.0.0:8080"
    )]
    pub(crate) listen: SocketAddr,
}

/// What to do with tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TokenAction {
    /// Make a token, and print it: it is shown only once.
    Create,
    /// List all tokens, without their secrets.
    List,
    /// Let a token be good for nothing from now on.
    Revoke,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm token create --role client --names 'alice-*' > alice.token
  icefarm token create --role client --names 'bob,bob-*' --label Bob --expires 90
  icefarm token create --role worker --names 'bench-*'
  icefarm token list
  icefarm token revoke 3f9a0c11d2e4

They need the token of an operator: --token-file operator.token, ICEFARM_TOKEN, or `icefarm login`.
Sockets of a revoked token are closed at once; what it may still do at workers ends within 15
minutes.")]
pub(crate) struct TokenCommandArgs {
    /// What to do.
    #[arg(value_name = "ACTION")]
    pub(crate) action: TokenAction,
    /// The token to revoke, by the id that `icefarm token list` shows.
    #[arg(value_name = "ID", required_if_eq("action", "revoke"))]
    pub(crate) id: Option<String>,
    /// What the token is good for: client, worker or operator.
    #[arg(long, value_name = "ROLE", required_if_eq("action", "create"))]
    pub(crate) role: Option<Role>,
    /// The names that it may use, of clients or of workers: `alice`, `alice-*`, or `*` for all; may
    /// be given several times.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', action = clap::ArgAction::Append)]
    pub(crate) names: Vec<NamePattern>,
    /// What it is for, for people. The role if absent.
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,
    /// In how many days it ends by itself. Never if absent.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) expires: Option<u32>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm login http://farm.lab.example:8080
  icefarm login https://farm.lab.example:8080 --ca ca.pem
  icefarm login http://farm.lab.example:8080 < alice.token

The token is asked for, or read from stdin; it is never part of the command line, which everybody on
the machine can see. It is kept in $XDG_CONFIG_HOME/icefarm/credentials.toml, for you alone, and
found by all commands with the same --control.")]
pub(crate) struct LoginArgs {
    /// Where the control server listens.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm logout http://farm.lab.example:8080")]
pub(crate) struct LogoutArgs {
    /// Where the control server listens.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm audit                            the last 100 deeds, the newest at the end
  icefarm audit --client alice-evolution   in this name, or to its reservations
  icefarm audit --board SIM0123456789ABC --since 2026-11-22T00:00:00.000Z --json

It needs the token of an operator on a farm that asks for tokens.")]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// Only what was done in the name of this client, or to its reservations.
    #[arg(long = "client", value_name = "NAME")]
    pub(crate) about: Option<String>,
    /// Only what was done to this board.
    #[arg(long = "board", value_name = "SERIAL")]
    pub(crate) serial: Option<String>,
    /// Only what was done since then, in UTC.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// How many of the last deeds, 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
