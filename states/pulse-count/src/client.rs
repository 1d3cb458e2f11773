//! The client's side: what to reserve, and what comes of a circuit.

use crate::Pulses;
use icefarm_client::{Circuit, Client, ClientError, Evaluation, Evaluator, Placement, Reservation};
use icefarm_client::{Outcomes, ReserveOptions};
use serde::Serialize;

/// Counting pulses, for [`Evaluator`].
///
/// ```no_run
/// use futures::StreamExt as _;
/// use icefarm_client::{Circuit, Client, Evaluator, Placement, ReserveOptions};
/// use icefarm_state_pulse_count::{PulseCount, PulseCountArgs};
/// use std::time::Duration;
///
/// # async fn run(bitstream: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder("http://127.0.0.1:8080").name("me").connect().await?;
/// let boards = ReserveOptions::evaluating::<PulseCount>(2, &PulseCountArgs::default());
/// let reservation = client.reserve(boards).await?;
/// reservation.initialized(Duration::from_secs(120)).await?;
///
/// let evaluator = Evaluator::<PulseCount>::new(&client, &reservation)?;
/// let mut outcomes = evaluator.evaluate([("blinky", bitstream)], Placement::Each);
/// while let Some(outcome) = outcomes.next().await {
///     match outcome.reading() {
///         Some(reading) => println!("{}: {} pulses", outcome.circuit, reading.pulses),
///         None => println!("{}: {:?}", outcome.circuit, outcome.evaluated.outcome),
///     }
/// }
/// client.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub enum PulseCount {}

impl Evaluation for PulseCount {
    const KIND: &'static str = "pulsecount";
    type Args = PulseCountArgs;
    type Reading = Pulses;
}

/// The arguments of a reservation for [`PulseCount`]. What is not set is the state's own choice.
///
/// Both say when readings are sent. An evaluator lets only few circuits wait at a board, so that
/// it gets every reading at once whatever they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct PulseCountArgs {
    #[serde(skip_serializing_if = "Option::is_none")]
    flush_interval_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flush_at_bitstreams_remaining: Option<u32>,
}

impl PulseCountArgs {
    /// Nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a reading may wait to be sent: more than 0 and at most 3600 seconds. 10 unless set.
    #[must_use]
    pub fn flush_interval_seconds(mut self, seconds: f64) -> Self {
        self.flush_interval_seconds = Some(seconds);
        self
    }

    /// While at most so many circuits wait at the board, at least 1, readings are sent at once. 25
    /// unless set.
    #[must_use]
    pub fn flush_at_bitstreams_remaining(mut self, circuits: u32) -> Self {
        self.flush_at_bitstreams_remaining = Some(circuits);
        self
    }
}

/// Reserves `boards` boards and counts the pulses of circuits on them. The boards are held until
/// the client is closed, or their reservation, which comes with the outcomes, is ended.
///
/// ```no_run
/// use futures::StreamExt as _;
/// use icefarm_client::{Client, Placement};
/// use icefarm_state_pulse_count::pulse_count;
///
/// # async fn run(bitstream: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder("http://127.0.0.1:8080").connect().await?;
/// let (_, mut outcomes) = pulse_count(&client, 4, [("a", bitstream)], Placement::Any).await?;
/// while let Some(outcome) = outcomes.next().await {
///     println!("{}", serde_json::to_string(&outcome)?);
/// }
/// client.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of [`Client::reserve`].
pub async fn pulse_count<I>(
    client: &Client,
    boards: u32,
    circuits: I,
    placement: Placement,
) -> Result<(Reservation, Outcomes<Pulses>), ClientError>
where
    I: IntoIterator,
    I::IntoIter: Send + 'static,
    I::Item: Into<Circuit> + Send,
{
    let options = ReserveOptions::evaluating::<PulseCount>(boards, &PulseCountArgs::default());
    let reservation = client.reserve(options).await?;
    let evaluator = Evaluator::<PulseCount>::new(client, &reservation)?;
    Ok((reservation, evaluator.evaluate(circuits, placement)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_not_set_are_not_sent() {
        let text = |args: PulseCountArgs| serde_json::to_string(&args).unwrap();
        assert_eq!(text(PulseCountArgs::new()), "{}");
        let args =
            PulseCountArgs::new().flush_interval_seconds(1.5).flush_at_bitstreams_remaining(3);
        let both = r#"{"flush_interval_seconds":1.5,"flush_at_bitstreams_remaining":3}"#;
        assert_eq!(text(args), both);
    }
}
