//! `icefarm evaluate`: the main job from the command line.

mod progress;
mod readings;

use super::args::{EvaluateArgs, Place};
use super::circuits::{self, CircuitFile, CircuitsError};
use super::{client, pairs, print};
use crate::{complain, exit, serve};
use futures::StreamExt;
use icefarm_client::{
    Circuit, CircuitOutcome, Client, ClientError, Evaluator, Placement, Reservation,
    ReserveOptions, Untyped,
};
use icefarm_core::Value;
use icefarm_core::evaluation::Outcome;
use icefarm_core::wire::{ErrorCode, events};
use progress::Progress;
use readings::Readings;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Circuits(#[from] CircuitsError),
    #[error("no circuit is named: the lists are empty")]
    NoCircuits,
    #[error(transparent)]
    Pair(#[from] pairs::PairError),
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    #[error("{0}; --control says where the farm is, and `icefarm up` starts one")]
    NoFarm(#[source] ClientError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
}

/// How long control may take to take the boards back. Without it they are free when the leases,
/// which nobody renews any more, have run out.
const FAREWELL: Duration = Duration::from_secs(10);

/// How a run ended that worked.
enum End {
    AllRead,
    SomeNotRead,
    Interrupted,
}

pub(crate) fn main(args: EvaluateArgs) -> ExitCode {
    match run(&args) {
        Ok(End::AllRead) => exit::DONE,
        Ok(End::SomeNotRead) => exit::incomplete(),
        Ok(End::Interrupted) => exit::interrupted(),
        Err(fault) => {
            complain(&exit::chain(&fault));
            exit::failed()
        }
    }
}

fn run(args: &EvaluateArgs) -> Result<End, Fault> {
    // Everything that can be wrong here is found before a board is reserved.
    let circuits = circuits::read(&args.circuits)?;
    if circuits.is_empty() {
        return Err(Fault::NoCircuits);
    }
    let kind_args = pairs::object(&args.args)?;
    let runtime = tokio::runtime::Runtime::new().map_err(Fault::Runtime)?;
    runtime.block_on(async {
        let signalled = serve::signalled()?;
        let name = client::name(&args.client);
        let client = Client::builder(&args.client.control).name(name).connect().await;
        let client = client.map_err(|error| match error {
            ClientError::Unreachable { .. } => Fault::NoFarm(error),
            other => Fault::Client(other),
        })?;
        let mut readings = Readings::default();
        let end = tokio::select! {
            end = measure(&client, args, circuits, kind_args, &mut readings) => end,
            () = signalled => Ok(End::Interrupted),
        };
        // The boards are given back whatever became of the work, and its own fault comes first.
        let closed = timeout(FAREWELL, client.close()).await;
        // What was measured is shown even if the run did not get to its end.
        if !args.json && !readings.is_empty() {
            print::table(&readings.table());
        }
        let end = end?;
        let Ok(closed) = closed else {
            tell("control does not answer; the boards are free a minute from now");
            return Ok(end);
        };
        if matches!(end, End::Interrupted) {
            tell("interrupted; the boards are given back");
        }
        closed?;
        Ok(end)
    })
}

async fn measure(
    client: &Client,
    args: &EvaluateArgs,
    circuits: Vec<CircuitFile>,
    kind_args: serde_json::Map<String, serde_json::Value>,
    readings: &mut Readings,
) -> Result<End, Fault> {
    let options = ReserveOptions::new(args.boards, args.kind.as_str()).args(&kind_args);
    let reservation = reserve(client, options, Duration::from_secs(args.wait.into())).await?;
    let evaluator = Evaluator::<Untyped>::new(client, &reservation)?;
    let (placement, per_circuit) = match args.place {
        Place::Each => (Placement::Each, args.boards as usize),
        Place::Any => (Placement::Any, 1),
    };
    let progress = Progress::new(circuits.len() * per_circuit);
    let mut all_read = true;
    let circuits = circuits.into_iter().map(|file| Circuit::new(file.name, file.bytes));
    let mut outcomes = evaluator.evaluate(circuits, placement);
    while let Some(outcome) = outcomes.next().await {
        all_read &= outcome.reading().is_some();
        progress.step(&outcome, args.json);
        if args.json {
            print::json(&outcome);
        } else {
            readings.push(outcome);
        }
    }
    progress.finish();
    Ok(if all_read { End::AllRead } else { End::SomeNotRead })
}

/// Reserves boards. While too few are free, it tries again whenever control says that one more is.
async fn reserve(
    client: &Client,
    options: ReserveOptions,
    wait: Duration,
) -> Result<Reservation, ClientError> {
    let deadline = Instant::now() + wait;
    // Before the first try: a board that becomes free right after it is not missed.
    let mut events = client.events();
    let mut told = false;
    loop {
        let refused = match client.reserve(options.clone()).await {
            Err(error) if error.code() == Some(ErrorCode::NotEnoughDevices) => error,
            reserved_or_failed => return reserved_or_failed,
        };
        if !told && !wait.is_zero() {
            tell(&format!("{refused}; waiting up to {} s", wait.as_secs()));
            told = true;
        }
        loop {
            match timeout_at(deadline, events.next()).await {
                Ok(Some(event)) if event.event.event == events::DEVICES_AVAILABLE => break,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Err(refused),
            }
        }
    }
}

/// A remark for people, beside what the command prints.
fn tell(text: &str) {
    let mut err = std::io::stderr().lock();
    // Nobody listens if stderr is closed.
    let _ = writeln!(err, "{text}");
}

/// Why there is no reading, in one line.
fn complaint(outcome: &CircuitOutcome<Value>) -> Option<String> {
    match &outcome.evaluated.outcome {
        Outcome::Reading { .. } => None,
        Outcome::Refused { code, reason } => Some(format!("refused ({code}): {reason}")),
        Outcome::Failed { code, reason } => Some(format!("failed ({code}): {reason}")),
    }
}
