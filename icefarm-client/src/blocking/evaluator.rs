//! Circuits in, outcomes out.

use super::client::Client;
use super::host::Host;
use super::reservation::Reservation;
use super::waiting::Waiting;
use crate::error::ClientError;
use crate::evaluator::{Circuit, CircuitOutcome, Evaluation, EvaluatorOptions, Placement};
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// Has circuits evaluated on the boards of a reservation, as [`crate::Evaluator`].
pub struct Evaluator<K: Evaluation> {
    inner: crate::Evaluator<K>,
    host: Arc<Host>,
}

impl<K: Evaluation> fmt::Debug for Evaluator<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<K: Evaluation> Clone for Evaluator<K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), host: self.host.clone() }
    }
}

impl<K: Evaluation> Evaluator<K> {
    /// See [`crate::Evaluator::new`].
    ///
    /// # Errors
    /// As [`crate::Evaluator::new`].
    pub fn new(client: &Client, reservation: &Reservation) -> Result<Self, ClientError> {
        Self::with_options(client, reservation, &EvaluatorOptions::default())
    }

    /// See [`crate::Evaluator::with_options`].
    ///
    /// # Errors
    /// As [`crate::Evaluator::with_options`].
    pub fn with_options(
        client: &Client,
        reservation: &Reservation,
        options: &EvaluatorOptions,
    ) -> Result<Self, ClientError> {
        let _runtime = client.host().handle().enter();
        let inner = crate::Evaluator::with_options(client.inner(), reservation.inner(), options)?;
        Ok(Self { inner, host: client.host().clone() })
    }

    /// See [`crate::Evaluator::evaluate`]. The next circuit is taken from `circuits` while an
    /// outcome is waited for, and only when boards have room for it. `circuits` must not use this
    /// module itself: it is asked for them within the client's runtime.
    pub fn evaluate<I>(&self, circuits: I, placement: Placement) -> Outcomes<K::Reading>
    where
        I: IntoIterator,
        I::IntoIter: Send + 'static,
        I::Item: Into<Circuit> + Send,
    {
        Outcomes(Waiting::new(self.inner.evaluate(circuits, placement), self.host.clone()))
    }

    /// See [`crate::Evaluator::submit`].
    ///
    /// # Errors
    /// [`ClientError::InsideRuntime`].
    pub fn submit(
        &self,
        circuit: impl Into<Circuit>,
        placement: Placement,
    ) -> Result<Outcomes<K::Reading>, ClientError> {
        let outcomes = self.host.wait(self.inner.submit(circuit, placement))?;
        Ok(Outcomes(Waiting::new(outcomes, self.host.clone())))
    }
}

/// Outcomes as they become known, which end when every circuit has all of its own. They may be
/// dropped early.
#[must_use = "nothing is evaluated unless the outcomes are read"]
pub struct Outcomes<R>(Waiting<CircuitOutcome<R>>);

impl<R: Send + 'static> Outcomes<R> {
    /// The next outcome, unless there is none for so long: to look after something else meanwhile.
    ///
    /// # Errors
    /// As those of [`std::sync::mpsc::Receiver::recv_timeout`]; it is disconnected after the last
    /// outcome.
    pub fn next_within(
        &mut self,
        timeout: Duration,
    ) -> Result<CircuitOutcome<R>, RecvTimeoutError> {
        self.0.next_within(timeout)
    }
}

impl<R: Send + 'static> Iterator for Outcomes<R> {
    type Item = CircuitOutcome<R>;

    fn next(&mut self) -> Option<CircuitOutcome<R>> {
        self.0.next()
    }
}

impl<R> fmt::Debug for Outcomes<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes").finish_non_exhaustive()
    }
}
