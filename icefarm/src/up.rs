//! `icefarm up`: control, a worker and virtual boards in one process.

mod ready;

use crate::exit;
use crate::serve::{self, Ask, ServeError, ServerArgs, TlsArgs};
use crate::trust::{TokenArgs, TrustArgs};
use crate::worker::{self, WorkerArgs};
use clap::Args;
use icefarm_control::machine::Change;
use icefarm_control::store::{Batch, SqliteStore, Store, StoreError};
use icefarm_control::{Control, ControlConfig, ControlError};
use icefarm_core::{Clock, SystemClock};
use icefarm_worker::WorkerConfig;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// The name of its worker.
const WORKER: &str = "up";
/// How long a farm that ends waits for its virtual boards, which nobody misses.
const SHUTDOWN: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm up --boards 4
  icefarm up --boards 50 --sim-speed 20      boards that run twenty times faster than real ones
  icefarm up --sim-faults faults.toml        boards that fail as the file says
  icefarm up --db farm.sqlite                keep reservations over restarts")]
pub(crate) struct UpArgs {
    /// How many virtual boards.
    #[arg(long, env = "ICEFARM_SIM", value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) boards: u32,

    /// The address that control listens on; port 0 takes a free one.
    #[arg(
        long,
        env = "ICEFARM_CONTROL_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: SocketAddr,

    /// Keep the farm's memory in this database; without it everything is forgotten at the end.
    #[arg(long, env = "ICEFARM_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,

    /// How many times faster than real time the boards run. What they count stays the same.
    #[arg(long, env = "ICEFARM_SIM_SPEED", value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) sim_speed: f64,

    /// What goes wrong with the boards, as this TOML file says; `icefarm help worker` tells more.
    #[arg(long, env = "ICEFARM_SIM_FAULTS", value_name = "FILE")]
    pub(crate) sim_faults: Option<PathBuf>,

    /// How long, after SIGTERM, SIGHUP or Ctrl-C, the farm waits for reservations to end before it
    /// ends them, in seconds. A second signal stops it at once.
    #[arg(long, env = "ICEFARM_DRAIN", value_name = "SECONDS", default_value_t = 10)]
    pub(crate) drain: u32,

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
    Store(#[from] StoreError),
    #[error(transparent)]
    Worker(#[from] worker::Fault),
    #[error("--allow-host: {0}")]
    Host(#[from] icefarm_net::HostNameError),
    #[error(
        "--listen {address}: clients must be told where the worker is: name the address by which \
         they reach this machine, as in --listen 192.168.1.5:8080 --insecure"
    )]
    NoAddress { address: SocketAddr },
    #[error(
        "the farm of this database asks for tokens: run its parts with `icefarm control` and \
         `icefarm worker --token-file FILE`"
    )]
    Tokens,
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
}

/// The store, in which the worker of a farm that was killed is known to be gone: it was in the same
/// process. Otherwise control would wait for it, and have its name for nobody else meanwhile. The
/// leases stay, for the boards come back with the new worker.
fn without_worker(path: &Path, config: &ControlConfig) -> Result<SqliteStore, Fault> {
    let (mut store, at) = (SqliteStore::open(path)?, SystemClock.now());
    let stored = store.load(config.rules.clone(), at)?;
    let worker = stored.farm.workers.values().find(|worker| worker.name.as_str() == WORKER);
    // A farm that asks for tokens is not run here, and stays as it is.
    if let Some(worker) =
        worker.filter(|worker| !worker.contact.is_gone() && stored.tokens.is_empty())
    {
        let changes = vec![Change::WorkerLost { worker: worker.name.clone(), at }];
        store.commit(&Batch { at, changes, ..Batch::default() })?;
    }
    Ok(store)
}

pub(crate) fn main(args: &UpArgs) -> ExitCode {
    exit::of(run(args))
}

fn run(args: &UpArgs) -> Result<(), Fault> {
    let runtime = tokio::runtime::Runtime::new().map_err(Fault::Runtime)?;
    runtime.block_on(async {
        let address_of = |listener: &tokio::net::TcpListener, asked: SocketAddr| {
            listener.local_addr().map_err(|source| ServeError::Listen { address: asked, source })
        };
        if args.listen.ip().is_unspecified() {
            return Err(Fault::NoAddress { address: args.listen });
        }
        let ask = Ask::NobodyAtControl;
        let control_listener = serve::listen(args.listen, args.server.insecure, ask).await?;
        let control_address = address_of(&control_listener, args.listen)?;
        let any_port = SocketAddr::from((args.listen.ip(), 0));
        let worker_listener = serve::listen(any_port, args.server.insecure, ask).await?;
        let mut config = ControlConfig::default();
        for host in &args.server.allow_host {
            config.serve.guard = config.serve.guard.allow_host(host)?;
        }

        let control = match &args.db {
            Some(path) => Control::builder().store(without_worker(path, &config)?),
            None => Control::builder().in_memory(),
        }
        .config(config)
        .build()?;
        if control.asks_for_tokens() {
            return Err(Fault::Tokens);
        }
        let mut config = WorkerConfig::default();
        config.shutdown = SHUTDOWN;
        let args_of_worker = WorkerArgs {
            listen: any_port,
            control: format!("http://{control_address}"),
            name: Some(WORKER.to_owned()),
            advertise: None,
            sim: args.boards,
            sim_serial: Vec::new(),
            sim_speed: args.sim_speed,
            sim_faults: args.sim_faults.clone(),
            drain: args.drain,
            token: TokenArgs::default(),
            tls: TlsArgs::default(),
            trust: TrustArgs::default(),
            server: args.server.clone(),
        };
        let worker = worker::build(&args_of_worker, config)?;

        let (first, second) = serve::signalled_twice()?;
        serve::announce(control_address, false);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let url = format!("http://{control_address}");
        let asked_to_stop = async {
            // Nobody is told that boards are ready on a farm that is ending.
            let told = async {
                ready::tell(&url, args.boards).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = first => {}
                () = told => {}
            }
        };
        // Boards are given back at control, so it goes on as long as the worker waits. A server
        // that fails takes the other one along.
        tokio::try_join!(
            async {
                let stopped = async {
                    // Closed is as good as told.
                    let _ = stopped.await;
                };
                control.run(control_listener, stopped).await.map_err(Fault::from)
            },
            async {
                let done = worker.run_draining(worker_listener, asked_to_stop, second).await;
                drop(stop);
                done.map_err(|error| Fault::Worker(error.into()))
            },
        )
        .map(drop)
    })
}
