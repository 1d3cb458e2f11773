//! One board as the schedule sees it.

use super::{Limits, TaskId};
use crate::loss::{Loss, codes};
use icefarm_core::{EvaluationId, Serial};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// For how long a board that has too much to do is given nothing.
const PAUSE: Duration = Duration::from_millis(500);

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
    /// Since when it has had too much to do, without a sign of life since.
    pub(super) overloaded: Option<Duration>,
    /// Until when it is given nothing.
    pub(super) pause: Option<Duration>,
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
            overloaded: None,
            pause: None,
            queue: BTreeSet::new(),
            in_flight: Vec::new(),
        }
    }

    /// Whether it can be given circuits now.
    pub(super) fn is_ready(&self) -> bool {
        self.connected && self.initialized && self.pause.is_none() && self.hopeless().is_none()
    }

    /// Why it is not waited for, if it is not.
    pub(super) fn hopeless(&self) -> Option<&Loss> {
        self.gone.as_ref().or(self.given_up.as_ref())
    }

    pub(super) fn sign_of_life(&mut self, now: Duration) {
        self.given_up = None;
        self.pause = None;
        self.overloaded = None;
        if self.initialized {
            self.since = now;
        }
    }

    /// When it is given up, or its pause ends, if nothing is heard of it. A worker that is away is not the board's
    /// silence: its socket has a bound of its own.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Duration> {
        if self.hopeless().is_some() || !self.connected {
            return None;
        }
        if !self.initialized {
            return Some(self.since.saturating_add(limits.patience));
        }
        if self.pause.is_some() {
            return self.pause;
        }
        (!self.in_flight.is_empty()).then(|| self.since.saturating_add(limits.silence))
    }

    /// Its worker has too much to do. Why it is given up, if that has been so for too long.
    pub(super) fn rest(&mut self, now: Duration, serial: &Serial, limits: &Limits) -> Option<Loss> {
        let since = *self.overloaded.get_or_insert(now);
        self.pause = Some(now.saturating_add(PAUSE));
        let seconds = limits.silence.as_secs();
        (now >= since.saturating_add(limits.silence)).then(|| {
            let reason = format!("board {serial} has had too much to do for {seconds} s");
            Loss::new(codes::TIMEOUT, reason)
        })
    }

    /// What is due once [`Self::deadline`] has passed: an end of the pause, or of all patience.
    pub(super) fn overdue(&mut self, serial: &Serial, limits: &Limits) -> Option<Loss> {
        if self.pause.take().is_some() {
            return None;
        }
        Some(self.loss(serial, limits))
    }

    fn loss(&self, serial: &Serial, limits: &Limits) -> Loss {
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
