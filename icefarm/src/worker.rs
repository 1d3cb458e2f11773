//! `icefarm worker`.

use crate::faults::{FaultFile, FaultFileError};
use crate::log::LogFormat;
use crate::serve::{self, Ask, ServeError, ServerArgs, TlsArgs};
use crate::trust::{TokenArgs, TokenFault, TrustArgs};
use crate::{exit, log, role};
use clap::Args;
use icefarm_core::{Registry, RegistryError, Serial, WorkerName};
use icefarm_net::{HttpClient, TlsListener};
use icefarm_sim::{SimError, VirtualBus, VirtualBusBuilder};
use icefarm_worker::{Worker, WorkerConfig, WorkerError};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  icefarm worker --sim 4                                 four virtual boards
  icefarm worker --control http://127.0.0.1:8080 --name bench-2 --listen 127.0.0.1:8082 --sim 2
  icefarm worker --sim-serial \"example pico2ice serial\"  a virtual board of that serial
  icefarm worker --sim 4 --sim-faults faults.toml        boards that fail as the file says
  icefarm worker --sim 4 --drain 600                     stops, but lets reservations end first

A file of faults is TOML, for example:
  seed = 7                # what chance is made of

  [[fault]]               # one measurement in ten ends with the plug pulled for 3 s
  what = \"unplug\"         # or hang, stall, garbage, slow-link, refuse-image, corrupt-image,
                          # wrong-answer
  when = \"circuit\"        # or power, bootloader, flash, start, transfer, answer, time
  delay_seconds = 0.5
  chance = 0.1
  lasts_seconds = 3

  [[fault]]               # from its 20th answer on the first board tells 5 pulses too many
  what = \"wrong-answer\"   # such readings are marked as `falsified`
  off_by = 5
  after = 19
  boards = [0]

Further keys: boards (places from 0, serials), firmware, after, nth, times, chance, delay_seconds;
unplug: lasts_seconds; garbage: bytes; slow-link: bytes_per_second, lasts_seconds; wrong-answer:
off_by; flash: at_percent; transfer: at_bytes; time: at_seconds, every_seconds. Seconds are the
boards': --sim-speed 10 makes them ten times shorter.")]
pub(crate) struct WorkerArgs {
    /// The address to listen on; port 0 takes a free one.
    #[arg(
        long,
        env = "ICEFARM_WORKER_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8081"
    )]
    pub(crate) listen: SocketAddr,

    /// Where the control server listens.
    #[arg(
        long,
        env = "ICEFARM_CONTROL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) control: String,

    /// This worker's name, unique in the farm. The name of the machine if absent.
    #[arg(long, env = "ICEFARM_WORKER_NAME", value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// The address that clients are told, http://HOST:PORT. The one that control sees if absent.
    #[arg(long, env = "ICEFARM_ADVERTISE", value_name = "URL")]
    pub(crate) advertise: Option<String>,

    /// So many virtual boards, which simulate the circuits that they are given.
    #[arg(long, env = "ICEFARM_SIM", value_name = "N", default_value_t = 0)]
    pub(crate) sim: u32,

    /// A virtual board with this serial; may be given several times.
    #[arg(
        long,
        env = "ICEFARM_SIM_SERIAL",
        value_name = "SERIAL",
        value_delimiter = ',',
        action = clap::ArgAction::Append
    )]
    pub(crate) sim_serial: Vec<String>,

    /// How many times faster than real time virtual boards run. A measurement of one second takes
    /// 0.1 s at 10; what is counted stays the same.
    #[arg(long, env = "ICEFARM_SIM_SPEED", value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) sim_speed: f64,

    /// What goes wrong with the virtual boards, as this TOML file says; see below.
    #[arg(long, env = "ICEFARM_SIM_FAULTS", value_name = "FILE")]
    pub(crate) sim_faults: Option<PathBuf>,

    /// How long, after SIGTERM, SIGHUP or Ctrl-C, this worker waits for the reservations of its
    /// boards to end before it ends them, in seconds. Nothing new is placed on it meanwhile, and a
    /// second signal stops it at once.
    #[arg(long, env = "ICEFARM_DRAIN", value_name = "SECONDS", default_value_t = 60)]
    pub(crate) drain: u32,

    #[command(flatten)]
    pub(crate) token: TokenArgs,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Name(#[from] icefarm_core::NameError),
    #[error(transparent)]
    Sim(#[from] SimError),
    #[error(transparent)]
    Faults(#[from] FaultFileError),
    #[error(transparent)]
    Token(#[from] TokenFault),
    #[error(transparent)]
    Tls(#[from] icefarm_net::TlsError),
    #[error(
        "with --tls-cert this worker must be told how others reach it: --advertise https://NAME:PORT, \
         with a name that its certificate has"
    )]
    NoName,
    #[error(
        "this worker has no boards: say --sim N for virtual ones (boards on USB are not supported \
         by this version)"
    )]
    NoBoards,
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
}

