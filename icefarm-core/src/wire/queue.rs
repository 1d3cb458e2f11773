//! Waiting for boards: requests that were queued, and what becomes of them.

use super::ReservationAnswer;
use crate::clock::Timestamp;
use crate::{ArgError, Args, ClientName, InstanceId, Kind, RequestId, ReservationId, Serial};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The answer, with status 202, to a reservation with `wait_s` that has to wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedAnswer {
    /// The one key.
    pub queued: Queued,
}

/// A place in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// The request that waits. Repeated, it tells what has become of it.
    pub request: RequestId,
    /// What the boards will share once they are granted; until then it names the place.
    pub reservation: ReservationId,
    /// How many are served before it, and itself: the next to be served has 1.
    pub position: u32,
    /// How many wait in all.
    pub waiting: u32,
    /// How long it waits from now on at most, in milliseconds.
    pub expires_in_ms: u64,
}

/// What a reservation with `wait_s` is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ReserveAnswer {
    /// The boards are reserved.
    Granted(ReservationAnswer),
    /// It waits.
    Queued(QueuedAnswer),
}

/// The event `queue positions`: all requests of the client that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePositions {
    /// How many wait in all, of whatever client.
    pub waiting: u32,
    /// Those of this client, the next to be served first.
    pub requests: Vec<QueuePosition>,
}

/// Where one request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePosition {
    /// The request.
    pub request: RequestId,
    /// As in [`Queued`].
    pub reservation: ReservationId,
    /// As in [`Queued`].
    pub position: u32,
}

/// A request that waits, as `GET /v1/queue` lists it, the next to be served first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEntry {
    /// What names it: what its boards will share.
    pub reservation: ReservationId,
    /// From 1.
    pub position: u32,
    /// Who waits.
    pub client: ClientName,
    /// For what.
    pub kind: Kind,
    /// For how many boards.
    pub amount: u32,
    /// For exactly these boards; empty if any will do.
    #[serde(default)]
    pub serials: Vec<Serial>,
    /// The labels that the boards must have.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether simulated boards are wanted, if that was said.
    #[serde(default)]
    pub simulated: Option<bool>,
    /// Higher ones are served first.
    pub priority: i32,
    /// Since when.
    pub since: Timestamp,
    /// Until when at most, by control's time.
    pub expires: Timestamp,
    /// Why it is not served, for people.
    #[serde(default)]
    pub why: String,
}

/// The body of `POST /v1/queue/cancel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelRequest {
    /// Whose requests are meant. Absent, an operator means whoever's it is.
    pub name: Option<ClientName>,
    /// The request under the id that its client gave it. Needs `name`.
    pub request: Option<RequestId>,
    /// The request by what its boards would share.
    pub reservation: Option<ReservationId>,
    /// The process that asks, if it says: only its own requests are meant.
    pub instance: Option<InstanceId>,
}

impl CancelRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`ArgError`] names the key that is wrong.
    pub fn read(mut args: Args) -> Result<Self, ArgError> {
        Ok(Self {
            name: args.take("name")?,
            request: args.take("request")?,
            reservation: args.take("reservation")?,
            instance: args.take("instance")?,
        })
    }
}

/// What a cancellation came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelAnswer {
    /// The requests that do not wait any more.
    pub cancelled: Vec<ReservationId>,
    /// The boards of a request that had been granted before, whose leases were ended.
    #[serde(default)]
    pub ended: Vec<Serial>,
}

/// What an operator ended of a client: the answer of `POST /v1/clients/NAME/end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientEnded {
    /// The client.
    pub client: ClientName,
    /// The boards whose leases were ended.
    pub ended: Vec<Serial>,
    /// The requests that do not wait any more.
    pub cancelled: Vec<ReservationId>,
}

/// The body of `POST /v1/boards/SERIAL/label`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelRequest {
    /// Labels that the board gets, instead of those of the same keys.
    pub set: BTreeMap<String, String>,
    /// Keys of labels that it loses. It need not have them.
    pub remove: Vec<String>,
}

impl LabelRequest {
    /// Reads the body.
    ///
    /// # Errors
    /// [`ArgError`] names the key that is wrong.
    pub fn read(mut args: Args) -> Result<Self, ArgError> {
        Ok(Self {
            set: args.take::<Option<_>>("set")?.unwrap_or_default(),
            remove: args.take::<Option<_>>("remove")?.unwrap_or_default(),
        })
    }
}

/// What a board is called: the answer of `POST /v1/boards/SERIAL/label`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardLabels {
    /// The board.
    pub serial: Serial,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Its other labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_answers_are_told_apart() {
        let granted = r#"{"reservation": "r", "boards": []}"#;
        let granted = serde_json::from_str(granted).unwrap();
        assert!(matches!(granted, ReserveAnswer::Granted(_)));
        let queued = r#"{"queued": {"request": "q", "reservation": "r", "position": 2,
            "waiting": 3, "expires_in_ms": 5}}"#;
        let queued = serde_json::from_str(queued).unwrap();
        assert!(matches!(queued, ReserveAnswer::Queued(answer) if answer.queued.position == 2));
    }
}
