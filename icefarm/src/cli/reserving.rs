//! Boards for a run: taken when they are free, given back at its end.

use super::remark;
use futures::StreamExt;
use icefarm_client::{Client, ClientError, Reservation, ReserveOptions};
use icefarm_core::wire::{ErrorCode, Event, events};
use icefarm_core::{Serial, Value};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// How long control may take to take the boards back. Without it they are free when the leases,
/// which nobody renews any more, have run out.
const FAREWELL: Duration = Duration::from_secs(10);

/// Reserves boards. While others hold them, it tries again whenever control says that more or
/// fewer are free.
pub(super) async fn reserve(
    client: &Client,
    options: ReserveOptions,
    wait: Duration,
) -> Result<Reservation, ClientError> {
    let deadline = Instant::now() + wait;
    // Before the first try: a board that becomes free right after it is not missed.
    let mut events = client.events();
    let mut told = false;
    loop {
        let refused = match client.reserve(options.clone()).await {
            Err(error) if is_for_now(&error) => error,
            reserved_or_failed => return reserved_or_failed,
        };
        if !told && !wait.is_zero() {
            remark(&format!("{refused}; waiting up to {} s", wait.as_secs()));
            told = true;
        }
        loop {
            match timeout_at(deadline, events.next()).await {
                Ok(Some(event)) if event.event.event == events::DEVICES_AVAILABLE => break,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Err(refused),
            }
        }
    }
}

/// Whether boards were refused only because others hold them.
fn is_for_now(error: &ClientError) -> bool {
    matches!(error.code(), Some(ErrorCode::NotEnoughDevices | ErrorCode::NotAvailable))
}

/// Why boards were not given back.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotGivenBack {
    #[error("control does not answer; the boards are free a minute from now")]
    NoAnswer,
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Waits until a client is closed, but not for a control server that is gone.
pub(super) async fn give_back(
    closing: impl Future<Output = Result<(), ClientError>>,
) -> Result<(), NotGivenBack> {
    match timeout(FAREWELL, closing).await {
        Ok(closed) => Ok(closed?),
        Err(_) => Err(NotGivenBack::NoAnswer),
    }
}

/// What to tell people of an event that says that a board goes out of service.
pub(super) fn draining(serial: &Serial, event: &Event) -> Option<String> {
    if event.event != events::DRAINING {
        return None;
    }
    let text = |key: &str| event.fields.get(key)?.as_str().map(str::to_owned);
    let worker = text("worker").unwrap_or_else(|| "that it is plugged to".to_owned());
    Some(match event.fields.get("ends_in_ms").and_then(Value::as_u64) {
        Some(ms) => format!(
            "icefarm: the worker {worker} of board {serial} is stopping: the board can be used for \
             {} s more",
            ms / 1000
        ),
        None => format!(
            "icefarm: board {serial} goes out of service once it is given back, as an operator \
             wants it"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn control_is_not_waited_for_longer_than_ten_seconds() {
        let start = Instant::now();
        let gone = give_back(std::future::pending()).await;
        assert!(matches!(gone, Err(NotGivenBack::NoAnswer)), "{gone:?}");
        assert_eq!(start.elapsed(), Duration::from_secs(10));

        let slow = async {
            tokio::time::sleep(Duration::from_secs(9)).await;
            Ok(())
        };
        give_back(slow).await.unwrap();
    }

    #[test]
    fn people_learn_how_long_a_board_can_be_used() {
        let told = |event: Event| draining(&"A".parse().unwrap(), &event);
        let event = Event::new(events::DRAINING).with("worker", "bench");
        assert!(told(event.clone()).unwrap().contains("once it is given back"));
        let text = told(event.with("ends_in_ms", 60_000)).unwrap();
        assert!(text.contains("the worker bench of board A is stopping") && text.contains("60 s"));
        assert_eq!(told(Event::new(events::FAILURE)), None);
    }
}
