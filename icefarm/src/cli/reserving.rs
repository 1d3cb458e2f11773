//! Boards for a run: taken when they are free, given back at its end.

use super::args::KindArgs;
use super::remark;
use icefarm_client::{Client, ClientError, QueuePlace, Reservation, ReserveOptions};
use icefarm_core::wire::{Event, events};
use icefarm_core::{Serial, Value};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// How long control may take to take the boards back. Without it they are free when the leases,
/// which nobody renews any more, have run out.
const FAREWELL: Duration = Duration::from_secs(10);

/// Reserves boards, and says where the request stands while it waits for others to give them back.
pub(super) async fn reserve(
    client: &Client,
    options: ReserveOptions,
    wait: Duration,
) -> Result<Reservation, ClientError> {
    let told = Told::new(wait);
    let tell = move |place: QueuePlace| told.tell(place.position, place.waiting);
    client.reserve(options.wait(wait).on_position(tell)).await
}

/// What the command line says of the boards that are wanted.
pub(super) fn wishes(
    mut options: ReserveOptions,
    kind: &KindArgs,
    labels: BTreeMap<String, String>,
) -> ReserveOptions {
    for (key, value) in labels {
        options = options.label(key, value);
    }
    if let Some(simulated) = kind.simulated {
        options = options.simulated(simulated);
    }
    match kind.priority {
        Some(priority) => options.priority(priority),
        None => options,
    }
}

/// What was said last about a place in the queue.
pub(super) struct Told {
    wait: Duration,
    last: Mutex<Option<(u32, u32)>>,
}

impl Told {
    pub(super) fn new(wait: Duration) -> Self {
        Self { wait, last: Mutex::new(None) }
    }

    /// Says where a request stands, if that was not said yet.
    pub(super) fn tell(&self, position: u32, waiting: u32) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace((position, waiting));
        if before == Some((position, waiting)) {
            return;
        }
        let place = format!("position {position} of {waiting} in the queue");
        match before {
            None => remark(&format!(
                "not enough boards are free; waiting up to {} s, {place}",
                self.wait.as_secs()
            )),
            Some(_) => remark(&place),
        }
    }
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
    use tokio::time::Instant;

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
