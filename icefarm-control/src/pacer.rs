//! Tells the farm that time has passed.

use crate::ledger::{Ledger, LedgerError};
use crate::machine::Command;
use std::time::Duration;
use tokio::time::sleep;

/// How often this task runs at least.
const PULSE: Duration = Duration::from_secs(1);
/// When it runs so late, control stood still. Clients renew leases of a minute every 20 s.
const LATE: Duration = Duration::from_secs(5);
/// The pause before time is told again to a ledger that could not write.
const RETRY: Duration = Duration::from_secs(1);

/// Tells the farm that time has passed, whenever that means something, and that control stood
/// still before it tells what that would cost.
pub(crate) async fn tell_time(ledger: &Ledger) {
    let mut farm = ledger.watch();
    let mut last = ledger.now();
    loop {
        let next = farm.borrow_and_update().next_tick();
        let due = next.map_or(PULSE, |next| next.since(ledger.now()).min(PULSE));
        tokio::select! {
            changed = farm.changed() => if changed.is_err() { break },
            () = sleep(due) => {}
        }
        let now = ledger.now();
        let stood = now.since(last);
        if stood > LATE {
            tracing::warn!(
                seconds = stood.as_secs(),
                "control stood still; leases and workers have the time that they have after a start"
            );
        }
        let wake = (stood > LATE).then_some(Command::Wake);
        let tick = next.filter(|next| *next <= now).map(|_| Command::Tick);
        match tell(ledger, wake.into_iter().chain(tick)).await {
            Ok(()) => last = now,
            Err(LedgerError::Closed) => break,
            // Nothing can be written down. Who tried to be heard meanwhile could not be.
            Err(_) => sleep(RETRY).await,
        }
    }
    // The server goes on, and tells whoever asks that the ledger has ended.
    std::future::pending().await
}

async fn tell(ledger: &Ledger, commands: impl Iterator<Item = Command>) -> Result<(), LedgerError> {
    for command in commands {
        match ledger.submit(command).await {
            Ok(_) | Err(LedgerError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
