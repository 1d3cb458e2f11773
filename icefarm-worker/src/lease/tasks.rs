//! The tasks that a state has spawned. They are futures within the state's own task, so that
//! nothing of a state can outlive it.

use super::contain::{contain, contain_call};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Moves on as long as a state lets go of its thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) struct Tasks {
    arriving: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>,
    running: FuturesUnordered<BoxFuture<'static, Result<(), String>>>,
    pulse: Pulse,
    beat: Interval,
}

impl Tasks {
    pub(crate) fn new(
        arriving: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>,
        pulse: Pulse,
        every: Duration,
    ) -> Self {
        let mut beat = interval(every.max(Duration::from_millis(1)));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { arriving, running: FuturesUnordered::new(), pulse, beat }
    }

    /// Lets the tasks go on, side by side with whatever else is awaited. Ends only with the
    /// message of a task that panicked.
    pub(crate) async fn drive(&mut self) -> String {
        loop {
            tokio::select! {
                biased;
                _ = self.beat.tick() => {
                    self.pulse.0.fetch_add(1, Ordering::Relaxed);
                }
                Some(task) = self.arriving.recv() => self.running.push(Box::pin(contain(task))),
                Some(ended) = self.running.next(), if !self.running.is_empty() => {
                    if let Err(panic) = ended {
                        return panic;
                    }
                }
            }
        }
    }

    /// Drops all tasks, also those that have not begun.
    pub(crate) fn clear(&mut self) -> Result<(), String> {
        contain_call(|| {
            self.running.clear();
            while self.arriving.try_recv().is_ok() {}
        })
    }
}
