//! How a worker stops: it waits for its leases to end, ends those that are left, and lets its boards
//! get back to where they are between leases.

use crate::WorkerConfig;
use crate::ledger::Ledger;
use crate::roster::Roster;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What a worker that is in a hurry gives to its states, and to control.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(2);

/// What a worker stops with.
pub(crate) struct Departure {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) roster: Arc<Roster>,
}

/// How it came to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It was told to end.
    Ended,
    /// It has drained.
    Drained,
    /// It drained, and was told to end at once.
    CutShort,
}

impl Departure {
    /// Waits until the worker is to end, and drains it first if there is time for that.
    pub(crate) async fn wait(
        &self,
        drain: impl Future<Output = ()>,
        shutdown: impl Future<Output = ()>,
        config: &WorkerConfig,
    ) -> Way {
        let mut shutdown = pin!(shutdown);
        tokio::select! {
            biased;
            () = &mut shutdown => {
                tracing::info!("stopping: ending all leases");
                return Way::Ended;
            }
            () = drain => {}
        }
        tokio::select! {
            biased;
            () = shutdown => {
                tracing::warn!("stopping at once: ending all leases");
                Way::CutShort
            }
            () = self.drain(config) => Way::Drained,
        }
    }

    async fn drain(&self, config: &WorkerConfig) {
        self.ledger.stop_at(Instant::now() + config.drain);
        let held = self.held();
        let plan = plan(&held, config.drain);
        // Who has sent the signal is to know why the program does not end.
        if held.is_empty() {
            tracing::info!("{plan}");
        } else {
            tracing::warn!("{plan}");
        }
        if timeout(config.drain, self.ledger.until_nobody_holds()).await.is_err() {
            tracing::warn!("the time is over: ending {}", listed(&self.held()));
        }
        // From now on also what control had granted before it heard is refused.
        self.roster.drain().await;
        if timeout(config.shutdown, self.ledger.until_at_rest()).await.is_err() {
            tracing::warn!(
                "not all boards are back at their default firmware after {} s; they get it when the \
                 worker is started again",
                config.shutdown.as_secs()
            );
        }
    }

    /// Which boards are held, by whom.
    fn held(&self) -> Vec<String> {
        let leases = self.ledger.leases();
        leases.iter().map(|(serial, lease)| format!("{serial} by {}", lease.client)).collect()
    }
}

/// What is going to happen, for who has sent the signal.
fn plan(held: &[String], drain: Duration) -> String {
    match held {
        [] => "draining: no board is held; stopping as soon as all boards are at rest".to_owned(),
        held => format!(
            "draining: waiting up to {} s for {} to end; signal again to stop at once",
            drain.as_secs(),
            listed(held)
        ),
    }
}

fn listed(held: &[String]) -> String {
    let leases = if held.len() == 1 { "1 lease" } else { &format!("{} leases", held.len()) };
    format!("{leases} ({})", held.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_says_what_is_waited_for_and_what_to_do() {
        let held = ["A by ann".to_owned(), "B by bob".to_owned()];
        assert_eq!(
            plan(&held, Duration::from_secs(60)),
            "draining: waiting up to 60 s for 2 leases (A by ann, B by bob) to end; signal again to \
             stop at once"
        );
        assert!(plan(&held[..1], Duration::ZERO).contains("for 1 lease (A by ann)"));
        assert!(plan(&[], Duration::ZERO).contains("no board is held"));
    }
}
