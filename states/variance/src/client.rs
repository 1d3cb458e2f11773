//! The client's side: what to reserve, and what comes of a circuit.

use crate::Variation;
use icefarm_client::{Circuit, Client, ClientError, Evaluation, Evaluator, Placement, Reservation};
use icefarm_client::{Outcomes, ReserveOptions};
use serde::Serialize;

/// Sampling a pin, for [`Evaluator`].
///
/// ```no_run
/// use futures::StreamExt as _;
/// use icefarm_client::{Circuit, Client, Evaluator, Placement, ReserveOptions};
/// use icefarm_state_variance::{Variance, VarianceArgs};
/// use std::time::Duration;
///
/// # async fn run(bitstream: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder("http://127.0.0.1:8080").name("me").connect().await?;
/// let boards = ReserveOptions::evaluating::<Variance>(2, &VarianceArgs::default());
/// let reservation = client.reserve(boards).await?;
/// reservation.initialized(Duration::from_secs(120)).await?;
///
/// let evaluator = Evaluator::<Variance>::new(&client, &reservation)?;
/// let mut outcomes = evaluator.evaluate([("blinky", bitstream)], Placement::Each);
/// while let Some(outcome) = outcomes.next().await {
///     match outcome.reading() {
///         Some(reading) => println!("{}: {}", outcome.circuit, reading.fitness),
///         None => println!("{}: {:?}", outcome.circuit, outcome.evaluated.outcome),
///     }
/// }
/// client.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Variance {}

impl Evaluation for Variance {
    const KIND: &'static str = "variance";
    type Args = VarianceArgs;
    type Reading = Variation;
}

/// The arguments of a reservation for [`Variance`]. What is not set is the state's own choice.
///
/// Two of them say when readings are sent. An evaluator lets only few circuits wait at a board, so that
/// it gets every reading at once whatever they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct VarianceArgs {
    #[serde(skip_serializing_if = "Option::is_none")]
    send_waveform: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flush_interval_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flush_at_bitstreams_remaining: Option<u32>,
}

impl VarianceArgs {
    /// Nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether readings have the samples: 500 numbers each. They do not unless set.
    #[must_use]
    pub fn send_waveform(mut self, send: bool) -> Self {
        self.send_waveform = Some(send);
        self
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

/// Reserves `boards` boards and samples what circuits do on them. The boards are held until the
/// client is closed, or their reservation, which comes with the outcomes, is ended.
///
/// ```no_run
/// use futures::StreamExt as _;
/// use icefarm_client::{Client, Placement};
/// use icefarm_state_variance::{VarianceArgs, variance};
///
/// # async fn run(bitstream: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder("http://127.0.0.1:8080").connect().await?;
/// let args = VarianceArgs::new().send_waveform(true);
/// let circuits = [("a", bitstream)];
/// let (_, mut outcomes) = variance(&client, 4, &args, circuits, Placement::Any).await?;
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
pub async fn variance<I>(
    client: &Client,
    boards: u32,
    args: &VarianceArgs,
    circuits: I,
    placement: Placement,
) -> Result<(Reservation, Outcomes<Variation>), ClientError>
where
    I: IntoIterator,
    I::IntoIter: Send + 'static,
    I::Item: Into<Circuit> + Send,
{
    let reservation = client.reserve(ReserveOptions::evaluating::<Variance>(boards, args)).await?;
    let evaluator = Evaluator::<Variance>::new(client, &reservation)?;
    Ok((reservation, evaluator.evaluate(circuits, placement)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_are_not_set_are_not_sent() {
        let text = |args: VarianceArgs| serde_json::to_string(&args).unwrap();
        assert_eq!(text(VarianceArgs::new()), "{}");
        let args = VarianceArgs::new().send_waveform(true).flush_interval_seconds(1.5);
        let all = r#"{"send_waveform":true,"flush_interval_seconds":1.5,"flush_at_bitstreams_remaining":3}"#;
        assert_eq!(text(args.flush_at_bitstreams_remaining(3)), all);
    }
}
