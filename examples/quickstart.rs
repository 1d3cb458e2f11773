//! A whole farm in one process: a control server, a worker with four virtual boards, and a client
//! that has the bundled circuits counted on them.
//!
//! ```sh
//! cargo run --release --example quickstart
//! ```

#![allow(clippy::print_stdout, reason = "it is run for what it prints")]

use futures::StreamExt;
use icefarm_client::{Circuit, Client, Evaluator, Placement, ReserveOptions};
use icefarm_control::Control;
use icefarm_core::evaluation::Outcome;
use icefarm_core::{Registry, WorkerName};
use icefarm_sim::VirtualBus;
use icefarm_state_pulse_count::{PulseCount, PulseCountArgs};
use icefarm_worker::Worker;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;

/// What the circuits under `examples/circuits` count to in one second; `None` is refused.
const EXPECTED: &[(&str, Option<u64>)] = &[
    ("johnson.bin", Some(300_000)),
    ("lfsr.bin", Some(12_000_215)),
    ("pulses_1000.bin", Some(1_000)),
    ("pulses_12345.bin", Some(12_345)),
    ("ripple.bin", Some(1_465)),
    ("ring_oscillator.bin", None),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("Starting control, a worker and 4 virtual boards ..");
    let control = start_farm(4).await?;

    let client = Client::builder(&control).name("quickstart").connect().await?;
    wait_for_boards(&client, 4).await?;
    let options = ReserveOptions::evaluating::<PulseCount>(4, &PulseCountArgs::default());
    let reservation = client.reserve(options).await?;
    let evaluator = Evaluator::<PulseCount>::new(&client, &reservation)?;

    println!("Counting the pulses of {} circuits on each board ..", EXPECTED.len());
    let mut rows = Vec::new();
    let mut outcomes = evaluator.evaluate(circuits()?, Placement::Each);
    while let Some(outcome) = outcomes.next().await {
        let board = outcome.serial().map(ToString::to_string).unwrap_or_default();
        let (pulses, text) = match &outcome.evaluated.outcome {
            Outcome::Reading { reading } => (Some(reading.pulses), reading.pulses.to_string()),
            Outcome::Refused { code, .. } => (None, format!("refused: {code}")),
            Outcome::Failed { reason, .. } => return Err(reason.clone().into()),
        };
        rows.push((board, outcome.circuit, pulses, text));
    }
    // Gives the boards back at once, and not only when control misses this process.
    drop(outcomes);
    client.close().await?;

    rows.sort();
    println!("{:<18}{:<24}pulses in one second", "board", "circuit");
    for (board, circuit, _, text) in &rows {
        println!("{board:<18}{circuit:<24}{text}");
    }
    let wrong = |(_, circuit, pulses, _): &&(String, String, Option<u64>, String)| {
        EXPECTED.iter().any(|(name, expected)| name == circuit && expected != pulses)
    };
    match rows.iter().find(wrong) {
        Some((board, circuit, ..)) => Err(format!("{circuit} was miscounted on {board}").into()),
        None if rows.len() != 4 * EXPECTED.len() => Err("outcomes are missing".into()),
        None => Ok(()),
    }
}

/// Starts control and a worker on free ports of this machine, and returns control's address.
async fn start_farm(boards: usize) -> Result<String, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let control = Control::builder().in_memory().build()?;
    tokio::spawn(control.run(listener, std::future::pending()));

    let worker = Worker::builder()
        .name(WorkerName::new("quickstart")?)
        .control(url.as_str())
        .registry(Registry::collect()?)
        .bus(Arc::new(VirtualBus::builder().boards(boards).build()?))
        .build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tokio::spawn(worker.run(listener, std::future::pending()));
    Ok(url)
}

/// Control says when boards become available: virtual ones are flashed and tested first, as real
/// ones are.
async fn wait_for_boards(client: &Client, boards: u64) -> Result<(), Box<dyn Error>> {
    let mut events = client.events();
    println!("The boards are flashed and tested, at the pace of real ones: some 5 s ..");
    loop {
        let available = client.available().await?;
        if available >= boards {
            println!("{available} boards are available.");
            return Ok(());
        }
        events.next().await.ok_or("the farm went away")?;
    }
}

fn circuits() -> Result<Vec<Circuit>, Box<dyn Error>> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("circuits");
    let read = |(name, _): &(&str, _)| Ok(Circuit::new(*name, std::fs::read(folder.join(name))?));
    EXPECTED.iter().map(read).collect()
}
