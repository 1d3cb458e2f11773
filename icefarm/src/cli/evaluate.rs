//! `icefarm evaluate`: the main job from the command line.

mod progress;
mod readings;

use super::args::{EvaluateArgs, Place};
use super::circuits::{self, CircuitFile, CircuitsError};
use super::reserving::{self, NotGivenBack};
use super::{hold, pairs, print, remark, server};
use crate::{complain, exit, serve};
use futures::StreamExt;
use icefarm_client::{
    Circuit, CircuitOutcome, Client, ClientError, Evaluator, Placement, Reservation,
    ReserveOptions, Untyped,
};
use icefarm_core::evaluation::Outcome;
use icefarm_core::{Serial, Value};
use progress::Progress;
use readings::Readings;
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Circuits(#[from] CircuitsError),
    #[error("no circuit is named: the lists are empty")]
    NoCircuits,
    #[error(
        "`{name}` holds some of these boards, but not {missing}: measure on those and on the \
         others one after the other"
    )]
    SomeHeld { name: String, missing: String },
    #[error("the boards are held as `{held}`, and --kind asks for `{asked}`")]
    OtherKind { held: String, asked: String },
    #[error("the boards are held already, with arguments of their own: leave --arg out")]
    ArgsOfHeld,
    #[error(transparent)]
    Farm(#[from] server::Fault),
    #[error(transparent)]
    Given(#[from] NotGivenBack),
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        Self::Farm(error.into())
    }
}

/// How a run ended that worked.
enum End {
    AllRead,
    SomeNotRead,
    /// By a signal, with what the shell is told of it.
    Interrupted(u8),
}

pub(crate) fn main(args: EvaluateArgs) -> ExitCode {
    match run(&args) {
        Ok(End::AllRead) => exit::DONE,
        Ok(End::SomeNotRead) => exit::incomplete(),
        Ok(End::Interrupted(status)) => ExitCode::from(status),
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
    let kind_args = pairs::object(&args.kind.args).map_err(server::Fault::from)?;
    let labels = pairs::labels(&args.kind.label).map_err(server::Fault::from)?;
    let runtime = tokio::runtime::Runtime::new().map_err(server::Fault::Runtime)?;
    runtime.block_on(async {
        let signalled = serve::stopped().map_err(server::Fault::from)?;
        let client = server::connect(&args.client).await?;
        let mut readings = Readings::default();
        let end = tokio::select! {
            end = measure(&client, args, labels, circuits, kind_args, &mut readings) => end,
            status = signalled => Ok(End::Interrupted(status)),
        };
        // The boards are given back whatever became of the work, and its own fault comes first.
        let given_back = reserving::give_back(client.close()).await;
        // What was measured is shown even if the run did not get to its end.
        if !args.output.json && !readings.is_empty() {
            print::table(&readings.table());
        }
        let end = end?;
        match given_back {
            Err(unknown @ NotGivenBack::NoAnswer) => {
                remark(&unknown.to_string());
                return Ok(end);
            }
            Err(error) => return Err(error.into()),
            Ok(()) => {}
        }
        if matches!(end, End::Interrupted(_)) {
            remark("interrupted; the boards are given back");
        }
        Ok(end)
    })
}

/// The boards that the run is for: reserved for it, or those that are held already.
async fn boards(
    client: &Client,
    args: &EvaluateArgs,
    serials: Vec<Serial>,
    labels: BTreeMap<String, String>,
    kind_args: &serde_json::Map<String, serde_json::Value>,
) -> Result<Reservation, Fault> {
    let kind = args.kind.kind.as_str();
    let options = if serials.is_empty() {
        ReserveOptions::new(args.boards.unwrap_or(1), kind)
    } else {
        let held: BTreeSet<Serial> = client
            .boards()
            .await?
            .into_iter()
            .filter(|board| board.lease.as_ref().is_some_and(|held| held.client == *client.name()))
            .map(|board| board.serial)
            .collect();
        let missing: Vec<&str> =
            serials.iter().filter(|serial| !held.contains(*serial)).map(Serial::as_str).collect();
        if missing.is_empty() {
            return adopt(client, args, serials, kind_args).await;
        }
        if serials.iter().any(|serial| held.contains(serial)) {
            let name = client.name().to_string();
            return Err(Fault::SomeHeld { name, missing: missing.join(", ") });
        }
        ReserveOptions::serials(serials, kind)
    };
    let options = reserving::wishes(options.args(kind_args), &args.kind, labels);
    let wait = Duration::from_secs(args.wait.into());
    Ok(reserving::reserve(client, options, wait).await?)
}

async fn adopt(
    client: &Client,
    args: &EvaluateArgs,
    serials: Vec<Serial>,
    kind_args: &serde_json::Map<String, serde_json::Value>,
) -> Result<Reservation, Fault> {
    if !kind_args.is_empty() {
        return Err(Fault::ArgsOfHeld);
    }
    let reservation = client.adopt(serials).await?;
    let held = reservation.kind().as_str();
    if args.kind_is_given && held != args.kind.kind {
        return Err(Fault::OtherKind { held: held.to_owned(), asked: args.kind.kind.clone() });
    }
    Ok(reservation)
}

async fn measure(
    client: &Client,
    args: &EvaluateArgs,
    labels: BTreeMap<String, String>,
    circuits: Vec<CircuitFile>,
    kind_args: serde_json::Map<String, serde_json::Value>,
    readings: &mut Readings,
) -> Result<End, Fault> {
    let serials = hold::serials(client, &args.serial).await?;
    let reservation = boards(client, args, serials, labels, &kind_args).await?;
    let evaluator = Evaluator::<Untyped>::new(client, &reservation)?;
    let (placement, per_circuit) = match args.place {
        Place::Each => (Placement::Each, reservation.boards().len()),
        Place::Any => (Placement::Any, 1),
    };
    let mut progress = Progress::new(circuits.len() * per_circuit);
    let mut all_read = true;
    let circuits = circuits.into_iter().map(|file| Circuit::new(file.name, file.bytes));
    let mut outcomes = evaluator.evaluate(circuits, placement);
    let mut events = client.events();
    loop {
        let outcome = tokio::select! {
            outcome = outcomes.next() => outcome,
            Some(told) = events.next() => {
                if let Some(text) = reserving::draining(&told.serial, &told.event) {
                    progress.beside(|| remark(&text));
                }
                continue;
            }
        };
        let Some(outcome) = outcome else { break };
        all_read &= outcome.reading().is_some();
        progress.step(&outcome);
        if args.output.json {
            print::json(&outcome);
        } else {
            readings.push(outcome);
        }
    }
    progress.finish();
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
