//! What the server commands have in common: listening, telling where, and ending on a signal.

use crate::log::LogFormat;
use clap::Args;
use clap::builder::BoolishValueParser;
use icefarm_net::{TlsError, TlsIdentity};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

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

    /// What log lines look like: `text` for people, or `json` for programs, one object a line.
    #[arg(long, env = "ICEFARM_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
}

/// The certificate of a server.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TlsArgs {
    /// Speak TLS (https://) under the certificate in this file (PEM); `icefarm init --tls` makes one.
    #[arg(long, env = "ICEFARM_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key of the certificate (PEM).
    #[arg(long, env = "ICEFARM_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// The certificate, if one is given.
    pub(crate) fn identity(&self) -> Result<Option<TlsIdentity>, ServeError> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Ok(Some(TlsIdentity::read(certificate, key)?)),
            (None, None) => Ok(None),
            // Nobody who asks for TLS gets a server without it.
            _ => Err(ServeError::HalfTls),
        }
    }
}

/// What may be said to listen on an address that others can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Everybody is asked for a token, or for a ticket.
    Everybody,
    /// Nobody is asked, because control has no tokens.
    #[cfg(feature = "control")]
    NobodyAtControl,
    /// Nobody is asked, because this worker has no token.
    #[cfg(feature = "worker")]
    NobodyAtWorker,
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
         reserved. {remedy}, or listen on 127.0.0.1 (an SSH tunnel brings others there), or say \
         --insecure if the network itself keeps strangers out"
    )]
    Open { address: SocketAddr, remedy: &'static str },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A certificate without a key, or a key without a certificate.
    #[error("--tls-cert and --tls-key go together: one of them is missing")]
    HalfTls,
    /// The system refuses to tell of signals.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}

/// Whether an address may be listened on.
pub(crate) fn check(address: SocketAddr, insecure: bool, ask: Ask) -> Result<(), ServeError> {
    let remedy = match ask {
        Ask::Everybody => None,
        #[cfg(feature = "control")]
        Ask::NobodyAtControl => Some(
            "`icefarm init` makes a farm that asks for tokens, and `icefarm control --config \
             farm.toml` runs it",
        ),
        #[cfg(feature = "worker")]
        Ask::NobodyAtWorker => Some(
            "Give it the token of a worker on a farm that asks for tokens, --token-file FILE \
             (`icefarm init` at control prints the whole line)",
        ),
    };
    match remedy.filter(|_| !address.ip().is_loopback() && !insecure) {
        Some(remedy) => Err(ServeError::Open { address, remedy }),
        None => Ok(()),
    }
}

/// Binds the address. One that others can reach is taken only if everybody is asked who they are,
/// or with `insecure`.
pub(crate) async fn listen(
    address: SocketAddr,
    insecure: bool,
    ask: Ask,
) -> Result<TcpListener, ServeError> {
    check(address, insecure, ask)?;
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

/// Tells the owner of a lab that tokens can be read on the way.
pub(crate) fn warn_of_plain(address: SocketAddr, tls: bool, ask: Ask) {
    if !address.ip().is_loopback() && !tls && ask == Ask::Everybody {
        tracing::warn!(
            "tokens and circuits travel unencrypted; on a network that others can listen to use \
             --tls-cert and --tls-key (`icefarm init --tls NAME` makes them)"
        );
    }
}

/// The first line on stdout, by which scripts learn the port that the system chose.
pub(crate) fn announce(address: SocketAddr, tls: bool) {
    let scheme = if tls { "https" } else { "http" };
    let mut out = std::io::stdout().lock();
    // Whoever closed our stdout does not want to know.
    let _ = writeln!(out, "listening on {scheme}://{address}").and_then(|()| out.flush());
}

/// Whether this program was started so that it lives on when its terminal is closed, as `nohup` does
/// it. Where the system does not say, SIGHUP is left alone.
pub(crate) fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The lowest bit is the first signal, which is SIGHUP.
    ignored.is_none_or(|mask| mask & 1 == 1)
}

/// What the shell is told of a program that SIGHUP ended.
const HUNG_UP: u8 = 129;

/// The signals that ask a program to stop: Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed.
pub(crate) struct Stops {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Stops {
    /// From now on they are this program's to deal with.
    pub(crate) fn listen() -> Result<Self, ServeError> {
        let listen = |kind| signal(kind).map_err(ServeError::Signals);
        Ok(Self {
            // A handler would be called for a signal that was ignored before.
            hangup: (!is_hangup_ignored()).then(|| listen(SignalKind::hangup())).transpose()?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one, and tells what the shell is told of a program that it ended.
    pub(crate) async fn next(&mut self) -> u8 {
        let Self { interrupt, terminate, hangup } = self;
        let hung_up = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => 130,
            _ = terminate.recv() => 143,
            _ = hung_up => HUNG_UP,
        }
    }
}

/// From now on the signals that ask a program to stop are this one's to deal with: the future ends
/// with the first of them. To be called within a runtime, before anybody is told that the program is
/// there.
#[cfg(feature = "control")]
pub(crate) fn signalled() -> Result<impl Future<Output = ()> + Send, ServeError> {
    Ok(futures::FutureExt::map(stopped()?, drop))
}

/// As `signalled`, for a program that takes its time with the first signal: the futures end with
/// the first and with the second one.
#[cfg(feature = "worker")]
pub(crate) fn signalled_twice()
-> Result<(impl Future<Output = ()> + Send, impl Future<Output = ()> + Send), ServeError> {
    let mut stops = Stops::listen()?;
    let (count, first) = tokio::sync::watch::channel(0_u8);
    let second = count.subscribe();
    tokio::spawn(async move {
        loop {
            // The shell and the system may both send SIGHUP for one terminal that is closed.
            let is_new = stops.next().await != HUNG_UP;
            count.send_modify(|count| {
                *count = if is_new { count.saturating_add(1) } else { (*count).max(1) };
            });
        }
    });
    let wait = |mut count: tokio::sync::watch::Receiver<u8>, wanted| async move {
        // The task ends only with the runtime.
        let _ = count.wait_for(|count| *count >= wanted).await;
    };
    Ok((wait(first, 1), wait(second, 2)))
}

/// As [`signalled`], with what the shell is told of a program that the signal ended.
#[cfg(feature = "control")]
pub(crate) fn stopped() -> Result<impl Future<Output = u8> + Send, ServeError> {
    let mut stops = Stops::listen()?;
    Ok(async move { stops.next().await })
}

/// The name of this machine, for a worker that was given none.
pub(crate) fn host_name() -> String {
    std::fs::read_to_string(PathBuf::from("/proc/sys/kernel/hostname"))
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "worker".to_owned())
}
