//! `icefarm control`.

use crate::serve::{self, Ask, ServeError, ServerArgs, TlsArgs};
use crate::trust::TrustArgs;
use crate::{exit, log, role};
use clap::Args;
use icefarm_control::machine::ClientLimit;
use icefarm_control::{Control, ControlConfig, ControlError};
use icefarm_net::{HttpClient, TlsListener};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm control
  icefarm control --listen 127.0.0.1:8080 --db /var/lib/icefarm/farm.sqlite
  icefarm control --listen 127.0.0.1:0        a free port; the first line on stdout names it
  icefarm control --limit 'alice-*:boards=4,ttl=3600' --limit '*:boards=16'
  icefarm control --config farm.toml          with what the section [control] of the file says:

    [control]
    listen = \"127.0.0.1:8080\"
    db = \"/var/lib/icefarm/farm.sqlite\"
    allow-host = [\"farm.lab.example\"]
    limit = [\"alice-*:boards=4,ttl=3600\", \"*:boards=16\"]")]
pub(crate) struct ControlArgs {
    /// The address to listen on; port 0 takes a free one.
    #[arg(
        long,
        env = "ICEFARM_CONTROL_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: SocketAddr,

    /// The database; it is made if it is not there.
    #[arg(long, env = "ICEFARM_DB", value_name = "FILE", default_value = "farm.sqlite")]
    pub(crate) db: PathBuf,

    /// How long after its start this server lets no reservation expire, in seconds: clients need a
    /// moment to find it again.
    #[arg(long, env = "ICEFARM_GRACE", value_name = "SECONDS", default_value_t = 60)]
    pub(crate) grace: u32,

    /// What clients may have at most, as NAMES:boards=N,ttl=SECONDS,priority=N with one or more of
    /// the three; `*` in NAMES stands for any text. May be given several times: the first that
    /// matches a client's name counts for it.
    #[arg(long, value_name = "LIMIT", action = clap::ArgAction::Append)]
    pub(crate) limit: Vec<ClientLimit>,

    /// How many entries of the audit log are kept.
    #[arg(long, env = "ICEFARM_AUDIT_ENTRIES", value_name = "N", default_value_t = 100_000)]
    pub(crate) audit_entries: u64,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Tls(#[from] icefarm_net::TlsError),
    #[error("--allow-host: {0}")]
    Host(#[from] icefarm_net::HostNameError),
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
}

/// The `main` of a program that is a control server: `icefarm control` with the same flags.
#[must_use]
pub fn control_main() -> ExitCode {
    match role::parse::<ControlArgs>("control", "The control server of an iCEFARM") {
        Ok(args) => {
            log::start(log::Level::Usual, 0, args.server.log_format);
            main(args)
        }
        Err(code) => code,
    }
}

pub(crate) fn main(args: ControlArgs) -> ExitCode {
    exit::of(run(args))
}

fn run(args: ControlArgs) -> Result<(), Fault> {
    let runtime = tokio::runtime::Runtime::new().map_err(Fault::Runtime)?;
    runtime.block_on(async {
        let mut config = ControlConfig::default();
        config.rules.startup_grace = Duration::from_secs(args.grace.into());
        config.rules.limits = args.limit.into();
        for host in &args.server.allow_host {
            config.serve.guard = config.serve.guard.allow_host(host)?;
        }
        config.audit_kept = args.audit_entries;
        let identity = args.tls.identity()?;
        // No database is made for a server that is refused.
        if !args.db.exists() {
            serve::check(args.listen, args.server.insecure, Ask::NobodyAtControl)?;
        }
        let http = HttpClient::new(args.trust.connector()?);
        let control = Control::builder().database(args.db).config(config).http(http).build()?;
        let ask = if control.asks_for_tokens() { Ask::Everybody } else { Ask::NobodyAtControl };
        let listener = serve::listen(args.listen, args.server.insecure, ask).await?;
        serve::warn_of_plain(args.listen, identity.is_some(), ask);
        let signalled = serve::signalled()?;
        serve::announce(
            listener
                .local_addr()
                .map_err(|source| ServeError::Listen { address: args.listen, source })?,
            identity.is_some(),
        );
        match identity {
            Some(identity) => control.run(TlsListener::new(listener, identity), signalled).await?,
            None => control.run(listener, signalled).await?,
        }
        Ok(())
    })
}