/// The `main` of a program that is a worker: `icefarm worker` with the same flags, and with the
/// states of the crates that the program links.
#[must_use]
pub fn worker_main() -> ExitCode {
    match role::parse::<WorkerArgs>("worker", "A worker of an iCEFARM") {
        Ok(args) => {
            log::start(log::Level::Usual, 0, args.server.log_format);
            main(args)
        }
        Err(code) => code,
    }
}

pub(crate) fn main(args: WorkerArgs) -> ExitCode {
    exit::of(run(args))
}

fn run(args: WorkerArgs) -> Result<(), Fault> {
    let runtime = tokio::runtime::Runtime::new().map_err(Fault::Runtime)?;
    runtime.block_on(async {
        let ask = match args.token.token()? {
            Some(_) => Ask::Everybody,
            None => Ask::NobodyAtWorker,
        };
        let identity = args.tls.identity()?;
        if identity.is_some() && args.advertise.is_none() {
            return Err(Fault::NoName);
        }
        let listener = serve::listen(args.listen, args.server.insecure, ask).await?;
        serve::warn_of_plain(args.listen, identity.is_some(), ask);
        let address = listener
            .local_addr()
            .map_err(|source| ServeError::Listen { address: args.listen, source })?;
        let worker = build(&args, WorkerConfig::default())?;
        let (first, second) = serve::signalled_twice()?;
        serve::announce(address, identity.is_some());
        match identity {
            Some(identity) => {
                worker.run_draining(TlsListener::new(listener, identity), first, second).await?;
            }
            None => worker.run_draining(listener, first, second).await?,
        }
        Ok(())
    })
}

/// A worker as the flags describe it, and what they say nothing of as `config` does.
pub(crate) fn build(args: &WorkerArgs, mut config: WorkerConfig) -> Result<Worker, Fault> {
    if args.sim == 0 && args.sim_serial.is_empty() {
        return Err(Fault::NoBoards);
    }
    let name = WorkerName::new(args.name.clone().unwrap_or_else(serve::host_name))?;
    let mut bus =
        VirtualBus::builder().seed(name.as_str()).boards(args.sim as usize).speed(args.sim_speed);
    for serial in &args.sim_serial {
        bus = bus.serial(Serial::new(serial.as_str())?);
    }
    config.allowed_hosts.clone_from(&args.server.allow_host);
    config.drain = Duration::from_secs(args.drain.into());
    let mut worker = Worker::builder()
        .name(name)
        .control(args.control.as_str())
        .registry(Registry::collect()?)
        .bus(Arc::new(faulty(bus, args)?))
        .config(config);
    worker = worker
        .http_client(HttpClient::new(args.trust.connector()?))
        .require_tickets(!args.listen.ip().is_loopback() && !args.server.insecure);
    if let Some(token) = args.token.token()? {
        worker = worker.token(token.as_str());
    }
    if let Some(url) = &args.advertise {
        worker = worker.advertise(url.as_str());
    }
    Ok(worker.build()?)
}

/// The bus, with boards that fail as the file says.
fn faulty(bus: VirtualBusBuilder, args: &WorkerArgs) -> Result<VirtualBus, Fault> {
    let Some(path) = &args.sim_faults else { return Ok(bus.build()?) };
    let file = FaultFile::read(path)?;
    let built = bus.faults(file.plan().clone()).build();
    let bus = built.map_err(|error| file.explain(error).map_or_else(Fault::from, Fault::from))?;
    let faults = file.plan().faults().len();
    let path = path.display();
    let text = format!("the virtual boards fail as {path} says, on purpose: {faults} faults");
    warn(args.server.log_format, &text);
    if file.plan().falsifies() {
        warn(
            args.server.log_format,
            "WRONG FIGURES: boards of this worker will tell what they did not measure; such \
             readings are marked as `falsified`, but old clients do not see the mark",
        );
    }
    Ok(bus)
}

/// Warns whoever starts the worker, however little is logged.
fn warn(format: LogFormat, text: &str) {
    match format {
        // Who reads JSON reads nothing else.
        LogFormat::Json => tracing::warn!("{text}"),
        LogFormat::Text => {
            // There is nobody left to warn if stderr is closed.
            let _ = writeln!(std::io::stderr().lock(), "warning: {text}");
        }
    }
}
