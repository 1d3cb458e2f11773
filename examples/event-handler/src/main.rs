//! A client that reserves a board of the kind `example state`, sends it data, and prints what
//! comes back. With the worker of `examples/custom-worker` in a farm on this machine:
//!
//! ```sh
//! cargo run --package event-handler -- http://127.0.0.1:8080
//! ```

use futures::StreamExt;
use icefarm_client::{Client, ReserveOptions};
use icefarm_core::{Serial, json, register};
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Boards are flashed and tested before they are offered, and once more when they are reserved.
const PATIENCE: Duration = Duration::from_secs(120);

struct ExampleEventHandler {
    printed: Arc<Notify>,
}

#[register]
impl ExampleEventHandler {
    // The key `serial` is the board's; all others are the event's own.
    #[register("results", "data", "serial")]
    fn print_results(&mut self, data: String, serial: Serial) {
        println!("{serial}: {data}");
        self.printed.notify_one();
    }

    #[register("failure", "reason", "serial")]
    fn print_failure(&mut self, reason: String, serial: Serial) {
        eprintln!("{serial} failed: {reason}");
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let control = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    match run(&control).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(control: &str) -> Result<(), Box<dyn Error>> {
    let printed = Arc::new(Notify::new());
    let handler = ExampleEventHandler { printed: printed.clone() };
    let client = Client::builder(control).handler(handler).connect().await?;
    timeout(PATIENCE, a_board(&client)).await.map_err(|_| "the farm has no free board")??;

    let options = ReserveOptions::new(1, "example state").args(json!({"message": "Hi there"}));
    let reservation = client.reserve(options).await?;
    reservation.initialized(PATIENCE).await?;
    for board in reservation.boards() {
        client.command(&board.serial, "getdata", json!({"data": "Hello!"})).await?;
    }
    timeout(PATIENCE, printed.notified()).await.map_err(|_| "no results came")?;

    // Gives the board back at once.
    client.close().await?;
    Ok(())
}

/// Waits until a board can be reserved. Control says so with an event.
async fn a_board(client: &Client) -> Result<(), Box<dyn Error>> {
    let mut events = client.events();
    while client.available().await? == 0 {
        events.next().await.ok_or("the farm went away")?;
    }
    Ok(())
}
