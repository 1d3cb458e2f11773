//! `icefarm up`: control, a worker and virtual boards in one process.

mod ready;

use crate::exit;
use crate::serve::{self, ServeError, ServerArgs};
use crate::worker::{self, WorkerArgs};
use clap::Args;
use icefarm_control::{Control, ControlConfig, ControlError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

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
    Worker(#[from] worker::Fault),
    #[error("--allow-host: {0}")]
    Host(#[from] icefarm_net::HostNameError),
    #[error(
        "--listen {address}: clients must be told where the worker is: name the address by which \
         they reach this machine, as in --listen 192.168.1.5:8080 --insecure"
    )]
    NoAddress { address: SocketAddr },
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
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
        let control_listener = serve::listen(args.listen, args.server.insecure).await?;
        let control_address = address_of(&control_listener, args.listen)?;
        let any_port = SocketAddr::from((args.listen.ip(), 0));
        let worker_listener = serve::listen(any_port, args.server.insecure).await?;
        let mut config = ControlConfig::default();
        for host in &args.server.allow_host {
            config.serve.guard = config.serve.guard.allow_host(host)?;
        }

        let control = match &args.db {
            Some(path) => Control::builder().database(path),
            None => Control::builder().in_memory(),
        }
        .config(config)
        .build()?;
        let worker = worker::build(&WorkerArgs {
            listen: any_port,
            control: format!("http://{control_address}"),
            name: Some("up".to_owned()),
            advertise: None,
            sim: args.boards,
            sim_serial: Vec::new(),
            sim_speed: args.sim_speed,
            sim_faults: args.sim_faults.clone(),
            drain: 0,
            server: args.server.clone(),
        })?;

        let signalled = serve::signalled()?;
        serve::announce(control_address);
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let wait = |mut stopped: tokio::sync::watch::Receiver<bool>| async move {
            // The sender lives as long as both servers: an error cannot come before the end.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let servers = async {
            tokio::try_join!(
                async {
                    control.run(control_listener, wait(stopped.clone())).await.map_err(Fault::from)
                },
                async {
                    worker
                        .run(worker_listener, wait(stopped.clone()))
                        .await
                        .map_err(|error| Fault::Worker(error.into()))
                },
            )
        };
        let url = format!("http://{control_address}");
        let signal = async {
            // Nobody is told that boards are ready on a farm that is ending.
            let told = async {
                ready::tell(&url, args.boards).await;
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = signalled => {}
                () = told => {}
            }
            stop.send_replace(true);
        };
        let (outcome, ()) = tokio::join!(
            async {
                let outcome = servers.await;
                // A server that fails takes the other one along, without waiting for a signal.
                stop.send_replace(true);
                outcome
            },
            async {
                let mut stopped = stopped.clone();
                tokio::select! {
                    () = signal => {}
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
            },
        );
        outcome.map(|_| ())
    })
}
