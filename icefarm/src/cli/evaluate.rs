//! `icefarm evaluate`: the main job from the command line.

mod progress;
mod readings;

use super::args::{EvaluateArgs, Place};
use super::circuits::{self, CircuitFile, CircuitsError};
use super::{client, pairs, print};
use crate::{complain, exit, serve};
use futures::StreamExt;
use icefarm_client::{
    Circuit, CircuitOutcome, Client, ClientError, Evaluator, Placement, ReserveOptions, Untyped,
};
use icefarm_core::Value;
use icefarm_core::evaluation::Outcome;
use progress::Progress;
use readings::Readings;
use std::process::ExitCode;

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
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the runtime cannot be started: {0}")]
    Runtime(std::io::Error),
}

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
        let client = Client::builder(&args.client.control)
            .name(client::name(&args.client))
            .connect()
            .await?;
        let work = measure(&client, args, circuits, kind_args);
        let end = tokio::select! {
            end = work => end,
            () = signalled => Ok(End::Interrupted),
        };
        // The boards are given back whatever became of the work, and its own fault comes first.
        let closed = client.close().await;
        let end = end?;
        closed?;
        Ok(end)
    })
}

async fn measure(
    client: &Client,
    args: &EvaluateArgs,
    circuits: Vec<CircuitFile>,
    kind_args: serde_json::Map<String, serde_json::Value>,
) -> Result<End, Fault> {
    let options = ReserveOptions::new(args.boards, args.kind.as_str()).args(&kind_args);
    let reservation = client.reserve(options).await?;
    let evaluator = Evaluator::<Untyped>::new(client, &reservation)?;
    let (placement, per_circuit) = match args.place {
        Place::Each => (Placement::Each, args.boards as usize),
        Place::Any => (Placement::Any, 1),
    };
    let progress = Progress::new(circuits.len() * per_circuit);
    let mut readings = Readings::default();
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
    if !args.json {
        print::table(&readings.table());
    }
    Ok(if all_read { End::AllRead } else { End::SomeNotRead })
}

/// Why there is no reading, in one line.
fn complaint(outcome: &CircuitOutcome<Value>) -> Option<String> {
    match &outcome.evaluated.outcome {
        Outcome::Reading { .. } => None,
        Outcome::Refused { code, reason } => Some(format!("refused ({code}): {reason}")),
        Outcome::Failed { code, reason } => Some(format!("failed ({code}): {reason}")),
    }
}
