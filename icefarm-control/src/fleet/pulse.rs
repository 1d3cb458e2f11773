//! Heartbeats.

use super::{Line, Manners};
use crate::ledger::{Ledger, LedgerError};
use crate::machine::Command;
use icefarm_core::wire::{HeartbeatAnswer, HeartbeatNews};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// So many heartbeats in a row without an answer make a worker unreachable.
const MISSED: u32 = 2;

/// Asks a worker for everything that it has, for as long as the ledger listens.
pub(super) async fn run(line: Line, ledger: Arc<Ledger>, manners: Manners) {
    let mut beats = interval(manners.heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut missed = 0;
    loop {
        beats.tick().await;
        let commands = match ask(&line, &ledger, manners).await {
            Ok(answer) => {
                missed = 0;
                told(answer)
            }
            Err(reason) => {
                missed += 1;
                tracing::debug!(worker = %line.worker, missed, reason, "a heartbeat was missed");
                if missed != MISSED {
                    continue;
                }
                let (worker, incarnation) = (line.worker.clone(), line.incarnation.clone());
                vec![Command::Unreachable { worker, incarnation }]
            }
        };
        for command in commands {
            match ledger.submit(command).await {
                Ok(_) => {}
                // It has registered anew, or was forgotten: others attend to it now.
                Err(LedgerError::Refused(refusal)) => {
                    tracing::warn!(worker = %line.worker, "a heartbeat does not count: {refusal}");
                }
                Err(LedgerError::Failed(_)) => {}
                Err(LedgerError::Closed) => return,
            }
        }
    }
}

/// What an answer tells of the boards, and of the worker itself.
fn told(answer: HeartbeatAnswer) -> Vec<Command> {
    let HeartbeatAnswer { worker, incarnation, boards, stops_in_ms } = answer;
    let stops = stops_in_ms.map(|ms| Command::Stops {
        worker: worker.clone(),
        incarnation: incarnation.clone(),
        within: Duration::from_millis(ms),
    });
    let beat = Command::Heartbeat { worker, incarnation, boards };
    std::iter::once(beat).chain(stops).collect()
}

async fn ask(line: &Line, ledger: &Ledger, manners: Manners) -> Result<HeartbeatAnswer, String> {
    let news = HeartbeatNews { now: ledger.now(), tickets: !line.tokens.is_empty() };
    let answer: HeartbeatAnswer = line
        .post("/heartbeat", &news, manners.heartbeat_timeout)
        .await
        .map_err(|error| error.to_string())?;
    if answer.worker != line.worker {
        return Err(format!("worker {} answers at its address", answer.worker));
    }
    if answer.incarnation != line.incarnation {
        return Err("it was started again and has not registered yet".to_owned());
    }
    Ok(answer)
}
