//! One board as the schedule sees it.

use super::{Limits, TaskId};
use crate::loss::{Loss, codes};
use icefarm_core::{EvaluationId, Serial};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Board {
    pub(super) worker: Arc<str>,
    pub(super) connected: bool,
    pub(super) initialized: bool,
    /// The lease is over.
    pub(super) gone: Option<Loss>,
    /// It is not waited for any more, until it gives a sign of life.
    pub(super) given_up: Option<Loss>,
    /// Since when it has been silent with circuits in flight, or not ready.
    pub(super) since: Duration,
    /// Tasks pinned to it that it has not been given.
    pub(super) queue: BTreeSet<TaskId>,
    /// What it was given and has not answered, in order. It may hold evaluations that are settled
    /// already, because another board was faster.
    pub(super) in_flight: Vec<EvaluationId>,
}

impl Board {
    pub(super) fn new(now: Duration, worker: Arc<str>) -> Self {
        Self {
            worker,
            connected: false,
            initialized: false,
            gone: None,
            given_up: None,
            since: now,
            queue: BTreeSet::new(),
            in_flight: Vec::new(),
        }
    }

    /// Whether it can be given circuits now.
    pub(super) fn is_ready(&self) -> bool {
        self.connected && self.initialized && self.hopeless().is_none()
    }

    /// Why it is not waited for, if it is not.
    pub(super) fn hopeless(&self) -> Option<&Loss> {
        self.gone.as_ref().or(self.given_up.as_ref())
    }

    pub(super) fn sign_of_life(&mut self, now: Duration) {
        self.given_up = None;
        if self.initialized {
            self.since = now;
        }
    }

    /// When it is given up if nothing is heard of it. A worker that is away is not the board's
    /// silence: its socket has a bound of its own.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Duration> {
        if self.hopeless().is_some() || !self.connected {
            return None;
        }
        if !self.initialized {
            return Some(self.since.saturating_add(limits.patience));
        }
        (!self.in_flight.is_empty()).then(|| self.since.saturating_add(limits.silence))
    }

    /// What to say once [`Self::deadline`] has passed.
    pub(super) fn overdue(&self, serial: &Serial, limits: &Limits) -> Loss {
        if self.initialized {
            let (open, seconds) = (self.in_flight.len(), limits.silence.as_secs());
            let reason =
                format!("board {serial} has {open} circuits and gave no outcome for {seconds} s");
            return Loss::new(codes::TIMEOUT, reason);
        }
        let seconds = limits.patience.as_secs();
        Loss::new(
            codes::NOT_INITIALIZED,
            format!("board {serial} was not ready within {seconds} s"),
        )
    }
}
