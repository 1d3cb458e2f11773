//! What the server commands have in common: listening, telling where, and ending on a signal.

use clap::Args;
use clap::builder::BoolishValueParser;
use futures::FutureExt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use tokio::net::TcpListener;

/// What every server takes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServerArgs {
    /// A host name under which this server may be reached, beside addresses and `localhost`; may
    /// be given several times.
    #[arg(
        long,
        env = "ICEFARM_ALLOW_HOST",
        value_name = "NAME",
        value_delimiter = ',',
        action = clap::ArgAction::Append
    )]
    pub(crate) allow_host: Vec<String>,

    /// Listen on an address that others can reach, although nobody is asked who they are.
    #[arg(long, env = "ICEFARM_INSECURE", value_parser = BoolishValueParser::new())]
    pub(crate) insecure: bool,
}

/// Why a server could not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The port is taken, or the address is not this machine's.
    #[error(
        "cannot listen on {address}: {source}; --listen takes another address, and port 0 a free port"
    )]
    Listen { address: SocketAddr, source: std::io::Error },
    /// Everybody who can reach the address could use the boards.
    #[error(
        "refusing to listen on {address}: everybody who reaches it could use and end what others \
         reserved. Listen on 127.0.0.1 (an SSH tunnel brings others there), or say --insecure if \
         the network itself keeps strangers out"
    )]
    Open { address: SocketAddr },
    /// The system refuses to tell of signals.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}

/// Binds the address. Only loopback is taken without `insecure`.
pub(crate) async fn listen(address: SocketAddr, insecure: bool) -> Result<TcpListener, ServeError> {
    if !address.ip().is_loopback() && !insecure {
        return Err(ServeError::Open { address });
    }
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

/// The first line on stdout, by which scripts learn the port that the system chose.
pub(crate) fn announce(address: SocketAddr) {
    let mut out = std::io::stdout().lock();
    // Whoever closed our stdout does not want to know.
    let _ = writeln!(out, "listening on http://{address}").and_then(|()| out.flush());
}

/// From now on Ctrl-C and SIGTERM are the program's to deal with: the future ends with the first
/// of them. To be called within a runtime, before anybody is told that the program is there.
pub(crate) fn signalled() -> Result<impl Future<Output = ()> + Send, ServeError> {
    Ok(stopped()?.map(drop))
}

/// As [`signalled`], for a program that takes its time with the first signal: the futures end with
/// the first and with the second one.
pub(crate) fn signalled_twice()
-> Result<(impl Future<Output = ()> + Send, impl Future<Output = ()> + Send), ServeError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let (count, first) = tokio::sync::watch::channel(0_u8);
    let second = count.subscribe();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            count.send_modify(|count| *count = count.saturating_add(1));
        }
    });
    let wait = |mut count: tokio::sync::watch::Receiver<u8>, wanted| async move {
        // The task ends only with the runtime.
        let _ = count.wait_for(|count| *count >= wanted).await;
    };
    Ok((wait(first, 1), wait(second, 2)))
}

/// As [`signalled`], with what the shell is told of a program that the signal ended.
pub(crate) fn stopped() -> Result<impl Future<Output = u8> + Send, ServeError> {
    use futures::future::{Either, select};
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    Ok(async move {
        let (interrupted, terminated) = (pin!(interrupt.recv()), pin!(terminate.recv()));
        match select(interrupted, terminated).await {
            Either::Left(_) => 130,
            Either::Right(_) => 143,
        }
    })
}

/// How much a program logs that is not told to log more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// What somebody should look after.
    #[cfg(feature = "cli")]
    Warnings,
    /// What happens, too.
    Usual,
}

/// Where logs go, and how much of them.
pub(crate) fn log(verbose: u8) {
    log_at(Level::Usual, verbose);
}

/// As [`log`], from another level on.
pub(crate) fn log_at(level: Level, verbose: u8) {
    let default = match verbose {
        #[cfg(feature = "cli")]
        0 if level == Level::Warnings => "warn",
        0 => "info,hyper=warn",
        1 => "debug,hyper=warn",
        _ => "trace",
    };
    let asked = std::env::var("ICEFARM_LOG").ok().filter(|text| !text.is_empty());
    let filter = asked.and_then(|text| match tracing_subscriber::EnvFilter::try_new(&text) {
        Ok(filter) => Some(filter),
        Err(error) => {
            crate::complain(&format!(
                "the variable ICEFARM_LOG, `{text}`, is passed over: {error}"
            ));
            None
        }
    });
    let filter = filter.unwrap_or_else(|| tracing_subscriber::EnvFilter::new(default));
    let _ = level;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // A second call in one process keeps the first log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_target(false)
        .with_writer(std::io::stderr)
        .try_init();
}

/// The name of this machine, for a worker that was given none.
pub(crate) fn host_name() -> String {
    std::fs::read_to_string(PathBuf::from("/proc/sys/kernel/hostname"))
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "worker".to_owned())
}
